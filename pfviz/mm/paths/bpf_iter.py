"""A BPF program that walks VMAs under their locks, and the deadlock that its callee can close.

Reported as kernel-patches/bpf#10633: with a VMA's lock held something takes mmap_lock, while a
writer that has mmap_lock waits for the VMA's readers. The repair is to try, and to give up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.bpf import BpfVmaIter
from pfviz.mm.errno import EBUSY, EFAULT
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_trylock, mmap_read_unlock
from pfviz.mm.paths.under_vma_lock import lock_vma_under_rcu
from pfviz.mm.vma_lock import vma_end_read
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("kernel/bpf/task_iter.c", cost="syscall_entry")
def bpf_iter_task_vma_next(engine: Mm, thread: Thread) -> Step:
    """Go to the VMA of an address: under its own lock, where the kernel has one."""
    operation = thread.operation
    assert isinstance(operation, BpfVmaIter)
    address = thread.resolve(operation.place)
    if address is None:
        thread.op_result = EFAULT
        return thread.back()
    thread.address = address
    if not engine.world.has_vma_lock:
        return mmap_read_lock(engine, thread, thread.mm, bpf_look_under_mmap_lock)
    return thread.call(lock_vma_under_rcu, then=bpf_vma_locked)


@step("kernel/bpf/task_iter.c", cost="vma_check", function="bpf_iter_task_vma_next")
def bpf_look_under_mmap_lock(engine: Mm, thread: Thread) -> Step:
    """Until 6.3 there was only mmap_lock, and nothing to take twice."""
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


@step("kernel/bpf/task_iter.c", cost="show_map", function="bpf_prog_run")
def bpf_vma_locked(engine: Mm, thread: Thread) -> Step:
    """The program runs with the VMA locked, and calls something that wants mmap_lock as well."""
    operation = thread.operation
    assert isinstance(operation, BpfVmaIter)
    if thread.vma is None:
        thread.op_result = EBUSY
        return thread.back()
    thread.walk = thread.vma
    if not operation.tries:
        return mmap_read_lock(engine, thread, thread.mm, bpf_callee)
    if mmap_read_trylock(engine, thread, thread.mm):
        return bpf_callee
    thread.op_result = EBUSY
    return bpf_unlock_vma


@step("kernel/bpf/helpers.c", cost="find_vma", function="bpf_find_vma")
def bpf_callee(engine: Mm, thread: Thread) -> Step:
    """With mmap_lock held, beside the VMA's lock, look a VMA up and give mmap_lock back."""
    mmap_read_unlock(engine, thread, thread.mm)
    return bpf_unlock_vma


@step("kernel/bpf/task_iter.c", cost="vma_unlock", function="bpf_iter_task_vma_next")
def bpf_unlock_vma(engine: Mm, thread: Thread) -> Step:
    """Let go of the VMA."""
    vma, thread.walk = thread.walk, None
    vma_end_read(engine, thread, vma)
    return thread.back()
