"""A thread runs its program: fetch an operation, enter the kernel, do it, come back, report.

It knows where each operation begins and nothing of how it goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm import operations as ops
from pfviz.mm.address_space import AddressSpace
from pfviz.mm.bpf import BpfVmaIter
from pfviz.mm.cross_call import local_irq_restore, local_irq_save
from pfviz.mm.errno import EFAULT
from pfviz.mm.paths import (
    bpf_iter,
    brk,
    compaction,
    device_memory,
    entry,
    execve,
    exit_mmap,
    fork,
    futex,
    gup_fast,
    madvise,
    mincore,
    mlock,
    mmap,
    mprotect,
    mremap,
    munmap,
    numa,
    proc_file,
    reclaim,
    uffd_call,
    uffd_read,
)
from pfviz.mm.thread import Thread
from pfviz.mm.user_mutex import LockMutex, UnlockMutex
from pfviz.sim import event
from pfviz.sim.machine import Cpu
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.world import Mm

Next = Step | None

COMPUTE_SLICE_NS: Final = 10_000
"""User code runs in pieces of this length: interrupts and preemption come in between."""


def new_thread(
    engine: Mm,
    mm: AddressSpace,
    name: str,
    cpu: Cpu,
    program: ops.Program,
    prio: int = 120,
    after_ns: int = 0,
) -> Thread:
    """Start a thread of `mm` that runs `program` on `cpu`."""
    number = len(engine.tasks)
    thread = Thread(
        number, name, step=next_operation, cpu=cpu, prio=prio, group=mm.id, mm=mm, program=program
    )
    mm.threads += 1
    engine.start(thread, after_ns)
    return thread


@step("user mode", function="user")
def next_operation(engine: Mm, thread: Thread) -> Next:
    """Run the program: what does this thread want next?"""
    assert thread.program is not None
    operation = None if thread.killed else thread.program.next_operation(engine, thread)
    if operation is None:
        _ended(engine, thread)
        return None
    thread.operation = operation
    thread.op_index += 1
    thread.op_begun_ns = engine.now_ns
    thread.op_result = 0
    address, length = _where(thread, operation)
    if engine.logging:
        text = engine.log.text(ops.name_of(operation))
        engine.emit(event.OP_BEGIN, text, address, length, thread.op_index)
    return _first_step(engine, thread, operation)


def _ended(engine: Mm, thread: Thread) -> None:
    engine.end()
    uffd_read.thread_ended(engine)
    waiter = thread.mm.exec_waiter
    if waiter is not None and not execve.others_of(engine, waiter, thread.mm):
        thread.mm.exec_waiter = None
        engine.wake(waiter)


def _where(thread: Thread, operation: ops.Operation) -> tuple[int, int]:
    match operation:
        case ops.Access(place, _, pages, stride):
            return thread.resolve(place) or 0, ((pages - 1) * stride + 1) << ops.PAGE_SHIFT
        case ops.Mmap(pages):
            return 0, pages << ops.PAGE_SHIFT
        case ops.Brk(pages):
            return thread.mm.brk, pages << ops.PAGE_SHIFT
        case ops.Compute(ns) | ops.Sleep(ns):
            return 0, ns
    at: ops.Place | None = getattr(operation, "place", None)
    if at is None:
        return 0, 0
    return thread.resolve(at) or 0, getattr(operation, "pages", 0) << ops.PAGE_SHIFT


def _first_step(engine: Mm, thread: Thread, operation: ops.Operation) -> Next:
    match operation:
        case ops.Access() if not operation.by_kernel:
            return _begin_access(engine, thread, operation)
        case ops.Compute(ns):
            thread.sys = ns
            return compute
        case LockMutex():
            return thread.call(futex.pthread_mutex_lock, then=operation_done)
        case UnlockMutex():
            return thread.call(futex.pthread_mutex_unlock, then=operation_done)
        case ops.Sleep(ns):
            engine.alarm(ns, _ring, thread)
            engine.sleep(operation_done, "sleeps")
            return None
    return thread.call(syscall_entry, then=syscall_exit)


def _ring(engine: Mm, thread: Thread) -> None:
    engine.wake(thread)


@step("user mode", function="user")
def compute(engine: Mm, thread: Thread) -> Next:
    """Compute in user mode."""
    slice_ns = min(thread.sys, COMPUTE_SLICE_NS)
    engine.charge(slice_ns)
    thread.sys -= slice_ns
    return compute if thread.sys else operation_done


@step("arch/x86/entry/common.c", cost="syscall_entry", function="do_syscall_64")
def syscall_entry(engine: Mm, thread: Thread) -> Next:  # noqa: ARG001
    """Enter the kernel by a system call."""
    return _syscall(thread)


def _syscall(thread: Thread) -> Step:
    """Where the operation begins in the kernel; one case each, for `fork` imports this module."""
    match thread.operation:
        case ops.Access():
            return copy_user
        case ops.Mmap():
            return mmap.vm_mmap_pgoff
        case ops.Munmap():
            return munmap.vm_munmap
        case ops.Mprotect():
            return mprotect.do_mprotect_pkey
        case ops.Mremap():
            return mremap.sys_mremap
        case ops.Mlock():
            return mlock.sys_mlock
        case ops.Munlock():
            return mlock.sys_munlock
        case ops.Mincore():
            return mincore.sys_mincore
        case ops.Brk():
            return brk.sys_brk
        case ops.Madvise():
            return madvise.do_madvise
        case ops.Fork():
            return fork.kernel_clone
        case ops.ReadProc():
            return proc_file.read_proc
        case ops.Reclaim():
            return reclaim.shrink_lruvec
        case ops.MigratePages():
            return compaction.compact_zone
        case ops.MigrateToDevice():
            return device_memory.dmirror_migrate_to_device
        case ops.NumaScan():
            return numa.task_numa_work
        case ops.GetUserPages():
            return gup_fast.get_user_pages_fast
        case BpfVmaIter():
            return bpf_iter.bpf_iter_task_vma_next
        case ops.IrqsOff():
            return irqs_off
        case ops.Exec():
            return execve.sys_execve
        case ops.Exit():
            return exit_mmap.do_exit
        case ops.Uffd() as call:
            return uffd_call.first_step(call)
    raise AssertionError(f"no system call for {thread.operation!r}")


@step("arch/x86/entry/common.c", cost="syscall_exit", function="syscall_exit_to_user_mode")
def syscall_exit(engine: Mm, thread: Thread) -> Next:
    """Leave the kernel and return to user mode."""
    thread.sys = None
    return operation_done(engine, thread)


@step("user mode", function="user")
def operation_done(engine: Mm, thread: Thread) -> Next:
    """Back in the program: the operation is done."""
    if engine.logging:
        assert thread.operation is not None
        text = engine.log.text(ops.name_of(thread.operation))
        latency_ns = engine.now_ns + engine.extra_ns - thread.op_begun_ns
        engine.emit(event.OP_END, text, latency_ns, thread.op_result, thread.op_index)
    thread.operation = None
    return next_operation


# Interrupts off


@step("include/linux/irqflags.h", function="local_irq_disable")
def irqs_off(engine: Mm, thread: Thread) -> Step:
    """A driver switches interrupts off on this CPU, and takes its time."""
    operation = thread.operation
    assert isinstance(operation, ops.IrqsOff)
    local_irq_save(engine)
    engine.charge(operation.ns)
    return irqs_on


@step("include/linux/irqflags.h", function="local_irq_enable")
def irqs_on(engine: Mm, thread: Thread) -> Step:
    """Interrupts are on again: what was pending is taken now."""
    local_irq_restore(engine)
    return thread.back()


# Access: page after page


def _begin_access(engine: Mm, thread: Thread, operation: ops.Access) -> Next:
    address = thread.resolve(operation.place)
    if address is None:
        thread.op_result = EFAULT
        return operation_done(engine, thread)
    thread.sys = operation.pages
    return _access(engine, thread, operation, address)


def _access(engine: Mm, thread: Thread, operation: ops.Access, address: int) -> Step:
    write, fetch = operation.write, operation.exec
    return entry.touch(engine, thread, address, write, access_next_page, fetch=fetch)


@step("user mode", cost="access", function="user")
def access_next_page(engine: Mm, thread: Thread) -> Next:
    """The access came to its end, or to a signal; are there more pages to touch?"""
    operation = thread.operation
    assert isinstance(operation, ops.Access)
    thread.sys -= 1
    if thread.op_result or not thread.sys:
        return operation_done(engine, thread)
    address = thread.address + (operation.stride_pages << ops.PAGE_SHIFT)
    return _access(engine, thread, operation, address)


# The same by the kernel, in a system call


@step("arch/x86/lib/copy_user_64.S", cost="access", function="copy_user_generic")
def copy_user(engine: Mm, thread: Thread) -> Step:
    """The kernel itself is to read or write the program's memory, as for read() and write()."""
    operation = thread.operation
    assert isinstance(operation, ops.Access)
    address = thread.resolve(operation.place)
    if address is None:
        thread.op_result = EFAULT
        return thread.back()
    thread.sys = operation.pages
    return entry.touch(engine, thread, address, operation.write, copy_user_next, user=False)


@step("arch/x86/lib/copy_user_64.S", cost="access", function="copy_user_generic")
def copy_user_next(engine: Mm, thread: Thread) -> Step:
    """The kernel's access came to its end, or failed; are there more pages to copy?"""
    operation = thread.operation
    assert isinstance(operation, ops.Access)
    thread.sys -= 1
    if thread.op_result or not thread.sys:
        return thread.back()
    address = thread.address + (operation.stride_pages << ops.PAGE_SHIFT)
    return entry.touch(engine, thread, address, operation.write, copy_user_next, user=False)
