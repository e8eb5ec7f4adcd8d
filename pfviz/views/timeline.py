"""Any moment of a run or capture, backwards included: keyframes every so many events, and folds.

Owns the frames it folds: `at` lends one until the next call, `copy_at` gives one away.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from typing import Final

from pfviz.sim import event as ev
from pfviz.sim.event import ROW_BYTES, EventLog

from .fold import fold
from .frame import Frame, freeze, thaw
from .lanes import Lanes

STRIDE: Final = 4096

STEP: Final = "step"
EVENT: Final = "event"
FAULT: Final = "fault"
HANDOVER: Final = "hand-over"
CUE: Final = "cue"
OPERATION: Final = "operation"
GRAINS: Final = (STEP, EVENT, FAULT, HANDOVER, CUE, OPERATION)
"""What `next` and `previous` can count in."""

_GRAIN_OF_KIND: Final = {
    ev.STEP: STEP,
    ev.FAULT_END: FAULT,
    ev.CONTENTION_END: HANDOVER,
    ev.LOCK_DOWNGRADED: HANDOVER,
    ev.LOCK_HANDOFF: HANDOVER,
    ev.NOTE: CUE,
    ev.OP_END: OPERATION,
}


class Timeline:
    """Keeps a keyframe every `stride` events of a log that may still grow (see `extend`).

    An index counts events: index 0 is before the first, `len(timeline)` after the last one folded.
    """

    def __init__(self, log: EventLog, stride: int = STRIDE, events_max: int | None = None) -> None:
        """Fold at most `events_max` events of `log` at once; `extend` goes on later."""
        assert stride > 0
        self.log = log
        self.lanes = Lanes()
        self._stride = stride
        self._head = Frame(log, watch=self.lanes.note)
        self._cursor = Frame(log)
        self._keyframes: list[bytes] = [freeze(self._head)]
        self._marks: dict[str, array[int]] = {grain: array("q") for grain in GRAINS}
        self._followers: dict[int, dict[int, int]] = {}
        self._last_step: dict[int, int] = {}
        self.extend(events_max)

    def __len__(self) -> int:
        return self._head.index

    def extend(self, events_max: int | None = None) -> int:
        """Fold what the log has grown by, at most `events_max` events; how many that were."""
        first = self._head.index
        last = len(self.log) if events_max is None else min(len(self.log), first + events_max)
        at = first
        while at < last:
            stop = min(last, len(self._keyframes) * self._stride)
            self._mark(at, stop)
            fold(self._head, stop)
            at = stop
            if at == len(self._keyframes) * self._stride:
                self._keyframes.append(freeze(self._head))
        return last - first

    def _mark(self, first: int, last: int) -> None:
        """Note where steps, faults, hand-overs and cues end, and which step followed which."""
        values = memoryview(bytes(self.log.rows[first * ROW_BYTES : last * ROW_BYTES])).cast("q")
        kinds = values[1::7].tolist()
        steps, marks, grains = self._marks[STEP], self._marks, _GRAIN_OF_KIND
        last_step, followers = self._last_step, self._followers
        for offset, kind in enumerate(kinds):
            if kind == ev.STEP:
                steps.append(first + offset + 1)
                task, step = values[offset * 7 + 2], values[offset * 7 + 3]
                before = last_step.get(task, -1)
                last_step[task] = step
                after = followers.get(before)
                if after is None:
                    after = followers[before] = {}
                after[step] = after.get(step, 0) + 1
            elif kind in grains:
                marks[grains[kind]].append(first + offset + 1)
            elif kind == ev.SPIN_END and values[offset * 7 + 6]:
                marks[HANDOVER].append(first + offset + 1)

    # Moments

    def at(self, index: int) -> Frame:
        """The frame after the first `index` events, lent until the next call; about 10 ms."""
        assert 0 <= index <= len(self), (index, len(self))
        cursor = self._cursor
        if not cursor.index <= index < cursor.index + self._stride:
            self._cursor = cursor = self._thawed(index)
        return fold(cursor, index)

    def copy_at(self, index: int) -> Frame:
        """The frame after the first `index` events, to keep."""
        assert 0 <= index <= len(self), (index, len(self))
        return fold(self._thawed(index), index)

    def _thawed(self, index: int) -> Frame:
        return thaw(self._keyframes[index // self._stride], self.log)

    def time_at(self, index: int) -> int:
        """When the last of the first `index` events happened; 0 before the first."""
        return self.log.row(index - 1)[0] if index > 0 else 0

    def index_at(self, now_ns: int) -> int:
        """How many events happened up to and including `now_ns`."""
        return min(self.log.index_at(now_ns), len(self))

    @property
    def end_ns(self) -> int:
        """The time of the last event folded so far."""
        return self._head.now_ns

    # Going by grains

    def next(self, index: int, grain: str = STEP) -> int:
        """Where the next step, fault, ... ends after `index`; the end when there is none."""
        if grain == EVENT:
            return min(index + 1, len(self))
        marks = self._marks[grain]
        position = bisect_right(marks, index)
        return marks[position] if position < len(marks) else len(self)

    def previous(self, index: int, grain: str = STEP) -> int:
        """Where the step, fault, ... before `index` ended; 0 when there is none."""
        if grain == EVENT:
            return max(index - 1, 0)
        marks = self._marks[grain]
        position = bisect_left(marks, index) - 1
        return marks[position] if position >= 0 else 0

    def count(self, index: int, grain: str = STEP) -> int:
        """How many steps, faults, ... ended within the first `index` events."""
        return index if grain == EVENT else bisect_right(self._marks[grain], index)

    def nth(self, number: int, grain: str = STEP) -> int:
        """Where step (fault, ...) `number` ended, counted from 1; clamped to the log's ends."""
        if grain == EVENT:
            return max(min(number, len(self)), 0)
        marks = self._marks[grain]
        if number <= 0:
            return 0
        return marks[number - 1] if number <= len(marks) else len(self)

    # What comes next

    def upcoming(self, index: int, task: int, number: int, rows_max: int = 4096) -> list[int]:
        """The next steps of a task (indices into `log.steps`): as logged, then as usual."""
        found: list[int] = []
        last = min(index + rows_max, len(self))
        for _, kind, of, step, *_ in self.log.between(index, last):
            if kind == ev.STEP and of == task:
                found.append(step)
                if len(found) == number:
                    return found
        step = found[-1] if found else self._last_step_before(index, task)
        while len(found) < number and (after := self._followers.get(step)):
            step = max(after, key=lambda key: (after[key], -key))
            if step in found:
                break
            found.append(step)
        return found

    def _last_step_before(self, index: int, task: int) -> int:
        frame = self.at(index)
        return frame.tasks[task].step if task in frame.tasks else -1
