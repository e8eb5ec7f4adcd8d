"""What a hugetlb fault holds, how it gets an anon_vma meanwhile, and how it lets go of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm import mmap_lock
from pfviz.mm.paths.anon_vma import NO_ANON_VMA, TRYLOCK_FAILED, anon_vma_prepare
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.release import release_fault_lock
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import up_read, up_write
from pfviz.sync.spinlock import SpinLock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def vma_of(thread: Thread) -> Vma:
    """The VMA of the fault."""
    vma = thread.in_flight.vma
    assert vma is not None
    return vma


def entry_lock(thread: Thread) -> SpinLock:
    """The PMD lock of the fault's address."""
    pmd = thread.mm.page_tables.pmd_table(thread.in_flight.address)
    assert pmd is not None
    return pmd.lock


@step("mm/memory.c", cost="vma_check", function="__vmf_anon_prepare")
def hugetlb_anon_prepare(engine: Mm, thread: Thread) -> Step:
    """A private page needs an anon_vma; under the VMA lock mmap_lock is tried for it."""
    fault = thread.in_flight
    if vma_of(thread).anon_vma is not None:
        return thread.back()
    if fault.regime != VMA_LOCK:
        return anon_vma_prepare
    is_tried = engine.world.preset.anon_vma_check == "late"
    if is_tried and mmap_lock.mmap_read_trylock(engine, thread, thread.mm):
        return thread.call(anon_vma_prepare, then=hugetlb_anon_prepared)
    thread.abort = TRYLOCK_FAILED if is_tried else NO_ANON_VMA
    fault.result |= VM_FAULT_RETRY
    return thread.back()


@step("mm/memory.c (6.10+)", function="__vmf_anon_prepare")
def hugetlb_anon_prepared(engine: Mm, thread: Thread) -> Step:
    """The anon_vma is there: give mmap_lock back and go on under the VMA lock alone."""
    mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


# Out


@step("mm/hugetlb.c")
def hugetlb_vma_unlock_read(engine: Mm, thread: Thread) -> Step:
    """Let unmapping go on; who must start again drops the VMA lock here, and nowhere else."""
    fault = thread.in_flight
    lock = fault.scratch.pop("vma_lock", None)
    if lock is not None:
        up_read(engine, thread, lock)
    if fault.result & VM_FAULT_RETRY:
        release_fault_lock(engine, thread)
    return fault_mutex_unlock


@step("mm/hugetlb.c", function="hugetlb_fault")
def fault_mutex_unlock(engine: Mm, thread: Thread) -> Step:
    """The next fault of this page may go on."""
    up_write(engine, thread, thread.in_flight.scratch.pop("mutex"))
    return thread.back()
