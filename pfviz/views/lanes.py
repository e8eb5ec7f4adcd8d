"""What every thread did when, as segments: the matter of the lanes and of who waited how long.

Fed by a fold (`Frame.watch`), kept once for the whole run beside the keyframes, never copied.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

from . import states
from .frame import TaskState


@dataclass(slots=True)
class Lane:
    """The segments of one task: each lasts from its start to the start of the next."""

    starts_ns: array[int] = field(default_factory=lambda: array("q"))
    states: bytearray = field(default_factory=bytearray)
    locks: array[int] = field(default_factory=lambda: array("q"))
    """The lock waited for or spun on, -1 when none."""

    def at(self, now_ns: int) -> tuple[int, int, int]:
        """(start_ns, state, lock) of the segment that holds `now_ns`."""
        index = bisect_right(self.starts_ns, now_ns) - 1
        if index < 0:
            return 0, states.NEW, -1
        return self.starts_ns[index], self.states[index], self.locks[index]


@dataclass(slots=True)
class Lanes:
    """Lanes by task id, growing with the log."""

    lanes: dict[int, Lane] = field(default_factory=dict)

    def note(self, now_ns: int, task: TaskState) -> None:
        """Begin a segment: the watcher that a fold calls."""
        lane = self.lanes.get(task.id)
        if lane is None:
            lane = self.lanes[task.id] = Lane()
        state = task.state
        lock = task.waits_lock if task.waits_lock >= 0 else task.spins_lock
        if lane.starts_ns and lane.starts_ns[-1] == now_ns:
            # Several changes within a nanosecond: only the last one is ever seen.
            lane.states[-1] = state
            lane.locks[-1] = lock
            return
        if lane.states and lane.states[-1] == state and lane.locks[-1] == lock:
            return
        lane.starts_ns.append(now_ns)
        lane.states.append(state)
        lane.locks.append(lock)

    def cells(self, task: int, from_ns: int, to_ns: int, columns: int, end_ns: int) -> bytes:
        """One state a column for the window [from_ns, to_ns); nothing is known after `end_ns`.

        A column shows the state that took most of its time, but a wait, a spin or I/O wins from a
        quarter on, and user mode or sleep never hide a fault, a wait or I/O however short: these
        are what the reader looks for.
        """
        lane = self.lanes.get(task)
        if lane is None or columns <= 0 or end_ns < from_ns:
            return bytes(max(columns, 0))
        span = max(to_ns - from_ns, 1)
        last_ns = min(to_ns, end_ns + 1)
        first = bisect_right(lane.starts_ns, from_ns) - 1
        stop = bisect_left(lane.starts_ns, last_ns)
        if stop - first > SEGMENTS_A_COLUMN_MAX * columns:
            return _sampled(lane, from_ns, span, columns, last_ns)
        return _exact(lane, max(first, 0), stop, (from_ns, span, last_ns), columns)


SEGMENTS_A_COLUMN_MAX: Final = 16
"""Beyond this a column shows a sample of its segments."""

_LOUD: Final = frozenset(
    (
        states.SPIN,
        states.WAIT_READ,
        states.WAIT_WRITE,
        states.IO,
        states.ASK,
        states.OFF_CPU_HOLDING,
        states.HOLD_WRITE,
    )
)

_HIDING: Final = frozenset((states.NEW, states.USER, states.SLEEP, states.OFF_CPU, states.ENDED))
"""States that say nothing: they leave a column to what else happened in it."""
_TOLD: Final = _LOUD | {states.FAULT_VMA, states.FAULT_MMAP, states.FAULT_LOCKLESS}
_TOLD_BYTES: Final = tuple(bytes((state,)) for state in sorted(_TOLD))


def _exact(lane: Lane, first: int, stop: int, window: tuple[int, int, int], columns: int) -> bytes:
    """Columns from every segment: whole ones are filled, shared ones decided by time."""
    from_ns, span, last_ns = window
    out = bytearray(columns)
    starts, kinds = lane.starts_ns, lane.states
    shared: dict[int, int] = {}
    column = -1
    for index in range(first, stop):
        begin = max(starts[index], from_ns)
        end = starts[index + 1] if index + 1 < stop else last_ns
        if end > last_ns:
            end = last_ns
        if end <= begin:
            continue
        kind = kinds[index]
        c0 = (begin - from_ns) * columns // span
        c1 = (end - from_ns) * columns // span
        if c0 != column:
            if shared:
                out[column] = _loudest(shared)
            shared = {}
            column = c0
        if c0 == c1:
            shared[kind] = shared.get(kind, 0) + end - begin
            continue
        edge = from_ns + -(-span * (c0 + 1) // columns)
        shared[kind] = shared.get(kind, 0) + edge - begin
        out[c0] = _loudest(shared)
        out[c0 + 1 : c1] = bytes((kind,)) * (c1 - c0 - 1)
        rest = end - (from_ns + -(-span * c1 // columns))
        shared = {kind: rest} if rest > 0 and c1 < columns else {}
        column = c1
    if shared and column < columns:
        out[column] = _loudest(shared)
    return bytes(out)


def _loudest(times: dict[int, int]) -> int:
    if len(times) == 1:
        return next(iter(times))
    total = sum(times.values())
    loud = [kind for kind in times if kind in _LOUD and times[kind] * 4 >= total]
    most = max(loud or times, key=lambda kind: (times[kind], kind))
    if most not in _HIDING:
        return most
    short = [kind for kind in times if kind in _TOLD]
    return max(short, key=lambda kind: (times[kind], kind)) if short else _entered(times, most)


def _entered(times: dict[int, int], most: int) -> int:
    """A fault that has only just begun is not hidden either."""
    return states.ENTRY if states.ENTRY in times else most


def _sampled(lane: Lane, from_ns: int, span: int, columns: int, last_ns: int) -> bytes:
    """Columns from a few moments in each: for windows over very many segments."""
    out = bytearray(columns)
    starts, kinds = lane.starts_ns, lane.states
    for column in range(columns):
        times: dict[int, int] = {}
        for part in range(8):
            moment = from_ns + span * (column * 8 + part) // (columns * 8)
            index = bisect_right(starts, moment) - 1
            if index >= 0 and moment < last_ns:
                times[kinds[index]] = times.get(kinds[index], 0) + 1
        if times:
            out[column] = _loudest(times)
        if out[column] in _HIDING:
            out[column] = _missed(lane, from_ns, span, columns, column, last_ns) or out[column]
    return bytes(out)


def _missed(lane: Lane, from_ns: int, span: int, columns: int, column: int, last_ns: int) -> int:
    """What happened most often in a column of which the samples saw only quiet; 0 for nothing."""
    begin_ns = from_ns + span * column // columns
    end_ns = min(from_ns + span * (column + 1) // columns, last_ns)
    first = bisect_left(lane.starts_ns, begin_ns)
    here = lane.states[first : bisect_left(lane.starts_ns, end_ns)]
    often = max(_TOLD_BYTES, key=here.count)
    return often[0] if often in here else 0
