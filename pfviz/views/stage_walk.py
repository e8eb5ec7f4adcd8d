"""The stations of a scene, where one stands still, and what the stage shows at each of them.

Pure: a scene of a talk, the log of its first run and a place in it give a `StageMoment`, the same
for a screen and for an export. Who plays from one station to the next is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pfviz.mm.presets import PRESETS
from pfviz.scenario import talk
from pfviz.scenario.moments import Positions
from pfviz.scenario.overrides import Overrides, kernel_of, mode_for
from pfviz.scenario.schema import Scenario
from pfviz.sim.event import EventLog

from . import threads
from .bars import MODE_TITLES
from .fault_codes import linux
from .frame import Frame
from .look import Look
from .numbers import count, duration
from .painters import Scene, playing_span
from .stage import StageMoment
from .stage_cells import kernels_of, kinds_of
from .stage_matrix import StageMatrix
from .stage_panes import Column
from .stage_question import Posed
from .timeline import FAULT, Timeline

LANE_LINES: Final = 3
CARD: Final = "card"
BEGIN: Final = "begin"
STOP: Final = "stop"
ASK: Final = "ask"
WHY: Final = "why"


@dataclass(frozen=True, slots=True)
class Station:
    """A place of a scene at which it stands still until somebody says next."""

    kind: str
    """CARD, BEGIN, STOP, ASK (a question is asked) or WHY (and answered)."""
    position: int = 0
    """How many events of the scene's first run have happened there."""
    reached: tuple[talk.Stop, ...] = ()
    """The stops that have been passed, this one included."""
    asked: talk.Asked | None = None


class Stations:
    """The stations of one scene, in order, as far as they are known; new ones come at the end."""

    def __init__(self, scene: talk.Scene) -> None:
        """Those of a card or the matrix at once; where there is a run, `watch` tells of it."""
        self.scene = scene
        self.known: list[Station] = [Station(CARD)] if scene.card or is_words_only(scene) else []
        self.is_complete = False
        """Whether there will be no more of them."""
        self.quiet: list[tuple[int, talk.Stop]] = []
        """Where the caption changes without a stop, with the stop that says so."""
        self._at: list[talk.Stop | talk.Asked] = [*scene.stops, *scene.questions]
        self._seen: set[int] = set()
        self._reached: tuple[talk.Stop, ...] = ()
        self._positions: Positions | None = None
        self._begins_at = -1
        if not scene.scenario:
            self._without_run()

    def watch(self, log: EventLog, known_ns: Callable[[], int], origin: int = 0) -> None:
        """Look for the moments in the log of the scene's first run, which may still grow.

        `known_ns` says how far it is known, `origin` how many of its events set the world up.
        """
        self._log, self._known_ns, self._origin = log, known_ns, origin
        begin = (self.scene.begin_ns, self.scene.begin_when)
        moments = [(one.at_ns, one.when) for one in self._at]
        self._positions = Positions([*moments, begin], log, known_ns)

    @property
    def has_begun(self) -> bool:
        """Whether it is known where the scene begins."""
        return self._begins_at >= 0

    @property
    def count_in_all(self) -> int:
        """How many stations there will be if every moment comes."""
        stops = sum(stop.pause for stop in self.scene.stops)
        return len(self.known[:1]) + stops + 2 * len(self.scene.questions)

    def extend(self, end: int | None = None) -> None:
        """Look at what the log has grown by; `end` is its length once nothing more will come."""
        if self.is_complete or self._positions is None:
            return
        found = self._positions.found()
        if not self.has_begun and not self._begin(found[-1], end):
            return
        fresh = [
            (position, number)
            for number, one in enumerate(self._at)
            if number not in self._seen
            and (position := end if one.is_end else found[number]) is not None
            and self._is_past(position)
            and position >= self._begins_at
        ]
        for position, number in sorted(fresh):
            self._seen.add(number)
            self._add(position, self._at[number])
        self.is_complete = end is not None or len(self._seen) == len(self._at)

    def _begin(self, position: int | None, end: int | None) -> bool:
        """Set the beginning when it is known; a moment that never comes leaves the run's own."""
        asks = self.scene.begin_ns is not None or self.scene.begin_when
        if asks and end is None and (position is None or not self._is_past(position)):
            return False
        self._begins_at = max(position or 0, self._origin)
        self.known.append(Station(BEGIN, self._begins_at))
        return True

    def _is_past(self, position: int) -> bool:
        """Whether all that comes before a position is known, so that the order will stay."""
        return position <= 0 or self._log.row(position - 1)[0] <= self._known_ns()

    def _add(self, position: int, one: talk.Stop | talk.Asked) -> None:
        if isinstance(one, talk.Asked):
            self.known.append(Station(ASK, position, self._reached, one))
            self.known.append(Station(WHY, position, self._reached, one))
            return
        self._reached = (*self._reached, one)
        if not one.pause:
            self.quiet.append((position, one))
        elif self.known[-1] == Station(STOP, position, self._reached[:-1]) and not one.say:
            # The run is over where the last stop is: there is nothing to see on the way.
            pass
        else:
            self.known.append(Station(STOP, position, self._reached))

    def _without_run(self) -> None:
        """A card or the matrix: stops in the order of the file, one after another."""
        self.is_complete = True
        self._begins_at = 0
        if self.scene.matrix is not None:
            self.known.append(Station(BEGIN))
        for one in self._at:
            self._add(0, one)


def is_words_only(scene: talk.Scene) -> bool:
    """Whether a scene shows neither a run nor the matrix."""
    return not scene.scenario and scene.matrix is None


@dataclass(frozen=True, slots=True)
class RunAt:
    """One of a scene's runs at one moment."""

    timeline: Timeline
    index: int
    now_ns: int
    speed_ns: int
    """Simulated ns in a second: lanes are as long as playing at this speed asks for."""
    followed: int = -1
    """The thread that panes about one thread show where the talk names none."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What stays the same while a scene is shown."""

    scene: talk.Scene
    scenario: Scenario | None = None
    scenes: int = 1
    codes: Mapping[tuple[str, str], str] | None = None
    """Codes of the matrix that are known, by kind and kernel."""
    kernel: str = ""
    mode: str = ""
    """Of a run that is not the scene's own, as the viewer left it; else "" for both."""


def moment_at(
    setting: Setting,
    station: Station,
    number: int,
    number_in_all: int,
    runs: Sequence[RunAt] = (),
    reached: tuple[talk.Stop, ...] | None = None,
    picked: int = 0,
) -> StageMoment:
    """What the stage shows at a station, or on the way from it with more stops `reached`.

    `number` of `number_in_all` stations are behind; `picked` is the answer chosen.
    """
    scene = setting.scene
    view = scene.view(station.reached if reached is None else reached)
    moment = StageMoment(
        scene.title, view.say, scene.number, setting.scenes, number, max(number_in_all - 1, 0)
    )
    if station.kind == CARD:
        return replace(moment, card=scene.title, caption=scene.say if is_words_only(scene) else "")
    if scene.matrix is not None:
        moment = replace(moment, matrix=_matrix(scene.matrix, view, setting.codes or {}))
    else:
        moment = _with_runs(moment, setting, view, runs)
    if station.asked is None:
        return moment
    asked, revealed = station.asked, station.kind == WHY
    posed = Posed(asked.ask, asked.answers, asked.right, picked, revealed)
    return replace(moment, asked=posed, caption=asked.why if revealed else "")


def _with_runs(
    moment: StageMoment, setting: Setting, view: talk.View, runs: Sequence[RunAt]
) -> StageMoment:
    scene, scenario = setting.scene, setting.scenario
    if not runs:
        return moment
    if len(runs) == 1:
        kernel, mode = setting.kernel, setting.mode
        if scenario is not None and not kernel:
            kernel, mode = _kernel_and_mode(scenario, scene.runs[0])
        return replace(
            moment,
            kernel=kernel,
            badge=MODE_TITLES.get(mode, ""),
            badge_style=f"mode-{mode}",
            now_ns=runs[0].now_ns,
            panes=view.panes,
            focus=view.focus if len(view.panes) > 1 else "",
            columns=(Column("", "text", _seen(runs[0], view)),),
        )
    assert scenario is not None
    columns = []
    for label, overrides, run in zip(scene.labels, scene.runs, runs, strict=True):
        _, mode = _kernel_and_mode(scenario, overrides)
        name = ", ".join(_called(word) for word in label.split())
        said = duration(run.now_ns)
        if scene.align == "time":
            said = f"{count(_faults(run))} faults"
        columns.append(Column(name, f"mode-{mode}", _seen(run, view), said))
    kernels = {kernel_of(scenario, overrides) for overrides in scene.runs}
    return replace(
        moment,
        kernel=kernels.pop() if len(kernels) == 1 else "",
        now_ns=-1 if scene.align == "work" else runs[0].now_ns,
        panes=view.panes,
        columns=tuple(columns),
        verdict=_verdict(scene, columns, runs) if scene.verdict else "",
    )


def _called(word: str) -> str:
    """What a compared run is called by one word of its label: a mode, a kernel or a policy."""
    return MODE_TITLES.get(word) or (linux(word) if word in PRESETS else word)


def _kernel_and_mode(scenario: Scenario, overrides: Overrides) -> tuple[str, str]:
    return kernel_of(scenario, overrides), mode_for(scenario, overrides)


def _seen(run: RunAt, view: talk.View) -> Scene:
    """One run as the panes see it; its frame is lent until the next moment is made."""
    frame = run.timeline.at(run.index)
    # Between two events time goes on: waits grow, lanes move.
    frame.now_ns = max(frame.now_ns, run.now_ns)
    selected = task_named(frame, view.thread) if view.thread else run.followed
    look = Look(selected=selected, lane_lines=LANE_LINES)
    # As long as playing asks for, but not longer than there is something to be seen.
    natural = threads.span_of(frame, look)
    span_ns = min(playing_span(frame, look, run.speed_ns), threads.round_up(frame.now_ns))
    look = replace(look, span_ns=max(span_ns, natural))
    return Scene(frame, run.timeline, look)


def task_named(frame: Frame, name: str) -> int:
    """The thread of that name; -1 while there is none."""
    return next((task.id for task in frame.people() if frame.label(task.id) == name), -1)


def _verdict(scene: talk.Scene, columns: Sequence[Column], runs: Sequence[RunAt]) -> str:
    """How long each took to get as far as the first one is, or what each did in the same time."""
    first_ns = runs[0].now_ns
    if not first_ns:
        return ""
    if scene.align == "time":
        done = list(map(_faults, runs))
        if len(set(done)) == 1:
            return ""
        said = [f"{columns[0].label} {count(done[0])}"]
        for one, faults in zip(columns[1:], done[1:], strict=True):
            times = f" ({faults / done[0]:.1f}×)" if done[0] else ""
            said.append(f"{one.label} {count(faults)}{times}")
        return f"Faults done in the same time: {', '.join(said)}."
    said = [
        f"{column.label} is {first_ns / run.now_ns:.1f}×"
        for column, run in zip(columns[1:], runs[1:], strict=True)
        if run.now_ns > 0
    ]
    return f"{' and '.join(said)} as fast as {columns[0].label}." if said else ""


def _faults(run: RunAt) -> int:
    """How many faults it has done by now."""
    return run.timeline.count(run.index, FAULT)


def _matrix(
    part: talk.MatrixPart, view: talk.View, codes: Mapping[tuple[str, str], str]
) -> StageMatrix:
    kinds = kinds_of(part)
    kernels = kernels_of(part)
    return StageMatrix(kinds, kernels, view.kind or kinds[0], view.kernel or kernels[-1], codes)
