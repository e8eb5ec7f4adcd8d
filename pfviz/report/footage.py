"""A run that is over, folded, with its cues and its speed: what pictures and films are made of.

It finds places in it; how a moment is painted, others know.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pfviz.mm.presets import preset
from pfviz.report.recording import Recording
from pfviz.scenario import policies
from pfviz.scenario.overrides import kernel_of, mode_for
from pfviz.scenario.schema import Layout
from pfviz.scenario.times import nanoseconds
from pfviz.sim.event import EventLog
from pfviz.views import spots
from pfviz.views.bars import World
from pfviz.views.cues import Cues
from pfviz.views.speeds import FIRST_EVENTS, LADDER_NS, first_rung, usual_step_ns
from pfviz.views.spots import parse_spot
from pfviz.views.timeline import CUE, EVENT, STEP, Timeline


@dataclass(slots=True)
class Footage:
    """A finished log and all that pictures of it need; positions count events."""

    log: EventLog
    name: str
    title: str
    story: str
    world: World | None
    """None for a capture."""
    timeline: Timeline
    cues: Cues
    origin: int
    """The position at which the run begins: what comes before sets the world up."""
    layout: Layout = field(default_factory=Layout)
    wanted_speed_ns: int = 0
    """The speed that the scenario's author chose; 0 for none."""

    @property
    def unit(self) -> str:
        """What is counted: steps, or events in a capture."""
        return EVENT if self.world is None else STEP

    @property
    def end(self) -> int:
        """The position after the last event."""
        return len(self.timeline)

    @property
    def speed_ns(self) -> int:
        """Simulated nanoseconds in a second of play, unless somebody asks for others."""
        known = min(self.end, self.origin + FIRST_EVENTS)
        busy_ns = self.timeline.time_at(self.origin + (known - self.origin) * 9 // 10)
        return LADDER_NS[first_rung(usual_step_ns(self.log), busy_ns, self.wanted_speed_ns)]

    def position_of(self, text: str) -> tuple[int, int]:
        """The place that a text names (`412`, `12.4us`, `50%`, `cue 2`, `end`): (position, ns).

        Raises:
            ValueError: it names no place, or none that this run has.
        """
        spot, timeline = parse_spot(text), self.timeline
        unit = self.unit if spot.kind == spots.PLAIN_NUMBER else spot.kind
        match unit:
            case spots.START:
                index = self.origin
            case spots.END:
                index = self.end
            case spots.TIME:
                index = max(timeline.index_at(spot.number), self.origin)
                return index, min(max(spot.number, 0), timeline.end_ns)
            case spots.SHARE:
                index = self.origin + (self.end - self.origin) * spot.number // 1000
            case spots.MARK:
                raise ValueError("bookmarks are of the screen: name a time, a step or a cue")
            case kind if kind == CUE:
                index = self._cue(spot.number)
            case _:
                index = self._nth(unit, spot.number)
        return index, timeline.time_at(index)

    def _cue(self, number: int) -> int:
        found = self.cues.found()
        for place in found:
            if place.number == number:
                return place.position
        known = ", ".join(str(place.number) for place in found)
        raise ValueError(f"cue {number} does not come in this run; its cues: {known or 'none'}")

    def _nth(self, unit: str, number: int) -> int:
        known = self.timeline.count(self.end, unit)
        if number > known:
            raise ValueError(f"{unit} {number:,} does not come: the run has {known:,}")
        return max(self.timeline.nth(number, unit), self.origin)


def footage_of(recording: Recording) -> Footage:
    """Fold a finished run or a capture; its cues are those that are true of it."""
    scenario, overrides, log = recording.scenario, recording.overrides, recording.log
    timeline = Timeline(log)
    if scenario is None:
        story = recording.about or "A capture of a real kernel."
        return Footage(log, recording.name, recording.name, story, None, timeline,
                       Cues((), log, lambda: timeline.end_ns), recording.origin)  # fmt: skip
    kernel, mode = kernel_of(scenario, overrides), mode_for(scenario, overrides)
    world = World(
        kernel, mode, scenario.seed if overrides.seed is None else overrides.seed,
        preset(kernel).modes, policies.changed(scenario.policy, overrides.policy),
    )  # fmt: skip
    cues = tuple(cue for cue in scenario.cue if cue.comes_in(kernel, mode))
    wish = scenario.layout.speed
    return Footage(
        log, scenario.name, scenario.title, " ".join(scenario.story.split()), world, timeline,
        Cues(cues, log, lambda: timeline.end_ns), recording.origin, scenario.layout,
        0 if wish == Layout().speed else nanoseconds(wish),
    )  # fmt: skip
