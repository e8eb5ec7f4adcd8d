"""The seven panes: their titles, and which painter of the views fills each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pfviz.views import address_map, counters, latency, lock_board, steps, threads, tree
from pfviz.views.frame import Frame
from pfviz.views.look import Look, selected_task
from pfviz.views.rows import Rows
from pfviz.views.timeline import Timeline

UPCOMING_STEPS: Final = 16
"""How many steps ahead of the selected thread are shown greyed."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What every painter may look at: one moment, the whole run, how it is looked at."""

    frame: Frame
    timeline: Timeline
    look: Look


Painter = Callable[[Scene, int, int], Rows]
Words = Callable[[Scene, int], str]


@dataclass(frozen=True, slots=True)
class View:
    """One pane: its name, how it is painted for (width, height), the words in its border."""

    name: str
    tab: str
    """A shorter name, for the row of tabs."""
    paint: Painter
    foot: Words
    title: Words

    def words(self, scene: Scene, height: int) -> tuple[str, str]:
        """Title and foot of the border, as they are now."""
        return self.title(scene, height), self.foot(scene, height)


def _steps(scene: Scene, width: int, height: int) -> Rows:
    frame = scene.frame
    task = selected_task(frame, scene.look)
    ahead = scene.timeline.upcoming(frame.index, task, UPCOMING_STEPS) if task >= 0 else []
    return steps.paint(frame, width, height, scene.look, ahead)


def _named(name: str, tab: str, paint: Painter, foot: Words, title: Words | None = None) -> View:
    return View(name, tab, paint, foot, title or (lambda _scene, _height: name))


VIEWS: Final[dict[str, View]] = {
    "threads": _named(
        "Threads",
        "Threads",
        lambda s, w, h: threads.paint(s.frame, s.timeline.lanes, w, h, s.look),
        lambda s, h: threads.summary(s.frame, h),
    ),
    "locks": _named(
        "Lock wait queues",
        "Locks",
        lambda s, w, h: lock_board.paint(s.frame, w, h, s.look),
        lambda s, _: lock_board.summary(s.frame),
    ),
    "address": _named(
        "Address space",
        "Space",
        lambda s, w, h: address_map.paint(s.frame, w, h, s.look),
        lambda s, h: address_map.summary(s.frame, h, s.look),
    ),
    "tree": _named(
        "Maple tree",
        "Tree",
        lambda s, w, h: tree.paint(s.frame, w, h, s.look),
        lambda s, _: tree.summary(s.frame, s.look),
        lambda s, _: tree.title(s.frame, s.look),
    ),
    "latency": _named(
        "Fault latency",
        "Latency",
        lambda s, w, h: latency.paint(s.frame, w, h, s.look),
        lambda s, _: latency.summary(s.frame),
    ),
    "steps": _named(
        "Steps",
        "Steps",
        _steps,
        lambda s, _: steps.summary(s.frame, s.look),
        lambda s, _: steps.title(s.frame, s.look),
    ),
    "counters": _named(
        "Counters",
        "Counters",
        lambda s, w, h: counters.paint(s.frame, w, h, s.look),
        lambda s, _: counters.summary(s.frame),
    ),
}


def paint(name: str, scene: Scene, width: int, height: int) -> Rows:
    """The rows of a pane, nothing where there is no room."""
    if width <= 0 or height <= 0:
        return ()
    return VIEWS[name].paint(scene, width, height)


def stretched(span_ns: int, direction: int) -> int:
    """The next larger or smaller 1, 2 or 5 times a power of ten, not below 100 ns."""
    if direction > 0:
        return threads.round_up(span_ns + 1)
    best = step = 100
    while step < span_ns:
        best = step
        step = threads.round_up(step + 1)
    return best


LANE_S: Final = 4
"""While playing, a lane shows at least so many of the viewer's seconds: it must seem to flow."""


def playing_span(frame: Frame, look: Look, speed_ns: int) -> int:
    """The time that lanes show while playing: what the views would choose, or more."""
    return max(threads.span_of(frame, look), threads.round_up(speed_ns * LANE_S))
