"""Folding events into a frame: a table of functions by event kind.

The functions believe the log: what a capture lost shows as it was last known.
"""

from __future__ import annotations

from typing import Final

from pfviz.sim.event import FIELDS

from . import fold_locks, fold_memory, fold_tasks, fold_tree
from .frame import Fold, Frame


def _ignore(_f: Frame, _now: int, _task: int, _a: int, _b: int, _c: int, _d: int) -> None:
    """An event that changes nothing a frame shows."""


def _table() -> tuple[Fold, ...]:
    table: list[Fold] = [_ignore] * (max(FIELDS) + 1)
    for folds in (fold_tasks.FOLDS, fold_locks.FOLDS, fold_memory.FOLDS, fold_tree.FOLDS):
        for kind, function in folds.items():
            table[kind] = function
    return tuple(table)


HANDLERS: Final = _table()


def fold(frame: Frame, last: int) -> Frame:
    """Take the frame on to the moment after the first `last` events of its log; the same frame."""
    handlers = HANDLERS
    now, task = frame.now_ns, frame.event_task
    for now, kind, task, a, b, c, d in frame.log.between(frame.index, last):
        handlers[kind](frame, now, task, a, b, c, d)
    frame.index = last
    frame.now_ns = now
    frame.event_task = task
    return frame
