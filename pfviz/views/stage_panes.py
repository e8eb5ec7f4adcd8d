"""Panes on the stage: one run's panes large and without frames, or compared runs in columns.

They paint what the lab's panes paint; only their arrangement is the stage's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from . import painters, threads
from .look import shown_mm
from .painters import VIEWS, Scene
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, wrap

BESIDE_MIN: Final = 116
"""From this width on panes stand beside one another, where stacked they have no room..."""
BELOW_LINES_MIN: Final = 9
"""... and so many lines are room for a pane under the first one."""
PANE_LINES_MIN: Final = 5
"""A lower pane is left out, its title included."""
GAP: Final = 3
BOARD_LINES_MIN: Final = 5
LANES_LINES_MAX: Final = 14
WORDS_MIN: Final = 66
"""In a narrower column the lanes are more telling than the words beside them."""


@dataclass(frozen=True, slots=True)
class Column:
    """One run: its name with the name's style, the moment, and a figure that says how far it is."""

    label: str
    style: str
    scene: Scene
    said: str = ""


def paint_panes(
    panes: Sequence[str], scene: Scene, width: int, height: int, focus: str = ""
) -> Rows:
    """The panes of one run, the first one the largest; those without room are left out.

    The one in focus has its name lit, and is never left out.
    """
    names = [name for name in panes if name in VIEWS][:3] or ["threads"]
    if len(names) == 1 or height < 2 * PANE_LINES_MIN:
        return pane(focus if focus in names else names[0], scene, width, height, focus)
    below = height - _needed(names[0], scene) - 1
    if width >= BESIDE_MIN and below < BELOW_LINES_MIN * (len(names) - 1):
        first = (width - GAP) * (58 if len(names) == 2 else 54) // 100
        left = pane(names[0], scene, first, height, focus)
        right = _stacked(names[1:], scene, width - GAP - first, height, focus)
        return _beside([(left, first), (right, width - GAP - first)])
    return _stacked(names, scene, width, height, focus)


def _stacked(names: Sequence[str], scene: Scene, width: int, height: int, focus: str) -> Rows:
    """Panes below one another."""
    count = max(1, min(len(names), (height + 1) // (PANE_LINES_MIN + 1)))
    rows: list[Row] = []
    kept = [*names[:count]]
    if focus in names and focus not in kept:
        kept[-1] = focus
    for number, name in enumerate(kept):
        left, rest = height - len(rows), count - number - 1
        lines = left
        if rest:
            share = left * (45 if rest == 2 else 56) // 100
            least = _least(name, scene)
            lines = max(min(share, _wanted(name, scene)), PANE_LINES_MIN)
            if least <= left - rest * (PANE_LINES_MIN + 1):
                lines = max(lines, least)
            high = _high(scene) if name == "threads" else left
            if high <= left - rest * (PANE_LINES_MIN + 1):
                lines = max(lines, high)
        rows += pane(name, scene, width, lines, focus)
        if rest:
            rows.append(())
    return tuple(rows[:height])


def _least(name: str, scene: Scene) -> int:
    """With so many lines every thread is seen: worth more than its share."""
    return len(scene.frame.people()) + 2 if name == "threads" else 0


def _high(scene: Scene) -> int:
    """With so many lines every thread has a lane that is two lines high."""
    return len(scene.frame.people()) * 3 + 5 if scene.look.lane_lines > 1 else 1 << 16


def _wanted(name: str, scene: Scene) -> int:
    """More lines than this a pane has no use for."""
    if name == "threads":
        return len(scene.frame.people()) * (scene.look.lane_lines + 1) + 5
    return _needed(name, scene)


def _needed(name: str, scene: Scene) -> int:
    """So many lines a pane needs to show all that it has, as far as that is easily said."""
    if name == "threads":
        return len(scene.frame.people()) + 5
    if name == "address":
        mm = scene.frame.mms.get(shown_mm(scene.frame, scene.look))
        return 8 if mm is None else len(mm.vmas) + 7
    return 1 << 16


def pane(name: str, scene: Scene, width: int, height: int, focus: str = "") -> Rows:
    """A pane under its name; its own words stand at the right of it."""
    if height <= 0 or width <= 0:
        return ()
    if name == "threads":
        seen = threads.rows_for_threads(scene.frame, height - 1)
        people = threads.chosen_by_kind([scene.frame], seen, scene.look.selected)
        scene = replace(scene, look=replace(scene.look, people=people))
    title, foot = VIEWS[name].words(scene, height - 1)
    title = clip(title, width)
    room = max(width - cell_width(title) - 2, 0)
    while cell_width(foot) > room and " · " in foot:
        foot = foot.rpartition(" · ")[0]  # Whole words, or none.
    foot = clip(foot, room)
    blank = width - cell_width(title) - cell_width(foot)
    head: Row = (
        (title, "stage-focus" if name == focus else "stage-pane"),
        (" " * blank, "text"),
        (foot, "faint"),
    )
    return (head, *painters.paint(name, scene, width, height - 1))


def paint_columns(
    columns: Sequence[Column], panes: Sequence[str], verdict: str, width: int, height: int
) -> Rows:
    """Compared runs side by side: who each is, its threads, a second pane where there is room.

    Where the panes asked for are without the threads, only the first of them is seen.
    """
    lines = wrap(verdict, width, 2 if height >= 20 else 1)
    foot: list[Row] = [((line, "stage-verdict"),) for line in lines]
    if foot and height - len(foot) >= 8:
        foot.insert(0, ())
    room = height - len(foot)
    cells = (width - GAP * (len(columns) - 1)) // max(len(columns), 1)
    second = next((name for name in panes if name != "threads"), "")
    columns = _in_step(columns, room, cells < WORDS_MIN, bool(second))
    has_lanes = not panes or "threads" in panes
    painted = [(_column(one, second, cells, room, has_lanes), cells) for one in columns]
    return (*_beside(painted), *foot)


def _in_step(columns: Sequence[Column], room: int, lanes_only: bool,
             has_second: bool) -> list[Column]:  # fmt: skip
    """The columns with one length of time, and the same threads, in their lanes."""
    frames = [one.scene.frame for one in columns]
    spans = [threads.span_of(one.scene.frame, one.scene.look) for one in columns]
    lines = min(room - 3, _lanes_lines_max(room)) if has_second else room - 3
    seen = min(threads.rows_for_threads(frame, lines) for frame in frames)
    people = threads.chosen_by_kind(frames, seen)
    made = []
    for one in columns:
        look = replace(one.scene.look, span_ns=max(spans), people=people, lanes_only=lanes_only)
        made.append(replace(one, scene=replace(one.scene, look=look)))
    return made


def _lanes_lines_max(room: int) -> int:
    return max(LANES_LINES_MAX, room * 6 // 10)


def _column(column: Column, second: str, width: int, height: int, has_lanes: bool) -> Rows:
    label = clip(f" {column.label} ", width)
    said = clip(column.said, max(width - cell_width(label) - 2, 0))
    blank = width - cell_width(label) - cell_width(said)
    rows: list[Row] = [((label, column.style), (" " * blank, "text"), (said, "strong")), ()]
    left = height - len(rows)
    if not has_lanes:
        return (*rows, *pane(second, column.scene, width, left))
    wanted = min(_wanted("threads", column.scene), _lanes_lines_max(left))
    lanes = min(left, wanted) if second and left >= wanted + 1 + BOARD_LINES_MIN else left
    rows += painters.paint("threads", column.scene, width, lanes)
    if second and left > lanes + 1:
        rows += [(), *pane(second, column.scene, width, left - lanes - 1)]
    return tuple(rows)


def _beside(blocks: Sequence[tuple[Rows, int]]) -> Rows:
    """Blocks of (rows, width) side by side, with a gap between them."""
    rows: list[Row] = []
    height = max(len(block) for block, _ in blocks)
    fitted = [fit_rows(block, width, height) for block, width in blocks]
    for line in zip_longest(*fitted, fillvalue=()):
        cells: list[Cell] = []
        for number, part in enumerate(line):
            cells += [(" " * GAP, "text")] if number else []
            cells += part
        rows.append(tuple(cells))
    return tuple(rows)
