"""Programs that only scenarios need: threads that work as long as others do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pfviz.mm.operations import Operation, Program
from pfviz.mm.thread import Thread
from pfviz.sim.task import DONE


@dataclass(slots=True)
class Background:
    """Another program, cut short between two operations once all `others` have ended."""

    program: Program
    others: tuple[int, ...]
    """Ids of the tasks that keep the run going."""

    def next_operation(self, engine: Any, thread: Thread) -> Operation | None:
        """What the other program says, or None when nobody is left to do it for."""
        if all(engine.tasks[task].state == DONE for task in self.others):
            return None
        return self.program.next_operation(engine, thread)

    def fresh(self) -> Background:
        """The same program from its start."""
        return Background(self.program.fresh(), self.others)
