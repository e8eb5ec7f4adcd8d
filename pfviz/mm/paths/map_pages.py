"""Fault-around: map every cached, unlocked page in a window around the address under one lock.

filemap_map_pages never sleeps: pages that are locked, not up to date or marked for readahead are
skipped. When the page asked for was among them, the fault is over (NOPAGE).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_cache import Folio
from pfviz.mm.page_range import count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    FILE,
    FLAG_PREFAULTED,
    PAGE_SIZE,
    PRESENT,
    PteTable,
    pte_of,
)
from pfviz.mm.paths.driver_map_pages import map_pages_of_driver
from pfviz.mm.paths.file_page import file_of, install_and_lock, window
from pfviz.mm.paths.outcome import VM_FAULT_NOPAGE
from pfviz.mm.paths.pte_lock import pte_map, pte_unmap, pte_unmap_unlock
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c", cost="vma_check")
def do_fault_around(engine: Mm, thread: Thread) -> Step:
    """Choose the window of pages around the address that are worth mapping with it."""
    pte_map(engine, thread)  # Only so may the PMD be read, too.
    if file_of(thread).driver is not None:
        return map_pages_of_driver(engine, thread)
    return filemap_map_pages


@step("mm/filemap.c", cost="page_cache_lookup")
def filemap_map_pages(engine: Mm, thread: Thread) -> Step:
    """Look for the first page of the window that can be mapped without waiting."""
    engine.world.rcu.read_lock(engine, thread)
    fault = thread.in_flight
    start, end = _window(engine, thread)
    address = start
    while address < end and usable(engine, thread, address) is None:
        address += PAGE_SIZE
    if address >= end:
        return fault_around_done(engine, thread)
    fault.scratch["from"] = address
    return install_and_lock(engine, thread, then=set_pte_range)


@step("mm/filemap.c", cost="set_pte")
def set_pte_range(engine: Mm, thread: Thread) -> Step:
    """Map the usable pages of the window in one go; entries that exist are left alone."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    _, end = _window(engine, thread)
    first = fault.scratch.pop("from")
    if table is not None:
        mapped = map_window(engine, thread, table, first, end)
        if mapped or table.read(fault.address):
            fault.result |= VM_FAULT_NOPAGE
    return thread.call(pte_unmap_unlock, then=fault_around_done)


@step("mm/memory.c", function="do_fault_around")
def fault_around_done(engine: Mm, thread: Thread) -> Step:
    """Leave the RCU section of the page-cache walk."""
    engine.world.rcu.read_unlock(engine, thread)
    pte_unmap(engine, thread)
    return thread.back()


def map_window(engine: Mm, thread: Thread, table: PteTable, start: int, end: int) -> bool:
    """Map what can be mapped in [start, end); whether the fault's own page was among it."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    page = fault.address & -PAGE_SIZE
    done = False
    mapped = 0
    for address in range(start, end, PAGE_SIZE):
        if table.read(address):
            continue
        folio = usable(engine, thread, address)
        if folio is None:
            continue
        # Reference, trylock, map count and unlock are atomics on the page's own line.
        folio.line.write(engine)
        engine.cost("map_page")
        folio.mapcount += 1
        folio.refcount += 1
        mapped += 1
        flags = PRESENT | FILE | (ACCESSED if address == page else 0)
        around = 0 if address == page else FLAG_PREFAULTED
        set_pte(engine, page_tables, table, address, pte_of(folio.pfn, flags), around)
        done = done or address == page
    count_rss(engine, page_tables, file=mapped)
    return done


def usable(engine: Mm, thread: Thread, address: int) -> Folio | None:
    """The folio behind an address if it can be mapped right now."""
    vma = thread.in_flight.vma
    assert vma is not None
    assert vma.vm_file is not None
    folio = vma.vm_file.folio(engine, vma.page_index(address))
    if folio is None or not folio.uptodate or folio.locked_by != -1:
        return None
    return None if folio.readahead else folio


def _window(engine: Mm, thread: Thread) -> tuple[int, int]:
    fault = thread.in_flight
    assert fault.vma is not None
    return window(fault.address, fault.vma, engine.world.policy.fault_around_pages)
