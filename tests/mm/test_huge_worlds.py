"""Random programs over huge pages, on every kernel and mode: no rule breaks, nobody hangs."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    ADVICE,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    Access,
    Exit,
    Fork,
    GetUserPages,
    Madvise,
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
from tests.mm.fault_scenes import check_pages
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
HUGE = 512
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def any_operation(dice: random.Random) -> Operation:
    """Something that a thread might do to three huge pages at "a": whole ones, or parts."""
    page, count = dice.randrange(3 * HUGE - 8), dice.randrange(1, 8)
    if dice.random() < 0.4:
        page, count = dice.randrange(3) * HUGE, dice.choice((HUGE, HUGE, HUGE // 2))
    place = at("a", page)
    fixed = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
    few = min(count, 6)
    child = OperationList((Access(at("a", page), True, few), Exit()))
    choices: list[tuple[int, Operation]] = [
        (50, Access(place, dice.random() < 0.7, few, stride_pages=dice.choice((1, 40)))),
        (8, Mprotect(place, count, dice.choice((0, 1, 3, 3)))),
        (6, Munmap(place, count)),
        (9, Mmap(count, flags=fixed, at=place)),
        (6, Madvise(place, count, dice.choice(("dontneed", "free", "sequential")))),
        (8, Madvise(place, count, dice.choice(ADVICE))),
        (3, dice.choice((Mlock, Munlock))(place, count)),
        (5, ReadProc(dice.choice(("maps", "smaps", "smaps_rollup")))),
        (4, Mremap(place, count, count, to=at("b", dice.choice((0, HUGE, 3))))),
        (4, GetUserPages(place, few, write=dice.random() < 0.5, pin=dice.random() < 0.5)),
        (3, Fork(child, child_cpu=dice.randrange(3))),
    ]
    weights = [weight for weight, _ in choices]
    return dice.choices([operation for _, operation in choices], weights)[0]


def random_scene(kernel: str, mode: str, seed: int, policy: Policy | None = None) -> Scene:
    """Three threads on three CPUs at work on the same three huge pages."""
    dice = random.Random(seed)
    policy = policy or Policy(thp="always")
    scene = world(kernel, mode, cpus=3, picker=Seeded(Rng(seed)), policy=policy)
    scene.vma("a", 3 * HUGE, start=BASE)
    scene.vma("b", 2 * HUGE, start=BASE + (8 << 21))
    for number in range(3):
        operations = [any_operation(dice) for _ in range(25)]
        if kernel == "6.4":  # Its fork does not keep faults out: see test_random_worlds.
            operations = [one for one in operations if not isinstance(one, Fork)]
        scene.thread(f"t{number}", *operations, cpu=number)
    return scene


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_breaks(kernel: str, mode: str, seed: int) -> None:
    scene = random_scene(kernel, mode, seed)
    rules.run(scene.engine, steps_max=200_000, every_steps=40)
    assert scene.engine.world.broken == []
    assert all(task.state == "done" for task in scene.engine.tasks)
    vmstat = scene.engine.world.vmstat
    assert vmstat.get("thp_fault_alloc", 0) + vmstat.get("thp_zero_page_alloc", 0) > 0
    check_pages(scene)


def test_the_worlds_split_huge_pages_and_fork_them() -> None:
    """Otherwise the test above would say little."""
    counts: dict[str, int] = {}
    for seed in range(6):
        scene = random_scene("6.12", "", seed).run()
        for name, count in scene.engine.world.vmstat.items():
            counts[name] = counts.get(name, 0) + count
    for name in ("thp_fault_alloc", "thp_split_pmd", "thp_zero_page_alloc"):
        assert counts[name] > 3, counts


@pytest.mark.parametrize(("kernel", "mode"), [("6.1", ""), ("6.12", ""), ("6.18", "lockless")])
def test_where_memory_is_fragmented_no_huge_page_is_mapped(kernel: str, mode: str) -> None:
    scene = random_scene(kernel, mode, 1, Policy(thp="always", fragmented=True))
    rules.run(scene.engine, steps_max=200_000, every_steps=100)
    assert scene.engine.world.broken == []
    assert scene.engine.world.vmstat["thp_fault_fallback"] > 0
    assert "thp_fault_alloc" not in scene.engine.world.vmstat


@pytest.mark.parametrize(("kernel", "mode"), [("6.1", ""), ("6.12", ""), ("6.18", "lockless")])
def test_a_copy_in_the_middle_of_a_run_ends_like_the_original(kernel: str, mode: str) -> None:
    scene = random_scene(kernel, mode, seed=2)
    scene.engine.run(steps_max=700)
    twin = scene.engine.copy(with_log=True)
    assert fingerprint(twin) == fingerprint(scene.engine)
    scene.run()
    twin.run()
    assert twin.log.digest() == scene.engine.log.digest()
