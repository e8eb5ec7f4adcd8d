"""Giving up the lock that a fault holds, from inside its handler (release_fault_lock)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm import mmap_lock
from pfviz.mm.thread import MMAP_LOCK, VMA_LOCK
from pfviz.mm.vma_lock import vma_end_read

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def release_fault_lock(engine: Mm, thread: Thread) -> None:
    """Drop the VMA lock or mmap_lock; the VMA may not be looked at afterwards.

    Before 6.6 a handler leaves the VMA lock to its caller.
    """
    fault = thread.in_flight
    assert fault.vma is not None
    if fault.regime == MMAP_LOCK:
        mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    elif fault.regime == VMA_LOCK and engine.world.preset.handler_unlocks:
        vma_end_read(engine, thread, fault.vma)


def may_drop_lock(engine: Mm, thread: Thread) -> bool:
    """Whether a fault may drop its lock for I/O and start again (fault_flag_allow_retry_first)."""
    policy = engine.world.policy
    return not thread.in_flight.tried and policy.io_wait == "drop"
