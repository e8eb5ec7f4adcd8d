"""The facade of 6.0: the same answers as the maple tree's, in place changes, list and vmacaches."""

from __future__ import annotations

import random

import pytest

from pfviz.mm.address_space import MMAP_MIN, AddressSpace
from pfviz.mm.operations import PAGE_SIZE, Access, Munmap
from pfviz.mm.rb_vma_tree import RbVmaTree
from pfviz.mm.vma import STACK_GUARD_GAP, VM_GROWSDOWN, VM_READ, VM_WRITE
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.sim import event
from tests.worlds import Scene, at, world


def rb_of(mm: AddressSpace) -> RbVmaTree:
    assert isinstance(mm.tree, RbVmaTree)
    return mm.tree


def three(kernel: str = "6.0") -> Scene:
    """VMAs of 2, 3 and 4 pages with gaps between them."""
    scene = world(kernel)
    return (
        scene.vma("low", 2, start=0x100000)
        .vma("mid", 3, start=0x200000)
        .vma("high", 4, start=0x300000)
    )


def test_look_ups_answer_as_the_maple_tree_does() -> None:
    old, new = three("6.0"), three("6.1")
    for address in (0, 0xFFFFF, 0x100000, 0x102000, 0x202FFF, 0x203000, 0x303FFF, 0x304000):
        answers = []
        for scene in (old, new):
            tree, engine = scene.mm.tree, scene.engine
            found = (
                tree.lookup(engine, address), tree.find(engine, address),
                tree.next_at(engine, address), tree.at(address), tree.before(address),
            )  # fmt: skip
            answers.append([None if vma is None else vma.vm_start for vma in found])
        assert answers[0] == answers[1], hex(address)
    low, mid, high = old.mm.tree
    tree = old.mm.tree
    assert (tree.next_of(low), tree.prev_of(low), tree.next_of(high)) == (mid, None, None)
    assert list(tree.between(0x101000, 0x200001)) == [low, mid]
    assert len(tree) == 3
    assert tree.dead_nodes == 0


def random_stores(kernel: str, seed: int) -> list[tuple[int, int]]:
    """Stores, merges and holes at the edges, the same for every kernel; the ranges at the end."""
    dice = random.Random(seed)
    scene = world(kernel)
    engine, mm, tree = scene.engine, scene.mm, scene.mm.tree
    for _ in range(120):
        start = MMAP_MIN + dice.randrange(200) * PAGE_SIZE
        end = start + dice.randint(1, 8) * PAGE_SIZE
        touched = list(tree.between(start, end))
        if any(vma.vm_start < start and vma.vm_end > end for vma in touched):
            continue
        stored = None
        if touched and dice.random() < 0.3:
            stored = touched[0]
            start = min(start, stored.vm_start)
        elif dice.random() < 0.7:
            stored = vm_area_alloc(engine, mm, start, end, VM_READ | VM_WRITE)
        for vma in touched:
            if vma is stored:
                continue
            if vma.vm_start < start < vma.vm_end:
                vma.vm_end = start
            elif vma.vm_start < end < vma.vm_end:
                vma.vm_start = end
        if stored is not None:
            end = max(end, stored.vm_end)
            if any(vma.vm_start < end < vma.vm_end for vma in tree.between(start, end)
                   if vma is not stored):  # fmt: skip
                end = stored.vm_end
            stored.vm_start, stored.vm_end = start, end
        tree.store_prealloc(engine, tree.prealloc(engine, start, end, stored))
        tree.check()
    return [(vma.vm_start, vma.vm_end) for vma in tree]


@pytest.mark.parametrize("seed", range(6))
def test_stores_leave_the_ranges_that_the_maple_tree_has(seed: int) -> None:
    assert random_stores("6.0", seed) == random_stores("6.12", seed)


def test_the_highest_gap_that_fits_is_found_and_stacks_keep_their_guard() -> None:
    scene = world("6.0").vma("top", 4)
    tree, top = scene.mm.tree, scene.named("top")
    assert tree.gap_below(MMAP_MIN, scene.mm.mmap_base, PAGE_SIZE) == top - PAGE_SIZE
    assert tree.gap_below(top, top + 4 * PAGE_SIZE, PAGE_SIZE) is None
    scene.vma("stack", 8, start=top - 0x10000, flags=VM_GROWSDOWN)
    below = scene.named("stack") - STACK_GUARD_GAP
    assert tree.gap_below(MMAP_MIN, scene.named("stack"), PAGE_SIZE) == below - PAGE_SIZE


def test_a_hole_in_the_middle_is_refused() -> None:
    scene = three()
    with pytest.raises(AssertionError, match="a hole in"):
        scene.mm.tree.store(scene.engine, 0x201000, 0x202000, None, "")


def test_events_alone_draw_the_same_tree() -> None:
    """Whoever folds TREE_NODE, TREE_NODE_FREED and TREE_ROOT has every colour, link and gap."""
    scene = world("6.0")
    for number in range(40):
        scene.vma(f"v{number}", 1, start=0x100000 + (number * 7 % 40) * 0x3000)
    tree = rb_of(scene.mm)
    for vma in list(tree)[5:25]:
        tree.store(scene.engine, vma.vm_start, vma.vm_end, None, "")
    nodes: dict[int, tuple[object, ...]] = {}
    root = (0, 0)
    log = scene.engine.log
    for row in log:
        if row[1] == event.TREE_NODE:
            nodes[row[3]] = (*log.details[row[4]], row[5])
        elif row[1] == event.TREE_NODE_FREED:
            del nodes[row[3]]
        elif row[1] == event.TREE_ROOT:
            root = row[3], row[4]
    assert root == (tree.rb.root, tree._black_height())
    assert set(nodes) == set(tree.rb.nodes)
    for node in tree.rb:
        kind, low, high, colors, slots, gaps, _, parent = nodes[node.id]
        assert (kind, low, high, colors) == ("rb", node.start, node.end - 1, (node.color,))
        assert slots == (node.left or -1, node.entry.id, node.right or -1)
        assert gaps[1] == node.subtree_gap  # type: ignore[index]
        assert parent == (node.parent or -1)


def test_a_write_tells_what_it_turned_and_painted() -> None:
    scene = world("6.0")
    for number in range(3):
        scene.vma(f"v{number}", 1, start=0x100000 + number * 0x10000)
    first, second, third = scene.events(event.TREE_WRITE)
    assert {row["function"] for row in (first, second, third)} == {"vma_rb_insert"}
    assert (first["write"], second["write"]) == ((1, (), ()), (2, (), ()))
    assert third["write"] == (3, (("left", 1, 2),), (1, 2))


def test_a_walk_passes_the_nodes_and_sides_to_its_vma() -> None:
    scene = three()
    tree = rb_of(scene.mm)
    before = len(scene.events(event.TREE_WALK))
    high = tree.find(scene.engine, 0x280000)
    assert high is not None
    assert high.vm_start == 0x300000
    walked = scene.events(event.TREE_WALK)[before:]
    assert [(row["node"], row["slot"]) for row in walked] == [(2, 2), (3, 0)]


def test_no_event_of_the_maple_tree_appears() -> None:
    scene = three()
    scene.thread("t", Access(at("mid"), write=True), Munmap(at("mid"), 3))
    scene.run()
    for kind in (event.MA_READ, event.MA_WRITE, event.MA_OP, event.TREE_NODE_DEAD):
        assert not scene.events(kind)


def test_a_hit_in_the_vmacache_walks_no_tree() -> None:
    scene = three()
    thread = scene.thread("t", Access(at("mid"), pages=3))
    scene.run()
    told = [(row["what"], row["slot"]) for row in scene.events(event.VMACACHE, thread)]
    assert told == [("miss", -1), ("update", 1), ("hit", 1), ("hit", 1)]
    assert len(scene.events(event.TREE_WALK, thread)) == 1, "mid is the root"
    assert scene.engine.world.vmstat["vmacache_find_calls"] == 3
    assert scene.engine.world.vmstat["vmacache_find_hits"] == 2


def test_each_thread_has_a_cache_of_its_own() -> None:
    scene = three()
    threads = [scene.thread(f"t{cpu}", Access(at("mid", cpu)), cpu=cpu) for cpu in range(2)]
    scene.run()
    for thread in threads:
        assert [row["what"] for row in scene.events(event.VMACACHE, thread)] == ["miss", "update"]


def test_an_unmap_by_anybody_voids_every_cache() -> None:
    scene = three()
    reader = scene.thread("reader", Access(at("mid")), Access(at("mid", 1)), repeat=1)
    scene.run()
    scene.thread("writer", Munmap(at("low"), 2), cpu=1)
    scene.run()
    assert scene.events(event.VMACACHE)[-1]["what"] == "invalidate"
    tree = rb_of(scene.mm)
    scene.engine.task = reader
    assert tree.cached(scene.engine, 0x200000) is None
    scene.engine.task = None
    assert [row["what"] for row in scene.events(event.VMACACHE)][-2:] == ["flush", "miss"]
