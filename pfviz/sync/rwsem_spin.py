"""What a spinning writer sees and may do (kernel/locking/rwsem.c): owner states, limits, stealing.

Costs: rwsem_atomic.
"""

from __future__ import annotations

from typing import Any, Final

from pfviz.sim.engine import Engine
from pfviz.sim.machine import FOREVER_NS, Cpu
from pfviz.sim.scheduler import account, comes_before
from pfviz.sim.task import Step, Task

from .rw_semaphore import (
    FLAG_HANDOFF,
    LOCK_MASK,
    NONSPINNABLE,
    READER_OWNED,
    WRITER_LOCKED,
    RwSemaphore,
    RwsemWaiter,
    change_count,
    is_on_cpu,
    set_writer_owner,
)

# enum owner_state
OWNER_NULL: Final = 1
OWNER_WRITER: Final = 2
OWNER_READER: Final = 4
OWNER_NONSPINNABLE: Final = 8

READERS_COUNTED_MAX: Final = 30

LOOK_EVERY_NS: Final = 1_000
"""How soon a spinner notices what no change of the lock tells it: an owner that lost its CPU, a
task that wants the spinner's CPU. The kernel looks in every round; a model need not."""


def need_resched(engine: Engine[Any], task: Task) -> bool:
    """Whether another task should have this CPU by now; asked while preemption is disabled."""
    cpu: Cpu | None = task.cpu
    if cpu is None or engine.now_ns < cpu.resched_ns or not cpu.queue:
        return False
    account(task, engine.now_ns)
    return any(comes_before(queued, task) for queued in cpu.queue)


def rwsem_can_spin_on_owner(engine: Engine[Any], task: Task, sem: RwSemaphore) -> bool:
    """Spinning may pay off: nobody needs this CPU, and the owner runs, or may, or is unknown."""
    if need_resched(engine, task) or sem.owner_flags & NONSPINNABLE:
        return False
    owner = sem.owner_task
    return owner is None or bool(sem.owner_flags & READER_OWNED) or is_on_cpu(owner)


def rwsem_owner_state(sem: RwSemaphore) -> int:
    """What the owner word says, true or stale."""
    if sem.owner_flags & NONSPINNABLE:
        return OWNER_NONSPINNABLE
    if sem.owner_flags & READER_OWNED:
        return OWNER_READER
    return OWNER_WRITER if sem.owner_task is not None else OWNER_NULL


def rwsem_rspin_threshold(sem: RwSemaphore, now_ns: int) -> int:
    """Until when to spin on readers: (20 + min(readers, 30)) / 2 us from now."""
    return now_ns + (20 + min(sem.readers, READERS_COUNTED_MAX)) * 1_000 // 2


def rwsem_try_write_lock_unqueued(engine: Engine[Any], task: Task, sem: RwSemaphore) -> bool:
    """Take the lock past those who queue, unless it is held or handed over."""
    if sem.count & (LOCK_MASK | FLAG_HANDOFF):
        return False
    engine.cost("rwsem_atomic")
    sem.line.write(engine)
    set_writer_owner(sem, task)
    change_count(engine, sem, sem.count | WRITER_LOCKED)
    return True


def spin_on_owner(engine: Engine[Any], task: Task, waiter: RwsemWaiter) -> int | None:
    """One look at the owner: its state, or None to look again (a writer that runs holds it)."""
    sem = waiter.sem
    state = rwsem_owner_state(sem)
    if waiter.spun_on is None:
        if state != OWNER_WRITER:
            return state
        waiter.spun_on = sem.owner_task
    elif state != OWNER_WRITER or sem.owner_task is not waiter.spun_on:
        waiter.spun_on = None
        return state
    assert sem.owner_task is not None
    if need_resched(engine, task) or not is_on_cpu(sem.owner_task):
        waiter.spun_on = None
        return OWNER_NONSPINNABLE
    return None


def watch(engine: Engine[Any], waiter: RwsemWaiter, then: Step, limit_ns: int = FOREVER_NS) -> None:
    """Spin without steps until the lock changes (`stir_watchers`), at most until the next look."""
    look_ns = min(LOOK_EVERY_NS, limit_ns - engine.now_ns + 1)
    waiter.looks += 1
    waiter.sem.watchers.append(waiter)
    engine.alarm(look_ns, _look_again, (waiter, waiter.looks))
    engine.spin(then)


def _look_again(engine: Engine[Any], watched: tuple[RwsemWaiter, int]) -> None:
    waiter, look = watched
    watchers = waiter.sem.watchers
    if waiter.looks == look and waiter in watchers:
        watchers.remove(waiter)
        engine.stop_spinning(waiter.task)
