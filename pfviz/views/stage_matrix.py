"""The matrix of faults and kernels on the stage: few columns, large, with the cell explained.

The codes are given: how a cell is found out is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pfviz.scenario.fault_kinds import BY_ID

from .fault_codes import code_cells, legend, linux, meaning
from .glyphs import UNICODE, Glyphs
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, pad, wrap

COLUMN_MAX: Final = 20
TITLE_MIN: Final = 14
TITLE_MAX: Final = 40
LEGEND_LINES_MIN: Final = 14
TOLD_LINES: Final = 4


@dataclass(frozen=True, slots=True)
class StageMatrix:
    """Rows of kinds and columns of kernels, with the cell that is talked about."""

    kinds: tuple[str, ...]
    kernels: tuple[str, ...]
    kind: str
    kernel: str
    codes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(kind, kernel) -> code; a cell that is missing is not known yet."""
    cause: str = ""
    """Why the cell's fault left its fast path, where it did."""


def paint_matrix(matrix: StageMatrix, width: int, height: int, glyphs: Glyphs = UNICODE) -> Rows:
    """The matrix in so many rows and cells; kinds and kernels scroll as little as they must."""
    told = _told(matrix, width) if height >= 9 else []
    with_legend = height - len(told) >= LEGEND_LINES_MIN
    room = height - len(told) - (2 if with_legend else 0) - 1
    longest = max((cell_width(BY_ID[kind].title) for kind in matrix.kinds), default=0) + 2
    names = max(TITLE_MIN, min(longest, TITLE_MAX, width // 2))
    lines = _lines(matrix, room)
    columns = _columns(matrix, lines, width - names)
    rows: list[Row] = [_head(matrix, columns, names)]
    rows += [_line(matrix, kind, columns, names, glyphs) if kind else () for kind in lines]
    legends = [legend(width)] if with_legend else []
    blank: list[Row] = [()] * (height - len(told) - len(rows) - len(legends))
    # What is told of the cell stands near few kinds, and at the foot of many.
    few = len(blank) > len(rows) // 2
    rows += [*told, *blank, *legends] if few else [*blank, *legends, *told]
    return fit_rows(rows, width, height, glyphs.ascii_only)


def _lines(matrix: StageMatrix, room: int) -> Sequence[str]:
    """The kinds that are seen, with blank lines between all or between groups where they fit."""
    if 2 * len(matrix.kinds) <= room:
        return [line for kind in matrix.kinds for line in ("", kind)]
    grouped: list[str] = []
    for kind in matrix.kinds:
        if grouped and BY_ID[grouped[-1]].group != BY_ID[kind].group:
            grouped.append("")
        grouped.append(kind)
    return grouped if len(grouped) <= room else _window(matrix.kinds, matrix.kind, room)


def _window(names: Sequence[str], keep: str, count: int) -> Sequence[str]:
    """At most so many names in their order, the one that is talked about in the middle."""
    at = names.index(keep) if keep in names else 0
    first = max(0, min(at - count // 2, len(names) - count))
    return names[first : first + max(count, 1)]


def _columns(matrix: StageMatrix, kinds: Sequence[str], room: int) -> list[tuple[str, int]]:
    """The kernels that are seen, (name, cells) each: as many around the one that is talked about
    as there is room for, and then as wide as they may be."""
    widths = [
        max(len(name), *(len(matrix.codes.get((kind, name), "")) for kind in kinds)) + 3
        for name in matrix.kernels
    ]
    at = matrix.kernels.index(matrix.kernel) if matrix.kernel in matrix.kernels else 0
    first = last = at
    while True:
        # What came before tells more than what comes after.
        if first > 0 and sum(widths[first - 1 : last + 1]) <= room:
            first -= 1
        elif last + 1 < len(widths) and sum(widths[first : last + 2]) <= room:
            last += 1
        else:
            break
    spare = max(room - sum(widths[first : last + 1]), 0) // (last + 1 - first)
    return [
        (matrix.kernels[number], max(widths[number], min(widths[number] + spare, COLUMN_MAX)))
        for number in range(first, last + 1)
    ]


def _head(matrix: StageMatrix, columns: Sequence[tuple[str, int]], names: int) -> Row:
    cells: list[Cell] = [(" " * names, "dim")]
    for name, column in columns:
        style = "selected" if name == matrix.kernel else "strong"
        cells += [(f" {name} ", style), (" " * max(column - len(name) - 2, 0), "text")]
    return tuple(cells)


def _line(matrix: StageMatrix, kind: str, columns: Sequence[tuple[str, int]], names: int,
          glyphs: Glyphs) -> Row:  # fmt: skip
    here = kind == matrix.kind
    more = "~" if glyphs.ascii_only else "…"
    title = pad(f" {BY_ID[kind].title}", names - 1, more)
    cells: list[Cell] = [(title, "selected" if here else "text"), (" ", "text")]
    for name, column in columns:
        code = matrix.codes.get((kind, name), "")
        on_ground = here and name == matrix.kernel
        side = (" ", "selected" if on_ground else "text")
        cells += [side, *code_cells(code or glyphs.dot, on_ground), side]
        cells.append((" " * max(column - len(code or " ") - 2, 0), "text"))
    return tuple(cells)


def _told(matrix: StageMatrix, width: int) -> list[Row]:
    """What the cell's code says, under the matrix."""
    code = matrix.codes.get((matrix.kind, matrix.kernel), "")
    if not code:
        return []
    what = f"{BY_ID[matrix.kind].title}, {linux(matrix.kernel)}"
    rows: list[Row] = [(), ((clip(what, width), "stage-verdict"),)]
    for part, words in meaning(code):
        cells = code_cells(part)
        lines = wrap(words, width - cell_width(part) - 2, 2)
        for number, line in enumerate(lines):
            lead = (*cells, ("  ", "text")) if not number else ((" " * (len(part) + 2), "text"),)
            rows.append((*lead, (line, "text")))
    if matrix.cause:
        rows += [((line, "dim"),) for line in wrap(matrix.cause, width, 1)]
    # Of the same height for short codes and long ones, so that the matrix stays where it is.
    return rows + [()] * (TOLD_LINES - len(rows))
