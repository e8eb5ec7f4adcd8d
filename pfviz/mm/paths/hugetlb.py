"""A fault in a hugetlb mapping: one at a time per page of the file, under the PMD lock at the end.

Until 6.9 it gives the VMA lock up at once. Since 6.10 it keeps it, and if it cannot give the VMA
its anon_vma it drops the VMA lock itself, after its own locks (a bug had it dropped twice).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.frames import Frames
from pfviz.mm.huge_pmd import new_huge_pmd, set_huge_pmd
from pfviz.mm.hugetlb import cache_block, index_of, map_block, pool_of
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    WRITABLE,
    HugePmd,
    pte_of,
)
from pfviz.mm.paths.anon_vma import give_up
from pfviz.mm.paths.huge_alloc import clear_huge_page
from pfviz.mm.paths.hugetlb_locks import (
    entry_lock,
    hugetlb_anon_prepare,
    hugetlb_vma_unlock_read,
    vma_of,
)
from pfviz.mm.paths.hugetlb_wp import hugetlb_wp_locked
from pfviz.mm.paths.outcome import VM_FAULT_RETRY, VM_FAULT_SIGBUS
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.vma import VM_SHARED, VM_WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, down_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

NOT_UNDER_VMA_LOCK: Final = "hugetlb needs mmap_lock (until 6.9)"


@step("mm/hugetlb.c", cost="handle_pte_fault")
def hugetlb_fault(engine: Mm, thread: Thread) -> Step:
    """A fault in a mapping of the huge-page pool: only one at a time for this page of the file."""
    fault = thread.in_flight
    if fault.regime == VMA_LOCK and not engine.world.preset.hugetlb_under_vl:
        return give_up(engine, thread, NOT_UNDER_VMA_LOCK)
    fault.kind = "hugetlb"
    vma = vma_of(thread)
    assert vma.vm_file is not None
    index = index_of(vma, fault.address)
    mutex = pool_of(engine).fault_mutex(engine, vma.vm_file.id, index)
    fault.scratch["mutex"] = mutex
    return down_write(engine, thread, mutex, hugetlb_vma_lock_read)


@step("mm/hugetlb.c", cost="vma_check")
def hugetlb_vma_lock_read(engine: Mm, thread: Thread) -> Step:
    """Keep the page from being unmapped meanwhile, where the VMA has a lock for that (6.1+)."""
    lock = pool_of(engine).vma_lock(engine, vma_of(thread))
    thread.in_flight.scratch["vma_lock"] = lock
    return huge_pte_alloc if lock is None else down_read(engine, thread, lock, huge_pte_alloc)


@step("arch/x86/mm/hugetlbpage.c, mm/hugetlb.c", cost="handle_pte_fault")
def huge_pte_alloc(engine: Mm, thread: Thread) -> Step:
    """Go down to the entry of the huge page, in the table above the PTE tables, and read it."""
    fault, tables = thread.in_flight, thread.mm.page_tables
    if tables.missing_upper(fault.address):
        return spin_lock(engine, thread, tables.page_table_lock, alloc_pmd)
    return _by_entry(engine, thread)


@step("mm/memory.c", cost="page_table_alloc", function="__pmd_alloc")
def alloc_pmd(engine: Mm, thread: Thread) -> Step:
    """The table for the entry is missing: link one under page_table_lock."""
    tables = thread.mm.page_tables
    tables.alloc_upper(engine, thread.in_flight.address)
    spin_unlock(engine, thread, tables.page_table_lock)
    return _by_entry(engine, thread)


def _by_entry(engine: Mm, thread: Thread) -> Step:
    fault = thread.in_flight
    huge = thread.mm.page_tables.huge_at(fault.address)
    fault.scratch["pmd"] = huge
    if huge is None:
        return hugetlb_no_page
    fault.orig_pte = huge.value
    is_write = fault.write and not huge.value & WRITABLE
    return spin_lock(engine, thread, huge.lock, hugetlb_wp_locked if is_write else set_young)


@step("mm/hugetlb.c", cost="set_pte", function="hugetlb_fault")
def set_young(engine: Mm, thread: Thread) -> Step:
    """Another thread mapped the page already: mark it young (and dirty)."""
    fault = thread.in_flight
    huge: HugePmd = fault.scratch["pmd"]
    if huge.is_linked and huge.value & PRESENT:
        huge.value |= ACCESSED | (DIRTY if fault.write else 0)
    spin_unlock(engine, thread, huge.lock)
    return hugetlb_vma_unlock_read


# No page yet


@step("mm/hugetlb.c", cost="page_cache_lookup")
def hugetlb_no_page(engine: Mm, thread: Thread) -> Step:
    """Nothing is mapped: a shared mapping may find the page in the page cache, others get one."""
    fault, vma = thread.in_flight, vma_of(thread)
    assert vma.vm_file is not None
    if vma.vm_flags & VM_SHARED:
        cache = pool_of(engine).caches.get(vma.vm_file.id, {})
        fault.page = cache.get(index_of(vma, fault.address))
        if fault.page is not None:
            return lock_entry(engine, thread)
        return alloc_hugetlb_folio(engine, thread)
    # Before 6.10 an anon_vma was there, or is made with mmap_lock held.
    return thread.call(hugetlb_anon_prepare, then=alloc_private)


@step("mm/hugetlb.c", cost="vma_check", function="hugetlb_no_page")
def alloc_private(engine: Mm, thread: Thread) -> Step:
    """With an anon_vma go on to the page; without one give the locks back and start again."""
    if thread.in_flight.result & VM_FAULT_RETRY:
        return hugetlb_vma_unlock_read
    return alloc_hugetlb_folio(engine, thread)


def alloc_hugetlb_folio(engine: Mm, thread: Thread) -> Step:
    """Ask the pool for a page."""
    return spin_lock(engine, thread, pool_of(engine).lock, dequeue_hugetlb_folio)


@step("mm/hugetlb.c", cost="page_alloc", function="alloc_hugetlb_folio")
def dequeue_hugetlb_folio(engine: Mm, thread: Thread) -> Step:
    """Take a page from the pool, under its one lock: one that was reserved for this mapping."""
    fault, pool = thread.in_flight, pool_of(engine)
    fault.page = pool.dequeue(vma_of(thread))
    spin_unlock(engine, thread, pool.lock)
    if fault.page is None:
        fault.result |= VM_FAULT_SIGBUS
        return hugetlb_vma_unlock_read
    return thread.call(clear_huge_page, then=folio_ready)


@step("mm/hugetlb.c", cost="vma_check", function="hugetlb_no_page")
def folio_ready(engine: Mm, thread: Thread) -> Step:
    """The page is zeroed; a shared one goes into the page cache, where all find it."""
    fault, vma = thread.in_flight, vma_of(thread)
    assert vma.vm_file is not None
    if vma.vm_flags & VM_SHARED:
        index = index_of(vma, fault.address)
        cache_block(engine, pool_of(engine), vma.vm_file.id, index, fault.page)
    return lock_entry(engine, thread)


def lock_entry(engine: Mm, thread: Thread) -> Step:
    """huge_pte_lock: the lock of the table with the entry."""
    return spin_lock(engine, thread, entry_lock(thread), set_huge_pte_at)


@step("mm/hugetlb.c", cost="set_pte")
def set_huge_pte_at(engine: Mm, thread: Thread) -> Step:
    """Map the page by its one entry, unless it was mapped meanwhile."""
    fault, vma, tables = thread.in_flight, vma_of(thread), thread.mm.page_tables
    page, fault.page = fault.page, None
    lock = entry_lock(thread)
    if not tables.pmd_none(fault.address):
        if not vma.vm_flags & VM_SHARED:
            pool_of(engine).give_back(engine, page)
        spin_unlock(engine, thread, lock)
        return hugetlb_vma_unlock_read
    shared = vma.vm_flags & (VM_SHARED | VM_WRITE) == VM_SHARED | VM_WRITE
    flags = PRESENT | ACCESSED | (FILE if vma.vm_flags & VM_SHARED else 0)
    flags |= WRITABLE | DIRTY if shared or fault.write else 0
    frames: Frames = engine.world.frames
    map_block(frames, page, vma.anon_vma.id if vma.anon_vma else 0)
    huge = new_huge_pmd(engine, tables, fault.address, pte_of(page, flags))
    huge.hugetlb = True
    set_huge_pmd(engine, tables, huge)
    spin_unlock(engine, thread, lock)
    return hugetlb_vma_unlock_read
