"""Advice on pages that takes nothing away: WILLNEED, COLD, POPULATE_READ and POPULATE_WRITE.

mmap_lock is held for reading; before a file is read ahead it is given back, for that may sleep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import MADV_POPULATE_WRITE, PAGE_SHIFT, Madvise
from pfviz.mm.page_cache import READAHEAD_PAGES, File, start_read
from pfviz.mm.page_table import ACCESSED, PAGE_SIZE, PRESENT, SPECIAL
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.gup import Gup, get_user_pages
from pfviz.mm.paths.page_walk import PageWalk, page_walk_of, walk_next_table, walk_pages
from pfviz.mm.paths.zap import begin_zap, tlb_finish
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

ENOMEM = -12


@dataclass(slots=True, eq=False)
class Advice:
    """A range of one VMA that is advised on."""

    vma: Vma
    start: int
    end: int
    file: File | None = None
    index: int = 0
    """The next page of the file that is read ahead."""
    stop: int = 0


def _advice(thread: Thread) -> Advice:
    advice = thread.advising
    assert isinstance(advice, Advice)
    return advice


# WILLNEED


def willneed(thread: Thread, vma: Vma, start: int, end: int, then: Step) -> Step:
    """Read ahead what a range of a VMA will need, then go on with `then`, mmap_lock held again.

    It is given back meanwhile when a file is read: the VMA may be another one afterwards.
    """
    thread.advising = Advice(vma, start, end)
    thread.returns.append(then)
    return madvise_willneed


@step("mm/madvise.c", cost="vma_check")
def madvise_willneed(engine: Mm, thread: Thread) -> Step:
    """Take the file along and give mmap_lock back: reading ahead may sleep."""
    advice = _advice(thread)
    file = advice.vma.vm_file
    if file is None or file.is_shmem:
        return thread.call(lru_add_drain, then=thread.back())  # What is in swap is left there.
    advice.file = file
    advice.index = advice.vma.page_index(advice.start)
    advice.stop = advice.index + ((advice.end - advice.start) >> PAGE_SHIFT)
    file.refcount_line.write(engine)
    mmap_read_unlock(engine, thread, thread.mm)
    return force_page_cache_readahead


@step("mm/readahead.c", cost="readahead")
def force_page_cache_readahead(engine: Mm, thread: Thread) -> Step:
    """Have the disk read the next pages that are missing; nobody waits for them."""
    advice = _advice(thread)
    assert advice.file is not None
    count = min(READAHEAD_PAGES, advice.stop - advice.index)
    start_read(engine, advice.file, advice.index, count)
    advice.index += count
    return force_page_cache_readahead if advice.index < advice.stop else willneed_done


@step("mm/madvise.c", function="madvise_willneed")
def willneed_done(engine: Mm, thread: Thread) -> Step:
    """Let the file go and take mmap_lock again for the rest of the range."""
    file = _advice(thread).file
    assert file is not None
    file.refcount_line.write(engine)
    return mmap_read_lock(engine, thread, thread.mm, thread.back())


# COLD


def cold(thread: Thread, vma: Vma, start: int, end: int, then: Step) -> Step:
    """Make the pages of a range the first that reclaim would take, then go on with `then`."""
    thread.advising = Advice(vma, start, end)
    thread.returns.append(then)
    return madvise_cold


@step("mm/madvise.c", cost="vma_check")
def madvise_cold(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Pages that this CPU collected go to their lists first."""
    return thread.call(lru_add_drain, then=madvise_cold_page_range)


@step("mm/madvise.c")
def madvise_cold_page_range(engine: Mm, thread: Thread) -> Step:
    """Begin to collect entries to flush, and go through the page tables of the range."""
    advice = _advice(thread)
    begin_zap(engine, thread, thread.mm, "madvise")
    walk = PageWalk(thread.mm, advice.start, advice.end, cold_pte_range, of_vma=True)
    return walk_pages(thread, walk, cold_done)


@step("mm/madvise.c", cost="zap_table", function="madvise_cold_or_pageout_pte_range")
def cold_pte_range(engine: Mm, thread: Thread) -> Step:
    """Make the entries of this table old, and put their pages at the cold end of the list."""
    walk, gather = page_walk_of(thread), thread.zap.gather
    ptes = walk.locked.ptes
    slots = walk.locked.slots(walk.address, walk.end)
    changed = 0
    for slot in slots:
        if ptes[slot] & PRESENT and ptes[slot] & ACCESSED and not ptes[slot] & SPECIAL:
            ptes[slot] &= ~ACCESSED
            changed += 1
    if changed:
        gather.pages += changed
        base = walk.locked.base
        gather.add_range(base + slots.start * PAGE_SIZE, base + slots.stop * PAGE_SIZE)
    engine.charge(changed * engine.machine.costs["lru"])
    return walk_next_table


@step("mm/madvise.c", function="madvise_cold")
def cold_done(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The entries are old: CPUs that know them as young must forget them."""
    return tlb_finish(thread, thread.back())


# POPULATE


@step("mm/madvise.c", cost="vma_check")
def madvise_populate(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Fault every page of the range in, for reading or for writing, as get_user_pages does."""
    call, asked = thread.sys, thread.operation
    assert isinstance(asked, Madvise)
    write = asked.advice == MADV_POPULATE_WRITE
    return get_user_pages(thread, Gup(call.start, call.end, write), populated)


@step("mm/madvise.c", function="madvise_populate")
def populated(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; a page that could not be had is an error here."""
    if thread.gup.error:
        thread.op_result = ENOMEM
    thread.gup = None
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()
