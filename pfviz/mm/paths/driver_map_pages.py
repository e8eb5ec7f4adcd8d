"""A driver's map_pages: map what the device has ready, ahead of time, inside an RCU section.

No driver of Linux 7.2 has one; this is what the article asks for, and what goes wrong when it
sleeps. Entered by fault-around (`map_pages`); chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.driver import AHEAD, NOTHING
from pfviz.mm.page_table import FLAG_PREFAULTED, PAGE_SIZE, PteTable
from pfviz.mm.paths.driver import driver_of, is_ready, is_ready_at, set_pfn, wait_for_device
from pfviz.mm.paths.file_page import file_of, install_and_lock, window
from pfviz.mm.paths.outcome import VM_FAULT_NOPAGE
from pfviz.mm.paths.pte_lock import pte_unmap, pte_unmap_unlock
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

PROPOSED: Final = "drivers/ (proposed, none has it)"


def map_pages_of_driver(engine: Mm, thread: Thread) -> Step:
    """The first step of the driver's map_pages, in an RCU section."""
    engine.world.rcu.read_lock(engine, thread)
    file = file_of(thread)
    kind = driver_of(file).map_pages
    if engine.world.policy.driver_map_pages and kind in ("", NOTHING):
        kind = AHEAD
    if kind in ("", NOTHING):
        return map_pages_nothing
    return map_pages_ahead if kind == AHEAD else map_pages_sleeps


@step(PROPOSED, cost="vma_check", function="map_pages")
def map_pages_nothing(engine: Mm, thread: Thread) -> Step:
    """The driver's map_pages is there to opt in, and has nothing to map ahead."""
    return mapped_ahead(engine, thread)


@step(PROPOSED, cost="page_cache_lookup", function="map_pages")
def map_pages_ahead(engine: Mm, thread: Thread) -> Step:
    """The driver looks for pages that its device has ready; under RCU it may not wait for one."""
    if not is_ready(thread):
        return mapped_ahead(engine, thread)
    return install_and_lock(engine, thread, then=set_pfns_ahead)


@step(PROPOSED, cost="vma_check", function="map_pages")
def map_pages_sleeps(engine: Mm, thread: Thread) -> Step:
    """A map_pages that asks for the driver's lock: that may sleep, inside an RCU section."""
    lock = file_of(thread).device_lock
    assert lock is not None
    return down_write(engine, thread, lock, then=map_pages_locked)


@step(PROPOSED, cost="vma_check", function="map_pages")
def map_pages_locked(engine: Mm, thread: Thread) -> Step | None:
    """With the lock held it even waits for its device: no grace period ends before."""
    if is_ready(thread):
        return map_pages_slept(engine, thread)
    return wait_for_device(engine, thread, map_pages_slept)


@step(PROPOSED, cost="vma_check", function="map_pages")
def map_pages_slept(engine: Mm, thread: Thread) -> Step:
    """The device has answered, long after map_pages should have been over."""
    lock = file_of(thread).device_lock
    assert lock is not None
    up_write(engine, thread, lock)
    return install_and_lock(engine, thread, then=set_pfns_ahead)


@step(PROPOSED, cost="set_pte", function="map_pages")
def set_pfns_ahead(engine: Mm, thread: Thread) -> Step:
    """Map every page of the window that the device has ready, under one page-table lock."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    page = fault.address & -PAGE_SIZE
    assert fault.vma is not None
    if table is not None:
        start, end = window(fault.address, fault.vma, engine.world.policy.fault_around_pages)
        for address in range(start, end, PAGE_SIZE):
            if not table.read(address) and is_ready_at(thread, address):
                engine.cost("map_page")
                flags = 0 if address == page else FLAG_PREFAULTED
                set_pfn(engine, thread, table, address, flags)
        if table.read(fault.address):
            fault.result |= VM_FAULT_NOPAGE
    return thread.call(pte_unmap_unlock, then=mapped_ahead)


@step("mm/memory.c", function="do_fault_around")
def mapped_ahead(engine: Mm, thread: Thread) -> Step:
    """Leave the RCU section in which map_pages ran."""
    engine.world.rcu.read_unlock(engine, thread)
    pte_unmap(engine, thread)
    return thread.back()
