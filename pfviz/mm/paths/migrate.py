"""migrate_pages: pages change their frames while migration entries keep faults waiting.

Each page is locked and its entries are replaced, the TLBs are flushed once for all; then page after
page is copied and its entries point to the new frame. For compaction, NUMA hints, device memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pfviz.mm.frames import PCP_BATCH, Frames
from pfviz.mm.page_cache import folio_trylock, folio_unlock
from pfviz.mm.page_table import (
    FILE,
    OCCUPIED,
    PAGE_SIZE,
    PFN_SHIFT,
    SPECIAL,
    TABLE_SPAN,
)
from pfviz.mm.paths.allocation import free_frames
from pfviz.mm.paths.rmap import (
    Found,
    Visit,
    find,
    flush_unmapped,
    remove_migration_pte,
    rmap_walk,
    try_to_migrate_one,
)
from pfviz.mm.swap import (
    AnonFolio,
    delete_from_swap_cache,
    drop_if_last,
    folio_of,
    forget,
    new_folio,
)
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

BATCH: Final = 32
"""Pages isolated at once (COMPACT_CLUSTER_MAX, SWAP_CLUSTER_MAX)."""


@dataclass(slots=True, eq=False)
class Moving:
    """Pages that are on their way to other frames."""

    todo: list[Found]
    visit: Visit = remove_migration_pte
    """What sets the entries that point to the new frame."""
    restore: Visit = remove_migration_pte
    """What sets them back when the page cannot be moved."""
    copy_cost: str = "copy"
    target: int | None = None
    """A frame that was allocated for the first page; else they come from this CPU's list."""
    locked: list[Found] = field(default_factory=list)
    found: Found | None = None
    """The page in work, as it was."""
    new: AnonFolio | None = None
    """The same in its new frame."""
    moved: int = 0


def migrate(thread: Thread, moving: Moving, then: Step) -> Step:
    """Move pages to which the caller holds a reference each; it is dropped. Then `then`."""
    thread.moving = moving
    return thread.call(migrate_pages, then)


def _moving(thread: Thread) -> Moving:
    moving = thread.moving
    assert isinstance(moving, Moving)
    return moving


@step("mm/migrate.c", cost="vma_check")
def migrate_pages(engine: Mm, thread: Thread) -> Step:
    """Lock the next page and replace its entries by migration entries; one in use is left alone."""
    moving = _moving(thread)
    if not moving.todo:
        return flush_unmapped(thread, then=migrate_pages_move)
    found = moving.todo.pop(0)
    if not folio_trylock(engine, thread, found.folio):
        return _put(engine, thread, found.folio, then=migrate_pages)
    moving.locked.append(found)
    return rmap_walk(engine, thread, found, try_to_migrate_one, then=migrate_pages)


@step("mm/migrate.c", cost="vma_check")
def migrate_pages_move(engine: Mm, thread: Thread) -> Step:
    """No TLB knows the pages any more: move the next one, if nobody else refers to it."""
    moving, frames = _moving(thread), engine.world.frames
    if not moving.locked:
        return thread.back()
    found = moving.locked.pop(0)
    folio = found.folio
    moving.found = found
    found.old_pfn = folio.pfn
    to_device = moving.visit is not remove_migration_pte
    if to_device and folio.is_cached:
        _leave_swap_cache(engine, folio)
    if not found.entries:
        return migrate_folio_done  # It was freed, or somebody else brought it back.
    in_use = frames.refcount[folio.pfn] != 1 + folio.is_cached or folio.writeback
    if in_use or frames.mapcount[folio.pfn] or (to_device and folio.is_cached):
        # Somebody else knows the page: its entries get back what they had.
        return rmap_walk(engine, thread, found, moving.restore, then=migrate_folio_done)
    return thread.call(move_to_new_folio, then=remove_migration_ptes)


@step("mm/migrate.c", cost="page_alloc")
def move_to_new_folio(engine: Mm, thread: Thread) -> Step:
    """Copy the page into its new frame; faults that meet its entry wait for the old one's lock."""
    moving = _moving(thread)
    frames = engine.world.frames
    assert moving.found is not None
    old = moving.found.folio
    pfn = moving.target if moving.target is not None else _take_frame(engine)
    moving.target = None
    frames.start_unmapped(pfn)
    new = new_folio(engine, pfn)
    new.dirty, new.isolated = old.dirty, True
    engine.world.swap.folios[pfn] = new
    folio_trylock(engine, thread, new)
    _move_swap_cache(engine, old, new)
    moving.new = new
    engine.cost(moving.copy_cost)
    if engine.world.watch is not None:
        engine.world.watch.frame_filled(pfn)
    moving.moved += 1
    return thread.back()


def _leave_swap_cache(engine: Mm, folio: AnonFolio) -> None:
    """A device's memory takes no page that swap knows: give the slot up, if nobody needs it."""
    assert folio.area is not None
    if not folio.writeback and not folio.area.counts[folio.slot]:
        delete_from_swap_cache(engine, folio)


def _move_swap_cache(engine: Mm, old: AnonFolio, new: AnonFolio) -> None:
    """folio_migrate_mapping: who looks the slot up from now on finds the new page."""
    if not old.is_cached:
        return
    frames = engine.world.frames
    assert old.area is not None
    new.area, new.slot, new.generation = old.area, old.slot, old.generation
    new.is_cached, old.is_cached = True, False
    old.area.cache[old.slot] = new
    frames.refcount[new.pfn] += 1
    frames.refcount[old.pfn] -= 1


def _take_frame(engine: Mm) -> int:
    """A frame for a page that moves: compaction has its free pages ready, so no lock is taken."""
    frames: Frames = engine.world.frames
    mine = frames.cpus[engine.cpu.id].free
    if not mine:
        mine.extend(frames.take_batch(frames.zone_of(engine.cpu), PCP_BATCH))
    return mine.pop()


@step("mm/migrate.c", cost="vma_check")
def remove_migration_ptes(engine: Mm, thread: Thread) -> Step:
    """Let every entry that said "on the move" point to where the page is now."""
    moving = _moving(thread)
    found, new = moving.found, moving.new
    assert found is not None
    assert new is not None
    moved = Found(new, found.anon_vma, found.index, old_pfn=found.old_pfn)
    return rmap_walk(engine, thread, moved, moving.visit, then=unlock_new_folio)


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
def unlock_new_folio(engine: Mm, thread: Thread) -> Step:
    """The page is in place: unlock it where it is now."""
    moving = _moving(thread)
    new = moving.new
    assert new is not None
    moving.new = None
    folio_unlock(engine, new)
    return _put(engine, thread, new, then=migrate_folio_done)


@step("mm/migrate.c", cost="folio_unlock")
def migrate_folio_done(engine: Mm, thread: Thread) -> Step:
    """Unlock the frame that the page has left: those who met its entry go on; then free it."""
    moving = _moving(thread)
    assert moving.found is not None
    old = moving.found.folio
    moving.found = None
    folio_unlock(engine, old)
    return _put(engine, thread, old, then=migrate_pages_move)


def _put(engine: Mm, thread: Thread, folio: AnonFolio, then: Step) -> Step:
    """Put the page back on its LRU list, or free its frame if nobody else refers to it."""
    frames = engine.world.frames
    folio.isolated = False
    frames.refcount[folio.pfn] -= 1
    forget(engine, folio)
    if not frames.refcount[folio.pfn]:
        return free_frames(engine, thread, [folio.pfn], then)
    drop_if_last(engine, folio)  # Its last mapping may have gone while it was locked.
    return then


# Which pages


def isolate(
    engine: Mm, mm: AddressSpace, start: int, end: int, pages_max: int = BATCH
) -> tuple[list[Found], int]:
    """Take references to the first anonymous pages that are mapped in a range, and where it ends.

    The caller holds what keeps them from being freed meanwhile: lru_lock, or the table's lock.
    """
    taken: list[Found] = []
    address = start
    while address < end and len(taken) < pages_max:
        table = mm.page_tables.next_table(address, end)
        if table is None:
            return taken, end
        address = max(address, table.base)
        stop = min(end, table.base + TABLE_SPAN)
        while address < stop and len(taken) < pages_max:
            pte = table.read(address)
            found = None
            if pte & OCCUPIED and not pte & (FILE | SPECIAL):
                found = isolate_at(engine, mm, address, pte >> PFN_SHIFT)
            if found is not None:
                taken.append(found)
            address += PAGE_SIZE
    return taken, address


def isolate_at(engine: Mm, mm: AddressSpace, address: int, pfn: int) -> Found | None:
    """Take a page off its LRU list, known by one place where it is mapped, and keep it.

    None when somebody else has it, or when its entries could not be found.
    """
    vma = mm.vma_at(address)
    known = engine.world.swap.folios.get(pfn)
    if vma is None or (known is not None and known.isolated):
        return None
    folio = folio_of(engine, pfn)
    found = find(vma, address, engine.world.frames.anon_vma[pfn], folio)
    if found is None:
        forget(engine, folio)
        return None
    folio.isolated = True
    engine.world.frames.refcount[pfn] += 1
    return found
