"""The plan of a film: which moment of a run is seen when, from the engine's clock alone.

Simulated time passes at a speed; at each cue the film stands still while its caption is read, and
where nothing happens for long it leaps, as the player does. No moment is painted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pfviz.scenario.talk import READ_CHARACTERS_PER_S
from pfviz.views import narrator
from pfviz.views.speeds import IDLE_S
from pfviz.views.timeline import Timeline

from .footage import Footage

READ_MIN_US: Final = 2_500_000
READ_MAX_US: Final = 12_000_000
FIRST_US: Final = 1_000_000
"""The first picture stands so long."""
LAST_US: Final = 2_500_000
SECOND_US: Final = 1_000_000
SHOTS_MAX: Final = 40_000
"""More than an hour at ten pictures a second: somebody asked for a wrong speed."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: when it is seen, and which moment of the run it shows."""

    at_us: int
    """On the viewer's clock, from the beginning of the film."""
    index: int
    now_ns: int
    playing: bool
    station: int = 0
    """On the stage: the number of the scene's station that was reached last."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A caption that begins to be seen: a cue, or a stop of a talk."""

    at_us: int
    caption: str
    index: int
    said: str = ""
    """What the narrator says of the moment."""


@dataclass(frozen=True, slots=True)
class Reel:
    """A film's plan: shots in the order of time, the marks in it, and how long it lasts."""

    shots: tuple[Shot, ...]
    marks: tuple[Mark, ...]
    lasts_us: int
    speed_ns: int
    """Simulated nanoseconds in a second."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which part of a run is filmed: positions and times of both ends."""

    first: int
    from_ns: int
    last: int
    to_ns: int


class TooLongError(ValueError):
    """The film would have more pictures than anybody looks at."""


def reading_us(caption: str) -> int:
    """How long it takes to read a caption."""
    needed = SECOND_US * len(caption) // READ_CHARACTERS_PER_S
    return max(READ_MIN_US, min(needed, READ_MAX_US))


def whole(footage: Footage) -> Stretch:
    """From the start of a run to its end."""
    return Stretch(footage.origin, 0, footage.end, max(footage.timeline.end_ns, 0))


def stretch(footage: Footage, begin: str = "", end: str = "") -> Stretch:
    """The part between two places as a person writes them; empty for the run's own ends.

    Raises:
        ValueError: a text names no place, or the end comes before the beginning.
    """
    all_of_it = whole(footage)
    first, from_ns = footage.position_of(begin) if begin else (all_of_it.first, 0)
    last, to_ns = footage.position_of(end) if end else (all_of_it.last, all_of_it.to_ns)
    if (to_ns, last) < (from_ns, first):
        raise ValueError(f'"{end or "end"}" comes before "{begin or "start"}"')
    return Stretch(first, from_ns, last, to_ns)


def plan(footage: Footage, part: Stretch, speed_ns: int, fps: int) -> Reel:
    """The shots of one part of a run at so many pictures a second.

    Raises:
        TooLongError: at this speed it would be more than SHOTS_MAX of them.
    """
    timeline, tape = footage.timeline, Tape(fps)
    cues = [cue for cue in footage.cues.found() if part.first <= cue.position <= part.last]
    tape.show(part.first, part.from_ns)
    if not cues or cues[0].position > part.first:
        tape.hold(FIRST_US)
    index, now_ns = part.first, part.from_ns
    for position, group in groupby(cues, key=lambda cue: cue.position):
        at_ns = max(timeline.time_at(position), part.from_ns)
        tape.play(timeline, Stretch(index, now_ns, position, at_ns), speed_ns)
        index, now_ns = position, at_ns
        tape.show(index, now_ns)
        for cue in group:
            tape.mark(cue.caption, index, sentence_at(timeline, index))
        # Of several at one moment the last one's caption is shown.
        tape.hold(reading_us(cue.caption))
    tape.play(timeline, Stretch(index, now_ns, part.last, part.to_ns), speed_ns)
    tape.show(part.last, part.to_ns)
    tape.hold(LAST_US)
    return tape.reel(speed_ns)


def sentence_at(timeline: Timeline, index: int) -> str:
    """What the narrator says of a moment."""
    return "".join(text for text, _ in narrator.sentence(timeline.at(index)))


class Tape:
    """Shots and marks as they are put one after another.

    Times are whole microseconds, so that nothing drifts.
    """

    def __init__(self, fps: int) -> None:
        self.fps = fps
        self.at_us = 0
        self.shots: list[Shot] = []
        self.marks: list[Mark] = []

    def show(self, index: int, now_ns: int, playing: bool = False, station: int = 0) -> None:
        """A picture from now on; it takes the place of one of the same time."""
        if len(self.shots) >= SHOTS_MAX:
            minutes = self.at_us // (60 * SECOND_US)
            raise TooLongError(
                f"that would be a film of more than {minutes} minutes:"
                " give a higher --speed, or a part with --from and --to"
            )
        if self.shots and self.shots[-1].at_us == self.at_us:
            self.shots.pop()
        self.shots.append(Shot(self.at_us, index, now_ns, playing, station))

    def hold(self, us: int) -> None:
        """Let the picture stand."""
        self.at_us += us

    def mark(self, caption: str, index: int, said: str = "") -> None:
        """A caption begins here."""
        self.marks.append(Mark(self.at_us, caption, index, said))

    def play(self, timeline: Timeline, part: Stretch, speed_ns: int, station: int = 0) -> None:
        """Go from one moment to another at so many simulated nanoseconds a second."""
        index, now_ns, ticks, left, began_us = part.first, part.from_ns, 0, 0, self.at_us
        while index < part.last or now_ns < part.to_ns:
            ticks += 1
            before_us, self.at_us = self.at_us, began_us + ticks * SECOND_US // self.fps
            # What is less than a nanosecond is kept, in ns times a second's microseconds.
            left += speed_ns * (self.at_us - before_us)
            until_ns, left = now_ns + left // SECOND_US, left % SECOND_US
            if index < part.last:
                next_ns = timeline.time_at(index + 1)
                if next_ns - now_ns > speed_ns * IDLE_S:
                    until_ns = max(until_ns, next_ns)
            now_ns = min(until_ns, part.to_ns)
            index = min(max(timeline.index_at(now_ns), index), part.last)
            if now_ns >= part.to_ns:
                index = part.last
            self.show(index, now_ns, True, station)

    def reel(self, speed_ns: int) -> Reel:
        """The plan as it is now."""
        return Reel(tuple(self.shots), tuple(self.marks), self.at_us, speed_ns)
