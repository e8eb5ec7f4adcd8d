"""Writing clear_refs: every entry is made old, VMA after VMA, under mmap_lock held for writing.

Since 6.6 the walk write-locks each VMA as well: without that, faults under VMA locks went on
meanwhile and changed the very entries that were being cleared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.page_table import ACCESSED, PRESENT
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_next_table, walk_pages
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class ClearCall:
    """One write to clear_refs."""

    mm: AddressSpace
    vma: Vma | None = None
    position: int = 0
    cleared: int = 0


def begin(thread: Thread, mm: AddressSpace) -> Step:
    """Begin to forget which pages of a process were used."""
    thread.sys = ClearCall(mm)
    return clear_refs_write


def _call(thread: Thread) -> ClearCall:
    call = thread.sys
    assert isinstance(call, ClearCall)
    return call


@step("fs/proc/task_mmu.c", cost="read_chunk")
def clear_refs_write(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: nothing of the process may change meanwhile."""
    return mmap_write_lock(engine, thread, _call(thread).mm, clear_next_vma)


@step("mm/pagewalk.c", cost="find_vma", function="walk_page_range")
def clear_next_vma(engine: Mm, thread: Thread) -> Step:
    """Go to the next VMA; kernels that know the danger write-lock it, if it has a lock."""
    call = _call(thread)
    call.vma = call.mm.tree.next_at(engine, call.position)
    if call.vma is None:
        return clear_refs_done
    if engine.world.preset.walkers_lock_vmas:
        return vma_start_write(engine, thread, call.vma, clear_refs_test_walk)
    return clear_refs_test_walk


@step("fs/proc/task_mmu.c", cost="vma_check")
def clear_refs_test_walk(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """This VMA is to be walked."""
    call = _call(thread)
    assert call.vma is not None
    call.position = call.vma.vm_end
    walk = PageWalk(call.mm, call.vma.vm_start, call.vma.vm_end, clear_refs_pte_range, of_vma=True)
    return walk_pages(thread, walk, clear_next_vma)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def clear_refs_pte_range(engine: Mm, thread: Thread) -> Step:
    """Make the entries of this page table old: whoever uses a page next leaves a mark again."""
    walk = page_walk_of(thread)
    ptes = walk.locked.ptes
    for slot in walk.locked.slots(walk.address, walk.end):
        if ptes[slot] & PRESENT and ptes[slot] & ACCESSED:
            ptes[slot] &= ~ACCESSED
            walk.found += 1
    engine.charge(walk.found * engine.machine.costs["protect_pte"])
    _call(thread).cleared += walk.found
    walk.found = 0
    return walk_next_table


@step("fs/proc/task_mmu.c", function="mmap_write_unlock")
def clear_refs_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; the TLBs keep what they know: this is only a hint."""
    call = _call(thread)
    mmap_write_unlock(engine, thread, call.mm)
    thread.op_result = call.cleared
    return thread.back()
