"""NUMA balancing: entries are made inaccessible now and then, and a touch says who uses the page.

The scanner (task_numa_work) holds mmap_lock for reading; the fault (do_numa_page) moves the page to
the node of the CPU that touched it, or makes its entry accessible again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_trylock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SHIFT, NumaScan
from pfviz.mm.page_range import may_write_at_once, protect_numa_range, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    FILE,
    PFN_SHIFT,
    PRESENT,
    PROTNONE,
    SPECIAL,
    TABLE_SPAN,
    WRITABLE,
    PteTable,
)
from pfviz.mm.paths.allocation import release_page, vma_alloc_folio
from pfviz.mm.paths.migrate import Moving, isolate_at, migrate
from pfviz.mm.paths.pte_lock import (
    map_and_lock,
    pte_changed,
    pte_offset_map_lock,
    pte_unmap_unlock,
    unlock,
    unlock_and_unmap,
)
from pfviz.mm.paths.zap import begin_zap, tlb_finish
from pfviz.mm.vma import VM_SHARED, VM_WRITE
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


# The fault


@step("mm/memory.c", cost="vma_check")
def do_numa_page(engine: Mm, thread: Thread) -> Step:
    """The page is there, but its entry was made inaccessible to see who touches it."""
    fault = thread.in_flight
    fault.kind = fault.kind or "numa_hint"
    return pte_offset_map_lock(engine, thread, then=numa_migrate_check)


@step("mm/memory.c", cost="vma_check")
def numa_migrate_check(engine: Mm, thread: Thread) -> Step:
    """With the lock held: is the page on the node of this CPU? The VMA's policy has a say, too."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        return pte_unmap_unlock
    pfn, frames = fault.orig_pte >> PFN_SHIFT, engine.world.frames
    if fault.orig_pte & (FILE | SPECIAL) or frames.node_of(pfn) == engine.cpu.socket:
        return numa_rebuild_single_mapping
    found = isolate_at(engine, thread.mm, fault.address & ~0xFFF, pfn)
    if found is None:
        return numa_rebuild_single_mapping
    fault.scratch["misplaced"] = found
    return migrate_misplaced_folio


@step("mm/memory.c", cost="set_pte")
def numa_rebuild_single_mapping(engine: Mm, thread: Thread) -> Step:
    """Make the entry accessible again, as the VMA permits."""
    fault, frames = thread.in_flight, engine.world.frames
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        return pte_unmap_unlock
    pte = fault.orig_pte & ~PROTNONE | PRESENT | ACCESSED
    assert fault.vma is not None
    private = not fault.vma.vm_flags & VM_SHARED
    if fault.vma.vm_flags & VM_WRITE and may_write_at_once(frames, pte, private):
        pte |= WRITABLE
    set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    return pte_unmap_unlock


@step("mm/migrate.c", cost="lru_isolate")
def migrate_misplaced_folio(engine: Mm, thread: Thread) -> Step:
    """Take the page off its LRU list, let go of the page table and get a page on this node."""
    unlock(engine, thread)
    return thread.call(vma_alloc_folio, then=alloc_misplaced_dst_folio)


@step("mm/migrate.c", cost="vma_check")
def alloc_misplaced_dst_folio(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The page of this node is there: move the contents; other faults wait for that."""
    fault = thread.in_flight
    moving = Moving([fault.scratch.pop("misplaced")], target=fault.page)
    return migrate(thread, moving, then=numa_migrated)


@step("mm/memory.c", cost="vma_check", function="do_numa_page")
def numa_migrated(engine: Mm, thread: Thread) -> Step:
    """If the page could not be moved, its entry is to be made accessible where it is."""
    moving: Moving = thread.moving
    thread.moving = None
    if moving.moved:
        thread.in_flight.page = None
        engine.world.count("numa_pages_migrated")
        return thread.back()
    release_page(engine, thread)
    return pte_offset_map_lock(engine, thread, then=numa_rebuild_single_mapping)


# The scanner


@dataclass(slots=True, eq=False)
class NumaScanCall:
    """One scan on its way."""

    address: int
    end: int
    table: PteTable | None = None


@step("kernel/sched/fair.c", cost="munmap_checks")
def task_numa_work(engine: Mm, thread: Thread) -> Step:
    """Before it returns to user mode, a thread scans its memory if mmap_lock can be had at once."""
    operation = thread.operation
    assert isinstance(operation, NumaScan)
    start = thread.resolve(operation.place)
    if start is None or not mmap_read_trylock(engine, thread, thread.mm):
        return thread.back()
    thread.sys = NumaScanCall(start, start + (operation.pages << PAGE_SHIFT))
    begin_zap(engine, thread, thread.mm, "numa hints")
    return change_prot_numa


@step("mm/mempolicy.c", cost="protect_table")
def change_prot_numa(engine: Mm, thread: Thread) -> Step:
    """Go down to the next page table of the range and take its lock."""
    call = thread.sys
    assert isinstance(call, NumaScanCall)
    table = None
    if call.address < call.end:
        table = thread.mm.page_tables.next_table(call.address, call.end)
    if table is None:
        return tlb_finish(thread, task_numa_work_done)
    call.table = table
    return map_and_lock(engine, thread, table, change_pte_numa)


@step("mm/mprotect.c", cost="protect_table", function="change_pte_range")
def change_pte_numa(engine: Mm, thread: Thread) -> Step:
    """Make the entries of this table inaccessible: the next touch of each page is a fault."""
    call = thread.sys
    assert isinstance(call, NumaScanCall)
    table = call.table
    assert table is not None
    gather, tables = thread.zap.gather, thread.mm.page_tables
    changed = protect_numa_range(engine, tables, table, call.address, call.end)
    engine.charge(changed * engine.machine.costs["protect_pte"])
    if changed:
        gather.pages += changed
        gather.add_range(max(call.address, table.base), min(call.end, table.base + TABLE_SPAN))
    unlock_and_unmap(engine, thread, table)
    thread.op_result += changed
    call.address = table.base + TABLE_SPAN
    call.table = None
    return change_prot_numa


@step("kernel/sched/fair.c", function="task_numa_work")
def task_numa_work_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back."""
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()
