"""exit: pages go under the read lock, page tables and VMAs under the write lock."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import Access, Exit
from pfviz.sim import event
from tests.worlds import Scene, at, world


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


@pytest.mark.parametrize("kernel", ["6.1", "6.4", "6.12", "6.18"])
def test_nothing_is_left_of_the_last_thread_s_address_space(kernel: str) -> None:
    scene = world(kernel).vma("a", 600).touched("a").vma("b", 8)
    file = scene.file("lib.so", 8, present=8)
    scene.file_vma("lib", file, 8)
    scene.thread("t", Access(at("b"), write=True, pages=3), Access(at("lib"), pages=8), Exit())
    done(scene)
    assert scene.mm.exited
    assert scene.layout() == []
    assert scene.mm.page_tables.table_count == 0
    assert scene.engine.world.frames.used == 0
    assert file.vmas == []
    assert len(scene.events(event.VMA_FREED)) == 3
    assert scene.mm.tree.nodes == {}


def test_the_lock_is_read_first_and_written_afterwards() -> None:
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("t", Exit())
    done(scene)
    lock = scene.mm.mmap_lock.id
    modes = [one["mode"] for one in scene.events(event.LOCK_ACQUIRED) if one["lock"] == lock]
    assert modes == [event.READ, event.WRITE]
    log = [row[1] for row in scene.engine.log]
    assert log.index(event.PTE_CLEARED) < log.index(event.LOCK_RELEASED, log.index(event.OP_BEGIN))


@pytest.mark.parametrize(("kernel", "count"), [("6.1", 0), ("6.12", 2), ("6.18", 2)])
def test_exit_write_locks_every_vma_once_more(kernel: str, count: int) -> None:
    scene = world(kernel).vma("a", 8).touched("a").vma("b", 8, "r")
    scene.thread("t", Exit())
    names = done(scene).functions()
    assert names.count("vma_start_write") + names.count("__vma_start_write") == count


def test_a_thread_that_is_not_the_last_leaves_the_memory_alone() -> None:
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("one", Exit())
    scene.thread("other", Access(at("a")), cpu=1, after_ns=50_000)
    done(scene)
    assert not scene.mm.exited
    assert scene.engine.world.frames.used == 8
