"""Making a new or locked mapping resident before the call returns (MAP_POPULATE, mlock)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.paths.gup import Gup, get_user_pages
from pfviz.mm.vma import VM_NO_PAGES
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Populate:
    """A range on its way to be resident."""

    address: int
    end: int
    stop: int = 0
    """Where the VMA in work ends, or the range."""


def mm_populate(engine: Mm, thread: Thread, start: int, end: int, then: Step) -> Step:  # noqa: ARG001
    """Make the pages of a range resident, then go on with `then`; no lock may be held."""
    thread.returns.append(then)
    thread.sys = Populate(start, end)
    return begin_populate


@step("mm/gup.c", function="__mm_populate")
def begin_populate(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock again, for reading: pages come in while faults go on elsewhere."""
    return mmap_read_lock(engine, thread, thread.mm, find_vma_intersection)


def _populate(thread: Thread) -> Populate:
    populate = thread.sys
    assert isinstance(populate, Populate)
    return populate


@step("include/linux/mm.h", cost="find_vma")
def find_vma_intersection(engine: Mm, thread: Thread) -> Step:
    """Under mmap_lock held for reading, find the first VMA of the range."""
    populate = _populate(thread)
    vma = thread.mm.tree.find(engine, populate.address)
    if vma is None or vma.vm_start >= populate.end:
        return mm_populate_done
    populate.address = max(populate.address, vma.vm_start)
    populate.stop = min(populate.end, vma.vm_end)
    if vma.vm_flags & VM_NO_PAGES:
        populate.address = populate.stop
        return mm_populate_done if populate.stop >= populate.end else find_vma_intersection
    return populate_vma_page_range


@step("mm/gup.c", cost="vma_check")
def populate_vma_page_range(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Have every page of this VMA faulted in, written ones as copies of their own."""
    populate = _populate(thread)
    return get_user_pages(thread, Gup(populate.address, populate.stop), vma_populated)


@step("mm/swap.c", function="lru_add_drain")
def vma_populated(engine: Mm, thread: Thread) -> Step:
    """The pages are there: put what this CPU collected onto the LRU lists."""
    populate = _populate(thread)
    here = engine.world.frames.cpus[engine.cpu.id]
    if here.lru_batch:
        engine.cost("lru_drain")
        here.lru_batch = 0
    populate.address = populate.stop
    if thread.gup.error or populate.address >= populate.end:
        return mm_populate_done
    return find_vma_intersection


@step("mm/gup.c", function="__mm_populate")
def mm_populate_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; what could not be made resident is nobody's fault."""
    thread.gup = None
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()
