"""UFFDIO_REGISTER and UNREGISTER: VMAs get, or lose, a monitor, under mmap_lock held for writing.

Flags change, so VMAs are split and merged as by mprotect (vma_modify_flags_uffd). Closing the
descriptor does the same for all VMAs and wakes everybody. Source: fs/userfaultfd.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.errno import EBUSY, EINVAL
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.paths.modify import Modify, modify_flags
from pfviz.mm.paths.uffd_wake import wake_userfault
from pfviz.mm.userfaultfd import UffdCall
from pfviz.mm.vma import VM_UFFD, VM_UFFD_MINOR, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

TASK_SIZE: Final = 1 << 47


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


@step("fs/userfaultfd.c", cost="munmap_checks")
def userfaultfd_register(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: flags of VMAs are to change."""
    return mmap_write_lock(engine, thread, thread.mm, check_ranges)


@step("fs/userfaultfd.c", cost="munmap_checks")
def userfaultfd_unregister(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: flags of VMAs are to change back."""
    return mmap_write_lock(engine, thread, thread.mm, check_ranges)


@step("fs/userfaultfd.c", cost="munmap_checks")
def userfaultfd_release(engine: Mm, thread: Thread) -> Step:
    """The descriptor is closed: whoever comes from now on is not queued; then unregister all."""
    call = _call(thread)
    call.ctx.released = True
    call.start, call.end = 0, TASK_SIZE
    return mmap_write_lock(engine, thread, thread.mm, check_ranges)


@step("fs/userfaultfd.c", cost="find_vma", function="userfaultfd_register")
def check_ranges(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """See that every VMA of the range can have a monitor, and that it is not another one's."""
    call = _call(thread)
    vmas = list(thread.mm.tree.between(call.start, call.end))
    if call.do == "register":
        if not vmas or not all(vma_can_userfault(vma, call.flags) for vma in vmas):
            thread.op_result = EINVAL
        elif any(vma.userfaultfd not in (None, call.ctx) for vma in vmas):
            thread.op_result = EBUSY
    if thread.op_result or not vmas:
        return register_unlock
    call.vma, call.address = vmas[0], max(call.start, vmas[0].vm_start)
    return modify_vma


def vma_can_userfault(vma: Vma, flags: int) -> bool:
    """Whether a VMA may be registered for these modes: anonymous or shared memory only."""
    is_shmem = vma.vm_file is not None and vma.vm_file.is_shmem
    if flags & VM_UFFD_MINOR and not is_shmem:
        return False
    return bool(flags) and (vma.is_anonymous or is_shmem)


@step("fs/userfaultfd.c", cost="vma_check", function="vma_modify_flags_uffd")
def modify_vma(engine: Mm, thread: Thread) -> Step:
    """Give the part of this VMA that lies in the range its new flags: merge or split."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    flags = vma.vm_flags & ~VM_UFFD | (call.flags if call.do == "register" else 0)
    stop = min(vma.vm_end, call.end)
    if flags == vma.vm_flags or (call.do != "register" and vma.userfaultfd is not call.ctx):
        call.address = stop
        return next_vma(engine, thread)
    modify = Modify(vma, call.address, stop, flags)
    call.address = stop
    return modify_flags(engine, thread, modify, lock_registered)


@step("fs/userfaultfd.c", function="userfaultfd_register")
def lock_registered(engine: Mm, thread: Thread) -> Step:
    """Write-lock the VMA if it has a lock: faults read its flags and its monitor."""
    call = _call(thread)
    call.vma = thread.modify.vma
    assert call.vma is not None
    return vma_start_write(engine, thread, call.vma, set_vm_flags)


@step("fs/userfaultfd.c", cost="vma_check", function="userfaultfd_set_vm_flags")
def set_vm_flags(engine: Mm, thread: Thread) -> Step:
    """Set flags and monitor: from here on missing pages are the monitor's business, or no more."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    vma.vm_flags = thread.modify.flags
    vma.userfaultfd = call.ctx if call.do == "register" else None
    vma.emit_changed(engine, "userfaultfd")
    return next_vma(engine, thread)


@step("fs/userfaultfd.c", cost="find_vma", function="userfaultfd_register")
def next_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Does the range go on in another VMA?"""
    call = _call(thread)
    call.vma = next(thread.mm.tree.between(call.address, call.end), None)
    if call.address >= call.end or call.vma is None:
        return register_unlock
    call.address = max(call.address, call.vma.vm_start)
    return modify_vma


@step("fs/userfaultfd.c", function="mmap_write_unlock")
def register_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; who waits for a monitor that is no more is woken."""
    call = _call(thread)
    thread.modify = None
    mmap_write_unlock(engine, thread, thread.mm)
    if call.do == "register" or thread.op_result:
        return thread.back()
    return wake_userfault if call.do == "unregister" else wake_events


@step("fs/userfaultfd.c", function="userfaultfd_release")
def wake_events(engine: Mm, thread: Thread) -> Step:
    """Nobody will read any more: wake those who wait for that."""
    return spin_lock(engine, thread, _call(thread).ctx.event_wqh.lock, then=events_woken)


@step("kernel/sched/wait.c", function="__wake_up")
def events_woken(engine: Mm, thread: Thread) -> Step:
    """Everybody who waited to be read of is awake; now those who wait for pages."""
    ctx = _call(thread).ctx
    for event in ctx.event_wqh.waiters:
        event.wake(engine)
    spin_unlock(engine, thread, ctx.event_wqh.lock)
    return wake_userfault
