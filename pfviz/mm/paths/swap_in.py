"""do_swap_page: a fault on an entry that points to a slot of a swap area.

Finds the page in the swap cache or has it read (`swap_read`), locks it, sees under the page-table
lock that the entry is still the same, and maps it. Kernels before 6.6 send it back to mmap_lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.page_cache import folio_trylock, folio_unlock
from pfviz.mm.page_range import count_rss, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    PRESENT,
    SWP_EXCLUSIVE,
    UFFD_WP,
    WRITABLE,
    PteTable,
    pte_of,
)
from pfviz.mm.paths import copy_on_write, elsewhere, swap_read
from pfviz.mm.paths.allocation import free_frames, release_page
from pfviz.mm.paths.anon_vma import give_up
from pfviz.mm.paths.filemap import FOLIO_LOCKED, IO_NEEDED
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.pte_lock import (
    pte_changed,
    pte_offset_map_lock,
    pte_unmap,
    pte_unmap_unlock,
)
from pfviz.mm.paths.release import release_fault_lock
from pfviz.mm.paths.swap_read import SwapIn, swap_of
from pfviz.mm.swap import AnonFolio, delete_from_swap_cache, drop_if_last, forget
from pfviz.mm.swap_entries import is_swapped
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

NEEDS_MMAP_LOCK: Final = "page is not in memory (6.4 asks for mmap_lock)"
WAITS: Final = "waits for a page from swap"


def _folio(thread: Thread) -> AnonFolio:
    folio = swap_of(thread).folio
    assert folio is not None
    return folio


@step("mm/memory.c", cost="vma_check")
def do_swap_page(engine: Mm, thread: Thread) -> Step:
    """No page is here, the entry says where it is: in swap, on the move, or in a device."""
    fault = thread.in_flight
    pte_unmap(engine, thread)
    if fault.regime == VMA_LOCK and not engine.world.preset.swap_under_vl:
        return give_up(engine, thread, NEEDS_MMAP_LOCK)
    if is_swapped(fault.orig_pte):
        return get_swap_device
    return elsewhere.non_swap_entry(engine, thread)


@step("mm/swapfile.c", cost="vma_check")
def get_swap_device(engine: Mm, thread: Thread) -> Step:
    """Keep the swap area from being switched off meanwhile, by a per-CPU reference."""
    engine.world.rcu.read_lock(engine, thread)
    engine.world.rcu.read_unlock(engine, thread)
    area, slot = engine.world.swap.of_entry(thread.in_flight.orig_pte)
    thread.in_flight.scratch["swap"] = SwapIn(area, slot)
    return swap_cache_get_folio


@step("mm/swap_state.c", cost="swap_lookup")
def swap_cache_get_folio(engine: Mm, thread: Thread) -> Step:
    """Look the slot up in the swap cache, without a lock; what is found there is kept."""
    fault, swap, world = thread.in_flight, swap_of(thread), engine.world
    world.rcu.read_lock(engine, thread)
    folio = swap.area.cache.get(swap.slot)
    if folio is not None:
        folio.line.write(engine)
        world.frames.refcount[folio.pfn] += 1
    world.rcu.read_unlock(engine, thread)
    if folio is not None:
        swap.folio = folio
        fault.kind = fault.kind or "swap_cache_hit"
        return folio_lock_or_retry
    synchronous = swap.area.is_synchronous
    fault.kind = fault.kind or ("swap_in_sync" if synchronous else "swap_in")
    alone = swap.area.counts.get(swap.slot, 0) == 1
    thread.returns.append(page_read)
    if synchronous and alone and not world.preset.swapin_through_cache:
        return swap_read.begin_past_cache(engine, thread)
    return swap_read.swapin_readahead


@step("mm/memory.c", cost="vma_check", function="do_swap_page")
def page_read(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """See whether there is a page now; without one the entry has changed, and the fault is over."""
    if swap_of(thread).folio is None:
        return let_go(thread)
    return folio_lock_or_retry


# The page's lock


@step("include/linux/pagemap.h", cost="folio_lock", function="folio_lock_or_retry")
def folio_lock_or_retry(engine: Mm, thread: Thread) -> Step | None:
    """Lock the page; if that means waiting, drop the fault lock first, if it is allowed once."""
    fault, folio = thread.in_flight, _folio(thread)
    if engine.watch is not None:
        engine.watch.asked(engine, thread, folio, WRITE)
    if folio_trylock(engine, thread, folio):
        return swap_page_locked
    folio.waiters.append(thread)
    if fault.tried or engine.world.policy.io_wait_swap == "hold":
        engine.sleep(lock_again, WAITS, folio.id)
        return None
    thread.abort = FOLIO_LOCKED if folio.uptodate else IO_NEEDED
    release_fault_lock(engine, thread)
    engine.sleep(waited_without_lock, WAITS, folio.id)
    return None


@step("mm/filemap.c", cost="folio_lock", function="__folio_lock_killable")
def lock_again(engine: Mm, thread: Thread) -> Step | None:
    """The page was unlocked, and the fault lock is still held: try to lock it."""
    folio = _folio(thread)
    if folio_trylock(engine, thread, folio):
        return swap_page_locked
    folio.waiters.append(thread)
    engine.sleep(lock_again, WAITS, folio.id)
    return None


@step("mm/filemap.c", cost="folio_lock", function="folio_wait_locked_killable")
def waited_without_lock(engine: Mm, thread: Thread) -> Step:
    """The page was unlocked, but the VMA may be gone: the fault starts again from the beginning."""
    thread.in_flight.result |= VM_FAULT_RETRY
    return put_page(engine, thread)


@step("mm/memory.c", cost="vma_check", function="do_swap_page")
def swap_page_locked(engine: Mm, thread: Thread) -> Step:
    """With the page locked: is it still the one of this slot?"""
    swap, folio = swap_of(thread), _folio(thread)
    if not swap.fresh and not (folio.is_cached and folio.area is swap.area
                               and folio.slot == swap.slot and folio.uptodate):  # fmt: skip
        folio_unlock(engine, folio)
        return put_page(engine, thread)
    return pte_offset_map_lock(engine, thread, then=recheck_swap_pte)


# Under the page-table lock


@step("mm/memory.c", cost="pte_read", function="do_swap_page")
def recheck_swap_pte(engine: Mm, thread: Thread) -> Step:
    """See whether the entry still points to this slot: another thread may have been faster."""
    swap = swap_of(thread)
    table: PteTable | None = thread.in_flight.pmd
    if table is None or pte_changed(thread, table):
        return thread.call(pte_unmap_unlock, then=unlock_unmapped)
    if engine.world.preset.swapin_through_cache:
        return _map(thread)
    return spin_lock(engine, thread, swap.area.lock, then=swap_free)


@step("mm/swapfile.c", cost="swap_free", function="swap_free_nr")
def swap_free(engine: Mm, thread: Thread) -> Step:
    """The entry is going to point to the page: one reference less to the slot."""
    swap = swap_of(thread)
    _put_slot(engine, thread)
    spin_unlock(engine, thread, swap.area.lock)
    return _map(thread)


def _map(thread: Thread) -> Step:
    return folio_add_new_anon_rmap if swap_of(thread).fresh else add_cached_rmap


def _put_slot(engine: Mm, thread: Thread) -> None:
    """swap_free, and should_try_to_free_swap: a write to a page of one's own needs no slot."""
    swap, folio, frames = swap_of(thread), _folio(thread), engine.world.frames
    swap.area.put(swap.slot)
    mapped = 1 if engine.world.preset.swapin_through_cache else 0
    alone = folio.is_cached and frames.refcount[folio.pfn] == 2
    unmapped = frames.mapcount[folio.pfn] == mapped
    unused = alone and unmapped and not swap.area.counts.get(swap.slot, 0)
    wanted = thread.in_flight.write or (mapped and swap.area.is_synchronous)
    if unused and wanted and not folio.writeback:
        delete_from_swap_cache(engine, folio)


@step("mm/rmap.c", cost="map")
def folio_add_new_anon_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the page, which nobody else knows, and point it at the VMA's anon_vma."""
    folio, vma = _folio(thread), _count_mapping(engine, thread)
    engine.world.frames.start_anon(folio.pfn, vma.anon_vma.id if vma.anon_vma else 0)
    thread.in_flight.page = None
    return _make_entry(engine, thread, vma, exclusive=True)


@step("mm/rmap.c", cost="map", function="folio_add_anon_rmap_ptes")
def add_cached_rmap(engine: Mm, thread: Thread) -> Step:
    """Count one mapping more of a page that was in the swap cache; is it this process's alone?"""
    folio, vma, frames = _folio(thread), _count_mapping(engine, thread), engine.world.frames
    alone = frames.refcount[folio.pfn] == 1
    exclusive = alone or bool(thread.in_flight.orig_pte & SWP_EXCLUSIVE)
    frames.map_anon(folio.pfn, vma.anon_vma.id if vma.anon_vma else 0, exclusive)
    frames.refcount[folio.pfn] -= 1  # The reference of the look-up is the mapping's now.
    return _make_entry(engine, thread, vma, exclusive)


def _count_mapping(engine: Mm, thread: Thread) -> Vma:
    """One page more in memory, one less in swap; the VMA that it is mapped in."""
    swap, vma = swap_of(thread), thread.in_flight.vma
    assert vma is not None
    count_rss(engine, thread.mm.page_tables, anon=1)
    thread.mm.page_tables.rss_swap -= 1
    if engine.world.watch is not None:
        engine.world.watch.swapped_in(engine, thread, _folio(thread), swap.area, swap.slot)
    return vma


def _make_entry(engine: Mm, thread: Thread, vma: Vma, exclusive: bool) -> Step:
    """Put the entry together: writable at once if the page belongs to this process alone."""
    fault = thread.in_flight
    pte = pte_of(_folio(thread).pfn, PRESENT | ACCESSED)
    if exclusive and vma.vm_flags & VM_WRITE:
        if fault.write:
            pte |= WRITABLE | DIRTY
        elif engine.world.preset.swapin_writable:
            pte |= WRITABLE
    if fault.orig_pte & UFFD_WP:
        pte = pte & ~WRITABLE | UFFD_WP
    fault.orig_pte = pte
    return set_swap_pte


@step("mm/memory.c", cost="set_pte", function="set_ptes")
def set_swap_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry: the page is mapped again."""
    fault = thread.in_flight
    set_pte(engine, thread.mm.page_tables, fault.pmd, fault.address, fault.orig_pte)
    if engine.world.preset.swapin_through_cache:
        return spin_lock(engine, thread, swap_of(thread).area.lock, then=folio_put_swap)
    return unlock_mapped


@step("mm/swapfile.c (6.19+)", cost="swap_free")
def folio_put_swap(engine: Mm, thread: Thread) -> Step:
    """Only now give the slot up: who raced with this fault found the page in the swap cache."""
    _put_slot(engine, thread)
    spin_unlock(engine, thread, swap_of(thread).area.lock)
    return unlock_mapped


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
def unlock_mapped(engine: Mm, thread: Thread) -> Step:
    """Unlock the page; a write to a page that others share copies it now, under the same lock."""
    fault = thread.in_flight
    folio_unlock(engine, _folio(thread))
    forget(engine, _folio(thread))
    if fault.write and not fault.orig_pte & WRITABLE:
        fault.orig_pte_valid = True
        return thread.call(copy_on_write.do_wp_page, then=let_go(thread))
    return thread.call(pte_unmap_unlock, then=let_go(thread))


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
def unlock_unmapped(engine: Mm, thread: Thread) -> Step:
    """Unlock the page that came too late."""
    folio_unlock(engine, _folio(thread))
    return put_page(engine, thread)


# The way out


def put_page(engine: Mm, thread: Thread) -> Step:
    """Drop the reference to a page that was not mapped."""
    swap, folio, frames = swap_of(thread), _folio(thread), engine.world.frames
    swap.folio = None
    if swap.fresh:
        release_page(engine, thread)
        return let_go(thread)
    frames.refcount[folio.pfn] -= 1
    if not frames.refcount[folio.pfn]:
        return free_frames(engine, thread, [folio.pfn], then=let_go(thread))
    drop_if_last(engine, folio)
    return let_go(thread)


def let_go(thread: Thread) -> Step:
    """Let others read the slot again if they were kept from it, then let the swap area go."""
    return lock_slots if swap_of(thread).pinned else put_swap_device


@step("mm/swapfile.c (6.8+, later 6.1.y)", function="swapcache_clear")
def lock_slots(engine: Mm, thread: Thread) -> Step:
    """Lock the slots to give this one back."""
    return spin_lock(engine, thread, swap_of(thread).area.lock, then=swapcache_clear)


@step("mm/swapfile.c (6.8+, later 6.1.y)", cost="swap_free")
def swapcache_clear(engine: Mm, thread: Thread) -> Step:
    """The slot is free for others again; who lost to this fault wakes up (6.12+)."""
    swap = swap_of(thread)
    swap.area.unpin(swap.slot)
    swap.pinned = False
    spin_unlock(engine, thread, swap.area.lock)
    swap_read.wake_losers(engine, swap.area)
    return put_swap_device


@step("include/linux/swap.h", cost="vma_check")
def put_swap_device(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Let the swap area go: swapoff may take it away now."""
    return thread.back()
