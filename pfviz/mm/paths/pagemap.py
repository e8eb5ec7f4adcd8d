"""Reading pagemap: an entry for each page, mmap_lock held for one page table's range at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_next_table, walk_pages
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

ENTRIES_PER_READ: Final = 512
"""Entries of 8 bytes in one read() of 4 KiB."""


@dataclass(slots=True, eq=False)
class PagemapCall:
    """Ranges of an address space on their way to a reader."""

    mm: AddressSpace
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """What is still to be read; the first one is in work."""
    stop: int = 0
    """Where the buffer in work ends."""
    window: int = 0
    """Where the page table's range in work ends."""
    reads: int = 0
    resident: int = 0

    @property
    def position(self) -> int:
        """The next address."""
        return self.ranges[0][0]


def begin(thread: Thread, mm: AddressSpace, start: int | None, pages: int) -> Step:
    """Begin to read the entries of a range, or of all VMAs."""
    if start is not None:
        ranges = [(start, start + (pages << PAGE_SHIFT))]
    else:
        ranges = [(vma.vm_start, vma.vm_end) for vma in mm.tree]  # as maps told the reader before
    thread.sys = PagemapCall(mm, ranges)
    return pagemap_read


def _call(thread: Thread) -> PagemapCall:
    call = thread.sys
    assert isinstance(call, PagemapCall)
    return call


@step("fs/proc/task_mmu.c", cost="read_chunk")
def pagemap_read(engine: Mm, thread: Thread) -> Step:
    """Begin a buffer of 512 entries: mmap_lock is held shortly, only to interpret the address."""
    call = _call(thread)
    while call.ranges and call.position >= call.ranges[0][1]:
        del call.ranges[0]
    if not call.ranges:
        thread.op_result = call.reads
        return thread.back()
    call.reads += 1
    call.stop = min(call.ranges[0][1], call.position + ENTRIES_PER_READ * PAGE_SIZE)
    return mmap_read_lock(engine, thread, call.mm, untagged_addr_remote)


@step("fs/proc/task_mmu.c", cost="vma_check")
def untagged_addr_remote(engine: Mm, thread: Thread) -> Step:
    """The address may carry tag bits of the other process; unlock again at once."""
    mmap_read_unlock(engine, thread, _call(thread).mm)
    return next_window


@step("fs/proc/task_mmu.c", function="pagemap_read")
def next_window(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for reading for as far as one page table reaches."""
    call = _call(thread)
    if call.position >= call.stop:
        return pagemap_read
    call.window = min(call.stop, call.position // TABLE_SPAN * TABLE_SPAN + TABLE_SPAN)
    return mmap_read_lock(engine, thread, call.mm, walk_window)


@step("fs/proc/task_mmu.c", function="pagemap_read")
def walk_window(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go through the page table of this range; where there is no VMA the entries are empty."""
    call = _call(thread)
    walk = PageWalk(call.mm, call.position, call.window, pagemap_pmd_range)
    return walk_pages(thread, walk, window_done)


@step("fs/proc/task_mmu.c", cost="smaps_table")
def pagemap_pmd_range(engine: Mm, thread: Thread) -> Step:
    """Write an entry for each page of this page table: where it is, and whether it is dirty."""
    walk = page_walk_of(thread)
    walk.found += walk.locked.count(walk.address, walk.end)
    entries = len(walk.locked.slots(walk.address, walk.end))
    engine.charge(entries * engine.machine.costs["pte_read"])
    return walk_next_table


@step("fs/proc/task_mmu.c", function="pagemap_read")
def window_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; the entries are copied to the reader without it."""
    call = _call(thread)
    call.resident += page_walk_of(thread).found
    mmap_read_unlock(engine, thread, call.mm)
    call.ranges[0] = (call.window, call.ranges[0][1])
    return next_window
