"""Mapping and locking a PTE table, in the course of a fault and elsewhere, and undoing both.

Since 6.5 RCU keeps the table's memory while it is mapped; its spinlock keeps others out, and the
PMD entry is compared once the lock is held: the table may have been taken out meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_table import PteTable
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def pte_offset_map_lock(engine: Mm, thread: Thread, then: Step) -> Step:
    """Lock the PTE table of the fault's address, then go on with `then`.

    `fault.pmd` is the locked table, or None (and nothing is locked) when there is none any more.
    """
    fault = thread.in_flight
    table = thread.mm.page_tables.walk(fault.address)
    fault.pmd = table
    if table is None:
        return then
    thread.returns.append(then)
    return map_and_lock(engine, thread, table, then=pte_locked)


def map_and_lock(engine: Mm, thread: Thread, table: PteTable, then: Step) -> Step:
    """Map a table that was found in the PMD and lock it, then go on with `then`."""
    pte_map(engine, thread)
    return spin_lock(engine, thread, table.ptl, then)


def unlock_and_unmap(engine: Mm, thread: Thread, table: PteTable) -> None:
    """Undo `map_and_lock`."""
    spin_unlock(engine, thread, table.ptl)
    pte_unmap(engine, thread)


def pte_map(engine: Mm, thread: Thread) -> None:
    """Map a page table to read its entries: since 6.5 in an RCU section."""
    if engine.world.preset.pte_map_may_fail:
        engine.world.rcu.read_lock(engine, thread)


def pte_unmap(engine: Mm, thread: Thread) -> None:
    """Undo `pte_map`."""
    if engine.world.preset.pte_map_may_fail:
        engine.world.rcu.read_unlock(engine, thread)


@step("mm/pgtable-generic.c", cost="pte_read", function="__pte_offset_map_lock")
def pte_locked(engine: Mm, thread: Thread) -> Step:
    """The page-table lock is held: see that the table is still the one the PMD points to."""
    fault = thread.in_flight
    table: PteTable = fault.pmd
    if not table.is_linked:
        unlock_and_unmap(engine, thread, table)
        fault.pmd = None
    return thread.back()


@step("mm/memory.c")
def pte_unmap_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the page-table lock, if the table was still there to be locked."""
    unlock(engine, thread)
    return thread.back()


def unlock(engine: Mm, thread: Thread) -> None:
    """Release the page-table lock if it is held."""
    table: PteTable | None = thread.in_flight.pmd
    if table is not None:
        unlock_and_unmap(engine, thread, table)


def pte_changed(thread: Thread, table: PteTable) -> bool:
    """Whether the entry is no longer what the fault saw (pte_same, vmf_pte_changed)."""
    fault = thread.in_flight
    return table.read(fault.address) != (fault.orig_pte if fault.orig_pte_valid else 0)
