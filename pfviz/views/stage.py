"""The stage: everything that an audience sees at one moment, as rows for any size of screen.

Title of the scene                          kernel 6.12  ▐ per-VMA ▌  12.431 µs
━━━━━━━━━━━━━━━━ ━━━━━━━━━━━━━━━━ ──────────────── ────────────────
one to three panes, or columns side by side, or the matrix, or a question, or a title card
▌ the caption, in a band of its own

Pure: `paint` knows no screen, no talk and no player; whoever shows or exports makes the moments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from .fault_codes import linux
from .glyphs import UNICODE, Glyphs
from .letters import lettering
from .numbers import clock
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, row_width, wrap
from .stage_matrix import StageMatrix, paint_matrix
from .stage_panes import Column, paint_columns, paint_panes
from .stage_question import Posed, paint_question

MEASURE_MAX: Final = 104
"""Cells in a line of a caption: longer lines are hard to read from the back row."""
MARGIN: Final = 3
SMALL_LINES: Final = 16
"""From this height on title, bar and caption have room around them."""


@dataclass(frozen=True, slots=True)
class StageMoment:
    """One moment on the stage; frames in it are lent, so it is painted before the next is made."""

    title: str
    caption: str = ""
    scene: int = 1
    """The number of the scene, from 1, of `scenes`."""
    scenes: int = 1
    stop: int = 0
    """How many of the scene's `stops` have been reached."""
    stops: int = 0
    kernel: str = ""
    badge: str = ""
    """The mode in words, in the style `badge_style`; empty where there is none, or several."""
    badge_style: str = "mode-per-vma"
    now_ns: int = -1
    panes: tuple[str, ...] = ("threads", "locks")
    """At most three, the first is the largest."""
    focus: str = ""
    """The one to look at."""
    columns: tuple[Column, ...] = ()
    """One run, or those that are compared; none where there is nothing to play."""
    verdict: str = ""
    """Under compared runs: what the comparison comes to, in one line."""
    asked: Posed | None = None
    matrix: StageMatrix | None = None
    card: str = ""
    """The words of a title card, which stands alone."""
    blank: bool = False
    aside: str = ""
    """A quiet word to the speaker, at the foot of the screen."""


def paint(moment: StageMoment, width: int, height: int, glyphs: Glyphs = UNICODE) -> Rows:
    """The whole screen in exactly `height` rows of `width` cells."""
    if moment.blank or width <= 0 or height <= 0:
        return fit_rows([], width, height)
    head = _head(moment, width, height, glyphs)
    band = _band(moment, width, height - len(head), glyphs)
    room = height - len(head) - len(band)
    body = fit_rows(_body(moment, width, room, glyphs), width, room, glyphs.ascii_only)
    return fit_rows((*head, *body, *band), width, height, glyphs.ascii_only)


# The top


def _head(moment: StageMoment, width: int, height: int, glyphs: Glyphs) -> list[Row]:
    """The scene's title with kernel, mode and time; below it how far the talk is."""
    if height < 5:
        return []
    tails = _tails(moment)
    room = width - 2 - MARGIN
    title = cell_width(moment.title) if not moment.card else 0
    needed = min(title, room * 3 // 5)
    tail = next((one for one in tails if row_width(one) + needed + 2 <= room), tails[-1])
    shown = "" if moment.card else clip(moment.title, max(room - row_width(tail) - 2, 0))
    blank = width - 1 - MARGIN - cell_width(shown) - row_width(tail)
    first: Row = ((" " * (MARGIN - 1), "text"), (shown, "stage-title"),
                  (" " * max(blank, 1), "text"), *tail)  # fmt: skip
    rows: list[Row] = [first, _progress(moment, width, glyphs)]
    return [(), *rows, ()] if height >= SMALL_LINES * 2 else rows


def _tails(moment: StageMoment) -> list[Row]:
    """What stands at the right of the title, from all there is to nothing."""
    mode: Row = ((f" {moment.badge} ", moment.badge_style),) if moment.badge else ()
    gap = "  " if mode or moment.now_ns >= 0 else ""
    kernel: Row = ((f"{linux(moment.kernel)}{gap}", "dim"),) if moment.kernel else ()
    time: Row = ((f"{clock(moment.now_ns):>12}", "text"),) if moment.now_ns >= 0 else ()
    return [(*kernel, *mode, *time), (*mode, *time), mode, ()]


def _progress(moment: StageMoment, width: int, glyphs: Glyphs) -> Row:
    """A thin bar, a stretch for each scene; the one that plays fills with its stops."""
    room = width - 2 * (MARGIN - 1)
    scenes = max(moment.scenes, 1)
    done, ahead = ("=", "-") if glyphs.ascii_only else ("━", "─")
    cells: list[Cell] = [(" " * (MARGIN - 1), "text")]
    for number in range(1, scenes + 1):
        first, last = room * (number - 1) // scenes, room * number // scenes
        # Many scenes have no room for gaps between them.
        length = last - first - (1 if room >= 3 * scenes and number < scenes else 0)
        part = length if number < moment.scene else 0
        if number == moment.scene:
            part = length * moment.stop // moment.stops if moment.stops else length
        style = "stage-here" if number == moment.scene else "stage-done"
        cells += [(done * part, style), (ahead * (length - part), "stage-ahead")]
        cells.append((" " * (last - first - length), "text"))
    return tuple(cells)


# The caption


def _band(moment: StageMoment, width: int, room: int, glyphs: Glyphs) -> list[Row]:
    """The caption on its own ground, as high as it always is at this size or as it needs."""
    margin = MARGIN if width >= 60 else 1
    measure = max(min(width - 2 * margin - 2, MEASURE_MAX), 1)
    height = 3 if room < 2 * SMALL_LINES else 4 if room < 3 * SMALL_LINES else 5
    if not moment.caption and moment.card:
        height = 0
    lines = wrap(moment.caption, measure, max(height, room // 2))
    padding = 1 if room >= SMALL_LINES - 4 else 0
    if not height and not lines:
        return [((" " * margin + clip(moment.aside, measure), "dim"),)] if padding else []
    lines += [""] * (height - len(lines))
    if moment.asked is not None and not moment.caption:
        # The answer's reason will stand here; until then nothing does, and nothing moves.
        blank: list[Row] = [()] * (len(lines) + 3 * padding)
        return [*blank[1:], ((" " * (margin + 1) + moment.aside, "dim"),)] if blank else []
    edge = "|" if glyphs.ascii_only else "▌"
    rows: list[Row] = [_band_row("", "stage-caption", margin, width, edge)] * padding
    rows += [_band_row(line, "stage-caption", margin, width, edge) for line in lines]
    if moment.aside or padding:
        aside = clip(moment.aside, measure)
        foot = _band_row(aside, "stage-aside", margin, width, edge)
        rows = [*rows, foot] if padding else [*rows[:-1], foot]
    return ([()] if padding else []) + rows


def _band_row(text: str, style: str, left: int, width: int, edge: str) -> Row:
    rest = max(width - left - 2 - cell_width(text), 0)
    return ((edge, "stage-edge"), (" " * max(left + 1 - len(edge), 0), style), (text, style),
            (" " * (rest + 1), style))  # fmt: skip


# What is between them


def _body(moment: StageMoment, width: int, height: int, glyphs: Glyphs) -> Rows:
    """The part between the title and the caption."""
    if height <= 0:
        return ()
    if moment.card:
        return _card(moment.card, width, height, glyphs)
    above = 1 if height >= 8 else 0
    inner, room = width - 2 * (MARGIN - 1), height - above
    if moment.asked is not None:
        rows = paint_question(moment.asked, inner, room, glyphs)
    elif moment.matrix is not None:
        rows = paint_matrix(moment.matrix, inner, room, glyphs)
    elif len(moment.columns) > 1:
        columns = _dressed(moment.columns, glyphs)
        rows = paint_columns(columns, moment.panes, moment.verdict, inner, room)
    elif moment.columns:
        scene = _dressed(moment.columns, glyphs)[0].scene
        rows = paint_panes(moment.panes, scene, inner, room, moment.focus)
    else:
        return ()
    side: Cell = (" " * (MARGIN - 1), "text")
    return (*((),) * above, *((side, *row, side) for row in rows))


def _dressed(columns: Sequence[Column], glyphs: Glyphs) -> tuple[Column, ...]:
    """The columns, painted with these glyphs."""
    return tuple(
        replace(one, scene=replace(one.scene, look=replace(one.scene.look, glyphs=glyphs)))
        for one in columns
    )


BLANK: Final = "_"
"""Stands for a blank at which no line may be broken; wrapping cleans what is not printable."""


def _card(title: str, width: int, height: int, glyphs: Glyphs) -> Rows:
    """A title in the middle, as large as it goes; else spaced, with lines around it."""
    room = width - 2 * MARGIN
    pixel = "" if glyphs.has_half_blocks else "#" if glyphs.ascii_only else "█"
    lines = lettering(title, room, height - 2, pixel)
    style = "stage-card"
    if not lines:
        spaced = " ".join(title) if len(title) * 2 <= room else title
        rule = ("=" if glyphs.ascii_only else "━") * min(max(cell_width(spaced), 1), room)
        lines = wrap(spaced.replace("   ", f"{BLANK} {BLANK}"), room, max(height - 4, 1))
        lines = [line.replace(BLANK, " ") for line in lines]
        lines = [rule, "", *lines, "", rule] if height >= len(lines) + 4 else lines
    above = max((height - len(lines)) // 2, 0)
    rows: list[Row] = [()] * above
    rows += [((" " * ((width - cell_width(line)) // 2), "text"), (line, style)) for line in lines]
    return fit_rows(rows, width, height, ascii_only=False)
