"""Where in its workload a run stands, so that another run of the same workload can go there.

Times and steps differ between lock modes and kernels; operations and their faults do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .timeline import FAULT, OPERATION, Timeline


class Watched(Protocol):
    """A run as far as it is known."""

    @property
    def timeline(self) -> Timeline:
        """What is known of it."""

    @property
    def origin(self) -> int:
        """The position at which it begins."""

    @property
    def finished(self) -> bool:
        """Whether that is everything that will ever happen."""


class Watcher(Protocol):
    """Somebody who looks at one moment of a run."""

    @property
    def run(self) -> Watched:
        """The run."""

    @property
    def index(self) -> int:
        """How many of its events have happened there."""


@dataclass(frozen=True, slots=True)
class WorkloadPosition:
    """So many operations done by all threads, and so many faults since the last of them."""

    operations: int
    faults: int
    faults_in_all: int = field(default=0, compare=False)
    """All faults so far: what remains to go by where so many operations never come."""

    @classmethod
    def of(cls, player: Watcher) -> WorkloadPosition:
        """The position of a player's cursor."""
        timeline, index = player.run.timeline, player.index
        operations = timeline.count(index, OPERATION)
        since = timeline.nth(operations, OPERATION)
        in_all = timeline.count(index, FAULT)
        return cls(operations, in_all - timeline.count(since, FAULT), in_all)

    def find(self, player: Watcher) -> int | None:
        """Where this is in another run, None while that run is not known so far."""
        timeline, run = player.run.timeline, player.run
        if timeline.count(len(timeline), OPERATION) < self.operations:
            return self._without_operations(player) if run.finished else None
        base = timeline.nth(self.operations, OPERATION)
        wanted = timeline.count(base, FAULT) + self.faults
        next_operation = timeline.next(base, OPERATION)
        if timeline.count(next_operation, FAULT) >= wanted:
            return max(base, timeline.nth(wanted, FAULT)) if self.faults else base
        # The next operation ends before so many faults did: stop short of it.
        known = timeline.count(len(timeline), OPERATION) > self.operations or run.finished
        return max(base, next_operation - 1) if known else None

    def _without_operations(self, player: Watcher) -> int:
        """Whoever works on and on does more in a run that takes longer: faults are left, then."""
        timeline = player.run.timeline
        if 0 < self.faults_in_all <= timeline.count(len(timeline), FAULT):
            return timeline.nth(self.faults_in_all, FAULT)
        return len(timeline)

    def further(self, faults: int) -> WorkloadPosition:
        """So many faults later."""
        return WorkloadPosition(self.operations, self.faults + faults, self.faults_in_all + faults)

    def words(self) -> str:
        """The position in words, as the message after a restart says it."""
        if not self.operations and not self.faults:
            return "This is its start."
        done = f"{self.operations:,} operation" + ("" if self.operations == 1 else "s")
        more = (
            f" and {self.faults} fault" + ("" if self.faults == 1 else "s") if self.faults else ""
        )
        return f"At the same place in the workload: {done}{more} done."


def as_far(player: Watcher, leader: Watcher) -> int:
    """Where a run has done as much as the leader's has where the leader looks.

    Between two places of the workload it is as far (in events) as the leader between the same two,
    so that it moves with every step and not only with every fault.
    """
    place = WorkloadPosition.of(leader)
    index = place.find(player)
    if index is None:
        return len(player.run.timeline)
    begin, end = place.find(leader), _next_place(leader, leader.index)
    # What comes before its origin sets a world up and is no work.
    begin, index = max(leader.run.origin, begin or 0), max(player.run.origin, index)
    length = _next_place(player, index) - index
    return index + (leader.index - begin) * length // max(end - begin, 1)


def _next_place(player: Watcher, index: int) -> int:
    timeline = player.run.timeline
    return min(timeline.next(index, FAULT), timeline.next(index, OPERATION))
