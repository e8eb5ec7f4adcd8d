"""From a run, several or a talk to a film: what was wished for, as parts and cameras."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pfviz.views.glyphs import UNICODE, Glyphs
from pfviz.views.palettes import DARK, Palette

from .film import Film, Part
from .footage import Footage, footage_of
from .picture import LabCamera, Size
from .recording import Recording
from .reel import FIRST_US, Reel, Shot, plan, stretch

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


def film_of(recording: Recording, wish: Wish | None = None) -> Film:
    """A film of one run, or one picture where the wish says `at`.

    Raises:
        ValueError: the wish names a place that the run does not have.
    """
    wish = wish or Wish()
    footage = footage_of(recording)
    speed_ns = wish.speed_ns or footage.speed_ns
    if wish.is_still:
        reel = _still(footage, wish, recording.position)
    else:
        reel = plan(footage, stretch(footage, wish.begin, wish.end), speed_ns, wish.fps)
    camera = LabCamera(footage, wish.size, speed_ns, wish.glyphs)
    return Film(footage.title, footage.story, wish.size, wish.palette, (Part(0, reel, camera),))


def _still(footage: Footage, wish: Wish, seen: int) -> Reel:
    """One shot: of the place asked for, of what the viewer has seen, or of the last cue."""
    cues = footage.cues.found()
    if wish.at:
        index, now_ns = footage.position_of(wish.at)
    elif seen >= 0:
        index, now_ns = seen, footage.timeline.time_at(seen)
    else:
        index, now_ns = footage.position_of(f"cue {cues[-1].number}" if cues else "50%")
    shot = Shot(0, index, now_ns, playing=False)
    return Reel((shot,), (), FIRST_US, wish.speed_ns or footage.speed_ns)
