"""`:` go to: a place in a run as a person types it, turned into an errand of the player."""

from __future__ import annotations

import re
from typing import Final

from pfviz.scenario.errors import hint
from pfviz.scenario.times import nanoseconds
from pfviz.views.timeline import CUE, EVENT, FAULT, HANDOVER, OPERATION, STEP

from .player import Errand, Player

EXAMPLES: Final = (
    ("412", "step 412"),
    ("12.4us", "a time"),
    ("50%", "a share of the events that are known"),
    ("e1200", "event 1200"),
    ("fault 10", "the end of the 10th fault"),
    ("op 7", "the end of the 7th operation"),
    ("hand-over 3", "the 3rd lock hand-over"),
    ("cue 2", "a cue by its number"),
    ("mark 1", "a bookmark by its number"),
    ("q", "out of pfviz"),
)
"""What can be typed, and where it leads; the prompt and the help page show these."""

QUIT: Final = ("q", "q!", "qa", "qa!", "wq", "x", "quit", "exit")
"""What hands type after a colon that mean to leave."""
GRAINS: Final = {
    "step": STEP, "event": EVENT, "fault": FAULT, "op": OPERATION, "operation": OPERATION,
    "hand-over": HANDOVER, "handover": HANDOVER,
}  # fmt: skip
COUNTED: Final = re.compile(r"([a-z-]+)\s*([0-9][0-9_,]*)")


def errand_to(text: str, player: Player) -> Errand:
    """The errand that leads to the place the text names.

    Raises:
        ValueError: it names no place.
    """
    words = text.strip().lower()
    if not words:
        raise ValueError("go where? such as: 412, 12.4us, 50%, cue 2")
    if words.endswith("%"):
        return _share(words, player)
    if words.replace(",", "").replace("_", "").isdigit():
        unit = player.units[0]
        return _nth(unit, int(words.replace(",", "").replace("_", "")), player)
    match = COUNTED.fullmatch(words)
    if match is None:
        return _time(words, player)
    name, number = match[1], int(match[2].replace(",", "").replace("_", ""))
    if name == "e":
        return _nth(EVENT, number, player)
    if name == CUE:
        return _cue(number, player)
    if name == "mark":
        return _bookmark(number, player)
    if name in GRAINS:
        return _nth(GRAINS[name], number, player)
    known = [*GRAINS, "cue", "mark"]
    raise ValueError(f'"{name}" is not a place{hint(name, known)}')


def _time(words: str, player: Player) -> Errand:
    now_ns = nanoseconds(words)
    run = player.run

    def find() -> int | None:
        if run.finished or run.known_ns >= now_ns:
            return run.timeline.index_at(now_ns)
        return None

    return Errand(f"the time {words}", find)


def _share(words: str, player: Player) -> Errand:
    try:
        share = float(words[:-1]) / 100
    except ValueError:
        raise ValueError(f'"{words}" is not a share such as 50%') from None
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0% and 100%")
    index = player.at_share(round(share * 1000), 1000)
    return Errand(f"{words} of the run", lambda: index)


def _nth(unit: str, number: int, player: Player) -> Errand:
    timeline = player.run.timeline

    def find() -> int | None:
        known = timeline.count(len(timeline), unit)
        return timeline.nth(number, unit) if number <= known else None

    return Errand(f"{unit} {number:,}", find)


def _cue(number: int, player: Player) -> Errand:
    cues = player.run.cues
    if not 1 <= number <= len(cues):
        raise ValueError(f"this run has {len(cues)} cues" if cues else "this run has no cues")

    def find() -> int | None:
        places = [place.position for place in cues.found() if place.number == number]
        return places[0] if places else None

    return Errand(f"cue {number}", find)


def _bookmark(number: int, player: Player) -> Errand:
    marks = player.marks.bookmarks
    if not 1 <= number <= len(marks):
        raise ValueError(f"there are {len(marks)} bookmarks; {{mark.set}} sets one")
    position = marks[number - 1]
    return Errand(f"bookmark {number}", lambda: position)
