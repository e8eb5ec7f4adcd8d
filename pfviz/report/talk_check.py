"""A talk held to what it says: every scene run headless, every stop looked for, its minutes told.

The green light before a talk. Knows no screen: what is found is what the stage will find.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pfviz.mm.world import World
from pfviz.report.run import run_to_end
from pfviz.report.source import open_scenario
from pfviz.report.talk_text import moment
from pfviz.scenario.build import build_with
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.matrix import UNKNOWN, cell
from pfviz.scenario.moments import Moments, Positions
from pfviz.scenario.overrides import Overrides, until_ns_of
from pfviz.scenario.schema import Scenario
from pfviz.scenario.talk import READ_CHARACTERS_PER_S, Asked, Scene, Stop, Talk
from pfviz.scenario.times import nanoseconds
from pfviz.sim import event
from pfviz.sim.engine import Engine
from pfviz.sim.event import EventLog
from pfviz.sim.told import Told, nobody, part
from pfviz.views.numbers import duration, minutes
from pfviz.views.speeds import IDLE_S, LADDER_NS, rung

CARD_S: Final = 3.0
"""How long a title that stands alone is looked at."""
THINK_S: Final = 8.0
"""How long an audience is given to answer."""
CAPTION_MAX: Final = 140
"""More characters than these cannot be read while something moves."""


@dataclass(frozen=True, slots=True)
class SceneVerdict:
    """What running one scene found."""

    scene: Scene
    problems: tuple[str, ...]
    read_s: float
    """To read its captions and to speak its notes."""
    played_s: float
    """To watch what moves between its stops."""
    stops: int
    """How many come."""

    @property
    def seconds(self) -> float:
        """How long it is likely to take."""
        return self.read_s + self.played_s

    @property
    def advice(self) -> tuple[str, ...]:
        """What would come, but should be better: captions too long to be read."""
        scene = self.scene
        said = (scene.say, *(stop.say for stop in scene.stops),
                *(text for one in scene.questions for text in (one.ask, one.why)
                  if not one.is_of_scenario))  # fmt: skip
        return tuple(
            f"{len(text)} characters are more than the {CAPTION_MAX} that are read at a glance: "
            f"{_short(text)}"
            for text in said
            if len(text) > CAPTION_MAX
        )


@dataclass(frozen=True, slots=True)
class TalkVerdict:
    """What checking a talk found."""

    talk: Talk
    scenes: tuple[SceneVerdict, ...]

    @property
    def holds(self) -> bool:
        """Whether everything comes as it is written."""
        return not any(one.problems for one in self.scenes)

    @property
    def seconds(self) -> float:
        """How long the talk is likely to take."""
        return sum(one.seconds for one in self.scenes)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "talk": self.talk.name,
            "path": self.talk.path,
            "holds": self.holds,
            "planned_s": round(self.talk.minutes * 60),
            "estimated_s": round(self.seconds),
            "scenes": [
                {
                    "scene": one.scene.number,
                    "title": one.scene.title,
                    "topics": one.scene.topics,
                    "stops": one.stops,
                    "planned_s": round(one.scene.minutes * 60),
                    "read_s": round(one.read_s),
                    "played_s": round(one.played_s),
                    "problems": one.problems,
                    "advice": one.advice,
                }
                for one in self.scenes
            ],
        }

    def lines(self) -> Iterator[str]:
        """As text: a line per scene, a line below it for each thing that is wrong, a sum."""
        width = max(len(one.scene.title) for one in self.scenes)
        for one in self.scenes:
            mark = "FAILED" if one.problems else "ok    "
            scene = one.scene
            stops = f"{one.stops} stop{'s' * (one.stops != 1)}"
            yield (
                f"{mark}  {scene.number:>2}  {scene.title:<{width}}  {stops:>8}  "
                f"{minutes(one.seconds):>5} of {minutes(scene.minutes * 60):>5}  "
                f"{' '.join(scene.topics)}"
            ).rstrip()
            for told in (*one.problems, *one.advice):
                yield f"            {told}"
        mark = "ok    " if self.holds else "FAILED"
        stops_all = sum(one.stops for one in self.scenes)
        yield (
            f"{mark}  {self.talk.name}: {len(self.scenes)} scenes, {stops_all} stops, likely "
            f"{minutes(self.seconds)} of {minutes(self.talk.minutes * 60)} planned"
        )


def check_talk(talk: Talk, told: Told = nobody) -> TalkVerdict:
    """Run every scene of a talk and look at what it promises."""
    count = len(talk.scenes)
    return TalkVerdict(
        talk,
        tuple(check_scene(scene, part(told, scene.number - 1, count)) for scene in talk.scenes),
    )


def check_scene(scene: Scene, told: Told = nobody) -> SceneVerdict:
    """Run one scene to its end and look for all that should come in it."""
    read_s = _spoken_s(scene.say, scene.note) + (CARD_S if scene.card else 0.0)
    if not scene.scenario:
        shown = [problem for stop in scene.stops for problem in _missing_cell(scene, stop)]
        read_s += sum(_spoken_s(stop.say, stop.note) for stop in scene.stops)
        return SceneVerdict(scene, tuple(shown), read_s, 0.0, len(scene.stops))
    try:
        scenario = _opened(scene.scenario)
        logs = [
            _run(scenario, one, part(told, number, len(scene.runs)))
            for number, one in enumerate(scene.runs)
        ]
    except ScenarioError as error:
        return SceneVerdict(scene, (error.reason,), read_s, 0.0, 0)
    log = logs[0]
    at, asked, begins = _places(scene, log)
    begin = begins or 0  # One that never comes leaves the run's own, on the stage as well.
    read_s += sum(_spoken_s(scene.stops[number].say, scene.stops[number].note) for number in at)
    read_s += sum(_asked_s(scene.questions[number]) for number in asked)
    wrong = [
        *(("the moment at which the scene begins never comes",) if begins is None else ()),
        *_never(scene, log, at),
        *_disorder(scene, at, begin),
        *_strangers(scene, log),
        *(f"the question at {moment(one)} never comes: {_short(one.ask)}"
          for number, one in enumerate(scene.questions)
          if not one.is_of_scenario and number not in asked),
    ]  # fmt: skip
    speed_ns = scene.speed_ns or nanoseconds(scenario.layout.speed)
    found = [(position, scene.stops[number]) for number, position in at.items()]
    played_s = _played_s(scene, log, begin, found, speed_ns)
    return SceneVerdict(scene, tuple(wrong), read_s, played_s, len(found))


def _places(scene: Scene, log: EventLog) -> tuple[dict[int, int], set[int], int | None]:
    """In a run that is over: where each stop comes, by its number and in the order of the run;
    which questions come; where the scene begins, None when its moment never comes.
    """
    end_ns = log.row(len(log) - 1)[0] if len(log) else 0
    every: tuple[Stop | Asked, ...] = (*scene.stops, *scene.questions)
    moments = [(one.at_ns, one.when) for one in every]
    begin = (scene.begin_ns, scene.begin_when)
    *found, begins = Positions([*moments, begin], log, lambda: end_ns).found()
    places = [len(log) if one.is_end else place for one, place in zip(every, found, strict=True)]
    count = len(scene.stops)
    stops = sorted(
        (place, number) for number, place in enumerate(places[:count]) if place is not None
    )
    asked = {number for number, place in enumerate(places[count:]) if place is not None}
    if begin == (None, ""):
        begins = 0
    return {number: place for place, number in stops}, asked, begins


@lru_cache(maxsize=64)
def _opened(name: str) -> Scenario:
    return open_scenario(name)


def _run(scenario: Scenario, overrides: Overrides, told: Told = nobody) -> EventLog:
    engine: Engine[World] = build_with(scenario, overrides)
    run_to_end(engine, until_ns_of(scenario, overrides), told=told)
    return engine.log


def _never(scene: Scene, log: EventLog, at: dict[int, int]) -> Iterator[str]:
    for number, stop in enumerate(scene.stops):
        if stop.is_cue or number in at:
            continue
        told = f"stop {number + 1} at {moment(stop)} never comes"
        if stop.at_ns is not None:
            end_ns = log.row(len(log) - 1)[0] if len(log) else 0
            yield f"{told}: the run is over at {duration(end_ns)}"
            continue
        words = stop.when.split()
        looked = Moments([words[0], " ".join(w for w in words if not w.startswith("#"))])
        looked.extend(log)
        alike = looked.counts[1] if looked.counts[1] else looked.counts[0]
        which = "it" if looked.counts[1] else words[0]
        yield f"{told} ({which} happens {alike} times)"


def _disorder(scene: Scene, at: dict[int, int], begin: int) -> Iterator[str]:
    """Own stops that come too early, or at the same moment as the one before."""
    last, last_number = begin, -1
    for number, stop in enumerate(scene.stops):
        if stop.is_cue or number not in at:
            continue
        before = f"stop {last_number + 1}" if last_number >= 0 else "the scene's beginning"
        if at[number] < last:
            yield f"stop {number + 1} at {moment(stop)} comes before {before}"
        elif at[number] == last and last_number >= 0:
            yield f"stop {number + 1} at {moment(stop)} comes at the same moment as {before}"
        if at[number] >= last:
            last, last_number = at[number], number


def _strangers(scene: Scene, log: EventLog) -> Iterator[str]:
    """Threads to be selected that no task is called."""
    wanted = {scene.thread, *(stop.thread for stop in scene.stops)} - {""}
    if not wanted:
        return
    tasks = {log.texts[row[3]] for row in log.between(0, len(log)) if row[1] == event.TASK_NEW}
    for name in sorted(wanted - tasks):
        yield f'thread "{name}" is not in this run{hint(name, tasks)}'


def _missing_cell(scene: Scene, stop: Stop) -> Iterator[str]:
    now = scene.view([stop])
    if now.kind and now.kernel and cell(now.kind, now.kernel).code == UNKNOWN:
        yield f"{now.kind} cannot be played yet"


def _played_s(
    scene: Scene, log: EventLog, begin: int, found: Sequence[tuple[int, Stop]], speed_ns: int
) -> float:
    """Seconds of animation up to the scene's last stop, each stretch at its own speed."""
    seconds = 0.0
    reached: list[Stop] = []
    last = begin
    for position, stop in found:
        speed = LADDER_NS[rung(scene.view(reached).speed_ns or speed_ns)]
        stretch_s = _moving_ns(log, last, position, int(speed * IDLE_S)) / speed
        if reached and not reached[-1].pause:
            # Its caption is read while the animation goes on.
            stretch_s = max(stretch_s - _spoken_s(reached[-1].say, reached[-1].note), 0.0)
        seconds += stretch_s
        last = max(last, position)
        reached.append(stop)
    return seconds


def _moving_ns(log: EventLog, first: int, last: int, idle_ns: int) -> int:
    """Simulated time between two positions, without the stretches that a player skips."""
    moving, before = 0, -1
    for row in log.between(max(first - 1, 0), last):
        gap = row[0] - before if before >= 0 else 0
        moving += gap if gap <= idle_ns else 0
        before = row[0]
    return moving


def _spoken_s(say: str, note: str) -> float:
    return (len(say) + len(note)) / READ_CHARACTERS_PER_S


def _asked_s(asked: Asked) -> float:
    words = " ".join((asked.ask, *asked.answers, asked.why, asked.note))
    return len(words) / READ_CHARACTERS_PER_S + THINK_S


def _short(text: str) -> str:
    return text if len(text) <= 50 else f"{text[:49]}…"
