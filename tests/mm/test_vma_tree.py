"""The VMA tree's facade: answers, events, cache lines, and nodes that die one grace period late."""

from __future__ import annotations

import random

import pytest

from pfviz.mm.address_space import MMAP_MIN, place_vma, place_vma_below
from pfviz.mm.operations import PAGE_SIZE, Access, Mmap, Mprotect, Munmap
from pfviz.sim import event
from tests.worlds import Scene, at, world


def three() -> Scene:
    """VMAs of 2, 3 and 4 pages with gaps between them."""
    scene = world("6.12")
    return (
        scene.vma("low", 2, start=0x100000)
        .vma("mid", 3, start=0x200000)
        .vma("high", 4, start=0x300000)
    )


def test_look_ups_find_what_covers_and_what_follows() -> None:
    scene = three()
    tree, engine = scene.mm.tree, scene.engine
    low, mid, high = tree
    assert tree.lookup(engine, 0x201000) is mid
    assert tree.lookup(engine, 0x203000) is None
    assert tree.find(engine, 0x203000) is high
    assert tree.find(engine, 0x400000) is None
    assert tree.next_at(engine, 0x102000) is mid
    assert (tree.next_of(low), tree.prev_of(low)) == (mid, None)
    assert (tree.before(0x200000), tree.before(0x201000), tree.before(0)) == (low, mid, None)
    assert list(tree.between(0x101000, 0x200001)) == [low, mid]
    assert len(tree) == 3


def test_find_vma_shows_as_mt_find_and_a_walk_shows_not() -> None:
    """The trace points of 6.18: ma_read only from mt_find."""
    scene = three()
    before = len(scene.events(event.MA_READ))
    scene.mm.tree.lookup(scene.engine, 0x201000)
    scene.mm.tree.next_at(scene.engine, 0x201000)
    assert len(scene.events(event.MA_READ)) == before
    scene.mm.tree.find(scene.engine, 0x201000)
    (read,) = scene.events(event.MA_READ)[before:]
    assert (read["function"], read["index"]) == ("mt_find", 0x201000)


def test_the_highest_gap_that_fits_is_found() -> None:
    scene = world("6.12").vma("top", 4)
    tree, top = scene.mm.tree, scene.named("top")
    assert tree.gap_below(MMAP_MIN, scene.mm.mmap_base, PAGE_SIZE) == top - PAGE_SIZE
    assert tree.gap_below(top, top + 4 * PAGE_SIZE, PAGE_SIZE) is None
    assert tree.gap_below(MMAP_MIN, MMAP_MIN + PAGE_SIZE, 2 * PAGE_SIZE) is None


def test_vmas_may_not_overlap_or_lie_outside() -> None:
    scene = three()
    for start, pages in ((0x101000, 1), (0xFF000, 3), (0x1001, 1), (0, 1), (1 << 47, 1)):
        with pytest.raises(ValueError, match="VMA"):
            place_vma(scene.engine, scene.mm, start, pages)
    with pytest.raises(ValueError, match="no free range"):
        place_vma_below(scene.engine, scene.mm, 1 << 36)


def test_every_change_is_told_node_by_node() -> None:
    """Folding the tree events gives the tree: what a viewer draws is what is there."""
    scene = world("6.12")
    for number in range(40):
        scene.vma(f"v{number}", 2, "rw" if number % 2 else "r")
    dice = random.Random(5)
    changes = []
    for _ in range(60):
        place = at(f"v{dice.randrange(40)}")
        changes.append(
            dice.choice((Munmap(place, 1), Mprotect(place, 2, dice.randrange(4)), Mmap(1)))
        )
    scene.thread("t", *changes)
    scene.run()

    nodes: dict[int, tuple[object, ...]] = {}
    root = -1
    for row in scene.engine.log:
        if row[1] == event.TREE_NODE:
            nodes[row[3]] = scene.engine.log.details[row[4]]
        elif row[1] == event.TREE_NODE_DEAD:
            nodes.pop(row[3])
        elif row[1] == event.TREE_ROOT:
            root = row[3]
    maple = scene.mm.tree.maple
    maple.check()
    assert root == maple.root.id
    assert set(nodes) == {node.id for node in maple.nodes()}
    for node in maple.nodes():
        slots = tuple(-1 if slot is None else slot.id for slot in node.slots)
        assert nodes[node.id][3:5] == (tuple(node.pivots), slots)
        assert nodes[node.id][5] == tuple(node.gaps or ())


def test_dead_nodes_are_freed_after_a_grace_period_and_not_before() -> None:
    scene = world("6.12")
    for number in range(20):
        scene.vma(f"v{number}", 2, "rw" if number % 2 else "r")
    scene.thread("t", Munmap(at("v3"), 1), Munmap(at("v7"), 1))
    scene.run(until_ns=1_000_000)
    assert scene.mm.tree.maple.dead
    scene.run()
    assert not scene.mm.tree.maple.dead
    died = [one["node"] for one in scene.events(event.TREE_NODE_DEAD)]
    freed = [one["node"] for one in scene.events(event.TREE_NODE_FREED)]
    assert sorted(died) == sorted(freed)


def test_a_store_makes_the_next_walk_on_another_cpu_pay() -> None:
    scene = world("6.12").vma("a", 8).vma("b", 8, "r")
    scene.thread("writer", Munmap(at("b"), 2))
    reader = scene.thread("reader", Access(at("a")), cpu=1, after_ns=90_000)
    scene.run()
    lines = {one["line"]: one["name"] for one in scene.events(event.LINE_NEW)}
    moved = [lines[one["line"]] for one in scene.events(event.LINE_MOVED, reader)]
    assert any(name.startswith("maple node") for name in moved)


def test_storing_without_the_write_lock_breaks_a_rule() -> None:
    scene = world("6.12").vma("a", 8)
    thread = scene.thread("t", Mmap(1))
    engine = scene.engine
    while engine.step():
        if thread.state == "running" and not scene.mm.mmap_lock.is_write_locked:
            break
    engine.task = thread
    scene.mm.tree.store(engine, 0x500000, 0x501000, scene.vmas["a"], "mas_store")
    assert [broken.rule for broken in engine.world.broken] == ["I9"]
