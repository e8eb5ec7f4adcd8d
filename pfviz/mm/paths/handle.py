"""The handler proper, the same under every lock: find the PTE, see what it says, choose the path.

Tables that are missing above the PTE table are made here. What happens to the entry is the business
of anonymous, file and copy_on_write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_range import set_pte
from pfviz.mm.page_table import ACCESSED, DIRTY, PRESENT, SWAP, WRITABLE, PteTable
from pfviz.mm.paths import anonymous, copy_on_write, file, numa, swap_in
from pfviz.mm.paths.dax_huge import dax_iomap_pmd_fault, may_map_pmd, wp_or_found
from pfviz.mm.paths.huge_anon import do_huge_pmd_anonymous_page, may_be_huge
from pfviz.mm.paths.huge_wp import found_huge
from pfviz.mm.paths.hugetlb import hugetlb_fault
from pfviz.mm.paths.outcome import VM_FAULT_FALLBACK
from pfviz.mm.paths.pte_lock import pte_changed, pte_map, pte_unmap, pte_unmap_unlock
from pfviz.mm.vma import VM_HUGETLB, VM_MIXEDMAP
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c", cost="handle_mm_fault")
def handle_mm_fault(engine: Mm, thread: Thread) -> Step:
    """Account the fault to its memory cgroup and handle it: the VMA is stable from here on."""
    fault = thread.in_flight
    assert fault.vma is not None
    if fault.vma.vm_flags & VM_HUGETLB:
        return hugetlb_fault
    if thread.mm.page_tables.missing_upper(fault.address):
        return _upper_table(thread)
    return _below_pmd(engine, thread)


def _below_pmd(engine: Mm, thread: Thread) -> Step:
    """What comes first in the PMD: a huge page that is there or may be made, or a PTE table."""
    page_tables = thread.mm.page_tables
    fault = thread.in_flight
    assert fault.vma is not None
    is_dax = fault.vma.vm_flags & VM_MIXEDMAP
    if engine.world.policy.thp == "never" and not page_tables.huge and not is_dax:
        return handle_pte_fault
    huge = page_tables.huge_at(fault.address)
    if huge is not None:
        found = wp_or_found(thread, huge) if is_dax else found_huge(thread, huge)
        return thread.call(found, then=huge_done)
    if is_dax and page_tables.walk(fault.address) is None and may_map_pmd(fault.vma, fault.address):
        return thread.call(dax_iomap_pmd_fault, then=huge_done)
    if page_tables.walk(fault.address) is None and may_be_huge(engine, fault.vma, fault.address):
        return thread.call(do_huge_pmd_anonymous_page, then=huge_done)
    return handle_pte_fault


@step("mm/memory.c", cost="vma_check", function="__handle_mm_fault")
def huge_done(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """See whether the fault was handled for all 2 MiB, or must go on with a small page."""
    fault = thread.in_flight
    if not fault.result & VM_FAULT_FALLBACK:
        return thread.back()
    fault.result &= ~VM_FAULT_FALLBACK
    return handle_pte_fault


def _upper_table(thread: Thread) -> Step:
    """The step that makes the upper table that is missing."""
    tables, address = thread.mm.page_tables, thread.in_flight.address
    return pud_alloc if tables.missing_pud(address) else pmd_alloc


@step("mm/memory.c", cost="page_table_alloc", function="__pud_alloc")
def pud_alloc(engine: Mm, thread: Thread) -> Step:
    """Two page-table pages are missing above the PTE table: allocate the upper, then lock."""
    lock = thread.mm.page_tables.page_table_lock
    return spin_lock(engine, thread, lock, then=p4d_populate)


@step("mm/memory.c", cost="set_pte", function="__pud_alloc")
def p4d_populate(engine: Mm, thread: Thread) -> Step:
    """Link it under page_table_lock, unless another thread was faster."""
    page_tables = thread.mm.page_tables
    page_tables.alloc_pud(engine, thread.in_flight.address)
    spin_unlock(engine, thread, page_tables.page_table_lock)
    return pmd_alloc


@step("mm/memory.c", cost="page_table_alloc", function="__pmd_alloc")
def pmd_alloc(engine: Mm, thread: Thread) -> Step:
    """The page-table page above the PTE table is missing: allocate one before taking its lock."""
    lock = thread.mm.page_tables.page_table_lock
    return spin_lock(engine, thread, lock, then=pud_populate)


@step("mm/memory.c", cost="set_pte", function="__pmd_alloc")
def pud_populate(engine: Mm, thread: Thread) -> Step:
    """Link it under page_table_lock, unless another thread was faster."""
    page_tables = thread.mm.page_tables
    if page_tables.missing_upper(thread.in_flight.address):
        page_tables.alloc_upper(engine, thread.in_flight.address)
    spin_unlock(engine, thread, page_tables.page_table_lock)
    return _below_pmd(engine, thread)


@step("mm/memory.c", cost="handle_pte_fault")
def handle_pte_fault(engine: Mm, thread: Thread) -> Step:
    """Read the page-table entry without its lock and decide by what it says."""
    fault = thread.in_flight
    assert fault.vma is not None
    table = thread.mm.page_tables.walk(fault.address)
    fault.pmd = table
    fault.orig_pte = 0
    fault.orig_pte_valid = table is not None
    if table is not None:
        pte_map(engine, thread)
        engine.cost("pte_read")
        fault.orig_pte = table.read(fault.address)
        if fault.orig_pte & PRESENT:
            return spin_lock(engine, thread, table.ptl, then=pte_present)
        if fault.orig_pte & SWAP:
            return swap_in.do_swap_page
        pte_unmap(engine, thread)
    if not fault.orig_pte:
        if fault.vma.is_anonymous:
            return anonymous.do_anonymous_page
        return file.do_fault
    # A page that may not be touched in a VMA that may: a NUMA hint.
    return numa.do_numa_page


@step("mm/memory.c", cost="pte_read", function="handle_pte_fault")
def pte_present(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The page is mapped: with the lock held see whether the entry is still the same."""
    fault = thread.in_flight
    table: PteTable = fault.pmd
    if pte_changed(thread, table):
        fault.kind = fault.kind or "spurious"
        return pte_unmap_unlock
    if fault.write and not fault.orig_pte & WRITABLE:
        return copy_on_write.do_wp_page
    return ptep_set_access_flags


@step("mm/memory.c", cost="set_pte")
def ptep_set_access_flags(engine: Mm, thread: Thread) -> Step:
    """Another thread repaired the entry already: mark it young (and dirty), nothing else is due."""
    fault = thread.in_flight
    table: PteTable = fault.pmd
    pte = fault.orig_pte | ACCESSED | (DIRTY if fault.write else 0)
    if pte != fault.orig_pte:
        set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    fault.kind = fault.kind or "spurious"
    return pte_unmap_unlock
