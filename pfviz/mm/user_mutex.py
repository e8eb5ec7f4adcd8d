"""Locks of programs, not of the kernel: pthread mutexes by name, and the operations on them.

An allocator's heap lock, say: who sleeps in the kernel with it held up keeps the program's other
threads waiting. Data only; what threads do with one is in `paths/futex.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import LOCK_NEW
from pfviz.sim.task import Task
from pfviz.sync.wait_queue import Waiter, WaitQueue


@dataclass(frozen=True, slots=True)
class LockMutex:
    """Take the program's mutex called `mutex`, asleep in futex_wait while another has it."""

    mutex: str


@dataclass(frozen=True, slots=True)
class UnlockMutex:
    """Give the mutex back and wake one who waits for it."""

    mutex: str


MutexOperation = LockMutex | UnlockMutex


@dataclass(slots=True, eq=False)
class UserMutex:
    """A word in the program's memory, and the kernel's queue of those who wait for it."""

    id: int
    name: str
    line: CacheLine
    holder: Task | None = None
    since_ns: int = 0
    queue: WaitQueue[Waiter] = field(default_factory=WaitQueue)


def new_mutex(engine: Engine[Any], name: str) -> UserMutex:
    """A mutex that nobody holds, known to the log as a lock of kind "mutex"."""
    mutex = UserMutex(engine.new_id(), name, CacheLine(engine.new_id(), f"mutex {name}"))
    if engine.logging:
        log = engine.log
        engine.emit(LOCK_NEW, mutex.id, log.text("mutex"), log.text(f"mutex {name}"), -1)
    return mutex
