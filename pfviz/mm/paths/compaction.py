"""Compaction: pages are moved to other frames, with no lock of the process but its page tables'.

Who touches a page meanwhile meets a migration entry and waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.operations import PAGE_SHIFT, MigratePages
from pfviz.mm.paths.migrate import Moving, isolate, migrate
from pfviz.mm.paths.reclaim import range_of
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class CompactCall:
    """One compaction on its way."""

    mm: AddressSpace
    address: int
    end: int
    moved: int = 0


def _call(thread: Thread) -> CompactCall:
    call = thread.sys
    assert isinstance(call, CompactCall)
    return call


@step("mm/compaction.c", cost="munmap_checks")
def compact_zone(engine: Mm, thread: Thread) -> Step:
    """Memory is in pieces: choose pages that are in the way of a larger one."""
    operation = thread.operation
    assert isinstance(operation, MigratePages)
    mm, start = range_of(engine, thread, operation.place, operation.mm)
    thread.sys = CompactCall(mm, start, start + (operation.pages << PAGE_SHIFT))
    return _isolate(engine, thread)


def _isolate(engine: Mm, thread: Thread) -> Step:
    zone = engine.world.frames.zone_of(engine.cpu)
    return spin_lock(engine, thread, zone.lru_lock, then=isolate_migratepages_block)


@step("mm/compaction.c", cost="lru_drain")
def isolate_migratepages_block(engine: Mm, thread: Thread) -> Step:
    """Take up to 32 pages off the LRU list, under lru_lock."""
    call = _call(thread)
    taken, call.address = isolate(engine, call.mm, call.address, call.end)
    engine.charge(len(taken) * engine.machine.costs["lru_isolate"])
    spin_unlock(engine, thread, engine.world.frames.zone_of(engine.cpu).lru_lock)
    return migrate(thread, Moving(taken), then=compact_next)


@step("mm/compaction.c", cost="cond_resched", function="compact_zone")
def compact_next(engine: Mm, thread: Thread) -> Step:
    """Are there more pages to be moved?"""
    call = _call(thread)
    call.moved += thread.moving.moved
    thread.moving = None
    if call.address < call.end:
        return _isolate(engine, thread)
    thread.op_result = call.moved
    return thread.back()
