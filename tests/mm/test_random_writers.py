"""Random programs that move, lock, advise on and pin memory: no rule breaks, nobody hangs."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import operations as ops
from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    Access,
    Compute,
    Exec,
    Exit,
    Fork,
    GetUserPages,
    IrqsOff,
    Madvise,
    Mincore,
    Mlock,
    Mmap,
    Mprotect,
    Mremap,
    Munlock,
    Munmap,
    Operation,
    OperationList,
    ReadProc,
)
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.sim.fingerprint import fingerprint
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from tests.worlds import Scene, at, world

PAGES = 30
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
ADVICE = [one for one in ops.ADVICE if one != ops.MADV_PAGEOUT]


def _child(dice: random.Random) -> OperationList:
    program = OperationList((Mmap(4, slot="d"), Access(at("d"), True, 4), Exit()))
    last = Exec(program) if dice.random() < 0.5 else Exit()
    return OperationList((Access(at("a"), True, 4), last))


def any_operation(dice: random.Random) -> Operation:
    """Something that a thread might do to the regions "a" and, 64 pages above it, "b"."""
    page, count = dice.randrange(PAGES - 6), dice.randrange(1, 6)
    place = at("a", page + dice.choice((0, 0, 0, 64)))
    away = at("a", dice.randrange(PAGES - 6) + dice.choice((0, 64, 200)))
    more = dice.choice((0, 0, 3, -1))
    new = max(1, count + more)
    to = dice.choice((None, None, away))
    keeps = to is not None and new == count and dice.random() < 0.3
    choices: list[tuple[int, Operation]] = [
        (40, Access(place, dice.random() < 0.6, count)),
        (16, Mremap(place, count, new, dice.random() < 0.7, to, keeps)),
        (6, Mlock(place, count)),
        (4, Munlock(place, count)),
        (12, Madvise(place, count, dice.choice(ADVICE))),
        (8, GetUserPages(place, count, dice.random() < 0.5, dice.random() < 0.7,
                         dice.random() < 0.5, dice.choice((0, 20_000)))),
        (2, IrqsOff(6_000)),
        (3, Mincore(place, count)),
        (5, Mprotect(place, count, dice.choice((0, 1, 3, 3)))),
        (5, Munmap(place, count)),
        (10, Mmap(count, flags=MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, at=place)),
        (3, Mmap(count, flags=MAP_PRIVATE | MAP_FIXED, at=place, file="lib.so")),
        (6, ReadProc(dice.choice(ops.PROC_FILES))),
        (2, Fork(_child(dice), child_cpu=dice.randrange(3))),
        (4, Compute(3_000)),
    ]  # fmt: skip
    weights = [weight for weight, _ in choices]
    return dice.choices([operation for _, operation in choices], weights)[0]


def random_scene(kernel: str, mode: str, seed: int, forks: bool = True) -> Scene:
    """Four threads on three CPUs at work on the same pages."""
    dice = random.Random(seed)
    policy = Policy(
        page_table_free=dice.choice(("kernel", "rcu", "ipi")), thp=dice.choice(("never", "always"))
    )
    scene = world(kernel, mode, cpus=3, picker=Seeded(Rng(seed)), policy=policy)
    base = 0x7000_0000_0000 + dice.choice((0, 500)) * 4096
    scene.vma("a", PAGES, start=base).touched("a", 10).vma("b", PAGES, start=base + 64 * 4096)
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


@pytest.mark.parametrize(
    ("kernel", "mode"), [("6.1", ""), ("6.12", ""), ("7.2", ""), ("6.18", "lockless")]
)
def test_a_run_repeats_exactly_and_goes_on_from_a_copy(kernel: str, mode: str) -> None:
    scene = random_scene(kernel, mode, seed=11)
    scene.engine.run(steps_max=900)
    twin = scene.engine.copy(with_log=True)
    scene.run()
    twin.run()
    again = random_scene(kernel, mode, seed=11).run().engine
    assert again.log.digest() == scene.engine.log.digest() == twin.log.digest()
    assert fingerprint(again.world) == fingerprint(scene.engine.world)
