"""The ladder of playing speeds: simulated nanoseconds per second of the viewer's time."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from pfviz.sim import event
from pfviz.sim.event import EventLog

LADDER_NS: Final[tuple[int, ...]] = tuple(
    int(step * 10**power) for power in range(9) for step in (1, 2, 5)
)
"""1 ns to 500 ms of simulated time per second: 1, 2, 5 times each power of ten."""

STEPS_PER_SECOND: Final = 4
"""How many steps of one thread should be seen per second at first."""
IDLE_S: Final = 1.2
"""A stretch in which nothing happens for longer than this is skipped while playing."""
FIRST_EVENTS: Final = 4_000
"""How much of a run is known when its speed is chosen: the same everywhere."""
WHOLE_RUN_S: Final = 45
"""A run should not take much longer than this to be seen from end to end at first."""


def rung(ns_per_s: float) -> int:
    """The index of the ladder's speed nearest above."""
    return min(bisect_left(LADDER_NS, ns_per_s), len(LADDER_NS) - 1)


def first_rung(step_ns: float, run_ns: int, wanted_ns: int = 0) -> int:
    """The speed to begin with, from the usual length of a step and of the whole run.

    `wanted_ns` is the scenario's own wish, 0 for none. Without one, steps should be seen one by
    one, unless the run is so long that its story would never be reached.
    """
    if wanted_ns:
        return rung(wanted_ns)
    return rung(max(step_ns * STEPS_PER_SECOND, run_ns / WHOLE_RUN_S))


ROWS_JUDGED: Final = 2_000


def usual_step_ns(log: EventLog) -> float:
    """How long a step usually lasts (the mean of the first ones); 0 while unknown."""
    total, steps = 0, 0
    for row in log.between(0, min(len(log), ROWS_JUDGED)):
        if row[1] == event.STEP:
            total += row[4] + row[5]
            steps += 1
    return total / steps if steps else 0.0
