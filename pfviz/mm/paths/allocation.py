"""Getting a page for a fault: per-CPU free list, zone lock, memcg charge, LRU batch.

Chains: `vma_alloc_folio` leaves a frame in `fault.page`; `folio_add_lru_vma` runs under the PTL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.frames import CHARGE_BATCH, PCP_BATCH, PCP_HIGH, PerCpuPages
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _mine(engine: Mm) -> PerCpuPages:
    return engine.world.frames.cpus[engine.cpu.id]


@step("mm/page_alloc.c", cost="page_alloc", function="get_page_from_freelist")
def vma_alloc_folio(engine: Mm, thread: Thread) -> Step:
    """Take a free page from this CPU's own list; only an empty list needs the zone's lock."""
    free = _mine(engine).free
    if not free:
        zone = engine.world.frames.zone_of(engine.cpu)
        return spin_lock(engine, thread, zone.lock, then=rmqueue_bulk)
    return _got_page(engine, thread, free.pop())


@step("mm/page_alloc.c", cost="zone_refill")
def rmqueue_bulk(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Refill this CPU's list with a batch of pages from the buddy lists, under zone->lock."""
    frames = engine.world.frames
    zone = frames.zone_of(engine.cpu)
    _mine(engine).free.extend(frames.take_batch(zone, PCP_BATCH))
    return rmqueue_bulk_done


@step("mm/page_alloc.c", function="rmqueue_bulk")
def rmqueue_bulk_done(engine: Mm, thread: Thread) -> Step:
    """Release zone->lock; one page of the batch is for this fault."""
    spin_unlock(engine, thread, engine.world.frames.zone_of(engine.cpu).lock)
    return _got_page(engine, thread, _mine(engine).free.pop())


def _got_page(engine: Mm, thread: Thread, pfn: int) -> Step:
    thread.in_flight.page = pfn
    if engine.world.watch is not None:
        engine.world.watch.frame_taken(pfn)
    return mem_cgroup_charge


def page_has_contents(engine: Mm, thread: Thread) -> None:
    """The page of the fault is filled, or will be before anybody can see it (rule I15)."""
    if engine.world.watch is not None:
        engine.world.watch.frame_filled(thread.in_flight.page)


@step("mm/memcontrol.c", cost="charge")
def mem_cgroup_charge(engine: Mm, thread: Thread) -> Step:
    """Charge the page to the memory cgroup, from this CPU's stock while it lasts."""
    mine = _mine(engine)
    if not mine.stock:
        engine.world.frames.memcg_line.write(engine)
        mine.stock = CHARGE_BATCH
    mine.stock -= 1
    return thread.back()


@step("mm/memory.c", cost="zero", function="clear_user_highpage")
def clear_user_page(engine: Mm, thread: Thread) -> Step:
    """Fill the new page with zeroes before anybody can see it."""
    page_has_contents(engine, thread)
    return thread.back()


def release_page(engine: Mm, thread: Thread) -> None:
    """Give a page that was prepared in vain back to this CPU's list (folio_put)."""
    fault = thread.in_flight
    if fault.page is None:
        return
    engine.cost("page_free")
    page_has_contents(engine, thread)
    mine = _mine(engine)
    mine.free.append(fault.page)
    mine.stock += 1
    fault.page = None


@step("mm/swap.c", cost="lru")
def folio_add_lru_vma(engine: Mm, thread: Thread) -> Step:
    """Put the page into this CPU's LRU batch, unless its VMA is mlocked."""
    return _add_to_batch(engine, thread)


@step("mm/swap.c", cost="lru")
def folio_add_lru(engine: Mm, thread: Thread) -> Step:
    """Put the page into this CPU's LRU batch; a full batch is moved under lru_lock."""
    return _add_to_batch(engine, thread)


def _add_to_batch(engine: Mm, thread: Thread) -> Step:
    mine = _mine(engine)
    mine.lru_batch += 1
    if mine.lru_batch < engine.world.preset.lru_batch:
        return thread.back()
    zone = engine.world.frames.zone_of(engine.cpu)
    return spin_lock(engine, thread, zone.lru_lock, then=folio_batch_move_lru)


@step("mm/swap.c", cost="lru_drain")
def folio_batch_move_lru(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Move the whole batch to the node's LRU list under lru_lock."""
    _mine(engine).lru_batch = 0
    return lru_unlock


@step("mm/swap.c", function="folio_batch_move_lru")
def lru_unlock(engine: Mm, thread: Thread) -> Step:
    """Release lru_lock."""
    spin_unlock(engine, thread, engine.world.frames.zone_of(engine.cpu).lru_lock)
    return thread.back()


@step("mm/swap.c")
def lru_add_drain(engine: Mm, thread: Thread) -> Step:
    """Put the pages that this CPU collected onto the LRU lists, if there are any."""
    mine = _mine(engine)
    if mine.lru_batch:
        engine.cost("lru_drain")
        mine.lru_batch = 0
    return thread.back()


# Freeing, for those who unmap


def free_frames(engine: Mm, thread: Thread, numbers: list[int], then: Step) -> Step:
    """Free page frames whose last mapping is gone and flushed, then go on with `then`.

    They go to this CPU's list; what exceeds its limit goes back to the zone under its lock.
    """
    frames = engine.world.frames
    mine = _mine(engine)
    for pfn in numbers:
        frames.free(pfn)
    engine.charge(len(numbers) * engine.machine.costs["page_free"])
    mine.free.extend(numbers)
    mine.stock += len(numbers)
    numbers.clear()
    if mine.stock > 2 * CHARGE_BATCH:
        frames.memcg_line.write(engine)
        mine.stock = CHARGE_BATCH
    if len(mine.free) <= PCP_HIGH:
        return then
    thread.returns.append(then)
    return spin_lock(engine, thread, frames.zone_of(engine.cpu).lock, then=free_pcppages_bulk)


@step("mm/page_alloc.c", cost="zone_refill")
def free_pcppages_bulk(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Hand pages above this CPU's limit back to the zone, under zone->lock."""
    frames = engine.world.frames
    mine = _mine(engine)
    keep = PCP_HIGH - PCP_BATCH
    frames.zone_of(engine.cpu).free.extend(mine.free[keep:])
    del mine.free[keep:]
    return free_pcppages_done


@step("mm/page_alloc.c", function="free_pcppages_bulk")
def free_pcppages_done(engine: Mm, thread: Thread) -> Step:
    """Release zone->lock."""
    spin_unlock(engine, thread, engine.world.frames.zone_of(engine.cpu).lock)
    return thread.back()
