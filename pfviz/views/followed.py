"""Which thread the panes about one thread show while a run plays and nobody selected one.

Whoever took the last step changes many times a second; a reader needs a few seconds with each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pfviz.views import states
from pfviz.views.frame import Frame

STAY_S: Final = 3.0
DULL_STAY_S: Final = 0.5
DULL: Final = frozenset((states.NEW, states.USER, states.SLEEP, states.OFF_CPU, states.ENDED))
"""States of which there is little to tell: who is in one of them is soon left."""


@dataclass(slots=True)
class Followed:
    """Stays with a thread for some seconds, then goes to the one that has waited longest."""

    task: int = -1
    since_s: float = -STAY_S

    def at(self, frame: Frame, now_s: float) -> int:
        """The thread to show at this moment of the run and of the viewer's clock; -1 for none."""
        known = self.task in frame.tasks and not frame.tasks[self.task].ended
        dull = known and frame.tasks[self.task].state in DULL
        if known and now_s - self.since_s < (DULL_STAY_S if dull else STAY_S):
            return self.task
        # Waiting threads, the longest first: their sentence says who keeps them and why. Then
        # those in a fault or a system call.
        chosen = next(iter(frame.waiting), -1)
        if chosen < 0:
            busy = (task.id for task in frame.people() if task.state not in DULL)
            chosen = next(busy, self.task if known else frame.step_task)
        if chosen != self.task:
            self.task, self.since_s = chosen, now_s
        return chosen
