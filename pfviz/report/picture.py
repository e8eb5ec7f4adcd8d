"""The lab as rows at a moment, as `pfviz play` shows it: for whoever has no screen.

Header, panes by the same plan, caption and sentence; the keys' hints are left out, since nobody can
press them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pfviz.views import bars, painters
from pfviz.views.bars import Bar, Standing
from pfviz.views.composition import beside, framed, screen
from pfviz.views.cues import Caption, told_at
from pfviz.views.followed import Followed
from pfviz.views.frame import Frame
from pfviz.views.glyphs import UNICODE, Glyphs
from pfviz.views.layout import PANES, Needs, Plan, plan
from pfviz.views.look import Look, shown_mm
from pfviz.views.painters import VIEWS, Scene, playing_span
from pfviz.views.rows import Rows
from pfviz.views.sentence import paint_sentence

from .camera import Size
from .footage import Footage
from .reel import SECOND_US, Shot

TABS: Final = tuple((name, VIEWS[name].tab) for name in PANES)


class LabCamera:
    """Takes pictures of the whole lab over one run."""

    def __init__(
        self, footage: Footage, size: Size, speed_ns: int, glyphs: Glyphs = UNICODE, focus: str = ""
    ) -> None:
        self._footage, self._size, self._speed_ns, self._glyphs = footage, size, speed_ns, glyphs
        self._focus = focus or footage.layout.focus or PANES[0]
        self._follows_cues = not focus
        self._zoomed = footage.layout.maximise
        self._followed = Followed()
        self._plan: tuple[str, Plan] | None = None

    def rows(self, shot: Shot) -> Rows:
        """The lab at the moment of a shot."""
        size, footage = self._size, self._footage
        frame = frame_at(footage, shot)
        if self._follows_cues:
            self._focus = _focus_at(footage, shot.index, self._focus)
        divided = self._divided(frame)
        if divided.kind == "tiny":
            return screen(bars.too_small(size.width, size.height), size.width, size.height)
        rows = bars.header(standing(footage, shot, self._speed_ns), size.width,
                           divided.header_lines).rows  # fmt: skip
        if divided.tab_lines:
            rows += bars.tabs(TABS, divided.visible, self._focus, size.width).rows
        scene = self._scene(frame, shot)
        for lines, row in divided.rows:
            rows += beside([self._pane(name, scene, cells, lines) for name, cells in row])
        caption = caption_at(footage, shot, self._speed_ns)
        rows += paint_sentence(scene, "", caption, size.width, divided.sentence_lines)
        return screen(rows, size.width, size.height, self._glyphs)

    def _divided(self, frame: Frame) -> Plan:
        """The plan for the focus; kept while it stays, so that panes do not jump."""
        if self._plan is None or self._plan[0] != self._focus:
            # One line more than there is: that of the hints.
            made = plan(self._size.width, self._size.height + 1, self._focus, self._zoomed,
                        needs_of(frame))  # fmt: skip
            if not made.hint_lines:
                made = plan(self._size.width, self._size.height, self._focus, self._zoomed,
                            needs_of(frame))  # fmt: skip
            self._plan = self._focus, made
        return self._plan[1]

    def _scene(self, frame: Frame, shot: Shot) -> Scene:
        look = Look(glyphs=self._glyphs)
        if shot.playing:
            look = replace(look, selected=self._followed.at(frame, shot.at_us / SECOND_US))
        look = replace(look, span_ns=playing_span(frame, look, self._speed_ns))
        look = replace(look, lane_lines=self._divided(frame).lane_lines)
        return Scene(frame, self._footage.timeline, look)

    def _pane(self, name: str, scene: Scene, width: int, height: int) -> Rows:
        title, foot = VIEWS[name].words(scene, height - 2)
        painted = painters.paint(name, scene, width - 2, height - 2)
        number = PANES.index(name) + 1
        return framed(painted, width, height, f"{number} {title}", foot, name == self._focus,
                      self._glyphs)  # fmt: skip


def frame_at(footage: Footage, shot: Shot) -> Frame:
    """What is known at a shot's moment; between two events time goes on."""
    frame = footage.timeline.at(shot.index)
    frame.now_ns = max(frame.now_ns, shot.now_ns)
    return frame


def needs_of(frame: Frame) -> Needs:
    """What there is to show at a moment."""
    mm = frame.mms.get(shown_mm(frame, Look()))
    if mm is None:
        return Needs(len(frame.people()))
    alive = sum(1 for node in mm.nodes.values() if node.dead_ns < 0)
    return Needs(len(frame.people()), len(mm.vmas), alive)


def standing(footage: Footage, shot: Shot, speed_ns: int) -> Standing:
    """What the header says at a shot."""
    timeline = footage.timeline
    cues = [cue.position for cue in footage.cues.found()]
    known = max(footage.end - footage.origin, 1)
    return Standing(
        footage.title,
        footage.world,
        shot.now_ns,
        speed_ns,
        Bar(footage.origin, shot.index, shot.index, footage.end, known, True,
            timeline.end_ns, (("seek-cue", cues),)),
        timeline.count(shot.index, footage.unit),
        footage.unit,
        playing=shot.playing,
        meta=footage.log.meta,
    )  # fmt: skip


def caption_at(footage: Footage, shot: Shot, speed_ns: int) -> Caption:
    """The caption of the cue that was reached last; the story while a run begins."""
    place, is_past, begins = told_at(
        footage.cues, footage.timeline, shot.index, shot.now_ns, footage.origin,
        speed_ns if shot.playing else 0,
    )  # fmt: skip
    if place is not None:
        return Caption(place.caption, is_past)
    return Caption(footage.story if begins else "")


def _focus_at(footage: Footage, index: int, before: str) -> str:
    """The pane that the last cue up to here asks to look at."""
    asked = [cue.focus for cue in footage.cues.found() if cue.position <= index and cue.focus]
    return asked[-1] if asked else before
