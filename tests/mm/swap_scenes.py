"""Small worlds whose pages are in swap, on the move, in a device or hinted; and what must hold."""

from __future__ import annotations

from typing import Any

from pfviz.mm import rules
from pfviz.mm.operations import Access
from pfviz.mm.page_table import FILE, OCCUPIED, SPECIAL, SWAP, pfn_of
from pfviz.mm.policy import Policy
from pfviz.mm.swap import SSD, ZRAM, SwapArea, add_area
from pfviz.mm.swap_entries import is_on_device, is_swapped
from pfviz.mm.swap_setup import begin_hinted, begin_on_device, begin_swapped
from tests.worlds import Scene, at, world

READ = Access(at("m", 1))
WRITE = Access(at("m", 1), write=True)


def swapped_world(
    kernel: str, device: str = ZRAM, mode: str = "", pages: int = 8, cached: int = 0,
    policy: Policy | None = None, **options: Any,
) -> Scene:  # fmt: skip
    """A VMA "m" all of whose pages are in swap, on a machine of four CPUs; rules are watched."""
    made = world(kernel, mode, cpus=4, policy=policy, **options)
    area = add_area(made.engine, "swap", device)
    made.vma("m", pages).touched("m", 0)
    tables = made.mm.page_tables
    begin_swapped(made.engine, tables, made.vmas["m"], 0, pages, area, cached)
    rules.watch(made.engine)
    return made


def device_world(kernel: str, mode: str = "", pages: int = 8) -> Scene:
    """A VMA "m" all of whose pages are in a device's memory."""
    made = world(kernel, mode, cpus=4)
    made.vma("m", pages).touched("m", 0)
    begin_on_device(made.engine, made.mm.page_tables, made.vmas["m"], 0, pages)
    rules.watch(made.engine)
    return made


def hinted_world(kernel: str, mode: str = "", pages: int = 8, sockets: int = 1) -> Scene:
    """A VMA "m" whose pages were marked by the NUMA scanner; all are on node 0."""
    made = world(kernel, mode, cpus=4, sockets=sockets)
    made.vma("m", pages).touched("m", pages)
    begin_hinted(made.engine, made.mm.page_tables, made.vmas["m"], pages)
    rules.watch(made.engine)
    return made


def touched_world(
    kernel: str, device: str = ZRAM, mode: str = "", pages: int = 8, **options: Any
) -> Scene:
    """A VMA "m" whose pages are in memory, and an empty swap area."""
    made = world(kernel, mode, cpus=4, **options)
    add_area(made.engine, "swap", device)
    made.vma("m", pages).touched("m", pages)
    rules.watch(made.engine)
    return made


def area_of(made: Scene) -> SwapArea:
    """The only swap area."""
    return made.engine.world.swap.areas[0]


def entry(made: Scene, page: int) -> int:
    """The page-table entry of a page of "m"."""
    return made.mm.page_tables.pte(made.named("m") + page * 4096)


def check_swap(made: Scene) -> None:
    """What must hold of slots, pages and counters at rest; and no rule may be broken."""
    world_ = made.engine.world
    rules.report(made.engine)
    assert not world_.broken
    mapped: dict[int, int] = {}
    slots: dict[tuple[int, int], int] = {}
    for mm in world_.mms:
        swapped = 0
        for table in mm.page_tables.tables(0, 1 << 47):
            entries = [pte for pte in table.ptes if pte]
            assert table.occupied == len(entries)
            assert table.elsewhere == sum(1 for pte in entries if pte & SWAP)
            for pte in entries:
                if is_swapped(pte):
                    swapped += 1
                    area, slot = world_.swap.of_entry(pte)
                    slots[area.number, slot] = slots.get((area.number, slot), 0) + 1
                elif is_on_device(pte) or (pte & OCCUPIED and not pte & (FILE | SPECIAL)):
                    mapped[pfn_of(pte)] = mapped.get(pfn_of(pte), 0) + 1
        assert swapped == mm.page_tables.rss_swap
    for area in world_.swap.areas:
        for slot, count in area.counts.items():
            assert count == slots.pop((area.number, slot), 0), f"slot {slot} counts {count}"
            assert count or slot in area.pinned, f"slot {slot} is lost"
        assert area.pinned == set(area.cache), "a slot stays marked without a page"
        assert area.used == len(area.counts)
        assert not area.losers
        assert area.lock.holder is None
    assert not slots, "an entry points to a slot that is free"
    frames = world_.frames
    folios = world_.swap.folios
    cached = {folio.pfn for area in world_.swap.areas for folio in area.cache.values()}
    assert set(folios) == cached, "a page is remembered that nobody locks or caches"
    assert all(folio.locked_by == -1 and not folio.waiters for folio in folios.values())
    for pfn in mapped.keys() | cached:
        assert frames.mapcount[pfn] == mapped.get(pfn, 0)
        assert frames.refcount[pfn] == mapped.get(pfn, 0) + (pfn in cached)
    assert len(mapped.keys() | cached) == frames.used, "a page is leaked"


__all__ = ["READ", "SSD", "WRITE", "ZRAM", "Access", "at"]
