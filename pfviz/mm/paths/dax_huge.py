"""A fault on a file in persistent memory where 2 MiB can be mapped at once: vm_ops->huge_fault.

Nobody asks whether huge_fault can do without mmap_lock: since 6.6 it is called under whatever lock
the fault holds. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.huge_pmd import log_huge, new_huge_pmd, set_huge_pmd
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PAGE_SHIFT,
    PRESENT,
    PTES_PER_TABLE,
    SPECIAL,
    TABLE_SPAN,
    WRITABLE,
    HugePmd,
    pte_of,
)
from pfviz.mm.paths.driver import pfn_in
from pfviz.mm.paths.file_page import file_of
from pfviz.mm.paths.huge_wp import found_huge
from pfviz.mm.paths.outcome import VM_FAULT_FALLBACK
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def may_map_pmd(vma: Vma, address: int) -> bool:
    """Whether VMA and file both have the 2 MiB around an address, at the same alignment."""
    file = vma.vm_file
    start = address & -TABLE_SPAN
    if file is None or file.driver is None or not file.driver.is_dax:
        return False
    if start < vma.vm_start or start + TABLE_SPAN > vma.vm_end:
        return False
    index = ((start - vma.vm_start) >> PAGE_SHIFT) + vma.vm_pgoff
    return not index % PTES_PER_TABLE and index + PTES_PER_TABLE <= file.pages


def wp_or_found(thread: Thread, huge: HugePmd) -> Step:
    """The step for a fault in 2 MiB that are mapped: a first write asks the filesystem again."""
    if thread.in_flight.write and huge.value & PRESENT and not huge.value & WRITABLE:
        return dax_iomap_pmd_fault
    return found_huge(thread, huge)


@step("fs/dax.c", cost="page_cache_lookup")
def dax_iomap_pmd_fault(engine: Mm, thread: Thread) -> Step:
    """huge_fault: the filesystem keeps truncation out and looks up where the 2 MiB lie."""
    fault = thread.in_flight
    fault.kind = fault.kind or "dax"
    return down_read(engine, thread, file_of(thread).invalidate_lock, then=dax_pmd_entry)


@step("fs/dax.c", cost="page_cache_lookup", function="dax_insert_entry")
def dax_pmd_entry(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Note in the file's tree that these 2 MiB are mapped."""
    return vmf_insert_pfn_pmd


@step("mm/huge_memory.c", cost="vma_check")
def vmf_insert_pfn_pmd(engine: Mm, thread: Thread) -> Step:
    """Lock the PMD entry; the page table for a later split is got ready."""
    fault, tables = thread.in_flight, thread.mm.page_tables
    fault.scratch["deposit"] = tables.new_table(engine, fault.address)
    pmd = tables.pmd_table(fault.address)
    assert pmd is not None
    return spin_lock(engine, thread, pmd.lock, then=insert_pfn_pmd)


@step("mm/huge_memory.c", cost="set_pte")
def insert_pfn_pmd(engine: Mm, thread: Thread) -> Step:
    """Map the 2 MiB, writable for a write; if a page table came in between, use small pages."""
    fault, tables = thread.in_flight, thread.mm.page_tables
    vma, deposit = fault.vma, fault.scratch.pop("deposit")
    assert vma is not None
    start = fault.address & -TABLE_SPAN
    rights = WRITABLE | DIRTY if fault.write else 0
    huge = tables.huge_at(fault.address)
    if huge is not None:
        huge.value |= ACCESSED | rights
        if rights and engine.world.watch is not None:
            engine.world.watch.page_set_writable(engine, tables.mm, huge.base)
        log_huge(engine, tables, huge)
    elif tables.walk(fault.address) is not None:
        fault.result |= VM_FAULT_FALLBACK
    else:
        value = pte_of(pfn_in(vma, start), PRESENT | ACCESSED | FILE | SPECIAL | rights)
        set_huge_pmd(engine, tables, new_huge_pmd(engine, tables, start, value, deposit))
    return pfn_pmd_unlock


@step("mm/huge_memory.c", function="vmf_insert_pfn_pmd")
def pfn_pmd_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the PMD entry."""
    pmd = thread.mm.page_tables.pmd_table(thread.in_flight.address)
    assert pmd is not None
    spin_unlock(engine, thread, pmd.lock)
    return dax_pmd_unlock


@step("fs/dax.c", cost="vma_check", function="dax_iomap_pmd_fault")
def dax_pmd_unlock(engine: Mm, thread: Thread) -> Step:
    """Let truncation go on."""
    up_read(engine, thread, file_of(thread).invalidate_lock)
    return thread.back()
