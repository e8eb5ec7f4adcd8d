"""What a speaker sees in the second terminal: words to say, time, what comes next. As rows.

Title of the talk                                    12:34 of 20:00 · 0:20 behind · 14:05:12
━━━━━━━━━ ━━━━━━━━━ ━━━━━───── ──────────
scene, caption on the screen, what to say, the question with its answer, the next caption

Pure: it knows no clock, no link and no terminal; `NotesMoment` has all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pfviz.scenario.talk import Asked

from .glyphs import UNICODE, Glyphs
from .numbers import minutes
from .rows import Cell, Row, Rows, cell_width, clean, clip, fit_rows, row_width, wrap

ON_TIME_S: Final = 10.0
"""So far from the plan is still on time."""
MARGIN: Final = 2
MEASURE_MAX: Final = 96
LINES_MAX: Final = 40
ROOMY_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class NotesMoment:
    """Where the talk is, and what its speaker should know."""

    title: str
    scene: int
    """The number of the scene, from 1, of `scenes`."""
    scenes: int
    scene_title: str
    place: str = ""
    """Where in the scene: `stop 2 of 5`."""
    share: float = 0.0
    """How much of the scene is behind, 0 to 1."""
    caption: str = ""
    """What the audience reads now."""
    note: str = ""
    following: str = ""
    """What it will read next; "" at the end."""
    later: tuple[tuple[str, str], ...] = ()
    """What comes after that: (`scene 4` where one begins, caption) each."""
    asked: Asked | None = None
    """The question that is on the screen."""
    coming: Asked | None = None
    """The next question of the scene."""
    elapsed_s: float = 0.0
    began: bool = False
    minutes: float = 0.0
    """How long the talk is meant to take."""
    behind_s: float = 0.0
    """Seconds behind the plan; negative when ahead of it."""
    clock: str = ""
    said: str = ""
    """In the last line: the link, what is blank or in other hands."""
    is_warning: bool = False
    keys: str = ""


def paint(moment: NotesMoment, width: int, height: int, glyphs: Glyphs = UNICODE) -> Rows:
    """The whole screen in exactly `height` rows of `width` cells."""
    if width <= 0 or height <= 0:
        return fit_rows([], max(width, 0), max(height, 0))
    head = _head(moment, width, height, glyphs)
    foot = _foot(moment, width, height)
    room = height - len(head) - len(foot)
    body = fit_rows(_body(moment, width, max(room, 0)), width, max(room, 0), glyphs.ascii_only)
    return fit_rows((*head, *body, *foot), width, height, glyphs.ascii_only)


def told_time(moment: NotesMoment) -> str:
    """`0:20 behind`, `1:05 ahead`, `on time`; "" before the talk has begun."""
    if not moment.began:
        return "not begun"
    if abs(moment.behind_s) <= ON_TIME_S:
        return "on time"
    way = "behind" if moment.behind_s > 0 else "ahead"
    return f"{minutes(abs(moment.behind_s))} {way}"


def _head(moment: NotesMoment, width: int, height: int, glyphs: Glyphs) -> list[Row]:
    """Time first: it must be found at a glance, from the side."""
    time = told_time(moment)
    late = moment.behind_s > ON_TIME_S
    style = "dim" if not moment.began else "warn" if late else "good"
    left: Row = (
        (" " * MARGIN, "text"),
        (minutes(moment.elapsed_s), "strong"),
        (f" of {minutes(moment.minutes * 60)}   ", "dim"),
        (time, style),
    )
    tails: list[Row] = [
        ((clip(clean(moment.title), width // 2), "dim"), ("   ", "text"), (moment.clock, "strong")),
        ((moment.clock, "strong"),),
        (),
    ]
    tail = next((one for one in tails if row_width(left) + row_width(one) + 4 <= width), ())
    blank = width - row_width(left) - row_width(tail) - MARGIN
    first: Row = (*left, (" " * max(blank, 0), "text"), *tail)
    rows = [first, _progress(moment, width, glyphs)] if height > 4 else [first]
    return [*rows, ()] if height >= ROOMY_LINES else rows


def _progress(moment: NotesMoment, width: int, glyphs: Glyphs) -> Row:
    """A stretch for each scene; the one that plays fills."""
    room = width - 2 * MARGIN
    done, ahead = ("=", "-") if glyphs.ascii_only else ("━", "─")
    cells: list[Cell] = [(" " * MARGIN, "text")]
    for number in range(1, max(moment.scenes, 1) + 1):
        first = room * (number - 1) // moment.scenes
        last = room * number // moment.scenes
        length = last - first - (1 if room >= 3 * moment.scenes else 0)
        part = length if number < moment.scene else 0
        if number == moment.scene:
            part = round(length * min(max(moment.share, 0.0), 1.0))
        style = "accent" if number == moment.scene else "dim"
        cells += [(done * part, style), (ahead * (length - part), "faint")]
        cells.append((" " * (last - first - length), "text"))
    return tuple(cells)


def _foot(moment: NotesMoment, width: int, height: int) -> list[Row]:
    style = "warn" if moment.is_warning else "dim"
    said: Row = ((" " * MARGIN, "text"), (moment.said, style))
    room = width - row_width(said) - MARGIN - 3
    keys = moment.keys if cell_width(moment.keys) <= room else ""
    blank = width - row_width(said) - cell_width(keys) - MARGIN
    row: Row = (*said, (" " * max(blank, 0), "text"), (keys, "dim"))
    return [(), row] if height >= ROOMY_LINES else [row]


def _body(moment: NotesMoment, width: int, height: int) -> list[Row]:
    """Blocks from the most to the least needed: where there is no room the last go first."""
    gap: list[Row] = [()] if height >= ROOMY_LINES - 6 else []
    where = f"{moment.scene} of {moment.scenes}"
    scene: Row = (
        (" " * MARGIN, "text"), (where, "dim"), ("  ", "text"),
        (clean(moment.scene_title), "strong"),
        (f"   {moment.place}" if moment.place else "", "dim"),
    )  # fmt: skip
    rows: list[Row] = [scene, *gap]
    blocks = [
        _block("on the screen", clean(moment.caption), "accent", width),
        _block("say", clean(moment.note), "strong", width),
        *([_asked(moment.asked, width)] if moment.asked else []),
    ]
    if moment.coming is not None and moment.coming.ask != moment.following:
        blocks.append(_block("question soon", clean(moment.coming.ask), "text", width))
    after = _block("next", clean(moment.following) or "(the end)", "text", width)
    room = height - len(rows) - len(after)
    for block in blocks:
        if block and len(block) <= room:
            rows += [*block, *gap]
            room -= len(block) + len(gap)
    rows = [*rows, *after] if height > len(after) else rows
    for title, caption in moment.later:
        block = [*gap, *_block(title or "then", clean(caption), "dim", width)]
        if len(rows) + len(block) > height:
            break
        rows += block
    return rows


def _block(title: str, text: str, style: str, width: int) -> list[Row]:
    """A label, and the text beside it, or below where the screen is narrow."""
    if not text:
        return []
    indent = 16 if width >= 60 else MARGIN
    measure = max(min(width - indent - MARGIN, MEASURE_MAX), 1)
    lines = wrap(text, measure, LINES_MAX)
    if width < 60:
        head: Row = ((" " * MARGIN, "text"), (title, "dim"))
        return [head, *(((" " * MARGIN, "text"), (line, style)) for line in lines)]
    label = f"{'':{MARGIN}}{clip(title, indent - MARGIN - 1)}".ljust(indent)
    return [
        ((label if not number else " " * indent, "dim"), (line, style))
        for number, line in enumerate(lines)
    ]


def _asked(asked: Asked, width: int) -> list[Row]:
    """The answers, the right one marked, and why."""
    rows: list[Row] = []
    for number, answer in enumerate(asked.answers, 1):
        is_right = number == asked.right
        title = "answers" if number == 1 else ""
        mark = "right: " if is_right else ""
        rows += _block(title or " ", f"{number}  {mark}{clean(answer)}",
                       "good" if is_right else "text", width)  # fmt: skip
    return [*rows, *_block("because", clean(asked.why), "text", width)]
