"""mlock, munlock, MAP_LOCKED: the flag under the write lock, the pages under the read lock."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_LOCKED,
    MAP_PRIVATE,
    Access,
    Fork,
    Mlock,
    Mmap,
    Mremap,
    Munlock,
    OperationList,
)
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_LOCKED
from pfviz.sim import event
from tests.worlds import Scene, at, world

BASE = 0x7000_0000_0000
KERNELS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def locked(scene: Scene) -> list[tuple[int, int]]:
    """The locked ranges, in pages from BASE."""
    return [
        (vma.vm_start - BASE >> 12, vma.vm_end - BASE >> 12)
        for vma in scene.mm.tree
        if vma.vm_flags & VM_LOCKED
    ]


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_a_locked_range_is_resident_and_a_vma_of_its_own(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("m", 16, start=BASE).touched("m", 6)
    scene.thread("t", Mlock(at("m", 4), 4))
    done(scene)
    assert locked(scene) == [(4, 8)]
    assert scene.mm.page_tables.rss_anon == 8
    assert not scene.events(event.FAULT_BEGIN)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_first_the_write_lock_then_the_read_lock(kernel: str) -> None:
    scene = world(kernel).vma("m", 16, start=BASE)
    scene.thread("t", Mlock(at("m"), 16))
    done(scene)
    lock = scene.mm.mmap_lock.id
    modes = [one["mode"] for one in scene.events(event.LOCK_START) if one["lock"] == lock]
    assert modes == [event.WRITE, event.READ]


def test_the_vma_is_write_locked_before_it_gets_the_flag() -> None:
    scene = world("6.12").vma("m", 16, start=BASE)
    scene.thread("t", Mlock(at("m"), 16))
    names = done(scene).functions()
    assert names.index("__is_vma_write_locked") < names.index("vm_flags_reset_once")
    assert names.index("vm_flags_reset_once") < names.index("walk_page_range")


@pytest.mark.parametrize("kernel", PRESETS)
def test_munlock_merges_what_mlock_had_cut(kernel: str) -> None:
    scene = world(kernel).vma("m", 16, start=BASE).touched("m")
    scene.thread("t", Mlock(at("m", 4), 4), Munlock(at("m"), 16))
    done(scene)
    assert locked(scene) == []
    assert len(scene.layout()) == 1


def test_a_hole_is_an_error_after_what_lies_before_it_was_locked() -> None:
    scene = world("6.12").vma("m", 4, start=BASE)
    scene.thread("t", Mlock(at("m"), 8))
    assert done(scene).results() == [-12]
    assert locked(scene) == [(0, 4)]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_a_mapping_can_be_locked_from_the_start_and_stays_so_when_it_grows(kernel: str) -> None:
    scene = world(kernel)
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED
    where = at(BASE)
    scene.thread("t", Mmap(4, flags=flags, at=where), Mremap(where, 4, 10))
    done(scene)
    assert locked(scene) == [(0, 10)]
    assert scene.mm.page_tables.rss_anon == 10


def test_a_child_does_not_inherit_the_lock() -> None:
    scene = world("6.12").vma("m", 4, start=BASE)
    child = OperationList((Access(at("m"), pages=4),))
    scene.thread("t", Mlock(at("m"), 4), Fork(child, child_name="child", child_cpu=1))
    done(scene)
    (other,) = [mm for mm in scene.engine.world.mms if mm is not scene.mm]
    assert [vma.vm_flags & VM_LOCKED for vma in other.tree] == [0]
    assert locked(scene) == [(0, 4)]


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_faults_race_with_mlock(kernel: str, mode: str) -> None:
    scene = world(kernel, mode, cpus=4).vma("m", 32, start=BASE)
    for number in range(2):
        touch = Access(at("m", number * 16), write=True, pages=16)
        scene.thread(f"f{number}", touch, repeat=8, cpu=number)
    scene.thread("t", Mlock(at("m", 8), 16), Munlock(at("m"), 32), repeat=5, cpu=2)
    done(scene)
    assert scene.mm.page_tables.rss_anon == 32
