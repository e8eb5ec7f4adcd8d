"""Pages that are not in memory when a run begins: in swap, in a device, or hinted. Builds worlds.

No step, no time: what is so at the beginning has always been so. The VMA has an anon_vma.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.frames import Frames
from pfviz.mm.page_range import log_set, protect_numa_range, set_pte
from pfviz.mm.page_table import (
    DEVICE,
    PAGE_SIZE,
    SWAP,
    SWP_EXCLUSIVE,
    TABLE_SPAN,
    WRITABLE,
    PageTable,
    pte_of,
)
from pfviz.mm.swap import SwapArea, add_to_swap_cache, entry_of, new_folio
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.sim.engine import Engine


def begin_swapped(
    engine: Engine[Any], page_table: PageTable, vma: Vma, first: int, pages: int, area: SwapArea,
    cached: int = 0,
) -> None:  # fmt: skip
    """Let pages of a VMA be swapped out; the first `cached` of them are in the swap cache, too.

    ValueError when the area has no room for them.
    """
    if area.used + pages > area.pages:
        raise ValueError(f"{pages} pages do not fit into swap area {area.name!r}")
    frames: Frames = engine.world.frames
    logging = _begin(engine, page_table, vma, first, pages)
    for page in range(first, first + pages):
        slot = area.take()
        if page - first < cached:
            folio = new_folio(engine, frames.grow(1)[0])
            frames.start_unmapped(folio.pfn)
            add_to_swap_cache(engine, folio, area, slot)
            frames.refcount[folio.pfn] -= 1
        else:
            area.pinned.remove(slot)
        area.counts[slot] = 1
        address = vma.vm_start + page * PAGE_SIZE
        table = page_table.table_for(engine, address)
        set_pte(engine, page_table, table, address, entry_of(area, slot, exclusive=True))
    engine.logging = logging
    page_table.rss_swap += pages
    _log(engine, page_table, vma, first, pages)


def begin_on_device(
    engine: Engine[Any], page_table: PageTable, vma: Vma, first: int, pages: int
) -> None:
    """Let pages of a VMA be in a device's memory."""
    frames: Frames = engine.world.frames
    assert vma.anon_vma is not None
    logging = _begin(engine, page_table, vma, first, pages)
    for page in range(first, first + pages):
        pfn = frames.grow(1)[0]
        frames.start_anon(pfn, vma.anon_vma.id)
        writable = WRITABLE if vma.vm_flags & VM_WRITE else 0
        address = vma.vm_start + page * PAGE_SIZE
        table = page_table.table_for(engine, address)
        entry = pte_of(pfn, SWAP | DEVICE | SWP_EXCLUSIVE | writable)
        set_pte(engine, page_table, table, address, entry)
    engine.logging = logging
    page_table.rss_anon += pages
    _log(engine, page_table, vma, first, pages)


def begin_hinted(engine: Engine[Any], page_table: PageTable, vma: Vma, pages: int) -> None:
    """Let the NUMA scanner have just passed over the first pages of a VMA, which are resident."""
    end = vma.vm_start + pages * PAGE_SIZE
    for table in page_table.tables(vma.vm_start, end):
        protect_numa_range(engine, page_table, table, vma.vm_start, end)


def _begin(engine: Engine[Any], page_table: PageTable, vma: Vma, first: int, pages: int) -> bool:
    """Make the page tables, and stop logging: many entries are told in one event (`_log`)."""
    start = vma.vm_start + first * PAGE_SIZE
    for address in range(start, start + pages * PAGE_SIZE, TABLE_SPAN):
        page_table.table_for(engine, address)
    page_table.table_for(engine, start + (pages - 1) * PAGE_SIZE)
    logging, engine.logging = engine.logging, False
    return logging


def _log(engine: Engine[Any], page_table: PageTable, vma: Vma, first: int, pages: int) -> None:
    start = vma.vm_start + first * PAGE_SIZE
    end = start + pages * PAGE_SIZE
    for table in page_table.tables(start, end):
        slots = table.slots(start, end)
        log_set(engine, page_table, table, slots.start, slots.stop, 0)
