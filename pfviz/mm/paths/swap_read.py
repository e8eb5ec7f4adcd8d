"""Getting a page from a swap area: past the swap cache (synchronous devices), or into it.

Chains that end with `back` and leave the page in the fault's SwapIn, unlocked or being read; None
when somebody else was faster. It refuses to know what becomes of the page (`swap_in`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.page_cache import folio_trylock, folio_unlock
from pfviz.mm.paths.allocation import (
    folio_add_lru,
    page_has_contents,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.outcome import VM_FAULT_MAJOR
from pfviz.mm.swap import AnonFolio, SwapArea, add_to_swap_cache, new_folio, submit_read
from pfviz.sim import event
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class SwapIn:
    """One swap-in on its way (`Fault.scratch["swap"]`)."""

    area: SwapArea
    slot: int
    folio: AnonFolio | None = None
    fresh: bool = False
    """The page goes past the swap cache: nobody else can find it."""
    pinned: bool = False
    """swapcache_prepare succeeded: nobody else may read the slot past the cache."""


def swap_of(thread: Thread) -> SwapIn:
    """The swap-in of the fault in flight."""
    swap = thread.in_flight.scratch["swap"]
    assert isinstance(swap, SwapIn)
    return swap


def _major(engine: Mm, thread: Thread) -> None:
    fault = thread.in_flight
    engine.world.count("pgmajfault")
    fault.scratch["missed"] = True
    fault.result |= VM_FAULT_MAJOR


# Past the swap cache: a synchronous device, and nobody else refers to the slot


def begin_past_cache(engine: Mm, thread: Thread) -> Step:
    """Read the page into memory that only this fault knows."""
    preset = engine.world.preset
    if preset.swapcache_prepare and not preset.swapin_allocs_first:
        return spin_lock(engine, thread, swap_of(thread).area.lock, then=swapcache_prepare)
    return thread.call(vma_alloc_folio, then=page_for_slot)


@step("mm/memory.c", cost="vma_check", function="alloc_swap_folio")
def page_for_slot(engine: Mm, thread: Thread) -> Step:
    """A page is there: lock it before anybody can see it."""
    swap, preset = swap_of(thread), engine.world.preset
    folio = new_folio(engine, thread.in_flight.page, uptodate=False)
    page_has_contents(engine, thread)  # From here on the folio's lock keeps others away from it.
    swap.folio, swap.fresh = folio, True
    folio_trylock(engine, thread, folio)
    if preset.swapcache_prepare and preset.swapin_allocs_first:
        return spin_lock(engine, thread, swap.area.lock, then=swapcache_prepare)
    return thread.call(folio_add_lru, then=swap_read_folio)


@step("mm/swapfile.c (6.8+, later 6.1.y)", cost="swap_free")
def swapcache_prepare(engine: Mm, thread: Thread) -> Step:
    """Mark the slot, so that nobody else can read it past the cache and map an old copy later."""
    swap = swap_of(thread)
    area, slot = swap.area, swap.slot
    swap.pinned = slot not in area.pinned and area.counts.get(slot, 0) > 0
    if swap.pinned:
        area.pinned.add(slot)
    spin_unlock(engine, thread, area.lock)
    if not swap.pinned:
        return lost_to_another
    if engine.world.preset.swapin_allocs_first:
        return thread.call(folio_add_lru, then=swap_read_folio)
    return thread.call(vma_alloc_folio, then=page_for_slot)


@step(
    "mm/memory.c (6.8+, later 6.1.y)", cost="vma_check", function="schedule_timeout_uninterruptible"
)
def lost_to_another(engine: Mm, thread: Thread) -> Step | None:
    """Another thread reads this slot: sleep a tick at most, with the fault lock held."""
    swap = swap_of(thread)
    if swap.folio is not None:
        folio_unlock(engine, swap.folio)
    swap.folio = None
    release_page(engine, thread)
    _sleep_a_tick(engine, thread, swap.area, lost_and_slept)
    return None


@step("mm/memory.c (6.8+, later 6.1.y)", cost="vma_check", function="do_swap_page")
def lost_and_slept(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Let the access run again: by now the other thread has probably mapped the page."""
    return thread.back()


@dataclass(slots=True, eq=False)
class Loser:
    """Who sleeps until the next tick, or until the slot that it lost is let go."""

    thread: Thread
    area: SwapArea


def _sleep_a_tick(engine: Mm, thread: Thread, area: SwapArea, then: Step) -> None:
    loser = Loser(thread, area)
    area.losers.append(loser)
    tick_ns = engine.machine.costs["tick"]
    engine.alarm(tick_ns - engine.now_ns % tick_ns, _tick, loser)
    engine.sleep(then, "lost a swap-in to another thread")


def _tick(engine: Mm, loser: Loser) -> None:
    if loser in loser.area.losers:
        loser.area.losers.remove(loser)
        engine.wake(loser.thread)


def wake_losers(engine: Mm, area: SwapArea) -> None:
    """A slot can be read again: in kernels that keep a wait queue all losers wake at once."""
    if engine.world.preset.swapin_wakes_losers:
        losers, area.losers = area.losers, []
        for loser in losers:
            engine.wake(loser.thread)


# Into the swap cache


@step("mm/swap_state.c", cost="vma_check")
def swapin_readahead(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The page goes through the swap cache: allocate one for it."""
    return thread.call(vma_alloc_folio, then=read_swap_cache_async)


@step("mm/swap_state.c", cost="vma_check", function="__read_swap_cache_async")
def read_swap_cache_async(engine: Mm, thread: Thread) -> Step:
    """Lock the slot's count: only one may put a page into the cache."""
    return spin_lock(engine, thread, swap_of(thread).area.lock, then=claim_slot_for_cache)


@step("mm/swap_state.c", cost="swap_free", function="__read_swap_cache_async")
def claim_slot_for_cache(engine: Mm, thread: Thread) -> Step | None:
    """See whether the page is in the cache by now, is being read past it, or is needed no more."""
    swap = swap_of(thread)
    area, slot = swap.area, swap.slot
    found = area.cache.get(slot)
    is_busy, is_gone = slot in area.pinned, not area.counts.get(slot, 0)
    if found is None and not is_busy and not is_gone:
        area.pinned.add(slot)
        spin_unlock(engine, thread, area.lock)
        return add_page_to_swap_cache
    spin_unlock(engine, thread, area.lock)
    release_page(engine, thread)
    if found is not None:
        swap.folio = found
        engine.world.frames.refcount[found.pfn] += 1
    elif is_busy and not is_gone:
        _sleep_a_tick(engine, thread, area, swapin_readahead)
        return None
    return thread.back()


@step("mm/swap_state.c", cost="set_pte", function="add_to_swap_cache")
def add_page_to_swap_cache(engine: Mm, thread: Thread) -> Step:
    """Put the page into the swap cache, locked and without contents: others wait for its lock."""
    fault, swap = thread.in_flight, swap_of(thread)
    folio = new_folio(engine, fault.page, uptodate=False)
    engine.world.frames.start_unmapped(folio.pfn)
    page_has_contents(engine, thread)  # From here on the folio's lock keeps others away from it.
    fault.page = None
    folio_trylock(engine, thread, folio)
    add_to_swap_cache(engine, folio, swap.area, swap.slot)
    swap.folio = folio
    return thread.call(folio_add_lru, then=swap_read_folio)


# Reading


@step("mm/page_io.c", cost="vma_check")
def swap_read_folio(engine: Mm, thread: Thread) -> Step:
    """Start the read; a synchronous device decompresses the page here and now."""
    swap = swap_of(thread)
    folio, area = swap.folio, swap.area
    assert folio is not None
    _major(engine, thread)
    if not area.is_synchronous:
        submit_read(engine, folio)
        return thread.back()
    folio.generation = area.generations[swap.slot]
    if engine.logging:
        engine.emit(event.IO_BEGIN, area.id, swap.slot, 1)
    engine.cost("zram_read")
    return end_swap_read


@step("mm/page_io.c", cost="folio_unlock", function="__end_swap_bio_read")
def end_swap_read(engine: Mm, thread: Thread) -> Step:
    """The contents are there: unlock the page."""
    swap = swap_of(thread)
    folio = swap.folio
    assert folio is not None
    folio.uptodate = True
    if engine.logging:
        wait_ns = engine.machine.costs["zram_read"]
        engine.emit(event.IO_END, swap.area.id, swap.slot, 1, wait_ns)
    folio_unlock(engine, folio)
    return thread.back()
