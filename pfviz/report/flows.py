"""Which release of a lock let which acquisition through: the arrows between two threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pfviz.report.names import Names
from pfviz.sim import event as ev
from pfviz.sim.event import READ, EventLog


@dataclass(slots=True)
class Flows:
    """Arrows by the number of the row at which they begin or end; ids count from 1."""

    out: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Row of a release or downgrade -> the acquisitions that it let through."""
    into: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Row of an acquisition -> the one arrow that ends there."""


_WAIT_BEGINS = (ev.CONTENTION_BEGIN, ev.SPIN_BEGIN)
_GIVES = (ev.LOCK_RELEASED, ev.LOCK_DOWNGRADED)
_GETS = (ev.LOCK_ACQUIRED, ev.LOCK_FAILED)


def flows_of(log: EventLog, names: Names) -> Flows:
    """Find the arrows of a log.

    Whoever waited for a lock (in its queue, spinning, or asleep for the readers of a VMA lock) was
    let through by the last release or downgrade before it got the lock, if that came after it had
    begun to wait. Who shares a lock is granted it in its sleep, and others may take it and give it
    back before the sleeper runs: there the release is the one behind the wake-up.
    """
    table = np.frombuffer(bytes(log.rows), dtype="<i8").reshape(-1, 7)
    wanted = np.isin(table[:, 1], (*_WAIT_BEGINS, *_GIVES, *_GETS, ev.SLEEP, ev.SCHED_WAKEUP))
    waits = _Waits()
    flows = Flows()
    number = 0
    where = np.flatnonzero(wanted).tolist()
    for row, (_, kind, task, lock, b, *_) in zip(where, table[wanted].tolist(), strict=True):
        if kind in _WAIT_BEGINS:
            waits.begin(row, lock, task)
        elif kind in _GIVES:
            waits.give(row, lock, task)
        elif kind == ev.SLEEP:
            if b >= 0 and names.lock_kind(b) == "vma_lock":
                waits.begin(row, b, task)
        elif kind == ev.SCHED_WAKEUP:
            waits.wake(task, waker=b)
        else:
            is_shared = b == READ or names.lock_kind(lock) == "range_lock"
            gave = waits.end(lock, task, is_shared)
            if kind == ev.LOCK_ACQUIRED and gave >= 0:
                number += 1
                flows.out[gave] = (*flows.out.get(gave, ()), number)
                flows.into[row] = (number,)
    return flows


@dataclass(slots=True)
class _Wait:
    lock: int
    begun: int
    granted_by: int = -1
    """The row of the release behind its last wake-up; -1 while it was not woken."""


@dataclass(slots=True)
class _Waits:
    """Who waits for what, and which rows gave each lock back last."""

    by_lock: dict[tuple[int, int], _Wait] = field(default_factory=dict)
    by_task: dict[int, _Wait] = field(default_factory=dict)
    given: dict[int, int] = field(default_factory=dict)
    given_by: dict[tuple[int, int], int] = field(default_factory=dict)
    """By lock and task, as long as giving it back is the last that the task did with it."""

    def begin(self, row: int, lock: int, task: int) -> None:
        self.given_by.pop((lock, task), None)
        wait = self.by_lock.setdefault((lock, task), _Wait(lock, row))
        self.by_task[task] = wait

    def give(self, row: int, lock: int, task: int) -> None:
        self.given[lock] = self.given_by[lock, task] = row

    def wake(self, task: int, waker: int) -> None:
        """The waker has given the lock back, or saw by chance that it is free."""
        wait = self.by_task.get(task)
        if wait is not None:
            own = self.given_by.get((wait.lock, waker), -1)
            wait.granted_by = own if own > wait.begun else self.given.get(wait.lock, -1)

    def end(self, lock: int, task: int, is_shared: bool) -> int:
        """The task waits no more; the row that let it through, -1 when it had not to wait."""
        self.given_by.pop((lock, task), None)
        wait = self.by_lock.pop((lock, task), None)
        if wait is None:
            return -1
        if self.by_task.get(task) is wait:
            del self.by_task[task]
        gave = self.given.get(lock, -1)
        if is_shared and wait.granted_by > wait.begun:
            gave = wait.granted_by
        return gave if gave > wait.begun else -1
