"""Locking one VMA after another for reading, without mmap_lock: how /proc/PID/maps walks (6.17+).

The checks of a fault, in one step; what could not be locked this way is looked up under mmap_lock,
which is given back at once: a reader of /proc never holds up more than one VMA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import (
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


def lock_found(engine: Mm, thread: Thread, vma: Vma) -> bool:
    """vma_start_read with both checks of the sequence number; whether the VMA is held now."""
    if is_write_locked(engine, vma) or vma_read_trylock(engine, thread, vma) != LOCKED:
        return False
    if is_write_locked(engine, vma) or vma.detached:
        vma_end_read(engine, thread, vma)
        return False
    read_locked(engine, vma)
    return True


def lock_next(engine: Mm, thread: Thread, mm: AddressSpace, start: int, then: Step) -> Step:  # noqa: ARG001
    """Lock the first VMA that ends above `start`; `thread.vma` is None behind the last one."""
    thread.locking_mm, thread.address = mm, start
    return thread.call(lock_next_vma, then)


@step("mm/mmap_lock.c (6.17+)", cost="vma_lookup")
def lock_next_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA under RCU and lock it for reading, without touching mmap_lock."""
    mm, start = thread.locking_mm, thread.address
    assert mm is not None
    rcu = engine.world.rcu
    sequence = mm.mm_lock_seq.read(engine)
    rcu.read_lock(engine, thread)
    hit = mm.tree.next_at(engine, start)
    locked = hit is not None and lock_found(engine, thread, hit)
    rcu.read_unlock(engine, thread)
    if hit is None:
        thread.vma = None
        return thread.back()
    # A gap may only be reported if nobody changed the tree meanwhile (FP 5.2, step 5).
    moved = hit.vm_end <= start or (hit.vm_start > start and mm.mm_lock_seq.retry(engine, sequence))
    if locked and moved:
        vma_end_read(engine, thread, hit)
        locked = False
    if locked:
        thread.vma = hit
        return thread.back()
    return mmap_read_lock(engine, thread, mm, lock_next_vma_slowly)


@step("mm/mmap_lock.c (6.17+)", cost="find_vma", function="lock_next_vma_under_mmap_lock")
def lock_next_vma_slowly(engine: Mm, thread: Thread) -> Step:
    """Somebody writes: find and lock the VMA under mmap_lock, which is given back at once."""
    mm = thread.locking_mm
    assert mm is not None
    vma = mm.tree.find(engine, thread.address)
    if vma is not None:
        vma_start_read_locked(engine, thread, vma)
    thread.vma = vma
    mmap_read_unlock(engine, thread, mm)
    return thread.back()
