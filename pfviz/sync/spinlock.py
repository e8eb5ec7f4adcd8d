"""Queued spinlocks: waiters burn their CPU in order of arrival, and the holder hands over.

The holder and all waiters have preemption disabled. What the lock guards is not known here.

Costs: spin_lock, spin_lock_slowpath.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    LOCK_ACQUIRED,
    LOCK_FAILED,
    LOCK_NEW,
    LOCK_RELEASED,
    SPIN,
    SPIN_BEGIN,
    SPIN_END,
)
from pfviz.sim.task import Step, Task, step

from .wait_queue import Waiter, WaitQueue


@dataclass(slots=True, eq=False)
class SpinWaiter(Waiter):
    """A task that spins on `lock`, and what it does once it has it."""

    lock: SpinLock
    then: Step


class SpinLock:
    """A qspinlock: a word with a holder, and a FIFO of MCS nodes behind it."""

    __slots__ = ("held_since_ns", "holder", "id", "kind", "line", "name", "owner", "queue")

    def __init__(
        self,
        engine: Engine[Any],
        kind: str,
        name: str,
        owner: int = -1,
        line: CacheLine | None = None,
    ) -> None:
        self.id = engine.new_id()
        self.kind = kind
        self.name = name
        self.owner = owner
        self.line = CacheLine(engine.new_id(), name) if line is None else line
        self.holder: Task | None = None
        self.held_since_ns = 0
        self.queue: WaitQueue[SpinWaiter] = WaitQueue()
        if engine.logging:
            log = engine.log
            engine.emit(LOCK_NEW, self.id, log.text(kind), log.text(name), owner)

    def check(self) -> None:
        """Every invariant of the lock, stated once."""
        if self.holder is not None:
            assert self.holder.preempt_count, f"the holder of {self.name} can be preempted"
        assert not self.queue or self.holder, f"{self.name} is free, but tasks spin on it"
        for waiter in self.queue:
            assert waiter.task.preempt_count, f"{waiter.task.name} spins and can be preempted"


def spin_lock(engine: Engine[Any], task: Task, lock: SpinLock, then: Step) -> Step:
    """Take the lock and go on with `then`, or spin in the queue first."""
    assert lock.holder is not task, f"{task.name} spins on {lock.name}, which it holds"
    if engine.watch is not None:
        engine.watch.asked(engine, task, lock, SPIN)
    task.preempt_count += 1
    engine.cost("spin_lock")
    lock.line.write(engine)
    if lock.holder is None:
        _taken(engine, task, lock, 0, is_try=False)
        return then
    task.waiting = SpinWaiter(task, SPIN, engine.now_ns, lock, then)
    return queued_spin_lock_slowpath


def spin_trylock(engine: Engine[Any], task: Task, lock: SpinLock) -> bool:
    """Take the lock if it is free and nobody queues."""
    engine.cost("spin_lock")
    lock.line.write(engine)
    if lock.holder is not None:
        if engine.logging:
            engine.emit(LOCK_FAILED, lock.id, SPIN, engine.log.text("held"))
        return False
    task.preempt_count += 1
    _taken(engine, task, lock, 0, is_try=True)
    return True


def spin_unlock(engine: Engine[Any], task: Task, lock: SpinLock) -> None:
    """Release; the first waiter owns the lock from now on and sees it when the line reaches it."""
    assert lock.holder is task, f"{task.name} unlocks {lock.name}, which it does not hold"
    engine.cost("spin_lock")
    lock.line.write(engine)
    engine.emit(LOCK_RELEASED, lock.id, SPIN, engine.now_ns - lock.held_since_ns)
    if engine.watch is not None:
        engine.watch.gave(engine, task, lock, SPIN)
    task.preempt_count -= 1
    lock.holder = None
    if lock.queue:
        heir = lock.queue.first
        lock.queue.remove(heir, engine.now_ns)
        lock.holder = heir.task
        engine.stop_spinning(heir.task, engine.extra_ns)


@step("kernel/locking/qspinlock.c", cost="spin_lock_slowpath")
def queued_spin_lock_slowpath(engine: Engine[Any], task: Task) -> Step | None:
    """Queue for the spinlock, burning the CPU until the task before hands it over."""
    waiter: SpinWaiter = task.waiting
    lock = waiter.lock
    lock.line.write(engine)
    if lock.holder is None:
        task.waiting = None
        _taken(engine, task, lock, engine.now_ns - waiter.since_ns, is_try=False)
        return waiter.then
    lock.queue.enqueue(waiter)
    engine.emit(SPIN_BEGIN, lock.id, SPIN)
    engine.spin(mcs_spin_unlocked)
    return None


@step("kernel/locking/qspinlock.c", function="queued_spin_lock_slowpath")
def mcs_spin_unlocked(engine: Engine[Any], task: Task) -> Step:
    """The task before released the spinlock: it is mine, once its cache line has arrived."""
    waiter: SpinWaiter = task.waiting
    lock = waiter.lock
    assert lock.holder is task, f"{task.name} stopped spinning on {lock.name} without owning it"
    lock.line.write(engine)
    wait_ns = engine.now_ns - waiter.since_ns
    engine.emit(SPIN_END, lock.id, SPIN, wait_ns, 1)
    task.waiting = None
    _taken(engine, task, lock, wait_ns, is_try=False)
    return waiter.then


def _taken(engine: Engine[Any], task: Task, lock: SpinLock, wait_ns: int, is_try: bool) -> None:
    lock.holder = task
    lock.held_since_ns = engine.now_ns
    engine.emit(LOCK_ACQUIRED, lock.id, SPIN, wait_ns, is_try)
    if engine.watch is not None:
        engine.watch.took(engine, task, lock, SPIN)
