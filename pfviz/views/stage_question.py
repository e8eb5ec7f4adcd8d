"""A question to the audience, large: its answers by number, then which one is right.

The words are those of a scenario's or a talk's `[[question]]`; who asks and when is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .glyphs import UNICODE, Glyphs
from .rows import Row, Rows, wrap

MEASURE_MAX: Final = 96
SPACED_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Posed:
    """A question as far as it has got; answers count from 1, 0 is none."""

    ask: str
    answers: tuple[str, ...]
    right: int
    picked: int = 0
    revealed: bool = False


def paint_question(
    asked: Posed, width: int, height: int, glyphs: Glyphs = UNICODE, spaced: bool = True
) -> Rows:
    """The question over its answers, in at most so many rows.

    `spaced`: in the middle of them, with blank lines between answers where they fit.
    """
    measure = min(width - 2, MEASURE_MAX)
    left = " " * ((width - measure) // 2)
    rows: list[Row] = [((left + line, "stage-ask"),) for line in wrap(asked.ask, measure, 6)]
    blocks = [_answer(asked, number, measure, left, glyphs)
              for number in range(1, len(asked.answers) + 1)]  # fmt: skip
    needed = len(rows) + sum(map(len, blocks))
    roomy = spaced and needed + len(blocks) + 1 <= height
    if needed + 1 <= height:
        rows.append(())
    for number, block in enumerate(blocks):
        rows += [()] if roomy and number else []
        rows += block
    above = (height - len(rows)) // 2 if spaced and height >= SPACED_LINES else 0
    return (*((),) * max(above, 0), *rows)[:height]


def _answer(asked: Posed, number: int, measure: int, left: str, glyphs: Glyphs) -> list[Row]:
    """One answer with its number; once revealed, the right one is lit, a wrong pick is marked."""
    style, digit, mark = "stage-answer", "stage-number", " "
    if asked.revealed and number == asked.right:
        style, digit, mark = "stage-right", "stage-right", glyphs.tick
    elif asked.revealed and number == asked.picked:
        style, digit, mark = "stage-wrong", "stage-wrong", glyphs.cross
    elif asked.revealed:
        style, digit = "stage-faded", "stage-faded"
    elif number == asked.picked:
        style, mark = "stage-ask", glyphs.arrow_right
    # The right answer is one lit band, its number and its mark in it.
    is_lit = asked.revealed and number == asked.right
    ground, signed = (style, style) if is_lit else ("text", style if mark.strip() else "text")
    rows: list[Row] = []
    for line in wrap(asked.answers[number - 1], max(measure - 8, 8), 4):
        if rows:
            rows.append(((f"{left}  ", "text"), ("     ", ground), (f" {line} ", style)))
        else:
            head: Row = ((left, "text"), (f" {mark}", signed), (f" {number} ", digit))
            rows.append((*head, ("  ", ground), (f" {line} ", style)))
    return rows
