"""Random programs while pages are swapped out, moved, hinted, taken to a device: nothing is lost.

On every kernel and mode, with either kind of swap device; the small area runs full now and then.
"""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_PAGEOUT,
    Access,
    Exit,
    Fork,
    Madvise,
    MigratePages,
    MigrateToDevice,
    NumaScan,
    Operation,
    OperationList,
    Reclaim,
    Sleep,
)
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.swap import SSD, ZRAM, add_area
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from tests.mm.swap_scenes import check_swap
from tests.mm.test_random_worlds import PAGES, any_operation
from tests.worlds import Scene, at, world

WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
READS_TWICE = ("6.0", "6.4", "6.5", "6.6", "6.7")
"""Kernels that may map an old copy of a page (no swapcache_prepare)."""


def moving_operation(dice: random.Random) -> Operation:
    """Something that somebody does to the pages of the region "a" without asking its owner."""
    page, count = dice.randrange(PAGES - 6), dice.randrange(1, 6)
    place = at("a", page)
    return dice.choice((
        Reclaim(place, count), Reclaim(place, count), MigratePages(place, count),
        MigrateToDevice(place, count), NumaScan(place, count), Madvise(place, count, MADV_PAGEOUT),
        Sleep(20_000),
    ))  # fmt: skip


def random_scene(kernel: str, mode: str, seed: int, device: str, policy: Policy) -> Scene:
    """Three threads at work on thirty pages, and two that move these about."""
    dice = random.Random(seed)
    made = world(kernel, mode, cpus=4, sockets=2, policy=policy, picker=Seeded(Rng(seed)))
    add_area(made.engine, "small", device, 6)
    add_area(made.engine, "large", SSD if device == ZRAM else ZRAM, 40)
    made.vma("a", PAGES).touched("a", 20)
    made.file_vma("f", made.file("lib.so", 40, present=10), 8)
    child = OperationList((Access(at("a"), True, 12), Sleep(200_000), Access(at("a"), pages=20)))
    for number in range(3):
        operations = [any_operation(dice) for _ in range(25)]
        operations = [one for one in operations if not isinstance(one, Fork)]
        if number == 1 and kernel != "6.4":
            operations.insert(8, Fork(child, child_cpu=3))
        made.thread(f"t{number}", *operations, Exit(), cpu=number)
    for number in range(2):
        operations = [moving_operation(dice) for _ in range(25)]
        made.thread(f"mover{number}", *operations, Exit(), cpu=2 + number)
    return made


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_page_is_lost_and_no_rule_breaks(kernel: str, mode: str, seed: int) -> None:
    policy = Policy(io_wait_swap="hold" if seed % 2 else "drop")
    made = random_scene(kernel, mode, seed, (ZRAM, SSD)[seed // 2], policy)
    rules.run(made.engine, steps_max=200_000, every_steps=23)
    assert all(task.state == "done" for task in made.engine.tasks)
    broken = [one for one in made.engine.world.broken if one.rule != "I16"]
    assert broken == []
    if kernel in READS_TWICE:
        made.engine.world.broken.clear()
    check_swap(made)


def test_a_run_repeats_exactly_and_goes_on_alike_when_it_is_copied() -> None:
    one, two = [random_scene("6.12", "", 5, SSD, Policy()) for _ in range(2)]
    one.engine.run(steps_max=900)
    twin = one.engine.copy(with_log=True)
    one.run()
    twin.run()
    two.run()
    assert one.engine.log.digest() == two.engine.log.digest() == twin.log.digest()
