"""The picker behind "choose who runs": it notes every choice that another picker was asked for."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from pfviz.sim.event import EventLog
from pfviz.sim.picker import Picker
from pfviz.sim.task import Task


@dataclass(frozen=True, slots=True)
class Decision:
    """A moment at which more than one task could run: `position` events had happened."""

    number: int
    position: int
    names: tuple[str, ...]
    chosen: int


@dataclass(slots=True)
class Chooser:
    """Asks another picker and remembers who could have run."""

    picker: Picker | None
    log: EventLog
    positions: array[int] = field(default_factory=lambda: array("q"))
    chosen: array[int] = field(default_factory=lambda: array("q"))
    names: list[tuple[str, ...]] = field(default_factory=list)

    def pick(self, due: Sequence[Task]) -> int:
        """The index of the task to run, noted together with the others that could have run."""
        choice = self.picker.pick(due) if self.picker else 0
        self.positions.append(len(self.log))
        self.chosen.append(choice)
        self.names.append(tuple(task.name for task in due))
        return choice

    def decision(self, number: int) -> Decision:
        """The decision of that number, counted from 0."""
        return Decision(number, self.positions[number], self.names[number], self.chosen[number])

    def after(self, position: int) -> Decision | None:
        """The first decision at or after a position of the log; None while there is none."""
        number = bisect_left(self.positions, position)
        return self.decision(number) if number < len(self.positions) else None
