"""I20 where mm_lock_seq merely counts: who may change it, which way, and that every writer does."""

from __future__ import annotations

import pytest

from pfviz.mm import mmap_lock, rules
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PROT_READ, Mprotect
from pfviz.mm.thread import Thread
from pfviz.mm.world import Mm
from pfviz.sim.task import Step, step
from tests.worlds import Scene, at, world


def seldom(scene: Scene) -> list[str]:
    """Run with the rules watched, but the whole world never looked at; what broke."""
    rules.watch(scene.engine)
    scene.run()
    return [broken.rule for broken in scene.engine.world.broken]


def odd_thread(scene: Scene, first: Step) -> None:
    """A thread that does steps of a test instead of operations."""
    scene.thread("odd", after_ns=2_000).step = first


def changing(kernel: str) -> Scene:
    """Two write sections, one after the other."""
    scene = world(kernel).vma("m", 8).touched("m")
    scene.thread("t", Mprotect(at("m"), 8, PROT_READ), Mprotect(at("m"), 8, 3))
    return scene


@pytest.mark.parametrize("kernel", ["6.4", "6.10"])
def test_a_writer_that_leaves_without_counting_is_seen(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seldom(changing(kernel)) == []
    monkeypatch.setattr(mmap_lock, "vma_end_write_all", lambda *_: None)
    scene = changing(kernel)
    assert set(seldom(scene)) == {"I20"}
    assert "VMAs stay write-locked" in scene.engine.world.broken[0].text


@step("lib/test.c")
def count_without_lock(engine: Mm, thread: Thread) -> None:
    """Change the sequence without mmap_lock: all VMAs of a writer at work would be unlocked."""
    thread.mm.mm_lock_seq.write_end(engine)
    engine.end()


def test_a_sequence_that_changes_without_a_writer_is_seen() -> None:
    scene = world("6.4").vma("m", 4)
    odd_thread(scene, count_without_lock)
    assert seldom(scene) == ["I20"]
    assert "without mmap_lock for writing" in scene.engine.world.broken[0].text


@step("lib/test.c")
def set_back(engine: Mm, thread: Thread) -> Step:
    """Begin to count anew between two write sections."""
    thread.mm.mm_lock_seq.value = 0
    return mmap_write_lock(engine, thread, thread.mm, end_writing)


@step("lib/test.c")
def end_writing(engine: Mm, thread: Thread) -> None:
    """Give the lock back as one should."""
    mmap_write_unlock(engine, thread, thread.mm)
    engine.end()


def test_a_sequence_that_goes_back_is_seen() -> None:
    scene = changing("6.4")
    odd_thread(scene, set_back)
    assert seldom(scene) == ["I20"]
    assert "goes back" in scene.engine.world.broken[0].text
