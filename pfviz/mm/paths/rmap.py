"""From a page to the entries that map it: the walk of its anon_vma, and what is done on the way.

The anon_vma's root is held for reading, each entry is changed under its table's lock; the TLBs are
flushed once, by `flush_unmapped`, before anybody relies on it (TTU_BATCH_FLUSH).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.mm.frames import Frames
from pfviz.mm.page_range import clear_pte, count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DEVICE,
    DIRTY,
    MARKER,
    MIGRATION,
    OCCUPIED,
    PAGE_SHIFT,
    PAGE_SIZE,
    PFN_SHIFT,
    PRESENT,
    PROTNONE,
    SPECIAL,
    SWAP,
    SWP_EXCLUSIVE,
    UFFD_WP,
    WRITABLE,
    PageTable,
    PteTable,
    pte_of,
)
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.reverse_map import AnonVma
from pfviz.mm.swap import AnonFolio, entry_of
from pfviz.mm.swap_entries import is_on_device
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.vma import VM_ACCESS, VM_LOCKED, VM_WRITE, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

Visit = Callable[["Mm", "Thread", Vma, PteTable, int], None]
"""What is done to one entry, its table's lock held: (engine, thread, VMA, table, address)."""


@dataclass(slots=True, eq=False)
class Found:
    """A page, and how its entries are found again."""

    folio: AnonFolio
    anon_vma: AnonVma
    index: int
    """Its place in the VMAs of the anon_vma (linear_page_index)."""
    entries: int = 0
    """How many entries were replaced."""
    old_pfn: int = -1
    """Of a page that has moved: the frame that its entries still name."""


@dataclass(slots=True, eq=False)
class Rmap:
    """Walks of one thread: the one in progress, and the flushes that are due since."""

    found: Found | None = None
    visit: Visit | None = None
    vmas: list[Vma] = field(default_factory=list)
    table: PteTable | None = None
    address: int = 0
    unflushed: dict[PageTable, tuple[int, int]] = field(default_factory=dict)


def find(vma: Vma, address: int, number: int, folio: AnonFolio) -> Found | None:
    """Where the entries of a page are found that is mapped at `address` of a VMA.

    `number` is its anon_vma's (page->mapping); None when the VMA is not linked to that.
    """
    for anon_vma in vma.anon_vma_chain:
        if anon_vma.id == number:
            return Found(folio, anon_vma, vma.page_index(address))
    return None


def rmap_of(thread: Thread) -> Rmap:
    """The walk of a thread, made at the first one."""
    if thread.rmap is None:
        thread.rmap = Rmap()
    assert isinstance(thread.rmap, Rmap)
    return thread.rmap


def rmap_walk(engine: Mm, thread: Thread, found: Found, visit: Visit, then: Step) -> Step:
    """Call `visit` for each place where the page's entry may be, then go on with `then`."""
    walk = rmap_of(thread)
    walk.found, walk.visit = found, visit
    thread.returns.append(then)
    return down_read(engine, thread, found.anon_vma.rwsem, then=rmap_walk_anon)


@step("mm/rmap.c", cost="interval_tree")
def rmap_walk_anon(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """With the anon_vma held for reading, find the VMAs that may map the page."""
    walk = rmap_of(thread)
    assert walk.found is not None
    walk.vmas = list(walk.found.anon_vma.vmas.values())
    return _next_vma(thread)


def _next_vma(thread: Thread) -> Step:
    walk = rmap_of(thread)
    assert walk.found is not None
    while walk.vmas:
        vma = walk.vmas[0]
        address = vma.vm_start + ((walk.found.index - vma.vm_pgoff) << PAGE_SHIFT)
        if vma.covers(address):
            walk.table = vma.mm.page_tables.walk(address)
            walk.address = address
            if walk.table is not None:
                return page_vma_mapped_walk
        del walk.vmas[0]
    return rmap_walk_done


@step("mm/page_vma_mapped.c", cost="rmap")
def page_vma_mapped_walk(engine: Mm, thread: Thread) -> Step:
    """Go down to the page table of one mapping and lock it."""
    table = rmap_of(thread).table
    assert table is not None
    return map_and_lock(engine, thread, table, visit_entry)


@step("mm/rmap.c", cost="set_pte", function="try_to_unmap_one")
def visit_entry(engine: Mm, thread: Thread) -> Step:
    """Change the entry, if it is there, and unlock the page table."""
    walk = rmap_of(thread)
    table, vma = walk.table, walk.vmas.pop(0)
    assert table is not None
    assert walk.visit is not None
    if table.is_linked:
        walk.visit(engine, thread, vma, table, walk.address)
    unlock_and_unmap(engine, thread, table)
    return _next_vma(thread)


@step("mm/rmap.c", function="rmap_walk_anon")
def rmap_walk_done(engine: Mm, thread: Thread) -> Step:
    """All mappings were seen: give the anon_vma back."""
    walk = rmap_of(thread)
    assert walk.found is not None
    up_read(engine, thread, walk.found.anon_vma.rwsem)
    walk.found = None
    return thread.back()


# What is done to an entry


def _unmap(engine: Mm, thread: Thread, vma: Vma, table: PteTable, address: int) -> int:
    """Clear the page's entry; what it was, or 0 when there is none. The flush is put off."""
    walk = rmap_of(thread)
    assert walk.found is not None
    pte = table.read(address)
    pfn = walk.found.folio.pfn
    if pte >> PFN_SHIFT != pfn or pte & SPECIAL or not (pte & OCCUPIED or is_on_device(pte)):
        return 0
    page_tables = vma.mm.page_tables
    clear_pte(engine, page_tables, table, address)
    engine.world.frames.unmap(pfn)
    if pte & SWAP:
        return pte  # Nobody can have it in a TLB.
    known = walk.unflushed.get(page_tables)
    if known is None:
        page_tables.flush_pending += 1
        known = (address, address)
    walk.unflushed[page_tables] = (
        min(known[0], address), max(known[1], address + PAGE_SIZE),
    )  # fmt: skip
    return pte


def try_to_unmap_one(engine: Mm, thread: Thread, vma: Vma, table: PteTable, address: int) -> None:
    """Let the entry point to the page's slot in swap, unless its VMA is locked in memory."""
    if vma.vm_flags & VM_LOCKED:
        return
    folio = _found(thread).folio
    exclusive = engine.world.frames.is_exclusive(folio.pfn)
    pte = _unmap(engine, thread, vma, table, address)
    if not pte:
        return
    area = folio.area
    assert area is not None
    folio.dirty = folio.dirty or pte & DIRTY != 0
    area.lock.line.write(engine)
    area.duplicate(folio.slot)
    page_tables = vma.mm.page_tables
    count_rss(engine, page_tables, anon=-1)
    page_tables.rss_swap += 1
    entry = entry_of(area, folio.slot, exclusive) | pte & UFFD_WP
    set_pte(engine, page_tables, table, address, entry)


def try_to_migrate_one(engine: Mm, thread: Thread, vma: Vma, table: PteTable, address: int) -> None:
    """Let the entry say that the page is on the move."""
    folio = _found(thread).folio
    exclusive = engine.world.frames.is_exclusive(folio.pfn)
    pte = _unmap(engine, thread, vma, table, address)
    if not pte:
        return
    _found(thread).entries += 1
    entry = folio.pfn << PFN_SHIFT | SWAP | MIGRATION | pte & (WRITABLE | UFFD_WP)
    # A NUMA hint or PROT_NONE takes the right to write from the entry, not from the page.
    entry |= SWP_EXCLUSIVE if exclusive else 0
    entry |= DIRTY if pte & DIRTY else 0
    set_pte(engine, vma.mm.page_tables, table, address, entry)


def remove_migration_pte(
    engine: Mm, thread: Thread, vma: Vma, table: PteTable, address: int
) -> None:
    """Let the entry of a page that was on the move point to where it is now."""
    found, frames = _found(thread), engine.world.frames
    entry = table.read(address)
    if entry & (SWAP | MARKER) != SWAP | MIGRATION or entry >> PFN_SHIFT != found.old_pfn:
        return
    exclusive = entry & SWP_EXCLUSIVE != 0
    _map(frames, found, exclusive)
    flags = (PRESENT if vma.vm_flags & VM_ACCESS else PROTNONE) | ACCESSED
    flags |= entry & (DIRTY | UFFD_WP)
    if entry & WRITABLE and vma.vm_flags & VM_WRITE:
        flags |= WRITABLE
    set_pte(engine, vma.mm.page_tables, table, address, pte_of(found.folio.pfn, flags))


def set_device_pte(engine: Mm, thread: Thread, vma: Vma, table: PteTable, address: int) -> None:
    """Let the entry of a page that was on the move point to a device's memory."""
    found = _found(thread)
    entry = table.read(address)
    if entry & (SWAP | MARKER) != SWAP | MIGRATION or entry >> PFN_SHIFT != found.old_pfn:
        return
    exclusive = entry & SWP_EXCLUSIVE != 0
    _map(engine.world.frames, found, exclusive)
    flags = SWAP | DEVICE | entry & (WRITABLE | SWP_EXCLUSIVE | DIRTY | UFFD_WP)
    set_pte(engine, vma.mm.page_tables, table, address, pte_of(found.folio.pfn, flags))


def _map(frames: Frames, found: Found, exclusive: bool) -> None:
    frames.map_anon(found.folio.pfn, found.anon_vma.id, exclusive)


def _found(thread: Thread) -> Found:
    found = rmap_of(thread).found
    assert found is not None
    return found


# Flush


def flush_unmapped(thread: Thread, then: Step) -> Step:
    """Flush the translations of all that was unmapped since the last flush, then go on."""
    if not rmap_of(thread).unflushed:
        return then
    return thread.call(try_to_unmap_flush, then)


@step("mm/rmap.c", cost="tlb_gather")
def try_to_unmap_flush(engine: Mm, thread: Thread) -> Step:
    """Nobody may use the old translations any more: flush them on every CPU."""
    page_tables, (start, end) = next(iter(rmap_of(thread).unflushed.items()))
    return flush_tlb_range(engine, thread, page_tables, start, end, flushed, "unmapped pages")


@step("mm/rmap.c", function="try_to_unmap_flush")
def flushed(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """No TLB knows them any more."""
    walk: Any = rmap_of(thread)
    page_tables = next(iter(walk.unflushed))
    del walk.unflushed[page_tables]
    page_tables.flush_pending -= 1
    return try_to_unmap_flush if walk.unflushed else thread.back()
