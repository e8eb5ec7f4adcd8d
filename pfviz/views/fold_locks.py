"""Folds of what locks report: who has them, who waits in which order, what their words say."""

# Every fold takes a whole event row, whatever it needs of it.
# ruff: noqa: ARG001

from __future__ import annotations

from typing import Final

from pfviz.sim import event as ev
from pfviz.sim.event import WRITE

from .frame import RANGE_LOCK, Frame, LockState, TaskState
from .settling import settle

HANDOFF_BIT: Final = 4
"""Bit 2 of an rwsem's count (kernel/locking/rwsem.c, RWSEM_FLAG_HANDOFF)."""
READER_SHIFT: Final = 8
READER_MASK: Final = (1 << 63) - (1 << READER_SHIFT)
"""Bits 8 to 62 of an rwsem's count: readers."""
RWSEM_KINDS: Final = frozenset(("mmap_lock", "rwsem", "anon_vma", "i_mmap"))


def _lock_new(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    if len(f.locks) >= LOCKS_MAX:
        _forget_idle(f)
    lock = f.locks[a]
    lock.kind = f.log.texts[b]
    lock.name = f.log.texts[c]
    lock.owner = d


_KEPT: Final = ("mmap_lock", RANGE_LOCK, "vma_lock")
LOCKS_MAX: Final = 4096
"""Page tables come and go, and their locks with them: beyond this the idle ones are forgotten."""


def _forget_idle(f: Frame) -> None:
    idle = [
        lock
        for lock in f.locks.values()
        if lock.kind not in _KEPT and not (lock.busy or _counts_changes(lock))
    ]
    idle.sort(key=lambda lock: (lock.touched_ns, lock.id))
    for lock in idle[: len(idle) // 2]:
        del f.locks[lock.id]


def _lock_start(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    f.locks[a].touched_ns = now


def _lock_acquired(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = now
    if b == WRITE:
        lock.writes += 1
    else:
        lock.reads += 1
    lock.handoff = False
    lock.holders[task] = hold = (b, now)
    t = f.tasks[task]
    t.holds[a] = hold
    if lock.waiters and task in lock.waiters:
        _leave_queue(f, lock, t, now)
    if lock.spinners:
        lock.spinners.pop(task, None)
    if t.spins_lock == a:
        t.spins_lock = -1
    settle(f, t, now)


def _lock_failed(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = now
    lock.failed += 1


def _lock_released(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = now
    lock.holders.pop(task, None)
    if c > lock.hold_ns_max:
        lock.hold_ns_max = c
    t = f.tasks[task]
    t.holds.pop(a, None)
    settle(f, t, now)


def _lock_downgraded(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = lock.downgraded_ns = now
    if b > lock.hold_ns_max:
        lock.hold_ns_max = b
    lock.holders[task] = hold = (ev.READ, now)
    t = f.tasks[task]
    t.holds[a] = hold
    f.handovers += 1
    settle(f, t, now)


def _contention_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    begin_wait(f, f.locks[a], f.tasks[task], b, now)


def begin_wait(f: Frame, lock: LockState, t: TaskState, mode: int, now: int) -> None:
    """A task joins the queue of a lock."""
    lock.touched_ns = now
    lock.contended += 1
    lock.waiters[t.id] = (mode, now)
    if len(lock.waiters) > lock.waiters_max:
        lock.waiters_max = len(lock.waiters)
    t.waits_lock = lock.id
    t.waits_mode = mode
    t.waits_since_ns = now
    f.waiting[t.id] = now
    settle(f, t, now)
    for holder in lock.holders:
        settle(f, f.tasks[holder], now)


def _contention_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    end_wait(f, f.locks[a], f.tasks[task], max(c, 0), now)


def end_wait(f: Frame, lock: LockState, t: TaskState, wait_ns: int, now: int) -> None:
    """A wait is over: the task has what it waited for."""
    lock.touched_ns = now
    lock.wait_ns_total += wait_ns
    if wait_ns > lock.wait_ns_max:
        lock.wait_ns_max = wait_ns
    f.wait_latency.add(wait_ns)
    f.handovers += 1
    _leave_queue(f, lock, t, now)
    settle(f, t, now)


def _leave_queue(f: Frame, lock: LockState, t: TaskState, now: int) -> None:
    lock.waiters.pop(t.id, None)
    if t.waits_lock == lock.id:
        t.waits_lock = -1
        t.waits_since_ns = -1
        f.waiting.pop(t.id, None)
    if not lock.waiters:
        lock.handoff = False
        for holder in lock.holders:
            settle(f, f.tasks[holder], now)


def _spin_begin(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = now
    lock.spinners[task] = (b, now)
    t = f.tasks[task]
    t.spins_lock = a
    t.spins_since_ns = now
    settle(f, t, now)


def _spin_end(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = now
    lock.spinners.pop(task, None)
    if d:
        f.handovers += 1
    t = f.tasks[task]
    t.spins_lock = -1
    settle(f, t, now)


def _lock_handoff(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.touched_ns = lock.handoff_ns = now
    lock.handoff = True


def _lock_word(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks[a]
    lock.word = b
    lock.has_word = True
    lock.owner_task = c
    if lock.kind in RWSEM_KINDS:
        lock.handoff = bool(b & HANDOFF_BIT)


def _counts_changes(lock: LockState) -> bool:
    return lock.kind == "mmap_lock" or (lock.kind == "spinlock" and lock.owner >= 0)


def _seq_changed(f: Frame, now: int, task: int, a: int, b: int, c: int, d: int) -> None:
    lock = f.locks.get(a)
    if lock is None:
        # mm_lock_seq has a number of its own: it belongs to the mmap_lock held for write, or to
        # the lock on the tree where that has one.
        held = f.tasks[task].holds if task >= 0 else {}
        number = next((n for n in held if _counts_changes(f.locks[n])), a)
        lock = f.locks[number]
    lock.sequence = b


FOLDS: Final = {
    ev.LOCK_NEW: _lock_new,
    ev.LOCK_START: _lock_start,
    ev.LOCK_ACQUIRED: _lock_acquired,
    ev.LOCK_FAILED: _lock_failed,
    ev.LOCK_RELEASED: _lock_released,
    ev.LOCK_DOWNGRADED: _lock_downgraded,
    ev.CONTENTION_BEGIN: _contention_begin,
    ev.CONTENTION_END: _contention_end,
    ev.SPIN_BEGIN: _spin_begin,
    ev.SPIN_END: _spin_end,
    ev.LOCK_HANDOFF: _lock_handoff,
    ev.LOCK_WORD: _lock_word,
    ev.SEQ_CHANGED: _seq_changed,
}
