"""What tasks, locks and steps of a log are called, for tables and tracks.

A name is the last one that the log gives: an export knows how the run ended.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from pfviz.report.measure import Rows, lock_names
from pfviz.sim import event
from pfviz.sim.event import NOBODY, EventLog

FIRST_TID: Final = 1000
"""The thread id of a run's first thread."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names by number; an unknown number is called by what it is: `task 7`, `lock 12`."""

    log: EventLog
    tasks: dict[int, str] = field(default_factory=dict)
    locks: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Kind and name."""
    same_names: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How many locks have a kind and a name."""

    def task(self, number: int) -> str:
        """The name of a thread; "" for nobody."""
        if number == NOBODY:
            return ""
        return self.tasks.get(number) or f"task {number}"

    def tid(self, number: int) -> int:
        """The thread id that kernel formats know it by: its own in a capture.

        Threads of a run count from 0, which to every kernel tool is the idle task.
        """
        if number < 0 or "front_end" in self.log.meta:
            return max(number, 0)
        return FIRST_TID + number

    def lock(self, number: int) -> str:
        """The name of a lock; "" for none."""
        if number < 0:
            return ""
        found = self.locks.get(number)
        return found[1] if found is not None and found[1] else f"lock {number}"

    def lock_label(self, number: int) -> str:
        """The name of a lock, with its number where others have the same name (after a fork)."""
        name = self.lock(number)
        return (
            f"{name} #{number}" if self.same_names[self.locks.get(number, ("", ""))] > 1 else name
        )

    def lock_kind(self, number: int) -> str:
        """The kind of a lock; "" when it is not known."""
        found = self.locks.get(number)
        return found[0] if found is not None else ""

    def step(self, number: int) -> str:
        """The kernel function of a step; "" when there is none."""
        return self.log.steps[number].function if 0 <= number < len(self.log.steps) else ""


def names_of(log: EventLog) -> Names:
    """Collect the names of a log."""
    rows = Rows(log)
    tasks = {row[2]: log.texts[row[3]] for row in rows.of(event.TASK_NEW).tolist()}
    locks = lock_names(rows)
    return Names(log, tasks, locks, Counter(locks.values()))
