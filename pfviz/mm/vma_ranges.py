"""`beyond`: which part of an address space an operation locks, where mmap_lock used to lock all.

The range grows to the VMAs that it touches or adjoins (they may be cut or merged) and to whole page
tables (512 pages share one). Once it is held it is worked out again: who slept for it may find the
VMAs changed. A proposal; it refuses to know what is done under the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm import operations as ops
from pfviz.mm.address_space import MMAP_MIN, TASK_SIZE, AddressSpace
from pfviz.mm.operations import PAGE_SIZE
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim.event import READ
from pfviz.sim.task import Step, step
from pfviz.sync.range_lock import RangeLock, range_lock, range_trylock, range_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

EVERYTHING: Final = (0, 1 << 64)
LOCAL: Final = (ops.Munmap, ops.Mprotect, ops.Madvise, ops.Mmap, ops.Brk)
"""Operations that change a part of the address space; the others lock all of it."""


def lock_range(engine: Mm, thread: Thread, mm: AddressSpace, mode: int, then: Step) -> Step:
    """Lock what the fault or operation in flight needs of `mm`, then go on with `then`."""
    thread.range_mm = mm
    thread.locking_mode = mode
    thread.returns.append(then)
    return _lock(engine, thread)


def trylock_range(engine: Mm, thread: Thread, mm: AddressSpace) -> bool:
    """Lock for reading what the fault in flight needs, if nobody is in the way."""
    start, end = range_of(thread, mm, READ)
    return range_trylock(engine, thread, _lock_of(mm), start, end, READ)


def _lock(engine: Mm, thread: Thread) -> Step:
    mm = thread.range_mm
    assert mm is not None
    start, end = range_of(thread, mm, thread.locking_mode)
    engine.cost("find_vma")
    return range_lock(
        engine, thread, _lock_of(mm), start, end, thread.locking_mode, vma_range_locked
    )


@step("mm/mmap.c (proposal)", cost="vma_check")
def vma_range_locked(engine: Mm, thread: Thread) -> Step:
    """The range is mine: do the VMAs in it still begin and end where they did?"""
    mm = thread.range_mm
    assert mm is not None
    lock = _lock_of(mm)
    held = lock.held[thread]
    start, end = range_of(thread, mm, held.mode)
    if held.start <= start and end <= held.end:
        thread.range_mm = None
        return thread.back()
    range_unlock(engine, thread, lock)
    return vma_range_moved


@step("mm/mmap.c (proposal)", function="vma_range_locked")
def vma_range_moved(engine: Mm, thread: Thread) -> Step:
    """They do not: somebody changed them while this thread slept. Lock what is needed now."""
    return _lock(engine, thread)


def _lock_of(mm: AddressSpace) -> RangeLock:
    lock = mm.mmap_lock
    assert isinstance(lock, RangeLock)
    return lock


# Which range


def range_of(thread: Thread, mm: AddressSpace, mode: int) -> tuple[int, int]:
    """[start, end) that the work in flight needs: whole VMAs, whole page tables."""
    if mm is not thread.mm:
        return EVERYTHING
    if thread.fault is not None:
        return _around_fault(mm, thread.fault.address)
    operation = thread.operation
    if not isinstance(operation, LOCAL):
        return EVERYTHING
    if isinstance(operation, ops.Brk):
        low = min(mm.brk, mm.brk + (operation.pages << ops.PAGE_SHIFT))
        high = max(mm.brk, mm.brk + (operation.pages << ops.PAGE_SHIFT))
        return _grown(mm, min(low, high - 1), high)
    length = operation.pages << ops.PAGE_SHIFT
    if isinstance(operation, ops.Mmap):
        if mode == READ:
            return EVERYTHING  # MAP_POPULATE, wherever the mapping came to lie.
        return _for_mmap(thread, mm, operation, length)
    start = thread.resolve(operation.place)
    return EVERYTHING if start is None or not length else _grown(mm, start, start + length)


def _for_mmap(
    thread: Thread, mm: AddressSpace, operation: ops.Mmap, length: int
) -> tuple[int, int]:
    """The place that the mapping will take: whoever would choose the same waits."""
    start = unmapped_area(thread, operation, length) if length > 0 else None
    if start is None:
        return _grown(mm, MMAP_MIN, MMAP_MIN + 1)
    return _grown(mm, start, start + length)


def unmapped_area(thread: Thread, operation: ops.Mmap, length: int) -> int | None:
    """Where a new mapping goes: where it is asked for, or else the highest free range."""
    tree = thread.mm.tree
    if operation.at is not None:
        hint = thread.resolve(operation.at)
        if hint is None or hint % PAGE_SIZE or not MMAP_MIN <= hint <= TASK_SIZE - length:
            return None
        is_free = next(tree.between(hint, hint + length), None) is None
        if operation.flags & ops.MAP_FIXED or is_free:
            return hint
    return tree.gap_below(MMAP_MIN, thread.mm.mmap_base, length)


def _around_fault(mm: AddressSpace, address: int) -> tuple[int, int]:
    """The VMA of a fault and its neighbours: an anon_vma may be taken over from them."""
    above = next(mm.tree.between(address, EVERYTHING[1]), None)
    if above is None or not (above.covers(address) or above.vm_flags & VM_GROWSDOWN):
        return _grown(mm, address, address + 1)
    return _grown(mm, min(address, above.vm_start), above.vm_end)


def _grown(mm: AddressSpace, start: int, end: int) -> tuple[int, int]:
    low, high = start, end
    for vma in mm.tree.between(max(start - 1, 0), end + 1):
        low, high = min(low, vma.vm_start), max(high, vma.vm_end)
    return low // TABLE_SPAN * TABLE_SPAN, -(-high // TABLE_SPAN) * TABLE_SPAN
