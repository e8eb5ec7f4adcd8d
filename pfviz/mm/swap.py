"""Swap: areas with their slots, the swap cache, and pages of memory that have a lock bit.

A slot counts who refers to it (swap_map); its generation counts how often it was given out, so that
contents of an earlier use can be told apart (rule I16). The steps are in `paths/swap_in.py`,
`paths/reclaim.py` and `paths/migrate.py`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.mm.frames import Frames
from pfviz.mm.page_cache import BY_DISK, folio_unlock
from pfviz.mm.page_table import PFN_SHIFT, SWAP, SWP_EXCLUSIVE
from pfviz.sim import event
from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.task import Task
from pfviz.sync.spinlock import SpinLock

ZRAM: Final = "zram"
SSD: Final = "ssd"
KINDS: Final = (ZRAM, SSD)
"""A device that answers at once, in the caller's own time (SWP_SYNCHRONOUS_IO), and one that does
not."""

AREA_SHIFT: Final = 40
"""In the value of a swap entry: below it the slot, above it the number of the area."""
SLOT_MASK: Final = (1 << AREA_SHIFT) - 1


@dataclass(slots=True, eq=False, repr=False)
class AnonFolio:
    """A page of anonymous memory that somebody locks: in the swap cache, or on its way elsewhere.

    Pages that nobody locks are mere numbers (`Frames`); most pages never become one of these.
    """

    id: int
    pfn: int
    line: CacheLine
    uptodate: bool = True
    locked_by: int = -1
    """The task that holds the lock bit, BY_DISK while it is being read; -1 is nobody."""
    waiters: list[Task] = field(default_factory=list)
    area: SwapArea | None = None
    slot: int = -1
    """Whose contents it has, as long as it is cached."""
    generation: int = -1
    """The slot's generation when the contents were written to it, or read from it."""
    is_cached: bool = False
    """In the swap cache: who looks its slot up finds it."""
    dirty: bool = False
    """It has contents that its slot has not."""
    writeback: bool = False
    """The device is writing it."""
    isolated: bool = False
    """Somebody took it off its LRU list, to reclaim or to move it: nobody else can."""
    reclaim: bool = False
    """PG_reclaim: it is to be freed once it is written."""

    @property
    def kind(self) -> str:
        """What its lock bit is among locks."""
        return "folio"

    @property
    def name(self) -> str:
        """What its lock bit is called."""
        if self.area is not None:
            return f"page of slot {self.slot} of {self.area.name}"
        return f"page {self.pfn}"


@dataclass(slots=True, eq=False, repr=False)
class SwapArea:
    """A device or file that pages are swapped out to (swap_info_struct)."""

    id: int
    number: int
    name: str
    kind: str
    pages: int
    lock: SpinLock
    """The lock of its slots' counts (the cluster lock; one for the whole area here)."""
    counts: dict[int, int] = field(default_factory=dict)
    """Slot -> how many page-table entries refer to it (swap_map)."""
    generations: dict[int, int] = field(default_factory=dict)
    """Slot -> how often it was given out."""
    pinned: set[int] = field(default_factory=set)
    """Slots that the swap cache holds, or who reads them past it (SWAP_HAS_CACHE)."""
    cache: dict[int, AnonFolio] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    """Slots below `fresh` that are free again, as a heap: the lowest goes first."""
    fresh: int = 0
    losers: list[Any] = field(default_factory=list)
    """Those who lost a slot's swap-in to somebody else (swapcache_wq, 6.12 and later)."""

    @property
    def is_synchronous(self) -> bool:
        """SWP_SYNCHRONOUS_IO: reading is over when the call returns."""
        return self.kind == ZRAM

    @property
    def used(self) -> int:
        """How many slots are in use."""
        return self.fresh - len(self.free)

    def take(self) -> int:
        """Give out a slot that the swap cache holds (folio_alloc_swap); -1 when all are taken."""
        if self.free:
            slot = heapq.heappop(self.free)
        elif self.fresh < self.pages:
            slot = self.fresh
            self.fresh += 1
        else:
            return -1
        self.generations[slot] = self.generations.get(slot, 0) + 1
        self.counts[slot] = 0
        self.pinned.add(slot)
        return slot

    def duplicate(self, slot: int) -> None:
        """One more page-table entry refers to a slot (swap_duplicate)."""
        self.counts[slot] += 1

    def put(self, slot: int) -> None:
        """One entry less refers to a slot (swap_free)."""
        assert self.counts[slot] > 0, f"slot {slot} of {self.name} is given back twice"
        self.counts[slot] -= 1
        self._free(slot)

    def unpin(self, slot: int) -> None:
        """The swap cache, or who read past it, lets go of a slot (swapcache_clear)."""
        self.pinned.remove(slot)
        self._free(slot)

    def _free(self, slot: int) -> None:
        if not self.counts[slot] and slot not in self.pinned:
            del self.counts[slot]
            heapq.heappush(self.free, slot)


@dataclass(slots=True, eq=False)
class Swap:
    """All swap areas of a world, and the pages that have a lock bit, by frame number."""

    areas: list[SwapArea] = field(default_factory=list)
    folios: dict[int, AnonFolio] = field(default_factory=dict)
    """Those in the swap cache or being moved; others are mere numbers."""

    def area_named(self, name: str) -> SwapArea:
        """The area called `name`; ValueError when there is none."""
        for area in self.areas:
            if area.name == name:
                return area
        raise ValueError(f"no swap area {name!r} (known: {', '.join(a.name for a in self.areas)})")

    def of_entry(self, pte: int) -> tuple[SwapArea, int]:
        """The area and the slot that an entry points to."""
        value = pte >> PFN_SHIFT
        return self.areas[value >> AREA_SHIFT], value & SLOT_MASK


def add_area(engine: Engine[Any], name: str, kind: str = ZRAM, pages: int = 1 << 20) -> SwapArea:
    """Switch a device on for swapping (swapon), before the run begins."""
    areas = engine.world.swap.areas
    number = engine.new_id()
    lock = SpinLock(engine, "spinlock", f"swap cluster {name}", -1)
    area = SwapArea(number, len(areas), name, kind, pages, lock)
    areas.append(area)
    if engine.logging:
        engine.emit(event.FILE_NEW, number, engine.log.text(name), pages, 0)
    return area


def entry_of(area: SwapArea, slot: int, exclusive: bool) -> int:
    """The page-table entry that points to a slot."""
    value = area.number << AREA_SHIFT | slot
    return value << PFN_SHIFT | SWAP | (SWP_EXCLUSIVE if exclusive else 0)


# Pages


def folio_of(engine: Engine[Any], pfn: int) -> AnonFolio:
    """The page of a frame as somebody who locks it sees it, made if need be."""
    folios = engine.world.swap.folios
    found = folios.get(pfn)
    if found is None:
        found = folios[pfn] = new_folio(engine, pfn)
    assert isinstance(found, AnonFolio)
    return found


def new_folio(engine: Engine[Any], pfn: int, uptodate: bool = True) -> AnonFolio:
    """A page on a frame that was just allocated; nobody can find it yet."""
    number = engine.new_id()
    return AnonFolio(number, pfn, CacheLine(number, f"page {pfn}"), uptodate)


def forget(engine: Engine[Any], folio: AnonFolio) -> None:
    """Let a page be a mere number again, unless somebody still has to do with it."""
    busy = folio.is_cached or folio.isolated or folio.locked_by != -1 or folio.waiters
    if not busy and engine.world.swap.folios.get(folio.pfn) is folio:
        engine.world.swap.folios.pop(folio.pfn, None)


def add_to_swap_cache(engine: Engine[Any], folio: AnonFolio, area: SwapArea, slot: int) -> None:
    """Let who looks the slot up find the page; the cache holds a reference to it."""
    assert slot in area.pinned
    assert slot not in area.cache, f"two pages for slot {slot} of {area.name}"
    frames: Frames = engine.world.frames
    area.cache[slot] = folio
    folio.area, folio.slot, folio.generation = area, slot, area.generations[slot]
    folio.is_cached = True
    frames.refcount[folio.pfn] += 1
    engine.world.swap.folios[folio.pfn] = folio
    if engine.logging:
        engine.emit(event.PAGE_CACHE, engine.log.text("added"), area.id, slot, 1)


def delete_from_swap_cache(engine: Engine[Any], folio: AnonFolio) -> bool:
    """Take a page out of the swap cache and let go of its slot; whether nobody refers to it now."""
    area, frames = folio.area, engine.world.frames
    assert area is not None
    assert folio.is_cached
    del area.cache[folio.slot]
    area.unpin(folio.slot)
    folio.is_cached = False
    forget(engine, folio)
    if engine.logging:
        engine.emit(event.PAGE_CACHE, engine.log.text("removed"), area.id, folio.slot, 1)
    frames.refcount[folio.pfn] -= 1
    return bool(frames.refcount[folio.pfn] == 0)


def is_last_of(engine: Engine[Any], folio: AnonFolio) -> bool:
    """Whether only the swap cache is left that knows a page: no entry points to its slot or to it.

    Reclaim would drop such a page when it meets it; the model drops it with its last user.
    """
    area = folio.area
    return (
        folio.is_cached
        and area is not None
        and not area.counts[folio.slot]
        and not engine.world.frames.mapcount[folio.pfn]
        and folio.locked_by == -1
        and not folio.writeback
    )


def is_kept_by_swap_cache(engine: Engine[Any], pfn: int) -> bool:
    """Whether a page has one mapping, and only the swap cache knows it besides, without need."""
    folio = engine.world.swap.folios.get(pfn)
    if folio is None or not folio.is_cached or folio.locked_by != -1 or folio.writeback:
        return False
    return not folio.area.counts[folio.slot] and bool(engine.world.frames.refcount[pfn] == 2)


def free_swap_cache(engine: Engine[Any], pfn: int) -> None:
    """Take a page out of the swap cache that is kept by it without need (folio_free_swap)."""
    folio = engine.world.swap.folios.get(pfn)
    if folio is not None and folio.is_cached:
        delete_from_swap_cache(engine, folio)


def free_swap_and_cache(engine: Engine[Any], pte: int) -> int:
    """An entry that points to a slot goes; the frame that is to be freed with it, or -1."""
    swap: Swap = engine.world.swap
    area, slot = swap.of_entry(pte)
    area.lock.line.write(engine)
    engine.cost("swap_free")
    area.put(slot)
    folio = area.cache.get(slot)
    if folio is not None and is_last_of(engine, folio) and delete_from_swap_cache(engine, folio):
        return folio.pfn
    return -1


# Device


def submit_read(engine: Engine[Any], folio: AnonFolio) -> None:
    """Let the device fill a locked page; it unlocks it when it is done."""
    area = folio.area
    assert area is not None
    if engine.watch is not None and folio.locked_by >= 0:
        engine.watch.gave(engine, engine.tasks[folio.locked_by], folio, event.WRITE)
    folio.locked_by = BY_DISK
    if engine.logging:
        engine.emit(event.IO_BEGIN, area.id, folio.slot, 1)
    costs = engine.machine.costs
    engine.alarm(costs["io"] + costs["io_page"], _read_done, (folio, engine.now_ns))


def _read_done(engine: Engine[Any], subject: tuple[AnonFolio, int]) -> None:
    """The device answers: the page is up to date and unlocked, its waiters wake."""
    folio, begun_ns = subject
    area = folio.area
    assert area is not None
    if engine.logging:
        engine.emit(event.IO_END, area.id, folio.slot, 1, engine.now_ns - begun_ns)
    folio.uptodate = True
    folio_unlock(engine, folio)
    drop_if_last(engine, folio)


def submit_write(engine: Engine[Any], folio: AnonFolio) -> None:
    """Let the device take over the contents of a page; it need not be locked meanwhile."""
    area = folio.area
    assert area is not None
    folio.writeback, folio.dirty = True, False
    if engine.logging:
        engine.emit(event.IO_BEGIN, area.id, folio.slot, 1)
    costs = engine.machine.costs
    engine.alarm(costs["io"] + costs["io_page"], _write_done, (folio, engine.now_ns))


def _write_done(engine: Engine[Any], subject: tuple[AnonFolio, int]) -> None:
    """The device has the contents (folio_end_writeback)."""
    folio, begun_ns = subject
    area = folio.area
    assert area is not None
    folio.writeback = False
    if engine.logging:
        engine.emit(event.IO_END, area.id, folio.slot, 1, engine.now_ns - begun_ns)
    frames: Frames = engine.world.frames
    idle = frames.refcount[folio.pfn] == 1 and folio.locked_by == -1 and not folio.dirty
    if folio.is_cached and idle and folio.reclaim and not frames.mapcount[folio.pfn]:
        # It was put where the next scan of the LRU lists begins, which frees it.
        delete_from_swap_cache(engine, folio)
        _free(engine, folio)
    else:
        drop_if_last(engine, folio)
    folio.reclaim = False


def drop_if_last(engine: Engine[Any], folio: AnonFolio) -> None:
    """Outside any task: free a page that nobody will ever look up again."""
    if is_last_of(engine, folio) and delete_from_swap_cache(engine, folio):
        _free(engine, folio)


def _free(engine: Engine[Any], folio: AnonFolio) -> None:
    frames: Frames = engine.world.frames
    frames.free(folio.pfn)
    frames.zones[0].free.append(folio.pfn)
