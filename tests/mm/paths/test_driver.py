"""Drivers and their mappings: who may be called under which lock, and what drivers do wrong."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.driver import DRIVERS
from pfviz.mm.operations import (
    MAP_SHARED,
    PROT_READ,
    PROT_WRITE,
    Access,
    Fork,
    Mmap,
    Mprotect,
    Munmap,
    OperationList,
    Sleep,
)
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE, SPECIAL, WRITABLE
from pfviz.mm.paths import driver as driver_paths
from pfviz.mm.paths.driver_mmap import fill_at_once
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_PFNMAP, VM_SHARED
from pfviz.sim import event
from tests.mm.fault_scenes import fallbacks, functions_of, kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
MS = 1_000_000
READ = Access(at("m", 1))
WRITE = Access(at("m", 1), write=True)
SINCE_6_7 = ("6.7", "6.8", "6.9", "6.10", "6.12", "6.15", "6.17", "6.18", "7.2")
OPTED_IN = ("opted_in", "maps_ahead", "drops_fault_lock", "dax_opted_in")
NOT_OPTED_IN = ("plain", "special", "drops_lock", "dax")


def device(driver: str, kernel: str = "6.12", mode: str = "", ready: int = 64,
           policy: Policy | None = None, cpus: int = 4) -> Scene:  # fmt: skip
    """Sixty-four pages of a device at "m", shared and writable."""
    made = world(kernel, mode, cpus=cpus, policy=policy)
    file = new_file(made.engine, "dev", 64, ready, driver=driver)
    made.engine.world.files["dev"] = file
    made.file_vma("m", file, 64, "rw", flags=VM_SHARED, start=BASE)
    made.mm.page_tables.table_for(made.engine, BASE)
    if driver == "pfnmap":
        fill_at_once(made.engine, made.mm.page_tables, made.vmas["m"])
    return made


def watched(made: Scene, until_ns: int = 20 * MS) -> Scene:
    rules.run(made.engine, until_ns, every_steps=1)
    return made


def broken(made: Scene) -> list[str]:
    return [one.rule for one in made.engine.world.broken]


def regimes(made: Scene, thread: Thread | None = None) -> list[int]:
    return [path["regime"] for path in made.events(event.FAULT_PATH, thread)]


def mapped(made: Scene) -> list[int]:
    tables = made.mm.page_tables
    return [page for page in range(64) if tables.pte(BASE + page * PAGE_SIZE)]


# Who may be called


@pytest.mark.parametrize("driver", NOT_OPTED_IN)
@pytest.mark.parametrize("kernel", SINCE_6_7)
def test_a_driver_that_never_opted_in_is_sent_back_to_mmap_lock(kernel: str, driver: str) -> None:
    made = device(driver, kernel)
    thread = made.thread("t", WRITE)
    watched(made)
    assert regimes(made)[:2] == [1, 0]
    assert fallbacks(made)[0] == "driver without map_pages"
    assert "vmf_can_call_fault" in functions_of(made, thread)
    assert made.engine.world.vmstat["vma_lock_retry"] == 1
    assert not broken(made)


@pytest.mark.parametrize("driver", OPTED_IN)
@pytest.mark.parametrize("kernel", SINCE_6_7)
def test_a_driver_that_opted_in_is_served_under_the_vma_lock(kernel: str, driver: str) -> None:
    made = device(driver, kernel)
    made.thread("t", WRITE)
    watched(made)
    assert regimes(made) == [1]
    assert not broken(made)


@pytest.mark.parametrize("driver", [*OPTED_IN, *NOT_OPTED_IN])
def test_6_6_calls_no_driver_under_the_vma_lock_and_6_5_locks_no_file(driver: str) -> None:
    made = device(driver, "6.6")
    made.thread("t", WRITE)
    assert regimes(watched(made)) == [1, 0]
    made = device(driver, "6.5")
    made.thread("t", WRITE)
    assert fallbacks(watched(made)) == ["not anonymous (6.4 locks no file VMA)"]


@pytest.mark.parametrize("policy", [Policy(driver_opt_in=True), Policy(driver_map_pages=True)])
def test_a_policy_lets_every_driver_opt_in(policy: Policy) -> None:
    made = device("plain", policy=policy)
    made.thread("t", READ)
    assert regimes(watched(made)) == [1]
    assert not broken(made)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("ready", [0, 64])
def test_every_driver_maps_its_pages_on_every_kernel_in_every_mode(driver: str, ready: int) -> None:
    for kernel, preset in PRESETS.items():
        for mode in preset.modes:
            made = device(driver, kernel, mode, ready)
            made.thread("t", READ, WRITE, Access(at("m", 40), write=True), Munmap(at("m"), 64))
            wrong = {"sleeps": ["I18"], "drops_wrong_lock": ["I19", "I24", "I25"]}.get(driver, [])
            watched(made)
            assert set(broken(made)) <= {*wrong, *(["I9"] if kernel == "6.4" else [])}
            if not broken(made):
                assert made.results() == [0, 0, 0, 0], (kernel, mode)
                assert mapped(made) == []
                assert set(kinds(made)) <= {"driver", "dax", "shared_write"}


# Mapping ahead


def test_map_pages_maps_what_the_device_has_ready_under_one_fault() -> None:
    made = device("maps_ahead", ready=20)
    thread = made.thread("t", Access(at("m", 17)))
    watched(made)
    assert mapped(made) == [16, 17, 18, 19]
    assert "drm_gem_shmem_fault" not in functions_of(made, thread)
    assert regimes(made) == [1]


def test_map_pages_does_not_wait_and_leaves_the_handler_to_do_so() -> None:
    made = device("maps_ahead", ready=0)
    thread = made.thread("t", READ)
    watched(made)
    names = functions_of(made, thread)
    assert names.index("map_pages") < names.index("drm_gem_shmem_fault")
    waits = made.events(event.IO_BEGIN)
    assert len(waits) == 1
    ended = [row["now_ns"] for row in made.events(event.RCU_READ_END)]
    assert any(now <= waits[0]["now_ns"] for now in ended)
    assert not broken(made)


def test_a_map_pages_that_sleeps_breaks_a_rule_and_holds_grace_periods_up() -> None:
    made = device("sleeps", ready=0)
    made.thread("t", READ)
    watched(made)
    assert broken(made) == ["I18"]
    assert "RCU section" in made.engine.world.broken[0].text
    section = made.events(event.RCU_READ_END)
    device_ns = made.engine.machine.costs["device_wait"]
    begun = [row["now_ns"] for row in made.events(event.RCU_READ_BEGIN)]
    held = max(end["now_ns"] - max(b for b in begun if b <= end["now_ns"]) for end in section)
    assert held > device_ns


# Dropping the lock


def test_a_driver_that_drops_mmap_lock_spares_writers_the_wait_for_its_device() -> None:
    held = {}
    for driver in ("plain", "drops_lock"):
        made = device(driver, ready=0)
        made.thread("t", WRITE)
        writer = made.thread("w", Mprotect(at("m", 60), 1, PROT_READ), cpu=1, after_ns=2_000)
        watched(made)
        assert not broken(made)
        held[driver] = made.events(event.OP_END, writer)[0]["latency_ns"]
    assert held["plain"] > 25_000 > 5 * held["drops_lock"]


def test_it_may_drop_the_lock_once_and_waits_with_it_the_second_time() -> None:
    made = device("drops_lock", "6.12", "mmap_lock", ready=0)
    thread = made.thread("t", WRITE)
    watched(made)
    assert regimes(made, thread) == [0, 0]
    assert mapped(made)[0] == 1
    assert len(mapped(made)) > 1


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_under_the_vma_lock_it_gives_back_what_it_does_not_hold(kernel: str) -> None:
    made = device("drops_wrong_lock", kernel, ready=0)
    made.thread("t", WRITE, Access(at("m", 40), write=True))
    made.thread("u", Munmap(at("m"), 64), cpu=1, after_ns=MS)
    late = made.thread("late", Access(at("m", 50), write=True), cpu=2, after_ns=2 * MS)
    watched(made)
    assert broken(made)[0] == "I19"
    # The VMA stays locked: munmap waits for ever, with mmap_lock held, and all faults behind it.
    assert [row["op"] for row in made.events(event.OP_END)].count("munmap") == 0
    assert made.mm.mmap_lock.is_write_locked
    assert not made.events(event.FAULT_END, late)
    assert set(broken(made)) == {"I19", "I24", "I25"}


def test_converted_to_the_locks_of_faults_it_is_fine() -> None:
    made = device("drops_fault_lock", ready=0)
    made.thread("t", WRITE, Access(at("m", 40), write=True))
    made.thread("u", Munmap(at("m"), 64), cpu=1, after_ns=MS)
    watched(made)
    assert not broken(made)
    assert fallbacks(made) == ["the driver waits for its device"] * 2
    assert [row["op"] for row in made.events(event.OP_END)].count("munmap") == 1


def test_policy_turns_a_driver_that_was_fine_into_one_that_is_not() -> None:
    made = device("drops_lock", ready=0)
    made.thread("t", WRITE)
    assert not broken(watched(made))
    made = device("drops_lock", ready=0, policy=Policy(driver_opt_in=True))
    made.thread("t", WRITE)
    assert broken(watched(made))[0] == "I19"


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


# The rule


@pytest.mark.parametrize("mode", ["per-vma", "mmap_lock"])
def test_a_handler_that_asks_for_a_new_start_and_keeps_its_lock_is_found_out(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check is no list of bad drivers: forget the release of a good one, and it speaks."""
    monkeypatch.setattr(driver_paths, "give_fault_lock_up", _forget)
    made = device("drops_fault_lock", "6.12", mode, ready=0)
    made.thread("t", WRITE)
    with pytest.raises(AssertionError):
        watched(made)
    assert broken(made)[0] == "I19"


def _forget(engine: object, thread: Thread) -> None:
    thread.abort = driver_paths.DEVICE_BUSY
