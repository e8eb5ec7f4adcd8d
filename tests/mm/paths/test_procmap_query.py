"""PROCMAP_QUERY: one VMA, under mmap_lock from 6.11, under its own lock from 6.18."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import Mprotect, Munmap, ReadProc
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.worlds import Scene, at, world


def asked(kernel: str, name: str = "b", mode: str = "") -> Scene:
    scene = world(kernel, mode).vma("a", 8).vma("b", 8)
    scene.thread("profiler", ReadProc("procmap_query", place=at(name, 3)))
    rules.run(scene.engine, every_steps=1)
    assert not scene.engine.world.broken
    return scene


def mmap_lock_taken(scene: Scene) -> int:
    return len(scene.events(event.LOCK_START))


@pytest.mark.parametrize("kernel", PRESETS)
def test_what_it_holds_is_the_kernels(kernel: str) -> None:
    scene = asked(kernel)
    lock = PRESETS[kernel].procmap_query_lock
    assert scene.results() == [-25 if lock == "none" else 0]
    assert mmap_lock_taken(scene) == (1 if lock == "mmap_lock" else 0)
    read = [one for one in scene.events(event.VMA_LOCK_EVENT) if one["what"] == "read_locked"]
    assert len(read) == (1 if lock == "vma_lock" else 0)


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_where_nothing_is_mapped_it_says_so(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).vma("b", 8)
    scene.thread("t", Munmap(at("b", 2), 3), ReadProc("procmap_query", place=at("b", 3)))
    scene.run()
    assert scene.results() == [0, -2]


@pytest.mark.parametrize(("kernel", "waits"), [("6.12", True), ("6.18", False)])
def test_a_writer_elsewhere_holds_it_up_only_under_mmap_lock(kernel: str, waits: bool) -> None:
    scene = world(kernel).vma("a", 2048).vma("apart", 1, "r").vma("b", 8).touched("a")
    scene.thread("writer", Mprotect(at("a"), 1024, 1), Mprotect(at("a"), 1024, 3), repeat=4)
    scene.thread("profiler", ReadProc("procmap_query", place=at("b")), cpu=1, repeat=80)
    scene.run()
    profiler = scene.engine.tasks[1]
    slept = [one for one in scene.events(event.CONTENTION_BEGIN) if one["task"] == profiler.id]
    assert bool(slept) is waits


def test_without_vma_locks_it_asks_under_mmap_lock() -> None:
    assert mmap_lock_taken(asked("6.18", mode="mmap_lock")) == 1
