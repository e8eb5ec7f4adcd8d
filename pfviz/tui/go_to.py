"""`:` go to: a place in a run as a person types it, turned into an errand of the player."""

from __future__ import annotations

from typing import Final

from pfviz.views import spots, timeline
from pfviz.views.spots import Spot, parse_spot

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


def errand_to(text: str, player: Player) -> Errand:
    """The errand that leads to the place the text names.

    Raises:
        ValueError: it names no place.
    """
    if not text.strip():
        raise ValueError("go where? such as: 412, 12.4us, 50%, cue 2")
    spot = parse_spot(text)
    match spot.kind:
        case spots.START:
            origin = player.run.origin
            return Errand("the start", lambda: origin)
        case spots.END:
            run = player.run
            return Errand("an end", lambda: len(run.timeline) if run.finished else None)
        case spots.TIME:
            return _time(spot, player)
        case spots.SHARE:
            index = player.at_share(spot.number, 1000)
            return Errand(f"{spot.words} of the run", lambda: index)
        case spots.PLAIN_NUMBER:
            return _nth(player.units[0], spot.number, player)
        case spots.MARK:
            return _bookmark(spot.number, player)
        case timeline.CUE:
            return _cue(spot.number, player)
        case unit:
            return _nth(unit, spot.number, player)


def _time(spot: Spot, player: Player) -> Errand:
    run = player.run

    def find() -> int | None:
        if run.finished or run.known_ns >= spot.number:
            return run.timeline.index_at(spot.number)
        return None

    return Errand(f"the time {spot.words}", find)


def _nth(unit: str, number: int, player: Player) -> Errand:
    known = player.run.timeline

    def find() -> int | None:
        return known.nth(number, unit) if number <= known.count(len(known), unit) else None

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
