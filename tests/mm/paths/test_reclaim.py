"""Swapping out: what it locks, in which order, and what others meet meanwhile."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_FREE,
    MADV_PAGEOUT,
    Access,
    Exit,
    Fork,
    Madvise,
    Mprotect,
    Munmap,
    OperationList,
    ReadProc,
    Reclaim,
    Sleep,
)
from pfviz.mm.page_table import PROTNONE, SWP_EXCLUSIVE
from pfviz.mm.paths import reclaim
from pfviz.mm.paths.rmap import rmap_of
from pfviz.mm.presets import PRESETS
from pfviz.mm.swap import add_area
from pfviz.mm.swap_entries import is_swapped
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_LOCKED
from pfviz.sim import event
from pfviz.sim.task import Step
from tests.mm.fault_scenes import kinds
from tests.mm.swap_scenes import (
    READ,
    SSD,
    WRITE,
    ZRAM,
    area_of,
    check_swap,
    entry,
    swapped_world,
    touched_world,
)
from tests.worlds import at, world

LATER = Sleep(300_000)


@pytest.mark.parametrize("kernel", PRESETS)
@pytest.mark.parametrize("device", [ZRAM, SSD])
def test_pages_go_to_swap_and_their_frames_are_free(kernel: str, device: str) -> None:
    made = touched_world(kernel, device)
    kswapd = made.thread("kswapd", Reclaim(at("m"), 8))
    made.run()
    assert all(is_swapped(entry(made, page)) for page in range(8))
    assert made.results(kswapd) == [8 if device == ZRAM else 0]
    assert made.engine.world.frames.used == 0, "a written page is freed by the next scan"
    assert made.mm.page_tables.rss_anon == 0
    assert made.mm.page_tables.rss_swap == 8
    check_swap(made)


def test_reclaim_takes_no_lock_of_the_address_space_but_its_page_tables() -> None:
    made = touched_world("6.12")
    kswapd = made.thread("kswapd", Reclaim(at("m"), 8))
    made.run()
    log = made.engine.log
    kind = {row[3]: log.texts[row[4]] for row in log if row[1] == event.LOCK_NEW}
    taken = {kind[lock["lock"]] for lock in made.events(event.LOCK_ACQUIRED, kswapd)}
    assert taken == {"spinlock", "anon_vma", "ptl"}


def test_a_page_is_unmapped_then_flushed_then_written_then_freed() -> None:
    made = touched_world("6.12")
    made.thread("app", WRITE, Sleep(50_000), cpu=1)
    kswapd = made.thread("kswapd", Reclaim(at("m", 1), 1), after_ns=5_000)
    made.run()
    names = dict.fromkeys(made.functions(kswapd))
    order = [
        "add_to_swap", "try_to_unmap", "rmap_walk_anon", "try_to_unmap_one",
        "try_to_unmap_flush", "swap_writepage", "__remove_mapping", "free_unref_folios",
    ]  # fmt: skip
    assert [name for name in names if name in order] == order


def test_a_process_with_a_name_is_reclaimed_from_outside() -> None:
    made = touched_world("6.12")
    name = made.mm.name
    other = world("6.12")
    assert other.mm.name == name
    made.thread("kswapd", Reclaim(at("m", 2), 2, name))
    made.run()
    assert [is_swapped(entry(made, page)) for page in range(5)] == [False, False, True, True, False]


def test_without_swap_and_with_a_full_one_pages_stay() -> None:
    made = world("6.12", cpus=4)
    made.vma("m", 8).touched("m")
    kswapd = made.thread("kswapd", Reclaim(at("m"), 8))
    made.run()
    assert made.results(kswapd) == [0]
    check_swap(made)
    small = world("6.12", cpus=4)
    add_area(small.engine, "swap", ZRAM, 3)
    small.vma("m", 8).touched("m")
    kswapd = small.thread("kswapd", Reclaim(at("m"), 8))
    small.run()
    assert small.results(kswapd) == [3]
    check_swap(small)


def test_a_fault_during_the_write_finds_the_page_in_the_swap_cache() -> None:
    made = touched_world("6.12", SSD)
    made.thread("kswapd", Reclaim(at("m"), 8))
    made.thread("app", Sleep(40_000), WRITE, cpu=1)
    made.run()
    assert kinds(made) == ["swap_cache_hit"]
    assert made.engine.world.vmstat["vma_lock_success"] == 1
    check_swap(made)


def test_who_meets_a_page_that_reclaim_has_locked_waits_for_its_lock() -> None:
    made = touched_world("6.12", ZRAM, zram_write=50_000)
    made.thread("kswapd", Reclaim(at("m", 1), 1))
    made.thread("app", Sleep(20_000), READ, cpu=1)
    made.run()
    assert made.engine.world.vmstat["vma_lock_retry"] == 1
    assert kinds(made) == ["swap_cache_hit"]
    check_swap(made)


def test_a_page_that_was_not_written_again_needs_no_second_write() -> None:
    made = swapped_world("6.10", SSD)
    made.thread("app", READ, Sleep(10_000), Reclaim(at("m", 1), 1))
    made.run()
    assert len(made.events(event.IO_BEGIN)) == 1, "the read alone"
    assert made.results()[-1] == 1
    check_swap(made)


def test_shared_pages_are_found_in_parent_and_child() -> None:
    made = touched_world("6.12")
    child = OperationList((LATER, Access(at("m", 1)), Access(at("m", 2), write=True), Exit()))
    made.thread("app", Fork(child, child_cpu=1), Reclaim(at("m"), 8), LATER, READ, Exit())
    made.run()
    assert set(kinds(made)) <= {"swap_in_sync", "swap_cache_hit", "cow_after_fork"}
    assert made.engine.world.frames.used == 0
    assert area_of(made).used == 0
    rules.report(made.engine)
    assert not made.engine.world.broken


def test_fork_copies_swap_entries_and_nobody_owns_the_page_alone_any_more() -> None:
    made = swapped_world("6.12", ZRAM)
    assert entry(made, 1) & SWP_EXCLUSIVE
    child = OperationList((Sleep(200_000), WRITE, Sleep(1_000_000)))
    made.thread("app", Fork(child, child_cpu=1), READ, Sleep(900_000))
    made.run(until_ns=900_000)
    assert not entry(made, 2) & SWP_EXCLUSIVE
    assert area_of(made).counts[2] == 2
    assert "cow_after_fork" not in kinds(made)
    assert kinds(made) == ["swap_in_sync", "swap_cache_hit"]
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.0", "6.1", "6.6", "6.12", "6.18", "7.2"])
def test_unmapped_and_ended_memory_gives_its_slots_back(kernel: str) -> None:
    made = swapped_world(kernel, SSD, cached=3)
    made.thread("app", Munmap(at("m"), 4), Madvise(at("m", 4), 2, MADV_FREE), Exit())
    made.run()
    assert area_of(made).used == 0
    assert made.engine.world.frames.used == 0
    check_swap(made)


def test_mprotect_leaves_entries_of_swap_as_they_are() -> None:
    made = swapped_world("6.12", ZRAM)
    made.thread("app", Mprotect(at("m"), 8, 1), READ, WRITE)
    made.run()
    assert is_swapped(entry(made, 3))
    assert kinds(made) == ["swap_in_sync", "segv_access"]
    assert not entry(made, 1) & PROTNONE
    check_swap(made)


def test_smaps_counts_no_page_that_is_in_swap() -> None:
    made = swapped_world("6.12", ZRAM)
    counted = []
    made.thread("app", READ, ReadProc("smaps"))
    read = made.engine.world
    made.run()
    counted = [sum(t.count_elsewhere(0, 1 << 47) for t in mm.page_tables.all_tables())
               for mm in read.mms]  # fmt: skip
    assert counted == [7]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_madv_pageout_swaps_out_what_nobody_else_maps(kernel: str) -> None:
    made = touched_world(kernel)
    child = OperationList((Sleep(5_000_000),))
    made.thread(
        "app", Fork(child, child_cpu=1), Access(at("m"), write=True, pages=4),
        Madvise(at("m"), 8, MADV_PAGEOUT),
    )  # fmt: skip
    made.run(until_ns=2_000_000)
    assert [is_swapped(entry(made, page)) for page in range(8)] == [True] * 4 + [False] * 4
    made.run()
    check_swap(made)


def test_memory_that_is_locked_is_not_swapped_out() -> None:
    made = touched_world("6.12")
    made.vmas["m"].vm_flags |= VM_LOCKED
    made.thread("app", Reclaim(at("m"), 4), Madvise(at("m"), 8, MADV_PAGEOUT))
    made.run()
    assert made.results() == [0, -22]
    assert not any(is_swapped(entry(made, page)) for page in range(8))


def test_a_page_that_is_freed_before_it_is_flushed_breaks_the_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forget_to_flush(thread: Thread, then: Step) -> Step:
        walk = rmap_of(thread)
        for tables in walk.unflushed:
            tables.flush_pending -= 1
        walk.unflushed.clear()
        return then

    monkeypatch.setattr(reclaim, "flush_unmapped", forget_to_flush)
    made = touched_world("6.12")
    made.thread("app", Access(at("m"), write=True, pages=8), cpu=1, repeat=2_000)
    made.thread("kswapd", Reclaim(at("m"), 8), after_ns=4_000)
    made.run(until_ns=100_000)
    assert [one.rule for one in made.engine.world.broken] == ["I14"]
