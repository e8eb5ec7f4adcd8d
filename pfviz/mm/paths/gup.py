"""get_user_pages: the kernel makes pages of a range resident, page by page, under mmap_lock.

No exception happens and no VMA lock is ever used here: the handler is that of a page fault, the
lock is mmap_lock held for reading in every kernel. Populating, locking and pinning all come here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.errno import EFAULT
from pfviz.mm.mmap_lock import mmap_read_lock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.mm.page_table import PRESENT, SPECIAL, WRITABLE, HugePmd, PteTable, pfn_of
from pfviz.mm.paths.handle import handle_mm_fault
from pfviz.mm.paths.outcome import (
    VM_FAULT_ERROR,
    VM_FAULT_RETRY,
    VM_FAULT_UNLOCKED,
    account_fault,
)
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.thread import PF_WRITE, Fault
from pfviz.mm.vma import VM_ACCESS, VM_NO_PAGES, VM_SHARED, VM_WRITE, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Gup:
    """A range on its way to be resident; mmap_lock is held for reading while it is under way."""

    address: int
    end: int
    write: bool | None = None
    """Whether pages are to be written; None breaks copy-on-write ahead where that is possible."""
    takes: bool = False
    """Whether the caller wants references (FOLL_GET), kept in `frames`."""
    pins: bool = False
    """Whether they are for a device that writes behind the kernel's back (FOLL_PIN)."""
    vma: Vma | None = None
    table: PteTable | None = None
    huge: HugePmd | None = None
    tried: bool = False
    error: int = 0
    frames: list[int] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether the page in work must be writable."""
        if self.write is not None:
            return self.write
        assert self.vma is not None
        return self.vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE


def get_user_pages(thread: Thread, gup: Gup, then: Step) -> Step:
    """Make [gup.address, gup.end) resident (mmap_lock is held for reading), then go on with `then`.

    It is held for reading at the end as well, though it may have been let go meanwhile. What could
    not be had is in `gup.error`, how far it got in `gup.address`.
    """
    thread.gup = gup
    return thread.call(get_user_pages_begin, then)


def _gup(thread: Thread) -> Gup:
    gup = thread.gup
    assert isinstance(gup, Gup)
    return gup


@step("mm/gup.c", function="__get_user_pages")
def get_user_pages_begin(engine: Mm, thread: Thread) -> Step:
    """Go to the next page of the range; each VMA is looked up once."""
    gup = _gup(thread)
    if gup.address >= gup.end or gup.error:
        return thread.back()
    if gup.vma is not None and gup.vma.covers(gup.address):
        return follow_page_mask(engine, thread)
    return gup_vma_lookup


@step("mm/gup.c", cost="find_vma")
def gup_vma_lookup(engine: Mm, thread: Thread) -> Step:
    """Look the VMA up, as a fault under mmap_lock would, and see whether it lets the pages be."""
    gup = _gup(thread)
    tree = thread.mm.tree
    if engine.world.preset.gup_lookup == "find_vma":
        vma = tree.find(engine, gup.address)
        vma = vma if vma is not None and vma.vm_start <= gup.address else None
    else:
        vma = tree.load(engine, gup.address)
    gup.vma = vma
    flags = 0 if vma is None else vma.vm_flags
    # check_vma_flags: what lies behind a device's entries is no page.
    if not flags & VM_ACCESS or (gup.write and not flags & VM_WRITE) or flags & VM_NO_PAGES:
        gup.error = EFAULT
        return thread.back()
    return follow_page_mask


@step("mm/gup.c", cost="pte_read")
def follow_page_mask(engine: Mm, thread: Thread) -> Step:
    """Walk the page tables: is the page there already?"""
    gup = _gup(thread)
    tables = thread.mm.page_tables
    gup.huge = tables.huge_at(gup.address)
    if gup.huge is not None:
        return spin_lock(engine, thread, gup.huge.lock, follow_trans_huge_pmd)
    gup.table = tables.walk(gup.address)
    if gup.table is None:
        return faultin_page
    return map_and_lock(engine, thread, gup.table, follow_page_pte)


@step("mm/gup.c", cost="pte_read")
def follow_page_pte(engine: Mm, thread: Thread) -> Step:
    """Read the entry under its lock; a page that may be used as asked is taken."""
    gup = _gup(thread)
    assert gup.table is not None
    pte = gup.table.read(gup.address)
    is_there = bool(pte & PRESENT) and (not gup.writes or bool(pte & WRITABLE))
    if is_there and gup.takes and not pte & SPECIAL:
        engine.world.frames.get(pfn_of(pte))
        gup.frames.append(pfn_of(pte))
    if is_there:
        gup.address += PAGE_SIZE
    return follow_page_unlock if is_there else follow_page_missing


@step("mm/huge_memory.c", cost="pte_read")
def follow_trans_huge_pmd(engine: Mm, thread: Thread) -> Step:
    """A huge page is mapped here: of its 512 pages take those that were asked for."""
    gup = _gup(thread)
    huge, gup.huge = gup.huge, None
    assert huge is not None
    value, frames = huge.value, engine.world.frames
    is_there = huge.is_linked and value & PRESENT and (not gup.writes or value & WRITABLE)
    if is_there:
        stop = min(gup.end, huge.end)
        if gup.takes and not value & SPECIAL:
            first = pfn_of(value) + ((gup.address - huge.base) >> PAGE_SHIFT)
            taken = range(first, first + ((stop - gup.address) >> PAGE_SHIFT))
            for pfn in taken:
                frames.get(pfn)
            gup.frames.extend(taken)
        gup.address = stop
    spin_unlock(engine, thread, huge.lock)
    return get_user_pages_begin if is_there else faultin_page


@step("mm/gup.c", function="pte_unmap_unlock")
def follow_page_unlock(engine: Mm, thread: Thread) -> Step:
    """The page is resident: unlock, and go on with the next one."""
    _unlock(engine, thread)
    return get_user_pages_begin(engine, thread)


@step("mm/gup.c", function="pte_unmap_unlock")
def follow_page_missing(engine: Mm, thread: Thread) -> Step:
    """The page is not there, or not as asked: unlock, and fault it in."""
    _unlock(engine, thread)
    return faultin_page


def _unlock(engine: Mm, thread: Thread) -> None:
    gup = _gup(thread)
    assert gup.table is not None
    unlock_and_unmap(engine, thread, gup.table)
    gup.table = None


@step("mm/gup.c", cost="vma_check")
def faultin_page(engine: Mm, thread: Thread) -> Step:
    """Call the fault handler as if the page had been touched, with mmap_lock held."""
    gup = _gup(thread)
    engine.world.faults += 1
    thread.fault = Fault(
        id=engine.world.faults,
        address=gup.address,
        write=gup.writes,
        error_code=PF_WRITE if gup.writes else 0,
        begun_ns=engine.now_ns,
        user=False,
        vma=gup.vma,
        tried=gup.tried,
    )
    return thread.call(handle_mm_fault, then=page_faulted_in)


@step("mm/gup.c", cost="vma_check", function="faultin_page")
def page_faulted_in(engine: Mm, thread: Thread) -> Step:
    """The handler is done with this page; take mmap_lock again if it had to drop it."""
    gup, result = _gup(thread), thread.in_flight.result
    account_fault(engine, thread)
    thread.fault = None
    if result & VM_FAULT_ERROR:
        gup.error = EFAULT
        return thread.back()
    gup.tried = bool(result & VM_FAULT_RETRY)
    if result & VM_FAULT_UNLOCKED:
        gup.vma = None  # It may have changed meanwhile.
        return mmap_read_lock(engine, thread, thread.mm, get_user_pages_begin)
    return get_user_pages_begin
