"""Guard regions: entries that make a touch of them an error, put into page tables without a VMA.

Where a guard page used to be a VMA of its own (mmap_lock for writing, a split), it is now a marker
in an entry: mmap_lock for reading, since 7.2 the VMA lock alone if the VMA has its anon_vma.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.page_range import clear_pte, set_pte
from pfviz.mm.page_table import (
    GUARD,
    PAGE_SHIFT,
    TABLE_SPAN,
    PteTable,
    UpperTable,
)
from pfviz.mm.paths.anon_vma import anon_vma_prepare
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_next_table, walk_pages
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.zap import begin_zap, tlb_finish_mmu, unmap_vmas
from pfviz.mm.thread import PF_WRITE, Fault
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Guarding:
    """A range of one VMA that is to be guarded."""

    vma: Vma
    start: int
    end: int
    address: int
    """How far it is."""
    table: PteTable | None = None

    @property
    def stop(self) -> int:
        """Where the table of the next address ends, or the range."""
        return min(self.end, self.address // TABLE_SPAN * TABLE_SPAN + TABLE_SPAN)


def guard_install(thread: Thread, vma: Vma, start: int, end: int, then: Step) -> Step:
    """Put guard markers over a range of a VMA, then go on with `then`."""
    thread.advising = Guarding(vma, start, end, start)
    thread.returns.append(then)
    return madvise_guard_install


def guard_remove(thread: Thread, vma: Vma, start: int, end: int, then: Step) -> Step:
    """Take guard markers off a range of a VMA, then go on with `then`."""
    walk = PageWalk(vma.mm, start, end, guard_remove_pte_entry, of_vma=True)
    return walk_pages(thread, walk, then)


def _guarding(thread: Thread) -> Guarding:
    guarding = thread.advising
    assert isinstance(guarding, Guarding)
    return guarding


@step("mm/madvise.c (6.13+)", cost="vma_check")
def madvise_guard_install(engine: Mm, thread: Thread) -> Step:
    """The VMA gets an anon_vma first, so that fork copies its page tables with the markers."""
    vma = _guarding(thread).vma
    if vma.anon_vma is not None or not vma.is_anonymous:
        return guard_next_table
    thread.fault = Fault(
        id=0, address=vma.vm_start, write=True, error_code=PF_WRITE, begun_ns=engine.now_ns,
        user=False, vma=vma,
    )  # fmt: skip
    return thread.call(anon_vma_prepare, then=guard_prepared)


@step("mm/madvise.c (6.13+)", function="madvise_guard_install")
def guard_prepared(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The anon_vma is there."""
    thread.fault = None
    return guard_next_table


@step("mm/pagewalk.c", cost="zap_empty_table", function="walk_page_range_mm")
def guard_next_table(engine: Mm, thread: Thread) -> Step:
    """Go to the next page table of the range; one that is missing is made."""
    guarding = _guarding(thread)
    if guarding.address >= guarding.end:
        return thread.back()
    tables = guarding.vma.mm.page_tables
    guarding.table = tables.walk(guarding.address)
    if guarding.table is not None:
        return map_and_lock(engine, thread, guarding.table, guard_install_set_pte)
    if tables.huge_at(guarding.address) is not None:
        return guard_zap
    if tables.missing_upper(guarding.address):
        return guard_alloc_upper
    return guard_alloc_table


@step("mm/memory.c", cost="page_table_alloc", function="__pmd_alloc")
def guard_alloc_upper(engine: Mm, thread: Thread) -> Step:
    """A page-table page above is missing: allocate it before taking its lock."""
    lock = _guarding(thread).vma.mm.page_tables.page_table_lock
    return spin_lock(engine, thread, lock, guard_upper_populate)


@step("mm/memory.c", cost="set_pte", function="__pmd_alloc")
def guard_upper_populate(engine: Mm, thread: Thread) -> Step:
    """Link the upper tables under page_table_lock, unless another thread was faster."""
    guarding = _guarding(thread)
    tables = guarding.vma.mm.page_tables
    if tables.missing_upper(guarding.address):
        tables.alloc_upper(engine, guarding.address)
    spin_unlock(engine, thread, tables.page_table_lock)
    return guard_next_table


@step("mm/memory.c", cost="page_table_alloc", function="__pte_alloc")
def guard_alloc_table(engine: Mm, thread: Thread) -> Step:
    """Allocate a page table, then lock the PMD that is to point to it."""
    return spin_lock(engine, thread, _pmd(_guarding(thread)).lock, guard_table_install)


@step("mm/memory.c", cost="set_pte", function="pmd_install")
def guard_table_install(engine: Mm, thread: Thread) -> Step:
    """Let the PMD point to the new table, unless another thread was faster."""
    guarding = _guarding(thread)
    tables = guarding.vma.mm.page_tables
    if tables.pmd_none(guarding.address):
        tables.table_for(engine, guarding.address)
    spin_unlock(engine, thread, _pmd(guarding).lock)
    return guard_next_table


def _pmd(guarding: Guarding) -> UpperTable:
    pmd = guarding.vma.mm.page_tables.pmd_table(guarding.address)
    assert pmd is not None
    return pmd


@step("mm/madvise.c (6.13+)", cost="zap_table")
def guard_install_set_pte(engine: Mm, thread: Thread) -> Step:
    """Mark every empty entry of this table; a page that is in the way has to go first."""
    guarding = _guarding(thread)
    table, tables = guarding.table, guarding.vma.mm.page_tables
    assert table is not None
    slots = table.slots(guarding.address, guarding.stop)
    if any(table.ptes[slot] not in (0, GUARD) for slot in slots):
        unlock_and_unmap(engine, thread, table)
        return guard_zap
    for slot in slots:
        if not table.ptes[slot]:
            set_pte(engine, tables, table, table.base + (slot << PAGE_SHIFT), GUARD)
            engine.cost("set_pte")
    return guard_unlock


@step("mm/pagewalk.c", function="pte_unmap_unlock")
def guard_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table."""
    guarding = _guarding(thread)
    assert guarding.table is not None
    unlock_and_unmap(engine, thread, guarding.table)
    guarding.address, guarding.table = guarding.stop, None
    return guard_next_table


@step("mm/memory.c", function="zap_page_range_single")
def guard_zap(engine: Mm, thread: Thread) -> Step:
    """Drop all pages of the range, flush, and begin again: somebody may touch one meanwhile."""
    guarding = _guarding(thread)
    guarding.address = guarding.start
    begin_zap(engine, thread, guarding.vma.mm, "madvise")
    thread.returns.append(guard_next_table)
    ranges = [(guarding.vma, guarding.start, guarding.end)]
    return unmap_vmas(thread, ranges, tlb_finish_mmu)


@step("mm/madvise.c (6.13+)", cost="zap_table")
def guard_remove_pte_entry(engine: Mm, thread: Thread) -> Step:
    """Clear the guard markers of this table; everything else stays."""
    walk = page_walk_of(thread)
    table = walk.locked
    for slot in table.slots(walk.address, walk.end):
        if table.ptes[slot] == GUARD:
            clear_pte(engine, walk.mm.page_tables, table, table.base + (slot << PAGE_SHIFT))
            engine.cost("set_pte")
    return walk_next_table
