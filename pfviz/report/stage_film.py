"""A scene of a talk as a film: from station to station as a speaker would go, captions read.

What the stage shows at a moment, `views.stage_walk` says; here is when, and of which runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pfviz.scenario import talk
from pfviz.scenario.schema import Scenario
from pfviz.sim.told import Told, nobody
from pfviz.views.composition import screen
from pfviz.views.followed import Followed
from pfviz.views.glyphs import UNICODE, Glyphs
from pfviz.views.rows import Rows
from pfviz.views.stage import StageMoment, paint
from pfviz.views.stage_cells import cells_of, code_of
from pfviz.views.stage_walk import (
    ASK,
    BEGIN,
    CARD,
    STOP,
    WHY,
    RunAt,
    Setting,
    Station,
    Stations,
    moment_at,
)  # fmt: skip
from pfviz.views.timeline import Timeline
from pfviz.views.workload_position import as_far

from .camera import Size
from .footage import Footage
from .reel import LAST_US, SECOND_US, Reel, Shot, Stretch, Tape, reading_us, sentence_at

TIME: Final = "time"
"""How a scene says that compared runs stand at the same time."""
CARD_US: Final = 3_000_000
THINK_US: Final = 6_000_000
"""How long a question stands before it is answered."""
BREATH_US: Final = 600_000
"""How long a scene that begins without a word stands still."""


@dataclass(frozen=True, slots=True)
class StageScene:
    """A scene with all its runs over and its stations known."""

    setting: Setting
    footages: tuple[Footage, ...]
    stations: Stations

    @property
    def known(self) -> Sequence[Station]:
        """Its stations."""
        return self.stations.known


def staged(
    scene: talk.Scene, scenario: Scenario | None, scenes: int, footages: Sequence[Footage],
    told: Told = nobody,
) -> StageScene:  # fmt: skip
    """Find the stations of a scene in its runs; a scene of the matrix finds out its codes."""
    stations = Stations(scene)
    setting = Setting(scene, scenario, scenes, _codes(scene, told))
    if footages:
        first = footages[0]
        stations.watch(first.log, lambda: first.timeline.end_ns, first.origin)
        stations.extend(first.end)
        if first.world is not None:
            setting = replace(setting, kernel=first.world.kernel, mode=first.world.mode)
    return StageScene(setting, tuple(footages), stations)


def _codes(scene: talk.Scene, told: Told) -> Mapping[tuple[str, str], str]:
    """The codes of all cells that a scene of the matrix shows."""
    cells, codes = cells_of(scene), {}
    for number, place in enumerate(cells):
        told(number, len(cells))
        codes[place] = code_of(*place)
    return codes


def scene_reel(
    staged_scene: StageScene, fps: int, speed_ns: int = 0, part: Stretch | None = None,
    is_last: bool = True,
) -> Reel:  # fmt: skip
    """The plan of one scene; `part` leaves out what comes before and after it.

    `speed_ns` is the speed where the scene asks for none.
    """
    one, tape = staged_scene, Tape(fps)
    timeline = one.footages[0].timeline if one.footages else None
    usual_ns = speed_ns or (one.footages[0].speed_ns if one.footages else SECOND_US)
    here = None if part is None else (part.first, part.from_ns)
    for number, station in enumerate(one.known):
        position = station.position
        if part is not None and station.kind != CARD:
            if station.kind == BEGIN:
                position = part.first
            elif not part.first <= position <= part.last:
                continue
        at_ns = 0 if timeline is None else timeline.time_at(position)
        if station.kind == BEGIN and part is not None:
            at_ns = part.from_ns
        if timeline is not None and here is not None and position > here[0]:
            _go(one, tape, number - 1, Stretch(*here, position, at_ns), usual_ns)
        tape.show(position, at_ns, station=number)
        _stand(one, tape, station, timeline, position)
        if station.kind != CARD:
            here = position, at_ns
    if part is not None and timeline is not None and here is not None:
        last = max((number for number, station in enumerate(one.known)
                    if station.position <= part.last), default=0)  # fmt: skip
        _go(one, tape, last, Stretch(*here, part.last, part.to_ns), usual_ns)
        tape.show(part.last, part.to_ns, station=last)
    if is_last:
        tape.hold(LAST_US)
    return tape.reel(usual_ns)


def _stand(
    one: StageScene, tape: Tape, station: Station, timeline: Timeline | None, position: int
) -> None:
    """Stand at a station for as long as it takes to read what it says."""
    scene, asked = one.setting.scene, station.asked
    if station.kind == CARD:
        tape.mark(scene.title, position)
        tape.hold(max(CARD_US, reading_us(scene.say) if not one.footages else 0))
        return
    said = scene.view(station.reached).say
    if asked is not None:
        said = asked.why if station.kind == WHY else asked.ask
    if station.kind == STOP and station.reached and not station.reached[-1].say:
        said = ""
    if said:
        narrated = "" if timeline is None or asked else sentence_at(timeline, position)
        tape.mark(said, position, narrated)
    tape.hold((reading_us(said) if said else BREATH_US) + (THINK_US if station.kind == ASK else 0))


def _go(one: StageScene, tape: Tape, number: int, part: Stretch, usual_ns: int) -> None:
    """Play from a station on, changing the caption where a stop does not stop it."""
    scene, timeline = one.setting.scene, one.footages[0].timeline
    reached = one.known[number].reached
    index, now_ns = part.first, part.from_ns
    for position, stop in one.stations.quiet:
        if index < position <= part.last and stop not in reached:
            at_ns = timeline.time_at(position)
            speed_ns = scene.view(reached).speed_ns or usual_ns
            tape.play(timeline, Stretch(index, now_ns, position, at_ns), speed_ns, number)
            index, now_ns, reached = position, at_ns, (*reached, stop)
            if stop.say:
                tape.mark(stop.say, position, sentence_at(timeline, position))
    speed_ns = scene.view(reached).speed_ns or usual_ns
    tape.play(timeline, Stretch(index, now_ns, part.last, part.to_ns), speed_ns, number)


@dataclass(frozen=True, slots=True)
class _Run:
    """A finished run as who compares workloads wants it."""

    timeline: Timeline
    origin: int
    finished: bool = True


@dataclass(frozen=True, slots=True)
class _At:
    run: _Run
    index: int


@dataclass(slots=True)
class StageCamera:
    """Takes pictures of one scene on the stage."""

    scene: StageScene
    size: Size
    speed_ns: int
    glyphs: Glyphs = UNICODE
    _followed: Followed = field(default_factory=Followed)

    def rows(self, shot: Shot) -> Rows:
        """The stage at the moment of a shot."""
        return screen(paint(self.moment(shot), *self.size, self.glyphs), *self.size, self.glyphs)

    def moment(self, shot: Shot) -> StageMoment:
        """What is to be seen at a shot."""
        one = self.scene
        station = one.known[shot.station]
        reached = station.reached
        if shot.playing:
            passed = (stop for position, stop in one.stations.quiet if position <= shot.index)
            reached = (*reached, *(stop for stop in passed if stop not in reached))
            if station.asked is not None:
                station = replace(station, kind=STOP, asked=None)
        runs = self._runs(shot, one.setting.scene.view(reached).speed_ns or self.speed_ns)
        return moment_at(
            one.setting, station, shot.station, one.stations.count_in_all,
            () if station.kind == CARD else runs, reached,
        )  # fmt: skip

    def _runs(self, shot: Shot, speed_ns: int) -> tuple[RunAt, ...]:
        footages = self.scene.footages
        if not footages:
            return ()
        first = footages[0]
        followed = -1
        if shot.playing:
            followed = self._followed.at(first.timeline.at(shot.index), shot.at_us / SECOND_US)
        runs = [RunAt(first.timeline, shot.index, shot.now_ns, speed_ns, followed)]
        leader = _At(_Run(first.timeline, first.origin), shot.index)
        for other in footages[1:]:
            timeline = other.timeline
            if self.scene.setting.scene.align == TIME:
                now_ns = min(shot.now_ns, timeline.end_ns)
                index = max(timeline.index_at(now_ns), other.origin)
            else:
                index = as_far(_At(_Run(timeline, other.origin), other.origin), leader)
                index = max(index, other.origin)
                now_ns = timeline.time_at(index)
            runs.append(RunAt(timeline, index, now_ns, speed_ns, followed))
        return tuple(runs)
