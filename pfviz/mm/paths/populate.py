"""MAP_POPULATE: fault a new mapping in before mmap returns, under mmap_lock held for reading.

No exception happens and no VMA lock is ever used here (get_user_pages): the handler is the same,
the lock is mmap_lock in every kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SIZE
from pfviz.mm.page_table import PRESENT
from pfviz.mm.paths.handle import handle_mm_fault
from pfviz.mm.paths.outcome import (
    VM_FAULT_ERROR,
    VM_FAULT_RETRY,
    VM_FAULT_UNLOCKED,
    account_fault,
)
from pfviz.mm.thread import PF_WRITE, Fault
from pfviz.mm.vma import VM_ACCESS, VM_SHARED, VM_WRITE
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Populate:
    """A range on its way to be resident."""

    address: int
    end: int
    tried: bool = False


def mm_populate(engine: Mm, thread: Thread, start: int, end: int, then: Step) -> Step:
    """Make the pages of a range resident, then go on with `then`."""
    thread.returns.append(then)
    thread.sys = Populate(start, end)
    return mmap_read_lock(engine, thread, thread.mm, populate_vma_page_range)


def _populate(thread: Thread) -> Populate:
    populate = thread.sys
    assert isinstance(populate, Populate)
    return populate


@step("mm/gup.c", cost="find_vma")
def populate_vma_page_range(engine: Mm, thread: Thread) -> Step:
    """Look at the next page of the range: is it there already?"""
    populate = _populate(thread)
    mm = thread.mm
    vma = mm.tree.at(populate.address) if populate.address < populate.end else None
    if vma is None or not vma.vm_flags & VM_ACCESS:
        mmap_read_unlock(engine, thread, mm)
        return thread.back()
    if mm.page_tables.pte(populate.address) & PRESENT:
        return next_page(engine, thread)
    # Private writable mappings are faulted for writing, to break copy-on-write in advance.
    write = vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE
    engine.world.faults += 1
    fault = Fault(
        id=engine.world.faults,
        address=populate.address,
        write=write,
        error_code=PF_WRITE if write else 0,
        begun_ns=engine.now_ns,
        user=False,
        vma=vma,
        tried=populate.tried,
    )
    thread.fault = fault
    return thread.call(handle_mm_fault, then=faultin_page)


@step("mm/gup.c", cost="vma_check")
def faultin_page(engine: Mm, thread: Thread) -> Step:
    """The handler is done with this page; take mmap_lock again if it had to drop it."""
    populate, result = _populate(thread), thread.in_flight.result
    account_fault(engine, thread)
    thread.fault = None
    if result & VM_FAULT_ERROR:
        mmap_read_unlock(engine, thread, thread.mm)
        return thread.back()
    populate.tried = bool(result & VM_FAULT_RETRY)
    if not populate.tried:
        populate.address += PAGE_SIZE
    if result & VM_FAULT_UNLOCKED:
        return mmap_read_lock(engine, thread, thread.mm, populate_vma_page_range)
    return populate_vma_page_range


@step("mm/gup.c", cost="pte_read", function="follow_page_mask")
def next_page(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """This page is mapped: go on with the next one."""
    _populate(thread).address += PAGE_SIZE
    return populate_vma_page_range
