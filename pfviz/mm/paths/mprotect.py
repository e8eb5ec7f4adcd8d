"""mprotect: VMA by VMA under the write lock, page tables rewritten, one TLB flush at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.errno import EINVAL, ENOMEM
from pfviz.mm.huge_pmd import change_huge_pmd, is_covered
from pfviz.mm.hugetlb import cuts_huge_page
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PAGE_SHIFT, Mprotect
from pfviz.mm.page_range import change_pte_range
from pfviz.mm.page_table import TABLE_SPAN, HugePmd, PteTable
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.modify import Modify, modify_flags
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.zap import begin_zap, tlb_finish
from pfviz.mm.vma import VM_ACCESS, VM_SHARED, VM_WRITE, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class MprotectCall:
    """One mprotect on its way."""

    start: int
    end: int
    prot: int
    vma: Vma | None = None
    """The VMA in work."""
    address: int = 0
    """How far the page tables of that VMA were rewritten."""
    stop: int = 0
    table: PteTable | None = None
    huge: HugePmd | None = None


def _call(thread: Thread) -> MprotectCall:
    call = thread.sys
    assert isinstance(call, MprotectCall)
    return call


@step("mm/mprotect.c", cost="munmap_checks")
def do_mprotect_pkey(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: flags of VMAs are to change."""
    return mmap_write_lock(engine, thread, thread.mm, find_first_vma)


@step("mm/mprotect.c", cost="find_vma", function="do_mprotect_pkey")
def find_first_vma(engine: Mm, thread: Thread) -> Step:
    """Find the VMA at the start of the range and begin to collect pages to flush."""
    operation = thread.operation
    assert isinstance(operation, Mprotect)
    start = thread.resolve(operation.place)
    vma = None if start is None else thread.mm.tree.at(start)
    if start is None or vma is None:
        thread.op_result = ENOMEM
        mmap_write_unlock(engine, thread, thread.mm)
        return thread.back()
    end = start + (operation.pages << PAGE_SHIFT)
    if cuts_huge_page(thread.mm, start, end):
        thread.op_result = EINVAL
        mmap_write_unlock(engine, thread, thread.mm)
        return thread.back()
    thread.sys = MprotectCall(start, end, operation.prot, vma, start)
    begin_zap(engine, thread, thread.mm, "mprotect")
    return mprotect_fixup


@step("mm/mprotect.c", cost="vma_check")
def mprotect_fixup(engine: Mm, thread: Thread) -> Step:
    """Give the part of this VMA that lies in the range its new flags."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    call.stop = min(vma.vm_end, call.end)
    flags = vma.vm_flags & ~VM_ACCESS | call.prot
    if flags == vma.vm_flags:
        call.address = call.stop
        return next_vma
    modify = Modify(vma, call.address, call.stop, flags)
    return modify_flags(engine, thread, modify, lock_modified)


@step("mm/mprotect.c", function="mprotect_fixup")
def lock_modified(engine: Mm, thread: Thread) -> Step:
    """Flags are to change that faults read: write-lock the VMA first if it has a lock."""
    call = _call(thread)
    call.vma = thread.modify.vma
    assert call.vma is not None
    return vma_start_write(engine, thread, call.vma, vma_set_page_prot)


@step("mm/mmap.c", cost="vma_check")
def vma_set_page_prot(engine: Mm, thread: Thread) -> Step:
    """Set the new flags: from here on they decide what a fault may do."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    if vma.vm_flags != thread.modify.flags:
        vma.vm_flags = thread.modify.flags
        vma.emit_changed(engine, "mprotect")
    return change_protection


@step("mm/mprotect.c", cost="zap_empty_table")
def change_protection(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the range and take its lock."""
    call = _call(thread)
    table = None
    if call.address < call.stop:
        table = thread.mm.page_tables.next_entry(call.address, call.stop)
    if table is None:
        call.address = call.stop
        return next_vma
    if isinstance(table, HugePmd):
        if not is_covered(table, call.address, call.stop):
            return split_huge_pmd(thread, thread.mm, table, change_protection)
        call.huge = table
        return spin_lock(engine, thread, table.lock, change_huge)
    call.table = table
    return map_and_lock(engine, thread, table, change_pte_table)


@step("mm/huge_memory.c", cost="protect_table", function="change_huge_pmd")
def change_huge(engine: Mm, thread: Thread) -> Step:
    """A huge page lies in the range as a whole: rewrite its one entry."""
    call = _call(thread)
    vma, huge = call.vma, call.huge
    assert vma is not None
    assert huge is not None
    if not huge.is_linked:
        return change_huge_unlock
    _, to_flush = change_huge_pmd(
        engine, thread.mm.page_tables, huge,
        accessible=call.prot != 0,
        writable=bool(call.prot & VM_WRITE),
        private=not vma.vm_flags & VM_SHARED,
    )  # fmt: skip
    if to_flush:
        gather = thread.zap.gather
        gather.pages += 1
        gather.huge += 1
        gather.add_range(huge.base, huge.end)
    call.address = huge.end
    return change_huge_unlock


@step("mm/huge_memory.c", function="spin_unlock")
def change_huge_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the PMD lock."""
    call = _call(thread)
    huge, call.huge = call.huge, None
    assert huge is not None
    spin_unlock(engine, thread, huge.lock)
    return change_protection


@step("mm/mprotect.c", cost="protect_table", function="change_pte_range")
def change_pte_table(engine: Mm, thread: Thread) -> Step:
    """Rewrite the entries of this table with the new protection."""
    call = _call(thread)
    vma, table = call.vma, call.table
    assert vma is not None
    assert table is not None
    changed, to_flush = change_pte_range(
        engine, thread.mm.page_tables, table, call.address, call.stop,
        accessible=call.prot != 0,
        writable=bool(call.prot & VM_WRITE),
        private=not vma.vm_flags & VM_SHARED,
    )  # fmt: skip
    engine.charge(changed * engine.machine.costs["protect_pte"])
    if to_flush:
        gather = thread.zap.gather
        gather.pages += to_flush
        gather.add_range(max(call.address, table.base), min(call.stop, table.base + TABLE_SPAN))
    return change_pte_unlock


@step("mm/mprotect.c", function="pte_unmap_unlock")
def change_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table."""
    call = _call(thread)
    assert call.table is not None
    unlock_and_unmap(engine, thread, call.table)
    call.address = call.table.base + TABLE_SPAN
    call.table = None
    return change_protection


@step("mm/mprotect.c", function="do_mprotect_pkey")
def next_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Does the range go on in another VMA?"""
    call = _call(thread)
    assert call.vma is not None
    if call.stop < call.end:
        # A merge may have made the VMA longer than the range that was asked for.
        following = thread.mm.tree.at(call.stop)
        if following is not None:
            call.vma, call.address = following, call.stop
            return mprotect_fixup
        thread.op_result = ENOMEM
    return tlb_finish(thread, mprotect_unlock)


@step("mm/mprotect.c", function="mmap_write_unlock")
def mprotect_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; VMAs that were write-locked under it are unlocked with it."""
    thread.modify = None
    mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()
