"""First touch of an anonymous page: the shared zero page for a read, a zeroed page for a write.

Chains that end with `back`; the VMA is kept stable by the caller's lock. `vmf_anon_prepare` is used
by copy-on-write and private file writes, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.frames import ZERO_PFN
from pfviz.mm.page_range import count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    SPECIAL,
    WRITABLE,
    PteTable,
    keeping_mark,
    pte_of,
)
from pfviz.mm.paths.allocation import (
    clear_user_page,
    folio_add_lru_vma,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.anon_vma import vmf_anon_prepare
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock
from pfviz.mm.paths.userfaultfd import userfault
from pfviz.mm.userfaultfd import MISSING
from pfviz.mm.vma import VM_UFFD_MISSING, VM_WRITE, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c", cost="vma_check")
def do_anonymous_page(engine: Mm, thread: Thread) -> Step:
    """No page was ever here: a read gets the zero page, a write a page of its own."""
    fault = thread.in_flight
    if thread.mm.page_tables.walk(fault.address) is None:
        return thread.call(pte_alloc, then=choose_anonymous_page)
    return choose_anonymous_page(engine, thread)


@step("mm/memory.c", cost="vma_check", function="do_anonymous_page")
def choose_anonymous_page(engine: Mm, thread: Thread) -> Step:
    """A write needs a page of its own and an anon_vma; a read is content with the zero page."""
    fault = thread.in_flight
    assert fault.vma is not None
    if fault.write:
        fault.kind = fault.kind or ("anon_write" if fault.vma.anon_vma else "anon_write_first")
        return thread.call(vmf_anon_prepare, then=alloc_anon_folio)
    fault.kind = fault.kind or "anon_read_zero"
    return pte_offset_map_lock(engine, thread, then=set_zero_pte)


# A missing PTE table


@step("mm/memory.c", cost="page_table_alloc", function="__pte_alloc")
def pte_alloc(engine: Mm, thread: Thread) -> Step:
    """Allocate a page for the missing PTE table, then lock the PMD that is to point to it."""
    page_tables = thread.mm.page_tables
    pmd = page_tables.pmd_table(thread.in_flight.address)
    assert pmd is not None
    thread.in_flight.scratch["table"] = page_tables.new_table(engine, thread.in_flight.address)
    return spin_lock(engine, thread, pmd.lock, then=pmd_install)


@step("mm/memory.c", cost="set_pte")
def pmd_install(engine: Mm, thread: Thread) -> Step:
    """Let the PMD point to the new table, unless another thread was faster."""
    fault = thread.in_flight
    page_tables = thread.mm.page_tables
    pmd = page_tables.pmd_table(fault.address)
    assert pmd is not None
    table: PteTable = fault.scratch.pop("table")
    if page_tables.pmd_none(fault.address):
        page_tables.link_table(engine, table)
    else:
        engine.cost("page_free")
    spin_unlock(engine, thread, pmd.lock)
    return thread.back()


# Read


@step("mm/memory.c", cost="set_pte", function="do_anonymous_page")
def set_zero_pte(engine: Mm, thread: Thread) -> Step:
    """Map the shared zero page, unless another thread was faster."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        assert fault.vma is not None
        if fault.vma.vm_flags & VM_UFFD_MISSING:
            return thread.call(pte_unmap_unlock, then=userfault(thread, MISSING))
        pte = keeping_mark(fault.orig_pte, pte_of(ZERO_PFN, PRESENT | ACCESSED | SPECIAL))
        set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    return pte_unmap_unlock


# Write


@step("mm/memory.c", cost="vma_check")
def alloc_anon_folio(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Allocate a page, charge it and zero it; no page-table lock is held meanwhile."""
    if thread.in_flight.result & VM_FAULT_RETRY:
        return thread.back()
    thread.returns.append(lock_for_anon_pte)
    return thread.call(vma_alloc_folio, then=clear_user_page)


@step("mm/memory.c", cost="pte_read", function="do_anonymous_page")
def lock_for_anon_pte(engine: Mm, thread: Thread) -> Step:
    """The page is ready: lock the page table to map it."""
    return pte_offset_map_lock(engine, thread, then=recheck_anon_pte)


@step("mm/memory.c", cost="pte_read", function="do_anonymous_page")
def recheck_anon_pte(engine: Mm, thread: Thread) -> Step:
    """See whether another thread mapped a page here meanwhile: the loser gives its page back."""
    table: PteTable | None = thread.in_flight.pmd
    if table is None or pte_changed(thread, table):
        release_page(engine, thread)
        return pte_unmap_unlock
    assert thread.in_flight.vma is not None
    if thread.in_flight.vma.vm_flags & VM_UFFD_MISSING:
        return thread.call(pte_unmap_unlock, then=folio_put)
    return folio_add_new_anon_rmap


@step("mm/swap.c", function="__folio_put")
def folio_put(engine: Mm, thread: Thread) -> Step:
    """A monitor is to say what this page holds: the page prepared here is given back."""
    release_page(engine, thread)
    return userfault(thread, MISSING)


@step("mm/rmap.c", cost="map")
def folio_add_new_anon_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the page and point it at the VMA's anon_vma: the page is exclusive to this process."""
    add_new_anon_rmap(engine, thread)
    return thread.call(folio_add_lru_vma, then=set_anon_pte)


@step("mm/memory.c", cost="set_pte", function="do_anonymous_page")
def set_anon_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry: from now on the page can be used. Nothing needs flushing."""
    fault = thread.in_flight
    assert fault.vma is not None
    store_anon_pte(engine, thread, fault.vma.vm_flags)
    return pte_unmap_unlock


def add_new_anon_rmap(engine: Mm, thread: Thread) -> None:
    """The effect of folio_add_new_anon_rmap and the RSS count on the fault's new page."""
    fault = thread.in_flight
    vma: Vma | None = fault.vma
    assert vma is not None
    count_rss(engine, thread.mm.page_tables, anon=1)
    engine.world.frames.start_anon(fault.page, vma.anon_vma.id if vma.anon_vma else 0)


def store_anon_pte(engine: Mm, thread: Thread, vm_flags: int) -> None:
    """Let the fault's entry point to its new page."""
    fault = thread.in_flight
    flags = PRESENT | ACCESSED | (WRITABLE | DIRTY if vm_flags & VM_WRITE else 0)
    table: PteTable = fault.pmd
    pte = pte_of(fault.page, flags)
    if fault.orig_pte:
        pte = keeping_mark(fault.orig_pte, pte)
    set_pte(engine, thread.mm.page_tables, table, fault.address, pte)
    fault.page = None
