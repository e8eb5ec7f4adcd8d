"""Where in its workload a run stands, so that another run of the same workload can go there.

Times and steps differ between lock modes and kernels; operations and their faults do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from pfviz.views.timeline import FAULT, OPERATION

from .player import Player


@dataclass(frozen=True, slots=True)
class WorkloadPosition:
    """So many operations done by all threads, and so many faults since the last of them."""

    operations: int
    faults: int

    @classmethod
    def of(cls, player: Player) -> WorkloadPosition:
        """The position of a player's cursor."""
        timeline, index = player.run.timeline, player.index
        operations = timeline.count(index, OPERATION)
        since = timeline.nth(operations, OPERATION)
        faults = timeline.count(index, FAULT) - timeline.count(since, FAULT)
        return cls(operations, faults)

    def find(self, player: Player) -> int | None:
        """Where this is in another run, None while that run is not known so far."""
        timeline, run = player.run.timeline, player.run
        if timeline.count(len(timeline), OPERATION) < self.operations:
            return len(timeline) if run.finished else None
        base = timeline.nth(self.operations, OPERATION)
        wanted = timeline.count(base, FAULT) + self.faults
        next_operation = timeline.next(base, OPERATION)
        if timeline.count(next_operation, FAULT) >= wanted:
            return max(base, timeline.nth(wanted, FAULT)) if self.faults else base
        # The next operation ends before so many faults did: stop short of it.
        known = timeline.count(len(timeline), OPERATION) > self.operations or run.finished
        return max(base, next_operation - 1) if known else None

    def further(self, faults: int) -> WorkloadPosition:
        """So many faults later."""
        return WorkloadPosition(self.operations, self.faults + faults)

    def words(self) -> str:
        """The position in words, as the message after a restart says it."""
        if not self.operations and not self.faults:
            return "This is its start."
        done = f"{self.operations:,} operation" + ("" if self.operations == 1 else "s")
        more = (
            f" and {self.faults} fault" + ("" if self.faults == 1 else "s") if self.faults else ""
        )
        return f"At the same place in the workload: {done}{more} done."
