"""MADV_PAGEOUT: the pages of a range of one VMA are swapped out now, table by table.

The caller holds what keeps the VMA (mmap_lock for reading). Pages that others map, too, are left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.frames import Frames
from pfviz.mm.page_table import FILE, OCCUPIED, PAGE_SHIFT, PFN_SHIFT, SPECIAL, TABLE_SPAN, PteTable
from pfviz.mm.paths.migrate import isolate_at
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.reclaim import Reclaiming, shrink_folio_list
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class PageOut(Reclaiming):
    """A range on its way out; what is reclaimed at once is one table's."""

    vma: Vma | None = None
    address: int = 0
    end: int = 0
    table: PteTable | None = None


def pageout_range(engine: Mm, thread: Thread, vma: Vma, start: int, end: int, then: Step) -> Step:
    """Swap out the pages of a range that lies in one VMA, then go on with `then`.

    `thread.moving.reclaimed` says how many were freed at once.
    """
    thread.moving = PageOut([], vma=vma, address=start, end=end)
    thread.returns.append(then)
    return _next_table(engine, thread)


def _call(thread: Thread) -> PageOut:
    call = thread.moving
    assert isinstance(call, PageOut)
    return call


def _next_table(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    call.table = None
    if call.address < call.end:
        call.table = vma.mm.page_tables.next_table(call.address, call.end)
    if call.table is None:
        return thread.back()
    return map_and_lock(engine, thread, call.table, madvise_cold_or_pageout_pte_range)


@step("mm/madvise.c", cost="zap_table")
def madvise_cold_or_pageout_pte_range(engine: Mm, thread: Thread) -> Step:
    """With the page table locked, take the pages of this process off their LRU list."""
    call = _call(thread)
    table, vma = call.table, call.vma
    assert table is not None
    assert vma is not None
    frames: Frames = engine.world.frames
    for slot in table.slots(call.address, call.end):
        pte = table.ptes[slot]
        pfn = pte >> PFN_SHIFT
        if not pte & OCCUPIED or pte & (FILE | SPECIAL) or frames.mapcount[pfn] != 1:
            continue
        found = isolate_at(engine, vma.mm, table.base + (slot << PAGE_SHIFT), pfn)
        if found is not None:
            call.todo.append(found)
    engine.charge(len(call.todo) * engine.machine.costs["lru_isolate"])
    unlock_and_unmap(engine, thread, table)
    call.address = table.base + TABLE_SPAN
    return thread.call(shrink_folio_list, then=reclaim_pages_done)


@step("mm/vmscan.c", cost="cond_resched", function="reclaim_pages")
def reclaim_pages_done(engine: Mm, thread: Thread) -> Step:
    """The pages of this table are dealt with: is there another one?"""
    return _next_table(engine, thread)
