"""Why a fault gives up a VMA lock: every cause by name, reached by the race behind it."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PROT_READ, Access, Mmap, Mprotect, Munmap
from pfviz.mm.page_cache import new_file
from pfviz.mm.policy import Policy
from pfviz.mm.vma import Vma
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, fallbacks, kinds, race, scene
from tests.worlds import Scene, at, world

KERNELS = ["6.4", "6.12", "6.15", "6.18"]
SLOW = 20_000
"""Nanoseconds that one step is made to last, so that another thread gets in between."""


def faulting(made: Scene, page: int = 2, after_ns: int = 0, cpu: int = 0) -> Scene:
    made.thread(f"fault{cpu}", Access(at("m", page), write=True), cpu=cpu, after_ns=after_ns)
    return made


def writing(made: Scene, *operations, after_ns: int = 0, cpu: int = 1) -> Scene:
    made.thread(f"writer{cpu}", *operations, cpu=cpu, after_ns=after_ns)
    return made


def step_names(made: Scene) -> list[str]:
    """Every step that ran, by its module and name."""
    log = made.engine.log
    return [log.steps[row[3]].name for row in log if row[1] == event.STEP]


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_vma_at_the_address_is_for_mmap_lock_to_find_out(kernel: str) -> None:
    made, _ = scene("segv_unmapped", kernel, "per-vma")
    assert fallbacks(made.run()) == ["no VMA at the address"]
    assert made.engine.world.vmstat["vma_lock_abort"] == 1


def test_6_4_locks_no_vma_that_has_a_file() -> None:
    made, _ = scene("file_read_hit", "6.4", "per-vma")
    assert fallbacks(made.run()) == ["not anonymous (6.4 locks no file VMA)"]


def test_6_4_refuses_a_vma_without_an_anon_vma_before_it_is_locked() -> None:
    made, _ = scene("anon_read_zero", "6.4", "per-vma")
    assert fallbacks(made.run()) == ["no anon_vma yet"]
    assert "vma_start_read" not in made.functions()


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_vma_that_is_being_written_sends_the_fault_to_mmap_lock(kernel: str) -> None:
    made = race(kernel, "per-vma", protect_table=SLOW)
    writing(made, Mprotect(at("m"), 8, PROT_READ | 2 | 4))
    faulting(made, after_ns=SLOW // 2)
    assert fallbacks(made.run()) == ["VMA is write-locked (seq)"]
    assert kinds(made) == ["anon_write"]
    check_pages(made)


def test_every_way_a_writer_can_cross_a_reader_is_reached_by_some_delay() -> None:
    for kernel in KERNELS:
        seen: set[str] = set()
        for delay_ns in range(0, 1_500, 20):
            made = race(kernel, "per-vma", protect_table=2_000)
            writing(made, Mprotect(at("m"), 8, PROT_READ | 2 | 4))
            faulting(made, after_ns=delay_ns)
            seen.update(fallbacks(made.run()))
            check_pages(made)
        assert {"VMA is write-locked (seq)", "VMA was write-locked meanwhile (seq)"} <= seen


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_queued_writer_sends_new_faults_to_the_mmap_lock(kernel: str) -> None:
    made = race(kernel, "per-vma", zero=5 * SLOW)
    faulting(made)  # holds the VMA for reading for a long time
    writing(made, Mprotect(at("m"), 8, PROT_READ | 2 | 4), after_ns=1_000)
    faulting(made, page=5, cpu=2, after_ns=3 * SLOW)  # the writer has stopped spinning
    assert fallbacks(made.run()) == ["lock word busy"]
    check_pages(made)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_detached_vma_is_walked_for_again(kernel: str) -> None:
    made = race(kernel, "per-vma", vma_lookup=SLOW)
    faulting(made)
    writing(made, Munmap(at("m"), 8), after_ns=200)
    made.run()
    assert fallbacks(made) == ["detached: retry the walk", "no VMA at the address"]
    assert made.engine.world.vmstat["vma_lock_miss"] == 1
    assert kinds(made) == ["segv_unmapped"]
    # 6.18 leaves the RCU section in between and begins again from the start.
    entered = [name for name in step_names(made) if name.endswith(".lock_vma_under_rcu")]
    assert len(entered) == (2 if kernel == "6.18" else 1)
    check_pages(made)


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_address_that_left_its_vma_is_noticed_after_locking(kernel: str) -> None:
    assert fallbacks(split_under_a_walk(kernel).run()) == ["address left the VMA"]


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])  # 6.4 asks mmap_lock once more
def test_without_the_range_check_another_vma_decides_over_the_access(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Vma, "covers", lambda vma, address: True)
    made = split_under_a_walk(kernel).run()
    assert made.engine.tasks[0].op_result == -14
    assert kinds(made) == ["segv_access"]


def split_under_a_walk(kernel: str) -> Scene:
    """The VMA found keeps its upper half: splits give the lower one to a new VMA."""
    made = race(kernel, "per-vma", vma_lookup=SLOW)
    faulting(made, page=2)
    return writing(made, Mprotect(at("m", 4), 4, PROT_READ), after_ns=200)


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_first_write_beside_a_writer_cannot_get_mmap_lock(kernel: str) -> None:
    made = world(kernel, "per-vma", cpus=4, vma_alloc=SLOW).vma("m", 8)
    faulting(made, after_ns=SLOW // 2)
    writing(made, Mmap(4, PROT_READ))
    made.run()
    assert fallbacks(made) == ["mmap_read_trylock failed"]
    assert made.engine.world.vmstat["vma_lock_retry"] == 1
    assert kinds(made) == ["anon_write_first"]
    check_pages(made)


def test_a_vma_that_went_to_another_process_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from pfviz.mm.address_space import new_mm, place_vma

    made = race("6.18", "per-vma")
    other = place_vma(made.engine, new_mm(made.engine, "other"), made.named("m"), 8)
    true_step = type(made.mm.tree).walk_step
    answers = [other]

    def walk_step(tree, engine, mas):
        ended = true_step(tree, engine, mas)
        if ended and answers:
            mas.entry = answers.pop()
        return ended

    monkeypatch.setattr(type(made.mm.tree), "walk_step", walk_step)
    assert fallbacks(faulting(made).run()) == ["VMA recycled by another process"]
    assert other.vm_refcnt is not None
    assert other.vm_refcnt.value == 1


def test_a_driver_without_map_pages_is_served_under_mmap_lock() -> None:
    made, _ = scene("driver", "6.12", "per-vma")
    assert fallbacks(made.run()) == ["driver without map_pages"]
    assert made.engine.world.vmstat["vma_lock_retry"] == 1


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_io_drops_the_vma_lock_and_restarts_under_mmap_lock(kernel: str) -> None:
    made, _ = scene("file_read_miss", kernel, "per-vma")
    assert fallbacks(made.run()) == ["I/O needed"]


def test_a_policy_can_restart_under_the_vma_lock_after_io() -> None:
    made = world("6.12", "per-vma", policy=Policy(restart_lock="vma_lock"))
    made.file_vma("m", new_file(made.engine, "data", 64), 64)
    made.thread("t", Access(at("m")))
    made.run()
    assert fallbacks(made) == ["I/O needed"]
    assert "lock_mm_and_find_vma" not in made.functions()


def test_a_policy_can_hold_the_vma_lock_across_io() -> None:
    made = world("6.12", "per-vma", policy=Policy(io_wait="hold"))
    made.file_vma("m", new_file(made.engine, "data", 64), 64)
    made.thread("t", Access(at("m")))
    made.run()
    assert not fallbacks(made)
    assert kinds(made) == ["file_read_miss"]


def test_6_4_asks_mmap_lock_before_it_sends_a_signal() -> None:
    made = world("6.4", "per-vma").vma("m", 8, "r").touched("m", 0)
    made.thread("t", Access(at("m"), write=True))
    assert fallbacks(made.run()) == ["access not permitted: ask mmap_lock"]
    assert kinds(made) == ["segv_access"]
    # It had the VMA lock: no abort is counted, and no success either.
    assert not {"vma_lock_abort", "vma_lock_success"} & set(made.engine.world.vmstat)


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_fault_that_ends_with_an_error_under_the_vma_lock_counts_as_its_success(
    kernel: str,
) -> None:
    made = world(kernel, "per-vma")
    made.file_vma("m", new_file(made.engine, "short", 2, present=2), 8)
    made.thread("t", Access(at("m", 4)))
    assert fallbacks(made.run()) == []
    assert made.results() == [-14]
    assert made.engine.world.vmstat["vma_lock_success"] == 1
