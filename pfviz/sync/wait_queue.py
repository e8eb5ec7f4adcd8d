"""The one FIFO under every lock: who waits, in which mode, since when, behind how many others.

It knows no lock word and no policy: who is woken, and when, is the lock's business.

Costs: wake, wake_up_process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pfviz.sim.engine import Engine
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, Task


@dataclass(slots=True, eq=False)
class Waiter:
    """One task in a queue; locks that must remember more derive from it."""

    task: Task
    mode: int
    """READ, WRITE or SPIN, as in lock events."""
    since_ns: int


W = TypeVar("W", bound=Waiter)


@dataclass(frozen=True, slots=True)
class WaitQueueStatistics:
    """What passed through a queue until one moment; a copy that does not change any more."""

    waiting: int
    waiting_max: int
    arrivals: int
    departures: int
    wait_ns_total: int
    wait_ns_max: int


@dataclass(slots=True, eq=False)
class _Tally:
    """Counters only a viewer reads; two worlds that differ in nothing else are the same world."""

    is_cache: ClassVar[bool] = True

    waiting_max: int = 0
    arrivals: int = 0
    departures: int = 0
    wait_ns_total: int = 0
    wait_ns_max: int = 0


@dataclass(slots=True, eq=False)
class WaitQueue(Generic[W]):
    """Waiters in order of arrival; a lock may take any of them out, but adds at the end only."""

    waiters: list[W] = field(default_factory=list)
    _tally: _Tally = field(default_factory=_Tally)

    def __len__(self) -> int:
        return len(self.waiters)

    def __iter__(self) -> Iterator[W]:
        return iter(self.waiters)

    @property
    def first(self) -> W:
        """The one that waits longest; the queue must not be empty."""
        return self.waiters[0]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Who waits, in order."""
        return tuple(waiter.task for waiter in self.waiters)

    def enqueue(self, waiter: W) -> int:
        """Append; returns how many wait before it."""
        position = len(self.waiters)
        self.waiters.append(waiter)
        tally = self._tally
        tally.arrivals += 1
        tally.waiting_max = max(tally.waiting_max, position + 1)
        return position

    def position(self, task: Task) -> int:
        """How many wait before `task`; -1 when it does not wait here."""
        for position, waiter in enumerate(self.waiters):
            if waiter.task is task:
                return position
        return -1

    def remove(self, waiter: W, now_ns: int) -> None:
        """Take one waiter out, wherever it stands."""
        self.waiters.remove(waiter)
        wait_ns = now_ns - waiter.since_ns
        tally = self._tally
        tally.departures += 1
        tally.wait_ns_total += wait_ns
        tally.wait_ns_max = max(tally.wait_ns_max, wait_ns)

    def statistics(self) -> WaitQueueStatistics:
        """A frozen snapshot of what passed through so far."""
        tally = self._tally
        return WaitQueueStatistics(
            len(self.waiters), tally.waiting_max, tally.arrivals, tally.departures,
            tally.wait_ns_total, tally.wait_ns_max,
        )  # fmt: skip

    def wake_one(self, engine: Engine[Any]) -> Task | None:
        """Take the first waiter out and wake it; None when nobody waits."""
        if not self.waiters:
            return None
        waiter = self.waiters[0]
        self.remove(waiter, engine.now_ns)
        wake_up_process(engine, waiter.task)
        return waiter.task

    def wake_all(self, engine: Engine[Any]) -> int:
        """Wake everybody in order of arrival; how many were woken."""
        count = len(self.waiters)
        while self.wake_one(engine) is not None:
            pass
        return count


def sleep_on(
    engine: Engine[Any],
    queue: WaitQueue[Waiter],
    then: Step,
    why: str,
    lock: int = -1,
    mode: int = WRITE,
) -> None:
    """Put the running task to sleep at the end of `queue`; once woken it goes on with `then`."""
    queue.enqueue(Waiter(engine.running, mode, engine.now_ns))
    engine.sleep(then, why, lock)


def wake_up_process(engine: Engine[Any], task: Task) -> None:
    """Wake a sleeper; the waker pays its part, so that many wake-ups come one after another."""
    engine.cost("wake_up_process")
    engine.wake(task, engine.machine.costs["wake"] + engine.extra_ns)
