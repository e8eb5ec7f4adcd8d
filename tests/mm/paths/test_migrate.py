"""Pages on the move: compaction, a device's memory, NUMA hints, and faults that meet them."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import (
    Access,
    Exit,
    Fork,
    MigratePages,
    MigrateToDevice,
    Mprotect,
    Munmap,
    NumaScan,
    OperationList,
    Sleep,
)
from pfviz.mm.page_table import PRESENT, PROTNONE, WRITABLE, pfn_of
from pfviz.mm.paths import elsewhere, swap_in
from pfviz.mm.paths.migrate import isolate
from pfviz.mm.presets import PRESETS
from pfviz.mm.swap_entries import is_migration, is_on_device
from pfviz.sim import event
from tests.mm.fault_scenes import fallbacks, functions_of, kinds
from tests.mm.swap_scenes import (
    READ,
    WRITE,
    check_swap,
    device_world,
    entry,
    hinted_world,
    swapped_world,
    touched_world,
)
from tests.worlds import Scene, at

SINCE_6_6 = ("6.6", "6.7", "6.8", "6.9", "6.10", "6.12", "6.15", "6.17", "6.18", "7.2")
WITH_LOCK = ("6.4", "6.5", *SINCE_6_6)


def counters(made: Scene) -> tuple[int, int]:
    stat = made.engine.world.vmstat
    return stat.get("vma_lock_success", 0), stat.get("vma_lock_retry", 0)


# Compaction


def moving(kernel: str, *accesses: Access, mode: str = "") -> Scene:
    """32 pages are being moved while a thread touches one of them."""
    made = touched_world(kernel, pages=32, mode=mode)
    made.thread("kcompactd", MigratePages(at("m"), 32), cpu=1)
    made.thread("t", Sleep(10_000), *accesses)
    return made.run()


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_fault_waits_until_its_page_has_moved(kernel: str) -> None:
    made = moving(kernel, Access(at("m", 20)))
    assert kinds(made) == ["migration"]
    assert entry(made, 20) & PRESENT
    check_swap(made)


@pytest.mark.parametrize("kernel", SINCE_6_6)
def test_it_waits_with_the_vma_lock_held_and_touches_the_page_again(kernel: str) -> None:
    made = moving(kernel, Access(at("m", 20)))
    assert counters(made) == (1, 0)
    assert not fallbacks(made)
    slept = [
        s for s in made.events(event.SLEEP) if s["why"] == "waits for a page that is being moved"
    ]
    assert len(slept) == 1


@pytest.mark.parametrize("kernel", ["6.4", "6.5"])
def test_before_6_6_the_wait_is_under_mmap_lock(kernel: str) -> None:
    made = moving(kernel, Access(at("m", 20)))
    assert counters(made) == (0, 1)
    assert fallbacks(made) == [swap_in.NEEDS_MMAP_LOCK]


def test_pages_that_moved_are_as_writable_as_before() -> None:
    made = moving("6.12")
    assert all(entry(made, page) & WRITABLE for page in range(32))
    assert len({pfn_of(entry(made, page)) for page in range(32)}) == 32
    assert pfn_of(entry(made, 0)) > 32, "not the frame that it was on"


def test_the_entry_of_a_page_on_the_move_can_be_unmapped_protected_and_forked() -> None:
    made = touched_world("6.12", pages=32, copy=3_000)
    made.thread("kcompactd", MigratePages(at("m"), 32), cpu=1)
    child = OperationList((Sleep(300_000), Access(at("m", 30)), Exit()))
    made.thread(
        "t", Sleep(15_000), Munmap(at("m", 24), 2), Mprotect(at("m", 26), 2, 1),
        Fork(child, child_cpu=2), Sleep(300_000), Access(at("m", 30), write=True), Sleep(600_000),
    )  # fmt: skip
    made.run(until_ns=32_000)
    assert is_migration(entry(made, 30))
    assert not entry(made, 26) & WRITABLE
    made.run()
    assert entry(made, 24) == 0
    assert not entry(made, 26) & WRITABLE
    check_swap(made)


def test_a_page_in_the_swap_cache_moves_with_its_slot() -> None:
    made = swapped_world("6.12", "ssd", cached=8)
    made.thread("t", READ, MigratePages(at("m", 1), 1), Munmap(at("m"), 8))
    made.run()
    assert made.results()[1] == 1
    assert made.engine.world.frames.used == 0
    check_swap(made)


def test_a_page_that_somebody_else_refers_to_stays_where_it_is() -> None:
    made = touched_world("6.12", pages=1)
    pfn = pfn_of(entry(made, 0))
    made.engine.world.frames.refcount[pfn] += 1  # As a device that pins it.
    thread = made.thread("kcompactd", MigratePages(at("m"), 1))
    made.run()
    assert made.results(thread) == [0]
    assert pfn_of(entry(made, 0)) == pfn
    made.engine.world.frames.refcount[pfn] -= 1
    check_swap(made)


def test_a_page_has_one_mover_at_a_time() -> None:
    made = touched_world("6.12", pages=4, copy=20_000)
    first = made.thread("one", MigratePages(at("m"), 4), cpu=1)
    second = made.thread("two", MigratePages(at("m"), 4), cpu=2, after_ns=300)
    made.run()
    assert made.results(first) == [4]
    assert made.results(second) == [0], "isolated pages are on no list"
    check_swap(made)


def test_a_page_cannot_be_reclaimed_before_its_mover_has_put_it_back() -> None:
    made = touched_world("6.12", pages=1)
    made.thread("mover", MigratePages(at("m"), 1), cpu=1)
    while not any("remove_migration_ptes" in name for name in made.functions()):
        made.engine.run(steps_max=1)
    while not entry(made, 0) & PRESENT:
        made.engine.run(steps_max=1)
    found, _ = isolate(made.engine, made.mm, made.named("m"), made.named("m") + 4096)
    assert found == []
    made.run()
    check_swap(made)


def test_a_device_takes_no_page_that_swap_still_needs() -> None:
    made = swapped_world("6.12", "ssd", cached=8)
    child = OperationList((Sleep(300_000), Exit()))
    made.thread("t", Fork(child, child_cpu=1), READ, MigrateToDevice(at("m", 1), 1), Exit())
    made.run()
    assert made.results()[2] == 0, "the child's entry points to the slot"
    check_swap(made)


# A device


@pytest.mark.parametrize("kernel", PRESETS)
@pytest.mark.parametrize("access", [READ, WRITE], ids=["read", "write"])
def test_a_page_comes_back_from_the_device_when_it_is_touched(kernel: str, access: Access) -> None:
    made = device_world(kernel)
    made.thread("t", access)
    made.run()
    assert kinds(made) == ["device_private"]
    assert entry(made, 1) & PRESENT
    assert is_on_device(entry(made, 2))
    check_swap(made)


@pytest.mark.parametrize("kernel", WITH_LOCK)
def test_the_driver_is_only_called_under_mmap_lock(kernel: str) -> None:
    made = device_world(kernel)
    made.thread("t", READ)
    made.run()
    assert counters(made) == (0, 1)
    early = not PRESETS[kernel].swap_under_vl
    cause = swap_in.NEEDS_MMAP_LOCK if early else elsewhere.DRIVER_NEEDS_MMAP_LOCK
    assert fallbacks(made) == [cause]


def test_two_threads_that_want_one_page_of_the_device_get_the_same() -> None:
    made = device_world("6.12")
    made.thread("a", WRITE)
    made.thread("b", WRITE, cpu=1, after_ns=10)
    made.run()
    assert entry(made, 1) & WRITABLE
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_pages_go_to_a_device_and_back(kernel: str) -> None:
    made = touched_world(kernel)
    made.thread("t", MigrateToDevice(at("m"), 4), Access(at("m"), pages=8), Exit())
    made.run()
    assert made.results()[0] == 4
    assert kinds(made) == ["device_private"] * 4
    assert made.engine.world.frames.used == 0
    check_swap(made)


def test_memory_in_a_device_is_copied_by_fork_and_freed_with_its_process() -> None:
    made = device_world("6.12")
    child = OperationList((WRITE, Exit()))
    made.thread("t", Fork(child, child_cpu=1), Sleep(500_000), READ, Exit())
    made.run()
    assert made.engine.world.frames.used == 0
    check_swap(made)


# NUMA


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_hint_on_the_right_node_makes_the_entry_accessible_again(kernel: str) -> None:
    made = hinted_world(kernel)
    pfn = pfn_of(entry(made, 1))
    assert entry(made, 1) & PROTNONE
    made.thread("t", READ, WRITE)
    made.run()
    expected = ["numa_hint"]
    assert kinds(made) == expected, "an exclusive page becomes writable at once"
    assert pfn_of(entry(made, 1)) == pfn
    check_swap(made)


@pytest.mark.parametrize("kernel", WITH_LOCK)
@pytest.mark.parametrize("cpu", [0, 2], ids=["right node", "wrong node"])
def test_numa_hints_are_served_under_the_vma_lock(kernel: str, cpu: int) -> None:
    made = hinted_world(kernel, sockets=2)
    made.thread("t", READ, cpu=cpu)
    made.run()
    assert counters(made) == (1, 0)
    assert made.engine.world.vmstat.get("numa_pages_migrated", 0) == (cpu == 2)
    check_swap(made)


def test_a_page_on_the_wrong_node_follows_the_thread() -> None:
    made = hinted_world("6.12", sockets=2)
    pfn = pfn_of(entry(made, 1))
    thread = made.thread("t", READ, cpu=2)
    made.run()
    frames = made.engine.world.frames
    assert frames.node_of(pfn) == 0
    assert frames.node_of(pfn_of(entry(made, 1))) == 1
    names = dict.fromkeys(functions_of(made, thread))
    order = ["do_numa_page", "numa_migrate_check", "migrate_misplaced_folio", "migrate_pages",
             "try_to_unmap_flush", "remove_migration_ptes"]  # fmt: skip
    assert [name for name in names if name in order and name != "try_to_unmap_flush"] == [
        name for name in order if name != "try_to_unmap_flush"
    ]
    check_swap(made)


@pytest.mark.parametrize("kernel", ["6.0", "6.12", "7.2"])
def test_the_scanner_marks_pages_under_mmap_lock_held_for_reading(kernel: str) -> None:
    made = touched_world(kernel)
    thread = made.thread("t", NumaScan(at("m"), 4), Access(at("m"), pages=8))
    made.run()
    assert kinds(made) == ["numa_hint"] * 4
    taken = [a for a in made.events(event.LOCK_ACQUIRED, thread)
             if a["lock"] == made.mm.mmap_lock.id]  # fmt: skip
    assert taken[0]["mode"] == 0
    assert made.events(event.TLB_FLUSH, thread), "no CPU may use the page without a fault"
    check_swap(made)


def test_the_scanner_gives_up_when_somebody_writes() -> None:
    made = touched_world("6.12", pages=512)
    made.thread("w", Mprotect(at("m"), 512, 1), cpu=1)
    made.thread("t", NumaScan(at("m"), 4), after_ns=1_000)
    made.run()
    assert made.results()[0] == 0
    assert not entry(made, 0) & PROTNONE
    check_swap(made)


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
def test_pages_elsewhere_work_in_every_mode(mode: str) -> None:
    moving("6.12", Access(at("m", 20)), mode=mode)
    for made in (device_world("6.12", mode), hinted_world("6.12", mode)):
        made.thread("t", READ, WRITE)
        made.run()
        assert entry(made, 1) & WRITABLE
        check_swap(made)
