"""First touch of anonymous memory that may have huge pages: 2 MiB at once, under the PMD lock.

One fault instead of 512, but the fault lock is held while all of it is zeroed. Where no huge page
is to be had the fault goes on with a small one (VM_FAULT_FALLBACK).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.huge_pmd import HUGE_ZERO, map_new_huge, new_huge_pmd, set_huge_pmd
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    TABLE_SPAN,
    WRITABLE,
    HugePmd,
    PteTable,
    pte_of,
)
from pfviz.mm.paths.allocation import folio_add_lru_vma
from pfviz.mm.paths.anon_vma import vmf_anon_prepare
from pfviz.mm.paths.huge_alloc import alloc_huge, alloc_huge_zero, clear_huge_page, release_huge
from pfviz.mm.paths.outcome import VM_FAULT_FALLBACK, VM_FAULT_RETRY
from pfviz.mm.paths.userfaultfd import userfault
from pfviz.mm.userfaultfd import MISSING
from pfviz.mm.vma import (
    VM_HUGEPAGE,
    VM_HUGETLB,
    VM_NOHUGEPAGE,
    VM_UFFD_MISSING,
    VM_WRITE,
    Vma,
)
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import SpinLock, spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def may_be_huge(engine: Mm, vma: Vma, address: int) -> bool:
    """Whether a fault may map 2 MiB here (thp_vma_allowable_order, aligned range in the VMA)."""
    policy = engine.world.policy.thp
    flags = vma.vm_flags
    if policy == "never" or flags & (VM_NOHUGEPAGE | VM_HUGETLB) or not vma.is_anonymous:
        return False
    if policy == "madvise" and not flags & VM_HUGEPAGE:
        return False
    start = address & -TABLE_SPAN
    return vma.vm_start <= start and start + TABLE_SPAN <= vma.vm_end


@step("mm/huge_memory.c", cost="vma_check")
def do_huge_pmd_anonymous_page(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Nothing is mapped in these 2 MiB: even a read needs an anon_vma, for a later write."""
    return thread.call(vmf_anon_prepare, then=khugepaged_enter_vma)


@step("mm/khugepaged.c", cost="vma_check")
def khugepaged_enter_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Let khugepaged know of this process; a read then gets the huge zero page."""
    fault = thread.in_flight
    if fault.result & VM_FAULT_RETRY:
        return thread.back()
    if not fault.write:
        return thread.call(pte_alloc_one, then=mm_get_huge_zero_folio)
    return thread.call(alloc_huge, then=huge_allocated)


@step("arch/x86/mm/pgtable.c", cost="page_table_alloc")
def pte_alloc_one(engine: Mm, thread: Thread) -> Step:
    """Get a page table ready that nobody needs yet: for the day on which the page is split."""
    fault = thread.in_flight
    fault.scratch["deposit"] = thread.mm.page_tables.new_table(engine, fault.address)
    return thread.back()


# Read: the huge zero page


@step("mm/huge_memory.c", cost="vma_check")
def mm_get_huge_zero_folio(engine: Mm, thread: Thread) -> Step:
    """Take the huge zero page; who is first has to make it."""
    if not engine.world.huge_zero:
        return thread.call(alloc_huge_zero, then=got_huge_zero)
    return lock_pmd(engine, thread, set_huge_zero_folio)


@step("mm/huge_memory.c", function="get_huge_zero_page")
def got_huge_zero(engine: Mm, thread: Thread) -> Step:
    """There is 2 MiB for the huge zero page, or there is not: then small pages must do."""
    if thread.in_flight.page is None:
        return _fall_back(engine, thread)
    return thread.call(clear_huge_page, then=publish_huge_zero)


@step("mm/huge_memory.c", cost="vma_check", function="get_huge_zero_page")
def publish_huge_zero(engine: Mm, thread: Thread) -> Step:
    """Let all processes share it, unless another thread was faster."""
    world = engine.world
    if world.huge_zero:
        release_huge(engine, thread)
    else:
        world.huge_zero = True
        world.count("thp_zero_page_alloc")
        thread.in_flight.page = None
    return lock_pmd(engine, thread, set_huge_zero_folio)


@step("mm/huge_memory.c", cost="set_pte")
def set_huge_zero_folio(engine: Mm, thread: Thread) -> Step:
    """Map the huge zero page, unless another thread was faster."""
    fault = thread.in_flight
    if not _is_free(engine, thread):
        return pmd_unlock
    fault.kind = fault.kind or "thp_read_zero"
    return _set_pmd(engine, thread, HUGE_ZERO)


# Write: a huge page of one's own


@step("mm/huge_memory.c", cost="vma_check", function="__do_huge_pmd_anonymous_page")
def huge_allocated(engine: Mm, thread: Thread) -> Step:
    """There is a huge page; if memory is too fragmented for one, small pages must do."""
    if thread.in_flight.page is None:
        return _fall_back(engine, thread)
    if engine.world.preset.thp_zeroes_first:
        thread.returns.append(lock_for_huge)
        return thread.call(clear_huge_page, then=pte_alloc_one)
    thread.returns.append(lock_for_huge)
    return thread.call(pte_alloc_one, then=clear_huge_page)


@step("mm/huge_memory.c", function="__do_huge_pmd_anonymous_page")
def lock_for_huge(engine: Mm, thread: Thread) -> Step:
    """All is ready: lock the PMD entry."""
    return lock_pmd(engine, thread, recheck_pmd)


@step("mm/huge_memory.c", cost="pte_read", function="__do_huge_pmd_anonymous_page")
def recheck_pmd(engine: Mm, thread: Thread) -> Step:
    """See whether another thread was faster: the loser gives all 2 MiB back."""
    if not _is_free(engine, thread):
        release_huge(engine, thread)
        return pmd_unlock
    return map_anon_folio_pmd


@step("mm/huge_memory.c", cost="huge_rmap", function="folio_add_new_anon_rmap")
def map_anon_folio_pmd(engine: Mm, thread: Thread) -> Step:
    """Count the huge page and point it at the VMA's anon_vma: it is exclusive to this process."""
    fault = thread.in_flight
    vma = fault.vma
    assert vma is not None
    fault.kind = fault.kind or "thp_write"
    flags = PRESENT | ACCESSED | (WRITABLE | DIRTY if vma.vm_flags & VM_WRITE else 0)
    huge = new_huge_pmd(engine, thread.mm.page_tables, fault.address, pte_of(fault.page, flags))
    map_new_huge(engine, thread.mm.page_tables, huge, vma.anon_vma.id if vma.anon_vma else 0)
    fault.scratch["huge"] = huge
    fault.page = None
    return add_huge_lru(engine, thread, then=pgtable_trans_huge_deposit)


def add_huge_lru(engine: Mm, thread: Thread, then: Step) -> Step:
    """Put a huge page onto the LRU list: a large folio does not wait for the batch to fill."""
    mine = engine.world.frames.cpus[engine.cpu.id]
    mine.lru_batch = engine.world.preset.lru_batch - 1
    return thread.call(folio_add_lru_vma, then=then)


@step("mm/pgtable-generic.c", cost="set_pte")
def pgtable_trans_huge_deposit(engine: Mm, thread: Thread) -> Step:
    """Put the page table aside and let the PMD entry map 2 MiB: from now on all can be used."""
    huge: HugePmd = thread.in_flight.scratch.pop("huge")
    huge.deposit = thread.in_flight.scratch.pop("deposit")
    set_huge_pmd(engine, thread.mm.page_tables, huge)
    engine.world.count("thp_fault_alloc")
    return pmd_unlock


# Both


def pmd_lock_of(thread: Thread) -> SpinLock:
    """The lock of the PMD table of the fault's address."""
    pmd = thread.mm.page_tables.pmd_table(thread.in_flight.address)
    assert pmd is not None
    return pmd.lock


def lock_pmd(engine: Mm, thread: Thread, then: Step) -> Step:
    """Take the PMD lock of the fault's address (pmd_lock)."""
    return spin_lock(engine, thread, pmd_lock_of(thread), then)


def _is_free(engine: Mm, thread: Thread) -> bool:  # noqa: ARG001
    """Whether the PMD entry is still none and no monitor is to fill it; else drop the table."""
    fault = thread.in_flight
    vma = fault.vma
    assert vma is not None
    if not thread.mm.page_tables.pmd_none(fault.address):
        fault.kind = fault.kind or "spurious"
        return False
    return not vma.vm_flags & VM_UFFD_MISSING


def _set_pmd(engine: Mm, thread: Thread, value: int) -> Step:
    fault = thread.in_flight
    deposit: PteTable = fault.scratch.pop("deposit")
    huge = new_huge_pmd(engine, thread.mm.page_tables, fault.address, value, deposit)
    set_huge_pmd(engine, thread.mm.page_tables, huge)
    return pmd_unlock


def _fall_back(engine: Mm, thread: Thread) -> Step:
    """No huge page: count it, and let the caller go on with small ones."""
    engine.world.count("thp_fault_fallback")
    thread.in_flight.result |= VM_FAULT_FALLBACK
    if thread.in_flight.scratch.pop("deposit", None) is not None:
        engine.cost("page_free")
    return thread.back()


@step("mm/huge_memory.c", function="spin_unlock")
def pmd_unlock(engine: Mm, thread: Thread) -> Step:
    """Release the PMD lock; a page table that was not needed is freed."""
    fault = thread.in_flight
    spin_unlock(engine, thread, pmd_lock_of(thread))
    if fault.scratch.pop("deposit", None) is not None:
        engine.cost("page_free")
    vma = fault.vma
    if (
        vma is not None
        and vma.vm_flags & VM_UFFD_MISSING
        and thread.mm.page_tables.pmd_none(fault.address)
    ):
        return userfault(thread, MISSING)
    return thread.back()
