"""Taking pages out of page tables: unmap_vmas under the page-table locks, then flush and free.

Shared by munmap, mmap, brk, madvise and exit. The caller holds what keeps the VMAs stable; no page
is freed before every TLB that could know it was flushed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pfviz.mm.huge_pmd import is_covered, zap_huge_pmd
from pfviz.mm.hugetlb import pool_of
from pfviz.mm.page_range import zap_pte_range
from pfviz.mm.page_table import TABLE_SPAN, HugePmd, PteTable
from pfviz.mm.paths.allocation import free_frames
from pfviz.mm.paths.huge_alloc import free_huge_frames
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.tlb import MmuGather, flush_tlb_range, tlb_gather, tlb_remove_table_sync_one
from pfviz.mm.vma import VM_HUGETLB, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import RwSemaphore, down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

FREE_BATCH: Final = 512
"""Pages freed between two chances to be preempted (MAX_NR_FOLIOS_PER_FREE)."""


@dataclass(slots=True, eq=False)
class Zap:
    """One gather in flight: the ranges to unmap, and what was collected to be freed."""

    mm: AddressSpace
    gather: MmuGather
    reason: str
    ranges: list[tuple[Vma, int, int]] = field(default_factory=list)
    position: int = 0
    address: int = 0
    table: PteTable | None = None
    huge: HugePmd | None = None
    """The huge page that goes as a whole."""
    hugetlb: list[RwSemaphore] = field(default_factory=list)
    """Locks that are held while pages of a hugetlb mapping go."""

    @property
    def vma(self) -> Vma:
        """The VMA whose pages go now."""
        return self.ranges[self.position][0]

    @property
    def end(self) -> int:
        """Where the range in work ends."""
        return self.ranges[self.position][2]


def begin_zap(engine: Mm, thread: Thread, mm: AddressSpace, reason: str) -> Zap:
    """Begin to collect (tlb_gather_mmu); from here on others see that a flush is pending."""
    engine.cost("tlb_gather")
    zap = Zap(mm, tlb_gather(mm.page_tables), reason)
    thread.zap = zap
    return zap


def unmap_vmas(thread: Thread, ranges: list[tuple[Vma, int, int]], then: Step) -> Step:
    """Unmap every page of the ranges, table by table, then go on with `then`."""
    zap = _zap(thread)
    zap.ranges, zap.position = ranges, -1
    thread.returns.append(then)
    return _next_table(thread)


def tlb_finish(thread: Thread, then: Step) -> Step:
    """Flush what was collected, free it, and go on with `then`."""
    return thread.call(tlb_finish_mmu, then)


def _zap(thread: Thread) -> Zap:
    zap = thread.zap
    assert isinstance(zap, Zap)
    return zap


def _next_table(thread: Thread) -> Step:
    """The step for the next page table of the ranges; the way back when there is none left."""
    zap = _zap(thread)
    while zap.table is None:
        if zap.position < 0 or zap.address >= zap.end:
            if zap.hugetlb:
                return hugetlb_zap_end
            zap.position += 1
            if zap.position == len(zap.ranges):
                return thread.back()
            zap.address = zap.ranges[zap.position][1]
            if zap.vma.vm_flags & VM_HUGETLB:
                return hugetlb_zap_begin
        entry = zap.mm.page_tables.next_entry(zap.address, zap.end)
        if isinstance(entry, HugePmd):
            return _huge_page(thread, zap, entry)
        zap.table = entry
        if entry is None:
            zap.address = zap.end
    return unmap_page_range


# hugetlb: no page is unmapped while a fault maps it


@step("mm/hugetlb.c (6.1+)", cost="vma_check")
def hugetlb_zap_begin(engine: Mm, thread: Thread) -> Step:
    """A mapping of the huge-page pool: keep its faults out, if they hold a lock for that."""
    zap = _zap(thread)
    lock = pool_of(engine).vma_lock(engine, zap.vma)
    if lock is None:
        return hugetlb_lock_file(engine, thread)
    zap.hugetlb.append(lock)
    return down_write(engine, thread, lock, hugetlb_lock_file)


@step("mm/hugetlb.c", function="hugetlb_zap_begin")
def hugetlb_lock_file(engine: Mm, thread: Thread) -> Step:
    """And lock the file's tree: page tables may be shared with others who map it."""
    zap = _zap(thread)
    assert zap.vma.vm_file is not None
    zap.hugetlb.append(zap.vma.vm_file.i_mmap)
    return down_write(engine, thread, zap.vma.vm_file.i_mmap, hugetlb_zap)


@step("mm/hugetlb.c", function="__unmap_hugepage_range")
def hugetlb_zap(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go through the huge pages of the range."""
    return _next_table(thread)


@step("mm/hugetlb.c (6.1+)")
def hugetlb_zap_end(engine: Mm, thread: Thread) -> Step:
    """Let faults in again, should there be any."""
    zap = _zap(thread)
    while zap.hugetlb:
        up_write(engine, thread, zap.hugetlb.pop())
    return _next_table(thread)


def _huge_page(thread: Thread, zap: Zap, huge: HugePmd) -> Step:
    """All of a huge page goes by its PMD entry; a part of it only after a split."""
    if is_covered(huge, zap.address, zap.end):
        zap.huge = huge
        return zap_pmd_range
    return split_huge_pmd(thread, zap.mm, huge, zap_split)


@step("mm/memory.c", cost="zap_empty_table", function="zap_pmd_range")
def zap_split(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The huge page is split: go on with the page table that has taken its place."""
    return _next_table(thread)


@step("mm/memory.c", cost="zap_empty_table")
def zap_pmd_range(engine: Mm, thread: Thread) -> Step:
    """A huge page lies in the range as a whole: take the lock of its PMD entry."""
    huge = _zap(thread).huge
    assert huge is not None
    return spin_lock(engine, thread, huge.lock, zap_huge)


@step("mm/huge_memory.c", cost="zap_table", function="zap_huge_pmd")
def zap_huge(engine: Mm, thread: Thread) -> Step:
    """Clear the one entry, and free the page table that was kept for a split."""
    zap = _zap(thread)
    huge = zap.huge
    assert huge is not None
    if huge.is_linked:
        zap_huge_pmd(engine, zap.mm.page_tables, huge, zap.gather)
        engine.cost("page_free")
    return zap_huge_unlock


@step("mm/huge_memory.c", function="spin_unlock")
def zap_huge_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the PMD lock: 512 pages are gone."""
    zap = _zap(thread)
    huge, zap.huge = zap.huge, None
    assert huge is not None
    spin_unlock(engine, thread, huge.lock)
    # Somebody may have split it meanwhile: then its table comes next.
    zap.address = huge.end if zap.mm.page_tables.pmd_none(huge.base) else huge.base
    return _next_table(thread)


@step("mm/memory.c", cost="zap_empty_table")
def unmap_page_range(engine: Mm, thread: Thread) -> Step:
    """Go down to the next page table of the range and take its lock."""
    table = _zap(thread).table
    assert table is not None
    return map_and_lock(engine, thread, table, zap_pte_table)


@step("mm/memory.c", cost="zap_table", function="zap_pte_range")
def zap_pte_table(engine: Mm, thread: Thread) -> Step:
    """Clear the entries of the range in this table; the pages are kept until the TLB flush."""
    zap = _zap(thread)
    table = zap.table
    assert table is not None
    tables = zap.mm.page_tables
    cleared = zap_pte_range(engine, tables, table, zap.address, zap.end, zap.gather)
    engine.charge(cleared * engine.machine.costs["zap_pte"])
    return zap_pte_unlock


@step("mm/memory.c", function="pte_unmap_unlock")
def zap_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table; a better task may have the CPU now."""
    zap = _zap(thread)
    assert zap.table is not None
    unlock_and_unmap(engine, thread, zap.table)
    zap.address = zap.table.base + TABLE_SPAN
    zap.table = None
    return _next_table(thread)


# Flush and free


@step("mm/mmu_gather.c", cost="tlb_gather")
def tlb_finish_mmu(engine: Mm, thread: Thread) -> Step:
    """Flush what changed from every TLB that may know it; only then pages and tables are freed."""
    zap = _zap(thread)
    gather = zap.gather
    if not gather.pages and not gather.tables:
        return _gathered(thread)
    start, end = (gather.start, gather.end) if gather.pages else (0, 0)
    tables = bool(gather.tables)
    then = tlb_flush_done
    if tables:
        with_pages = engine.world.page_table_free == "flush"
        then = free_tables_with_pages if with_pages else tlb_remove_tables
    return flush_tlb_range(
        engine, thread, zap.mm.page_tables, start, end, then, zap.reason, tables,
        gather.stride_shift,
    )  # fmt: skip


@step("mm/mmu_gather.c", function="tlb_flush_mmu")
def tlb_flush_done(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """No TLB knows the old entries any more."""
    return _gathered(thread)


@step("mm/mmu_gather.c", function="tlb_flush_mmu")
def free_tables_with_pages(engine: Mm, thread: Thread) -> Step:
    """Free page tables like pages: the flush interrupted all CPUs that could walk in them.

    Without RCU a table is a page of the batch (tlb_remove_table is tlb_remove_page).
    """
    engine.charge(len(_zap(thread).gather.tables) * engine.machine.costs["page_free"])
    _free_tables_now(engine, thread)
    return _gathered(thread)


@step("mm/mmu_gather.c", function="tlb_table_flush")
def tlb_remove_tables(engine: Mm, thread: Thread) -> Step:
    """Give up the page tables, whose memory is freed when no walker can stand in one any more."""
    gather = _zap(thread).gather
    if engine.world.page_table_free == "ipi":
        return tlb_remove_table_sync_one(engine, thread, tlb_remove_table_free)
    tables, gather.tables = gather.tables, []
    batch = TableBatch(tables[0].id, tables)
    engine.world.rcu.call_rcu(engine, "page tables", batch, free_tables)
    return _gathered(thread)


@step("mm/mmu_gather.c", cost="page_free")
def tlb_remove_table_free(engine: Mm, thread: Thread) -> Step:
    """Every CPU has answered, so no walk with interrupts off goes on: free the tables at once."""
    _free_tables_now(engine, thread)
    return _gathered(thread)


def _free_tables_now(engine: Mm, thread: Thread) -> None:
    """No grace period is due."""
    gather = _zap(thread).gather
    tables, gather.tables = gather.tables, []
    free_tables(engine, TableBatch(tables[0].id, tables))


def _gathered(thread: Thread) -> Step:
    """The step that frees the next batch of pages; the way back when all are free."""
    zap = _zap(thread)
    if zap.gather.frames:
        return tlb_batch_pages_flush
    if zap.gather.blocks:
        return free_huge_folios
    if zap.gather.pool:
        return lock_hugetlb_pool
    zap.mm.page_tables.flush_pending -= 1
    thread.zap = None
    return thread.back()


@step("mm/mmu_gather.c")
def tlb_batch_pages_flush(engine: Mm, thread: Thread) -> Step:
    """Free pages that no page table and no TLB knows any more."""
    gather = _zap(thread).gather
    batch = gather.frames[:FREE_BATCH]
    del gather.frames[:FREE_BATCH]
    return free_frames(engine, thread, batch, then=_gathered(thread))


@step("mm/mmu_gather.c", function="tlb_batch_pages_flush")
def free_huge_folios(engine: Mm, thread: Thread) -> Step:
    """Free a huge page in one piece."""
    free_huge_frames(engine, _zap(thread).gather.blocks.pop())
    return _gathered(thread)


@step("mm/hugetlb.c", cost="vma_check", function="free_huge_folio")
def lock_hugetlb_pool(engine: Mm, thread: Thread) -> Step:
    """A page of the hugetlb pool is free again: take the pool's lock."""
    return spin_lock(engine, thread, pool_of(engine).lock, free_huge_folio)


@step("mm/hugetlb.c", cost="page_free")
def free_huge_folio(engine: Mm, thread: Thread) -> Step:
    """Give a page back to the hugetlb pool, under its lock."""
    pool = pool_of(engine)
    pool.give_back(engine, _zap(thread).gather.pool.pop())
    spin_unlock(engine, thread, pool.lock)
    return _gathered(thread)


@dataclass(slots=True, eq=False)
class TableBatch:
    """Page tables that wait for a grace period together (mmu_table_batch)."""

    id: int
    tables: list[PteTable]


def free_tables(engine: Mm, batch: TableBatch) -> None:
    """No walk goes on: the memory of the page tables is given back (may be an RCU callback)."""
    for table in batch.tables:
        assert not table.occupied, f"page table {table.base:#x} freed with live entries"
        if engine.world.watch is not None:
            engine.world.watch.table_freed(engine, table)
        table.is_freed = True
