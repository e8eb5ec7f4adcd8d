"""Tracks and marks: a log as timelines of nested slices, instants and counters, for trace viewers.

It keeps every slice nested and every slice that was begun ended; which bytes a viewer wants is the
business of `perfetto` and `chrome`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple

BEGIN: Final = "B"
END: Final = "E"
INSTANT: Final = "i"
COUNT: Final = "C"

PROCESS: Final = "process"
THREAD: Final = "thread"
SLICES: Final = "slices"
COUNTER: Final = "counter"

Args = dict[str, Any]
"""What is said beside a slice: int, str or bool by name; must not be changed once given."""
NO_ARGS: Final[Args] = {}


@dataclass(frozen=True, eq=False, slots=True)
class Track:
    """One timeline. Tracks are numbered from 1 in the order in which they are first used."""

    number: int
    name: str
    kind: str
    parent: Track | None = None
    pid: int = -1
    tid: int = -1
    rank: int = 0
    """Where it stands among its siblings."""
    unit: str = ""


class Mark(NamedTuple):
    """Something to draw: a slice that begins or ends, an instant, or a counter's new value."""

    now_ns: int
    phase: str
    track: Track
    name: str
    category: str = ""
    args: Args = NO_ARGS
    flows_out: tuple[int, ...] = ()
    """Arrows that begin here."""
    flows_in: tuple[int, ...] = ()
    """Arrows that end here."""
    value: int = 0


class _Open(NamedTuple):
    key: Hashable
    name: str
    category: str


@dataclass(slots=True)
class Canvas:
    """Collects marks in the order of time; `taken` gives away what has been collected."""

    marks: list[Mark] = field(default_factory=list)
    cut_short: int = 0
    """How many slices were ended because the one around them ended first."""
    _tracks: dict[Hashable, Track] = field(default_factory=dict)
    _open: dict[Track, list[_Open]] = field(default_factory=dict)
    _due: list[tuple[int, int, Track, Hashable]] = field(default_factory=list)
    _number: int = 0

    def track(self, key: Hashable, name: str, kind: str = SLICES, **about: Any) -> Track:
        """The track of that key, made when it is asked for first."""
        found = self._tracks.get(key)
        if found is None:
            found = Track(len(self._tracks) + 1, name, kind, **about)
            self._tracks[key] = found
        return found

    def known(self, key: Hashable) -> Track | None:
        """The track of that key when there is one."""
        return self._tracks.get(key)

    def is_open(self, track: Track, key: Hashable) -> bool:
        """Whether a slice of that key is open on a track."""
        return any(one.key == key for one in self._open.get(track, ()))

    def is_idle(self, track: Track) -> bool:
        """Whether no slice is open on a track."""
        return not self._open.get(track)

    def begin(
        self, now_ns: int, track: Track, key: Hashable, name: str, category: str,
        args: Args = NO_ARGS,
    ) -> None:  # fmt: skip
        """Open a slice inside of those that are open."""
        self._open.setdefault(track, []).append(_Open(key, name, category))
        self.marks.append(Mark(now_ns, BEGIN, track, name, category, args))

    def begin_until(
        self, now_ns: int, end_ns: int, track: Track, name: str, category: str
    ) -> None:  # fmt: skip
        """Open a slice whose end is known already."""
        self._number += 1
        key = ("until", self._number)
        self.begin(now_ns, track, key, name, category)
        heappush(self._due, (end_ns, self._number, track, key))

    def end(self, now_ns: int, track: Track, key: Hashable, args: Args = NO_ARGS) -> bool:
        """End the slice of that key, and before it whatever was begun inside it.

        Whether there was such a slice: the begin of one may be missing from a capture.
        """
        stack = self._open.get(track)
        if not stack or not any(one.key == key for one in stack):
            return False
        while stack:
            one = stack.pop()
            ours = one.key == key
            if not ours and not (isinstance(one.key, tuple) and one.key[0] == "until"):
                self.cut_short += 1
            said = args if ours else NO_ARGS
            self.marks.append(Mark(now_ns, END, track, one.name, one.category, said))
            if ours:
                break
        return True

    def instant(
        self, now_ns: int, track: Track, name: str, category: str, args: Args = NO_ARGS,
        flows_out: tuple[int, ...] = (), flows_in: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """Mark a moment."""
        self.marks.append(
            Mark(now_ns, INSTANT, track, name, category, args, flows_out, flows_in)
        )  # fmt: skip

    def count(self, now_ns: int, track: Track, value: int) -> None:
        """Give a counter its value from now on."""
        self.marks.append(Mark(now_ns, COUNT, track, track.name, value=value))

    def pass_time(self, now_ns: int) -> None:
        """End what is due up to now; call it before anything that happens now."""
        due = self._due
        while due and due[0][0] <= now_ns:
            end_ns, _, track, key = heappop(due)
            self.end(end_ns, track, key)

    def finish(self, now_ns: int) -> None:
        """End all that is open still: what has an end of its own then, the rest at the last one."""
        if self._due:
            now_ns = max(now_ns, max(due[0] for due in self._due))
        self.pass_time(now_ns)
        for track, stack in self._open.items():
            while stack:
                self.end(now_ns, track, stack[-1].key, {"unfinished": True})

    def taken(self) -> list[Mark]:
        """The marks collected since the last call."""
        marks, self.marks = self.marks, []
        return marks
