"""The slow path of down_read (kernel/locking/rwsem.c): steal the lock, or queue and be granted it.

Preemption is disabled from the failed fast path until the task sleeps or has the lock.

Costs: rwsem_slowpath, rwsem_wait_lock.
"""

from __future__ import annotations

from typing import Any

from pfviz.sim.engine import Engine
from pfviz.sim.event import CONTENTION_END, READ
from pfviz.sim.task import Step, Task, step

from .rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_WAITERS,
    READER_BIAS,
    READER_OWNED,
    READER_SHIFT,
    WRITER_LOCKED,
    RwSemaphore,
    RwsemWaiter,
    change_count,
    enqueue_waiter,
    leave_slowpath,
    set_reader_owned,
)
from .rwsem_wake import Wake, rwsem_cond_wake_waiter, rwsem_mark_wake


@step("kernel/locking/rwsem.c", cost="rwsem_slowpath")
def rwsem_down_read_slowpath(engine: Engine[Any], task: Task) -> Step:
    """The lock looked busy: steal it if no writer holds it, queue if other readers do."""
    waiter: RwsemWaiter = task.waiting
    sem, count = waiter.sem, waiter.count
    if must_queue_behind_readers(sem, count):
        return rwsem_queue_reader
    if count & (WRITER_LOCKED | FLAG_HANDOFF):
        return rwsem_queue_reader
    # My bias is in the word since the fast path, and no writer was: the lock is mine.
    sem.stray_readers -= 1
    set_reader_owned(sem, task)
    following = leave_slowpath(engine, task, waiter)
    if count >> READER_SHIFT == 1 and count & FLAG_WAITERS:
        engine.cost("rwsem_wait_lock")
        if sem.wait_list:
            rwsem_mark_wake(engine, sem, Wake.READ_OWNED)
    return following


def must_queue_behind_readers(sem: RwSemaphore, count: int) -> bool:
    """Whether readers hold the lock already: a stream of stealing readers would starve writers."""
    owned = sem.owner_flags & READER_OWNED and not count & WRITER_LOCKED
    return bool(owned) and count >> READER_SHIFT > 1


@step("kernel/locking/rwsem.c", cost="rwsem_wait_lock", function="rwsem_down_read_slowpath")
def rwsem_queue_reader(engine: Engine[Any], task: Task) -> Step | None:
    """Queue for the read lock, take the hasty share back, and sleep until a waker grants it."""
    waiter: RwsemWaiter = task.waiting
    sem = waiter.sem
    sem.line.write(engine)
    sem.stray_readers -= 1
    adjustment = -READER_BIAS
    if not sem.wait_list:
        if not sem.count & WRITER_LOCKED:
            set_reader_owned(sem, task)
            return leave_slowpath(engine, task, waiter)
        adjustment += FLAG_WAITERS
    enqueue_waiter(engine, sem, waiter)
    change_count(engine, sem, sem.count + adjustment)
    rwsem_cond_wake_waiter(engine, sem, sem.count)
    if waiter.is_granted:
        return rwsem_read_granted
    task.preempt_count -= 1
    engine.sleep(schedule_reader, f"read lock of {sem.name}", sem.id)
    return None


@step("kernel/locking/rwsem.c", function="schedule")
def schedule_reader(engine: Engine[Any], task: Task) -> Step:
    """Awake again: the waker counted this reader in already."""
    task.preempt_count += 1
    return _granted(engine, task)


@step("kernel/locking/rwsem.c", function="rwsem_down_read_slowpath")
def rwsem_read_granted(engine: Engine[Any], task: Task) -> Step:
    """The lock became free while this reader queued: it woke itself."""
    return _granted(engine, task)


def _granted(engine: Engine[Any], task: Task) -> Step:
    waiter: RwsemWaiter = task.waiting
    assert waiter.is_granted, f"{task.name} was woken without the lock"
    engine.emit(CONTENTION_END, waiter.sem.id, READ, engine.now_ns - waiter.begun_ns)
    return leave_slowpath(engine, task, waiter)
