"""The plan of a film: which moment of a run is seen when, from the engine's clock alone.

Simulated time passes at a speed; at each cue the film stands still while its caption is read, and
where nothing happens for long it leaps, as the player does. No moment is painted here.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Final

from pfviz.views import narrator
from pfviz.views.cues import Place

from .footage import Footage

IDLE_S: Final = 1.2
"""A stretch in which nothing happens for longer than this is skipped."""
WORD_US: Final = 280_000
"""How long a reader takes for a word, in microseconds of the viewer's time..."""
READ_US: Final = 1_200_000
"""... and to find the caption and to look at what it speaks of."""
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
    needed = READ_US + WORD_US * len(caption.split())
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


def plan(footage: Footage, part: Stretch, speed_ns: int, fps: int, pauses: bool = True) -> Reel:
    """The shots of one part of a run at so many pictures a second.

    Raises:
        TooLongError: at this speed it would be more than SHOTS_MAX of them.
    """
    film = _Film(footage, part, speed_ns, fps, pauses)
    while not film.is_over:
        film.go_on()
    return film.reel()


class _Film:
    """The plan while it is being made; times are whole microseconds, so nothing drifts."""

    def __init__(
        self, footage: Footage, part: Stretch, speed_ns: int, fps: int, pauses: bool
    ) -> None:
        self.timeline = footage.timeline
        self.part, self.speed_ns, self.fps, self.pauses = part, speed_ns, fps, pauses
        self.cues = [cue for cue in footage.cues.found() if part.first <= cue.position <= part.last]
        self.places = [cue.position for cue in self.cues]
        self.index, self.now_ns = part.first, part.from_ns
        self.at_us = 0
        self.ticks = 0
        self.left = 0
        """Of simulated time that is less than a nanosecond: in ns times a second's microseconds."""
        self.shots = [Shot(0, self.index, self.now_ns, playing=False)]
        self.marks: list[Mark] = []
        self.seen = 0
        """How many cues have come."""
        self._wait(0 if self._cues_here() else FIRST_US)

    @property
    def is_over(self) -> bool:
        return self.now_ns >= self.part.to_ns and self.index >= self.part.last

    def _wait(self, us: int) -> None:
        self.at_us += us if self.pauses else 0

    def _show(self, playing: bool) -> None:
        if len(self.shots) >= SHOTS_MAX:
            minutes = self.at_us // (60 * SECOND_US)
            raise TooLongError(
                f"that would be a film of more than {minutes} minutes:"
                " give a higher --speed, or a part with --from and --to"
            )
        shot = Shot(self.at_us, self.index, self.now_ns, playing)
        if self.shots[-1].at_us == self.at_us:
            self.shots.pop()
        self.shots.append(shot)

    def go_on(self) -> None:
        """Let one picture's time pass, or stop at the cue that comes in it."""
        before_us = self.ticks * SECOND_US // self.fps
        self.ticks += 1
        passed_us = self.ticks * SECOND_US // self.fps - before_us
        self.at_us += passed_us
        self.left += self.speed_ns * passed_us
        until_ns, self.left = self.now_ns + self.left // SECOND_US, self.left % SECOND_US
        if self.index < self.part.last:
            next_ns = self.timeline.time_at(self.index + 1)
            if next_ns - self.now_ns > self.speed_ns * IDLE_S:
                until_ns = max(until_ns, next_ns)
        until_ns = min(until_ns, self.part.to_ns)
        target = min(max(self.timeline.index_at(until_ns), self.index), self.part.last)
        stop = bisect_right(self.places, target)
        if self.seen < stop:
            self.index = self.places[self.seen]
            self.now_ns = max(self.timeline.time_at(self.index), self.part.from_ns)
            self._cues_here()
        else:
            self.index, self.now_ns = target, max(until_ns, self.now_ns)
            if until_ns >= self.part.to_ns:
                self.index = self.part.last
            self._show(playing=True)

    def _cues_here(self) -> bool:
        """Stand still at the cues of this position while they are read."""
        here: list[Place] = []
        while self.seen < len(self.cues) and self.places[self.seen] <= self.index:
            here.append(self.cues[self.seen])
            self.seen += 1
        for cue in here:
            self._show(playing=False)
            said = narrator.sentence(self.timeline.at(cue.position))
            sentence = "".join(text for text, _ in said)
            self.marks.append(Mark(self.at_us, cue.caption, cue.position, sentence))
        if here:
            # Of several at one moment the last one's caption is shown.
            self._wait(reading_us(here[-1].caption))
        return bool(here)

    def reel(self) -> Reel:
        self.at_us += SECOND_US // self.fps
        self._show(playing=False)
        self._wait(LAST_US)
        return Reel(tuple(self.shots), tuple(self.marks), self.at_us, self.speed_ns)
