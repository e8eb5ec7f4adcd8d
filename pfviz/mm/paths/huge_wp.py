"""A fault that finds a huge page mapped: a write to one that is read-only, or nothing to do.

A huge page is never copied as a whole: a write to a shared one splits the entry, and the small page
is copied (since 4.x; the huge zero page is replaced by a huge page since 6.13).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.huge_pmd import (
    clear_huge_pmd,
    is_huge_zero,
    is_sole_user,
    map_new_huge,
    new_huge_pmd,
    reuse_block,
    set_huge_pmd,
)
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    TABLE_SHIFT,
    WRITABLE,
    HugePmd,
    pfn_of,
    pte_of,
)
from pfviz.mm.paths.huge_alloc import alloc_huge, clear_huge_page, release_huge
from pfviz.mm.paths.huge_anon import add_huge_lru, pmd_unlock
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.outcome import VM_FAULT_FALLBACK
from pfviz.mm.tlb import flush_tlb_range
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def found_huge(thread: Thread, huge: HugePmd) -> Step:
    """The step for a fault in a huge page that is mapped."""
    fault = thread.in_flight
    fault.scratch["pmd"] = huge
    fault.orig_pte = huge.value
    if fault.write and huge.value & PRESENT and not huge.value & WRITABLE:
        return do_huge_pmd_wp_page
    return huge_pmd_set_accessed


def _huge(thread: Thread) -> HugePmd:
    huge: HugePmd = thread.in_flight.scratch["pmd"]
    return huge


def _changed(thread: Thread) -> bool:
    """Whether the entry is no longer what the fault saw (pmd_same)."""
    huge = _huge(thread)
    return not huge.is_linked or huge.value != thread.in_flight.orig_pte


@step("mm/huge_memory.c", cost="vma_check")
def huge_pmd_set_accessed(engine: Mm, thread: Thread) -> Step:
    """The huge page is mapped already, or on the point of being split: look under the PMD lock."""
    return spin_lock(engine, thread, _huge(thread).lock, then=touch_pmd)


@step("mm/huge_memory.c", cost="set_pte")
def touch_pmd(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Mark the entry young (and dirty) if it is still the same; nothing else is due."""
    fault, huge = thread.in_flight, _huge(thread)
    if not _changed(thread) and huge.value & PRESENT:
        huge.value |= ACCESSED | (DIRTY if fault.write else 0)
    fault.kind = fault.kind or "spurious"
    return pmd_unlock


@step("mm/huge_memory.c", cost="vma_check")
def do_huge_pmd_wp_page(engine: Mm, thread: Thread) -> Step:
    """A write meets a huge page that is read-only: the zero page, shared, or one's own?"""
    if is_huge_zero(thread.in_flight.orig_pte):
        if engine.world.preset.thp_zero_wp == "thp":
            return thread.call(alloc_huge, then=huge_zero_replaced)
        return split_for_write(engine, thread)
    return spin_lock(engine, thread, _huge(thread).lock, then=reuse_huge)


@step("mm/huge_memory.c", cost="folio_lock", function="do_huge_pmd_wp_page")
def reuse_huge(engine: Mm, thread: Thread) -> Step:
    """Under the PMD lock: if nobody else has a part of the huge page, make it writable in place."""
    fault, huge = thread.in_flight, _huge(thread)
    assert fault.vma is not None
    if _changed(thread):
        fault.kind = fault.kind or "spurious"
        return pmd_unlock
    frames, first = engine.world.frames, pfn_of(huge.value)
    anon_vma = fault.vma.anon_vma
    if not frames.is_exclusive(first):
        if not is_sole_user(frames, first):
            return unlock_shared
        reuse_block(frames, first, anon_vma.id if anon_vma else 0)
    huge.value |= WRITABLE | DIRTY | ACCESSED
    set_huge_pmd(engine, thread.mm.page_tables, huge)
    fault.kind = fault.kind or "thp_reuse"
    return pmd_unlock


@step("mm/huge_memory.c", function="do_huge_pmd_wp_page")
def unlock_shared(engine: Mm, thread: Thread) -> Step:
    """Another process maps it, too: only the page that is written to shall be copied."""
    spin_unlock(engine, thread, _huge(thread).lock)
    return split_for_write(engine, thread)


def split_for_write(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Split the entry and go on with the small page (__split_huge_pmd, VM_FAULT_FALLBACK)."""
    thread.in_flight.result |= VM_FAULT_FALLBACK
    return split_huge_pmd(thread, thread.mm, _huge(thread), then=thread.back())


# The huge zero page gives way to a huge page (6.13+)


@step("mm/huge_memory.c (6.13+)", cost="vma_check", function="do_huge_zero_wp_pmd")
def huge_zero_replaced(engine: Mm, thread: Thread) -> Step:
    """Zero the huge page that is to take its place; if there is none, split the zero page."""
    if thread.in_flight.page is None:
        engine.world.count("thp_fault_fallback")
        return split_for_write(engine, thread)
    return thread.call(clear_huge_page, then=lock_zero_wp)


@step("mm/huge_memory.c (6.13+)", function="do_huge_zero_wp_pmd")
def lock_zero_wp(engine: Mm, thread: Thread) -> Step:
    """The huge page is ready: lock the PMD entry."""
    return spin_lock(engine, thread, _huge(thread).lock, then=flush_zero_wp)


@step("mm/pgtable-generic.c", cost="set_pte", function="pmdp_huge_clear_flush")
def flush_zero_wp(engine: Mm, thread: Thread) -> Step:
    """Clear the entry of the zero page and flush it, unless another thread was faster."""
    fault, huge = thread.in_flight, _huge(thread)
    if _changed(thread):
        release_huge(engine, thread)
        fault.kind = fault.kind or "spurious"
        return pmd_unlock
    fault.scratch["deposit"] = huge.deposit
    huge.deposit = None
    tables = thread.mm.page_tables
    clear_huge_pmd(engine, tables, huge)
    return flush_tlb_range(
        engine, thread, tables, huge.base, huge.end, map_zero_wp, "copy on write",
        stride_shift=TABLE_SHIFT,
    )  # fmt: skip


@step("mm/huge_memory.c (6.13+)", cost="huge_rmap", function="map_anon_folio_pmd")
def map_zero_wp(engine: Mm, thread: Thread) -> Step:
    """Map the huge page, writable; the page table that was kept aside stays there."""
    fault = thread.in_flight
    vma = fault.vma
    assert vma is not None
    tables = thread.mm.page_tables
    value = pte_of(fault.page, PRESENT | ACCESSED | DIRTY | WRITABLE)
    huge = new_huge_pmd(engine, tables, fault.address, value, fault.scratch.pop("deposit"))
    map_new_huge(engine, tables, huge, vma.anon_vma.id if vma.anon_vma else 0)
    fault.page = None
    set_huge_pmd(engine, tables, huge)
    fault.kind = fault.kind or "thp_write"
    engine.world.count("thp_fault_alloc")
    return add_huge_lru(engine, thread, then=pmd_unlock)
