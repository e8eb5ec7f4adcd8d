"""Walking the page tables of a range for somebody else: table after table, each under its lock.

What is done to a table is a step of whoever walks. The VMA is kept stable by the caller, who may
be preempted between two tables with all that it holds (walk_page_range, cond_resched).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.page_table import TABLE_SPAN, HugePmd, PteTable
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class PageWalk:
    """A range whose page tables are gone through (struct mm_walk)."""

    mm: AddressSpace
    address: int
    end: int
    pte_step: Step
    """The step that looks at one locked table; it goes on with `walk_next_table`."""
    huge_step: Step | None = None
    """The same for a huge page under its PMD lock; None counts its pages (`walk_huge_pmd`)."""
    next_vma: int = 0
    of_vma: bool = False
    """Whether the range is a whole VMA (walk_page_vma)."""
    table: PteTable | None = None
    huge: HugePmd | None = None
    found: int = 0
    """What that step counts."""

    @property
    def locked(self) -> PteTable:
        """The table in work."""
        assert self.table is not None
        return self.table


def walk_pages(thread: Thread, walk: PageWalk, then: Step) -> Step:
    """Go through the page tables of a range, then go on with `then`."""
    thread.page_walk = walk
    return thread.call(walk_page_vma if walk.of_vma else walk_page_range, then)


def _next_step(walk: PageWalk) -> Step:
    return walk_page_vma if walk.of_vma else walk_pgd_range


def page_walk_of(thread: Thread) -> PageWalk:
    """The walk in flight, or the one that has just ended."""
    walk = thread.page_walk
    assert isinstance(walk, PageWalk)
    return walk


@step("mm/pagewalk.c")
def walk_page_range(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go through a range of addresses, wherever its VMAs begin and end."""
    return find_first_vma


@step("mm/mmap.c", cost="find_vma", function="find_vma")
def find_first_vma(engine: Mm, thread: Thread) -> Step:
    """Find the VMA that the range begins in."""
    walk = page_walk_of(thread)
    vma = walk.mm.tree.find(engine, walk.address)
    walk.next_vma = vma.vm_end if vma is not None else walk.end
    return find_next_vma


@step("mm/mmap.c", cost="find_vma", function="find_vma")
def find_next_vma(engine: Mm, thread: Thread) -> Step:
    """Find the one behind it, before its own page tables are looked at."""
    walk = page_walk_of(thread)
    walk.mm.tree.find(engine, walk.next_vma)
    return walk_pgd_range(engine, thread)


@step("mm/pagewalk.c", cost="zap_empty_table", function="walk_page_range")
def walk_pgd_range(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the range and take its lock."""
    return _lock_next_table(engine, thread)


@step("mm/pagewalk.c", cost="zap_empty_table")
def walk_page_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the VMA and take its lock."""
    return _lock_next_table(engine, thread)


def _lock_next_table(engine: Mm, thread: Thread) -> Step:
    walk = page_walk_of(thread)
    entry = None
    if walk.address < walk.end:
        entry = walk.mm.page_tables.next_entry(walk.address, walk.end)
    if entry is None:
        return thread.back()
    walk.address = max(walk.address, entry.base)
    if isinstance(entry, HugePmd):
        walk.huge = entry
        return spin_lock(engine, thread, entry.lock, walk.huge_step or walk_huge_pmd)
    walk.table = entry
    return map_and_lock(engine, thread, entry, walk.pte_step)


@step("mm/pagewalk.c", cost="smaps_table", function="walk_pmd_range")
def walk_huge_pmd(engine: Mm, thread: Thread) -> Step:
    """A huge page: one entry under the PMD lock stands for 512 pages."""
    return walk_huge(engine, thread)


def walk_huge(engine: Mm, thread: Thread) -> Step:
    """Count a huge page, unlock its PMD and go on behind it (what a `huge_step` ends with)."""
    walk = page_walk_of(thread)
    huge, walk.huge = walk.huge, None
    assert huge is not None
    if huge.is_linked:  # Else it was split: look again.
        walk.found += huge.counted_pages
        walk.address = huge.end
    spin_unlock(engine, thread, huge.lock)
    return _next_step(walk)


@step("mm/pagewalk.c", cost="cond_resched", function="cond_resched")
def walk_next_table(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table and let a better task have the CPU: other locks stay held meanwhile."""
    unlock_and_unmap(engine, thread, page_walk_of(thread).locked)
    return walk_on(thread)


def walk_on(thread: Thread) -> Step:
    """Go on behind the table in work, which is unlocked."""
    walk = page_walk_of(thread)
    walk.address = walk.locked.base + TABLE_SPAN
    walk.table = None
    return _next_step(walk)
