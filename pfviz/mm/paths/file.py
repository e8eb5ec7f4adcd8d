"""A fault in a mapped file: read (with fault-around), private write, shared write.

The page comes from `filemap` (filemap_fault, locked) or from map_pages; what drivers without
map_pages do needs mmap_lock. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_cache import Folio, folio_trylock, folio_unlock
from pfviz.mm.page_range import count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    SPECIAL,
    WRITABLE,
    PteTable,
    pte_of,
)
from pfviz.mm.paths import map_pages
from pfviz.mm.paths.allocation import folio_add_lru_vma, release_page, vma_alloc_folio
from pfviz.mm.paths.anon_vma import give_up, vmf_anon_prepare
from pfviz.mm.paths.anonymous import add_new_anon_rmap, pte_alloc, store_anon_pte
from pfviz.mm.paths.filemap import filemap_fault
from pfviz.mm.paths.outcome import (
    VM_FAULT_COMPLETED,
    VM_FAULT_ERROR,
    VM_FAULT_LOCKED,
    VM_FAULT_NOPAGE,
    VM_FAULT_RETRY,
)
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock, unlock
from pfviz.mm.paths.release import may_drop_lock, release_fault_lock
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.vma import VM_SHARED, VM_WRITE
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.page_cache import File
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

NO_MAP_PAGES = "driver without map_pages"
HANDLER_NEEDS_MMAP_LOCK = "->fault under the VMA lock (6.6)"


@step("mm/memory.c", cost="vma_check")
def do_fault(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """No page is mapped here and the VMA has a file: which kind of access is it?"""
    fault = thread.in_flight
    if thread.mm.page_tables.walk(fault.address) is None:
        return thread.call(pte_alloc, then=do_fault)
    file = _file(thread)
    fault.orig_pte, fault.orig_pte_valid = 0, True
    if not file.has_map_pages:
        fault.kind = fault.kind or "driver"
        return do_driver_fault
    if not fault.write:
        return do_read_fault
    assert fault.vma is not None
    return do_shared_fault if fault.vma.vm_flags & VM_SHARED else do_cow_fault


def _file(thread: Thread) -> File:
    vma = thread.in_flight.vma
    assert vma is not None
    assert vma.vm_file is not None
    return vma.vm_file


# Read


@step("mm/memory.c", cost="vma_check")
def do_read_fault(engine: Mm, thread: Thread) -> Step:
    """A read: try to map all cached pages around the address in one go first."""
    fault = thread.in_flight
    fault.kind = fault.kind or "file_read_hit"
    if engine.world.policy.fault_around_pages > 1:
        return thread.call(map_pages.do_fault_around, then=read_one_page)
    return read_one_page(engine, thread)


@step("mm/memory.c", cost="vma_check", function="do_read_fault")
def read_one_page(engine: Mm, thread: Thread) -> Step:
    """The page was not among those mapped: ask the file for it, which may sleep."""
    fault = thread.in_flight
    if fault.result & VM_FAULT_NOPAGE:
        return thread.back()
    if not fault.result & VM_FAULT_RETRY:
        refused = vmf_can_call_fault(engine, thread)
        if refused is not None:
            return refused
    return thread.call(filemap_fault, then=finish_read_fault)


def vmf_can_call_fault(engine: Mm, thread: Thread) -> Step | None:
    """None when the file's handler may run under the lock held; else the way out (RETRY)."""
    if thread.in_flight.regime != VMA_LOCK:
        return None
    if not _file(thread).has_map_pages:
        return give_up(engine, thread, NO_MAP_PAGES)
    if engine.world.preset.file_under_vl == "map_pages":
        return give_up(engine, thread, HANDLER_NEEDS_MMAP_LOCK)
    return None


@step("mm/memory.c", cost="vma_check", function="do_read_fault")
def finish_read_fault(engine: Mm, thread: Thread) -> Step:
    """The page is there and locked: map it."""
    if thread.in_flight.result & (VM_FAULT_RETRY | VM_FAULT_ERROR):
        return thread.back()
    return pte_offset_map_lock(engine, thread, then=finish_fault)


@step("mm/memory.c", cost="map")
def finish_fault(engine: Mm, thread: Thread) -> Step:
    """Map the file's page unless another thread did so meanwhile."""
    fault = thread.in_flight
    assert fault.vma is not None
    table: PteTable | None = fault.pmd
    folio: Folio = fault.folio
    if table is not None and not pte_changed(thread, table):
        flags = PRESENT | ACCESSED | FILE
        if fault.write and fault.vma.vm_flags & VM_WRITE:
            flags |= WRITABLE | DIRTY
        map_folio(engine, thread, table, fault.address, folio, flags)
    return thread.call(pte_unmap_unlock, then=unlock_folio)


def map_folio(
    engine: Mm, thread: Thread, table: PteTable, address: int, folio: Folio, flags: int,
    event_flags: int = 0,
) -> None:  # fmt: skip
    """Map a page of the cache: one mapping and one reference more (set_pte_range)."""
    folio.mapcount += 1
    folio.refcount += 1
    count_rss(engine, thread.mm.page_tables, file=1)
    pte = pte_of(folio.pfn, flags)
    set_pte(engine, thread.mm.page_tables, table, address, pte, event_flags)


@step("mm/filemap.c", cost="folio_unlock")
def unlock_folio(engine: Mm, thread: Thread) -> Step:
    """Unlock the page of the cache; who waits for it goes on."""
    put_folio(engine, thread)
    return thread.back()


def put_folio(engine: Mm, thread: Thread) -> None:
    """Unlock the fault's folio if it is locked, and drop the reference."""
    fault = thread.in_flight
    folio: Folio | None = fault.folio
    if folio is None:
        return
    if fault.result & VM_FAULT_LOCKED:
        folio_unlock(engine, folio)
        fault.result &= ~VM_FAULT_LOCKED
    folio.refcount -= 1
    fault.folio = None


# Private write


@step("mm/memory.c", cost="vma_check")
def do_cow_fault(engine: Mm, thread: Thread) -> Step:
    """A write to a private mapping: the page will be a copy, and needs an anon_vma."""
    fault = thread.in_flight
    fault.kind = fault.kind or "file_cow"
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        return refused
    return thread.call(vmf_anon_prepare, then=alloc_cow_folio)


@step("mm/memory.c", cost="vma_check", function="do_cow_fault")
def alloc_cow_folio(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Allocate and charge the private page before the file is asked for its contents."""
    if thread.in_flight.result & VM_FAULT_RETRY:
        return thread.back()
    return thread.call(vma_alloc_folio, then=read_for_copy)


@step("mm/memory.c", cost="vma_check", function="__do_fault")
def read_for_copy(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Ask the file for the page to be copied."""
    return thread.call(filemap_fault, then=copy_cow_page)


@step("mm/memory.c", cost="copy", function="do_cow_fault")
def copy_cow_page(engine: Mm, thread: Thread) -> Step:
    """Copy the file's page into the private one, with the file's page locked."""
    if thread.in_flight.result & (VM_FAULT_RETRY | VM_FAULT_ERROR):
        release_page(engine, thread)
        return thread.back()
    return pte_offset_map_lock(engine, thread, then=finish_cow_fault)


@step("mm/memory.c", cost="pte_read", function="finish_fault")
def finish_cow_fault(engine: Mm, thread: Thread) -> Step:
    """Map the copy unless another thread mapped something here meanwhile."""
    table: PteTable | None = thread.in_flight.pmd
    if table is None or pte_changed(thread, table):
        release_page(engine, thread)
        return thread.call(pte_unmap_unlock, then=unlock_folio)
    return cow_rmap


@step("mm/rmap.c", cost="map", function="folio_add_new_anon_rmap")
def cow_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the copy and point it at the VMA's anon_vma."""
    add_new_anon_rmap(engine, thread)
    return thread.call(folio_add_lru_vma, then=set_cow_pte)


@step("mm/memory.c", cost="set_pte", function="set_pte_range")
def set_cow_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry of the private copy."""
    fault = thread.in_flight
    assert fault.vma is not None
    store_anon_pte(engine, thread, fault.vma.vm_flags)
    return thread.call(pte_unmap_unlock, then=unlock_folio)


# Shared write


@step("mm/memory.c", cost="vma_check")
def do_shared_fault(engine: Mm, thread: Thread) -> Step:
    """A write to a shared mapping: the file's own page is mapped writable."""
    fault = thread.in_flight
    fault.kind = fault.kind or "shared_write"
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        return refused
    return thread.call(filemap_fault, then=do_page_mkwrite)


@step("mm/memory.c", cost="page_mkwrite")
def do_page_mkwrite(engine: Mm, thread: Thread) -> Step:
    """Tell the filesystem that the page is about to be written: it reserves what it needs."""
    fault = thread.in_flight
    if fault.result & (VM_FAULT_RETRY | VM_FAULT_ERROR):
        return thread.back()
    folio: Folio = fault.folio
    if not folio.is_cached:  # truncated while the page was unlocked
        put_folio(engine, thread)
        fault.result |= VM_FAULT_NOPAGE
        return thread.back()
    return pte_offset_map_lock(engine, thread, then=finish_shared_fault)


@step("mm/memory.c", cost="map", function="finish_fault")
def finish_shared_fault(engine: Mm, thread: Thread) -> Step:
    """Map the file's page writable and dirty."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    folio: Folio = fault.folio
    if table is not None and not pte_changed(thread, table):
        flags = PRESENT | ACCESSED | FILE | WRITABLE | DIRTY
        map_folio(engine, thread, table, fault.address, folio, flags)
    return thread.call(pte_unmap_unlock, then=fault_dirty_shared_page)


@step("mm/memory.c", cost="folio_unlock")
def fault_dirty_shared_page(engine: Mm, thread: Thread) -> Step:
    """Account the dirty page; the writer may be throttled, so the fault lock goes first."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    folio.dirty = True
    put_folio(engine, thread)
    if may_drop_lock(engine, thread):
        release_fault_lock(engine, thread)
        fault.result |= VM_FAULT_COMPLETED
    return thread.back()


@step("mm/memory.c", cost="vma_check")
def wp_page_shared(engine: Mm, thread: Thread) -> Step:
    """A shared page is mapped read-only: the filesystem is told before it becomes writable."""
    fault = thread.in_flight
    folio: Folio | None = engine.world.frames.folios.get(fault.orig_pte >> 12)
    if folio is None or not folio.file.has_page_mkwrite:
        return finish_mkwrite_fault
    folio.refcount += 1
    fault.folio = folio
    unlock(engine, thread)
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        folio.refcount -= 1
        fault.folio = None
        return refused
    return page_mkwrite_again


@step("mm/memory.c", cost="page_mkwrite", function="do_page_mkwrite")
def page_mkwrite_again(engine: Mm, thread: Thread) -> Step:
    """Tell the filesystem that a page that was mapped for reading is about to be written."""
    return pte_offset_map_lock(engine, thread, then=finish_mkwrite_fault)


@step("mm/memory.c", cost="set_pte")
def finish_mkwrite_fault(engine: Mm, thread: Thread) -> Step:
    """Make the entry writable if it is still the same."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        pte = fault.orig_pte | WRITABLE | DIRTY | ACCESSED
        set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    folio: Folio | None = fault.folio
    if folio is not None:
        folio.dirty = True
        folio.refcount -= 1
        fault.folio = None
    return pte_unmap_unlock


# Drivers


@step("mm/memory.c", cost="vma_check", function="vmf_can_call_fault")
def do_driver_fault(engine: Mm, thread: Thread) -> Step:
    """A device mapping has no map_pages: its handler is only trusted under mmap_lock."""
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        return refused
    return pte_offset_map_lock(engine, thread, then=vmf_insert_pfn)


@step("mm/memory.c", cost="map")
def vmf_insert_pfn(engine: Mm, thread: Thread) -> Step:
    """The driver puts a page frame of its device into the page table."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        writable = fault.vma is not None and fault.vma.vm_flags & VM_WRITE
        flags = PRESENT | ACCESSED | FILE | SPECIAL | (WRITABLE | DIRTY if writable else 0)
        set_pte(engine, thread.mm.page_tables, table, fault.address, pte_of(1 << 20, flags))
    return pte_unmap_unlock


__all__ = ["do_fault", "folio_trylock", "map_folio", "wp_page_shared"]
