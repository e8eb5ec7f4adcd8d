"""Reads a Perfetto trace with Perfetto's own definitions, as strictly as nobody else does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto

Event = proto.TrackEvent


@dataclass
class Slice:
    """One slice: where, what, from when to when, and all that is said of it."""

    track: tuple[str, ...]
    name: str
    begin_ns: int
    end_ns: int = -1
    args: dict[str, Any] = field(default_factory=dict)


@dataclass
class Read:
    """What a trace holds, and what is wrong with it."""

    slices: list[Slice] = field(default_factory=list)
    instants: Counter[tuple[tuple[str, ...], str, int]] = field(default_factory=Counter)
    counters: dict[tuple[str, ...], list[tuple[int, int]]] = field(default_factory=dict)
    flows: dict[int, list[tuple[str, int, str]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def under(self, *path: str) -> list[Slice]:
        """Slices of the tracks below a track."""
        return [one for one in self.slices if one.track[: len(path)] == path]


class _Reader:
    def __init__(self) -> None:
        self.read = Read()
        self.paths: dict[int, tuple[str, ...]] = {}
        self.counters: set[int] = set()
        self.names: dict[str, dict[int, str]] = {}
        self.open: dict[int, list[Slice]] = {}
        self.last_ns = 0

    def wrong(self, text: str) -> None:
        self.read.problems.append(text)

    def packet(self, packet: Any) -> None:
        for kind in ("event_names", "event_categories", "debug_annotation_names"):
            for one in getattr(packet.interned_data, kind):
                known = self.names.setdefault(kind, {})
                if one.iid in known or one.iid == 0:
                    self.wrong(f"{kind} {one.iid} is sent twice")
                known[one.iid] = one.name
        if packet.HasField("track_descriptor"):
            self.describe(packet.track_descriptor)
        if packet.HasField("track_event"):
            if packet.timestamp < self.last_ns:
                self.wrong(f"time goes back from {self.last_ns} to {packet.timestamp}")
            self.last_ns = packet.timestamp
            self.event(packet.timestamp, packet.track_event)

    def describe(self, about: Any) -> None:
        name = about.name or about.process.process_name or about.thread.thread_name
        if about.uuid in self.paths or about.uuid == 0:
            self.wrong(f"track {about.uuid} ({name}) is described twice")
        parent: tuple[str, ...] = ()
        if about.parent_uuid:
            if about.parent_uuid not in self.paths:
                self.wrong(f"the parent of track {name} is not known before it")
            parent = self.paths.get(about.parent_uuid, ())
        self.paths[about.uuid] = (*parent, name)
        if about.HasField("counter"):
            self.counters.add(about.uuid)

    def event(self, now_ns: int, event: Any) -> None:
        if event.track_uuid not in self.paths:
            self.wrong(f"an event on track {event.track_uuid}, which nobody described")
            return
        track = self.paths[event.track_uuid]
        if (event.type == Event.TYPE_COUNTER) != (event.track_uuid in self.counters):
            self.wrong(f"counter or not: {track}")
        if event.type == Event.TYPE_COUNTER:
            if event.counter_value < 0:
                self.wrong(f"{track} is {event.counter_value} at {now_ns}")
            self.read.counters.setdefault(track, []).append((now_ns, event.counter_value))
            return
        stack = self.open.setdefault(event.track_uuid, [])
        if event.type == Event.TYPE_SLICE_END:
            if not stack:
                self.wrong(f"{track}: a slice ends at {now_ns} that never began")
                return
            ended = stack.pop()
            ended.end_ns = now_ns
            ended.args |= self.args(event)
            self.read.slices.append(ended)
            return
        name = self.names["event_names"][event.name_iid]
        if not [self.names["event_categories"][number] for number in event.category_iids]:
            self.wrong(f"{name} has no category")
        if event.type == Event.TYPE_SLICE_BEGIN:
            stack.append(Slice(track, name, now_ns, args=self.args(event)))
        else:
            self.read.instants[track, name, now_ns] += 1
        for number in event.flow_ids:
            self.read.flows.setdefault(number, []).append(("out", now_ns, name))
        for number in event.terminating_flow_ids:
            self.read.flows.setdefault(number, []).append(("in", now_ns, name))

    def args(self, event: Any) -> dict[str, Any]:
        said = {}
        for note in event.debug_annotations:
            name = self.names["debug_annotation_names"][note.name_iid]
            said[name] = getattr(note, note.WhichOneof("value"))
        return said

    def finish(self) -> Read:
        for uuid, stack in self.open.items():
            for one in stack:
                self.wrong(f"{self.paths[uuid]}: {one.name} of {one.begin_ns} is never ended")
        for number, ends in self.read.flows.items():
            ways = [way for way, _, _ in ends]
            if ways != ["out", "in"]:
                self.wrong(f"arrow {number} has the ends {ways}")
            elif ends[1][1] < ends[0][1]:
                self.wrong(f"arrow {number} goes back in time")
        self._exclusion()
        return self.read

    def _exclusion(self) -> None:
        """Nobody holds a lock for writing while another has it (range locks lock parts)."""
        by_lock: dict[tuple[str, ...], list[Slice]] = {}
        for one in self.read.under("Locks"):
            if one.track[1] != "range_lock":
                by_lock.setdefault(one.track[:3], []).append(one)
        for lock, holds in by_lock.items():
            holds.sort(key=lambda one: (one.begin_ns, one.end_ns))
            free_ns = shared_ns = 0
            for one in holds:
                shares = one.name.endswith("(read)")
                if one.begin_ns < (free_ns if shares else max(free_ns, shared_ns)):
                    self.wrong(f"{lock[2]}: {one.name} at {one.begin_ns} while another holds it")
                if shares:
                    shared_ns = max(shared_ns, one.end_ns)
                else:
                    free_ns = max(free_ns, one.end_ns)


def read(data: bytes) -> Read:
    """Everything in a trace; `problems` is empty when there is nothing to complain of."""
    trace = proto.Trace()
    trace.ParseFromString(data)
    reader = _Reader()
    for packet in trace.packet:
        reader.packet(packet)
    return reader.finish()
