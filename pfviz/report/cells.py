"""A picture cell by cell, and what changed since the picture before: the least to be drawn anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pfviz.views.rows import Row, Rows, char_width

CellOf = tuple[str, str]
"""(character, style) of one column; the second column of a wide character is ("", style)."""
Line = tuple[CellOf, ...]

GAP_MAX: Final = 4
"""Fewer columns than this between two changes are drawn again: a jump costs more."""


def line_of(row: Row) -> Line:
    """The cells of a row, one per column; marks that take no room stay with their letter."""
    cells: list[CellOf] = []
    for text, style in row:
        if text.isascii():
            cells.extend([(char, style) for char in text])
            continue
        for char in text:
            width = char_width(char)
            if width == 0:
                if cells:
                    before, of = cells[-1]
                    cells[-1] = (before + char, of)
                continue
            cells.append((char, style))
            cells.extend([("", style)] * (width - 1))
    return tuple(cells)


def row_of(cells: Line) -> Row:
    """Cells as a row again, neighbours of one style as one."""
    out: list[CellOf] = []
    for text, style in cells:
        if out and out[-1][1] == style:
            out[-1] = (out[-1][0] + text, style)
        else:
            out.append((text, style))
    return tuple(out)


def lines_of(rows: Rows) -> tuple[Line, ...]:
    """The cells of all rows."""
    return tuple(line_of(row) for row in rows)


def changed_spans(before: Line, after: Line) -> Iterator[tuple[int, int]]:
    """The columns [first, last) in which two lines differ, near ones as one, no letter cut."""
    assert len(before) == len(after)
    first = last = -1
    for column, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new:
            continue
        if first >= 0 and column - last > GAP_MAX:
            yield _with_whole_letters(before, after, first, last)
            first = -1
        if first < 0:
            first = column
        last = column + 1
    if first >= 0:
        yield _with_whole_letters(before, after, first, last)


def _with_whole_letters(before: Line, after: Line, first: int, last: int) -> tuple[int, int]:
    while first > 0 and "" in (before[first][0], after[first][0]):
        first -= 1
    while last < len(after) and "" in (before[last][0], after[last][0]):
        last += 1
    return first, last
