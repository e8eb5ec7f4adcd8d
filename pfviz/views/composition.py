"""Panes put together as one screen of rows: frames, titles, columns beside and rows below.

Pure text: it knows no terminal and no widget, and leaves colours to the styles' names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .glyphs import UNICODE, Glyphs
from .rows import Cell, Row, Rows, cell_width, clean, clip, fit_rows, to_ascii

ROUND: Final = "╭─╮│╰─╯"
HEAVY: Final = "┏━┓┃┗━┛"
PLAIN: Final = "+-+|+-+"
"""Corners and sides of a frame: top left, top, top right, side, bottom left, bottom, right."""
FRAME_CELLS: Final = 2
"""What a frame takes of a pane's width and height."""


def framed(
    rows: Rows,
    width: int,
    height: int,
    title: str = "",
    foot: str = "",
    focused: bool = False,
    glyphs: Glyphs = UNICODE,
) -> Rows:
    """The rows in a frame of `width` x `height` cells, with words in its upper and lower side."""
    if width < FRAME_CELLS or height < FRAME_CELLS:
        return fit_rows((), width, height)
    box = PLAIN if glyphs.ascii_only else ROUND
    style = "frame-focus" if focused else "frame"
    side: Cell = (box[3], style)
    inside = fit_rows(rows, width - FRAME_CELLS, height - FRAME_CELLS, glyphs.ascii_only)
    return (
        edge(title, width, box, style, "title-focus" if focused else "title", is_top=True),
        *((side, *row, side) for row in inside),
        edge(foot, width, box, style, "title-focus" if focused else "foot", is_top=False),
    )


def edge(words: str, width: int, box: str, style: str, label: str, is_top: bool) -> Row:
    """A frame's upper side with a title at its left, or its lower one with a foot at its right."""
    left, line, right = (box[0], box[1], box[2]) if is_top else (box[4], box[5], box[6])
    if width < 2:
        return ((line * width, style),)
    words = clip(clean(words), width - 6)
    if box == PLAIN:
        words = to_ascii(words)
    if not words:
        return ((left + line * (width - 2) + right, style),)
    words = f" {words} "
    rest = width - 3 - cell_width(words)
    before, after = (line, line * rest) if is_top else (line * rest, line)
    return ((left + before, style), (words, label), (after + right, style))


def beside(parts: Sequence[Rows]) -> Rows:
    """Parts of one height from left to right."""
    assert len({len(part) for part in parts}) <= 1, [len(part) for part in parts]
    return tuple(
        tuple(cell for row in row_of_all for cell in row) for row_of_all in zip(*parts, strict=True)
    )


def screen(rows: Rows, width: int, height: int, glyphs: Glyphs = UNICODE) -> Rows:
    """Exactly `width` x `height` cells, neighbours of one style made one: what is exported."""
    fitted = fit_rows(rows, width, height, glyphs.ascii_only)
    return tuple(merged(row) for row in fitted)


def merged(row: Row) -> Row:
    """The row with neighbouring cells of one style as one."""
    out: list[Cell] = []
    for text, style in row:
        if not text:
            continue
        if out and out[-1][1] == style:
            out[-1] = (out[-1][0] + text, style)
        else:
            out.append((text, style))
    return tuple(out)
