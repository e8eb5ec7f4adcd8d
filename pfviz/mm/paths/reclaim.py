"""Swap-out: pages are unmapped everywhere, written to swap and freed, as kswapd does it.

No mmap_lock and no VMA lock is taken: the reverse map finds the entries, the page's lock keeps
others off it. `reclaim_pages` is also what MADV_PAGEOUT ends in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.operations import PAGE_SHIFT, Place, Reclaim
from pfviz.mm.page_cache import folio_trylock, folio_unlock
from pfviz.mm.paths.allocation import free_frames
from pfviz.mm.paths.migrate import isolate
from pfviz.mm.paths.rmap import Found, flush_unmapped, rmap_walk, try_to_unmap_one
from pfviz.mm.swap import (
    AnonFolio,
    SwapArea,
    add_to_swap_cache,
    delete_from_swap_cache,
    drop_if_last,
    forget,
    submit_write,
)
from pfviz.sim import event
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Reclaiming:
    """Pages to be swapped out, and those that can be freed."""

    todo: list[Found]
    found: Found | None = None
    """The page in work."""
    free: list[int] = field(default_factory=list)
    reclaimed: int = 0


@dataclass(slots=True, eq=False)
class ReclaimCall:
    """One Reclaim on its way."""

    mm: AddressSpace
    address: int
    end: int
    reclaimed: int = 0


def reclaim_pages(thread: Thread, todo: list[Found], then: Step) -> Step:
    """Swap pages out to which the caller holds a reference each; it is dropped. Then `then`.

    `thread.moving.reclaimed` says how many were freed, until the next call.
    """
    thread.moving = Reclaiming(todo)
    return thread.call(shrink_folio_list, then)


def _moving(thread: Thread) -> Reclaiming:
    moving = thread.moving
    assert isinstance(moving, Reclaiming)
    return moving


def _folio(thread: Thread) -> AnonFolio:
    found = _moving(thread).found
    assert found is not None
    return found.folio


# As kswapd


@step("mm/vmscan.c", cost="munmap_checks")
def shrink_lruvec(engine: Mm, thread: Thread) -> Step:
    """Memory is short: look for pages that were not used for long."""
    operation = thread.operation
    assert isinstance(operation, Reclaim)
    mm, start = range_of(engine, thread, operation.place, operation.mm)
    thread.sys = ReclaimCall(mm, start, start + (operation.pages << PAGE_SHIFT))
    return isolate_begin(engine, thread)


def range_of(engine: Mm, thread: Thread, place: Place, name: str) -> tuple[AddressSpace, int]:
    """The process called `name` ("" is the thread's own), and a place in it (0 for none)."""
    if not name:
        return thread.mm, thread.resolve(place) or 0
    mm = engine.world.mm_named(name)
    base = place.base if isinstance(place.base, int) else mm.slots.get(place.base)
    return mm, 0 if base is None else base + place.offset


def isolate_begin(engine: Mm, thread: Thread) -> Step:
    """Lock the LRU list."""
    zone = engine.world.frames.zone_of(engine.cpu)
    return spin_lock(engine, thread, zone.lru_lock, then=isolate_lru_folios)


@step("mm/vmscan.c", cost="lru_drain")
def isolate_lru_folios(engine: Mm, thread: Thread) -> Step:
    """Take up to 32 pages off the LRU list, so that nobody else reclaims them."""
    call = thread.sys
    assert isinstance(call, ReclaimCall)
    taken, call.address = isolate(engine, call.mm, call.address, call.end)
    engine.charge(len(taken) * engine.machine.costs["lru_isolate"])
    spin_unlock(engine, thread, engine.world.frames.zone_of(engine.cpu).lru_lock)
    return reclaim_pages(thread, taken, then=shrink_inactive_list)


@step("mm/vmscan.c", cost="cond_resched")
def shrink_inactive_list(engine: Mm, thread: Thread) -> Step:
    """Is there more to be reclaimed?"""
    call = thread.sys
    assert isinstance(call, ReclaimCall)
    call.reclaimed += _moving(thread).reclaimed
    thread.moving = None
    if call.address < call.end:
        return isolate_begin(engine, thread)
    thread.op_result = call.reclaimed
    return thread.back()


# One page after another


@step("mm/vmscan.c", cost="vma_check")
def shrink_folio_list(engine: Mm, thread: Thread) -> Step:
    """Lock the next page of the list; one that somebody holds locked is left alone."""
    moving = _moving(thread)
    if not moving.todo:
        return flush_unmapped(thread, then=free_reclaimed)
    moving.found = moving.todo.pop(0)
    folio = _folio(thread)
    if not folio_trylock(engine, thread, folio):
        return _put(engine, thread)
    if folio.writeback:
        return keep
    if folio.is_cached:
        return try_to_unmap
    area = _area_with_room(engine)
    if area is None:
        return keep
    return spin_lock(engine, thread, area.lock, then=add_to_swap)


def _area_with_room(engine: Mm) -> SwapArea | None:
    areas: list[SwapArea] = engine.world.swap.areas
    return next((area for area in areas if area.used < area.pages), None)


@step("mm/swap_state.c, mm/swapfile.c (6.17+)", cost="swap_alloc", function="add_to_swap")
def add_to_swap(engine: Mm, thread: Thread) -> Step:
    """Give the page a slot and put it into the swap cache: who looks for it there finds it."""
    folio = _folio(thread)
    area = next(one for one in engine.world.swap.areas if one.lock.holder is thread)
    slot = area.take()
    if slot >= 0:
        add_to_swap_cache(engine, folio, area, slot)
        folio.dirty = True
    spin_unlock(engine, thread, area.lock)
    return try_to_unmap if slot >= 0 else keep


@step("mm/rmap.c", cost="rmap")
def try_to_unmap(engine: Mm, thread: Thread) -> Step:
    """Replace every entry of the page by one that points to its slot."""
    found = _moving(thread).found
    assert found is not None
    return rmap_walk(engine, thread, found, try_to_unmap_one, then=unmapped)


@step("mm/vmscan.c", cost="vma_check", function="shrink_folio_list")
def unmapped(engine: Mm, thread: Thread) -> Step:
    """Nobody maps the page now; contents that swap has not must be written before it goes."""
    folio = _folio(thread)
    if engine.world.frames.mapcount[folio.pfn]:
        return keep
    if folio.dirty:
        return flush_unmapped(thread, then=pageout)
    return remove_mapping


@step("mm/page_io.c", cost="vma_check", function="swap_writepage")
def pageout(engine: Mm, thread: Thread) -> Step:
    """Write the page to its slot; a synchronous device compresses it here and now."""
    folio = _folio(thread)
    area = folio.area
    assert area is not None
    if not area.is_synchronous:
        folio.reclaim = True
        submit_write(engine, folio)
        return keep
    folio.dirty = False
    if engine.logging:
        wait_ns = engine.machine.costs["zram_write"]
        engine.emit(event.IO_BEGIN, area.id, folio.slot, 1)
        engine.emit(event.IO_END, area.id, folio.slot, 1, wait_ns)
    engine.cost("zram_write")
    return remove_mapping


@step("mm/vmscan.c", cost="swap_free", function="__remove_mapping")
def remove_mapping(engine: Mm, thread: Thread) -> Step:
    """If only the swap cache and this task know the page, it leaves the cache and is freed."""
    folio = _folio(thread)
    frames = engine.world.frames
    if frames.refcount[folio.pfn] != 2 or frames.mapcount[folio.pfn] or folio.dirty:
        return keep
    delete_from_swap_cache(engine, folio)
    _moving(thread).reclaimed += 1
    return keep(engine, thread)


@step("mm/vmscan.c", cost="folio_unlock", function="folio_unlock")
def keep(engine: Mm, thread: Thread) -> Step:
    """Unlock the page: it is freed with the others, or stays where it is."""
    folio = _folio(thread)
    folio_unlock(engine, folio)
    return _put(engine, thread)


def _put(engine: Mm, thread: Thread) -> Step:
    moving, folio = _moving(thread), _folio(thread)
    moving.found = None
    frames = engine.world.frames
    folio.isolated = False
    frames.refcount[folio.pfn] -= 1
    forget(engine, folio)
    if not frames.refcount[folio.pfn]:
        moving.free.append(folio.pfn)
    else:
        drop_if_last(engine, folio)  # Its last mapping may have gone while it was locked.
    return shrink_folio_list


@step("mm/vmscan.c", cost="vma_check", function="free_unref_folios")
def free_reclaimed(engine: Mm, thread: Thread) -> Step:
    """No TLB knows the pages any more: free them all."""
    return free_frames(engine, thread, _moving(thread).free, then=thread.back())
