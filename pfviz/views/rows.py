"""Rows of styled text: what every painter returns and every face draws.

A cell is (text, style name). Nothing here knows a terminal, a colour or a theme; widths are counted
in terminal cells, and no control character of a foreign name leaves this module.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from .glyphs import ASCII_LOOK_ALIKES

Cell = tuple[str, str]
Row = tuple[Cell, ...]
Rows = tuple[Row, ...]

STYLES: Final[dict[str, str]] = {
    # Text in general
    "text": "what is read",
    "strong": "what is read first",
    "dim": "labels, units, what is read last",
    "faint": "guides and empty places",
    "accent": "pfviz's own blue: what the eye should follow",
    "good": "something went the fast way",
    "warn": "something went the slow way",
    "bad": "something is broken or lost",
    "selected": "the row of the selected thread",
    "now": "the line at which time stands",
    # Threads: one style per state of `states.STATES`, and its `-on` twin (letter on the colour)
    "user": "runs in user space",
    "kernel": "runs in a system call",
    "entry": "in a fault, before any lock",
    "fault-vma": "in a fault under a VMA lock",
    "fault-mmap": "in a fault under mmap_lock",
    "fault-lockless": "in a fault without a lock",
    "hold-read": "holds mmap_lock for read outside a fault",
    "hold-write": "holds mmap_lock for write",
    "spin": "spins for a lock and burns CPU",
    "wait-read": "sleeps until it may read",
    "wait-write": "sleeps until it may write",
    "io": "waits for a device",
    "rcu": "in an RCU read section",
    "off-cpu": "runnable, but another task has its CPU",
    "off-cpu-holding": "off its CPU while others wait for its lock",
    "sleep": "sleeps for its own reasons",
    "ended": "has ended",
    "user-on": "letter on user",
    "kernel-on": "letter on kernel",
    "entry-on": "letter on entry",
    "fault-vma-on": "letter on fault-vma",
    "fault-mmap-on": "letter on fault-mmap",
    "fault-lockless-on": "letter on fault-lockless",
    "hold-read-on": "letter on hold-read",
    "hold-write-on": "letter on hold-write",
    "spin-on": "letter on spin",
    "wait-read-on": "letter on wait-read",
    "wait-write-on": "letter on wait-write",
    "io-on": "letter on io",
    "rcu-on": "letter on rcu",
    "off-cpu-on": "letter on off-cpu",
    "off-cpu-holding-on": "letter on off-cpu-holding",
    "sleep-on": "letter on sleep",
    "ended-on": "letter on ended",
    # Names and numbers
    "task": "a thread's name",
    "lock": "a lock's name",
    "address": "an address",
    "number": "a count or a time",
    # Address space
    "vma": "a VMA's name",
    "vma-detached": "a VMA out of the tree, not freed yet",
    "page-anon": "anonymous pages",
    "page-zero": "the shared zero page",
    "page-file": "pages of the page cache",
    "page-cow": "pages shared until somebody writes",
    "page-none": "no page",
    "mark": "a thread where it faults",
    # Tree
    "node": "a node of the tree",
    "node-walked": "a node on the way of a walk",
    "node-dead": "a dead node that waits for its grace period",
    "slot": "slots in use",
    "slot-free": "free slots",
    "gap": "room between VMAs",
    # Steps
    "step-done": "a step that is behind",
    "step-now": "the step in which the thread stands",
    "step-next": "a step that is likely next",
    "source": "file and version",
    "story": "what a step means",
    "fallback": "why a faster path was left",
    # Stage
    "stage-title": "the title of the scene, small on top",
    "stage-done": "scenes that are behind, in the bar",
    "stage-here": "the scene that plays, in the bar",
    "stage-ahead": "what is to come, in the bar",
    "stage-pane": "the name of a pane",
    "stage-focus": "the name of the pane to look at",
    "stage-card": "the large letters of a title card",
    "stage-caption": "the caption, on its own ground",
    "stage-edge": "the left edge of that ground",
    "stage-aside": "a quiet word to the speaker, on the same ground",
    "stage-verdict": "what a comparison comes to",
    "stage-ask": "a question",
    "stage-number": "the number of an answer",
    "stage-answer": "an answer",
    "stage-right": "the right answer, revealed",
    "stage-wrong": "a wrong answer that was picked",
    "stage-faded": "any other answer, once the right one is revealed",
}
"""Every style name a painter may use, with its meaning; a theme maps exactly these."""

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


@lru_cache(maxsize=4096)
def char_width(char: str) -> int:
    """Cells one character takes: 0 (combining), 1, or 2 (East Asian wide, most emoji)."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cell_width(text: str) -> int:
    """Cells that a clean text takes on a terminal."""
    return len(text) if text.isascii() else _wide_width(text)


@lru_cache(maxsize=8192)
def _wide_width(text: str) -> int:
    return sum(map(char_width, text))


def clean(text: str) -> str:
    """The text without anything that acts on a terminal: controls, escapes, direction marks."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else REPLACEMENT for char in text)


def clip(text: str, width: int, more: str = "…") -> str:
    """The text in at most `width` cells; `more` ends it where something was cut off."""
    text = clean(text)
    if cell_width(text) <= width:
        return text
    room = width - cell_width(more)
    if room < 0:
        return ""
    return _head(text, room) + more


NUMBER_MAX: Final = 6
"""Longer ones are addresses, of which the front says more."""


def clip_name(text: str, width: int, more: str = "…") -> str:
    """The name in at most `width` cells; a number at its end, which tells names apart, stays."""
    text = clean(text)
    number = text[len(text.rstrip("0123456789")) :]
    room = width - cell_width(more) - len(number)
    if cell_width(text) <= width or not 0 < len(number) <= NUMBER_MAX or room < 1:
        return clip(text, width, more)
    return _head(text, room) + more + number


def pad_name(text: str, width: int, more: str = "…") -> str:
    """A name in exactly `width` cells, cut as `clip_name` does."""
    text = clip_name(text, width, more)
    return text + " " * (width - cell_width(text))


def pad(text: str, width: int, more: str = "…") -> str:
    """The text in exactly `width` cells, left-aligned; nothing for a width below one."""
    text = clip(text, width, more)
    return text + " " * (width - cell_width(text))


def pad_left(text: str, width: int, more: str = "…") -> str:
    """The text in exactly `width` cells, right-aligned, as numbers are."""
    text = clip(text, width, more)
    return " " * (width - cell_width(text)) + text


def row_width(row: Row) -> int:
    """Cells that a row takes."""
    return sum(cell_width(text) for text, _ in row)


def fit(row: Iterable[Cell], width: int, ascii_only: bool = False) -> Row:
    """The row in exactly `width` cells: cleaned, padded, or cut with an ellipsis at its end.

    A cut never goes through a wide character.
    """
    out: list[Cell] = []
    left = width
    for text, style in row:
        if not text:
            continue
        if left <= 0:
            if text.isspace():
                continue
            return _cut(out, ascii_only)
        if not text.isprintable():
            text = clean(text)
        if ascii_only and not text.isascii():
            text = to_ascii(text)
        taken = cell_width(text)
        if taken > left:
            kept = _head(text, left)
            is_blank = text[len(kept) :].isspace()
            out.append((kept + " " * (left - cell_width(kept)), style))
            left = 0
            if not is_blank:
                return _cut(out, ascii_only)
            continue
        out.append((text, style))
        left -= taken
    if left > 0:
        out.append((" " * left, "text"))
    return tuple(out)


def _cut(row: list[Cell], ascii_only: bool) -> Row:
    """The row with its last cell given to the mark that says there was more."""
    if not row:
        return ()
    more = to_ascii("…") if ascii_only else "…"
    text, style = row.pop()
    kept = _head(text, cell_width(text) - 1)
    lost = cell_width(text) - cell_width(kept) - 1
    row.append((kept + " " * lost + more, style))
    return tuple(row)


def fit_rows(rows: Iterable[Row], width: int, height: int, ascii_only: bool = False) -> Rows:
    """Exactly `height` rows of exactly `width` cells; what does not fit is left out."""
    width, height = max(width, 0), max(height, 0)
    fitted = [fit(row, width, ascii_only) for row, _ in zip(rows, range(height), strict=False)]
    blank: Row = ((" " * width, "text"),) if width else ()
    fitted.extend([blank] * (height - len(fitted)))
    return tuple(fitted)


def plain(rows: Iterable[Row]) -> str:
    """The rows as text without styles, trailing blanks cut: for goldens and `--plain`."""
    return "\n".join("".join(text for text, _ in row).rstrip() for row in rows)


ROOM_MIN: Final = 16
"""A column of text narrower than this is not worth having."""
BESIDE_ROWS_MAX: Final = 40


def wrap(text: str, width: int, lines_max: int) -> list[str]:
    """The text broken at blanks into at most `lines_max` lines of `width` cells."""
    lines: list[str] = []
    line = ""
    if width <= 0 or lines_max <= 0:
        return lines
    for word in clean(text).split():
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line)
        line = clip(word, width)
    if line:
        lines.append(line)
    if len(lines) > lines_max:
        rest = " ".join(lines[lines_max - 1 :])
        lines[lines_max - 1 :] = [clip(rest, width)]
    return lines


def beside(head: str, text: str, width_max: int | None) -> list[str]:
    """`text` beside `head`, wrapped under itself; below it where there is hardly any room."""
    if width_max is None or cell_width(head + text) <= width_max:
        return [(head + text).rstrip()]
    indent = cell_width(head)
    if width_max - indent < ROOM_MIN:
        indent = min(2, width_max - 1) if head else 0
        room = max(width_max - indent, 1)
        own = [head.rstrip()] if head.strip() else []
        return [*own, *(" " * indent + line for line in wrap(text, room, BESIDE_ROWS_MAX))]
    lines = wrap(text, width_max - indent, BESIDE_ROWS_MAX)
    return [head + lines[0], *(" " * indent + line for line in lines[1:])]


@lru_cache(maxsize=8192)
def to_ascii(text: str) -> str:
    """The text in ASCII with every character as wide as it was; `?` for what has no look-alike."""
    text = text.translate(ASCII_LOOK_ALIKES)
    if text.isascii():
        return text
    return "".join(char if char.isascii() else "?" * char_width(char) for char in text)


def _head(text: str, width: int) -> str:
    if text.isascii():
        return text[:width]
    taken = 0
    for index, char in enumerate(text):
        taken += char_width(char)
        if taken > width:
            return text[:index]
    return text
