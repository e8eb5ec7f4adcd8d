"""rw_semaphore: the operations (kernel/locking/rwsem.c). What the lock protects is not known here.

`down_*` do the fast path inside the caller's step and return the step to go on with: `then`, or the
first step of a slow path that ends with `then`. Everything else is over when it returns.

Costs: rwsem_atomic, and those of the slow paths.
"""

from __future__ import annotations

from typing import Any

from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    LOCK_DOWNGRADED,
    LOCK_FAILED,
    LOCK_RELEASED,
    LOCK_START,
    READ,
    WRITE,
)
from pfviz.sim.task import Step, Task

from .rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_WAITERS,
    LOCK_MASK,
    READ_FAILED_MASK,
    READER_BIAS,
    WRITER_LOCKED,
    RwSemaphore,
    RwsemWaiter,
    acquired,
    change_count,
    clear_nonspinnable,
    clear_owner,
    holders,
    mode_held,
    set_reader_owned,
    set_writer_owner,
    stir_watchers,
    waiters,
)
from .rwsem_down_read import rwsem_down_read_slowpath
from .rwsem_down_write import rwsem_down_write_slowpath
from .rwsem_wake import Wake, rwsem_wake

__all__ = [
    "RwSemaphore", "down_read", "down_read_trylock", "down_write", "down_write_trylock",
    "downgrade_write", "holders", "is_contended", "mode_held", "up_read", "up_write", "waiters",
]  # fmt: skip


def down_read(
    engine: Engine[Any], task: Task, sem: RwSemaphore, then: Step, killable: bool = False
) -> Step:
    """Take it for reading: count this reader in unconditionally, look afterwards."""
    if engine.watch is not None:
        engine.watch.asked(engine, task, sem, READ)
    _start(engine, task, sem, READ)
    count = sem.count + READER_BIAS
    if not count & READ_FAILED_MASK:
        set_reader_owned(sem, task)
        change_count(engine, sem, count)
        acquired(engine, sem, task, READ, 0)
        return then
    sem.stray_readers += 1
    change_count(engine, sem, count)
    task.waiting = RwsemWaiter(
        task, READ, engine.now_ns, sem, then, count=count, is_killable=killable
    )
    task.preempt_count += 1
    return rwsem_down_read_slowpath


def down_write(
    engine: Engine[Any], task: Task, sem: RwSemaphore, then: Step, killable: bool = False
) -> Step:
    """Take it for writing: at once only if the whole word is zero."""
    if engine.watch is not None:
        engine.watch.asked(engine, task, sem, WRITE)
    _start(engine, task, sem, WRITE)
    if sem.count == 0:
        set_writer_owner(sem, task)
        change_count(engine, sem, WRITER_LOCKED)
        acquired(engine, sem, task, WRITE, 0)
        return then
    task.waiting = RwsemWaiter(task, WRITE, engine.now_ns, sem, then, is_killable=killable)
    task.preempt_count += 1
    return rwsem_down_write_slowpath


def down_read_trylock(engine: Engine[Any], task: Task, sem: RwSemaphore) -> bool:
    """Take it for reading only if no writer holds, waits for or was promised it; no stray bias."""
    _start(engine, task, sem, READ)
    if sem.count & READ_FAILED_MASK:
        _log_failure(engine, sem, READ)
        return False
    set_reader_owned(sem, task)
    change_count(engine, sem, sem.count + READER_BIAS)
    acquired(engine, sem, task, READ, 0, is_try=True)
    return True


def down_write_trylock(engine: Engine[Any], task: Task, sem: RwSemaphore) -> bool:
    """Take it for writing only if the whole word is zero."""
    _start(engine, task, sem, WRITE)
    if sem.count:
        _log_failure(engine, sem, WRITE)
        return False
    set_writer_owner(sem, task)
    change_count(engine, sem, WRITER_LOCKED)
    acquired(engine, sem, task, WRITE, 0, is_try=True)
    return True


def up_read(engine: Engine[Any], task: Task, sem: RwSemaphore) -> None:
    """The last reader out wakes those who wait."""
    _release(engine, task, sem, READ)
    change_count(engine, sem, sem.count - READER_BIAS)
    if sem.count & (LOCK_MASK | FLAG_WAITERS) == FLAG_WAITERS:
        clear_nonspinnable(sem)
        rwsem_wake(engine, task, sem)


def up_write(engine: Engine[Any], task: Task, sem: RwSemaphore) -> None:
    """The writer leaves and wakes those who wait."""
    _release(engine, task, sem, WRITE)
    clear_owner(sem)
    change_count(engine, sem, sem.count - WRITER_LOCKED)
    if sem.count & FLAG_WAITERS:
        rwsem_wake(engine, task, sem)


def downgrade_write(engine: Engine[Any], task: Task, sem: RwSemaphore) -> None:
    """The writer becomes a reader; readers that wait come in with it, writers do not."""
    assert mode_held(sem, task) == WRITE, f"{task.name} downgrades {sem.name} without writing"
    engine.cost("rwsem_atomic")
    sem.line.write(engine)
    engine.emit(LOCK_DOWNGRADED, sem.id, engine.now_ns - sem.held[task])
    if engine.watch is not None:
        engine.watch.gave(engine, task, sem, WRITE)
        engine.watch.took(engine, task, sem, READ)
        engine.watch.downgraded(engine, task, sem)
    sem.held[task] = engine.now_ns
    set_reader_owned(sem, task)
    change_count(engine, sem, sem.count - WRITER_LOCKED + READER_BIAS)
    stir_watchers(engine, sem)
    if sem.count & FLAG_WAITERS:
        rwsem_wake(engine, task, sem, Wake.READ_OWNED)


def is_contended(sem: RwSemaphore) -> bool:
    """rwsem_is_contended: whether anybody waits in the queue."""
    return bool(sem.wait_list)


def _start(engine: Engine[Any], task: Task, sem: RwSemaphore, mode: int) -> None:
    assert task not in sem.held, f"{task.name} takes {sem.name} twice"
    if sem.kind == "mmap_lock":
        engine.emit(LOCK_START, sem.id, mode)
    engine.cost("rwsem_atomic")
    sem.line.write(engine)


def _release(engine: Engine[Any], task: Task, sem: RwSemaphore, mode: int) -> None:
    assert mode_held(sem, task) == mode, f"{task.name} releases {sem.name}, which it does not hold"
    engine.cost("rwsem_atomic")
    sem.line.write(engine)
    engine.emit(LOCK_RELEASED, sem.id, mode, engine.now_ns - sem.held.pop(task))
    if engine.watch is not None:
        engine.watch.gave(engine, task, sem, mode)


def _log_failure(engine: Engine[Any], sem: RwSemaphore, mode: int) -> None:
    if not engine.logging:
        return
    if sem.count & WRITER_LOCKED:
        why = "writer"
    elif sem.count & FLAG_HANDOFF:
        why = "handoff"
    elif sem.count & FLAG_WAITERS:
        why = "waiters"
    else:
        why = "readers"
    engine.emit(LOCK_FAILED, sem.id, mode, engine.log.text(why))
