"""Who is woken when an rwsem becomes free: rwsem_mark_wake (kernel/locking/rwsem.c).

A writer at the head is woken to compete; a reader at the head is granted its share in its sleep,
and with it every reader in the queue. It happens under `wait_lock`, a moment after the release.

Costs: rwsem_wait_lock, rwsem_grant; wake, wake_up_process.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from pfviz.sim.engine import Engine
from pfviz.sim.event import LOCK_HANDOFF, WRITE
from pfviz.sim.task import SLEEPING, Task

from .rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_READFAIL,
    FLAG_WAITERS,
    READER_BIAS,
    READER_MASK,
    WRITER_LOCKED,
    RwSemaphore,
    RwsemWaiter,
    change_count,
    clear_nonspinnable,
    set_reader_owned,
)
from .wait_queue import wake_up_process

MAX_READERS_WAKEUP: Final = 256


class Wake(Enum):
    """enum rwsem_wake_type: whom the waker may wake."""

    ANY = "whoever is first"
    READERS = "readers only"
    READ_OWNED = "readers only, and the waker itself holds it for reading"


def rwsem_wake(engine: Engine[Any], task: Task, sem: RwSemaphore, wake: Wake = Wake.ANY) -> None:
    """`task` released or downgraded the lock while somebody waits: wake once it has `wait_lock`.

    Until then, later in the same step of `task`, others may steal the lock.
    """
    engine.cost("rwsem_wait_lock")
    engine.alarm(engine.extra_ns, _wake_under_wait_lock, (task, sem, wake))
    _charge_wake_ups(engine, sem, wake)


def _charge_wake_ups(engine: Engine[Any], sem: RwSemaphore, wake: Wake) -> None:
    """The step must last until all are woken, so guess now how many that will be."""
    if not sem.wait_list:
        return
    if sem.wait_list.first.mode == WRITE:
        count = int(wake is Wake.ANY and sem.wait_list.first.task.state == SLEEPING)
    else:
        count = len(readers_to_wake(sem))
        engine.charge(count * engine.machine.costs["rwsem_grant"])
    engine.charge(count * engine.machine.costs["wake_up_process"])


def _wake_under_wait_lock(engine: Engine[Any], waker: tuple[Task, RwSemaphore, Wake]) -> None:
    task, sem, wake = waker
    if sem.wait_list:
        engine.task = task  # This is still its step: what happens is its doing.
        rwsem_mark_wake(engine, sem, wake)
        engine.task = None


def rwsem_cond_wake_waiter(engine: Engine[Any], sem: RwSemaphore, count: int) -> None:
    """Somebody just queued and saw `count`: wake the head if nothing holds it up any more."""
    if count & WRITER_LOCKED:
        return
    if count & READER_MASK:
        rwsem_mark_wake(engine, sem, Wake.READERS)
    else:
        clear_nonspinnable(sem)
        rwsem_mark_wake(engine, sem, Wake.ANY)


def rwsem_mark_wake(engine: Engine[Any], sem: RwSemaphore, wake: Wake) -> None:
    """Wake the writer at the head, or grant all readers of the queue if a reader is at its head."""
    head = sem.wait_list.first
    if head.mode == WRITE:
        if wake is Wake.ANY:
            _wake_writer(engine, head)
        return
    if sem.count & FLAG_READFAIL:
        return
    if wake is not Wake.READ_OWNED:
        # A writer may have stolen the lock since it was released.
        if sem.count & WRITER_LOCKED:
            if engine.now_ns > head.deadline_ns:
                head.handoff_set = True
                if not sem.count & FLAG_HANDOFF:
                    set_handoff(engine, sem, sem.count)
            return
        set_reader_owned(sem, head.task)
    _grant(engine, sem, readers_to_wake(sem))


def readers_to_wake(sem: RwSemaphore) -> list[RwsemWaiter]:
    """All readers in the queue, wherever they stand, up to 256."""
    return [waiter for waiter in sem.wait_list if waiter.mode != WRITE][:MAX_READERS_WAKEUP]


def set_handoff(engine: Engine[Any], sem: RwSemaphore, count: int) -> None:
    """From now on only the first waiter may take the lock."""
    change_count(engine, sem, count | FLAG_HANDOFF)
    engine.emit_of(sem.wait_list.first.task, LOCK_HANDOFF, sem.id)


def _grant(engine: Engine[Any], sem: RwSemaphore, readers: list[RwsemWaiter]) -> None:
    """Two passes: count all of them in, then wake them one after another."""
    for waiter in readers:
        sem.wait_list.remove(waiter, engine.now_ns)
        sem.held[waiter.task] = engine.now_ns
        engine.cost("rwsem_grant")
    count = sem.count + len(readers) * READER_BIAS
    if not sem.wait_list:
        count &= ~FLAG_WAITERS
    change_count(engine, sem, count & ~FLAG_HANDOFF)
    for waiter in readers:
        waiter.is_granted = True
        # A reader that finds the lock free while it queues grants it to itself.
        if waiter.task.state == SLEEPING:
            wake_up_process(engine, waiter.task)


def _wake_writer(engine: Engine[Any], waiter: RwsemWaiter) -> None:
    if waiter.task.state == SLEEPING:
        wake_up_process(engine, waiter.task)
    else:
        waiter.is_woken = True
