"""Getting 2 MiB in one piece for a fault: per-CPU list or zone lock, memcg charge, zeroing.

`alloc_huge` leaves the first of 512 frames in `fault.page`, or None where memory is fragmented.
The page is zeroed in parts: who waits for this CPU need not wait for all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.frames import BLOCK_PAGES, CHARGE_BATCH, PerCpuPages
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

PARTS: Final = 16
"""Parts in which 2 MiB are zeroed or copied, with a chance to be preempted between two."""
BLOCKS_HIGH: Final = 2
"""Free huge pages that a CPU keeps at hand."""


def _mine(engine: Mm) -> PerCpuPages:
    return engine.world.frames.cpus[engine.cpu.id]


@step("mm/page_alloc.c", cost="huge_page_alloc", function="get_page_from_freelist")
def alloc_huge(engine: Mm, thread: Thread) -> Step:
    """Ask for 512 pages in one piece: from this CPU's list, or from the zone; there may be none."""
    if engine.world.policy.fragmented:
        return thread.back()
    blocks = _mine(engine).blocks
    if not blocks:
        zone = engine.world.frames.zone_of(engine.cpu)
        return spin_lock(engine, thread, zone.lock, then=rmqueue_huge)
    thread.in_flight.page = blocks.pop()
    return charge_huge


@step("mm/page_alloc.c", cost="huge_page_alloc", function="rmqueue")
def rmqueue_huge(engine: Mm, thread: Thread) -> Step:
    """Take a piece of 2 MiB from the zone's lists and release zone->lock."""
    frames = engine.world.frames
    zone = frames.zone_of(engine.cpu)
    thread.in_flight.page = frames.take_block(zone)
    spin_unlock(engine, thread, zone.lock)
    return charge_huge


@step("mm/huge_memory.c", cost="huge_page_alloc", function="get_huge_zero_page")
def alloc_huge_zero(engine: Mm, thread: Thread) -> Step:
    """Ask for the 2 MiB that all processes are to share: they are charged to nobody."""
    if engine.world.policy.fragmented:
        return thread.back()
    blocks = _mine(engine).blocks
    if not blocks:
        zone = engine.world.frames.zone_of(engine.cpu)
        return spin_lock(engine, thread, zone.lock, then=take_huge_zero)
    thread.in_flight.page = blocks.pop()
    return thread.back()


@step("mm/page_alloc.c", cost="huge_page_alloc", function="get_huge_zero_page")
def take_huge_zero(engine: Mm, thread: Thread) -> Step:
    """Take a piece of 2 MiB from the zone's lists and release zone->lock."""
    frames = engine.world.frames
    zone = frames.zone_of(engine.cpu)
    thread.in_flight.page = frames.take_block(zone)
    spin_unlock(engine, thread, zone.lock)
    return thread.back()


@step("mm/memcontrol.c", cost="charge", function="mem_cgroup_charge")
def charge_huge(engine: Mm, thread: Thread) -> Step:
    """Charge 512 pages to the memory cgroup: more than any CPU's stock holds."""
    engine.world.frames.memcg_line.write(engine)
    return thread.back()


@step("mm/memory.c", cost="zero_huge_part", function="clear_huge_page")
def clear_huge_page(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Fill the next part of the 2 MiB with zeroes: 512 times the work of a small page in all."""
    scratch = thread.in_flight.scratch
    done = scratch.get("zeroed", 0) + 1
    if done < PARTS:
        scratch["zeroed"] = done
        return clear_huge_page
    scratch.pop("zeroed", None)
    return thread.back()


def release_huge(engine: Mm, thread: Thread) -> None:
    """Give back a huge page that was prepared in vain (folio_put)."""
    fault = thread.in_flight
    if fault.page is None:
        return
    free_block(engine, fault.page)
    fault.page = None


def free_huge_frames(engine: Mm, first: int) -> None:
    """Free 512 frames that no page table and no TLB knows any more."""
    frames = engine.world.frames
    for pfn in range(first, first + BLOCK_PAGES):
        frames.free(pfn)
    free_block(engine, first)


def free_block(engine: Mm, first: int) -> None:
    """Put 512 free frames back in one piece: on this CPU's list, or on the zone's when it is full.

    Handing over to the zone takes no lock here: it is rare.
    """
    engine.cost("page_free")
    mine = _mine(engine)
    if len(mine.blocks) < BLOCKS_HIGH:
        mine.blocks.append(first)
    else:
        engine.world.frames.zone_of(engine.cpu).blocks.append(first)
    mine.stock = min(mine.stock + BLOCK_PAGES, CHARGE_BATCH)
