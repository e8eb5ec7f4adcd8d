"""UFFDIO_WRITEPROTECT: mark pages so that the next write is told, or lift the mark, and wake.

Under mmap_lock held for reading in every kernel: no VMA changes, only entries do. Source:
mm/userfaultfd.c, mm/mprotect.c (change_protection with MM_CP_UFFD_WP).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.errno import EAGAIN, ENOENT
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.page_table import TABLE_SPAN, HugePmd
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.uffd_wake import wake_userfault
from pfviz.mm.paths.zap import begin_zap, tlb_finish
from pfviz.mm.uffd_range import protect_range, unprotect_range
from pfviz.mm.userfaultfd import UffdCall
from pfviz.mm.vma import VM_UFFD_WP
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


@step("mm/userfaultfd.c", cost="munmap_checks")
def mwriteprotect_range(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for reading: the VMAs of the range must hold still."""
    return mmap_read_lock(engine, thread, thread.mm, lock_map_changing)


@step("mm/userfaultfd.c", function="mwriteprotect_range")
def lock_map_changing(engine: Mm, thread: Thread) -> Step:
    """From 6.9 on also keep mmap_changing still."""
    if engine.world.preset.uffd_ioctl_lock != "vma_lock":
        return check_range
    call = _call(thread)
    call.is_changing_locked = True
    return down_read(engine, thread, call.ctx.map_changing_lock, then=check_range)


@step("mm/userfaultfd.c", cost="find_vma", function="mwriteprotect_range")
def check_range(engine: Mm, thread: Thread) -> Step:
    """Every VMA of the range must be registered for write protection."""
    call = _call(thread)
    vmas = list(thread.mm.tree.between(call.start, call.end))
    if call.ctx.mmap_changing:
        thread.op_result = EAGAIN
    elif not vmas or not all(vma.vm_flags & VM_UFFD_WP for vma in vmas):
        thread.op_result = ENOENT
    if thread.op_result:
        return wp_unlock
    begin_zap(engine, thread, thread.mm, "userfaultfd")
    call.vma, call.address = vmas[0], max(call.start, vmas[0].vm_start)
    return change_protection


@step("mm/mprotect.c", cost="zap_empty_table")
def change_protection(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the range and take its lock; markers need a table, too."""
    call, zap, tables = _call(thread), thread.zap, thread.mm.page_tables
    vma = call.vma
    assert vma is not None
    if call.address >= min(vma.vm_end, call.end):
        following = next(thread.mm.tree.between(call.address, call.end), None)
        if following is None or call.address >= call.end:
            return tlb_finish(thread, wp_unlock)
        call.vma, call.address = following, max(call.address, following.vm_start)
        return change_protection
    huge = tables.next_huge(call.address, min(vma.vm_end, call.end))
    if huge is not None:
        return split_huge_pmd(thread, thread.mm, huge, change_protection)
    if call.protect and wants_markers(call) and tables.pmd_none(call.address):
        tables.table_for(engine, call.address)
        engine.cost("page_table_alloc")
    entry = tables.next_entry(call.address, min(vma.vm_end, call.end))
    if isinstance(entry, HugePmd):
        if call.protect:  # Writes are told of page by page.
            return split_huge_pmd(thread, thread.mm, entry, change_protection)
        call.address = entry.end
        return change_protection
    if entry is None:
        call.address = min(vma.vm_end, call.end)
        return change_protection
    zap.table = entry
    return map_and_lock(engine, thread, entry, change_pte_range)


@step("mm/mprotect.c", cost="protect_table")
def change_pte_range(engine: Mm, thread: Thread) -> Step:
    """Mark the entries of this table, taking away the right to write; or lift the mark."""
    call, zap = _call(thread), thread.zap
    vma, table = call.vma, zap.table
    assert vma is not None
    end = min(vma.vm_end, call.end)
    to_flush = 0
    if call.protect:
        markers = wants_markers(call)
        changed, to_flush = protect_range(engine, vma, table, call.address, end, markers)
    else:
        changed = unprotect_range(engine, vma, table, call.address, end)
    engine.charge(changed * engine.machine.costs["protect_pte"])
    if to_flush:
        zap.gather.pages += to_flush
        zap.gather.add_range(max(call.address, table.base), min(end, table.base + TABLE_SPAN))
    return change_pte_unlock


def wants_markers(call: UffdCall) -> bool:
    """Whether entries that map nothing are marked, too: shared memory, or WP_UNPOPULATED."""
    assert call.vma is not None
    return not call.vma.is_anonymous or "wp_unpopulated" in call.ctx.features


@step("mm/mprotect.c", function="pte_unmap_unlock")
def change_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table."""
    call, zap = _call(thread), thread.zap
    unlock_and_unmap(engine, thread, zap.table)
    assert call.vma is not None
    call.address = min(zap.table.base + TABLE_SPAN, call.vma.vm_end, call.end)
    return change_protection


@step("mm/userfaultfd.c", function="mwriteprotect_range")
def wp_unlock(engine: Mm, thread: Thread) -> Step:
    """Give the locks back; lifted protection wakes those who want to write."""
    call = _call(thread)
    if call.is_changing_locked:
        call.is_changing_locked = False
        up_read(engine, thread, call.ctx.map_changing_lock)
    mmap_read_unlock(engine, thread, thread.mm)
    if thread.op_result or call.protect or not call.wake:
        return thread.back()
    return wake_userfault
