"""MADV_COLLAPSE: 512 small pages become one huge one, while nobody can fault in their VMA.

mmap_lock is held for reading to look, not at all to allocate, and for writing to collapse; then
the VMA's lock, the anon_vma's, and the table's. Before pages are looked at for the last time the
table is taken out, and every CPU answers once: no walk without locks stands in it any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.collapse_table import copy_into_block, may_collapse, restore_table, take_table
from pfviz.mm.errno import EAGAIN, EINVAL, ENOMEM
from pfviz.mm.huge_pmd import is_huge_zero, new_huge_pmd, set_huge_pmd
from pfviz.mm.mmap_lock import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from pfviz.mm.operations import Madvise
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    TABLE_SPAN,
    WRITABLE,
    PteTable,
    UpperTable,
    pte_of,
)
from pfviz.mm.paths.allocation import free_frames
from pfviz.mm.paths.huge_alloc import PARTS, alloc_huge, free_block
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.thread import PF_WRITE, Fault
from pfviz.mm.tlb import flush_tlb_range, tlb_remove_table_sync_one
from pfviz.mm.vma import VM_UFFD, VM_WRITE, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Collapse:
    """One MADV_COLLAPSE on its way."""

    address: int
    """The next 2 MiB."""
    end: int
    vma: Vma | None = None
    table: PteTable | None = None
    block: int = -1
    """The first frame of the huge page to be."""
    parts: int = 0
    """Parts of it that are copied."""
    old: list[int] = field(default_factory=list)
    """Frames of small pages to be freed."""

    @property
    def the_vma(self) -> Vma:
        """The VMA in work."""
        assert self.vma is not None
        return self.vma

    @property
    def the_table(self) -> PteTable:
        """The table that goes."""
        assert self.table is not None
        return self.table


def _state(thread: Thread) -> Collapse:
    state = thread.huge
    assert isinstance(state, Collapse)
    return state


def _pmd(thread: Thread) -> UpperTable:
    pmd = thread.mm.page_tables.pmd_table(_state(thread).address)
    assert pmd is not None
    return pmd


@step("mm/khugepaged.c (6.1+)", cost="madvise_checks")
def madvise_collapse(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Of the range take what is aligned to 2 MiB; mmap_lock is held for reading."""
    operation = thread.operation
    assert isinstance(operation, Madvise)
    start = thread.resolve(operation.place)
    assert start is not None
    end = start + (operation.pages << 12)
    thread.huge = Collapse(-(-start // TABLE_SPAN) * TABLE_SPAN, end & -TABLE_SPAN)
    return next_range


@step("mm/khugepaged.c (6.1+)", cost="find_vma", function="hugepage_vma_revalidate")
def next_range(engine: Mm, thread: Thread) -> Step:
    """Look the next 2 MiB up: is it still one VMA that may have huge pages?"""
    state = _state(thread)
    if state.address >= state.end:
        return collapse_done
    state.vma = _suitable(thread, state)
    if state.vma is None:
        thread.op_result = EINVAL
        return collapse_done
    state.table = thread.mm.page_tables.walk(state.address)
    if state.table is None:
        huge = thread.mm.page_tables.huge_at(state.address)
        if huge is None or is_huge_zero(huge.value):
            thread.op_result = EINVAL
        return _skip(thread)
    return map_and_lock(engine, thread, state.table, hpage_collapse_scan_pmd)


def _suitable(thread: Thread, state: Collapse) -> Vma | None:
    vma = thread.mm.tree.at(state.address)
    if vma is None or not vma.is_anonymous or vma.anon_vma is None or vma.vm_flags & VM_UFFD:
        return None
    return vma if vma.vm_end >= state.address + TABLE_SPAN else None


def _skip(thread: Thread) -> Step:
    _state(thread).address += TABLE_SPAN
    return next_range


@step("mm/khugepaged.c", cost="smaps_table")
def hpage_collapse_scan_pmd(engine: Mm, thread: Thread) -> Step:
    """Look at all 512 entries under their lock: pages that somebody else holds cannot move."""
    state = _state(thread)
    is_well = may_collapse(engine, state.the_table)
    unlock_and_unmap(engine, thread, state.the_table)
    if not is_well:
        thread.op_result = EAGAIN
        return _skip(thread)
    return collapse_huge_page


@step("mm/khugepaged.c", function="collapse_huge_page")
def collapse_huge_page(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back: getting 2 MiB in one piece can take long."""
    mmap_read_unlock(engine, thread, thread.mm)
    # The allocator's chain leaves its page in a fault.
    thread.fault = Fault(0, _state(thread).address, True, PF_WRITE, engine.now_ns, user=False)
    return thread.call(alloc_huge, then=alloc_charge_folio)


@step("mm/khugepaged.c", cost="vma_check")
def alloc_charge_folio(engine: Mm, thread: Thread) -> Step:
    """There is a huge page, or there is none; in any case take mmap_lock again to look."""
    state, page = _state(thread), thread.in_flight.page
    thread.fault = None
    if page is None:
        thread.op_result = ENOMEM
        state.address = state.end
        return mmap_read_lock(engine, thread, thread.mm, next_range)
    state.block = page
    return mmap_read_lock(engine, thread, thread.mm, revalidated)


@step("mm/khugepaged.c", cost="find_vma", function="hugepage_vma_revalidate")
def revalidated(engine: Mm, thread: Thread) -> Step:
    """Everything may have changed: look again, then ask for mmap_lock for writing."""
    state = _state(thread)
    mmap_read_unlock(engine, thread, thread.mm)
    state.vma = _suitable(thread, state)
    return mmap_write_lock(engine, thread, thread.mm, revalidated_again)


@step("mm/khugepaged.c", cost="find_vma", function="hugepage_vma_revalidate")
def revalidated_again(engine: Mm, thread: Thread) -> Step:
    """And look once more; from here on no fault begins, those in the VMA must end."""
    state = _state(thread)
    state.vma = _suitable(thread, state)
    table = thread.mm.page_tables.walk(state.address)
    if state.vma is None or table is None:
        return _give_up(engine, thread)
    state.table = table
    return vma_start_write(engine, thread, state.vma, lock_anon_vma)


@step("mm/khugepaged.c", function="collapse_huge_page")
def lock_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Keep out who would find the pages by the reverse map."""
    anon_vma = _state(thread).the_vma.anon_vma
    assert anon_vma is not None
    return down_write(engine, thread, anon_vma.rwsem, lock_pmd)


@step("mm/khugepaged.c", function="collapse_huge_page")
def lock_pmd(engine: Mm, thread: Thread) -> Step:
    """Lock the entry that points to the table."""
    return spin_lock(engine, thread, _pmd(thread).lock, pmdp_collapse_flush)


@step("mm/pgtable-generic.c", cost="set_pte")
def pmdp_collapse_flush(engine: Mm, thread: Thread) -> Step:
    """Take the table out and flush its 2 MiB from every TLB: hardware finds nothing there now."""
    state, tables = _state(thread), thread.mm.page_tables
    take_table(engine, tables, state.the_table)
    start = state.address
    end = start + TABLE_SPAN
    return flush_tlb_range(engine, thread, tables, start, end, unlock_pmd, "collapse", True)


@step("mm/khugepaged.c", function="collapse_huge_page")
def unlock_pmd(engine: Mm, thread: Thread) -> Step:
    """Unlock the entry, then interrupt every CPU: GUP-fast walks with interrupts off must end.

    A kernel that frees tables with pages leaves that to the flush: the function is empty there.
    """
    spin_unlock(engine, thread, _pmd(thread).lock)
    if engine.world.page_table_free == "flush":
        return lock_table
    return tlb_remove_table_sync_one(engine, thread, lock_table)


@step("mm/khugepaged.c", function="collapse_huge_page")
def lock_table(engine: Mm, thread: Thread) -> Step:
    """Lock the table itself, which hangs nowhere."""
    return map_and_lock(engine, thread, _state(thread).the_table, collapse_isolate)


@step("mm/khugepaged.c", cost="smaps_table", function="__collapse_huge_page_isolate")
def collapse_isolate(engine: Mm, thread: Thread) -> Step:
    """Look at all entries for the last time: has anybody taken a page meanwhile?"""
    state = _state(thread)
    is_well = may_collapse(engine, state.the_table)
    unlock_and_unmap(engine, thread, state.the_table)
    if is_well:
        _unlock_anon_vma(engine, thread)
        return collapse_copy
    return spin_lock(engine, thread, _pmd(thread).lock, put_back)


def _unlock_anon_vma(engine: Mm, thread: Thread) -> None:
    anon_vma = _state(thread).the_vma.anon_vma
    assert anon_vma is not None
    up_write(engine, thread, anon_vma.rwsem)


@step("mm/khugepaged.c", cost="set_pte", function="collapse_huge_page")
def put_back(engine: Mm, thread: Thread) -> Step:
    """Somebody has: hang the table back where it was."""
    restore_table(engine, thread.mm.page_tables, _state(thread).the_table)
    spin_unlock(engine, thread, _pmd(thread).lock)
    _unlock_anon_vma(engine, thread)
    return _give_up(engine, thread)


def _give_up(engine: Mm, thread: Thread) -> Step:
    state = _state(thread)
    free_block(engine, state.block)
    state.block = -1
    thread.op_result = EAGAIN
    mmap_write_unlock(engine, thread, thread.mm)
    state.address += TABLE_SPAN
    return mmap_read_lock(engine, thread, thread.mm, next_range)


@step("mm/khugepaged.c", cost="copy_huge_part", function="__collapse_huge_page_copy")
def collapse_copy(engine: Mm, thread: Thread) -> Step:
    """Copy the next part of the 2 MiB; where no page was, zero it. Nobody can fault meanwhile."""
    state = _state(thread)
    state.parts += 1
    if state.parts < PARTS:
        return collapse_copy
    state.parts = 0
    return map_and_lock(engine, thread, state.the_table, drop_small_pages)


@step("mm/khugepaged.c", cost="zap_table", function="__collapse_huge_page_copy")
def drop_small_pages(engine: Mm, thread: Thread) -> Step:
    """Empty the old table: its pages are not mapped here any more."""
    state, vma = _state(thread), _state(thread).the_vma
    assert vma.anon_vma is not None
    state.old = copy_into_block(
        engine, thread.mm.page_tables, state.the_table, state.block, vma.anon_vma.id
    )
    unlock_and_unmap(engine, thread, state.the_table)
    return spin_lock(engine, thread, _pmd(thread).lock, set_collapsed)


@step("mm/khugepaged.c", cost="huge_rmap", function="collapse_huge_page")
def set_collapsed(engine: Mm, thread: Thread) -> Step:
    """Let the entry map the huge page; the old table is put aside for a split."""
    state, tables = _state(thread), thread.mm.page_tables
    rights = WRITABLE | DIRTY if state.the_vma.vm_flags & VM_WRITE else 0
    value = pte_of(state.block, PRESENT | ACCESSED | rights)
    set_huge_pmd(
        engine, tables, new_huge_pmd(engine, tables, state.address, value, state.the_table)
    )
    state.block = -1
    spin_unlock(engine, thread, _pmd(thread).lock)
    engine.world.count("thp_collapse_alloc")
    return collapse_unlock


@step("mm/khugepaged.c", function="mmap_write_unlock")
def collapse_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back, and with it the VMA; the old pages are freed."""
    mmap_write_unlock(engine, thread, thread.mm)
    state = _state(thread)
    if state.old:
        return free_frames(engine, thread, state.old, then=lock_for_next)
    return lock_for_next


@step("mm/khugepaged.c", function="madvise_collapse")
def lock_for_next(engine: Mm, thread: Thread) -> Step:
    """Go on with the next 2 MiB, under mmap_lock held for reading."""
    _state(thread).address += TABLE_SPAN
    return mmap_read_lock(engine, thread, thread.mm, next_range)


@step("mm/madvise.c", function="mmap_read_unlock")
def collapse_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back."""
    thread.huge = None
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()
