"""Random programs over hugetlb mappings, private and shared, on every kernel and mode."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.mm.hugetlb import pool_of
from pfviz.mm.hugetlb_setup import place_hugetlb
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_HUGETLB,
    MAP_PRIVATE,
    MAP_SHARED,
    Access,
    Exit,
    Fork,
    GetUserPages,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    Operation,
    OperationList,
    ReadProc,
)
from pfviz.mm.page_table import PTES_PER_TABLE
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_READ, VM_SHARED, VM_WRITE
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
HUGE = PTES_PER_TABLE
RW = VM_READ | VM_WRITE
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def any_operation(dice: random.Random) -> Operation:
    """Something that a thread might do to four huge pages at "p" or "s"; some must be refused."""
    page, count = dice.randrange(4) * HUGE, dice.choice((HUGE, HUGE, 2 * HUGE))
    if dice.random() < 0.2:
        page, count = dice.randrange(4 * HUGE), dice.randrange(1, 9)
    place = at(dice.choice("ps"), page)
    flags = MAP_FIXED | dice.choice((MAP_ANONYMOUS, MAP_HUGETLB))
    flags |= dice.choice((MAP_PRIVATE, MAP_SHARED))
    child = OperationList((Access(place, True, 2), Exit()))
    choices: list[tuple[int, Operation]] = [
        (50, Access(place, dice.random() < 0.7, 2, stride_pages=HUGE)),
        (6, Mprotect(place, count, dice.choice((1, 3, 3)))),
        (6, Munmap(place, count)),
        (8, Mmap(count, flags=flags, at=place)),
        (5, Madvise(place, count, dice.choice(("dontneed", "free", "sequential")))),
        (4, ReadProc(dice.choice(("maps", "smaps", "numa_maps")))),
        (4, GetUserPages(place, 3, write=True)),
        (4, Fork(child, child_cpu=dice.randrange(3))),
    ]
    weights = [weight for weight, _ in choices]
    return dice.choices([operation for _, operation in choices], weights)[0]


def random_scene(kernel: str, mode: str, seed: int) -> Scene:
    """Three threads at work on a private and a shared mapping; the pool is a little short."""
    dice = random.Random(seed)
    scene = world(kernel, mode, cpus=3, picker=Seeded(Rng(seed)))
    for number, name in enumerate("ps"):
        flags = RW | (VM_SHARED if name == "s" else 0)
        scene.mm.slots[name] = BASE + number * (16 << 21)
        place_hugetlb(scene.engine, scene.mm, scene.mm.slots[name], 4 * HUGE, flags, name)
    pool_of(scene.engine).add(scene.engine, 3)
    for number in range(3):
        operations = [any_operation(dice) for _ in range(25)]
        if kernel == "6.4":  # Its fork does not keep faults out: see test_random_worlds.
            operations = [one for one in operations if not isinstance(one, Fork)]
        scene.thread(f"t{number}", *operations, cpu=number)
    return scene


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("seed", range(3))
def test_no_rule_breaks_and_the_pool_loses_nothing(kernel: str, mode: str, seed: int) -> None:
    scene = random_scene(kernel, mode, seed)
    rules.run(scene.engine, steps_max=200_000, every_steps=40)
    world_, pool = scene.engine.world, pool_of(scene.engine)
    assert world_.broken == []
    assert all(task.state == "done" for task in scene.engine.tasks)
    mapped = {
        huge.value >> 12
        for mm in world_.mms
        for huge in mm.page_tables.huge.values()
        if huge.hugetlb
    }
    cached = {first for cache in pool.caches.values() for first in cache.values()}
    assert len(pool.free) + len(mapped | cached) == pool.total
    assert not (mapped | cached) & set(pool.free)
    assert 0 <= pool.reserved <= len(pool.free)
