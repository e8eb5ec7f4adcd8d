"""GUP-fast: pages of one's own are looked up with interrupts off and no lock at all.

While they are off, no CPU that frees page tables gets its answer, and no grace period ends: that is
all that keeps the tables. What is not found this way is asked for under mmap_lock (`gup`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm.cross_call import local_irq_restore, local_irq_save
from pfviz.mm.errno import EFAULT
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE, GetUserPages
from pfviz.mm.page_table import PRESENT, SPECIAL, TABLE_SPAN, WRITABLE, HugePmd, PteTable, pfn_of
from pfviz.mm.paths.allocation import free_frames
from pfviz.mm.paths.gup import Gup, get_user_pages
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

ENTRIES_PER_STEP: Final = 64
"""Entries looked at in one step: the steps of others come in between, interrupts do not."""


@dataclass(slots=True, eq=False)
class GupCall:
    """One get_user_pages_fast on its way."""

    start: int
    gup: Gup
    table: PteTable | None = None
    """The page table that the walk stands in."""
    sequence: int = 0
    """write_protect_seq as it was before the walk."""


def _call(thread: Thread) -> GupCall:
    call = thread.sys
    assert isinstance(call, GupCall)
    return call


def _asked(thread: Thread) -> GetUserPages:
    operation = thread.operation
    assert isinstance(operation, GetUserPages)
    return operation


@step("mm/gup.c", cost="madvise_checks")
def get_user_pages_fast(engine: Mm, thread: Thread) -> Step:
    """A driver wants the pages behind a range of the program's memory: try it without a lock."""
    asked = _asked(thread)
    start = thread.resolve(asked.place)
    if start is None:
        thread.op_result = EFAULT
        return thread.back()
    start = start >> PAGE_SHIFT << PAGE_SHIFT
    end = start + (asked.pages << PAGE_SHIFT)
    gup = Gup(start, end, asked.write, takes=True, pins=asked.pin)
    call = thread.sys = GupCall(start, gup)
    engine.cost("seqcount")
    call.sequence = thread.mm.write_protect_seq
    if not asked.fast or (gup.pins and call.sequence % 2):
        return gup_slow(
            engine, thread
        )  # fork is write-protecting: pinned pages must stay one's own
    return gup_irqs_off


@step("mm/gup.c", function="lockless_pages_from_mm")
def gup_irqs_off(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Switch interrupts off: from here on nobody can free a page table that I may stand in."""
    local_irq_save(engine)
    return gup_pte_range


@step("mm/gup.c", cost="pte_read")
def gup_pte_range(engine: Mm, thread: Thread) -> Step:
    """Take the pages of some entries, as long as they are there and allow what is asked for."""
    call = _call(thread)
    gup = call.gup
    if call.table is None:
        call.table = thread.mm.page_tables.walk(gup.address)
    table = call.table
    if table is None:
        huge = thread.mm.page_tables.huge_at(gup.address)
        if huge is None or not _take_huge(engine, gup, huge):
            return gup_irqs_on
        return gup_pte_range if gup.address < gup.end else gup_irqs_on
    if table.is_freed:
        text = f"{thread.name} walks in a page table that was freed"
        engine.world.break_rule(engine, "I5", text)
        return gup_irqs_on
    stop = min(gup.end, table.base + TABLE_SPAN, gup.address + ENTRIES_PER_STEP * PAGE_SIZE)
    while gup.address < stop:
        engine.cost("gup_pte")
        pte = table.ptes[table.index(gup.address)]
        if not pte & PRESENT or pte & SPECIAL or (gup.write and not pte & WRITABLE):
            return gup_irqs_on
        if gup.pins and not gup.write and _must_unshare(engine, pfn_of(pte)):
            return gup_irqs_on
        engine.world.frames.get(pfn_of(pte))
        gup.frames.append(pfn_of(pte))
        gup.address += PAGE_SIZE
    if gup.address >= table.base + TABLE_SPAN:
        call.table = None
    return gup_pte_range if gup.address < gup.end else gup_irqs_on


def _take_huge(engine: Mm, gup: Gup, huge: HugePmd) -> bool:
    """gup_fast_pmd_leaf: take the pages of a huge page, if its entry allows what is asked for."""
    value = huge.value
    if not value & PRESENT or value & SPECIAL or (gup.write and not value & WRITABLE):
        return False
    if gup.pins and not gup.write and _must_unshare(engine, pfn_of(value)):
        return False
    engine.cost("gup_pte")
    stop = min(gup.end, huge.end)
    first = pfn_of(value) + ((gup.address - huge.base) >> PAGE_SHIFT)
    for pfn in range(first, first + ((stop - gup.address) >> PAGE_SHIFT)):
        engine.world.frames.get(pfn)
        gup.frames.append(pfn)
    gup.address = stop
    return True


def _must_unshare(engine: Mm, pfn: int) -> bool:
    """gup_must_unshare: a page that others share is not pinned, it might be copied away."""
    frames = engine.world.frames
    return pfn not in frames.folios and not frames.is_exclusive(pfn)


@step("mm/gup.c", function="lockless_pages_from_mm")
def gup_irqs_on(engine: Mm, thread: Thread) -> Step:
    """Answer interrupts again: who waited for this CPU may go on."""
    call = _call(thread)
    call.table = None
    local_irq_restore(engine)
    if call.gup.pins:
        return check_write_protect_seq
    return _rest(thread)


@step("mm/gup.c", cost="seqcount", function="lockless_pages_from_mm")
def check_write_protect_seq(engine: Mm, thread: Thread) -> Step:
    """Did a fork begin to share pages meanwhile? Then nothing of this counts."""
    call = _call(thread)
    if thread.mm.write_protect_seq != call.sequence:
        return unpin_all
    for pfn in call.gup.frames:
        if _must_unshare(engine, pfn):
            engine.world.break_rule(engine, "I22", f"{thread.name} pinned a page that is shared")
    return _rest(thread)


@step("mm/gup.c", function="gup_fast_unpin_user_pages")
def unpin_all(engine: Mm, thread: Thread) -> Step:
    """Let all pages go, and begin again under mmap_lock."""
    gup = _call(thread).gup
    gup.address = _call(thread).start
    frames, gup.frames = gup.frames, []
    return put_pages(engine, thread, frames, gup_slow)


def _rest(thread: Thread) -> Step:
    call = _call(thread)
    return gup_slow if call.gup.address < call.gup.end else pages_taken


# What was not there


@step("mm/gup.c", function="__gup_longterm_locked")
def gup_slow(engine: Mm, thread: Thread) -> Step:
    """The rest is not there yet: it takes mmap_lock for reading, and perhaps faults."""
    return mmap_read_lock(engine, thread, thread.mm, gup_rest)


@step("mm/gup.c", function="__get_user_pages_locked")
def gup_rest(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go through the rest of the range page by page."""
    return get_user_pages(thread, _call(thread).gup, gup_slow_done)


@step("mm/gup.c", function="__get_user_pages_locked")
def gup_slow_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back."""
    thread.gup = None
    mmap_read_unlock(engine, thread, thread.mm)
    return pages_taken


# Use them, and let go


@step("mm/gup.c", cost="vma_check", function="get_user_pages_fast")
def pages_taken(engine: Mm, thread: Thread) -> Step | None:
    """The driver has the pages that there are: a device may work on them until they are let go."""
    call, asked = _call(thread), _asked(thread)
    taken = (call.gup.address - call.start) >> PAGE_SHIFT
    thread.op_result = taken or call.gup.error
    if not asked.hold_ns:
        return unpin_user_pages
    engine.alarm(asked.hold_ns, _device_done, thread)
    engine.sleep(unpin_user_pages, "waits until a device is done with its pages")
    return None


def _device_done(engine: Mm, thread: Thread) -> None:
    engine.wake(thread)


@step("mm/gup.c", cost="vma_check")
def unpin_user_pages(engine: Mm, thread: Thread) -> Step:
    """Let the pages go; one that was unmapped meanwhile is freed only now."""
    gup = _call(thread).gup
    frames, gup.frames = gup.frames, []
    return put_pages(engine, thread, frames, thread.back())


def put_pages(engine: Mm, thread: Thread, taken: list[int], then: Step) -> Step:
    """Drop references to pages, free those that nobody else has, and go on with `then`."""
    frames = engine.world.frames
    engine.charge(len(taken) * engine.machine.costs["gup_pte"])
    unused = [pfn for pfn in taken if frames.put(pfn)]
    return free_frames(engine, thread, unused, then)
