"""mmap_lock as memory management uses it: the rwsem, and the sequence count that goes with it.

6.13 and later (and every lockless world) make mm_lock_seq odd for the write section; 6.4 to 6.12.0
count up once at its end. Either change unlocks all VMAs that the section write-locked. In `beyond`
the same calls lock ranges (`vma_ranges`), and VMAs are unlocked one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.vma_lock import vma_end_write
from pfviz.mm.vma_ranges import lock_range, trylock_range
from pfviz.sim.event import READ, WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.range_lock import RangeLock, range_downgrade, range_unlock
from pfviz.sync.rwsem import (
    down_read,
    down_read_trylock,
    down_write,
    downgrade_write,
    is_contended,
    up_read,
    up_write,
)

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def mmap_write_lock(engine: Mm, thread: Thread, mm: AddressSpace, then: Step) -> Step:
    """Take mmap_lock for writing, then go on with `then`."""
    if isinstance(mm.mmap_lock, RangeLock):
        return lock_range(engine, thread, mm, WRITE, then)
    if engine.world.mm_lock_seq != "seqcount":
        return down_write(engine, thread, mm.mmap_lock, then)
    thread.locking_mm = mm
    thread.returns.append(then)
    return down_write(engine, thread, mm.mmap_lock, mm_lock_seqcount_begin)


@step("include/linux/mmap_lock.h (6.13+)", cost="seq_check")
def mm_lock_seqcount_begin(engine: Mm, thread: Thread) -> Step:
    """Make mm_lock_seq odd: from here on lockless readers know that a writer is at work."""
    mm = thread.locking_mm
    assert mm is not None
    thread.locking_mm = None
    mm.mm_lock_seq.write_begin(engine)
    return thread.back()


def mmap_write_unlock(engine: Mm, thread: Thread, mm: AddressSpace) -> None:
    """Give mmap_lock back; the new sequence number unlocks every VMA of this section at once."""
    if isinstance(mm.mmap_lock, RangeLock):
        vma_end_write(engine, thread, mm)
        range_unlock(engine, thread, mm.mmap_lock)
        return
    vma_end_write_all(engine, mm)
    up_write(engine, thread, mm.mmap_lock)


def mmap_write_downgrade(engine: Mm, thread: Thread, mm: AddressSpace) -> None:
    """Turn the write lock into a read lock without ever letting go; VMAs are unlocked as well."""
    if isinstance(mm.mmap_lock, RangeLock):
        vma_end_write(engine, thread, mm)
        range_downgrade(engine, thread, mm.mmap_lock)
        return
    vma_end_write_all(engine, mm)
    downgrade_write(engine, thread, mm.mmap_lock)


def vma_end_write_all(engine: Mm, mm: AddressSpace) -> None:
    """Change mm_lock_seq: no VMA's vm_lock_seq equals it any more."""
    if engine.world.mm_lock_seq != "none":
        mm.mm_lock_seq.write_end(engine)


def mmap_read_lock(engine: Mm, thread: Thread, mm: AddressSpace, then: Step) -> Step:
    """Take mmap_lock for reading, then go on with `then`."""
    if isinstance(mm.mmap_lock, RangeLock):
        return lock_range(engine, thread, mm, READ, then)
    return down_read(engine, thread, mm.mmap_lock, then)


def mmap_read_trylock(engine: Mm, thread: Thread, mm: AddressSpace) -> bool:
    """Take mmap_lock for reading if nobody writes or waits; never sleeps."""
    if isinstance(mm.mmap_lock, RangeLock):
        return trylock_range(engine, thread, mm)
    return down_read_trylock(engine, thread, mm.mmap_lock)


def mmap_read_unlock(engine: Mm, thread: Thread, mm: AddressSpace) -> None:
    """Give mmap_lock back."""
    if isinstance(mm.mmap_lock, RangeLock):
        range_unlock(engine, thread, mm.mmap_lock)
        return
    up_read(engine, thread, mm.mmap_lock)


def mmap_lock_is_contended(mm: AddressSpace) -> bool:
    """Whether somebody queues for it."""
    if isinstance(mm.mmap_lock, RangeLock):
        return bool(mm.mmap_lock.wait_list)
    return is_contended(mm.mmap_lock)
