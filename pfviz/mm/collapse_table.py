"""What a collapse does to a page table: judge it, take it out and back, empty it into 2 MiB.

Plain functions; the caller holds what is said of each.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.frames import Frames
from pfviz.mm.huge_pmd import start_anon_block
from pfviz.mm.page_range import assert_locked, count_rss, log_cleared, log_set
from pfviz.mm.page_table import (
    FILE,
    PFN_SHIFT,
    PRESENT,
    PTES_PER_TABLE,
    SPECIAL,
    TABLE_SHIFT,
    UFFD_WP,
    PageTable,
    PteTable,
)
from pfviz.sim.engine import Engine


def may_collapse(engine: Engine[Any], table: PteTable) -> bool:
    """Whether every entry is none, the zero page, or an anonymous page that only entries hold.

    The table's lock is held.
    """
    assert_locked(engine, table)
    frames: Frames = engine.world.frames
    for pte in table.ptes:
        if not pte or (pte & SPECIAL and pte & PRESENT and not pte & FILE):
            continue
        if not pte & PRESENT or pte & (FILE | UFFD_WP):
            return False
        pfn = pte >> PFN_SHIFT
        if frames.refcount[pfn] != frames.mapcount[pfn] or pfn in engine.world.swap.folios:
            return False
    return True


def take_table(engine: Engine[Any], page_table: PageTable, table: PteTable) -> None:
    """Clear the PMD entry that points to a table; its PMD lock is held."""
    pmd = page_table.pmd_table(table.base)
    assert pmd is not None
    del pmd.entries[table.base >> TABLE_SHIFT]
    table.is_linked = False
    page_table.table_count -= 1
    log_cleared(engine, page_table, table, 0, PTES_PER_TABLE)


def restore_table(engine: Engine[Any], page_table: PageTable, table: PteTable) -> None:
    """Hang a table back where it was; its PMD lock is held."""
    table.is_linked = True
    page_table.link_table(engine, table)
    log_set(engine, page_table, table, 0, PTES_PER_TABLE, 0)


def copy_into_block(
    engine: Engine[Any], page_table: PageTable, table: PteTable, block: int, anon_vma: int
) -> list[int]:
    """Empty a table whose contents were copied to a block; the frames that are free now.

    The table hangs nowhere; its lock is held.
    """
    frames: Frames = engine.world.frames
    gone: list[int] = []
    small = 0
    for slot, pte in enumerate(table.ptes):
        if not pte:
            continue
        table.ptes[slot] = 0
        if pte & SPECIAL:
            continue
        small += 1
        pfn = pte >> PFN_SHIFT
        if frames.unmap(pfn):
            gone.append(pfn)
    table.occupied = 0
    start_anon_block(frames, block, anon_vma)
    count_rss(engine, page_table, anon=PTES_PER_TABLE - small)
    return gone
