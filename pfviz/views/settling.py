"""What a task is seen doing, worked out from what the events said about it."""

from __future__ import annotations

from typing import Final

from pfviz.sim.event import WRITE

from . import states
from .frame import RANGE_LOCK, Frame, TaskState

USER_OPS: Final = frozenset(("access", "compute", "sleep", ""))
"""Operations whose own time is user time: their faults are seen as faults."""
ASK_WORDS: Final = "userfaultfd monitor"
"""In the reason of a sleep: a thread in user space is to answer a fault."""
IO_WORDS: Final = ("I/O", "folio", "page of a file", "page cache", "page from swap")
"""Words in the reason of a sleep that say it is for a device."""


def settle(frame: Frame, task: TaskState, now: int) -> None:
    """Work out what the task is doing now and note since when."""
    state = state_of(frame, task)
    if state != task.state:
        task.state = state
        task.since_ns = now
        if frame.watch is not None:
            frame.watch(now, task)


def state_of(frame: Frame, task: TaskState) -> int:
    """The one state that says most about a task (see `states`)."""
    if task.ended:
        return states.ENDED
    if not task.on_cpu:
        return _off_cpu(frame, task)
    if task.spins_lock >= 0:
        return states.SPIN
    if task.waits_lock >= 0:
        return states.WAIT_WRITE if task.waits_mode == WRITE else states.WAIT_READ
    if task.io and task.step < 0:
        # A capture without sched_switch: nobody says that the CPU was left for the wait.
        return states.IO
    fault = task.fault
    if fault is not None and fault.end_ns < 0:
        if task.rcu_depth and fault.regime != 2 and not task.holds:
            return states.RCU
        return states.REGIME_STATES[fault.regime] if fault.regime >= 0 else states.ENTRY
    if task.holds:
        for lock, (mode, _) in task.holds.items():
            if frame.locks[lock].kind in ("mmap_lock", RANGE_LOCK):
                return states.HOLD_WRITE if mode == WRITE else states.HOLD_READ
    if task.op in USER_OPS:
        return states.USER if task.step >= 0 or task.op or task.state else states.NEW
    return states.KERNEL


def _off_cpu(frame: Frame, task: TaskState) -> int:
    if task.unstarted:
        return states.NEW  # Its start may be far ahead: it waits for nothing yet.
    if task.asleep:
        if task.waits_lock >= 0:
            return states.WAIT_WRITE if task.waits_mode == WRITE else states.WAIT_READ
        if task.io or any(word in task.asleep_why for word in IO_WORDS):
            return states.IO
        if ASK_WORDS in task.asleep_why:
            return states.ASK
        if task.asleep_lock >= 0:
            # A writer that waits for the readers of a refcounted VMA lock is in no queue.
            return states.WAIT_WRITE
        return states.SLEEP
    if task.holds and any(frame.locks[lock].waiters for lock in task.holds):
        return states.OFF_CPU_HOLDING
    return states.OFF_CPU
