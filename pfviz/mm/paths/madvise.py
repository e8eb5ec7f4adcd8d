"""madvise: give pages back, under the VMA lock where the kernel can, or change flags of VMAs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm import operations as ops
from pfviz.mm.errno import EINVAL, ENOMEM
from pfviz.mm.hugetlb import cuts_huge_page
from pfviz.mm.mmap_lock import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from pfviz.mm.operations import (
    MADV_DONTNEED,
    MADV_FREE,
    MADV_PAGEOUT,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    PAGE_SHIFT,
    Madvise,
)
from pfviz.mm.page_range import free_pte_range
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.paths import uffd_event
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.collapse import madvise_collapse
from pfviz.mm.paths.guard_region import guard_install, guard_remove
from pfviz.mm.paths.madvise_pages import cold, madvise_populate, willneed
from pfviz.mm.paths.modify import Modify, modify_flags
from pfviz.mm.paths.pageout import pageout_range
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.under_vma_lock import lock_vma_under_rcu
from pfviz.mm.paths.zap import begin_zap, tlb_finish, tlb_finish_mmu, unmap_vmas
from pfviz.mm.vma import (
    VM_DONTCOPY,
    VM_DONTDUMP,
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_LOCKED,
    VM_NOHUGEPAGE,
    VM_PFNMAP,
    VM_RAND_READ,
    VM_SEQ_READ,
    VM_UFFD,
    Vma,
)
from pfviz.mm.vma_lock import vma_end_read, vma_start_write
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

GUARDS: Final = (ops.MADV_GUARD_INSTALL, ops.MADV_GUARD_REMOVE)
UNDER_READ_LOCK: Final = (
    MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT, ops.MADV_COLD, ops.MADV_WILLNEED, *GUARDS,
)  # fmt: skip
"""Advice that changes no flag of a VMA."""


@dataclass(slots=True, eq=False)
class MadviseCall:
    """One madvise on its way."""

    start: int
    end: int
    advice: str
    vma: Vma | None = None
    """The VMA in work."""
    position: int = 0
    """How far the range is done."""
    under_vma_lock: bool = False
    told_from: int = -1
    """The start of what a userfaultfd monitor was told of last."""
    zap_start: int = 0
    zap_end: int = 0
    """What of that VMA goes."""


def _call(thread: Thread) -> MadviseCall:
    call = thread.sys
    assert isinstance(call, MadviseCall)
    return call


@step("mm/madvise.c", cost="madvise_checks")
def do_madvise(engine: Mm, thread: Thread) -> Step:
    """Choose the lock: advice that changes flags needs mmap_lock for writing, the rest less."""
    operation = thread.operation
    assert isinstance(operation, Madvise)
    start = thread.resolve(operation.place)
    if start is None:
        thread.op_result = ENOMEM
        return thread.back()
    end = start + (operation.pages << PAGE_SHIFT)
    thread.sys = MadviseCall(start, end, operation.advice)
    advice, world = operation.advice, engine.world
    if advice in GUARDS and not world.preset.guard_regions:
        thread.op_result = EINVAL
        return thread.back()
    if advice == ops.MADV_COLLAPSE:
        if not world.preset.madv_collapse:
            thread.op_result = EINVAL
            return thread.back()
        return mmap_read_lock(engine, thread, thread.mm, madvise_collapse)
    if advice in (ops.MADV_POPULATE_READ, ops.MADV_POPULATE_WRITE):
        return mmap_read_lock(engine, thread, thread.mm, madvise_populate)
    if advice not in UNDER_READ_LOCK:
        return mmap_write_lock(engine, thread, thread.mm, madvise_vma_behavior)
    if world.has_vma_lock and _lock_of(engine, advice) == "vma_lock":
        thread.address = start
        return thread.call(lock_vma_under_rcu, try_vma_read_lock)
    return mmap_read_lock(engine, thread, thread.mm, madvise_walk_vmas)


def _lock_of(engine: Mm, advice: str) -> str:
    """What this kernel holds for an advice that changes no flag and stays in one VMA."""
    if advice in (MADV_DONTNEED, MADV_FREE):
        return engine.world.preset.madvise_dontneed_lock
    return engine.world.preset.madvise_guard_lock if advice in GUARDS else "mmap_lock"


@step("mm/madvise.c (6.17+)", cost="vma_check")
def try_vma_read_lock(engine: Mm, thread: Thread) -> Step:
    """Only if the whole range lies in the locked VMA, and no monitor serves it, is that enough."""
    call, vma = _call(thread), thread.vma
    if vma is not None and call.end <= vma.vm_end and _is_enough(vma, call.advice):
        call.vma, call.under_vma_lock = vma, True
        return _advise(engine, thread)
    if vma is not None:
        vma_end_read(engine, thread, vma)
    return mmap_read_lock(engine, thread, thread.mm, madvise_walk_vmas)


def _is_enough(vma: Vma, advice: str) -> bool:
    if advice == ops.MADV_GUARD_INSTALL and vma.is_anonymous and vma.anon_vma is None:
        return False  # To get one, its neighbours must be looked at.
    return not vma.vm_flags & VM_UFFD


def _advise(engine: Mm, thread: Thread) -> Step:
    """Do with the part of the VMA in work that lies in the range what the advice says."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    start, end = max(call.start, vma.vm_start), min(call.end, vma.vm_end)
    call.position = end
    match call.advice:
        case ops.MADV_WILLNEED:
            return willneed(thread, vma, start, end, willneed_next_vma)
        case ops.MADV_COLD:
            return cold(thread, vma, start, end, madvise_next_vma)
        case ops.MADV_GUARD_INSTALL:
            return guard_install(thread, vma, start, end, madvise_next_vma)
        case ops.MADV_GUARD_REMOVE:
            return guard_remove(thread, vma, start, end, madvise_next_vma)
    return madvise_dontneed_free(engine, thread)


@step("mm/madvise.c", cost="find_vma", function="madvise_walk_vmas")
def willneed_next_vma(engine: Mm, thread: Thread) -> Step:
    """mmap_lock may have been given back: look the rest of the range up anew."""
    call = _call(thread)
    call.vma = None
    if call.position < call.end:
        call.vma = next(thread.mm.tree.between(call.position, call.end), None)
    return madvise_read_unlock(engine, thread) if call.vma is None else _advise(engine, thread)


# Give pages back


@step("mm/madvise.c", cost="find_vma")
def madvise_walk_vmas(engine: Mm, thread: Thread) -> Step:
    """Find the first VMA of the range."""
    call = _call(thread)
    call.vma = next(thread.mm.tree.between(call.start, call.end), None)
    if call.vma is not None:
        return _advise(engine, thread)
    thread.op_result = ENOMEM
    if thread.zap is not None:  # It went while a monitor was told; what was before it is dropped.
        return tlb_finish(thread, madvise_read_unlock)
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


@step("mm/madvise.c")
def madvise_dontneed_free(engine: Mm, thread: Thread) -> Step:
    """Begin with the pages of this VMA: drop them, offer them (MADV_FREE), or swap them out."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    start, end = max(call.start, vma.vm_start), min(call.end, vma.vm_end)
    if call.advice == MADV_PAGEOUT:
        if vma.vm_flags & (VM_LOCKED | VM_PFNMAP):  # can_madv_lru_vma
            thread.op_result = EINVAL
            return madvise_next_vma
        return pageout_range(engine, thread, vma, start, end, then=madvise_next_vma)
    free = call.advice == MADV_FREE
    # madvise_dontneed_free_valid_vma: pages that mlock keeps stay, unless they are hugetlb's.
    forbidden = 0 if vma.vm_flags & VM_HUGETLB else VM_LOCKED | VM_PFNMAP
    if (free and not vma.is_anonymous) or vma.vm_flags & forbidden:
        thread.op_result = EINVAL
        return madvise_next_vma
    if vma.vm_flags & VM_HUGETLB and (start | end) % TABLE_SPAN:
        thread.op_result = EINVAL
        return madvise_next_vma
    call.zap_start, call.zap_end = start, end
    if uffd_event.wants(vma, "remove") and call.told_from != start:
        return uffd_event.prepare(engine, thread, vma, "remove", start, end, userfaultfd_remove)
    thread.returns.append(madvise_next_vma)
    if engine.world.preset.unmap_drains_lru:
        return thread.call(lru_add_drain, then=zap_page_range_single)
    return zap_page_range_single(engine, thread)


@step("fs/userfaultfd.c", cost="vma_check")
def userfaultfd_remove(engine: Mm, thread: Thread) -> Step:
    """A monitor wants to know first: give mmap_lock back, tell it, and look everything up again."""
    call = _call(thread)
    call.start = call.told_from = call.zap_start
    mmap_read_unlock(engine, thread, thread.mm)
    return uffd_event.complete(thread, lock_again)


@step("mm/madvise.c")
def lock_again(engine: Mm, thread: Thread) -> Step:
    """The monitor knows: take mmap_lock again."""
    return mmap_read_lock(engine, thread, thread.mm, madvise_walk_vmas)


@step("mm/memory.c", function="zap_page_range_single")
def zap_page_range_single(engine: Mm, thread: Thread) -> Step:
    """Collect the pages of this VMA; since 6.16 one flush follows for all VMAs of the call."""
    call = _call(thread)
    assert call.vma is not None
    if thread.zap is None:
        begin_zap(engine, thread, thread.mm, "madvise").gather.keeps_guards = True
    thread.zap.ranges = [(call.vma, call.zap_start, call.zap_end)]
    if call.advice == MADV_FREE:
        thread.zap.position, thread.zap.address = 0, call.zap_start
        return free_next_table if engine.world.preset.madvise_batches_tlb else walk_page_range
    return unmap_vmas(thread, thread.zap.ranges, _flush_of_vma(engine, thread))


def _flush_of_vma(engine: Mm, thread: Thread) -> Step:
    """The flush if every VMA has its own; else what comes after the VMA."""
    return thread.back() if engine.world.preset.madvise_batches_tlb else tlb_finish_mmu


# Free lazily: the pages stay until memory is short, and clean entries let reclaim take them


@step("mm/pagewalk.c")
def walk_page_range(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Walk the page tables: until 6.16 the walk was not told which VMA it is in."""
    return find_walked_vma


@step("mm/mmap.c", cost="find_vma", function="find_vma")
def find_walked_vma(engine: Mm, thread: Thread) -> Step:
    """Look the VMA up once more."""
    thread.mm.tree.find(engine, thread.zap.address)
    return free_next_table


@step("mm/madvise.c", cost="zap_empty_table", function="madvise_free_pte_range")
def free_next_table(engine: Mm, thread: Thread) -> Step:
    """Go down to the next page table of the range and take its lock, if there is one more."""
    zap = thread.zap
    zap.table = None
    if zap.address < zap.end:
        zap.table = zap.mm.page_tables.next_table(zap.address, zap.end)
    if zap.table is None:
        return _flush_of_vma(engine, thread)
    return map_and_lock(engine, thread, zap.table, madvise_free_pte_range)


@step("mm/madvise.c", cost="zap_table")
def madvise_free_pte_range(engine: Mm, thread: Thread) -> Step:
    """Make the entries of this table old and clean: what is not written again may be dropped."""
    zap = thread.zap
    tables = zap.mm.page_tables
    changed = free_pte_range(engine, tables, zap.table, zap.address, zap.end, zap.gather)
    engine.charge(changed * engine.machine.costs["protect_pte"])
    return free_pte_unlock


@step("mm/madvise.c", function="pte_unmap_unlock")
def free_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table."""
    zap = thread.zap
    unlock_and_unmap(engine, thread, zap.table)
    zap.address = zap.table.base + TABLE_SPAN
    return free_next_table


@step("mm/madvise.c", function="madvise_walk_vmas")
def madvise_next_vma(engine: Mm, thread: Thread) -> Step:
    """Go on with the next VMA of the range, or give the lock back."""
    call = _call(thread)
    vma = call.vma
    assert vma is not None
    if call.under_vma_lock:
        vma_end_read(engine, thread, vma)
        # Nobody holds the VMA any more, but its pages are not freed before the flush.
        return tlb_finish_mmu if thread.zap is not None else thread.back()
    following = thread.mm.tree.next_of(vma)
    if following is not None and following.vm_start < call.end:
        call.vma = following
        return _advise(engine, thread)
    if thread.zap is not None:
        return tlb_finish(thread, madvise_read_unlock)
    return madvise_read_unlock(engine, thread)


@step("mm/madvise.c", function="mmap_read_unlock")
def madvise_read_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back."""
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


# Change flags


def _advised(flags: int, advice: str) -> int:
    """The flags of a VMA after an advice that changes them."""
    match advice:
        case ops.MADV_HUGEPAGE:
            return flags & ~VM_NOHUGEPAGE | VM_HUGEPAGE
        case ops.MADV_NOHUGEPAGE:
            return flags & ~VM_HUGEPAGE | VM_NOHUGEPAGE
        case ops.MADV_DONTFORK:
            return flags | VM_DONTCOPY
        case ops.MADV_DOFORK:
            return flags & ~VM_DONTCOPY
        case ops.MADV_DONTDUMP:
            return flags | VM_DONTDUMP
        case ops.MADV_DODUMP:
            return flags & ~VM_DONTDUMP
    flags &= ~(VM_SEQ_READ | VM_RAND_READ)
    return flags | {MADV_SEQUENTIAL: VM_SEQ_READ, MADV_RANDOM: VM_RAND_READ}.get(advice, 0)


@step("mm/madvise.c", cost="find_vma")
def madvise_vma_behavior(engine: Mm, thread: Thread) -> Step:
    """Find the VMA and work out its new flags; only its own part of the range is to change."""
    call = _call(thread)
    vma = next(thread.mm.tree.between(call.start, call.end), None)
    if vma is None:
        thread.op_result = ENOMEM
        mmap_write_unlock(engine, thread, thread.mm)
        return thread.back()
    if cuts_huge_page(thread.mm, call.start, call.end):
        thread.op_result = EINVAL
        return madvise_unlock
    flags = _advised(vma.vm_flags, call.advice)
    start, end = max(call.start, vma.vm_start), min(call.end, vma.vm_end)
    call.vma = vma
    call.start = end
    return modify_flags(engine, thread, Modify(vma, start, end, flags), madvise_update_vma)


@step("mm/madvise.c")
def madvise_update_vma(engine: Mm, thread: Thread) -> Step:
    """Flags are to change that faults read: write-lock the VMA first if it has a lock."""
    return vma_start_write(engine, thread, thread.modify.vma, vm_flags_reset)


@step("include/linux/mm.h", cost="vma_check")
def vm_flags_reset(engine: Mm, thread: Thread) -> Step:
    """Set the new flags; go on with the next VMA of the range, or unlock."""
    call, vma = _call(thread), thread.modify.vma
    if vma.vm_flags != thread.modify.flags:
        vma.vm_flags = thread.modify.flags
        vma.emit_changed(engine, "madvise")
    if call.start < call.end and next(thread.mm.tree.between(call.start, call.end), None):
        return madvise_vma_behavior
    return madvise_unlock


@step("mm/madvise.c", function="mmap_write_unlock")
def madvise_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; VMAs that were write-locked under it are unlocked with it."""
    thread.modify = None
    mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()
