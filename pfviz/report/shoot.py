"""From a run, several or a talk to a film: what was wished for, as parts and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pfviz.scenario import talk_load
from pfviz.scenario.talk import Scene, Stop, Talk
from pfviz.sim.told import Told, nobody, part
from pfviz.views.glyphs import UNICODE, Glyphs
from pfviz.views.palettes import DARK, Palette
from pfviz.views.stage_walk import ASK, WHY

from .camera import Size
from .film import Film, Part
from .footage import Footage, footage_of
from .picture import LabCamera, caption_at
from .recording import Recording, record
from .reel import FIRST_US, Mark, Reel, Shot, plan, sentence_at, stretch
from .source import Source, open_scenario
from .stage_film import TIME, StageCamera, scene_reel, staged

SIZE: Final = Size(100, 31)
"""The smallest size at which all seven panes are seen."""
FPS: Final = 10
LAB: Final = "lab"
STAGE: Final = "stage"
LAYOUTS: Final = (LAB, STAGE)


@dataclass(frozen=True, slots=True)
class Wish:
    """How a film is to be made; what is left out is chosen."""

    is_still: bool = False
    """One picture and no film."""
    at: str = ""
    """The moment of a still (`12us`, `cue 2`); empty: where the viewer is, or the last cue."""
    begin: str = ""
    end: str = ""
    speed_ns: int = 0
    fps: int = FPS
    size: Size = SIZE
    palette: Palette = field(default=DARK)
    glyphs: Glyphs = UNICODE
    layout: str = LAB
    align: str = TIME
    """Compared runs stand at the same `time`, or where as much `work` is done, as in a talk."""


def film_of(recording: Recording, wish: Wish | None = None) -> Film:
    """A film of one run, or one picture of it.

    Raises:
        ValueError: the wish names a place that the run does not have.
    """
    wish = wish or Wish()
    footage = footage_of(recording)
    if wish.layout == STAGE:
        return _staged((footage,), scene_of(recording, footage), recording, wish)
    speed_ns = wish.speed_ns or footage.speed_ns
    if wish.is_still:
        reel = still(footage, wish, recording.position)
    else:
        reel = plan(footage, stretch(footage, wish.begin, wish.end), speed_ns, wish.fps)
    camera = LabCamera(footage, wish.size, speed_ns, wish.glyphs)
    return Film(footage.title, footage.story, wish.size, wish.palette, (Part(0, reel, camera),))


def compared_film(recordings: Sequence[Recording], labels: Sequence[str], wish: Wish) -> Film:
    """A film of two or three runs of one scenario beside one another, as the stage shows them.

    The first one leads: the film's places and captions are its own.

    Raises:
        ValueError: the wish names a place that the first run does not have.
    """
    footages = [footage_of(one) for one in recordings]
    scene = scene_of(recordings[0], footages[0])
    scene = replace(
        scene, compare=tuple(one.overrides for one in recordings), labels=tuple(labels),
        panes=tuple(dict.fromkeys(("threads", *scene.panes)))[:2], focus="threads", questions=(),
        align=wish.align,
        stops=tuple(replace(stop, focus="") for stop in scene.stops),
    )  # fmt: skip
    return _staged(footages, scene, recordings[0], wish)


def scene_of(recording: Recording, footage: Footage) -> Scene:
    """A run as a scene of its own, with its cues and questions; a capture has its end only."""
    if recording.scenario is not None:
        return talk_load.alone(recording.scenario, recording.overrides)
    title = footage.title
    return Scene(1, title, False, (), 0.0, footage.story, "", title, stops=(Stop(""),))


def talk_film(talk: Talk, wish: Wish, told: Told = nobody) -> Film:
    """A film of a whole talk: all its scenes, each stop for as long as its caption takes to read.

    Raises:
        ScenarioError: a scene's scenario cannot be run.
    """
    parts: list[Part] = []
    at_us, scenes = 0, len(talk.scenes)
    for number, scene in enumerate(talk.scenes):
        told(number, scenes)
        footages, scenario = [], talk.scenarios.get(scene.scenario)
        if scenario is not None:
            if scenario.maps:  # What the talk has read is without the VMAs of its maps file.
                scenario = open_scenario(scene.scenario)
            footages = [footage_of(record(Source(scenario, one))) for one in scene.runs]
        told_here = part(told, number, scenes)
        one = staged(scene, scenario, scenes, footages, told_here)
        reel = scene_reel(one, wish.fps, wish.speed_ns, is_last=number == scenes - 1)
        parts.append(Part(at_us, reel, StageCamera(one, wish.size, reel.speed_ns, wish.glyphs)))
        at_us += reel.lasts_us
    return Film(talk.title, " ".join(talk.story.split()), wish.size, wish.palette, tuple(parts))


def _staged(footages: Sequence[Footage], scene: Scene, recording: Recording, wish: Wish) -> Film:
    """One scene on the stage: all of it, a stretch of it, or one moment."""
    first = footages[0]
    one = staged(scene, recording.scenario, 1, footages)
    speed_ns = wish.speed_ns or scene.speed_ns or first.speed_ns
    if wish.speed_ns:
        one = replace(one, setting=replace(one.setting, scene=replace(scene, speed_ns=None)))
    if wish.is_still:
        reel = still(first, wish, recording.position)
        here = reel.shots[0].index
        station = max(
            number for number, station in enumerate(one.known)
            if station.kind not in (ASK, WHY) and (station.position <= here or not number)
        )  # fmt: skip
        reel = replace(reel, shots=(replace(reel.shots[0], station=station),))
    else:
        asked = stretch(first, wish.begin, wish.end) if wish.begin or wish.end else None
        reel = scene_reel(one, wish.fps, speed_ns, asked)
    camera = StageCamera(one, wish.size, speed_ns, wish.glyphs)
    return Film(first.title, first.story, wish.size, wish.palette, (Part(0, reel, camera),))


def still(footage: Footage, wish: Wish, seen: int) -> Reel:
    """One shot: of the place asked for, of what the viewer has seen, or of the last cue."""
    cues = footage.cues.found()
    if wish.at:
        index, now_ns = footage.position_of(wish.at)
    elif seen >= 0:
        index, now_ns = seen, footage.timeline.time_at(seen)
    else:
        index, now_ns = footage.position_of(f"cue {cues[-1].number}" if cues else "50%")
    shot = Shot(0, index, now_ns, playing=False)
    speed_ns = wish.speed_ns or footage.speed_ns
    caption = caption_at(footage, shot, speed_ns).text
    said = "" if caption == footage.story else caption
    mark = Mark(0, said, index, sentence_at(footage.timeline, index))
    return Reel((shot,), (mark,), FIRST_US, speed_ns)
