"""The page cache: folios made on demand, readahead, reads that end by themselves."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import Access
from pfviz.mm.page_cache import READAHEAD_PAGES, File, new_file, start_read
from pfviz.mm.page_table import FLAG_PREFAULTED
from pfviz.mm.policy import Policy
from pfviz.mm.vma import VM_RAND_READ, VM_SEQ_READ
from pfviz.sim import event
from tests.mm.fault_scenes import kinds
from tests.worlds import Scene, at, world


def mapped(pages: int, present: int, flags: int = 0, **policy: int) -> tuple[Scene, File]:
    made = world("6.12", policy=Policy(**policy))  # type: ignore[arg-type]
    file = new_file(made.engine, "data", pages, present)
    made.file_vma("m", file, pages, flags=flags, start=0x7F00_0000_0000)
    return made, file


def test_a_large_file_costs_nothing_until_it_is_looked_at() -> None:
    made, file = mapped(100_000, 100_000)
    assert not file.folios
    folio = file.folio(made.engine, 99_999)
    assert folio is not None
    assert folio.uptodate
    assert file.folio(made.engine, 99_999) is folio
    assert file.folio(made.engine, 100_000) is None


def test_one_fault_maps_the_cached_pages_around_it() -> None:
    made, _ = mapped(64, 64)
    made.thread("t", Access(at("m", 20)), Access(at("m", 16), pages=16))
    made.run()
    assert kinds(made) == ["file_read_hit"]
    sets = made.events(event.PTE_SET)
    pages = [(entry["address"] - made.named("m")) >> 12 for entry in sets]
    assert pages == list(range(16, 32))
    assert [bool(e["flags"] & FLAG_PREFAULTED) for e in sets].count(False) == 1


def test_fault_around_can_be_turned_off() -> None:
    made, _ = mapped(64, 64, fault_around_pages=1)
    made.thread("t", Access(at("m"), pages=4))
    made.run()
    assert kinds(made) == ["file_read_hit"] * 4


def test_a_miss_reads_the_pages_around_it_and_is_major() -> None:
    made, _ = mapped(256, 0)
    made.thread("t", Access(at("m", 100)))
    made.run()
    (io,) = made.events(event.IO_BEGIN)
    assert (io["index"], io["count"]) == (100 - READAHEAD_PAGES // 2, READAHEAD_PAGES)
    (end,) = made.events(event.FAULT_END)
    assert end["kind"] == "file_read_miss"
    assert end["flags"] & 1
    assert made.engine.world.vmstat["pgmajfault"] == 1
    assert end["latency_ns"] > made.engine.machine.costs["io"]


def test_random_advice_reads_one_page() -> None:
    made, _ = mapped(256, 0, VM_RAND_READ)
    made.thread("t", Access(at("m", 100)))
    made.run()
    assert [(io["index"], io["count"]) for io in made.events(event.IO_BEGIN)] == [(100, 1)]


def test_a_sequential_reader_finds_the_next_window_already_there() -> None:
    made, file = mapped(256, 0, VM_SEQ_READ)
    made.thread("t", Access(at("m"), pages=256))
    made.run()
    misses = kinds(made).count("file_read_miss")
    assert misses < 256 // READAHEAD_PAGES
    assert file.reads >= 256 // READAHEAD_PAGES


def test_a_read_puts_locked_pages_into_the_cache_and_unlocks_them_when_done() -> None:
    made, file = mapped(8, 2)
    assert start_read(made.engine, file, 0, 8) == 6
    folio = file.folio(made.engine, 5)
    assert folio is not None
    assert folio.locked_by != -1
    assert not folio.uptodate
    made.run()
    assert folio.locked_by == -1
    assert folio.uptodate
    assert start_read(made.engine, file, 0, 8) == 0


def test_a_page_beyond_the_end_of_the_file_is_a_bus_error() -> None:
    made = world("6.12")
    file = new_file(made.engine, "short", 4, 4)
    made.file_vma("m", file, 8)
    thread = made.thread("t", Access(at("m", 6)))
    made.run()
    assert kinds(made) == ["sigbus"]
    assert made.results(thread) == [-14]
    assert not thread.vma_read_locks


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
def test_a_truncated_page_is_a_bus_error_in_no_mode_while_the_file_is_long(mode: str) -> None:
    made = world("6.12", mode)
    file = new_file(made.engine, "data", 8, 8)
    made.file_vma("m", file, 8)
    file.remove(made.engine, 3)
    made.thread("t", Access(at("m", 3)))
    made.run()
    assert kinds(made) == ["file_read_miss"]
