"""Who waits for whom and why, in plain words: what the narrator and the owner key go by."""

from __future__ import annotations

from pfviz.sim.event import WRITE

from . import states
from .fold_locks import READER_MASK, READER_SHIFT, RWSEM_KINDS
from .frame import RANGE_LOCK, Frame, LockState, TaskState
from .lock_words import is_of_mm, title
from .numbers import duration

_NAMES_MAX = 3


def lock_waited_for(task: TaskState) -> int:
    """The lock that keeps a task from going on: queued for, spun on or slept on; -1 when none."""
    if task.waits_lock >= 0:
        return task.waits_lock
    if task.spins_lock >= 0:
        return task.spins_lock
    return task.asleep_lock if task.asleep else -1


def owner_of(frame: Frame, task: int) -> int:
    """Whom a waiting task waits for: the holder (the longest one), else the head of the queue."""
    if task not in frame.tasks:
        return -1
    number = lock_waited_for(frame.tasks[task])
    if number not in frame.locks:
        return -1
    lock = frame.locks[number]
    others = [holder for holder in lock.holders if holder != task]
    if others:
        return min(others, key=lambda holder: (lock.holders[holder][1], holder))
    return next((waiter for waiter in lock.waiters if waiter != task), -1)


def why_waits(frame: Frame, task: TaskState) -> str:
    """The reason of a wait: who has the lock, what keeps that one, who is ahead in the queue."""
    number = lock_waited_for(task)
    if number not in frame.locks:
        return f"sleeps ({task.asleep_why})" if task.asleep_why else "sleeps"
    lock = frame.locks[number]
    wants_write = task.waits_mode == WRITE if task.waits_lock >= 0 else True
    parts = [_held(frame, lock, task)]
    ahead = _ahead(frame, lock, task, wants_write)
    if ahead:
        parts.append(ahead)
    return "; ".join(parts)


def _held(frame: Frame, lock: LockState, task: TaskState) -> str:
    """Who has the lock, for how long, and what that one is doing."""
    name = words_for(frame, lock)
    others = [holder for holder in lock.holders if holder != task.id]
    if not others:
        return _free(frame, lock, task, name)
    first = min(others, key=lambda holder: (lock.holders[holder][1], holder))
    mode, since = lock.holders[first]
    held = duration(frame.now_ns - since)
    how = {0: " for read", 1: " for write"}.get(mode, "")
    doing = what_keeps(frame, frame.tasks[first], lock.id)
    if lock.kind == "irq":
        return f"{frame.label(first)} has kept {name} off for {held}{doing}"
    if len(others) == 1:
        return f"{frame.label(first)} has held {name}{how} for {held}{doing}"
    longest = f"{frame.label(first)} the longest ({held}{doing})"
    return f"{len(others)} threads hold {name}{how}, {longest}"


def _free(frame: Frame, lock: LockState, task: TaskState, name: str) -> str:
    """Why nobody has the lock although it is waited for."""
    granted = [waiter for waiter, (mode, _) in lock.waiters.items() if mode != WRITE]
    granted = granted[: granted_readers(lock)]
    if granted and task.id not in granted:
        verb = "has" if len(granted) == 1 else "have"
        return f"{name} was granted to {names_of(frame, granted)}, who {verb} not woken up yet"
    if task.id in granted:
        return f"{name} was granted to it, but it has not woken up yet"
    head = next(iter(lock.waiters), -1)
    if head == task.id:
        if not task.asleep:
            return f"{name} is free and it was woken, but it does not run yet"
        return f"{name} is free, and it is the first in the queue"
    if head >= 0:
        return f"{name} is free, but {frame.label(head)} is first in the queue"
    return f"{name} was let go a moment ago"


def granted_readers(lock: LockState) -> int:
    """How many readers an rwsem's word counts beyond those that run on: granted, not yet awake."""
    if not lock.has_word or lock.kind not in RWSEM_KINDS:
        return 0
    counted = (lock.word & READER_MASK) >> READER_SHIFT
    return max(counted - sum(1 for mode, _ in lock.holders.values() if mode != WRITE), 0)


def what_keeps(frame: Frame, holder: TaskState, lock: int) -> str:
    """What keeps a holder from letting go, as a clause that follows who it is."""
    now = frame.now_ns
    if holder.state in (states.OFF_CPU, states.OFF_CPU_HOLDING):
        if holder.preempted:
            ago = duration(now - holder.off_cpu_since_ns)
            return f" and lost its CPU{taken_by(frame, holder)} {ago} ago"
        return " and waits for a CPU"
    next_lock = lock_waited_for(holder)
    if next_lock >= 0 and next_lock != lock and next_lock in frame.locks:
        other = frame.locks[next_lock]
        return f" and itself waits for {words_for(frame, other)}"
    if holder.state == states.IO:
        return " and waits for I/O"
    if holder.state == states.ASK:
        return f" and {holder.asleep_why}"
    if 0 <= holder.step < len(frame.log.steps):
        return f" (now in {frame.log.steps[holder.step].function})"
    return ""


def taken_by(frame: Frame, task: TaskState) -> str:
    """Who runs on the CPU that a task lost, as a clause: ` to busy (nice -10 beats nice 19)`."""
    by = frame.cpus.get(task.cpu, -1)
    if by < 0 or by == task.id:
        return ""
    other = frame.tasks[by]
    better = f" ({_priority(other)} beats {_priority(task)})" if other.prio < task.prio else ""
    return f" to {frame.label(by)}{better}"


def _priority(task: TaskState) -> str:
    return f"nice {task.prio - 120}" if task.prio >= 100 else f"real-time {99 - task.prio}"


def _ahead(frame: Frame, lock: LockState, task: TaskState, wants_write: bool) -> str:
    """Who stands before a task in the queue, and what that means."""
    queue = list(lock.waiters)
    if task.id not in queue:
        if len(queue) and task.spins_lock == lock.id:
            return f"{len(queue)} more sleep{'s' if len(queue) == 1 else ''} in its queue"
        return ""
    before = queue[: queue.index(task.id)]
    writers = [other for other in before if lock.waiters[other][0] == WRITE]
    if not wants_write and writers and lock.writer < 0 and lock.holders:
        behind = f"the writer {frame.label(writers[0])} queued behind it"
        return f"{behind}, so every new reader queues too"
    if lock.handoff:
        return f"the lock will be handed to {frame.label(queue[0])}"
    if len(before) == 1:
        return f"{frame.label(before[0])} is ahead of it"
    return f"{len(before)} are ahead of it" if before else ""


def who_waits_for(frame: Frame, task: TaskState) -> str:
    """Who waits for a lock that this task holds, or nothing."""
    found: list[str] = []
    for number in task.holds:
        lock = frame.locks[number]
        others = [waiter for waiter in (*lock.waiters, *lock.spinners) if waiter != task.id]
        if others:
            verb = "waits" if len(others) == 1 else "wait"
            names = names_of(frame, others)
            how = "keeps off" if lock.kind == "irq" else "holds"
            found.append(f"{names} {verb} for {words_for(frame, lock)}, which it {how}")
    return "; ".join(found)


def names_of(frame: Frame, tasks: list[int]) -> str:
    """Up to three names, then how many more: `T1, T2 and 5 more`."""
    names = [frame.label(task) for task in tasks[:_NAMES_MAX]]
    if len(tasks) > _NAMES_MAX:
        return f"{', '.join(names)} and {len(tasks) - _NAMES_MAX} more"
    if len(names) > 1:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    return names[0] if names else "nobody"


def words_for(frame: Frame, lock: LockState) -> str:
    """A lock as a sentence names it: `mmap_lock`, `the lock of VMA heap`, `a page-table lock`."""
    if lock.kind == "mmap_lock":
        if lock.owner not in frame.mms or frame.is_only_mm(lock.owner):
            return "mmap_lock"
        return f"{frame.mms[lock.owner].name}'s mmap_lock"
    if lock.kind == RANGE_LOCK:
        return "the lock on ranges of VMAs"
    if is_of_mm(lock):
        return f"the {title(frame, lock)}"
    if lock.kind == "vma_lock":
        return f"the lock of {title(frame, lock)}"
    if lock.kind == "ptl":
        return f"the page-table lock {lock.name}".rstrip()
    if lock.kind == "folio":
        return f"the folio lock {lock.name}".rstrip()
    if lock.kind == "irq":
        return f"the {lock.name}"
    return lock.name or f"a {lock.kind}"
