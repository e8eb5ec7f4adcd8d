"""Who runs next among tasks that are due at the same moment: a replaceable oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .rng import Rng
from .task import Task


class Picker(Protocol):
    """Chooses an index into the tasks that are due now (two or more, in arrival order)."""

    def pick(self, due: Sequence[Task]) -> int: ...


@dataclass(slots=True)
class Seeded:
    """Rolls dice; the same seed gives the same schedule."""

    rng: Rng

    def pick(self, due: Sequence[Task]) -> int:
        return self.rng.below(len(due))


@dataclass(slots=True)
class Replayed:
    """Repeats recorded choices, then falls back to arrival order."""

    choices: tuple[int, ...]
    position: int = 0

    def pick(self, due: Sequence[Task]) -> int:
        if self.position >= len(self.choices):
            return 0
        choice = self.choices[self.position]
        self.position += 1
        return min(choice, len(due) - 1)


@dataclass(slots=True)
class Recorded:
    """Asks another picker and remembers what it said, so that the run can be replayed."""

    picker: Picker
    choices: list[int] = field(default_factory=list)

    def pick(self, due: Sequence[Task]) -> int:
        choice = self.picker.pick(due)
        self.choices.append(choice)
        return choice


@dataclass(slots=True)
class Overruled:
    """Asks another picker, except at some of its decisions, numbered from 0.

    The other one is asked there, too, so that all its later choices stay what they were: a seed
    and a short list of overruled decisions are a whole schedule.
    """

    picker: Picker
    choices: Mapping[int, int]
    asked: int = 0

    def pick(self, due: Sequence[Task]) -> int:
        choice = self.picker.pick(due)
        choice = min(self.choices.get(self.asked, choice), len(due) - 1)
        self.asked += 1
        return choice


@dataclass(slots=True)
class Chosen:
    """Asks the user (a callback) for a choice; arrival order when there is none."""

    ask: Callable[[Sequence[Task]], int | None]

    def pick(self, due: Sequence[Task]) -> int:
        choice = self.ask(due)
        return 0 if choice is None else choice
