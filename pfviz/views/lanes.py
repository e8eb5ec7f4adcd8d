"""What every thread did when, as segments: the matter of the lanes and of who waited how long.

Fed by a fold (`Frame.watch`), kept once for the whole run beside the keyframes, never copied.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

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
        quarter on: they are what the reader looks for.
        """
        lane = self.lanes.get(task)
        if lane is None or columns <= 0:
            return bytes(max(columns, 0))
        out = bytearray(columns)
        span = max(to_ns - from_ns, 1)
        starts, kinds = lane.starts_ns, lane.states
        index = bisect_right(starts, from_ns) - 1
        for column in range(columns):
            begin = from_ns + span * column // columns
            stop = from_ns + span * (column + 1) // columns
            if begin > end_ns:
                break
            stop = max(min(stop, end_ns + 1), begin + 1)
            while index + 1 < len(starts) and starts[index + 1] <= begin:
                index += 1
            out[column], index = _column(starts, kinds, index, begin, stop)
        return bytes(out)


_LOUD = frozenset(
    (
        states.SPIN,
        states.WAIT_READ,
        states.WAIT_WRITE,
        states.IO,
        states.OFF_CPU_HOLDING,
        states.HOLD_WRITE,
    )
)


def _column(
    starts: array[int], kinds: bytearray, index: int, begin: int, stop: int
) -> tuple[int, int]:
    """The state to show for [begin, stop) and the segment that holds its end."""
    last = index
    if last + 1 >= len(starts) or starts[last + 1] >= stop:
        return (kinds[last] if last >= 0 else states.NEW), last
    times: dict[int, int] = {}
    at = begin
    while last + 1 < len(starts) and starts[last + 1] < stop:
        if last - index > 64:  # A window over a million segments: a sample of it will do.
            last = bisect_right(starts, stop - 1) - 1
            break
        state = kinds[last] if last >= 0 else states.NEW
        times[state] = times.get(state, 0) + starts[last + 1] - at
        at = starts[last + 1]
        last += 1
    state = kinds[last]
    times[state] = times.get(state, 0) + stop - at
    loud = [key for key in times if key in _LOUD and times[key] * 4 >= stop - begin]
    return max(loud or times, key=lambda key: (times[key], key)), last
