"""`beyond`: no mmap_lock, but a range lock, a tree lock, and VMAs that are unlocked one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pfviz.mm import rules, vma_ranges
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PAGE_SIZE,
    PROT_READ,
    Access,
    Fork,
    Mmap,
    Mprotect,
    Munmap,
    Sleep,
)
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma_ranges import EVERYTHING, range_of
from pfviz.sim import event
from pfviz.sim.event import READ, WRITE
from pfviz.sync.range_lock import RangeLock
from tests.worlds import Scene, at, world

FAR = 4 * TABLE_SPAN
LOW = 0x7FF0_0000_0000


def arenas(count: int, apart: int = FAR, kernel: str = "beyond", mode: str = "per-vma") -> Scene:
    """So many arenas of 64 pages, `apart` bytes from each other."""
    scene = world(kernel, mode, cpus=count)
    for number in range(count):
        scene.vma(f"arena{number}", 64, start=LOW + number * apart)
        scene.touched(f"arena{number}", 8)
    return scene


def change(scene: Scene, number: int) -> None:
    """A thread on a CPU of its own that changes its arena over and over."""
    name = f"arena{number}"
    scene.thread(
        f"t{number}",
        Mprotect(at(name, 8), 8, PROT_READ),
        Mprotect(at(name, 8), 8, 3),
        Mprotect(at(name), 64, PROT_READ),
        Mprotect(at(name), 64, 3),
        Munmap(at(name, 32), 16),
        Mmap(16, at=at(name, 32), flags=MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS),
        Access(at(name, 32), write=True, pages=4),
        cpu=number,
        repeat=4,
    )  # fmt: skip


def waited(scene: Scene, kind: str) -> int:
    """How often somebody had to wait for a lock of this kind, asleep or spinning."""
    log = scene.engine.log
    locks = {row[3] for row in log if row[1] == event.LOCK_NEW and log.texts[row[4]] == kind}
    waits = (event.CONTENTION_BEGIN, event.SPIN_BEGIN)
    return sum(row[1] in waits and row[3] in locks for row in log)


@pytest.mark.parametrize("mode", ["per-vma", "lockless"])
def test_who_changes_arenas_far_apart_never_waits_for_a_range(mode: str) -> None:
    scene = arenas(4, mode=mode)
    for number in range(4):
        change(scene, number)
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken
    assert waited(scene, "range_lock") == 0
    assert waited(scene, "spinlock") > 0, "the tree is one: its lock is waited for"


def test_before_they_all_waited_for_mmap_lock() -> None:
    scene = arenas(4, kernel="7.2")
    for number in range(4):
        change(scene, number)
    scene.run()
    assert waited(scene, "mmap_lock") > 20


def test_who_shares_a_page_table_waits_all_the_same() -> None:
    scene = arenas(2, apart=128 * PAGE_SIZE)
    for number in range(2):
        change(scene, number)
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken
    assert waited(scene, "range_lock") > 0


@pytest.mark.parametrize("seed", range(4))
def test_neighbours_that_merge_and_split_keep_every_rule(seed: int) -> None:
    """Adjacent VMAs may become one: whoever changes one of them locks the other as well."""
    scene = arenas(3, apart=64 * PAGE_SIZE)
    for number in range(3):
        change(scene, number)
    scene.thread("late", Sleep(700 * seed), Munmap(at("arena1", 60), 8), cpu=seed % 3)
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken


def test_a_range_without_its_neighbours_breaks_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The range must grow to the VMAs that it adjoins: a test that this can be seen."""

    def bare(_: Any, start: int, end: int) -> tuple[int, int]:
        return start, end

    def cut(mutant: bool) -> Scene:
        scene = world("beyond", "per-vma", cpus=2)
        scene.vma("a", 1024, start=LOW).touched("a")
        for number in range(2):
            place = at("a", 512 * number + 100)
            change = (Mprotect(place, 8, PROT_READ), Mprotect(place, 8, 3))
            scene.thread(f"t{number}", *change, cpu=number, repeat=6)
        try:
            rules.run(scene.engine, every_steps=1)
        except (AssertionError, ValueError):
            assert mutant
            scene.engine.world.break_rule(scene.engine, "crash", "the model stopped")
        return scene

    assert not cut(mutant=False).engine.world.broken
    monkeypatch.setattr(vma_ranges, "_grown", bare)
    assert cut(mutant=True).engine.world.broken


def test_the_range_is_worked_out_again_after_a_wait() -> None:
    """Who slept for a range finds the VMAs changed, lets go, and locks what is needed now."""
    scene = world("beyond", "per-vma", cpus=2)
    scene.vma("a", 2048, start=LOW).touched("a")
    scene.thread("first", Munmap(at("a", 64), 1900), cpu=0)
    mapping = Mmap(8, at=at("a", 64), flags=MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS)
    scene.thread("second", Sleep(200), mapping, cpu=1)
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken
    assert "vma_range_locked" in scene.functions()
    assert waited(scene, "range_lock") == 1
    assert [(low - (LOW >> 12), high - (LOW >> 12)) for low, high, _ in scene.layout()] == [
        (0, 72), (1964, 2048)
    ]  # fmt: skip


def test_fork_locks_everything_and_keeps_writers_out() -> None:
    scene = arenas(3)
    change(scene, 0)
    change(scene, 1)
    scene.thread("forker", Sleep(3_000), Fork(None), cpu=2)
    rules.run(scene.engine, every_steps=16)
    assert not scene.engine.world.broken
    held = [one for one in scene.events(event.LOCK_ACQUIRED) if one["wait_ns"] > 0]
    assert held


def test_what_each_operation_locks() -> None:
    scene = arenas(2)
    thread = scene.thread("t", Sleep(1))
    mm = scene.mm
    start = LOW
    thread.operation = Munmap(at("arena0", 8), 4)
    assert range_of(thread, mm, WRITE) == (start, start + TABLE_SPAN)
    thread.operation = Mmap(8)
    low, high = range_of(thread, mm, WRITE)
    assert mm.mmap_base - TABLE_SPAN <= low < high <= mm.mmap_base + TABLE_SPAN
    assert range_of(thread, mm, READ) == EVERYTHING
    thread.operation = Fork(None)
    assert range_of(thread, mm, WRITE) == EVERYTHING


def test_the_tree_lock_is_held_from_building_nodes_to_publishing_them() -> None:
    scene = arenas(2)
    change(scene, 0)
    lock = scene.mm.tree_lock
    assert lock is not None
    seen = []
    while scene.engine.peek_ns() is not None:
        scene.engine.run(steps_max=1)
        if scene.engine.log.texts and lock.holder is not None:
            seen.append(lock.holder.name)
    assert set(seen) == {"t0"}
    assert lock.holder is None


def test_a_vma_is_unlocked_by_itself_and_its_number_is_even_again() -> None:
    scene = arenas(2)
    change(scene, 0)
    scene.run()
    assert isinstance(scene.mm.mmap_lock, RangeLock)
    assert all(vma.vm_lock_seq % 2 == 0 for vma in scene.mm.tree)
    assert scene.vmas["arena1"].vm_lock_seq == 0, "nobody wrote there"


def test_only_the_split_lock_tells_beyond_from_a_kernel_with_lockless_faults() -> None:
    beyond = PRESETS["beyond"]
    assert replace(beyond, tree_lock="mmap_lock").modes == PRESETS["7.2"].modes
