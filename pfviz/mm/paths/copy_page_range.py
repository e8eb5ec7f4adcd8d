"""copy_page_range: a child gets copies of the page tables of one VMA, what it shares read-only.

Table by table under both page-table locks, the child's first; huge pages as a whole. What keeps
faults out of the VMA meanwhile is the business of `fork`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.page_range import copy_pte_range
from pfviz.mm.page_table import TABLE_SPAN, HugePmd, PteTable
from pfviz.mm.paths.huge_copy import HugeCopy, copy_huge
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.vma import VM_MIXEDMAP, VM_PFNMAP, VM_SHARED, VM_WRITE, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class TableCopy:
    """The tables of one VMA on their way to a child."""

    vma: Vma
    child: AddressSpace
    address: int
    """How far it got."""
    source: PteTable | None = None
    target: PteTable | None = None


def copy_tables(thread: Thread, vma: Vma, child: AddressSpace, then: Step) -> Step:
    """Copy the page tables of the parent's `vma` to `child`, then go on with `then`."""
    thread.sys.tables = TableCopy(vma, child, vma.vm_start)
    return thread.call(copy_page_range, then)


def _call(thread: Thread) -> TableCopy:
    copy = thread.sys.tables
    assert isinstance(copy, TableCopy)
    return copy


@step("mm/memory.c")
def copy_page_range(engine: Mm, thread: Thread) -> Step:
    """Copy the page tables, unless a later fault can fill them just as well."""
    call = _call(thread)
    # vma_needs_copy: frames without struct page cannot all be found again by a fault.
    if call.vma.anon_vma is None and not call.vma.vm_flags & (VM_PFNMAP | VM_MIXEDMAP):
        return thread.back()
    if is_cow_mapping(call.vma):
        engine.cost("seqcount")
        thread.mm.write_protect_seq += 1
    return copy_pte_range_begin


def is_cow_mapping(vma: Vma) -> bool:
    """Whether a write may need a copy: then fork write-protects what it shares."""
    return vma.vm_flags & (VM_WRITE | VM_SHARED) == VM_WRITE


@step("mm/memory.c", cost="copy_table", function="copy_pte_range")
def copy_pte_range_begin(engine: Mm, thread: Thread) -> Step:
    """Find the next page table of the VMA; the child needs one at the same place."""
    call = _call(thread)
    end = call.vma.vm_end
    source = None
    if call.address < end:
        source = thread.mm.page_tables.next_entry(call.address, end)
    if source is None:
        if is_cow_mapping(call.vma):
            engine.cost("seqcount")
            thread.mm.write_protect_seq += 1
        return thread.back()
    if isinstance(source, HugePmd):
        call.address = source.end
        copy = HugeCopy(source, call.child.page_tables, is_cow_mapping(call.vma))
        return copy_huge(thread, copy, huge_copied)
    call.source = source
    call.target = call.child.page_tables.walk(source.base)
    return lock_target if call.target is not None else pte_alloc_child


@step("mm/memory.c", cost="page_table_alloc", function="__pte_alloc")
def pte_alloc_child(engine: Mm, thread: Thread) -> Step:
    """Allocate the child's page table, then lock the PMD that is to point to it."""
    call = _call(thread)
    assert call.source is not None
    tables, address = call.child.page_tables, call.source.base
    if tables.missing_upper(address):
        tables.alloc_upper(engine, address)
    call.target = tables.new_table(engine, address)
    pmd = tables.pmd_table(address)
    assert pmd is not None
    return spin_lock(engine, thread, pmd.lock, then=pmd_install_child)


@step("mm/memory.c", cost="set_pte", function="pmd_install")
def pmd_install_child(engine: Mm, thread: Thread) -> Step:
    """Let the child's PMD point to its new table."""
    call = _call(thread)
    assert call.target is not None
    tables = call.child.page_tables
    pmd = tables.pmd_table(call.target.base)
    assert pmd is not None
    tables.link_table(engine, call.target)
    spin_unlock(engine, thread, pmd.lock)
    return lock_target


@step("mm/memory.c", function="copy_pte_range")
def lock_target(engine: Mm, thread: Thread) -> Step:
    """Lock the child's page table."""
    target = _call(thread).target
    assert target is not None
    return map_and_lock(engine, thread, target, copy_pte_range_nested)


@step("mm/memory.c", function="copy_pmd_range")
def huge_copied(engine: Mm, thread: Thread) -> Step:
    """A huge page is copied as a whole; go on behind it."""
    if engine.world.watch is not None:
        engine.world.watch.vma_copied(engine, thread, _call(thread).vma)
    return copy_pte_range_begin


@step("mm/memory.c", function="copy_pte_range")
def copy_pte_range_nested(engine: Mm, thread: Thread) -> Step:
    """Lock the parent's page table too, inside the child's."""
    source = _call(thread).source
    assert source is not None
    return map_and_lock(engine, thread, source, copy_present_ptes)


@step("mm/memory.c")
def copy_present_ptes(engine: Mm, thread: Thread) -> Step:
    """Copy the entries; what was writable becomes read-only on both sides: copy on write."""
    call = _call(thread)
    vma, source, target = call.vma, call.source, call.target
    assert source is not None
    assert target is not None
    copied = copy_pte_range(
        engine, thread.mm.page_tables, source, call.child.page_tables, target,
        call.address, vma.vm_end, cow=is_cow_mapping(vma),
    )  # fmt: skip
    engine.charge(copied * engine.machine.costs["copy_pte"])
    if engine.world.watch is not None:
        engine.world.watch.vma_copied(engine, thread, vma)
    return copy_pte_range_unlock


@step("mm/memory.c", function="pte_unmap_unlock")
def copy_pte_range_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock both page tables; the parent's TLB entries are stale from here on."""
    call = _call(thread)
    assert call.source is not None
    assert call.target is not None
    unlock_and_unmap(engine, thread, call.source)
    unlock_and_unmap(engine, thread, call.target)
    call.address = call.source.base + TABLE_SPAN
    call.source = call.target = None
    return copy_pte_range_begin
