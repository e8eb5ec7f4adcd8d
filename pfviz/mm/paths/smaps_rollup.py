"""Reading smaps_rollup: one sum over all VMAs in one hold of mmap_lock that gives way to others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import mmap_lock_is_contended, mmap_read_lock, mmap_read_unlock
from pfviz.mm.paths.page_walk import page_walk_of
from pfviz.mm.paths.procfs import ReadCall, call_of, gather_stats, smaps_pte_range
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def begin(thread: Thread, mm: AddressSpace) -> Step:
    """Begin to read the roll-up of a process."""
    thread.sys = ReadCall(mm, "smaps_rollup")
    return show_smaps_rollup


@step("fs/proc/task_mmu.c", cost="read_chunk")
def show_smaps_rollup(engine: Mm, thread: Thread) -> Step:
    """Lock the whole address space for reading: nobody can change it before the sum is complete."""
    call = call_of(thread)
    call.reads += 1
    return mmap_read_lock(engine, thread, call.mm, rollup_next_vma)


@step("fs/proc/task_mmu.c", cost="find_vma", function="show_smaps_rollup")
def rollup_next_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA."""
    call = call_of(thread)
    call.vma = call.mm.tree.next_at(engine, call.position)
    return rollup_done if call.vma is None else smap_gather_stats


@step("fs/proc/task_mmu.c", cost="vma_check")
def smap_gather_stats(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Add the resident pages of this VMA to the sum: its page tables have to be walked."""
    return gather_stats(thread, smaps_pte_range, rollup_added)


@step("fs/proc/task_mmu.c", cost="vma_check", function="show_smaps_rollup")
def rollup_added(engine: Mm, thread: Thread) -> Step:
    """This VMA is counted: does anybody wait for mmap_lock?"""
    call = call_of(thread)
    assert call.vma is not None
    call.position = call.vma.vm_end
    call.resident += page_walk_of(thread).found
    if mmap_lock_is_contended(call.mm):
        return rollup_relax
    return rollup_next_vma(engine, thread)


@step("fs/proc/task_mmu.c", function="show_smaps_rollup")
def rollup_relax(engine: Mm, thread: Thread) -> Step:
    """Somebody waits for mmap_lock: drop it between two VMAs and take it again."""
    mmap_read_unlock(engine, thread, call_of(thread).mm)
    return rollup_again


@step("fs/proc/task_mmu.c", function="show_smaps_rollup")
def rollup_again(engine: Mm, thread: Thread) -> Step:
    """Queue for mmap_lock again, behind those who waited."""
    return mmap_read_lock(engine, thread, call_of(thread).mm, rollup_next_vma)


@step("fs/proc/task_mmu.c", cost="show_smap", function="show_smaps_rollup")
def rollup_done(engine: Mm, thread: Thread) -> Step:
    """All are counted: write the sum into the buffer and give mmap_lock back."""
    call = call_of(thread)
    mmap_read_unlock(engine, thread, call.mm)
    thread.op_result = call.reads
    return thread.back()
