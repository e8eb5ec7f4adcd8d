"""What all faults in files do alike: where is the page table, map the page, unlock it.

A missing PTE table is allocated before anything is locked and installed only when there is
something to map; what becomes of the page is the business of `file` and `shared_write`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_cache import File, Folio, folio_unlock
from pfviz.mm.page_range import count_rss, set_pte
from pfviz.mm.page_table import PAGE_SHIFT, TABLE_SPAN, PteTable, pte_of
from pfviz.mm.paths.outcome import VM_FAULT_ERROR, VM_FAULT_LOCKED, VM_FAULT_NOPAGE, VM_FAULT_RETRY
from pfviz.mm.paths.pte_lock import pte_offset_map_lock
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm


def file_of(thread: Thread) -> File:
    """The file that the fault's VMA maps."""
    vma = thread.in_flight.vma
    assert vma is not None
    assert vma.vm_file is not None
    return vma.vm_file


def has_no_page(engine: Mm, thread: Thread) -> bool:
    """Whether the file gave no page (RETRY, NOPAGE, an error); a table got ready is then freed."""
    if not thread.in_flight.result & (VM_FAULT_RETRY | VM_FAULT_ERROR | VM_FAULT_NOPAGE):
        return False
    pte_free_prealloc(engine, thread)
    return True


# The page table


def with_prealloc(thread: Thread, then: Step) -> Step:
    """Go on with `then`, with a page for the PTE table at hand if there is no table yet."""
    fault = thread.in_flight
    if "table" in fault.scratch or thread.mm.page_tables.walk(fault.address) is not None:
        return then
    return thread.call(pte_alloc_one, then)


@step("arch/x86/mm/pgtable.c", cost="page_table_alloc")
def pte_alloc_one(engine: Mm, thread: Thread) -> Step:
    """There is no page table here yet: get a page for one ready, and install it only if needed."""
    fault = thread.in_flight
    fault.scratch["table"] = thread.mm.page_tables.new_table(engine, fault.address)
    return thread.back()


def pte_free_prealloc(engine: Mm, thread: Thread) -> None:
    """Free the page for a PTE table that was not needed after all (the end of do_fault)."""
    if thread.in_flight.scratch.pop("table", None) is not None:
        engine.cost("page_free")


def install_and_lock(engine: Mm, thread: Thread, then: Step) -> Step:
    """Lock the PTE table, after installing the one at hand if there is none, then `then`."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    if page_tables.walk(fault.address) is not None or "table" not in fault.scratch:
        pte_free_prealloc(engine, thread)
        return pte_offset_map_lock(engine, thread, then)
    pmd = page_tables.pmd_table(fault.address)
    assert pmd is not None
    thread.returns.append(then)
    return spin_lock(engine, thread, pmd.lock, then=pmd_install)


@step("mm/memory.c", cost="set_pte")
def pmd_install(engine: Mm, thread: Thread) -> Step:
    """Let the PMD point to the new table, unless another thread was faster; then lock the table."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    pmd = page_tables.pmd_table(fault.address)
    assert pmd is not None
    if page_tables.pmd_none(fault.address):
        page_tables.link_table(engine, fault.scratch.pop("table"))
    spin_unlock(engine, thread, pmd.lock)
    pte_free_prealloc(engine, thread)
    return pte_offset_map_lock(engine, thread, then=thread.back())


# The page


def window(address: int, vma: Vma, pages: int) -> tuple[int, int]:
    """The range of addresses to map: aligned, inside the VMA and inside one PTE table."""
    span = pages << PAGE_SHIFT
    start = address // span * span
    base = address // TABLE_SPAN * TABLE_SPAN
    return max(start, vma.vm_start, base), min(start + span, vma.vm_end, base + TABLE_SPAN)


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


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
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
