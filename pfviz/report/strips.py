"""Pictures taken apart into what never changes and pieces of rows that do, each drawn once.

The same for a moving picture and for a page that plays: only who moves the pieces differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pfviz.views.rows import Row, Rows

from .cells import CellOf, Line, lines_of, row_of

APART_MIN: Final = 3
"""Fewer columns that stand still between two that change go along with them."""
_BLANK: Final[CellOf] = (" ", "text")


@dataclass(frozen=True, slots=True)
class Strip:
    """A piece of a row that changes: where it is, all it shows, and when it shows what."""

    x: int
    y: int
    width: int
    contents: tuple[Row, ...]
    """Each different; the first one is that of the poster."""
    changes: tuple[tuple[int, int], ...]
    """(microseconds, number of the content), from 0 on."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A film taken apart."""

    background: Rows
    """What never changes; blank where strips are."""
    strips: tuple[Strip, ...]


def strips_of(pictures: Sequence[tuple[int, Rows]], poster: int = 0) -> Cut:
    """Take pictures (with their times) apart; all have the same size."""
    times = [at_us for at_us, _ in pictures]
    films = [lines_of(rows) for _, rows in pictures]
    background: list[Row] = []
    strips: list[Strip] = []
    for y in range(len(films[0])):
        lines = [film[y] for film in films]
        spans = _moving(lines)
        first = list(lines[0])
        for begin, end in spans:
            first[begin:end] = [_BLANK] * (end - begin)
            strips.append(_strip(begin, y, [line[begin:end] for line in lines], times, poster))
        background.append(row_of(tuple(first)))
    return Cut(tuple(background), tuple(strips))


def _moving(lines: Sequence[Line]) -> list[tuple[int, int]]:
    """The spans of columns in which lines differ from the first one."""
    distinct = list(dict.fromkeys(lines))
    if len(distinct) == 1:
        return []
    width = len(distinct[0])
    changing = [any(line[x] != distinct[0][x] for line in distinct) for x in range(width)]
    # A wide letter is not cut, whichever picture has it.
    for x in range(width - 1, 0, -1):
        if changing[x] and any(line[x][0] == "" for line in distinct):
            changing[x - 1] = True
    for x in range(1, width):
        if changing[x - 1] and any(line[x][0] == "" for line in distinct):
            changing[x] = True
    spans: list[tuple[int, int]] = []
    for x in range(width):
        if not changing[x]:
            continue
        if spans and x - spans[-1][1] < APART_MIN:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((x, x + 1))
    return spans


def _strip(x: int, y: int, lines: Sequence[Line], times: Sequence[int], poster: int) -> Strip:
    numbers: dict[Line, int] = {lines[poster]: 0}
    changes: list[tuple[int, int]] = []
    for at_us, line in zip(times, lines, strict=True):
        content = numbers.setdefault(line, len(numbers))
        if not changes or changes[-1][1] != content:
            changes.append((at_us, content))
    return Strip(x, y, len(lines[0]), tuple(row_of(line) for line in numbers), tuple(changes))
