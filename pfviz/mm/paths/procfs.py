"""Reading maps, smaps and smaps_rollup of a process: what a monitor holds, and for how long.

A read() returns one buffer (seq_file), so a long file takes many; maps and smaps hold their lock
from m_start to m_stop of each. Since 6.17 maps locks one VMA at a time. smaps walks page tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import mmap_lock_is_contended, mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import ReadProc
from pfviz.mm.page_table import TABLE_SPAN, HugePmd, PteTable
from pfviz.mm.paths.lock_vma import lock_next
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import vma_end_read
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

MAPS_PER_READ: Final = 77
SMAPS_PER_READ: Final = 5
"""VMAs that fit into one buffer: 1,005 VMAs took 13 reads of maps and 205 of smaps on 6.18."""


@dataclass(slots=True, eq=False)
class ReadCall:
    """One file of /proc/PID on its way to a reader."""

    mm: AddressSpace
    file: str
    under_vma_lock: bool
    position: int = 0
    """Where the last VMA shown ended: a merge cannot make it appear twice."""
    shown: int = 0
    """VMAs in the buffer."""
    vma: Vma | None = None
    address: int = 0
    table: PteTable | None = None
    huge: HugePmd | None = None
    resident: int = 0
    reads: int = 0


def _call(thread: Thread) -> ReadCall:
    call = thread.sys
    assert isinstance(call, ReadCall)
    return call


@step("fs/seq_file.c", cost="munmap_checks", function="seq_read_iter")
def read_proc(engine: Mm, thread: Thread) -> Step:
    """Open the file: which process, and which lock does this kernel take for it?"""
    operation = thread.operation
    assert isinstance(operation, ReadProc)
    world = engine.world
    mm = world.mm_named(operation.mm) if operation.mm else thread.mm
    kernel = world.preset
    lock = {"maps": kernel.maps_lock, "smaps": kernel.smaps_lock}.get(
        operation.file, kernel.smaps_rollup_lock
    )
    thread.sys = ReadCall(mm, operation.file, world.has_vma_lock and lock == "vma_lock")
    return m_start


@step("fs/proc/task_mmu.c", cost="read_chunk")
def m_start(engine: Mm, thread: Thread) -> Step:
    """Begin a buffer: lock the whole address space for reading, or only the next VMA."""
    call = _call(thread)
    call.shown = 0
    call.reads += 1
    if call.under_vma_lock:
        engine.world.rcu.read_lock(engine, thread)  # Until m_stop: no VMA met on the way is freed.
        return proc_get_next_vma
    return mmap_read_lock(engine, thread, call.mm, proc_get_vma)


@step("fs/proc/task_mmu.c (6.17+)", function="proc_get_vma")
def proc_get_next_vma(engine: Mm, thread: Thread) -> Step:
    """Lock the next VMA of the file, and no other."""
    call = _call(thread)
    return lock_next(engine, thread, call.mm, call.position, proc_got_vma)


@step("fs/proc/task_mmu.c (6.17+)", function="proc_get_vma")
def proc_got_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The next VMA is locked for reading (or there is none)."""
    call = _call(thread)
    call.vma = thread.vma
    return _show_or_stop(thread)


@step("fs/proc/task_mmu.c", cost="find_vma")
def proc_get_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA of the file."""
    call = _call(thread)
    call.vma = call.mm.tree.next_at(engine, call.position)
    return _show_or_stop(thread)


def _show_or_stop(thread: Thread) -> Step:
    call = _call(thread)
    if call.vma is None:
        return m_stop
    return show_map if call.file == "maps" else show_smap


@step("fs/proc/task_mmu.c", cost="show_map")
def show_map(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Write the line of this VMA into the buffer."""
    return m_next


@step("fs/proc/task_mmu.c", cost="show_smap")
def show_smap(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Write the block of this VMA into the buffer; first its resident pages must be counted."""
    call = _call(thread)
    assert call.vma is not None
    call.address = call.vma.vm_start
    return walk_page_vma


@step("mm/pagewalk.c", cost="zap_empty_table")
def walk_page_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the VMA and take its lock."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    table = None
    if call.address < vma.vm_end:
        table = call.mm.page_tables.next_entry(call.address, vma.vm_end)
    if table is None:
        return m_next
    if isinstance(table, HugePmd):
        call.huge = table
        return spin_lock(engine, thread, table.lock, smaps_pmd_entry)
    call.table = table
    return map_and_lock(engine, thread, table, smaps_pte_range)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def smaps_pmd_entry(engine: Mm, thread: Thread) -> Step:
    """A huge page: one entry under the PMD lock counts for 512 pages."""
    call = _call(thread)
    huge, call.huge = call.huge, None
    assert huge is not None
    if huge.is_linked:
        call.resident += huge.counted_pages
        call.address = huge.end
    spin_unlock(engine, thread, huge.lock)
    return walk_page_vma


@step("fs/proc/task_mmu.c", cost="smaps_table")
def smaps_pte_range(engine: Mm, thread: Thread) -> Step:
    """Look at every entry of this page table: up to 512 pages, 48.5 ns each."""
    call = _call(thread)
    vma, table = call.vma, call.table
    assert vma is not None
    assert table is not None
    present = table.count(call.address, vma.vm_end)
    call.resident += present - table.count_elsewhere(call.address, vma.vm_end)
    engine.charge(present * engine.machine.costs["smaps_1000_ptes"] // 1000)
    return smaps_pte_unlock


@step("fs/proc/task_mmu.c", cost="cond_resched", function="cond_resched")
def smaps_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table and let a better task have the CPU: mmap_lock stays held meanwhile."""
    call = _call(thread)
    assert call.table is not None
    unlock_and_unmap(engine, thread, call.table)
    call.address = call.table.base + TABLE_SPAN
    call.table = None
    return walk_page_vma


@step("fs/proc/task_mmu.c")
def m_next(engine: Mm, thread: Thread) -> Step:
    """Go on with the next VMA, or end the buffer when it is full."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    call.position = vma.vm_end
    call.shown += 1
    if call.file == "smaps_rollup":
        return _rollup_next(engine, thread, call)
    full = MAPS_PER_READ if call.file == "maps" else SMAPS_PER_READ
    if call.shown == full:
        return m_stop
    if not call.under_vma_lock:
        return proc_find_next_vma
    vma_end_read(engine, thread, vma)
    call.vma = None
    return proc_get_next_vma


@step("fs/proc/task_mmu.c", function="proc_get_vma")
def proc_find_next_vma(engine: Mm, thread: Thread) -> Step:
    """Go on to the next VMA of the file under the lock of them all."""
    return proc_get_vma(engine, thread)


def _rollup_next(engine: Mm, thread: Thread, call: ReadCall) -> Step:
    if mmap_lock_is_contended(call.mm):
        return rollup_relax
    return proc_get_vma(engine, thread)


@step("fs/proc/task_mmu.c", function="show_smaps_rollup")
def rollup_relax(engine: Mm, thread: Thread) -> Step:
    """Somebody waits for mmap_lock: drop it between two VMAs and take it again."""
    call = _call(thread)
    mmap_read_unlock(engine, thread, call.mm)
    return rollup_again


@step("fs/proc/task_mmu.c", function="show_smaps_rollup")
def rollup_again(engine: Mm, thread: Thread) -> Step:
    """Queue for mmap_lock again, behind those who waited."""
    return mmap_read_lock(engine, thread, _call(thread).mm, proc_get_vma)


@step("fs/proc/task_mmu.c")
def m_stop(engine: Mm, thread: Thread) -> Step:
    """End the buffer: give the lock back; the reader copies what it got and reads on."""
    call = _call(thread)
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
