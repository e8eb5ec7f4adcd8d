"""Rows as SVG: letters as text at their columns, frames and blocks as shapes: nothing drifts.

Whatever font a viewer has, each run of letters begins at its own column and is as wide as its
cells; lines and blocks need no font at all. All text is escaped here and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pfviz.views.inks import Ink
from pfviz.views.palettes import Palette
from pfviz.views.rows import Row, cell_width, clean

CELL_WIDTH: Final = 10
CELL_HEIGHT: Final = 20
"""Units of the picture in one cell."""
FONT_SIZE: Final = 16.5
"""The usual monospace fonts are 0.6 as wide as high: a letter fills its cell."""
BASELINE: Final = 15
"""From the top of a cell to the line on which letters stand."""
FONTS: Final = (
    "ui-monospace,SFMono-Regular,'DejaVu Sans Mono','Cascadia Mono',Menlo,Consolas,"
    "'Liberation Mono',monospace"
)
_RUN: Final = re.compile(r"\S+(?: \S+)*")
"""Words with single blanks between them: wider blanks are left out, they need no ink."""

THIN: Final = 1.5
THICK: Final = 3

Box = tuple[float, float, float, float]
"""Left, top, width and height in a cell, of units."""

_MIDDLE_X: Final = CELL_WIDTH / 2
_MIDDLE_Y: Final = CELL_HEIGHT / 2


def _line(weight: float, left: bool, right: bool, up: bool, down: bool) -> tuple[Box, ...]:
    """Arms of a line from the middle of a cell to its sides."""
    boxes: list[Box] = []
    half = weight / 2
    if left or right:
        first = 0 if left else _MIDDLE_X - half
        last = CELL_WIDTH if right else _MIDDLE_X + half
        boxes.append((first, _MIDDLE_Y - half, last - first, weight))
    if up or down:
        top = 0 if up else _MIDDLE_Y - half
        bottom = CELL_HEIGHT if down else _MIDDLE_Y + half
        boxes.append((_MIDDLE_X - half, top, weight, bottom - top))
    return tuple(boxes)


def _heights() -> dict[str, tuple[Box, ...]]:
    """Blocks that fill a cell from below, and some from the left."""
    shapes: dict[str, tuple[Box, ...]] = {}
    for eighths, char in enumerate("▁▂▃▄▅▆▇█", start=1):
        high = CELL_HEIGHT * eighths / 8
        shapes[char] = ((0, CELL_HEIGHT - high, CELL_WIDTH, high),)
    for eighths, char in enumerate("▏▎▍▌▋▊▉", start=1):
        shapes[char] = ((0, 0, CELL_WIDTH * eighths / 8, CELL_HEIGHT),)
    return shapes


SHAPES: Final[Mapping[str, tuple[Box, ...]]] = {
    **_heights(),
    "▀": ((0, 0, CELL_WIDTH, CELL_HEIGHT / 2),),
    "▐": ((CELL_WIDTH / 2, 0, CELL_WIDTH / 2, CELL_HEIGHT),),
    "▚": ((0, 0, 5, 10), (5, 10, 5, 10)),
    "▞": ((5, 0, 5, 10), (0, 10, 5, 10)),
    "─": _line(THIN, True, True, False, False),
    "━": _line(THICK, True, True, False, False),
    "│": _line(THIN, False, False, True, True),
    "┃": _line(THICK, False, False, True, True),
    "╌": ((1, 9.25, 3, THIN), (6, 9.25, 3, THIN)),
    "┄": ((0.5, 9.25, 2, THIN), (4, 9.25, 2, THIN), (7.5, 9.25, 2, THIN)),
    "═": ((0, 7, CELL_WIDTH, THIN), (0, 11.5, CELL_WIDTH, THIN)),
    "┌": _line(THIN, False, True, False, True),
    "┐": _line(THIN, True, False, False, True),
    "└": _line(THIN, False, True, True, False),
    "┘": _line(THIN, True, False, True, False),
    "├": _line(THIN, False, True, True, True),
    "┤": _line(THIN, True, False, True, True),
    "┬": _line(THIN, True, True, False, True),
    "┴": _line(THIN, True, True, True, False),
    "┼": _line(THIN, True, True, True, True),
}
"""Characters that are drawn as boxes."""

SHADES: Final[Mapping[str, str]] = {"░": ".3", "▒": ".5", "▓": ".75"}
"""Characters that are a whole cell, with so much of their colour."""

CORNERS: Final[Mapping[str, tuple[float, float, str]]] = {
    "╭": (5, 20, "v-5q0-5 5-5"), "╮": (0, 10, "q5 0 5 5v5"),
    "╰": (5, 0, "v5q0 5 5 5"), "╯": (0, 10, "q5 0 5-5v-5"),
}  # fmt: skip
"""Characters that are drawn as a line: where it begins in the cell, and how it goes on."""
BLOCKS: Final = frozenset((*_heights(), "▀", "▐", "▚", "▞", *SHADES))
"""Characters whose edges are those of cells: they are drawn crisp, so that neighbours touch."""
CRISP: Final = ";shape-rendering:crispEdges"
DRAWN: Final = frozenset((*SHAPES, *SHADES, *CORNERS))


def number(value: float) -> str:
    """A number as short as it can be written."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))


def escaped(text: str) -> str:
    """Text for SVG or HTML, in elements and in quoted attributes, without control characters."""
    text = clean(text)
    for char, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(char, f"&{name};")
    return text


def colors_of(ink: Ink, palette: Palette) -> tuple[str, str]:
    """The colours of an ink's letters and of its ground; "" for the picture's own ground."""
    color, ground = ink.color or palette.text, ink.ground
    return (ground or palette.ground, color) if ink.reverse else (color, ground)


class Pen:
    """Draws rows in the inks of a palette, and collects the classes that it used."""

    def __init__(self, inks: Mapping[str, Ink], palette: Palette) -> None:
        self._inks = inks
        self._palette = palette
        self._classes: dict[str, str] = {}
        """What stands in the braces of a rule -> the name of its class, in the order of use."""

    def css(self) -> str:
        """The rules of the classes used so far."""
        return "".join(f".{name}{{{rule}}}" for rule, name in self._classes.items())

    def _class(self, rule: str) -> str:
        name = self._classes.get(rule)
        if name is None:
            count = len(self._classes)
            letters = "abcdefghijklmnopqrstuvwxyz"
            name = letters[count % 26] + (str(count // 26) if count >= 26 else "")
            self._classes[rule] = name
        return name

    def row(self, row: Row) -> str:
        """The markup of one row; x counts from its left end, y from its baseline."""
        grounds: dict[str, list[str]] = {}
        shapes: dict[str, list[str]] = {}
        texts: list[str] = []
        column = 0
        for text, style in row:
            ink = self._inks.get(style) or Ink()
            color, ground = colors_of(ink, self._palette)
            width = cell_width(text)
            if ground:
                box = _boxes(((0, 0, CELL_WIDTH * width, CELL_HEIGHT),), column, 1)
                grounds.setdefault(f"fill:{ground}{CRISP}", []).append(box)
            self._letters(text, column, color, ink, shapes, texts)
            column += width
        drawn = [
            f"<path class='{self._class(rule)}' d='{''.join(paths)}'/>"
            for rule, paths in (*grounds.items(), *shapes.items())
        ]
        return "".join(drawn + texts)

    def _letters(
        self, text: str, column: int, color: str, ink: Ink, shapes: dict[str, list[str]],
        texts: list[str],
    ) -> None:  # fmt: skip
        """Split a text into what is drawn and what is written."""
        if not text.isascii() and not DRAWN.isdisjoint(text):
            at = 0
            written: list[str] = []
            while at < len(text):
                char = text[at]
                if char not in DRAWN:
                    written.append(char)
                    at += 1
                    continue
                count = 1
                while at + count < len(text) and text[at + count] == char:
                    count += 1
                here = column + cell_width(text[:at])
                rule, path = _drawn(char, here, count, color)
                shapes.setdefault(rule, []).append(path)
                written.append(" " * count)
                at += count
            text = "".join(written)
        rule = f"fill:{color}"
        if ink.bold:
            rule += ";font-weight:700"
        if ink.italic:
            rule += ";font-style:italic"
        if ink.strike:
            rule += ";text-decoration:line-through"
        if ink.dim:
            rule += ";opacity:.6"
        for found in _RUN.finditer(text):
            words = found.group()
            x = (column + cell_width(text[: found.start()])) * CELL_WIDTH
            length = cell_width(words) * CELL_WIDTH
            wide = f" textLength='{length}'" if len(words) > 1 else ""
            place = f" x='{x}'" if x else ""
            texts.append(f"<text class='{self._class(rule)}'{place}{wide}>{escaped(words)}</text>")


def _drawn(char: str, column: int, count: int, color: str) -> tuple[str, str]:
    """The rule and the path of a run of one character that is drawn."""
    if char in CORNERS:
        x, y, rest = CORNERS[char]
        paths = [
            f"M{number((column + step) * CELL_WIDTH + x)} {number(y - BASELINE)}{rest}"
            for step in range(count)
        ]
        rule = f"fill:none;stroke:{color};stroke-width:{THIN}"
        return rule, "".join(paths).replace(" -", "-")
    if char in SHADES:
        whole = ((0.0, 0.0, float(CELL_WIDTH), float(CELL_HEIGHT)),)
        return f"fill:{color};opacity:{SHADES[char]}{CRISP}", _boxes(whole, column, count)
    crisp = CRISP if char in BLOCKS else ""
    return f"fill:{color}{crisp}", _boxes(SHAPES[char], column, count)


def _boxes(boxes: tuple[Box, ...], column: int, count: int) -> str:
    """Boxes of `count` neighbouring cells as a path; those that touch are one."""
    path = ""
    for left, top, width, height in boxes:
        x, y = column * CELL_WIDTH + left, top - BASELINE
        if left == 0 and width == CELL_WIDTH:
            width, repeats = width * count, 1
        else:
            repeats = count
        for step in range(repeats):
            path += (
                f"M{number(x + step * CELL_WIDTH)} {number(y)}h{number(width)}v{number(height)}"
                f"h{number(-width)}z"
            )
    return path.replace(" -", "-")
