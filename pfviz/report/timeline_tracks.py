"""A log as marks on tracks: threads, CPUs, locks with holders and waiters, counters, the story.

One pass over the rows; times and names are those of the events.
"""

from __future__ import annotations

from collections.abc import Iterator

from pfviz.report.flows import Flows, flows_of
from pfviz.report.lock_tracks import LOCK_MARKS, LockTracks
from pfviz.report.names import Names, names_of
from pfviz.report.recording import Recording
from pfviz.report.thread_tracks import THREAD_MARKS, ThreadTracks
from pfviz.report.tracks import Canvas, Mark
from pfviz.sim.event import Row
from pfviz.views.cues import Cues, Place


def marks_of(recording: Recording) -> Iterator[tuple[int, list[Mark]]]:
    """All marks in the order of time: how many events are behind them, and some marks."""
    drawing = Drawing(recording)
    for first, rows in recording.rows():
        for number, row in enumerate(rows, first):
            drawing.draw(number, row)
        yield first + len(rows), drawing.canvas.taken()
    drawing.finish()
    yield len(recording.log), drawing.canvas.taken()


class Drawing:
    """The pass itself; `canvas` collects the marks."""

    def __init__(self, recording: Recording) -> None:
        self.log = recording.log
        self.names: Names = names_of(recording.log)
        self.canvas = Canvas()
        flows: Flows = flows_of(recording.log, self.names)
        self.threads = ThreadTracks(self.log, self.names, self.canvas)
        self.locks = LockTracks(self.log, self.names, self.canvas, self.threads, flows)
        self._cues = _cues_by_row(recording)
        self._now_ns = 0

    def draw(self, number: int, row: Row) -> None:
        """Draw one event."""
        now_ns = self._now_ns = max(row[0], self._now_ns)
        if row[0] != now_ns:
            row = (now_ns, *row[1:])  # A capture tells of what was there before it at -1 ns.
        self.canvas.pass_time(now_ns)
        if (on_threads := THREAD_MARKS.get(row[1])) is not None:
            on_threads(self.threads, number, row)
        if (on_locks := LOCK_MARKS.get(row[1])) is not None:
            on_locks(self.locks, number, row)
        for place in self._cues.get(number, ()):
            self.threads.story(now_ns, f"cue {place.number}", "cue", {"caption": place.caption})

    def finish(self) -> None:
        """End what is open at the end of the log."""
        self.canvas.finish(self._now_ns)


def _cues_by_row(recording: Recording) -> dict[int, list[Place]]:
    """The cues that come, by the row that completes them."""
    log = recording.log
    end_ns = log.row(len(log) - 1)[0] if len(log) else 0
    found: dict[int, list[Place]] = {}
    for place in Cues(recording.cues, log, lambda: end_ns).found():
        found.setdefault(max(place.position - 1, 0), []).append(place)
    return found
