"""mlock and munlock: VMAs get VM_LOCKED under the write lock, then their pages are made resident.

The pages that are there are marked by a walk of the page tables while faults are kept out of the
VMA; what is missing is faulted in afterwards under mmap_lock held for reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.errno import ENOMEM
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE, Mlock, Munlock
from pfviz.mm.page_table import PRESENT
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.modify import Modify, modify_flags
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_on, walk_pages
from pfviz.mm.paths.populate import mm_populate
from pfviz.mm.paths.pte_lock import pte_unmap
from pfviz.mm.vma import VM_LOCKED, VM_SPECIAL, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class MlockCall:
    """One mlock or munlock on its way."""

    start: int
    end: int
    locks: bool
    position: int
    """How far the range is done."""
    vma: Vma | None = None
    stop: int = 0
    """Where the part of that VMA ends that lies in the range."""


def _call(thread: Thread) -> MlockCall:
    call = thread.sys
    assert isinstance(call, MlockCall)
    return call


def _begin(engine: Mm, thread: Thread, locks: bool) -> Step:
    asked = thread.operation
    assert isinstance(asked, Mlock | Munlock)
    start = thread.resolve(asked.place)
    if start is None:
        thread.op_result = ENOMEM
        return thread.back()
    start -= start % PAGE_SIZE
    end = start + (asked.pages << PAGE_SHIFT)
    thread.sys = MlockCall(start, end, locks, start)
    return mmap_write_lock(engine, thread, thread.mm, apply_vma_lock_flags)


@step("mm/mlock.c", cost="munmap_checks", function="__x64_sys_mlock")
def sys_mlock(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: the VMAs of the range are to get a flag."""
    return _begin(engine, thread, locks=True)


@step("mm/mlock.c", cost="munmap_checks", function="__x64_sys_munlock")
def sys_munlock(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: the VMAs of the range are to lose a flag."""
    return _begin(engine, thread, locks=False)


@step("mm/mlock.c", cost="find_vma")
def apply_vma_lock_flags(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Find the next VMA of the range; a hole in it is an error."""
    call = _call(thread)
    call.vma = thread.mm.tree.at(call.position)
    if call.vma is None:
        thread.op_result = ENOMEM
        return mlock_unlock
    return mlock_fixup


@step("mm/mlock.c", cost="vma_check")
def mlock_fixup(engine: Mm, thread: Thread) -> Step:
    """Give the part of this VMA that lies in the range its new flag: cut it out, or merge it."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    call.stop = min(vma.vm_end, call.end)
    flags = vma.vm_flags | VM_LOCKED if call.locks else vma.vm_flags & ~VM_LOCKED
    if flags == vma.vm_flags or vma.vm_flags & VM_SPECIAL:
        return next_locked(engine, thread)
    modify = Modify(vma, call.position, call.stop, flags)
    return modify_flags(engine, thread, modify, mlock_vma_pages_range)


@step("mm/mlock.c")
def mlock_vma_pages_range(engine: Mm, thread: Thread) -> Step:
    """Faults find the new flag, or finish before: write-lock the VMA first if it has a lock."""
    return vma_start_write(engine, thread, thread.modify.vma, set_lock_flag)


@step("include/linux/mm.h", cost="vma_check", function="vm_flags_reset_once")
def set_lock_flag(engine: Mm, thread: Thread) -> Step:
    """Set the new flag; pages that this CPU collected go to their lists first."""
    vma = thread.modify.vma
    vma.vm_flags = thread.modify.flags
    vma.emit_changed(engine, "mlock" if _call(thread).locks else "munlock")
    return thread.call(lru_add_drain, then=walk_locked)


@step("mm/mlock.c", function="mlock_vma_pages_range")
def walk_locked(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go through the page tables of the range."""
    call = _call(thread)
    walk = PageWalk(thread.mm, call.position, call.stop, mlock_pte_range)
    return walk_pages(thread, walk, drain_locked)


@step("mm/mlock.c", cost="smaps_table")
def mlock_pte_range(engine: Mm, thread: Thread) -> Step:
    """Move each page of this table to the list of those that reclaim leaves alone, or back."""
    walk = page_walk_of(thread)
    ptes = walk.locked.ptes
    present = sum(1 for slot in walk.locked.slots(walk.address, walk.end) if ptes[slot] & PRESENT)
    engine.charge(present * engine.machine.costs["lru"])
    walk.found += present
    return mlock_unmap_unlock


@step("mm/mlock.c", cost="cond_resched", function="cond_resched")
def mlock_unmap_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table and let a better task have the CPU: mmap_lock stays held meanwhile."""
    pte_unmap(engine, thread)
    spin_unlock(engine, thread, page_walk_of(thread).locked.ptl)
    return walk_on(thread)


@step("mm/mlock.c", function="mlock_vma_pages_range")
def drain_locked(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The pages were collected in a batch of this CPU: put them onto their list."""
    return thread.call(lru_add_drain, then=next_locked)


@step("mm/mlock.c", function="apply_vma_lock_flags")
def next_locked(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Does the range go on in another VMA?"""
    call = _call(thread)
    call.position = call.stop
    return apply_vma_lock_flags if call.position < call.end else mlock_unlock


@step("mm/mlock.c", function="mmap_write_unlock")
def mlock_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; what is locked but missing is now made resident, under a read lock."""
    call = _call(thread)
    thread.modify = None
    mmap_write_unlock(engine, thread, thread.mm)
    if thread.op_result or not call.locks:
        return thread.back()
    return mm_populate(engine, thread, call.start, call.end, thread.back())
