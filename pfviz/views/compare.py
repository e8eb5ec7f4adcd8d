"""Runs of one workload side by side: aligned on the operations that their threads have done.

Knows operations, steps and results; two modes may do the same operation by different paths and at
different times, and the first operation they do differently is the first divergence.
"""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from pfviz.sim import event as ev
from pfviz.sim.event import EventLog

from .timeline import OPERATION, Timeline

OpKey = tuple[int, int]
"""(task, number of the operation of that task)."""


@dataclass(frozen=True, slots=True)
class OpRun:
    """One operation as one run did it; indices count events, as in `Timeline`."""

    task: int
    number: int
    name: str
    begin: int
    end: int
    latency_ns: int
    result: int
    path_hash: int
    """Of the steps it took and the fallbacks on the way."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs first differ: an operation, and the place in each run where it does."""

    task: int
    number: int
    name: str
    index_first: int
    index_second: int
    first: str
    """What the first run does there: a step, a cause, a result."""
    second: str


@dataclass(slots=True)
class _Open:
    name: str
    number: int
    begin: int
    hash: int = 0


@dataclass(slots=True)
class Operations:
    """The operations of one run, in the order in which they ended; grows with the log."""

    log: EventLog
    seen: int = 0
    done: dict[OpKey, OpRun] = field(default_factory=dict)
    order: list[OpKey] = field(default_factory=list)
    ends: array[int] = field(default_factory=lambda: array("q"))
    _open: dict[int, _Open] = field(default_factory=dict)
    _step_hashes: list[int] = field(default_factory=list)

    def extend(self) -> None:
        """Read what the log has grown by."""
        log, hashes, opened = self.log, self._step_hashes, self._open
        for info in log.steps[len(hashes) :]:
            hashes.append(zlib.crc32(info.name.encode()))
        last = len(log)
        rows = log.between(self.seen, last)
        for index, (_, kind, task, a, b, c, d) in enumerate(rows, start=self.seen + 1):
            if kind == ev.STEP:
                current = opened.get(task)
                if current is not None:
                    current.hash = (current.hash * 1_000_003 ^ hashes[a]) & 0xFFFF_FFFF_FFFF
            elif kind == ev.OP_BEGIN:
                opened[task] = _Open(log.texts[a], d, index)
            elif kind == ev.FAULT_FALLBACK:
                if (current := opened.get(task)) is not None:
                    cause = zlib.crc32(log.texts[a].encode())
                    current.hash = (current.hash * 1_000_003 ^ cause) & 0xFFFF_FFFF_FFFF
            elif kind == ev.OP_END and (current := opened.pop(task, None)) is not None:
                key = (task, current.number)
                self.done[key] = OpRun(
                    task, current.number, current.name, current.begin, index, b, c, current.hash
                )
                self.order.append(key)
                self.ends.append(index)
        self.seen = last

    def count(self, index: int) -> int:
        """How many operations had ended within the first `index` events."""
        return bisect_right(self.ends, index)


class Alignment:
    """Two or more runs of the same workload; the same operation has the same key in all."""

    def __init__(self, timelines: Sequence[Timeline]) -> None:
        assert len(timelines) >= 1
        self.timelines = list(timelines)
        self.operations = [Operations(timeline.log) for timeline in timelines]
        self.extend()

    def extend(self) -> None:
        """Read what the logs have grown by (the timelines must have been extended)."""
        for operations in self.operations:
            operations.extend()

    def by_work(self, lead: int, index: int) -> list[int]:
        """An index per run at which as much work is done as in run `lead` at `index`.

        Between two operations a run is as far (in events) as the leader is between the same two;
        a run that has done less than that so far stands at its end.
        """
        leader = self.timelines[lead]
        done = leader.count(index, OPERATION)
        start, stop = leader.nth(done, OPERATION), leader.nth(done + 1, OPERATION)
        found: list[int] = []
        for number, timeline in enumerate(self.timelines):
            if number == lead:
                found.append(index)
                continue
            first = timeline.nth(done, OPERATION)
            last = timeline.nth(done + 1, OPERATION)
            share = (index - start) * (last - first) // max(stop - start, 1)
            found.append(min(max(first + share, 0), len(timeline)))
        return found

    def by_time(self, lead: int, index: int) -> list[int]:
        """An index per run at the same simulated time as run `lead` at `index`."""
        now_ns = self.timelines[lead].time_at(index)
        return [
            index if number == lead else timeline.index_at(now_ns)
            for number, timeline in enumerate(self.timelines)
        ]

    def first_divergence(self, first: int = 0, second: int = 1) -> Divergence | None:
        """The first operation that two runs did by different steps or with different results.

        "First" is by the order of ends in run `first`; operations that only one of them has done
        so far say nothing.
        """
        one, other = self.operations[first], self.operations[second]
        for key in one.order:
            mine, theirs = one.done[key], other.done.get(key)
            if theirs is None:
                continue
            same = mine.path_hash == theirs.path_hash and mine.result == theirs.result
            if not same or mine.name != theirs.name:
                return self._locate(one.log, mine, other.log, theirs)
        return None

    def slowest(self, limit: int) -> list[tuple[OpKey, str, list[int]]]:
        """The operations whose latency differs most between the runs that all have done them.

        Each as (key, name, latency per run in ns), the largest difference first.
        """
        common = [
            key
            for key in self.operations[0].order
            if all(key in operations.done for operations in self.operations)
        ]
        rows: list[tuple[OpKey, str, list[int]]] = [
            (
                key,
                self.operations[0].done[key].name,
                [operations.done[key].latency_ns for operations in self.operations],
            )
            for key in common
        ]
        rows.sort(key=lambda row: (min(row[2]) - max(row[2]), row[0]))
        return rows[:limit]

    @staticmethod
    def _locate(one: EventLog, mine: OpRun, other: EventLog, theirs: OpRun) -> Divergence:
        here, there = _path(one, mine), _path(other, theirs)
        common = min(len(here), len(there))
        at = next((i for i in range(common) if here[i][1] != there[i][1]), common)
        index_first, first = here[at] if at < len(here) else (mine.end, _ended(mine))
        index_second, second = there[at] if at < len(there) else (theirs.end, _ended(theirs))
        return Divergence(
            mine.task, mine.number, mine.name, index_first, index_second, first, second
        )


def _ended(run: OpRun) -> str:
    return f"done ({run.result})" if run.result else "done"


def _path(log: EventLog, run: OpRun) -> list[tuple[int, str]]:
    """(index, step function or `! cause`) of one operation."""
    found: list[tuple[int, str]] = []
    rows = log.between(run.begin, run.end)
    for index, (_, kind, task, a, *_) in enumerate(rows, start=run.begin + 1):
        if task != run.task:
            continue
        if kind == ev.STEP:
            found.append((index, log.steps[a].name.rpartition(".")[2]))
        elif kind == ev.FAULT_FALLBACK:
            found.append((index, f"! {log.texts[a]}"))
    return found
