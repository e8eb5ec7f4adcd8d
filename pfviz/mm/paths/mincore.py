"""mincore: which pages of a range are in memory, asked under mmap_lock for reading, in chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm.errno import ENOMEM
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE, Mincore
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_next_table, walk_pages
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

PAGES_PER_CHUNK: Final = 4096
"""A page of answers, one byte for each page asked about."""


@dataclass(slots=True, eq=False)
class MincoreCall:
    """One mincore on its way."""

    position: int
    end: int
    stop: int = 0
    resident: int = 0


def _call(thread: Thread) -> MincoreCall:
    call = thread.sys
    assert isinstance(call, MincoreCall)
    return call


@step("mm/mincore.c", cost="madvise_checks", function="__x64_sys_mincore")
def sys_mincore(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Get a page for the answers."""
    asked = thread.operation
    assert isinstance(asked, Mincore)
    start = thread.resolve(asked.place)
    if start is None:
        thread.op_result = ENOMEM
        return thread.back()
    start -= start % PAGE_SIZE
    thread.sys = MincoreCall(start, start + (asked.pages << PAGE_SHIFT))
    return mincore_chunk


@step("mm/mincore.c", function="__x64_sys_mincore")
def mincore_chunk(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for reading for as many pages as one page of answers holds."""
    call = _call(thread)
    if call.position >= call.end:
        thread.op_result = call.resident
        return thread.back()
    return mmap_read_lock(engine, thread, thread.mm, do_mincore)


@step("mm/mincore.c", cost="find_vma")
def do_mincore(engine: Mm, thread: Thread) -> Step:
    """Look the VMA up and walk its page tables."""
    call = _call(thread)
    vma = thread.mm.tree.load(engine, call.position)
    if vma is None:
        thread.op_result = ENOMEM
        mmap_read_unlock(engine, thread, thread.mm)
        return thread.back()
    call.stop = min(call.end, vma.vm_end, call.position + PAGES_PER_CHUNK * PAGE_SIZE)
    walk = PageWalk(thread.mm, call.position, call.stop, mincore_pte_range)
    return walk_pages(thread, walk, mincore_answered)


@step("mm/mincore.c", cost="smaps_table")
def mincore_pte_range(engine: Mm, thread: Thread) -> Step:
    """Say of each page of this table whether it is there."""
    walk = page_walk_of(thread)
    entries = walk.locked.count(walk.address, walk.end)
    walk.found += entries - walk.locked.count_elsewhere(walk.address, walk.end)
    engine.charge(len(walk.locked.slots(walk.address, walk.end)) * engine.machine.costs["pte_read"])
    return walk_next_table


@step("mm/mincore.c", function="__x64_sys_mincore")
def mincore_answered(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; the answers are copied to the program without it."""
    call = _call(thread)
    call.resident += page_walk_of(thread).found
    call.position = call.stop
    mmap_read_unlock(engine, thread, thread.mm)
    return mincore_chunk
