"""Tracks and marks as a Perfetto trace: its own protobuf, through its own Python package.

Timestamps are the run's nanoseconds; the same run gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto

from pfviz.report.recording import Piece, Recording
from pfviz.report.timeline_tracks import marks_of
from pfviz.report.tracks import BEGIN, COUNT, COUNTER, END, INSTANT, PROCESS, THREAD, Mark, Track

SEQUENCE: Final = 1
"""All packets are one writer's."""

_TYPES: Final = {
    BEGIN: proto.TrackEvent.TYPE_SLICE_BEGIN,
    END: proto.TrackEvent.TYPE_SLICE_END,
    INSTANT: proto.TrackEvent.TYPE_INSTANT,
    COUNT: proto.TrackEvent.TYPE_COUNTER,
}
_APART: Final = proto.TrackDescriptor.SIBLING_MERGE_BEHAVIOR_NONE
_INT32: Final = (1 << 31) - 1
_CLEARED: Final = proto.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
_NEEDED: Final = proto.TracePacket.SEQ_NEEDS_INCREMENTAL_STATE


def pieces(recording: Recording) -> Iterator[Piece]:
    """The packets of the trace; pieces of a trace put together are a trace."""
    writer = _Writer()
    yield 0, writer.begin()
    for done, marks in marks_of(recording):
        yield done, writer.write(marks)


class _Writer:
    """Packets of one sequence, whose names are sent once and then go by number."""

    def __init__(self) -> None:
        self._described: set[int] = set()
        self._names: dict[str, dict[str, int]] = {}

    def begin(self) -> bytes:
        """The packet that says that numbers of names start anew here."""
        trace = proto.Trace()
        packet = trace.packet.add()
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.sequence_flags = _CLEARED
        return bytes(trace.SerializeToString(deterministic=True))

    def write(self, marks: list[Mark]) -> bytes:
        """Packets for some marks, and for the tracks that they are the first ones on."""
        trace = proto.Trace()
        for mark in marks:
            if mark.track.number not in self._described:
                self._describe(trace, mark.track)
            self._mark(trace, mark)
        return bytes(trace.SerializeToString(deterministic=True))

    def _describe(self, trace: Any, track: Track) -> None:
        if track.parent is not None and track.parent.number not in self._described:
            self._describe(trace, track.parent)
        self._described.add(track.number)
        packet = trace.packet.add()
        packet.trusted_packet_sequence_id = SEQUENCE
        about = packet.track_descriptor
        about.uuid = track.number
        about.sibling_order_rank = track.rank & _INT32
        about.child_ordering = proto.TrackDescriptor.EXPLICIT
        if track.parent is not None:
            about.parent_uuid = track.parent.number
        if track.kind == PROCESS:
            about.process.pid = track.pid & _INT32
            about.process.process_name = track.name
        elif track.kind == THREAD:
            about.thread.pid = track.pid & _INT32
            about.thread.tid = track.tid & _INT32
            about.thread.thread_name = track.name
        else:
            about.name = track.name
            about.sibling_merge_behavior = _APART
            if track.kind == COUNTER:
                about.counter.unit_name = track.unit

    def _mark(self, trace: Any, mark: Mark) -> None:
        packet = trace.packet.add()
        packet.timestamp = mark.now_ns
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.sequence_flags = _NEEDED
        event = packet.track_event
        event.type = _TYPES[mark.phase]
        event.track_uuid = mark.track.number
        if mark.phase == COUNT:
            event.counter_value = mark.value
            return
        if mark.phase != END:
            event.name_iid = self._number(packet, "event_names", mark.name)
            event.category_iids.append(self._number(packet, "event_categories", mark.category))
        for name, value in mark.args.items():
            note = event.debug_annotations.add()
            note.name_iid = self._number(packet, "debug_annotation_names", name)
            if isinstance(value, bool):
                note.bool_value = value
            elif isinstance(value, int):
                note.int_value = value
            else:
                note.string_value = value
        if mark.flows_out:
            event.flow_ids.extend(mark.flows_out)
        if mark.flows_in:
            event.terminating_flow_ids.extend(mark.flows_in)

    def _number(self, packet: Any, what: str, name: str) -> int:
        """The number of a name; a new one is sent with the packet that needs it first."""
        known = self._names.setdefault(what, {})
        number = known.get(name)
        if number is None:
            number = known[name] = len(known) + 1
            sent = getattr(packet.interned_data, what).add()
            sent.iid = number
            sent.name = name
        return number
