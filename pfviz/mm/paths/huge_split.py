"""Splitting a huge PMD entry into 512 entries: what changes less than 2 MiB needs that.

The entry is made invalid and flushed from every TLB first, under the PMD lock: no CPU may hold a
translation of both sizes for one page. Used by faults, unmapping, mprotect, mremap and VMA splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.huge_pmd import invalidate_huge_pmd, split_huge_pmd_locked
from pfviz.mm.page_table import TABLE_SHIFT, HugePmd
from pfviz.mm.tlb import flush_tlb_range
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Split:
    """One huge entry that is to become a page table."""

    mm: AddressSpace
    huge: HugePmd
    before: int = 0
    """The entry as it was."""


def split_huge_pmd(thread: Thread, mm: AddressSpace, huge: HugePmd, then: Step) -> Step:
    """Split a huge entry, unless somebody else was faster; then go on with `then`."""
    thread.huge = Split(mm, huge)
    return thread.call(lock_split, then)


def _split(thread: Thread) -> Split:
    split = thread.huge
    assert isinstance(split, Split)
    return split


@step("mm/huge_memory.c", cost="vma_check", function="__split_huge_pmd")
def lock_split(engine: Mm, thread: Thread) -> Step:
    """Only a part of the huge page is to change: lock its PMD entry to split it."""
    return spin_lock(engine, thread, _split(thread).huge.lock, then=pmdp_invalidate)


@step("mm/pgtable-generic.c", cost="set_pte")
def pmdp_invalidate(engine: Mm, thread: Thread) -> Step:
    """Make the entry invalid and flush it from every TLB, while the PMD lock keeps others out."""
    split = _split(thread)
    huge = split.huge
    if not huge.is_linked:
        return split_unlock(engine, thread)
    split.before = huge.value
    invalidate_huge_pmd(huge)
    return flush_tlb_range(
        engine, thread, split.mm.page_tables, huge.base, huge.end, pmd_populate,
        "huge page split", stride_shift=TABLE_SHIFT,
    )  # fmt: skip


@step("mm/huge_memory.c", cost="protect_table", function="__split_huge_pmd_locked")
def pmd_populate(engine: Mm, thread: Thread) -> Step:
    """Fill the page table that was kept for this with 512 entries, and let the PMD point to it."""
    split = _split(thread)
    split_huge_pmd_locked(engine, split.mm.page_tables, split.huge, split.before)
    engine.charge(512 * engine.machine.costs["protect_pte"] // 4)
    engine.world.count("thp_split_pmd")
    return split_unlock


@step("mm/huge_memory.c", function="spin_unlock")
def split_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the PMD lock: the memory is the same, its entries are small."""
    spin_unlock(engine, thread, _split(thread).huge.lock)
    thread.huge = None
    return thread.back()
