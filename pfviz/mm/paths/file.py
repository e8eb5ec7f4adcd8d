"""A fault where a file is mapped but no page yet: read with fault-around, private write.

The page comes from `filemap` or `shmem` (locked), from map_pages, or is put into the page table by
a `driver`. Shared writes are in `shared_write`. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_table import (
    ACCESSED,
    FILE,
    PRESENT,
    PteTable,
    keeping_mark,
)
from pfviz.mm.paths import map_pages
from pfviz.mm.paths.allocation import (
    folio_add_lru_vma,
    page_has_contents,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.anon_vma import vmf_anon_prepare
from pfviz.mm.paths.anonymous import add_new_anon_rmap, store_anon_pte
from pfviz.mm.paths.call_fault import ask_file, vmf_can_call_fault
from pfviz.mm.paths.file_page import (
    file_of,
    has_no_page,
    install_and_lock,
    map_folio,
    pte_free_prealloc,
    unlock_folio,
    with_prealloc,
)
from pfviz.mm.paths.outcome import VM_FAULT_NOPAGE, VM_FAULT_RETRY, VM_FAULT_SIGBUS
from pfviz.mm.paths.pte_lock import pte_changed, pte_unmap_unlock
from pfviz.mm.paths.shared_write import do_shared_fault
from pfviz.mm.vma import VM_SHARED, VM_UFFD_MINOR, VM_UFFD_WP
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c", cost="vma_check")
def do_fault(engine: Mm, thread: Thread) -> Step:
    """No page is mapped here and the VMA has a file: which kind of access is it?"""
    fault = thread.in_flight
    assert fault.vma is not None
    driver = file_of(thread).driver
    if driver is not None:
        fault.kind = fault.kind or ("dax" if driver.is_dax else "driver")
        if driver.at_mmap:  # It has no fault handler: what it did not map is not there.
            fault.result |= VM_FAULT_SIGBUS
            return thread.back()
    if not fault.write:
        fault.kind = fault.kind or "file_read_hit"
        policy = engine.world.policy
        # A monitor wants to be asked for each page (uffd_disable_fault_around).
        around = policy.fault_around_pages > 1 and not fault.vma.vm_flags & (
            VM_UFFD_WP | VM_UFFD_MINOR
        )
        if around and (driver is None or driver.map_pages or policy.driver_map_pages):
            return should_fault_around
        return do_read_fault
    # What a driver maps cannot be copied: its mappings are shared, or never written.
    is_shared = fault.vma.vm_flags & VM_SHARED or driver is not None
    return do_shared_fault if is_shared else do_cow_fault


# Read


@step("mm/memory.c", cost="vma_check", function="do_read_fault")
def should_fault_around(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """A read: try to map all cached pages around the address in one go first."""
    thread.returns.append(fault_around_tried)
    return with_prealloc(thread, map_pages.do_fault_around)


@step("mm/memory.c", cost="vma_check", function="do_read_fault")
def fault_around_tried(engine: Mm, thread: Thread) -> Step:
    """See whether the page asked for was among those mapped; if not, the file has to be asked."""
    if thread.in_flight.result & VM_FAULT_NOPAGE:
        pte_free_prealloc(engine, thread)
        return thread.back()
    return do_read_fault


@step("mm/memory.c", cost="vma_check")
def do_read_fault(engine: Mm, thread: Thread) -> Step:
    """Ask the file for the page, if the lock held allows that: it may have to sleep."""
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        return refused
    thread.returns.append(page_for_read)
    return with_prealloc(thread, ask_file(thread))


@step("mm/memory.c", cost="vma_check", function="do_read_fault")
def page_for_read(engine: Mm, thread: Thread) -> Step:
    """See what the file answered: its page, locked, or that the fault must start again or fail."""
    if has_no_page(engine, thread):
        return thread.back()
    return install_and_lock(engine, thread, then=finish_fault)


@step("mm/memory.c", cost="map")
def finish_fault(engine: Mm, thread: Thread) -> Step:
    """Map the file's page unless another thread mapped something here meanwhile."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        flags = keeping_mark(fault.orig_pte, PRESENT | ACCESSED | FILE)
        map_folio(engine, thread, table, fault.address, fault.folio, flags)
    return thread.call(pte_unmap_unlock, then=unlock_folio)


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
    """Get the private page before the file is asked, unless the anon_vma could not be had."""
    if thread.in_flight.result & VM_FAULT_RETRY:
        return thread.back()
    return thread.call(vma_alloc_folio, then=read_for_copy)


@step("mm/memory.c", cost="vma_check", function="__do_fault")
def read_for_copy(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Ask the file for the page to be copied."""
    thread.returns.append(page_for_copy)
    return with_prealloc(thread, ask_file(thread))


@step("mm/memory.c", cost="vma_check", function="do_cow_fault")
def page_for_copy(engine: Mm, thread: Thread) -> Step:
    """See what the file answered: its page, locked, or that the fault must start again or fail."""
    if has_no_page(engine, thread):
        release_page(engine, thread)
        return thread.back()
    return copy_cow_page


@step("mm/memory.c", cost="copy", function="do_cow_fault")
def copy_cow_page(engine: Mm, thread: Thread) -> Step:
    """Copy the file's page into the private one, with the file's page locked."""
    page_has_contents(engine, thread)
    return install_and_lock(engine, thread, then=finish_cow_fault)


@step("mm/memory.c", cost="pte_read", function="finish_fault")
def finish_cow_fault(engine: Mm, thread: Thread) -> Step:
    """See whether another thread mapped something here meanwhile: the loser gives its copy back."""
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
