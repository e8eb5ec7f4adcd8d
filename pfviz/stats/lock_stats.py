"""What an event log says about each lock: how often taken, how long waited for, how long held.

The same for a simulated run and a capture; a time that the log does not know is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pfviz.sim import event as ev
from pfviz.sim.event import ROW, WRITE, EventLog
from pfviz.stats.histogram import percentile

_NO_TIMES = {"p50": 0, "p99": 0, "max": 0, "total": 0}
_FIRST, _LAST = ev.LOCK_NEW, ev.SPIN_END


@dataclass(slots=True)
class LockStats:
    """One lock's figures; durations in nanoseconds, one per acquisition or hold."""

    id: int
    name: str = ""
    kind: str = ""
    owner: int = -1
    reads: int = 0
    writes: int = 0
    contended: int = 0
    """Acquisitions that had to queue or to spin."""
    trylock_failed: int = 0
    waiters_max: int = 0
    waits_ns: list[int] = field(default_factory=list)
    """One per acquisition, zero without contention."""
    write_waits_ns: list[int] = field(default_factory=list)
    holds_ns: list[int] = field(default_factory=list)
    """A downgrade ends the write hold and begins a read hold."""
    write_holds_ns: list[int] = field(default_factory=list)
    _queue_ns: list[int] = field(default_factory=list)
    _waiting: set[int] = field(default_factory=set)
    _struggling: set[int] = field(default_factory=set)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `pfviz run --json` has for a lock."""
        return {
            "name": self.name,
            "kind": self.kind,
            "reads": self.reads,
            "writes": self.writes,
            "contended": self.contended,
            "trylock_failed": self.trylock_failed,
            "wait_ns": rank_times(self.waits_ns or self._queue_ns),
            "hold_ns": rank_times(self.holds_ns),
            "waiters_max": self.waiters_max,
        }

    def add(self, kind: int, task: int, b: int, c: int, d: int) -> None:
        """Count one lock event (b, c, d: its payload after the lock)."""
        if kind == ev.LOCK_ACQUIRED:
            self.reads += b != WRITE
            self.writes += b == WRITE
            self._struggling.discard(task)
            if c >= 0:
                self.waits_ns.append(c)
                if b == WRITE:
                    self.write_waits_ns.append(c)
        elif kind == ev.LOCK_RELEASED:
            self._held(c, b)
        elif kind == ev.LOCK_DOWNGRADED:
            self._held(b, WRITE)
        elif kind == ev.LOCK_FAILED:
            self.trylock_failed += 1
            self._struggling.discard(task)
        elif kind in (ev.CONTENTION_BEGIN, ev.SPIN_BEGIN):
            self.contended += task not in self._struggling
            self._struggling.add(task)
            if kind == ev.CONTENTION_BEGIN:
                self._waiting.add(task)
                self.waiters_max = max(self.waiters_max, len(self._waiting))
        elif kind in (ev.CONTENTION_END, ev.SPIN_END):
            self._waiting.discard(task)
            self._queue_ns.append(c)
            if d or kind == ev.CONTENTION_END:
                self._struggling.discard(task)

    def _held(self, hold_ns: int, mode: int) -> None:
        if hold_ns >= 0:
            self.holds_ns.append(hold_ns)
            if mode == WRITE:
                self.write_holds_ns.append(hold_ns)


def count_locks(log: EventLog) -> dict[int, LockStats]:
    """Return the figures of every lock of a log by its id, in the order of first appearance."""
    # Lock events are a small part of a log: numpy finds them.
    rows = np.frombuffer(bytes(log.rows), dtype="<i8").reshape(-1, ROW.size // 8)
    kinds = rows[:, 1]
    locks: dict[int, LockStats] = {}
    for _, kind, task, lock, b, c, d in rows[(kinds >= _FIRST) & (kinds <= _LAST)].tolist():
        stats = locks.get(lock)
        if stats is None:
            stats = locks[lock] = LockStats(lock)
        if kind == ev.LOCK_NEW:
            stats.kind, stats.name, stats.owner = log.texts[b], log.texts[c], d
        else:
            stats.add(kind, task, b, c, d)
    return locks


def rank_times(times_ns: list[int]) -> dict[str, int]:
    """Return p50, p99 (nearest rank), max and total; zeros when there is none."""
    if not times_ns:
        return dict(_NO_TIMES)
    ordered = sorted(times_ns)
    return {
        "p50": percentile(ordered, 0.5),
        "p99": percentile(ordered, 0.99),
        "max": ordered[-1],
        "total": sum(ordered),
    }
