"""Page-table entries that say where a page is instead: how they are zapped, copied and counted.

For the loops over a table in `page_range`; the caller holds the table's lock. What faults make of
such entries is in `paths/swap_in.py` and `paths/elsewhere.py`.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.frames import Frames
from pfviz.mm.page_table import (
    DEVICE,
    MARKER,
    MIGRATION,
    PFN_SHIFT,
    SWAP,
    SWP_EXCLUSIVE,
    UFFD_WP,
    WRITABLE,
    PageTable,
    PteTable,
)
from pfviz.mm.swap import delete_from_swap_cache, free_swap_and_cache, is_last_of
from pfviz.mm.tlb import MmuGather
from pfviz.sim.engine import Engine


def is_swapped(pte: int) -> bool:
    """Whether an entry points to a slot of a swap area."""
    return pte & (SWAP | MARKER) == SWAP


def is_migration(pte: int) -> bool:
    """Whether an entry's page is being moved."""
    return pte & (SWAP | MARKER) == SWAP | MIGRATION


def is_on_device(pte: int) -> bool:
    """Whether an entry's page is in a device's memory."""
    return pte & (SWAP | MARKER) == SWAP | DEVICE


def has_page_elsewhere(pte: int) -> bool:
    """Whether an entry counts as a resident anonymous page although its page is not mapped."""
    return pte & SWAP != 0 and pte & MARKER not in (0, MARKER)


def zap_elsewhere(
    engine: Engine[Any], page_table: PageTable, table: PteTable, pte: int, gather: MmuGather
) -> int:
    """A swap entry was cleared (zap_nonpresent_ptes); how many anonymous pages that makes less."""
    frames: Frames = engine.world.frames
    table.elsewhere -= 1
    if is_swapped(pte):
        free_swapped(engine, page_table, pte, gather)
        return 0
    if is_on_device(pte):
        if frames.unmap(pte >> PFN_SHIFT):
            gather.frames.append(pte >> PFN_SHIFT)
        return 1
    # Of a page that is being moved only its mover knows; it finds no entry to restore.
    return 1 if is_migration(pte) else 0


def free_swapped(engine: Engine[Any], page_table: PageTable, pte: int, gather: MmuGather) -> None:
    """An entry that pointed to a slot is gone: nobody asks for its contents any more."""
    page_table.rss_swap -= 1
    pfn = free_swap_and_cache(engine, pte)
    if pfn >= 0:
        gather.frames.append(pfn)


def copy_elsewhere(
    engine: Engine[Any], source_table: PteTable, target: PageTable, target_table: PteTable,
    slot: int, cow: bool,
) -> int:  # fmt: skip
    """Fork has copied a swap entry (copy_nonpresent_pte); how many anonymous pages more."""
    pte = source_table.ptes[slot]
    target_table.elsewhere += 1
    if is_swapped(pte):
        area, number = engine.world.swap.of_entry(pte)
        area.lock.line.write(engine)
        area.duplicate(number)
        target.rss_swap += 1
        source_table.ptes[slot] = pte & ~SWP_EXCLUSIVE
        target_table.ptes[slot] = pte & ~(SWP_EXCLUSIVE | UFFD_WP)
        return 0
    pte &= ~(WRITABLE | SWP_EXCLUSIVE) if cow else ~SWP_EXCLUSIVE
    source_table.ptes[slot], target_table.ptes[slot] = pte, pte & ~UFFD_WP
    if is_on_device(pte):
        frames: Frames = engine.world.frames
        frames.share(pte >> PFN_SHIFT)
        return 1
    return 1 if is_migration(pte) else 0


def drop_swap_cache(engine: Engine[Any], pfn: int, gather: MmuGather) -> None:
    """A mapping of a page went whose frame somebody keeps: if only the swap cache does, it goes."""
    folio = engine.world.swap.folios.get(pfn)
    if folio is not None and is_last_of(engine, folio) and delete_from_swap_cache(engine, folio):
        gather.frames.append(pfn)
