"""Page tables: four levels, one lock per table, ranges done table by table."""

from __future__ import annotations

import pytest

from pfviz.mm.page_range import (
    change_pte_range,
    populate_anon,
    rss_by_count,
    zap_pte_range,
)
from pfviz.mm.page_table import (
    DIRTY,
    FILE,
    FLAG_PREFAULTED,
    FLAG_WRITABLE,
    FLAG_ZERO,
    PAGE_SIZE,
    PRESENT,
    PROTNONE,
    PTES_PER_TABLE,
    SPECIAL,
    TABLE_SPAN,
    WRITABLE,
    event_flags,
)
from pfviz.mm.tlb import tlb_gather
from pfviz.sim import event
from tests.worlds import world

BASE = 0x7F00_0000_0000


def test_a_walk_finds_a_table_only_where_one_was_linked() -> None:
    made = world()
    tables = made.mm.page_tables
    assert tables.walk(BASE) is None
    table = tables.table_for(made.engine, BASE + 5 * PAGE_SIZE)
    assert tables.walk(BASE + TABLE_SPAN - 1) is table
    assert tables.walk(BASE + TABLE_SPAN) is None
    assert tables.pte(BASE) == 0


def test_two_tables_of_one_pmd_share_its_lock_but_not_their_own() -> None:
    made = world()
    tables = made.mm.page_tables
    first = tables.table_for(made.engine, BASE)
    second = tables.table_for(made.engine, BASE + TABLE_SPAN)
    assert first.ptl is not second.ptl
    pmd = tables.pmd_table(BASE)
    assert pmd is tables.pmd_table(BASE + TABLE_SPAN)
    assert pmd is not None
    assert pmd.lock is not tables.page_table_lock


def test_tables_of_a_range_come_in_order_across_large_holes() -> None:
    made = world()
    tables = made.mm.page_tables
    bases = [0x40_0000, BASE, BASE + TABLE_SPAN, 0x7FFF_FFE0_0000]
    for base in reversed(bases):
        tables.table_for(made.engine, base)
    assert [table.base for table in tables.tables(0, 1 << 47)] == bases
    assert [table.base for table in tables.tables(BASE + PAGE_SIZE, BASE + TABLE_SPAN)] == [BASE]


def test_half_a_gibibyte_of_resident_pages_is_built_at_once() -> None:
    made = world()
    tables = made.mm.page_tables
    populate_anon(made.engine, tables, BASE, 131_072, anon_vma=7)
    assert tables.count_present(BASE, BASE + (131_072 << 12)) == 131_072
    assert tables.table_count == 256
    assert made.engine.world.frames.used == 131_072
    # One event per table, not per page.
    assert len(made.events(event.PTE_SET)) == 256
    assert made.events(event.PTE_SET)[0]["flags"] & FLAG_PREFAULTED


def test_populated_ranges_need_not_be_aligned() -> None:
    made = world()
    tables = made.mm.page_tables
    start = BASE + 500 * PAGE_SIZE
    populate_anon(made.engine, tables, start, 30, anon_vma=7)
    assert tables.count_present(start, start + 30 * PAGE_SIZE) == 30
    assert tables.count_present(start, start + 12 * PAGE_SIZE) == 12
    assert rss_by_count(tables) == (30, 0)


def test_zapping_keeps_frames_until_the_flush_and_counts_what_went() -> None:
    made = world()
    tables = made.mm.page_tables
    populate_anon(made.engine, tables, BASE, 10, anon_vma=7)
    gather = tlb_gather(tables)
    table = tables.walk(BASE)
    assert table is not None
    cleared = zap_pte_range(
        made.engine, tables, table, BASE + 2 * PAGE_SIZE, BASE + 6 * PAGE_SIZE, gather
    )
    assert cleared == gather.pages == len(gather.frames) == 4
    assert (gather.start, gather.end) == (BASE + 2 * PAGE_SIZE, BASE + 6 * PAGE_SIZE)
    assert (tables.rss_anon, table.occupied) == (6, 6)
    (gone,) = made.events(event.PTE_CLEARED)
    assert (gone["address"], gone["count"]) == (BASE + 2 * PAGE_SIZE, 4)


def test_a_range_with_holes_is_cleared_in_runs() -> None:
    made = world()
    tables = made.mm.page_tables
    for page in (0, 1, 4):
        populate_anon(made.engine, tables, BASE + page * PAGE_SIZE, 1, anon_vma=7)
    table = tables.walk(BASE)
    assert table is not None
    zap_pte_range(made.engine, tables, table, BASE, BASE + TABLE_SPAN, tlb_gather(tables))
    runs = [(gone["address"] - BASE, gone["count"]) for gone in made.events(event.PTE_CLEARED)]
    assert runs == [(0, 2), (4 * PAGE_SIZE, 1)]


def test_protection_none_keeps_the_page_and_hides_it_from_the_hardware() -> None:
    made = world()
    tables = made.mm.page_tables
    populate_anon(made.engine, tables, BASE, 4, anon_vma=7)
    table = tables.walk(BASE)
    assert table is not None
    end = BASE + 4 * PAGE_SIZE
    changed, to_flush = change_pte_range(
        made.engine, tables, table, BASE, end, accessible=False, writable=False, private=True
    )
    assert (changed, to_flush) == (4, 4)
    pte = tables.pte(BASE)
    assert pte & PROTNONE
    assert not pte & (PRESENT | WRITABLE)
    assert table.occupied == 4
    change_pte_range(
        made.engine, tables, table, BASE, end, accessible=True, writable=True, private=True
    )
    assert tables.pte(BASE) & WRITABLE  # exclusive: no fault needed


def test_a_page_that_a_fork_shared_does_not_become_writable_at_once() -> None:
    made = world()
    tables = made.mm.page_tables
    populate_anon(made.engine, tables, BASE, 1, anon_vma=7)
    made.engine.world.frames.share(tables.pte(BASE) >> 12)
    table = tables.walk(BASE)
    assert table is not None
    table.ptes[0] &= ~WRITABLE
    change_pte_range(
        made.engine, tables, table, BASE, BASE + PAGE_SIZE, accessible=True, writable=True,
        private=True,
    )  # fmt: skip
    assert not tables.pte(BASE) & WRITABLE


def test_only_tables_that_serve_no_neighbour_are_unlinked() -> None:
    made = world()
    tables = made.mm.page_tables
    for index in range(3):
        tables.table_for(made.engine, BASE + index * TABLE_SPAN)
    taken = tables.unlink_tables(made.engine, BASE + PAGE_SIZE, BASE + 3 * TABLE_SPAN)
    assert [table.base for table in taken] == [BASE + TABLE_SPAN, BASE + 2 * TABLE_SPAN]
    assert not any(table.is_linked for table in taken)
    assert tables.walk(BASE) is not None


def test_a_table_with_live_entries_may_not_be_unlinked() -> None:
    made = world()
    populate_anon(made.engine, made.mm.page_tables, BASE, 1, anon_vma=7)
    with pytest.raises(AssertionError, match="live entries"):
        made.mm.page_tables.unlink_tables(made.engine, BASE, BASE + TABLE_SPAN)


def test_a_freed_table_may_not_be_read() -> None:
    made = world()
    table = made.mm.page_tables.table_for(made.engine, BASE)
    table.is_freed = True
    with pytest.raises(AssertionError, match="freed page table"):
        made.mm.page_tables.pte(BASE)


def test_flags_of_events_say_what_an_entry_is() -> None:
    assert event_flags(PRESENT | WRITABLE | DIRTY) == FLAG_WRITABLE | 2
    assert event_flags(PRESENT | SPECIAL) == FLAG_ZERO
    assert event_flags(PRESENT | SPECIAL | FILE) == 8  # a device page is no zero page
    assert PTES_PER_TABLE * PAGE_SIZE == TABLE_SPAN
