"""Faults against faults and against writers, in every mode and kernel, with every rule checked."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    PROT_READ,
    Access,
    Fork,
    Madvise,
    Mprotect,
    Munmap,
    OperationList,
    Sleep,
)
from pfviz.mm.page_cache import new_file
from pfviz.mm.paths import anonymous, copy_on_write
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim import event
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from tests.mm.fault_scenes import check_pages, kinds, race
from tests.worlds import Scene, at, world

MODES = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def checked(made: Scene, allowed: tuple[str, ...] = ()) -> Scene:
    """Run to the end with every rule checked after every step."""
    rules.run(made.engine, every_steps=1)
    broken = [rule for rule in made.engine.world.broken if rule.rule not in allowed]
    assert not broken, broken
    return made


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_of_many_faults_on_one_page_one_keeps_its_page(kernel: str, mode: str) -> None:
    made = race(kernel, mode)
    for cpu in range(4):
        made.thread(f"t{cpu}", Access(at("m", 2), write=cpu != 3), cpu=cpu)
    checked(made)
    check_pages(made)
    assert made.engine.world.frames.used == 2


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_many_first_writes_of_a_vma_make_one_anon_vma(kernel: str, mode: str) -> None:
    made = world(kernel, mode, cpus=4).vma("m", 8)
    for cpu in range(4):
        made.thread(f"t{cpu}", Access(at("m", cpu), write=True), cpu=cpu)
    checked(made)
    check_pages(made)
    anon_vma = made.vmas["m"].anon_vma
    assert anon_vma is not None
    assert list(anon_vma.vmas) == [made.vmas["m"].id]


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_the_loser_of_a_race_for_a_page_gives_its_own_back(kernel: str, mode: str) -> None:
    made = race(kernel, mode)
    for cpu in range(2):
        made.thread(f"t{cpu}", Access(at("m", 2), write=True), cpu=cpu)
    made.run()
    free = sum(len(cpu.free) for cpu in made.engine.world.frames.cpus)
    taken = len(made.engine.world.frames.state) - 1
    assert free == taken - made.engine.world.frames.used


@pytest.mark.parametrize("step", ["recheck_anon_pte", "recheck_switch"])
def test_without_pte_same_a_page_is_lost(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recheck is skipped: both racers map their page, and the first one leaks."""
    made = race("6.12", "per-vma")
    page = 2
    if step == "recheck_anon_pte":
        monkeypatch.setattr(anonymous, step, anonymous.folio_add_new_anon_rmap)
    else:
        monkeypatch.setattr(copy_on_write, step, copy_on_write.ptep_clear_flush)
        made.thread("reader", Access(at("m", page)))
    for cpu in range(2):
        made.thread(f"t{cpu}", Access(at("m", page), write=True), cpu=cpu, after_ns=2_000)
    with pytest.raises(AssertionError):
        check_pages(made.run())


@pytest.mark.parametrize(("kernel", "mode"), MODES)
@pytest.mark.parametrize(
    "operation",
    [
        Munmap(at("m"), 8),
        Munmap(at("m", 2), 3),
        Mprotect(at("m"), 8, PROT_READ),
        Mprotect(at("m", 2), 3, PROT_READ),
        Madvise(at("m"), 8, "dontneed"),
    ],
    ids=["munmap", "punch", "protect", "split", "dontneed"],
)
def test_no_delay_between_faults_and_a_writer_breaks_a_rule(operation, kernel, mode) -> None:
    for delay_ns in range(0, 2_600, 370):
        made = race(kernel, mode)
        made.thread("writer", operation, cpu=0, after_ns=900)
        made.thread("reader", Access(at("m", 1), pages=7), cpu=1, after_ns=delay_ns)
        made.thread("fault", Access(at("m"), write=True, pages=8), cpu=2, after_ns=delay_ns)
        checked(made)
        check_pages(made)


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_no_seed_of_a_fork_among_faults_breaks_a_rule(kernel: str, mode: str) -> None:
    # 6.4.0 does not lock VMAs in fork: that its rules break is the bug it is known for.
    allowed = ("F1", "I14", "I13") if kernel == "6.4" and mode != "mmap_lock" else ()
    for seed in range(4):
        made = world(kernel, mode, cpus=4, picker=Seeded(Rng(seed)), fork_base=1_000)
        made.vma("m", 8).touched("m", 6)
        child = OperationList((Access(at("m"), write=True, pages=8), Sleep(20_000)))
        made.thread("fork", Fork(child, child_cpu=3), cpu=0)
        made.thread("a", Access(at("m"), write=True, pages=8), cpu=1, repeat=3)
        made.thread("b", Access(at("m"), write=True, pages=8), cpu=2, repeat=3)
        checked(made, allowed)
        if not allowed:
            check_pages(made)


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_readers_of_a_missing_page_wait_for_one_read(kernel: str, mode: str) -> None:
    made = world(kernel, mode, cpus=4)
    file = new_file(made.engine, "data", 64)
    made.file_vma("m", file, 64)
    for cpu in range(4):
        made.thread(f"t{cpu}", Access(at("m", 3)), cpu=cpu, after_ns=cpu * 500)
    checked(made)
    check_pages(made)
    assert file.reads == 1
    assert all(folio.locked_by == -1 for folio in file.folios.values())
    assert all(folio.refcount == 1 + folio.mapcount for folio in file.folios.values())


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_a_page_truncated_under_a_waiting_fault_is_looked_up_again(kernel: str, mode: str) -> None:
    made = world(kernel, mode, cpus=4)
    file = new_file(made.engine, "data", 64)
    made.file_vma("m", file, 64)
    made.thread("t", Access(at("m", 3)))
    made.engine.alarm(60_000, lambda engine, found: found.remove(engine, 3), file)
    made.run()
    assert kinds(made) == ["file_read_miss"]
    assert file.reads == 2


@pytest.mark.parametrize(("kernel", "mode"), MODES)
def test_two_growers_of_a_stack_grow_it_once(kernel: str, mode: str) -> None:
    made = world(kernel, mode, cpus=4)
    made.vma("m", 16, flags=VM_GROWSDOWN, kind="stack").touched("m", 1)
    for cpu in range(3):
        place = at("m", -1 - (cpu == 2))
        made.thread(f"t{cpu}", Access(place, write=True), cpu=cpu)
    made.run()
    check_pages(made)
    assert made.vmas["m"].vm_start == made.named("m") - 2 * 4096
    assert made.vmas["m"].pages == 18
    assert not any(end["flags"] & 2 for end in made.events(event.FAULT_END))
