"""What a device's mapping is for everybody else: fork, mmap, merging, huge entries, other calls."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import (
    MADV_DONTNEED,
    MADV_PAGEOUT,
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    Access,
    Fork,
    GetUserPages,
    Madvise,
    Mlock,
    Mmap,
    Mprotect,
    Mremap,
    Munmap,
    Operation,
    OperationList,
    Sleep,
)
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE, SPECIAL, WRITABLE
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_PFNMAP, VM_SHARED
from pfviz.sim import event
from tests.mm.driver_scenes import (
    BASE,
    MS,
    READ,
    SINCE_6_7,
    WRITE,
    broken,
    device,
    mapped,
    regimes,
    watched,
)
from tests.mm.fault_scenes import fallbacks, functions_of, kinds
from tests.worlds import Scene, at, world

# Frames without pages


def test_a_device_can_be_mapped_whole_and_then_takes_no_faults() -> None:
    for kernel in PRESETS:
        made = world(kernel, cpus=2)
        made.engine.world.files["mem"] = new_file(made.engine, "mem", 8, 8, driver="pfnmap")
        map_it = Mmap(8, PROT_READ | PROT_WRITE, MAP_SHARED, file="mem", slot="s")
        made.thread("t", map_it, Access(at("s"), write=True, pages=8), Munmap(at("s"), 8))
        watched(made)
        assert not made.events(event.FAULT_BEGIN)
        assert made.results() == [made.results()[0], 0, 0]
        assert not broken(made)


def test_what_such_a_device_did_not_map_is_not_there() -> None:
    made = device("pfnmap")
    table = made.mm.page_tables.table_for(made.engine, BASE)
    table.ptes[1] = 0
    table.occupied -= 1
    made.thread("t", READ)
    watched(made)
    assert kinds(made) == ["sigbus"]


def test_remap_pfn_range_write_locks_the_new_vma_before_the_tree_shows_it() -> None:
    made = world("6.12", cpus=2)
    made.engine.world.files["mem"] = new_file(made.engine, "mem", 8, 8, driver="pfnmap")
    thread = made.thread("t", Mmap(8, PROT_READ, MAP_SHARED, file="mem", slot="s"))
    watched(made)
    names = made.functions(thread)
    assert names.index("mmap_mem") < names.index("vma_start_write")
    assert names.index("vma_start_write") < names.index("remap_pfn_range_internal")
    assert names.index("remap_pfn_range_internal") < names.index("vma_iter_store_new")


def test_fork_copies_the_entries_of_a_device() -> None:
    made = device("plain")
    child = OperationList((Sleep(MS), Access(at("m", 1), write=True)))
    made.thread("t", WRITE, Fork(child, child_cpu=1))
    watched(made)
    assert made.vmas["m"].vm_flags & VM_PFNMAP
    assert len(made.events(event.FAULT_BEGIN)) == 1
    assert not broken(made)


def test_device_mappings_are_never_merged() -> None:
    made = world("6.12")
    made.engine.world.files["mem"] = new_file(made.engine, "mem", 64, 64, driver="plain")
    first = Mmap(8, PROT_READ, MAP_SHARED, file="mem", slot="a", at=None, pgoff=8)
    second = Mmap(8, PROT_READ, MAP_SHARED, file="mem", slot="b", pgoff=0)
    made.thread("t", first, second)
    watched(made)
    assert len(made.layout()) == 2


def test_who_wants_to_know_of_writes_is_asked_once() -> None:
    made = device("dax_opted_in")
    thread = made.thread("t", READ, WRITE, WRITE)
    watched(made)
    assert kinds(made) == ["dax", "shared_write"]
    assert "pfn_mkwrite" in functions_of(made, thread)
    assert made.mm.page_tables.pte(BASE + PAGE_SIZE) & (SPECIAL | WRITABLE) == SPECIAL | WRITABLE


def test_a_device_that_is_not_asked_is_made_writable_at_once() -> None:
    made = device("plain")
    read_only, writable = Mprotect(at("m"), 64, PROT_READ), Mprotect(at("m"), 64, 3)
    thread = made.thread("t", READ, read_only, writable, WRITE)
    watched(made)
    assert "pfn_mkwrite" not in functions_of(made, thread)
    assert not broken(made)


# One driver, two processes


def test_two_processes_wait_for_one_lock_of_the_driver_with_two_locks_of_their_own() -> None:
    made = device("plain", ready=0, cpus=4)
    child = OperationList((Access(at("m", 32), write=True),))
    made.thread("t", Fork(child, child_cpu=1), Access(at("m", 1), write=True))
    watched(made)
    kinds_of_lock = {row["lock"]: row["name"] for row in made.events(event.LOCK_NEW)}
    locks = [name for name in kinds_of_lock.values() if name.startswith("mmap_lock")]
    assert len(locks) == 2
    waits = [row for row in made.events(event.CONTENTION_BEGIN) + made.events(event.SPIN_BEGIN)
             if kinds_of_lock[row["lock"]] == "object lock dev"]  # fmt: skip
    assert len(waits) >= 1
    assert not broken(made)


# 2 MiB at once


def persistent(
    kernel: str = "6.12", mode: str = "", driver: str = "dax", pages: int = 1024
) -> Scene:
    """Four MiB of persistent memory at "m", aligned to 2 MiB."""
    made = world(kernel, mode, cpus=4)
    file = new_file(made.engine, "pmem", pages, pages, driver=driver)
    made.engine.world.files["pmem"] = file
    made.file_vma("m", file, pages, "rw", flags=VM_SHARED, start=BASE)
    return made


@pytest.mark.parametrize("kernel", SINCE_6_7)
def test_huge_fault_is_called_under_the_vma_lock_though_nobody_opted_in(kernel: str) -> None:
    made = persistent(kernel)
    made.thread("t", READ, Access(at("m", 300)), WRITE, Access(at("m", 600), write=True))
    watched(made)
    assert regimes(made) == [1, 1, 1]
    assert kinds(made) == ["dax", "dax", "dax"]
    assert not fallbacks(made)
    assert sorted(made.mm.page_tables.huge) == [BASE >> 21, (BASE >> 21) + 1]
    assert not broken(made)


def test_where_2_mib_do_not_fit_small_pages_are_mapped_and_the_driver_is_asked() -> None:
    made = persistent(pages=1000)
    made.thread("t", Access(at("m", 700), write=True))
    watched(made)
    assert fallbacks(made) == ["driver without map_pages"]
    assert not made.mm.page_tables.huge
    assert not broken(made)


@pytest.mark.parametrize("kernel", ["6.1", "6.6", "6.12", "6.18"])
def test_2_mib_of_a_device_are_forked_protected_cut_and_unmapped(kernel: str) -> None:
    made = persistent(kernel)
    child = OperationList((Access(at("m", 5), write=True), Sleep(MS)))
    made.thread(
        "t", WRITE, Fork(child, child_cpu=1), Mprotect(at("m", 100), 8, PROT_READ),
        Access(at("m", 400), write=True), Munmap(at("m", 500), 24), Munmap(at("m"), 1024),
    )  # fmt: skip
    watched(made)
    assert not broken(made)
    assert not made.mm.page_tables.huge
    assert [row["result"] for row in made.events(event.OP_END)][:6].count(-14) == 0


# Calls that may not touch a device's pages


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
@pytest.mark.parametrize(
    ("call", "result"),
    [
        (Madvise(at("m"), 8, MADV_DONTNEED), -22),
        (Madvise(at("m"), 8, MADV_PAGEOUT), -22),
        (Mremap(at("m"), 64, 80), -14),
        (Mremap(at("m"), 64, 64, dontunmap=True), -22),
        (Mlock(at("m"), 64), 0),
        (GetUserPages(at("m"), 4), -14),
    ],
)
def test_calls_that_would_need_pages_refuse_a_device(
    kernel: str, call: Operation, result: int
) -> None:
    made = device("plain", kernel)
    made.thread("t", WRITE, call, WRITE)
    watched(made)
    assert made.results() == [0, result, 0]
    assert len(mapped(made)) == 1
    assert not broken(made)


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
def test_a_private_write_to_a_device_page_is_copied_and_counted(mode: str) -> None:
    made = world("6.12", mode, cpus=2)
    file = new_file(made.engine, "dev", 8, 8, driver="plain")
    made.file_vma("m", file, 8, "rw", start=BASE)
    writer = OperationList((WRITE, WRITE))
    made.thread("t", WRITE, Fork(writer, child_cpu=1), WRITE)
    watched(made)
    assert "file_cow" in kinds(made)
    assert not broken(made)
