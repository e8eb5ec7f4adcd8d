"""Random programs on every kernel and mode: no rule breaks, nobody hangs, runs repeat exactly."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    Access,
    Brk,
    Compute,
    Exit,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    Operation,
    OperationList,
    ReadProc,
)
from pfviz.mm.presets import PRESETS
from pfviz.sim.fingerprint import fingerprint
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from tests.worlds import Scene, at, world

PAGES = 30
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def any_operation(dice: random.Random) -> Operation:
    """Something that a thread might do to the region "a"."""
    page, count = dice.randrange(PAGES - 6), dice.randrange(1, 6)
    place = at("a", page)
    fixed = MAP_PRIVATE | MAP_FIXED
    choices: list[tuple[int, Operation]] = [
        (50, Access(place, dice.random() < 0.6, count)),
        (8, Mprotect(place, count, dice.choice((0, 1, 3, 3)))),
        (8, Munmap(place, count)),
        (10, Mmap(count, flags=fixed | MAP_ANONYMOUS, at=place)),
        (3, Mmap(count, flags=fixed, at=place, file="lib.so")),
        (4, Mmap(count)),
        (6, Madvise(place, count, dice.choice(("dontneed", "free", "sequential", "normal")))),
        (4, Brk(dice.choice((1, 3, -2)))),
        (4, ReadProc(dice.choice(("maps", "smaps", "smaps_rollup")))),
        (2, Fork(OperationList((Access(at("a"), True, 4), Exit())), child_cpu=dice.randrange(3))),
        (4, Compute(3_000)),
    ]
    weights = [weight for weight, _ in choices]
    return dice.choices([operation for _, operation in choices], weights)[0]


def random_scene(kernel: str, mode: str, seed: int, forks: bool = True) -> Scene:
    """Four threads on three CPUs at work on the same thirty pages."""
    dice = random.Random(seed)
    scene = world(kernel, mode, cpus=3, picker=Seeded(Rng(seed)))
    scene.vma("a", PAGES).touched("a", 10)
    scene.file_vma("f", scene.file("lib.so", 40, present=10), 8)
    for number in range(4):
        operations = [any_operation(dice) for _ in range(25)]
        if not forks:
            operations = [one for one in operations if not isinstance(one, Fork)]
        scene.thread(f"t{number}", *operations, cpu=number % 3)
    return scene


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_rule_breaks(kernel: str, mode: str, seed: int) -> None:
    """6.4.0 must break one: its fork does not keep faults out, so it may not fork here."""
    scene = random_scene(kernel, mode, seed, forks=kernel != "6.4")
    rules.run(scene.engine, steps_max=100_000, every_steps=5)
    assert scene.engine.world.broken == []
    assert all(task.state == "done" for task in scene.engine.tasks)
    scene.mm.tree.check()


@pytest.mark.parametrize(("kernel", "mode"), [("6.1", ""), ("6.12", ""), ("6.18", "lockless")])
def test_a_run_repeats_exactly(kernel: str, mode: str) -> None:
    runs = [random_scene(kernel, mode, seed=11).run().engine for _ in range(2)]
    assert runs[0].log.digest() == runs[1].log.digest()
    assert fingerprint(runs[0].world) == fingerprint(runs[1].world)


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
def test_a_copy_in_the_middle_of_a_run_ends_like_the_original(kernel: str, mode: str) -> None:
    scene = random_scene(kernel, mode, seed=3)
    scene.engine.run(steps_max=700)
    twin = scene.engine.copy(with_log=True)
    assert fingerprint(twin) == fingerprint(scene.engine)
    scene.run()
    twin.run()
    assert twin.log.digest() == scene.engine.log.digest()


def test_a_run_without_a_log_takes_the_same_time() -> None:
    logged, silent = [random_scene("6.12", "", seed=7) for _ in range(2)]
    silent.engine.logging = False
    logged.run()
    silent.run()
    assert logged.engine.now_ns == silent.engine.now_ns
    assert logged.engine.steps == silent.engine.steps
