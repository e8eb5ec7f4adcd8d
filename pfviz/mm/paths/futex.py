"""A program's mutex: one atomic while it is free, futex_wait and futex_wake when it is not.

The kernel takes no lock of the address space for a private futex; what is shown is who waits for a
thread that waits in the kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.errno import EPERM
from pfviz.mm.user_mutex import LockMutex, UnlockMutex, UserMutex, new_mutex
from pfviz.sim import event
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.wait_queue import Waiter

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _mutex(engine: Mm, thread: Thread) -> UserMutex:
    operation = thread.operation
    assert isinstance(operation, LockMutex | UnlockMutex)
    known = engine.world.mutexes
    if operation.mutex not in known:
        known[operation.mutex] = new_mutex(engine, operation.mutex)
    return known[operation.mutex]


@step("user mode", cost="rwsem_atomic", function="pthread_mutex_lock")
def pthread_mutex_lock(engine: Mm, thread: Thread) -> Step:
    """Take the program's mutex with one atomic if it is free; ask the kernel to wait if not."""
    mutex = _mutex(engine, thread)
    mutex.line.write(engine)
    if mutex.holder is None and not mutex.queue:
        _take(engine, thread, mutex, 0)
        return thread.back()
    return futex_wait


@step("kernel/futex/waitwake.c", cost="syscall_entry")
def futex_wait(engine: Mm, thread: Thread) -> Step | None:
    """Queue in the kernel and sleep, unless the mutex became free meanwhile."""
    mutex = _mutex(engine, thread)
    if mutex.holder is None and not mutex.queue:
        _take(engine, thread, mutex, 0)
        return thread.back()
    position = mutex.queue.enqueue(Waiter(thread, WRITE, engine.now_ns))
    thread.waited_since_ns = engine.now_ns
    engine.emit(event.CONTENTION_BEGIN, mutex.id, WRITE, position)
    engine.sleep(futex_woken, f"mutex {mutex.name}", mutex.id)
    return None


@step("kernel/futex/waitwake.c", cost="syscall_exit", function="futex_wait")
def futex_woken(engine: Mm, thread: Thread) -> Step:
    """Woken: the mutex is mine, for nobody may overtake who was woken for it."""
    mutex = _mutex(engine, thread)
    wait_ns = engine.now_ns - thread.waited_since_ns
    engine.emit(event.CONTENTION_END, mutex.id, WRITE, wait_ns)
    _take(engine, thread, mutex, wait_ns)
    return thread.back()


@step("user mode", cost="rwsem_atomic", function="pthread_mutex_unlock")
def pthread_mutex_unlock(engine: Mm, thread: Thread) -> Step:
    """Give the mutex back; if somebody sleeps for it, the kernel must wake him."""
    mutex = _mutex(engine, thread)
    if mutex.holder is not thread:
        thread.op_result = EPERM
        return thread.back()
    mutex.line.write(engine)
    engine.emit(event.LOCK_RELEASED, mutex.id, WRITE, engine.now_ns - mutex.since_ns)
    mutex.holder = None
    return futex_wake if mutex.queue else thread.back()


@step("kernel/futex/waitwake.c", cost="syscall_entry")
def futex_wake(engine: Mm, thread: Thread) -> Step:
    """Wake the one who has waited longest: the mutex is handed to him."""
    mutex = _mutex(engine, thread)
    if mutex.holder is None:
        mutex.holder = mutex.queue.wake_one(engine)
    return thread.back()


def _take(engine: Mm, thread: Thread, mutex: UserMutex, wait_ns: int) -> None:
    mutex.holder, mutex.since_ns = thread, engine.now_ns
    engine.emit(event.LOCK_ACQUIRED, mutex.id, WRITE, wait_ns, 0)
