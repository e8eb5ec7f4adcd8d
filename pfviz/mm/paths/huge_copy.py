"""Fork's copy of a huge page: one entry of the child, under both PMD locks (copy_huge_pmd)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.huge_pmd import copy_huge_pmd, new_huge_pmd
from pfviz.mm.page_table import HugePmd, PageTable
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class HugeCopy:
    """One huge page on its way into a child."""

    source: HugePmd
    tables: PageTable
    """The child's."""
    cow: bool
    copy: HugePmd | None = None

    @property
    def made(self) -> HugePmd:
        """The child's entry."""
        assert self.copy is not None
        return self.copy


def copy_huge(thread: Thread, copy: HugeCopy, then: Step) -> Step:
    """Give the child a huge page of its parent, then go on with `then`."""
    thread.huge = copy
    return thread.call(pte_alloc_one, then)


def _copy(thread: Thread) -> HugeCopy:
    copy = thread.huge
    assert isinstance(copy, HugeCopy)
    return copy


@step("arch/x86/mm/pgtable.c", cost="page_table_alloc")
def pte_alloc_one(engine: Mm, thread: Thread) -> Step:
    """The child needs a page table for a split, too; then lock its PMD entry."""
    copy = _copy(thread)
    base = copy.source.base
    copy.tables.alloc_upper(engine, base)
    deposit = None if copy.source.deposit is None else copy.tables.new_table(engine, base)
    copy.copy = new_huge_pmd(engine, copy.tables, base, copy.source.value, deposit)
    copy.copy.hugetlb = copy.source.hugetlb
    return spin_lock(engine, thread, copy.copy.lock, lock_source)


@step("mm/huge_memory.c", function="copy_huge_pmd")
def lock_source(engine: Mm, thread: Thread) -> Step:
    """Lock the parent's PMD entry too, inside the child's."""
    return spin_lock(engine, thread, _copy(thread).source.lock, copy_one_pmd)


@step("mm/huge_memory.c", cost="copy_pte", function="copy_huge_pmd")
def copy_one_pmd(engine: Mm, thread: Thread) -> Step:
    """Copy the one entry for 512 pages; it becomes read-only on both sides: copy on write."""
    copy = _copy(thread)
    mine = thread.mm.page_tables
    copy_huge_pmd(engine, mine, copy.source, copy.tables, copy.made, copy.cow)
    return unlock_both


@step("mm/huge_memory.c", function="spin_unlock")
def unlock_both(engine: Mm, thread: Thread) -> Step:
    """Unlock both PMD entries; the parent's TLB entries are stale from here on."""
    copy = _copy(thread)
    spin_unlock(engine, thread, copy.source.lock)
    spin_unlock(engine, thread, copy.made.lock)
    thread.huge = None
    return thread.back()
