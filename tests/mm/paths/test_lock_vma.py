"""A reader of maps walks the tree node by node, and notices nodes that die under it (6.17+)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pfviz.mm import rules
from pfviz.mm.maple import MaState
from pfviz.mm.operations import PAGE_SIZE, Mprotect, ReadProc
from pfviz.mm.paths.lock_vma import lock_next_found, mas_find, mas_next_slot
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim import event
from tests.worlds import Scene, at, world

if TYPE_CHECKING:
    from pfviz.sim.task import Step

BASE = 0x7F00_0000_0000
COUNT = 40


def with_gaps(kernel: str = "6.18") -> Scene:
    """Areas of three pages, each with a page of nothing below it: a tree of two levels."""
    scene = world(kernel)
    for number in range(COUNT):
        start = BASE + 4 * number * PAGE_SIZE
        scene.vma(f"v{number}", 3, "rw" if number % 2 else "r", start=start)
    return scene


def tree_of(scene: Scene) -> VmaTree:
    tree = scene.mm.tree
    assert isinstance(tree, VmaTree)
    return tree


def test_the_walk_stands_on_each_node_in_turn() -> None:
    scene = with_gaps()
    height = tree_of(scene).maple.height
    assert height > 1
    monitor = scene.thread("monitor", ReadProc("maps"))
    stood = []
    while monitor.step is not mas_next_slot:
        scene.engine.step()
        if monitor.step is mas_find and isinstance(monitor.walk, MaState) and monitor.walk.node:
            stood.append(monitor.walk.node.type_name)
    # The step that reads the root pointer reads the root, too; the leaf is where the walk ends.
    assert stood == ["maple_arange_64"] * (height - 2) + ["maple_leaf_64"]
    rules.run(scene.engine, every_steps=8)
    assert scene.functions(monitor).count("show_map") == COUNT
    walks = [one for one in scene.events(event.TREE_WALK) if one["task"] == monitor.id]
    assert len(walks) >= (height + 1) * COUNT


def kill_leaf(scene: Scene) -> None:
    """Replace the leaf that holds v0, as a split in its midst would; v0 stays itself."""
    vma = scene.vmas["v0"]
    write = tree_of(scene).maple.store(vma.vm_start, vma.vm_start + PAGE_SIZE - 1, vma)
    assert write.dead


@pytest.mark.parametrize("standing", [mas_find, mas_next_slot])
def test_a_node_that_dies_under_the_reader_sends_it_back_to_the_root(standing: Step) -> None:
    scene = with_gaps()
    monitor = scene.thread("monitor", ReadProc("maps"))
    while not (
        monitor.step is standing and isinstance(monitor.walk, MaState) and monitor.walk.node
    ):
        scene.engine.step()
    mas = monitor.walk
    leaf = mas.node
    assert leaf is not None
    assert leaf.is_leaf
    kill_leaf(scene)
    assert leaf.is_dead
    while monitor.step is not lock_next_found:
        scene.engine.step()
    assert (mas.restarts, mas.entry) == (1, monitor.vma)
    rules.run(scene.engine, every_steps=8)
    assert scene.functions(monitor).count("show_map") == COUNT
    walked = [one["slot"] for one in scene.events(event.TREE_WALK) if one["task"] == monitor.id]
    assert walked.count(-1) == 1


def test_a_writer_that_splits_and_merges_hides_no_area_from_the_reader() -> None:
    scene = with_gaps()
    monitor = scene.thread("monitor", ReadProc("maps"), repeat=30)
    changes = [Mprotect(at("v0", page=1), 1, prot) for prot in (0, 3, 1, 7)]
    scene.thread("writer", *changes, cpu=1, repeat=40)
    rules.run(scene.engine, every_steps=64)
    assert scene.engine.world.broken == []
    assert scene.functions(monitor).count("show_map") >= 30 * COUNT


def test_the_area_behind_a_gap_is_looked_for_again_when_the_leaf_died() -> None:
    scene = with_gaps()
    maple = tree_of(scene).maple
    mas = MaState(BASE + 3 * PAGE_SIZE)
    while not maple.walk_step(mas):
        pass
    assert (mas.status, mas.entry) == ("found", None)
    leaf = mas.node
    assert leaf is not None
    maple.store(BASE, BASE + PAGE_SIZE - 1, scene.vmas["v9"])
    assert leaf.is_dead
    assert not maple.next_slot(mas)
    assert (mas.status, mas.restarts) == ("start", 1)
    while not maple.walk_step(mas):
        pass
    assert maple.next_slot(mas)
    assert mas.entry is scene.vmas["v1"]


def test_behind_the_last_area_there_is_nothing() -> None:
    scene = with_gaps()
    maple = tree_of(scene).maple
    mas = MaState(scene.named(f"v{COUNT - 1}") + 3 * PAGE_SIZE)
    while not maple.walk_step(mas):
        pass
    assert maple.next_slot(mas)
    assert (mas.status, mas.entry) == ("none", None)
