"""struct rw_semaphore: the count word with the kernel's bits, the owner word, the wait list.

Data and single changes of it (include/linux/rwsem.h, kernel/locking/rwsem.c); who may change what,
and when, is in `rwsem` and the files named after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    CONTENTION_BEGIN,
    LOCK_ACQUIRED,
    LOCK_NEW,
    LOCK_WORD,
    NOBODY,
    READ,
    WRITE,
    signed,
)
from pfviz.sim.task import RUNNING, SPINNING, Step, Task

from .wait_queue import Waiter, WaitQueue

# The count word (64 bits)
WRITER_LOCKED: Final = 1 << 0
FLAG_WAITERS: Final = 1 << 1
FLAG_HANDOFF: Final = 1 << 2
FLAG_READFAIL: Final = 1 << 63
READER_SHIFT: Final = 8
READER_BIAS: Final = 1 << READER_SHIFT
READER_MASK: Final = (1 << 64) - READER_BIAS
LOCK_MASK: Final = WRITER_LOCKED | READER_MASK
READ_FAILED_MASK: Final = WRITER_LOCKED | FLAG_WAITERS | FLAG_HANDOFF | FLAG_READFAIL

# Flags of the owner word
READER_OWNED: Final = 1 << 0
NONSPINNABLE: Final = 1 << 1

WAIT_TIMEOUT_NS: Final = 4_000_000
"""RWSEM_WAIT_TIMEOUT: DIV_ROUND_UP(HZ, 250) jiffies, 4 ms at HZ 250 and 1000."""


@dataclass(slots=True, eq=False)
class RwsemWaiter(Waiter):
    """struct rwsem_waiter, and what else a task must remember in the slow path."""

    sem: RwSemaphore
    then: Step
    count: int = 0
    """A reader's count word just after it added its bias."""
    deadline_ns: int = 0
    """From here on the waiter may ask for the lock to be handed over."""
    handoff_set: bool = False
    is_granted: bool = False
    """A reader's share is counted already (the kernel clears `waiter.task`)."""
    is_woken: bool = False
    """Somebody woke a writer that was not asleep yet: it must try once more before it sleeps."""
    is_killable: bool = False
    begun_ns: int = 0
    """When it joined the queue or began to spin, whichever was later."""
    spun_on: Task | None = None
    """The writer whose leaving a spinner waits for; None when it looked at no writer yet."""
    looks: int = 0
    """How often it looked at the owner, so that an old alarm does not disturb a new look."""
    prev_owner_state: int = 0
    rspin_threshold_ns: int = 0
    """When a spinner on readers gives up."""


class RwSemaphore:
    """A lock for many readers or one writer; `owner` is the mm or VMA it belongs to, else -1."""

    __slots__ = (
        "count", "held", "id", "kind", "line", "name", "osq", "owner", "owner_flags",
        "owner_task", "stray_readers", "wait_list", "watchers",
    )  # fmt: skip

    def __init__(self, engine: Engine[Any], kind: str, name: str, owner: int = -1) -> None:
        self.id = engine.new_id()
        self.kind = kind
        self.name = name
        self.owner = owner
        self.line = CacheLine(engine.new_id(), name)
        self.count = 0
        self.owner_task: Task | None = None
        self.owner_flags = 0
        self.wait_list: WaitQueue[RwsemWaiter] = WaitQueue()
        self.osq: WaitQueue[RwsemWaiter] = WaitQueue()
        self.held: dict[Task, int] = {}
        """Who holds it, since when; ghosts of the kernel's lockdep, no policy reads it."""
        self.watchers: list[RwsemWaiter] = []
        """Who spins on the owner right now: the first in the osq, a writer promised the lock."""
        self.stray_readers = 0
        """Biases of readers that are between a failed fast path and their decision."""
        if engine.logging:
            log = engine.log
            engine.emit(LOCK_NEW, self.id, log.text(kind), log.text(name), owner)

    @property
    def readers(self) -> int:
        """Readers counted in the word, those between fast and slow path included."""
        return self.count >> READER_SHIFT

    @property
    def is_write_locked(self) -> bool:
        """Whether a writer holds it."""
        return bool(self.count & WRITER_LOCKED)

    def mode_of(self, task: Task) -> int | None:
        """READ or WRITE if `task` holds it, else None."""
        if task not in self.held:
            return None
        return WRITE if self.is_write_locked else READ

    def check(self) -> None:
        """Every invariant of the lock between two steps, stated once."""
        count, name = self.count, self.name
        if count & WRITER_LOCKED:
            assert len(self.held) == 1, f"{name}: a writer shares it with {len(self.held) - 1}"
            assert self.readers == self.stray_readers, f"{name}: a writer among readers"
        else:
            assert self.readers == len(self.held) + self.stray_readers, f"{name}: lost readers"
        assert bool(count & FLAG_WAITERS) == bool(self.wait_list), f"{name}: WAITERS is wrong"
        if count & FLAG_HANDOFF:
            assert count & FLAG_WAITERS, f"{name}: HANDOFF without WAITERS"
        if any(waiter.handoff_set for waiter in self.wait_list.waiters[1:]):
            raise AssertionError(f"{name}: handed over to one who is not first")


def change_count(engine: Engine[Any], sem: RwSemaphore, count: int) -> None:
    """Store a new count word (the result of an atomic) and log it."""
    sem.count = count
    if sem.watchers and not count & LOCK_MASK:
        stir_watchers(engine, sem)
    if engine.logging:
        holder = sem.owner_task if count & LOCK_MASK else None
        task = holder.id if holder is not None else NOBODY
        engine.emit(LOCK_WORD, sem.id, signed(count), task)


def stir_watchers(engine: Engine[Any], sem: RwSemaphore) -> None:
    """The lock became free, or changed hands: spinners see it once the line has reached them."""
    here = engine.cpu.id
    for waiter in sem.watchers:
        there = waiter.task.cpu
        transfer_ns = engine.machine.transfer_ns(here, there.id) if there is not None else 0
        engine.stop_spinning(waiter.task, engine.extra_ns + transfer_ns)
    sem.watchers.clear()


def set_writer_owner(sem: RwSemaphore, task: Task) -> None:
    """rwsem_set_owner: a writer holds it; both flags are gone."""
    sem.owner_task = task
    sem.owner_flags = 0


def set_reader_owned(sem: RwSemaphore, task: Task) -> None:
    """rwsem_set_reader_owned: a hint that readers hold it; `task` is only the last of them."""
    sem.owner_task = task
    sem.owner_flags = READER_OWNED | (sem.owner_flags & NONSPINNABLE)


def clear_owner(sem: RwSemaphore) -> None:
    """rwsem_clear_owner: a writer leaves. Readers that leave let their hint go stale."""
    sem.owner_task = None
    sem.owner_flags = 0


def set_nonspinnable(sem: RwSemaphore) -> None:
    """rwsem_set_nonspinnable: readers hold it for too long; nobody shall spin on them."""
    if sem.owner_flags & READER_OWNED:
        sem.owner_flags |= NONSPINNABLE


def clear_nonspinnable(sem: RwSemaphore) -> None:
    """The lock is free, so spinning is worth a try again."""
    sem.owner_flags &= ~NONSPINNABLE


def is_on_cpu(task: Task) -> bool:
    """owner_on_cpu: whether a lock holder makes progress right now."""
    return task.state in (RUNNING, SPINNING)


def acquired(
    engine: Engine[Any], sem: RwSemaphore, task: Task, mode: int, wait_ns: int, is_try: bool = False
) -> None:
    """Note that `task` knows it has the lock; its hold time counts from here."""
    sem.held[task] = engine.now_ns
    engine.emit(LOCK_ACQUIRED, sem.id, mode, wait_ns, is_try)
    if engine.watch is not None:
        engine.watch.took(engine, task, sem, mode)


def enqueue_waiter(engine: Engine[Any], sem: RwSemaphore, waiter: RwsemWaiter) -> None:
    """rwsem_add_waiter: join the queue; the 4 ms until a hand-over may be asked for begin."""
    waiter.begun_ns = engine.now_ns
    waiter.deadline_ns = engine.now_ns + WAIT_TIMEOUT_NS
    position = sem.wait_list.enqueue(waiter)
    engine.emit(CONTENTION_BEGIN, sem.id, waiter.mode, position)


def leave_slowpath(engine: Engine[Any], task: Task, waiter: RwsemWaiter) -> Step:
    """The slow path ends with the lock: enable preemption, log how long it took, go on."""
    task.preempt_count -= 1
    task.waiting = None
    acquired(engine, waiter.sem, task, waiter.mode, engine.now_ns - waiter.since_ns)
    return waiter.then


def holders(sem: RwSemaphore) -> tuple[Task, ...]:
    """Who holds it, readers that were granted in their sleep included."""
    return tuple(sem.held)


def waiters(sem: RwSemaphore) -> tuple[Task, ...]:
    """Who waits for it asleep, first come first; spinners are not among them."""
    return sem.wait_list.tasks


def mode_held(sem: Any, task: Task) -> int | None:
    """READ or WRITE if `task` holds it (an rwsem, or a range of a range lock), else None."""
    mode: int | None = sem.mode_of(task)
    return mode
