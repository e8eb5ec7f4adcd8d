"""Random changes of memory that a userfaultfd serves: no rule breaks, nobody sleeps for ever."""

from __future__ import annotations

import random

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    Access,
    Compute,
    Exit,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Mremap,
    Munmap,
    Operation,
    OperationList,
    Uffd,
)
from pfviz.mm.page_cache import shmem_zero_setup
from pfviz.mm.presets import PRESETS
from pfviz.mm.uffd_range import begin_registered
from pfviz.mm.vma import VM_SHARED
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from pfviz.sim.task import DONE
from tests.worlds import Scene, at, world

PAGES = 24
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
FEATURES = ("event_fork", "event_unmap", "event_remove", "event_remap", "wp_unpopulated")


def any_operation(dice: random.Random) -> Operation:
    """Something that a worker might do to "a" (missing and wp) or "s" (minor and missing)."""
    name = dice.choice("aas")
    page, count = dice.randrange(PAGES - 6), dice.randrange(1, 6)
    place = at(name, page)
    fixed = MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS
    choices: list[tuple[int, Operation]] = [
        (50, Access(place, dice.random() < 0.6, count, by_kernel=dice.random() < 0.1)),
        (6, Mprotect(place, count, dice.choice((1, 3, 3)))),
        (5, Munmap(place, count)),
        (4, Mmap(count, flags=fixed, at=place)),
        (6, Madvise(place, count, dice.choice(("dontneed", "free", "sequential", "normal")))),
        (2, Mremap(at("a", page), 2, 4)),
        (2, Fork(OperationList((Access(at("a"), True, 4), Exit())), child_cpu=dice.randrange(3))),
        (4, Compute(2_000)),
        (4, Uffd("protect", at("a", page), count)),
        (3, Uffd("register", place, count, ("missing", "wp"))),
        (2, Uffd("unregister", place, count)),
        (3, Uffd("copy", place, count)),
        (3, Uffd("copy", place, count, source=at("buffer", dice.randrange(8)), protect=True)),
        (2, Uffd("zeropage", place, count)),
        (4, Access(at("buffer", dice.randrange(8)), write=True, pages=4)),
        (6, Uffd("move", at("a", page), count, source=at(dice.choice(("buffer", "a")), page))),
        (1, Uffd("wake", place, count)),
    ]
    weights = [weight for weight, _ in choices]
    return dice.choices([operation for _, operation in choices], weights)[0]


def random_scene(kernel: str, mode: str, seed: int, forks: bool = True) -> Scene:
    """Three workers and two monitors on three CPUs; some monitors want to know of changes."""
    dice = random.Random(seed)
    made = world(kernel, mode, cpus=3, picker=Seeded(Rng(seed)))
    made.vma("a", PAGES).touched("a", 6)
    made.vma("buffer", PAGES)
    file = shmem_zero_setup(made.engine, PAGES, 10)
    made.file_vma("s", file, PAGES, "rw", flags=VM_SHARED)
    begin_registered(made.engine, made.vmas["a"], ("missing", "wp"), protected=3)
    begin_registered(made.engine, made.vmas["s"], ("missing", "minor", "wp"))
    ctx = made.mm.userfaultfd
    assert ctx is not None
    ctx.features = frozenset(one for one in FEATURES if dice.random() < 0.5)
    for number in range(3):
        work = [any_operation(dice) for _ in range(20)]
        if not forks:
            work = [one for one in work if not isinstance(one, Fork)]
        made.thread(f"w{number}", *work, cpu=number)
    serve = (Uffd("poll"), Uffd("read"), Compute(500), Uffd("resolve"))
    for number in range(2):
        made.thread(f"monitor{number}", *serve, cpu=number, repeat=0)
    return made


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("seed", range(4))
def test_no_rule_breaks(kernel: str, mode: str, seed: int) -> None:
    """6.4.0 must break one when it forks: there nobody does."""
    made = random_scene(kernel, mode, seed, forks=kernel != "6.4")
    rules.run(made.engine, steps_max=200_000, every_steps=5)
    assert made.engine.world.broken == []
    assert all(task.state == DONE for task in made.engine.tasks)
    made.mm.tree.check()


def test_a_run_repeats_exactly() -> None:
    one, other = [random_scene("6.12", "", 5).run().engine.log.digest() for _ in range(2)]
    assert one == other


def test_a_copy_in_the_middle_ends_like_the_original() -> None:
    made = random_scene("6.18", "", 3)
    made.engine.run(steps_max=900)
    twin = made.engine.copy(with_log=True)
    made.run()
    twin.run()
    assert twin.log.digest() == made.engine.log.digest()
