"""A write to a page that is mapped read-only: reuse it, or copy it and switch the entry.

Entered with the PTL held (do_wp_page). The copy is made without it; the old translation is cleared
and flushed on every CPU before the new one is stored, all under the PTL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_range import clear_pte, count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PAGE_SIZE,
    SPECIAL,
    UFFD_WP,
    WRITABLE,
    PteTable,
    pfn_of,
)
from pfviz.mm.paths.allocation import (
    clear_user_page,
    folio_add_lru_vma,
    free_frames,
    page_has_contents,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.anon_vma import NO_ANON_VMA, give_up, vmf_anon_prepare
from pfviz.mm.paths.anonymous import add_new_anon_rmap, store_anon_pte
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock, unlock
from pfviz.mm.paths.shared_write import wp_page_shared, wp_pfn_shared
from pfviz.mm.paths.userfaultfd import userfault
from pfviz.mm.swap import free_swap_cache, is_kept_by_swap_cache
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.userfaultfd import WP
from pfviz.mm.vma import VM_SHARED, VM_UFFD_WP
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c", cost="vma_check")
def do_wp_page(engine: Mm, thread: Thread) -> Step:
    """A write meets a read-only entry: is the page shared with anybody, or may it be reused?"""
    fault = thread.in_flight
    assert fault.vma is not None
    pte = fault.orig_pte
    frames = engine.world.frames
    if pte & UFFD_WP:
        return told_of_write(engine, thread)
    if fault.vma.vm_flags & VM_SHARED:
        fault.kind = fault.kind or "shared_write"
        return wp_pfn_shared if pte & SPECIAL else wp_page_shared
    if pte & SPECIAL:
        fault.kind = fault.kind or ("file_cow" if pte & FILE else "zero_page_cow")
        return unlock_for_copy
    if pte & FILE:
        fault.kind = fault.kind or "file_cow"
        return unlock_for_copy
    pfn = pfn_of(pte)
    if frames.is_exclusive(pfn):
        return wp_page_reuse
    if frames.refcount[pfn] == 1 or is_kept_by_swap_cache(engine, pfn):
        return wp_can_reuse_anon_folio
    fault.kind = fault.kind or "cow_after_fork"
    return unlock_for_copy


def told_of_write(engine: Mm, thread: Thread) -> Step:
    """A monitor wants to know of this write; with WP_ASYNC it is enough that the mark is gone."""
    fault = thread.in_flight
    vma = fault.vma
    assert vma is not None
    if vma.vm_flags & VM_UFFD_WP:
        if vma.userfaultfd is None or "wp_async" not in vma.userfaultfd.features:
            return thread.call(pte_unmap_unlock, then=userfault(thread, WP))
        fault.kind = "uffd_wp"
    fault.orig_pte &= ~UFFD_WP
    set_pte(engine, thread.mm.page_tables, fault.pmd, fault.address, fault.orig_pte)
    return do_wp_page(engine, thread)


@step("mm/memory.c", cost="folio_lock")
def wp_can_reuse_anon_folio(engine: Mm, thread: Thread) -> Step:
    """The other sharers are gone: lock the page, see that nobody refers to it, take it over."""
    fault = thread.in_flight
    assert fault.vma is not None
    anon_vma = fault.vma.anon_vma
    free_swap_cache(engine, pfn_of(fault.orig_pte))
    engine.world.frames.reuse(pfn_of(fault.orig_pte), anon_vma.id if anon_vma else 0)
    return wp_page_reuse


@step("mm/memory.c", cost="set_pte")
def wp_page_reuse(engine: Mm, thread: Thread) -> Step:
    """The page belongs to this process alone: make the entry writable, copy nothing."""
    fault = thread.in_flight
    fault.kind = fault.kind or "anon_reuse"
    table: PteTable = fault.pmd
    pte = fault.orig_pte | WRITABLE | DIRTY | ACCESSED
    set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    return pte_unmap_unlock


@step("mm/memory.c", function="do_wp_page")
def unlock_for_copy(engine: Mm, thread: Thread) -> Step:
    """Keep the old page by a reference and let go of the page-table lock while copying."""
    fault = thread.in_flight
    assert fault.vma is not None
    if fault.regime == VMA_LOCK and fault.vma.anon_vma is None and _asks_first(engine):
        unlock(engine, thread)
        return give_up(engine, thread, NO_ANON_VMA)
    frames = engine.world.frames
    if not fault.orig_pte & SPECIAL:
        fault.old_page = pfn_of(fault.orig_pte)
        frames.get(fault.old_page)
    unlock(engine, thread)
    return wp_page_copy


def _asks_first(engine: Mm) -> bool:
    """6.6 minds a missing anon_vma before it holds the old page, later kernels afterwards."""
    preset = engine.world.preset
    return preset.file_under_vl == "map_pages" and preset.anon_vma_check != "late"


@step("mm/memory.c")
def wp_page_copy(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The copy will be a private page: the VMA needs an anon_vma first."""
    return thread.call(vmf_anon_prepare, then=alloc_copy)


@step("mm/memory.c", cost="vma_check", function="wp_page_copy")
def alloc_copy(engine: Mm, thread: Thread) -> Step:
    """Allocate and charge a page of one's own."""
    fault = thread.in_flight
    if fault.result & VM_FAULT_RETRY:
        return put_old_page(engine, thread)
    thread.returns.append(lock_for_switch)
    if fault.orig_pte & (SPECIAL | FILE) == SPECIAL:
        return thread.call(vma_alloc_folio, then=clear_user_page)
    return thread.call(vma_alloc_folio, then=copy_mc_user_highpage)


@step("mm/memory.c", cost="copy")
def copy_mc_user_highpage(engine: Mm, thread: Thread) -> Step:
    """Copy the old page; other threads may still write it if their entry allows that."""
    page_has_contents(engine, thread)
    return thread.back()


@step("mm/memory.c", cost="pte_read", function="wp_page_copy")
def lock_for_switch(engine: Mm, thread: Thread) -> Step:
    """The copy is ready: lock the page table to switch the entry over."""
    return pte_offset_map_lock(engine, thread, then=recheck_switch)


@step("mm/memory.c", cost="pte_read", function="wp_page_copy")
def recheck_switch(engine: Mm, thread: Thread) -> Step:
    """See whether the entry is still the one that was copied: otherwise the copy is discarded."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        release_page(engine, thread)
        return thread.call(pte_unmap_unlock, then=put_old_page)
    return ptep_clear_flush


@step("mm/pgtable-generic.c", cost="set_pte")
def ptep_clear_flush(engine: Mm, thread: Thread) -> Step:
    """Clear the old entry and flush it from every TLB while the lock keeps others out."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    table: PteTable = fault.pmd
    old = clear_pte(engine, page_tables, table, fault.address)
    if not old & SPECIAL:
        gone = (0, -1) if old & FILE else (-1, 0)
        count_rss(engine, page_tables, *gone)
    start = fault.address & -PAGE_SIZE
    then = switch_rmap
    return flush_tlb_range(
        engine, thread, page_tables, start, start + PAGE_SIZE, then, "copy on write"
    )


@step("mm/rmap.c", cost="map", function="folio_add_new_anon_rmap")
def switch_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the copy and point it at the VMA's anon_vma."""
    add_new_anon_rmap(engine, thread)
    return thread.call(folio_add_lru_vma, then=switch_pte)


@step("mm/memory.c", cost="set_pte", function="wp_page_copy")
def switch_pte(engine: Mm, thread: Thread) -> Step:
    """Store the new entry, then drop the old page's mapping: never the other way round."""
    fault = thread.in_flight
    assert fault.vma is not None
    frames = engine.world.frames
    store_anon_pte(engine, thread, fault.vma.vm_flags)
    if fault.old_page is not None and frames.unmap(fault.old_page):
        msg = "the fault holds a reference of its own"
        raise AssertionError(msg)
    return thread.call(pte_unmap_unlock, then=put_old_page)


@step("mm/memory.c", cost="vma_check", function="wp_page_copy")
def put_old_page(engine: Mm, thread: Thread) -> Step:
    """Drop the reference to the old page; it is freed if nobody else maps it."""
    fault = thread.in_flight
    old, fault.old_page = fault.old_page, None
    if old is not None and engine.world.frames.put(old):
        return free_frames(engine, thread, [old], then=thread.back())
    return thread.back()
