"""A lock on ranges: readers and writers of parts that do not meet do not wait for each other.

An interval tree of holders and waiters under a spinlock, first come first served: who asks waits
for everybody before him whose range meets his in a mode that excludes his. No Linux release has
one for address spaces; it was proposed several times. It does not know what the numbers mean.

Costs: range_lock, wake, wake_up_process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    CONTENTION_BEGIN,
    CONTENTION_END,
    LOCK_ACQUIRED,
    LOCK_DOWNGRADED,
    LOCK_FAILED,
    LOCK_NEW,
    LOCK_RELEASED,
    READ,
    WRITE,
)
from pfviz.sim.task import SLEEPING, Step, Task, step

from .wait_queue import Waiter, WaitQueue, wake_up_process


@dataclass(slots=True, eq=False)
class RangeWaiter(Waiter):
    """A task that waits for [start, end), and what it does once it has it."""

    sem: RangeLock
    start: int
    end: int
    then: Step


@dataclass(slots=True, eq=False)
class HeldRange:
    """A range that a task holds."""

    start: int
    end: int
    mode: int
    since_ns: int

    def excludes(self, start: int, end: int, mode: int) -> bool:
        """Whether [start, end) in `mode` must wait for it."""
        return self.start < end and start < self.end and WRITE in (self.mode, mode)


class RangeLock:
    """Ranges held and waited for; a task holds one at most. `owner` is the mm it belongs to."""

    __slots__ = ("held", "id", "kind", "line", "name", "owner", "wait_list")

    def __init__(self, engine: Engine[Any], kind: str, name: str, owner: int = -1) -> None:
        self.id = engine.new_id()
        self.kind = kind
        self.name = name
        self.owner = owner
        self.line = CacheLine(engine.new_id(), name)
        self.held: dict[Task, HeldRange] = {}
        self.wait_list: WaitQueue[RangeWaiter] = WaitQueue()
        if engine.logging:
            log = engine.log
            engine.emit(LOCK_NEW, self.id, log.text(kind), log.text(name), owner)

    @property
    def count(self) -> int:
        """How many ranges are held."""
        return len(self.held)

    @property
    def is_write_locked(self) -> bool:
        """Whether some range is held for writing."""
        return any(one.mode == WRITE for one in self.held.values())

    def mode_of(self, task: Task) -> int | None:
        """READ or WRITE if `task` holds a range, else None."""
        one = self.held.get(task)
        return None if one is None else one.mode

    def blockers(self, waiter: RangeWaiter) -> tuple[Task, ...]:
        """Whom a waiter waits for: holders, and those before him in the queue."""
        start, end, mode = waiter.start, waiter.end, waiter.mode
        found = [task for task, one in self.held.items() if one.excludes(start, end, mode)]
        for other in self.wait_list:
            if other is waiter:
                break
            if _meet(other, start, end, mode):
                found.append(other.task)
        return tuple(found)

    def check(self) -> None:
        """Every invariant of the lock between two steps, stated once."""
        holders = list(self.held.items())
        for at, (task, one) in enumerate(holders):
            for other_task, other in holders[at + 1 :]:
                assert not one.excludes(other.start, other.end, other.mode), (
                    f"{self.name}: {task.name} and {other_task.name} hold one range"
                )
        for waiter in self.wait_list:
            assert self.blockers(waiter), f"{self.name}: {waiter.task.name} waits for nobody"


def _meet(waiter: RangeWaiter, start: int, end: int, mode: int) -> bool:
    return waiter.start < end and start < waiter.end and WRITE in (waiter.mode, mode)


def _is_free(lock: RangeLock, start: int, end: int, mode: int) -> bool:
    return not any(one.excludes(start, end, mode) for one in lock.held.values()) and not any(
        _meet(waiter, start, end, mode) for waiter in lock.wait_list
    )


def _touch(engine: Engine[Any], lock: RangeLock) -> None:
    engine.cost("range_lock")
    lock.line.write(engine)


def range_lock(
    engine: Engine[Any], task: Task, lock: RangeLock, start: int, end: int, mode: int, then: Step
) -> Step:
    """Take [start, end) for reading or writing and go on with `then`, or sleep for it first."""
    assert task not in lock.held, f"{task.name} holds a range of {lock.name} already"
    if engine.watch is not None:
        engine.watch.asked(engine, task, lock, mode)
    _touch(engine, lock)
    if _is_free(lock, start, end, mode):
        _take(engine, task, lock, start, end, mode, 0, is_try=False)
        return then
    waiter = RangeWaiter(task, mode, engine.now_ns, lock, start, end, then)
    task.waiting = waiter
    position = lock.wait_list.enqueue(waiter)
    engine.emit(CONTENTION_BEGIN, lock.id, mode, position)
    return range_lock_slowpath


def range_trylock(
    engine: Engine[Any], task: Task, lock: RangeLock, start: int, end: int, mode: int
) -> bool:
    """Take [start, end) if nobody holds or awaits a part of it in the way; never sleeps."""
    _touch(engine, lock)
    if not _is_free(lock, start, end, mode):
        if engine.logging:
            engine.emit(LOCK_FAILED, lock.id, mode, engine.log.text("range held"))
        return False
    _take(engine, task, lock, start, end, mode, 0, is_try=True)
    return True


def range_unlock(engine: Engine[Any], task: Task, lock: RangeLock) -> None:
    """Give the range back and let those in who waited for nothing else."""
    one = lock.held.pop(task)
    _touch(engine, lock)
    engine.emit(LOCK_RELEASED, lock.id, one.mode, engine.now_ns - one.since_ns)
    if engine.watch is not None:
        engine.watch.gave(engine, task, lock, one.mode)
    _wake(engine, lock)


def range_downgrade(engine: Engine[Any], task: Task, lock: RangeLock) -> None:
    """Keep the range for reading only: readers of it may come in, no writer."""
    one = lock.held[task]
    _touch(engine, lock)
    engine.emit(LOCK_DOWNGRADED, lock.id, engine.now_ns - one.since_ns)
    if engine.watch is not None:
        engine.watch.gave(engine, task, lock, WRITE)
        engine.watch.took(engine, task, lock, READ)
    one.mode, one.since_ns = READ, engine.now_ns
    _wake(engine, lock)


def _take(
    engine: Engine[Any], task: Task, lock: RangeLock, start: int, end: int, mode: int,
    wait_ns: int, is_try: bool,
) -> None:  # fmt: skip
    lock.held[task] = HeldRange(start, end, mode, engine.now_ns)
    _say_taken(engine, task, lock, mode, wait_ns, is_try)


def _say_taken(
    engine: Engine[Any], task: Task, lock: RangeLock, mode: int, wait_ns: int, is_try: bool
) -> None:
    engine.emit(LOCK_ACQUIRED, lock.id, mode, wait_ns, is_try)
    if engine.watch is not None:
        engine.watch.took(engine, task, lock, mode)


def _wake(engine: Engine[Any], lock: RangeLock) -> None:
    """Hand ranges to the first waiters, in order, who meet nobody any more."""
    before: list[RangeWaiter] = []
    for waiter in list(lock.wait_list):
        start, end, mode = waiter.start, waiter.end, waiter.mode
        held = any(one.excludes(start, end, mode) for one in lock.held.values())
        if held or any(_meet(other, start, end, mode) for other in before):
            before.append(waiter)
            continue
        lock.wait_list.remove(waiter, engine.now_ns)
        lock.held[waiter.task] = HeldRange(start, end, mode, engine.now_ns)
        if waiter.task.state == SLEEPING:
            wake_up_process(engine, waiter.task)


@step("lib/range_lock.c (proposal)", cost="range_lock")
def range_lock_slowpath(engine: Engine[Any], task: Task) -> Step | None:
    """Part of the range is in use: sleep until it is handed over, unless it was already."""
    waiter: RangeWaiter = task.waiting
    lock = waiter.sem
    if task in lock.held:
        return range_granted
    engine.sleep(range_granted, f"range of {lock.name}", lock.id)
    return None


@step("lib/range_lock.c (proposal)", function="range_lock_slowpath")
def range_granted(engine: Engine[Any], task: Task) -> Step:
    """The range was handed over by who held a part of it."""
    waiter: RangeWaiter = task.waiting
    task.waiting = None
    lock = waiter.sem
    wait_ns = engine.now_ns - waiter.since_ns
    engine.emit(CONTENTION_END, lock.id, waiter.mode, wait_ns)
    lock.held[task].since_ns = engine.now_ns
    _say_taken(engine, task, lock, waiter.mode, wait_ns, is_try=False)
    return waiter.then
