"""The second half of a lockless fault: validate again, lock the page table by trylock, commit.

The order is the point. Any later writer makes the sequence odd before it takes this page-table
lock: with the sequence unchanged and the lock held, the writer's zap comes after the unlock and
sees the new entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.frames import ZERO_PFN
from pfviz.mm.page_range import clear_pte, count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PAGE_SIZE,
    PRESENT,
    SPECIAL,
    WRITABLE,
    PteTable,
    pfn_of,
    pte_of,
)
from pfviz.mm.paths import attempt as lockless_attempt
from pfviz.mm.paths.allocation import folio_add_lru_vma
from pfviz.mm.paths.anonymous import add_new_anon_rmap, store_anon_pte
from pfviz.mm.paths.attempt import (
    attempt_of,
    check_writers,
    give_up,
    let_go,
    sequence_holds,
    table_holds,
    walk_begin,
    walk_end,
)
from pfviz.mm.paths.file_page import window
from pfviz.mm.paths.map_pages import map_window
from pfviz.mm.tlb import flush_tlb_range
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_trylock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c (lockless model)", cost="vma_check", function="pte_map_lock")
def reenter(engine: Mm, thread: Thread) -> Step:
    """Keep page tables from being freed again, and see that no writer came in (SEQ1)."""
    walk_begin(engine, thread)
    if not sequence_holds(engine, thread):
        return give_up(engine, thread, lockless_attempt.SEQ1)
    if not table_holds(thread):
        return give_up(engine, thread, lockless_attempt.TABLE_REPLACED)
    return trylock_table


@step("mm/memory.c (lockless model)", function="pte_map_lock")
def trylock_table(engine: Mm, thread: Thread) -> Step:
    """Try the page-table lock: its holder may be waiting for this very CPU, so never spin."""
    if not spin_trylock(engine, thread, thread.in_flight.pmd.ptl):
        return give_up(engine, thread, lockless_attempt.PTL_BUSY)
    attempt_of(thread).has_ptl = True
    return recheck_sequence


@step("mm/memory.c (lockless model)", cost="vma_check", function="pte_map_lock")
def recheck_sequence(engine: Mm, thread: Thread) -> Step:
    """With the lock held compare the sequence once more (SEQ2): writers that come now must wait."""
    if not sequence_holds(engine, thread):
        return give_up(engine, thread, lockless_attempt.SEQ2)
    if not table_holds(thread):
        return give_up(engine, thread, lockless_attempt.TABLE_REPLACED)
    check_writers(thread)
    if engine.world.watch is not None:
        engine.world.watch.lockless_commits(engine, thread, attempt_of(thread).vma)
    walk_end(engine, thread)
    return recheck_pte


@step("mm/memory.c (lockless model)", cost="pte_read", function="pte_same")
def recheck_pte(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """See whether another thread was faster: then its page stays, and this one is discarded."""
    fault = thread.in_flight
    if fault.pmd.read(fault.address) != fault.orig_pte:
        return lockless_unlock
    match fault.kind:
        case "anon_write":
            return commit_rmap
        case "zero_page_cow" | "cow_after_fork" | "file_cow":
            return commit_flush if fault.orig_pte else commit_rmap
        case "file_read_hit":
            return commit_file_pages
    return commit_pte


# Commit, with the PTL held


@step("mm/memory.c (lockless model)", cost="set_pte", function="set_pte_at")
def commit_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry: the zero page for a read, or the right to write a page that is here."""
    fault = thread.in_flight
    table: PteTable = fault.pmd
    if fault.kind == "anon_read_zero":
        pte = pte_of(ZERO_PFN, PRESENT | ACCESSED | SPECIAL)
    elif fault.orig_pte:
        if fault.kind == "anon_reuse" and not _take_over(engine, thread):
            return lockless_unlock  # Shared again: the access faults once more.
        pte = fault.orig_pte | WRITABLE | DIRTY | ACCESSED
    else:  # a shared page of a file that asks for nothing (tmpfs)
        folio = fault.folio
        folio.mapcount += 1
        folio.refcount += 1
        folio.dirty = True
        count_rss(engine, thread.mm.page_tables, file=1)
        pte = pte_of(folio.pfn, PRESENT | ACCESSED | FILE | WRITABLE | DIRTY)
    set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    return lockless_unlock


def _take_over(engine: Mm, thread: Thread) -> bool:
    """Make the page exclusive to this process if nobody else refers to it any more."""
    fault = thread.in_flight
    frames = engine.world.frames
    pfn = pfn_of(fault.orig_pte)
    if not frames.is_exclusive(pfn):
        if frames.refcount[pfn] != 1:
            return False
        assert fault.vma is not None
        frames.reuse(pfn, fault.vma.anon_vma.id if fault.vma.anon_vma else 0)
    return True


@step("mm/filemap.c", cost="set_pte", function="filemap_map_pages")
def commit_file_pages(engine: Mm, thread: Thread) -> Step:
    """Map the cached pages around the address, as fault-around does."""
    fault = thread.in_flight
    assert fault.vma is not None
    pages = engine.world.policy.fault_around_pages
    start, end = window(fault.address, fault.vma, pages)
    map_window(engine, thread, fault.pmd, start, end)
    return lockless_unlock


@step("mm/pgtable-generic.c", cost="set_pte", function="ptep_clear_flush")
def commit_flush(engine: Mm, thread: Thread) -> Step:
    """Clear the old entry and flush it from every TLB while the lock keeps others out."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    old = clear_pte(engine, page_tables, fault.pmd, fault.address)
    if not old & SPECIAL:
        gone = (0, -1) if old & FILE else (-1, 0)
        count_rss(engine, page_tables, *gone)
    start = fault.address & -PAGE_SIZE
    return flush_tlb_range(
        engine, thread, page_tables, start, start + PAGE_SIZE, commit_rmap, "copy on write"
    )


@step("mm/rmap.c", cost="map", function="folio_add_new_anon_rmap")
def commit_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the page and point it at the anon_vma, which the sequence proved to be in place."""
    add_new_anon_rmap(engine, thread)
    return thread.call(folio_add_lru_vma, then=commit_anon_pte)


@step("mm/memory.c (lockless model)", cost="set_pte", function="set_pte_at")
def commit_anon_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry of the new page; the old page, if any, loses this mapping afterwards."""
    fault = thread.in_flight
    assert fault.vma is not None
    store_anon_pte(engine, thread, fault.vma.vm_flags)
    if fault.orig_pte and not fault.orig_pte & SPECIAL:
        old = fault.folio.pfn if fault.orig_pte & FILE else fault.old_page
        engine.world.frames.unmap(old)
    return lockless_unlock


@step("mm/memory.c (lockless model)", function="pte_unmap_unlock")
def lockless_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the page-table lock and the read section: the fault is done."""
    return let_go(engine, thread)
