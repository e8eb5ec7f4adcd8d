"""Drivers and their mappings: who may be called under which lock, and what drivers do wrong."""

from __future__ import annotations

import pytest

from pfviz.mm.driver import DRIVERS
from pfviz.mm.operations import (
    PROT_READ,
    Access,
    Mprotect,
    Munmap,
)
from pfviz.mm.paths import driver as driver_paths
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.sim import event
from tests.mm.driver_scenes import (
    MS,
    NOT_OPTED_IN,
    OPTED_IN,
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
from tests.worlds import at

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
