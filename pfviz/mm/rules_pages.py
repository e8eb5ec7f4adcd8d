"""Rules about pages: where they may be mapped, what TLBs may know, what must be gone at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.page_range import rss_by_count
from pfviz.mm.page_table import (
    FILE,
    OCCUPIED,
    PAGE_SHIFT,
    PFN_SHIFT,
    PRESENT,
    SPECIAL,
    TABLE_SHIFT,
    TABLE_SPAN,
    UFFD_WP,
    WRITABLE,
)
from pfviz.mm.reverse_map import has_anon_vma
from pfviz.mm.rules_locks import is_written, threads_of
from pfviz.mm.vma import VM_UFFD_WP, VM_WRITE, Vma

if TYPE_CHECKING:
    from pfviz.mm.tlb import Tlb
    from pfviz.mm.world import Mm


def pages_lie_in_vmas(engine: Mm) -> Iterator[str]:
    """I1: a mapped page lies in an attached VMA, or in one that is coming or going."""
    for mm in engine.world.mms:
        leaving = _leaving(engine, mm)
        for huge in mm.page_tables.huge.values():
            vmas = [*mm.tree.between(huge.base, huge.end), *leaving]
            if not any(vma.vm_start <= huge.base and huge.end <= vma.vm_end for vma in vmas):
                yield f"the huge page at {huge.base:#x} of {mm.name} lies in no VMA"
        for table in mm.page_tables.all_tables():
            if not table.occupied:
                continue
            start, end = table.base, table.base + TABLE_SPAN
            vmas = [*mm.tree.between(start, end)]
            vmas += [vma for vma in leaving if vma.vm_start < end and vma.vm_end > start]
            ranges = sorted({(vma.vm_start, vma.vm_end) for vma in vmas})
            covered = sum(table.count(low, high) for low, high in _disjoint(ranges))
            if covered != table.occupied:
                missing = table.occupied - covered
                yield f"{missing} pages near {start:#x} of {mm.name} lie in no VMA"


def _leaving(engine: Mm, mm: AddressSpace) -> list[Vma]:
    """VMAs out of the tree whose pages are still being unmapped, or mapped before it shows them."""
    found = []
    for thread in threads_of(engine):
        if thread.unmap is not None and thread.unmap.mm is mm:
            found += thread.unmap.vmas
        if thread.remap is not None and thread.mm is mm:
            found.append(thread.remap.vma)
    return found


def _disjoint(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    reached = 0
    for low, high in ranges:
        if max(low, reached) < high:
            yield max(low, reached), high
            reached = high


def writable_pages_are_allowed(engine: Mm) -> Iterator[str]:
    """I6: a writable page lies in a VMA with VM_WRITE, except while the mm's writer is at work."""
    for mm in engine.world.mms:
        if is_written(mm):
            continue
        for vma in mm.tree:
            if not vma.vm_flags & VM_WRITE:
                yield from writable_pages_of(vma)
            elif vma.vm_flags & VM_UFFD_WP:
                yield from marked_pages_that_are_writable(vma)


def marked_pages_that_are_writable(vma: Vma) -> Iterator[str]:
    """Pages that a userfaultfd monitor has write-protected and that can be written all the same."""
    for address, pte in _entries(vma.mm, vma):
        if pte & PRESENT and pte & UFFD_WP and pte & WRITABLE:
            yield f"page {address:#x} is writable, but its monitor wants to know of writes"


def writable_pages_of(vma: Vma) -> Iterator[str]:
    """The first page that a VMA lets be written; at most one."""
    tables = vma.mm.page_tables.tables(vma.vm_start, vma.vm_end)
    is_writable = WRITABLE.__and__
    ranges = ((table, table.slots(vma.vm_start, vma.vm_end)) for table in tables if table.occupied)
    small = any(any(map(is_writable, t.ptes[slots.start : slots.stop])) for t, slots in ranges)
    if not small and not vma.mm.page_tables.huge:
        return  # Nearly always so, and this look is quick.
    for address, pte in _entries(vma.mm, vma):
        if pte & PRESENT and pte & WRITABLE:
            yield f"page {address:#x} is writable in a VMA {vma.perms}"
            return


def _entries(mm: AddressSpace, vma: Vma) -> Iterator[tuple[int, int]]:
    huge = mm.page_tables.next_huge(vma.vm_start, vma.vm_end)
    while huge is not None:
        if huge.value & OCCUPIED and not huge.hugetlb:
            yield huge.base, huge.value
        huge = mm.page_tables.next_huge(huge.end, vma.vm_end)
    for table in mm.page_tables.tables(vma.vm_start, vma.vm_end):
        if not table.occupied:
            continue
        for slot in table.slots(vma.vm_start, vma.vm_end):
            pte = table.ptes[slot]
            if pte & OCCUPIED:
                yield table.base + (slot << PAGE_SHIFT), pte


def tlbs_are_not_stale(engine: Mm) -> Iterator[str]:
    """I14: no CPU can write a page that the page tables no longer let it write.

    Not while a flush is due or on its way: a writer or a gather at work, a page-table lock held.
    """
    by_id = {mm.id: mm for mm in engine.world.mms}
    for tlb in engine.world.tlbs.of_cpu:
        mm = by_id.get(tlb.mm)
        if mm is None or is_written(mm) or mm.page_tables.flush_pending:
            continue
        known = [(page << PAGE_SHIFT, entry) for page, entry in tlb.entries.items()]
        known += [(index << TABLE_SHIFT, entry) for index, entry in tlb.huge.items()]
        for address, entry in known:
            if entry & WRITABLE and is_stale(tlb, mm, address, entry):
                yield f"CPU {tlb.cpu} can still write page {address:#x} through its TLB"
                return


def is_stale(tlb: Tlb, mm: AddressSpace, address: int, entry: int) -> bool:
    """Whether a CPU may write a page that the page table does not let it write, for no good reason.

    Good reasons are a flush that is due or on its way: a writer or a gather at work, a generation
    that has not reached this CPU, the page-table lock held.
    """
    tables = mm.page_tables
    table = tables.walk(address)
    huge = tables.huge_at(address) if table is None else None
    pte = tables.pte(address)
    if pte & WRITABLE and pte >> PFN_SHIFT == entry >> PFN_SHIFT:
        return False
    # A CPU that is behind flushes before it runs this mm again, or is interrupted just now.
    if is_written(mm) or tables.flush_pending or tlb.gen != tables.tlb_gen:
        return False
    if table is None:
        return huge is None or huge.lock.holder is None
    return table.ptl.holder is None


def pages_can_be_found(engine: Mm) -> Iterator[str]:
    """I13: the anon_vma of a mapped page is in the chain of the VMA that maps it."""
    frames = engine.world.frames
    for mm in engine.world.mms:
        for vma in mm.tree:
            for address, pte in _entries(mm, vma):
                if pte & (FILE | SPECIAL):
                    continue
                if not has_anon_vma(vma, frames.anon_vma[pte >> PFN_SHIFT]):
                    yield f"page {address:#x} of {mm.name} cannot be found from its VMA"
                    return


def rss_counters_are_true(engine: Mm) -> Iterator[str]:
    """I23: the resident-set counters equal the entries that are there."""
    for mm in engine.world.mms:
        anon, file = rss_by_count(mm.page_tables)
        counted = (mm.page_tables.rss_anon, mm.page_tables.rss_file)
        if counted != (anon, file):
            yield f"RSS of {mm.name} says {counted}, but there are {(anon, file)}"


def nothing_is_left_behind(engine: Mm) -> Iterator[str]:
    """I24: ended address spaces keep nothing; no lock, section or callback is left."""
    world = engine.world
    for mm in world.mms:
        tables = mm.page_tables
        if mm.exited and (len(mm.tree) or any(tables.all_tables()) or tables.huge):
            yield f"{mm.name} has ended but keeps VMAs or page tables"
        if mm.page_tables.flush_pending:
            yield f"{mm.name} has a TLB flush pending for ever"
        if mm.tree.dead_nodes:
            yield f"{mm.name} keeps dead tree nodes"
    if world.rcu.sections or world.rcu.next or world.rcu.current:
        yield "RCU has readers or callbacks left"
    for thread in threads_of(engine):
        if thread.vma_read_locks:
            yield f"{thread.name} still holds a VMA"
    mapped = sum(frame_count(mm) for mm in world.mms)
    # Pages of the swap cache that nobody maps belong to their slots, others to the hugetlb pool.
    kept = sum(1 for pfn in world.swap.folios if not world.frames.mapcount[pfn])
    kept += 0 if world.hugetlb is None else world.hugetlb.used_pages
    if not mapped and world.frames.used != kept:
        yield f"{world.frames.used - kept} page frames are lost"


def frame_count(mm: AddressSpace) -> int:
    """Anonymous pages mapped in an address space."""
    return rss_by_count(mm.page_tables)[0]
