"""move_page_tables: the pages of a VMA go over to another address, table by table.

Old and new page-table lock are held at once, the flush of the old addresses comes before either is
dropped. Where both sides are aligned a whole table moves by its PMD entry, under the locks of the
reverse map. The VMA is write-locked by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.huge_pmd import move_huge_pmd, new_huge_pmd
from pfviz.mm.page_move import move_pte_range, move_table
from pfviz.mm.page_table import TABLE_SHIFT, TABLE_SPAN, HugePmd, PteTable, UpperTable
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import RwSemaphore, down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Move:
    """Pages on their way from one address to another."""

    vma: Vma
    """The VMA that they were mapped in: its reverse-map locks are the ones to take."""
    old: int
    new: int
    length: int
    rmap_locks: bool
    """Whether the reverse map might look at the new place first, and miss the page at both."""
    done: int = 0
    """Bytes moved so far."""
    extent: int = 0
    source: PteTable | None = None
    huge: HugePmd | None = None
    """What is next when it is a huge page."""
    target: PteTable | None = None
    rwsems: list[RwSemaphore] = field(default_factory=list)
    """Reverse-map locks that are held."""
    moved: int = 0

    @property
    def mm(self) -> AddressSpace:
        """Whose page tables."""
        return self.vma.mm

    @property
    def from_address(self) -> int:
        """The next old address."""
        return self.old + self.done

    @property
    def to_address(self) -> int:
        """The next new address."""
        return self.new + self.done

    @property
    def whole_table(self) -> bool:
        """Whether what is next can be moved by its PMD entry."""
        return self.extent == TABLE_SPAN and self.mm.page_tables.pmd_none(self.to_address)


def move_pages(thread: Thread, move: Move, then: Step) -> Step:
    """Move the pages of a write-locked VMA, then go on with `then`."""
    thread.move = move
    return thread.call(move_page_tables, then)


def _move(thread: Thread) -> Move:
    move = thread.move
    assert isinstance(move, Move)
    return move


@step("mm/mremap.c", cost="zap_empty_table")
def move_page_tables(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Find the next page table that holds pages of the old range."""
    move = _move(thread)
    tables, end = move.mm.page_tables, move.old + move.length
    source = tables.next_entry(move.from_address, end) if move.from_address < end else None
    if source is None:
        thread.move = None
        return thread.back()
    move.huge = source if isinstance(source, HugePmd) else None
    move.source = source if isinstance(source, PteTable) else None
    move.done = max(move.done, source.base - move.old)
    # get_extent: not beyond a table on either side.
    move.extent = min(
        TABLE_SPAN - move.from_address % TABLE_SPAN,
        TABLE_SPAN - move.to_address % TABLE_SPAN,
        end - move.from_address,
    )
    if move.huge is not None and not move.whole_table:
        return split_huge_pmd(thread, move.mm, move.huge, move_page_tables)
    if tables.missing_upper(move.to_address):
        return alloc_new_pmd
    return _below_new_pmd(thread)


# Tables for the new place


@step("mm/mremap.c", cost="page_table_alloc")
def alloc_new_pmd(engine: Mm, thread: Thread) -> Step:
    """A page-table page above the new entries is missing: allocate it before taking its lock."""
    return spin_lock(engine, thread, _move(thread).mm.page_tables.page_table_lock, pmd_populate)


@step("mm/memory.c", cost="set_pte", function="__pmd_alloc")
def pmd_populate(engine: Mm, thread: Thread) -> Step:
    """Link the upper tables under page_table_lock, unless another thread was faster."""
    move = _move(thread)
    tables = move.mm.page_tables
    if tables.missing_upper(move.to_address):
        tables.alloc_upper(engine, move.to_address)
    spin_unlock(engine, thread, tables.page_table_lock)
    return _below_new_pmd(thread)


def _below_new_pmd(thread: Thread) -> Step:
    move = _move(thread)
    if move.rmap_locks or (move.whole_table and move.huge is None):
        return take_rmap_locks
    return _pte_table(thread)


def _pte_table(thread: Thread) -> Step:
    move = _move(thread)
    if move.whole_table:
        return move_normal_pmd
    if move.mm.page_tables.walk(move.to_address) is None:
        return pte_alloc
    return move_ptes


@step("mm/memory.c", cost="page_table_alloc", function="__pte_alloc")
def pte_alloc(engine: Mm, thread: Thread) -> Step:
    """There is no table yet at the new place: allocate one, then lock the PMD above it."""
    return spin_lock(engine, thread, _pmd(_move(thread)).lock, pmd_install)


@step("mm/memory.c", cost="set_pte")
def pmd_install(engine: Mm, thread: Thread) -> Step:
    """Let the PMD point to the new table, unless another thread was faster."""
    move = _move(thread)
    move.mm.page_tables.table_for(engine, move.to_address)
    spin_unlock(engine, thread, _pmd(move).lock)
    return move_ptes


def _pmd(move: Move, address: int | None = None) -> UpperTable:
    pmd = move.mm.page_tables.pmd_table(move.to_address if address is None else address)
    assert pmd is not None
    return pmd


# Reverse-map locks


@step("mm/mremap.c")
def take_rmap_locks(engine: Mm, thread: Thread) -> Step:
    """Who looks for a page by the reverse map may not miss it at both places: lock the file's."""
    move = _move(thread)
    if move.vma.vm_file is None:
        return take_anon_lock(engine, thread)
    move.rwsems.append(move.vma.vm_file.i_mmap)
    return down_write(engine, thread, move.vma.vm_file.i_mmap, take_anon_lock)


@step("mm/mremap.c", function="take_rmap_locks")
def take_anon_lock(engine: Mm, thread: Thread) -> Step:
    """And that of its anon_vma, if it has one."""
    move = _move(thread)
    if move.vma.anon_vma is None:
        return _pte_table(thread)
    move.rwsems.append(move.vma.anon_vma.rwsem)
    return down_write(engine, thread, move.vma.anon_vma.rwsem, rmap_locked)


@step("mm/mremap.c", function="take_rmap_locks")
def rmap_locked(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The reverse map is locked: go on to the page tables."""
    return _pte_table(thread)


# A whole table


@step("mm/mremap.c", cost="vma_check")
def move_normal_pmd(engine: Mm, thread: Thread) -> Step:
    """Both places are aligned: lock the PMD that points to the whole table."""
    move = _move(thread)
    return spin_lock(engine, thread, _pmd(move, move.from_address).lock, lock_new_pmd)


@step("mm/mremap.c", function="move_normal_pmd")
def lock_new_pmd(engine: Mm, thread: Thread) -> Step:
    """And, nested in it, the PMD that is to point to it, unless one lock serves both."""
    move = _move(thread)
    old, new = _pmd(move, move.from_address), _pmd(move)
    then = set_new_pmd if move.huge is None else move_huge
    if new is old:
        return then(engine, thread)
    return spin_lock(engine, thread, new.lock, then)


@step("mm/mremap.c", cost="set_pte", function="move_normal_pmd")
def set_new_pmd(engine: Mm, thread: Thread) -> Step:
    """Hang the table below its new entry: 512 pages move by two stores; flush the old addresses."""
    move = _move(thread)
    assert move.source is not None
    start = move.from_address
    move.moved += move.source.occupied
    move.target = move_table(engine, move.mm.page_tables, move.source, move.to_address)
    tables, end = move.mm.page_tables, start + TABLE_SPAN
    return flush_tlb_range(engine, thread, tables, start, end, unlock_pmds, "mremap")


@step("mm/huge_memory.c", cost="set_pte", function="move_huge_pmd")
def move_huge(engine: Mm, thread: Thread) -> Step:
    """Map the huge page at its new address by one entry; flush the old address."""
    move = _move(thread)
    huge, tables = move.huge, move.mm.page_tables
    assert huge is not None
    if not huge.is_linked:
        return unlock_pmds(engine, thread)
    move_huge_pmd(engine, tables, huge, new_huge_pmd(engine, tables, move.to_address, huge.value))
    move.moved += huge.counted_pages
    return flush_tlb_range(
        engine, thread, tables, huge.base, huge.end, unlock_pmds, "mremap",
        stride_shift=TABLE_SHIFT,
    )  # fmt: skip


@step("mm/mremap.c", function="move_normal_pmd")
def unlock_pmds(engine: Mm, thread: Thread) -> Step:
    """No TLB knows the old addresses any more: unlock."""
    move = _move(thread)
    old, new = _pmd(move, move.from_address), _pmd(move)
    if new is not old:
        spin_unlock(engine, thread, new.lock)
    spin_unlock(engine, thread, old.lock)
    return _extent_moved(engine, thread)


# Entry by entry


@step("mm/mremap.c", cost="zap_table")
def move_ptes(engine: Mm, thread: Thread) -> Step:
    """Lock the old page table."""
    move = _move(thread)
    assert move.source is not None
    move.target = move.mm.page_tables.walk(move.to_address)
    return map_and_lock(engine, thread, move.source, lock_new_ptes)


@step("mm/mremap.c", function="move_ptes")
def lock_new_ptes(engine: Mm, thread: Thread) -> Step:
    """And, nested in it, the new one, unless one table holds both places."""
    move = _move(thread)
    assert move.target is not None
    if move.target is move.source:
        return move_entries(engine, thread)
    return map_and_lock(engine, thread, move.target, move_entries)


@step("mm/mremap.c", function="move_ptes")
def move_entries(engine: Mm, thread: Thread) -> Step:
    """Clear each entry and set it at its new address; then flush the old ones from every TLB."""
    move = _move(thread)
    assert move.source is not None
    assert move.target is not None
    start = move.from_address
    moved, present = move_pte_range(
        engine, move.mm.page_tables, move.source, move.target, start, move.to_address, move.extent
    )
    engine.charge(moved * engine.machine.costs["move_pte"])
    move.moved += moved
    if not present:
        return unlock_ptes
    tables = move.mm.page_tables
    return flush_tlb_range(
        engine, thread, tables, start, start + move.extent, unlock_ptes, "mremap"
    )


@step("mm/mremap.c", function="move_ptes")
def unlock_ptes(engine: Mm, thread: Thread) -> Step:
    """No TLB knows the old addresses any more: only now others may touch the entries."""
    move = _move(thread)
    assert move.source is not None
    assert move.target is not None
    if move.target is not move.source:
        unlock_and_unmap(engine, thread, move.target)
    unlock_and_unmap(engine, thread, move.source)
    return _extent_moved(engine, thread)


def _extent_moved(engine: Mm, thread: Thread) -> Step:
    move = _move(thread)
    while move.rwsems:
        up_write(engine, thread, move.rwsems.pop())
    move.done += move.extent
    move.source = move.target = None
    return move_page_tables
