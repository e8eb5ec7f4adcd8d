"""mmap of a device whose driver fills the page tables at once (remap_pfn_range): no faults later.

Nobody can find the new VMA yet, and mmap_lock is held for writing. `thread.remap` remembers it
until the tree shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.page_range import log_set
from pfviz.mm.page_table import (
    DIRTY,
    FILE,
    FLAG_PREFAULTED,
    PAGE_SIZE,
    PRESENT,
    SPECIAL,
    TABLE_SPAN,
    WRITABLE,
    PageTable,
    PteTable,
    pte_of,
)
from pfviz.mm.paths.driver import pfn_in
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Remap:
    """The filling of a new VMA on its way."""

    vma: Vma
    address: int
    table: PteTable | None = None


def call_mmap(thread: Thread, vma: Vma, then: Step) -> Step:
    """Let the driver see to its new VMA, then go on with `then`."""
    assert vma.vm_file is not None
    driver = vma.vm_file.driver
    if driver is None or not driver.at_mmap:
        return then
    thread.remap = Remap(vma, vma.vm_start)
    return thread.call(mmap_mem, then)


def fill_at_once(engine: Mm, page_tables: PageTable, vma: Vma) -> None:
    """Fill the page tables as if the driver had done so long ago; for set-up only, no cost."""
    for base in range(vma.vm_start // TABLE_SPAN * TABLE_SPAN, vma.vm_end, TABLE_SPAN):
        table = page_tables.table_for(engine, base)
        _fill(engine, page_tables, table, vma)


def _fill(engine: Mm, page_tables: PageTable, table: PteTable, vma: Vma) -> int:
    start, end = max(vma.vm_start, table.base), min(vma.vm_end, table.base + TABLE_SPAN)
    flags = PRESENT | FILE | SPECIAL | (WRITABLE | DIRTY if vma.vm_flags & VM_WRITE else 0)
    slots = table.slots(start, end)
    for slot in slots:
        address = table.base + slot * PAGE_SIZE
        table.ptes[slot] = pte_of(pfn_in(vma, address), flags)
    table.occupied += len(slots)
    log_set(engine, page_tables, table, slots.start, slots.stop, FLAG_PREFAULTED)
    return len(slots)


def _remap(thread: Thread) -> Remap:
    remap = thread.remap
    assert isinstance(remap, Remap)
    return remap


@step("drivers/char/mem.c", cost="mmap_checks")
def mmap_mem(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The driver is told of the new mapping, and chooses to map everything at once."""
    return remap_pfn_range


@step("mm/memory.c", cost="vma_check")
def remap_pfn_range(engine: Mm, thread: Thread) -> Step:
    """Mark the VMA as one of page frames without struct page, write-locked if it has a lock."""
    return vma_start_write(engine, thread, _remap(thread).vma, remap_pfn_range_internal)


@step("mm/memory.c", cost="vma_check")
def remap_pfn_range_internal(engine: Mm, thread: Thread) -> Step:
    """Find the next page table, or make it, and lock it; when all are filled, go back."""
    remap = _remap(thread)
    if remap.address >= remap.vma.vm_end:
        return thread.back()
    tables = thread.mm.page_tables
    if tables.walk(remap.address) is None:
        engine.cost("page_table_alloc")
    remap.table = tables.table_for(engine, remap.address)
    return map_and_lock(engine, thread, remap.table, then=remap_pte_range)


@step("mm/memory.c", cost="vma_check", function="remap_pfn_range_internal")
def remap_pte_range(engine: Mm, thread: Thread) -> Step:
    """Let the entries of this table point to the device's page frames."""
    remap = _remap(thread)
    table, vma = remap.table, remap.vma
    assert table is not None
    pages = _fill(engine, thread.mm.page_tables, table, vma)
    engine.charge(pages * engine.machine.costs["set_pte"])
    remap.address = table.base + TABLE_SPAN
    return remap_unlock


@step("mm/memory.c", function="remap_pfn_range_internal")
def remap_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table."""
    remap = _remap(thread)
    assert remap.table is not None
    unlock_and_unmap(engine, thread, remap.table)
    remap.table = None
    return remap_pfn_range_internal
