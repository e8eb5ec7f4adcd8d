"""The cues of a scenario and where in a run they come: moments that its author marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pfviz.scenario.moments import Positions
from pfviz.scenario.schema import Cue
from pfviz.scenario.times import nanoseconds
from pfviz.sim.event import EventLog

from .timeline import Timeline

CAPTION_EVENTS: Final = 50
"""A cue's caption is of now for so many events after its moment..."""
CAPTION_S: Final = 6
"""... and while playing for so many of the viewer's seconds."""
PAST_FACTOR: Final = 2
"""Then it is read as past until it is so many times as old."""
STORY_EVENTS: Final = 150
"""So long the story stands where captions do, unless a cue comes first."""


@dataclass(frozen=True, slots=True)
class Place:
    """A cue that was reached: its number in this run (from 1), where, and what it says."""

    position: int
    number: int
    caption: str
    note: str
    focus: str
    pause: bool


@dataclass(frozen=True, slots=True)
class Caption:
    """What is read above the sentence."""

    text: str = ""
    is_past: bool = False
    """Whether its moment has passed: what is seen may be another already."""


class Cues:
    """Finds the moments of cues while a log grows; cues by time come when time has passed them."""

    def __init__(self, cues: Sequence[Cue], log: EventLog, known_ns: Callable[[], int]) -> None:
        self._cues = cues
        self._log = log
        moments = [(None if one.at is None else nanoseconds(one.at), one.when) for one in cues]
        self._positions = Positions(moments, log, known_ns)
        self._seen = -1
        self._found: tuple[Place, ...] = ()

    def __len__(self) -> int:
        return len(self._cues)

    def found(self) -> tuple[Place, ...]:
        """The cues that are known to come, in the order in which they do."""
        if self._seen == len(self._log) or not self._cues:
            return self._found
        self._seen = len(self._log)
        places = []
        for number, (cue, position) in enumerate(
            zip(self._cues, self._positions.found(), strict=True)
        ):
            if position is not None:
                places.append(
                    Place(position, number + 1, cue.caption, cue.note, cue.focus, cue.pause)
                )
        self._found = tuple(sorted(places, key=lambda place: (place.position, place.number)))
        return self._found

    def current(self, position: int, events_max: int) -> Place | None:
        """The last cue before a position, unless it is more than `events_max` events ago."""
        current = None
        for place in self.found():
            if place.position <= position <= place.position + events_max:
                current = place
        return current


def told_at(
    cues: Cues, timeline: Timeline, index: int, now_ns: int, origin: int, speed_ns: int = 0
) -> tuple[Place | None, bool, bool]:
    """The cue whose caption is read at a moment, whether it is past, whether the run begins there.

    `speed_ns` is how much time passes in a viewer's second while playing, 0 while not.
    """
    since = timeline.index_at(max(now_ns - CAPTION_S * speed_ns, 0))
    before = timeline.index_at(max(now_ns - PAST_FACTOR * CAPTION_S * speed_ns, 0))
    place = cues.current(index, max(PAST_FACTOR * CAPTION_EVENTS, index - before))
    is_past = place is not None and index - place.position > max(CAPTION_EVENTS, index - since)
    return place, is_past, min(index, since) < origin + STORY_EVENTS
