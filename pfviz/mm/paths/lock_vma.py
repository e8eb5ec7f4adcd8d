"""Locking one VMA after another for reading, without mmap_lock: how /proc/PID/maps walks (6.17+).

The look-up is one step, the checks of a fault the next; what could not be locked this way is looked
up under mmap_lock, which is given back at once: a reader of /proc never holds up more than one VMA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import (
    BUSY,
    DETACHED,
    LOCKED,
    is_write_locked,
    read_locked,
    vma_end_read,
    vma_read_trylock,
    vma_start_read_locked,
)
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def lock_found(engine: Mm, thread: Thread, vma: Vma) -> str:
    """vma_start_read with both checks of the sequence number: LOCKED, BUSY or DETACHED."""
    if is_write_locked(engine, vma):
        return BUSY
    answer = vma_read_trylock(engine, thread, vma)
    if answer != LOCKED:
        return answer
    if is_write_locked(engine, vma) or vma.detached:
        vma_end_read(engine, thread, vma)
        return BUSY
    read_locked(engine, vma)
    return LOCKED


def lock_next(engine: Mm, thread: Thread, mm: AddressSpace, start: int, then: Step) -> Step:  # noqa: ARG001
    """Lock the first VMA that ends above `start`; `thread.vma` is None behind the last one.

    The caller is in an RCU section, and is again afterwards.
    """
    thread.locking_mm, thread.address = mm, start
    return thread.call(lock_next_vma, then)


@step("mm/mmap_lock.c (6.17+)", cost="vma_lookup")
def lock_next_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA under RCU, having noted the sequence, without touching mmap_lock."""
    mm = thread.locking_mm
    assert mm is not None
    thread.sequence = mm.mm_lock_seq.read(engine)
    thread.vma = mm.tree.next_at(engine, thread.address)
    return thread.back() if thread.vma is None else lock_next_found


@step("mm/mmap_lock.c (6.17+)", cost="vma_check", function="lock_next_vma")
def lock_next_found(engine: Mm, thread: Thread) -> Step:
    """Lock what was found; a gap before it counts only if another look finds nothing else there."""
    mm, vma = thread.locking_mm, thread.vma
    assert mm is not None
    assert vma is not None
    answer = lock_found(engine, thread, vma)
    if answer == LOCKED and _is_next(engine, thread, mm, vma):
        return thread.back()
    if answer == LOCKED:
        vma_end_read(engine, thread, vma)
    # vma_start_read has left the section; the slow way may have to wait for mmap_lock.
    engine.world.rcu.read_unlock(engine, thread)
    if answer == DETACHED:
        engine.world.rcu.read_lock(engine, thread)
        return lock_next_vma
    return mmap_read_lock(engine, thread, mm, lock_next_vma_slowly)


def _is_next(engine: Mm, thread: Thread, mm: AddressSpace, vma: Vma) -> bool:
    """Whether a locked VMA ends above the position and nothing came to lie before it (FP 5.2)."""
    start = thread.address
    if vma.mm is not mm or vma.vm_end <= start:
        return False
    if vma.vm_start <= start or not mm.mm_lock_seq.retry(engine, thread.sequence):
        return True
    # Somebody writes, or has written, meanwhile: he may have mapped something into the gap.
    engine.cost("vma_lookup")
    return mm.tree.next_at(engine, start) is vma


@step("mm/mmap_lock.c (6.17+)", cost="find_vma", function="lock_next_vma_under_mmap_lock")
def lock_next_vma_slowly(engine: Mm, thread: Thread) -> Step:
    """The VMA is busy, or something else came to lie before it: look it up under mmap_lock."""
    mm = thread.locking_mm
    assert mm is not None
    vma = mm.tree.find(engine, thread.address)
    if vma is not None:
        vma_start_read_locked(engine, thread, vma)
    thread.vma = vma
    mmap_read_unlock(engine, thread, mm)
    engine.world.rcu.read_lock(engine, thread)
    return thread.back()
