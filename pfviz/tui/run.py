"""A run that is being watched: an engine that still computes, or a capture that has happened.

It owns the log, the timeline over it and how far both are known; where somebody looks is the
player's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm import rules
from pfviz.report.run import RULES_EVERY_STEPS
from pfviz.report.source import Shared
from pfviz.scenario.schema import Cue, Question
from pfviz.sim.engine import Engine
from pfviz.sim.event import EventLog
from pfviz.sim.machine import FOREVER_NS
from pfviz.views.cues import Cues
from pfviz.views.speeds import FIRST_EVENTS, usual_step_ns
from pfviz.views.timeline import STEP, Timeline

from .chooser import Chooser

if TYPE_CHECKING:
    from .recipe import Recipe

STEPS_PER_SLICE: Final = 32
"""Engine steps between two looks at the watch; a step takes some 10 microseconds."""
EVENTS_PER_SLICE: Final = 400
EVENTS_MAX: Final = 6_000_000
"""Longer runs are cut here (some 340 MB of log) and say so."""


@dataclass(slots=True)
class Run:
    """A log that grows (or not), folded as it does.

    Without an engine the log is a capture: it is all there, but must still be folded.
    """

    log: EventLog
    title: str
    story: str = ""
    engine: Engine[Any] | None = None
    recipe: Recipe | None = None
    until_ns: int = FOREVER_NS
    wanted_speed_ns: int = 0
    chooser: Chooser | None = None
    source_cues: tuple[Cue, ...] = ()
    questions: tuple[Question, ...] = ()
    path: str = ""
    """The file of its scenario or capture, where it was read from one."""
    shared: Shared | None = None
    """Where a share token says to begin; None is the start."""
    origin: int = 0
    """The position at which the run begins: what comes before sets the world up."""
    cut: bool = False
    """Whether the run was stopped at EVENTS_MAX."""
    _computed: bool = False
    timeline: Timeline = field(init=False)
    cues: Cues = field(init=False)
    askings: Cues = field(init=False)
    """Where the questions come; a place's number is that of its question, from 1."""

    def __post_init__(self) -> None:
        self._computed = self.engine is None
        self.timeline = Timeline(self.log, events_max=0)
        self.cues = Cues(self.source_cues, self.log, lambda: self.known_ns)
        asked = [Cue(caption=one.ask, at=one.at, when=one.when) for one in self.questions]
        self.askings = Cues(asked, self.log, lambda: self.known_ns)

    @property
    def is_capture(self) -> bool:
        """Whether this was recorded rather than computed."""
        return self.engine is None

    @property
    def has_steps(self) -> bool:
        """Whether its steps are known: those of a run that was exported are."""
        return self.engine is not None or bool(self.log.steps)

    @property
    def finished(self) -> bool:
        """Whether everything that will ever happen is known."""
        return self._computed and len(self.timeline) == len(self.log)

    @property
    def known_ns(self) -> int:
        """Up to here nothing can happen any more that is not in the timeline."""
        if self.finished:
            return max(self.timeline.end_ns, 0)
        if len(self.timeline) < len(self.log):
            return self.timeline.end_ns - 1
        next_ns = self.engine.peek_ns() if self.engine is not None else None
        return self.timeline.end_ns if next_ns is None else next_ns - 1

    @property
    def step_ns(self) -> float:
        """How long a step usually lasts (the mean of the first ones); 0 while unknown."""
        return usual_step_ns(self.log)

    def prepare(self) -> None:
        """Compute a first stretch, so that there is something to see and to judge a speed by."""
        while not self.finished and len(self.timeline) < self.origin + FIRST_EVENTS:
            self.advance(0.0)

    def advance(self, seconds: float) -> None:
        """Compute and fold for at most so long."""
        deadline = perf_counter() + seconds
        while not self.finished:
            behind = len(self.log) - len(self.timeline)
            if not self._computed and behind < EVENTS_PER_SLICE:
                self._compute()
            self.timeline.extend(EVENTS_PER_SLICE)
            if perf_counter() >= deadline:
                break

    def _compute(self) -> None:
        assert self.engine is not None
        done = self.engine.run(self.until_ns, STEPS_PER_SLICE)
        next_ns = self.engine.peek_ns()
        is_over = next_ns is None or next_ns > self.until_ns
        # At the same steps as a headless run looks at them, so that both have the same events.
        if is_over or self.engine.steps % RULES_EVERY_STEPS == 0:
            rules.report(self.engine)
        if is_over:
            self._computed = True
        elif len(self.log) >= EVENTS_MAX:
            self._computed = self.cut = True
        assert done or self._computed or next_ns is not None

    def count(self, unit: str = STEP) -> int:
        """How many steps (events, faults, ...) are known."""
        return self.timeline.count(len(self.timeline), unit)

    def words_of_end(self) -> str:
        """What to say at the end of a run, and what to do next."""
        if self.cut:
            return f"The run is cut here, after {len(self.log):,} events; it would go on."
        if self.is_capture:
            return "The capture ends here. {go.g} goes to its start."
        return "The run ends here. {go.g} goes to its start, {mode.next} tries another lock mode."
