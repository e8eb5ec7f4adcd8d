"""A write to a private hugetlb page that is read-only: take it over, or copy all 2 MiB of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.frames import Frames
from pfviz.mm.huge_pmd import clear_huge_pmd, is_sole_user, reuse_block, set_huge_pmd
from pfviz.mm.hugetlb import map_block, pool_of, unmap_block
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    PTES_PER_TABLE,
    TABLE_SHIFT,
    WRITABLE,
    HugePmd,
    pfn_of,
    pte_of,
)
from pfviz.mm.paths.huge_alloc import PARTS
from pfviz.mm.paths.hugetlb_locks import hugetlb_anon_prepare, hugetlb_vma_unlock_read, vma_of
from pfviz.mm.paths.outcome import VM_FAULT_RETRY, VM_FAULT_SIGBUS
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.vma import VM_SHARED
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _huge(thread: Thread) -> HugePmd:
    huge: HugePmd = thread.in_flight.scratch["pmd"]
    return huge


def _changed(thread: Thread) -> bool:
    huge = _huge(thread)
    return not huge.is_linked or huge.value != thread.in_flight.orig_pte


@step("mm/hugetlb.c", cost="folio_lock", function="hugetlb_wp")
def hugetlb_wp_locked(engine: Mm, thread: Thread) -> Step:
    """Under the entry's lock: is the page one's own? Then it is made writable, else copied."""
    fault, huge = thread.in_flight, _huge(thread)
    frames: Frames = engine.world.frames
    if _changed(thread):
        spin_unlock(engine, thread, huge.lock)
        return hugetlb_vma_unlock_read
    vma, first = vma_of(thread), pfn_of(huge.value)
    if vma.vm_flags & VM_SHARED or frames.is_exclusive(first) or is_sole_user(frames, first):
        if not vma.vm_flags & VM_SHARED and not frames.is_exclusive(first):
            reuse_block(frames, first, vma.anon_vma.id if vma.anon_vma else 0)
        huge.value |= WRITABLE | DIRTY | ACCESSED
        set_huge_pmd(engine, thread.mm.page_tables, huge)
        spin_unlock(engine, thread, huge.lock)
        return hugetlb_vma_unlock_read
    for pfn in range(first, first + PTES_PER_TABLE):
        frames.refcount[pfn] += 1
    fault.old_page = first
    spin_unlock(engine, thread, huge.lock)
    return spin_lock(engine, thread, pool_of(engine).lock, dequeue_for_copy)


@step("mm/hugetlb.c", cost="page_alloc", function="alloc_hugetlb_folio")
def dequeue_for_copy(engine: Mm, thread: Thread) -> Step:
    """Take a page for the copy from the pool: nobody reserved one for it, there may be none."""
    fault, pool = thread.in_flight, pool_of(engine)
    fault.page = pool.dequeue(vma_of(thread))
    spin_unlock(engine, thread, pool.lock)
    if fault.page is None:
        fault.result |= VM_FAULT_SIGBUS
        return put_old
    return thread.call(hugetlb_anon_prepare, then=copy_user_large_folio)


@step("mm/memory.c", cost="copy_huge_part")
def copy_user_large_folio(engine: Mm, thread: Thread) -> Step:
    """Copy the next part of the 2 MiB."""
    fault = thread.in_flight
    if fault.result & VM_FAULT_RETRY:
        return put_old
    done = fault.scratch.get("copied", 0) + 1
    fault.scratch["copied"] = done
    if done < PARTS:
        return copy_user_large_folio
    del fault.scratch["copied"]
    return spin_lock(engine, thread, _huge(thread).lock, huge_ptep_clear_flush)


@step("mm/hugetlb.c", cost="set_pte")
def huge_ptep_clear_flush(engine: Mm, thread: Thread) -> Step:
    """Clear the old entry and flush it from every TLB, unless it has changed meanwhile."""
    huge, tables = _huge(thread), thread.mm.page_tables
    if _changed(thread):
        spin_unlock(engine, thread, huge.lock)
        return put_old
    clear_huge_pmd(engine, tables, huge)
    return flush_tlb_range(
        engine, thread, tables, huge.base, huge.end, set_copied, "copy on write",
        stride_shift=TABLE_SHIFT,
    )  # fmt: skip


@step("mm/hugetlb.c", cost="set_pte", function="set_huge_pte_at")
def set_copied(engine: Mm, thread: Thread) -> Step:
    """Map the copy, writable."""
    fault, huge, vma = thread.in_flight, _huge(thread), vma_of(thread)
    frames: Frames = engine.world.frames
    unmap_block(frames, pfn_of(huge.value))
    map_block(frames, fault.page, vma.anon_vma.id if vma.anon_vma else 0)
    huge.value = pte_of(fault.page, PRESENT | ACCESSED | DIRTY | WRITABLE)
    fault.page = None
    set_huge_pmd(engine, thread.mm.page_tables, huge)
    spin_unlock(engine, thread, huge.lock)
    return put_old


@step("mm/hugetlb.c", cost="page_free", function="hugetlb_wp")
def put_old(engine: Mm, thread: Thread) -> Step:
    """Let the old page go; a copy that was made in vain goes back to the pool."""
    fault, pool = thread.in_flight, pool_of(engine)
    frames: Frames = engine.world.frames
    first, fault.old_page = fault.old_page, None
    assert first is not None
    for pfn in range(first, first + PTES_PER_TABLE):
        frames.refcount[pfn] -= 1
    if not any(frames.refcount[first : first + PTES_PER_TABLE]):
        pool.give_back(engine, first)
    if fault.page is not None:
        pool.give_back(engine, fault.page)
        fault.page = None
    return hugetlb_vma_unlock_read
