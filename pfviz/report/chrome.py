"""Tracks and marks as Chrome's Trace Event Format: JSON for Perfetto, chrome://tracing, speedscope.

The format knows processes and threads only, so every track is a thread of some process; times are
microseconds with three digits after the point, which are nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pfviz.report.json import ascii_line
from pfviz.report.recording import Piece, Recording
from pfviz.report.timeline_tracks import marks_of
from pfviz.report.tracks import BEGIN, COUNT, COUNTER, END, PROCESS, THREAD, Mark, Track

FIRST_OWN_ID: Final = 1 << 30
"""Ids of processes and threads from here on are tracks that are neither."""
EXACT_MAX: Final = (1 << 53) - 1
"""The largest number that every reader of JSON takes as it is."""


def pieces(recording: Recording) -> Iterator[Piece]:
    """The text of the file; it is valid JSON only as a whole."""
    meta = {key: recording.log.meta[key] for key in sorted(recording.log.meta)}
    head = b'{"displayTimeUnit":"ns","otherData":' + ascii_line(meta) + b',"traceEvents":[\n'
    yield 0, head
    writer = _Writer()
    comma = b""
    for done, marks in marks_of(recording):
        lines = [ascii_line(one) for one in writer.events(marks)]
        if lines:
            yield done, comma + b",\n".join(lines)
            comma = b",\n"
    yield len(recording.log), b"\n]}\n"


class _Writer:
    """Trace events of marks, and the metadata that names their tracks."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[int, int]] = {}

    def events(self, marks: list[Mark]) -> Iterator[dict[str, Any]]:
        """The events for some marks, those that name a new track before its first one."""
        for mark in marks:
            if mark.track.number not in self._places:
                yield from self._name(mark.track)
            yield from self._event(mark)

    def _name(self, track: Track) -> Iterator[dict[str, Any]]:
        if track.parent is not None and track.parent.number not in self._places:
            yield from self._name(track.parent)
        own = FIRST_OWN_ID + track.number
        if track.kind == PROCESS:
            place = track.pid, track.pid
            yield _metadata("process_name", place, {"name": track.name})
        elif track.kind == THREAD:
            place = track.pid, track.tid
            yield _metadata("thread_name", place, {"name": track.name})
        elif track.parent is None:
            place = own, own
            yield _metadata("process_name", place, {"name": track.name})
            yield _metadata("process_sort_index", place, {"sort_index": FIRST_OWN_ID + track.rank})
        else:
            place = self._places[track.parent.number][0], own
            if track.kind != COUNTER:
                yield _metadata("thread_name", place, {"name": _full_name(track)})
                yield _metadata("thread_sort_index", place, {"sort_index": track.number})
        self._places[track.number] = place

    def _event(self, mark: Mark) -> Iterator[dict[str, Any]]:
        pid, tid = self._places[mark.track.number]
        event: dict[str, Any] = {"ph": mark.phase, "ts": mark.now_ns / 1000, "pid": pid, "tid": tid}
        if mark.phase == COUNT:
            yield event | {"name": mark.name, "args": {mark.track.unit: mark.value}}
            return
        event |= {"name": mark.name, "cat": mark.category}
        if mark.args:
            event["args"] = {name: _exact(value) for name, value in mark.args.items()}
        if not (mark.flows_in or mark.flows_out):
            yield event if mark.phase in (BEGIN, END) else event | {"s": "t"}
            return
        # An arrow needs a slice at both ends: a complete event that lasts no time.
        yield event | {"ph": "X", "dur": 0}
        arrow = {"ts": mark.now_ns / 1000, "pid": pid, "tid": tid, "cat": "lock", "name": "lets"}
        for flow in mark.flows_out:
            yield arrow | {"ph": "s", "id": flow}
        for flow in mark.flows_in:
            yield arrow | {"ph": "f", "bp": "e", "id": flow}


def _exact(value: Any) -> Any:
    """A number that JavaScript would round, as text."""
    return str(value) if type(value) is int and abs(value) > EXACT_MAX else value


def _full_name(track: Track) -> str:
    """A holder's track is called after its lock too: all tracks of a process stand in one list."""
    parent = track.parent
    if parent is None or parent.parent is None or parent.parent.parent is None:
        return track.name
    return f"{parent.name}: {track.name}"


def _metadata(name: str, place: tuple[int, int], args: dict[str, Any]) -> dict[str, Any]:
    return {"ph": "M", "name": name, "pid": place[0], "tid": place[1], "args": args}
