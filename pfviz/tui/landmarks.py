"""The places of a run that the viewer asked for: search hits, breakpoints, bookmarks.

It finds and words them; going there is the player's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pfviz.sim.event import FIELDS, STEP, EventLog
from pfviz.views.cues import Place

from .breakpoints import Breakpoint, parse
from .row_index import RowIndex
from .search import Query


@dataclass(slots=True)
class Landmarks:
    """Positions in one log, as counts of events that have happened."""

    log: EventLog
    breakpoints: list[Breakpoint] = field(default_factory=list)
    bookmarks: list[int] = field(default_factory=list)
    hits: RowIndex | None = None
    query: str = ""
    parted: int | None = None
    """Where this run first does something else than the one it is compared with."""

    def search(self, text: str) -> None:
        """Look for rows that answer to every word; an empty text forgets the search."""
        self.query = text.strip()
        self.hits = RowIndex(self.log, Query(self.log, text)) if self.query else None

    def hit_before(self, position: int) -> int | None:
        """The last hit ahead of a position."""
        assert self.hits is not None
        self.hits.extend()
        return self.hits.before(position)

    def hit_after(self, position: int) -> int | None:
        """The first hit past a position, as far as the log is known."""
        assert self.hits is not None
        self.hits.extend()
        return self.hits.after(position)

    def words_of_hit(self, position: int, who: str, is_whole: bool) -> str:
        """Which hit this is and what happens there: several can come at the same nanosecond."""
        assert self.hits is not None
        row = self.log.row(position - 1)
        name = FIELDS[row[1]][0].replace("_", " ")
        if row[1] == STEP and row[3] >= 0:
            name = self.log.steps[row[3]].function
        total = f"{len(self.hits):,}" + ("" if is_whole else " so far")
        by = f" by {who}" if row[2] >= 0 else ""
        return f"Hit {self.hits.count(position):,} of {total}: {name}{by}"

    def add_breakpoint(self, text: str) -> str:
        """Stop at a condition from now on; returns what it means.

        Raises:
            ValueError: the text is not a condition.
        """
        point = parse(text, self.log)
        self.breakpoints.append(point)
        return point.meaning

    def first_stop(self, cues: Sequence[Place], after: int, upto: int) -> tuple[int, str] | None:
        """The first breakpoint or pausing cue in (after, upto], with the reason in words."""
        stops: list[tuple[int, str]] = []
        for point in self.breakpoints:
            point.index.extend()
            at = point.index.after(after)
            if at is not None and at <= upto:
                stops.append((at, f"Stopped: {point.meaning}."))
        stops += [(cue.position, "") for cue in cues if cue.pause and after < cue.position <= upto]
        return min(stops, default=None)

    def toggle_bookmark(self, position: int) -> str:
        """Set a bookmark, or take away the one that is there; what was done, in words."""
        if position in self.bookmarks:
            self.bookmarks.remove(position)
            return "Bookmark removed."
        self.bookmarks = sorted({*self.bookmarks, position})
        return f"Bookmark {self.bookmarks.index(position) + 1} set: ' comes back here."

    def next_bookmark(self, position: int) -> int | None:
        """The next bookmark, then round to the first; None when there is none."""
        later = [mark for mark in self.bookmarks if mark > position]
        return min(later or self.bookmarks, default=None)
