"""Reading maps, smaps and numa_maps of a process: what a monitor holds, and for how long.

A read() returns one buffer (seq_file), so a long file takes many; the lock is held from m_start to
m_stop of each. Since 6.17 maps, since 7.2 the other two lock one VMA at a time under RCU instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.paths.lock_vma import lock_next
from pfviz.mm.paths.page_walk import (
    PageWalk,
    page_walk_of,
    walk_huge,
    walk_huge_pmd,
    walk_next_table,
    walk_pages,
)
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import vma_end_read
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

PER_READ: Final = {"maps": 77, "smaps": 5, "numa_maps": 168}
"""VMAs that fit into one buffer: 1,005 VMAs took 13, 205 and 6 reads on 6.18."""


@dataclass(slots=True, eq=False)
class ReadCall:
    """One file of /proc/PID on its way to a reader."""

    mm: AddressSpace
    file: str
    under_vma_lock: bool = False
    position: int = 0
    """Where the last VMA shown ended: a merge cannot make it appear twice."""
    shown: int = 0
    """VMAs in the buffer."""
    vma: Vma | None = None
    resident: int = 0
    reads: int = 0


def call_of(thread: Thread) -> ReadCall:
    """The file that a thread reads."""
    call = thread.sys
    assert isinstance(call, ReadCall)
    return call


def begin(engine: Mm, thread: Thread, mm: AddressSpace, file: str) -> Step:
    """Begin to read a file that lists VMAs, with the lock that this kernel takes for it."""
    kernel = engine.world.preset
    lock = {"maps": kernel.maps_lock, "smaps": kernel.smaps_lock}.get(file, kernel.numa_maps_lock)
    thread.sys = ReadCall(mm, file, engine.world.has_vma_lock and lock == "vma_lock")
    return m_start


@step("fs/proc/task_mmu.c", cost="read_chunk")
def m_start(engine: Mm, thread: Thread) -> Step:
    """Begin a buffer: lock the whole address space for reading, or only enter RCU (6.17+)."""
    call = call_of(thread)
    call.shown = 0
    call.reads += 1
    if call.under_vma_lock:
        engine.world.rcu.read_lock(engine, thread)
        return proc_get_next_vma
    return mmap_read_lock(engine, thread, call.mm, proc_get_vma)


@step("fs/proc/task_mmu.c (6.17+)", function="proc_get_vma")
def proc_get_next_vma(engine: Mm, thread: Thread) -> Step:
    """Ask for the next VMA: it is looked up and locked for reading by itself."""
    call = call_of(thread)
    return lock_next(engine, thread, call.mm, call.position, proc_got_vma)


@step("fs/proc/task_mmu.c (6.17+)", function="proc_get_vma")
def proc_got_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The next VMA is locked for reading (or there is none)."""
    call = call_of(thread)
    call.vma = thread.vma
    return _show_or_stop(call)


@step("fs/proc/task_mmu.c", cost="find_vma")
def proc_get_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA of the file."""
    call = call_of(thread)
    call.vma = call.mm.tree.next_at(engine, call.position)
    return _show_or_stop(call)


def _show_or_stop(call: ReadCall) -> Step:
    if call.vma is None:
        return m_stop
    return {"maps": show_map, "smaps": show_smap}.get(call.file, show_numa_map)


# One VMA


@step("fs/proc/task_mmu.c", cost="show_map")
def show_map(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Write the line of this VMA into the buffer."""
    return m_next


@step("fs/proc/task_mmu.c", cost="vma_check")
def show_smap(engine: Mm, thread: Thread) -> Step:
    """Before the block of this VMA can be written its resident pages must be counted."""
    _leave_rcu(engine, thread)
    return gather_stats(thread, smaps_pte_range, show_map_vma)


@step("fs/proc/task_mmu.c", cost="vma_check")
def show_numa_map(engine: Mm, thread: Thread) -> Step:
    """Before the line of this VMA can be written its pages must be counted, node by node."""
    _leave_rcu(engine, thread)
    return gather_stats(thread, gather_pte_stats, numa_map_shown)


def _leave_rcu(engine: Mm, thread: Thread) -> None:
    """The walk may sleep, and the VMA's lock is enough to keep its page tables (7.2)."""
    if call_of(thread).under_vma_lock:
        engine.world.rcu.read_unlock(engine, thread)


def _enter_rcu(engine: Mm, thread: Thread) -> None:
    if call_of(thread).under_vma_lock:
        engine.world.rcu.read_lock(engine, thread)


def gather_stats(thread: Thread, pte_step: Step, then: Step) -> Step:
    """Count the pages of the VMA in work, then go on with `then`."""
    call = call_of(thread)
    vma = call.vma
    assert vma is not None
    huge_step = smaps_pmd_entry if pte_step is smaps_pte_range else walk_huge_pmd
    walk = PageWalk(call.mm, vma.vm_start, vma.vm_end, pte_step, huge_step, of_vma=True)
    return walk_pages(thread, walk, then)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def smaps_pte_range(engine: Mm, thread: Thread) -> Step:
    """Look at every entry of this page table: up to 512 pages, 48.5 ns each."""
    return _count(engine, thread)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def smaps_pmd_entry(engine: Mm, thread: Thread) -> Step:
    """A huge page: one entry under the PMD lock counts for 512 pages."""
    return walk_huge(engine, thread)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def gather_pte_stats(engine: Mm, thread: Thread) -> Step:
    """Look at every entry of this page table: on which node is its page?"""
    return _count(engine, thread)


def _count(engine: Mm, thread: Thread) -> Step:
    walk = page_walk_of(thread)
    entries = walk.locked.count(walk.address, walk.end)
    walk.found += entries - walk.locked.count_elsewhere(walk.address, walk.end)
    engine.charge(entries * engine.machine.costs["smaps_1000_ptes"] // 1000)
    return walk_next_table


@step("fs/proc/task_mmu.c", cost="show_smap")
def show_map_vma(engine: Mm, thread: Thread) -> Step:
    """Write the block of this VMA into the buffer."""
    call_of(thread).resident += page_walk_of(thread).found
    _enter_rcu(engine, thread)
    return m_next


@step("fs/proc/task_mmu.c", cost="show_map", function="show_numa_map")
def numa_map_shown(engine: Mm, thread: Thread) -> Step:
    """Write the line of this VMA into the buffer."""
    _enter_rcu(engine, thread)
    return m_next


# On to the next


@step("fs/proc/task_mmu.c")
def m_next(engine: Mm, thread: Thread) -> Step:
    """Go on with the next VMA, or end the buffer when it is full."""
    call = call_of(thread)
    vma = call.vma
    assert vma is not None
    call.position = vma.vm_end
    call.shown += 1
    if call.shown == PER_READ[call.file]:
        return m_stop
    if not call.under_vma_lock:
        return proc_get_vma
    vma_end_read(engine, thread, vma)
    call.vma = None
    return proc_get_next_vma


@step("fs/proc/task_mmu.c")
def m_stop(engine: Mm, thread: Thread) -> Step:
    """End the buffer: give the lock back; the reader copies what it got and reads on."""
    call = call_of(thread)
    is_last = call.vma is None
    if not call.under_vma_lock:
        mmap_read_unlock(engine, thread, call.mm)
    else:
        if call.vma is not None:
            vma_end_read(engine, thread, call.vma)
        engine.world.rcu.read_unlock(engine, thread)
    call.vma = None
    if not is_last:
        return m_start
    thread.op_result = call.reads
    return thread.back()
