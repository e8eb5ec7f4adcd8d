"""The check finds every broken invariant and draws the tree; a broken algorithm does not pass."""

from collections.abc import Callable
from typing import Any

import pytest

from pfviz.mm.rbtree import BLACK, RED, BrokenTreeError, RbTree, balance, draw_tree, gaps, shape
from pfviz.mm.rbtree.node import RbNode


def tree_of(count: int) -> RbTree:
    tree = RbTree()
    for number in range(count):
        tree.insert(0x1000 * (3 * number + 1), 0x1000 * (3 * number + 2), number)
    return tree


def test_a_small_tree_is_drawn_line_by_line() -> None:
    assert draw_tree(tree_of(4)) == [
        "B #2 0x4000-0x5000 gap 0x2000",
        "├─ l B #1 0x1000-0x2000 gap 0x1000",
        "└─ r B #3 0x7000-0x8000 gap 0x2000",
        "   └─ r R #4 0xa000-0xb000 gap 0x2000",
    ]
    assert shape(tree_of(3)) == "(B4000 (R1000 . .) (R7000 . .))"
    assert (draw_tree(RbTree()), shape(RbTree())) == (["(no node)"], ".")


def test_an_insert_says_what_it_turned_and_painted() -> None:
    tree = tree_of(2)
    _, write = tree.insert(0x7000, 0x8000, None)
    (rotation,) = write.rotations
    assert (rotation.side, rotation.down, rotation.up) == ("left", 1, 2)
    assert write.recolored == (1, 2)
    assert write.touched == (1, 2, 3)
    _, write = tree.insert(0xA000, 0xB000, None)  # A red uncle: colours only.
    assert (write.rotations, write.recolored) == ((), (1, 3))


def red_root(tree: RbTree) -> None:
    tree.nodes[tree.root].color = RED


def two_reds(tree: RbTree) -> None:
    leaf = next(node for node in tree if node.color == RED)
    tree.nodes[leaf.parent].color = RED


def a_black_too_many(tree: RbTree) -> None:
    next(node for node in tree if node.color == RED).color = BLACK


def wrong_gap(tree: RbTree) -> None:
    tree.nodes[tree.root].subtree_gap += 1


def wrong_parent(tree: RbTree) -> None:
    tree.nodes[tree.nodes[tree.root].left].parent = tree.first


def lost_child(tree: RbTree) -> None:
    tree.nodes[tree.root].left = 0


def a_loop(tree: RbTree) -> None:
    tree.nodes[tree.last].right = tree.root


def unlinked(tree: RbTree) -> None:
    tree.nodes[tree.first].next = tree.last


def overlap(tree: RbTree) -> None:
    tree.nodes[tree.first].end = 0x5000


def empty(tree: RbTree) -> None:
    tree.nodes[tree.last].end = tree.nodes[tree.last].start


def swapped(tree: RbTree) -> None:
    root = tree.nodes[tree.root]
    root.left, root.right = root.right, root.left


def lost_tail(tree: RbTree) -> None:
    tree.last = tree.nodes[tree.last].prev


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (red_root, "the root is red"),
        (two_reds, "is red and so is its child"),
        (a_black_too_many, "black nodes on every way down"),
        (wrong_gap, "subtree gap"),
        (wrong_parent, "as its parent, but hangs on"),
        (lost_child, "cannot be reached from the root"),
        (a_loop, "is reached twice"),
        (unlinked, "the list has"),
        (overlap, "where the one before it ends"),
        (empty, "has an empty range"),
        (swapped, "before it, the tree"),
        (lost_tail, "the list is"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_damaged_tree_is_named_and_drawn(damage: Callable[[RbTree], None], says: str) -> None:
    tree = tree_of(12)
    damage(tree)
    with pytest.raises(BrokenTreeError, match=says) as broken:
        tree.check()
    drawing = str(broken.value)
    assert tree.nodes[tree.root].describe() in drawing
    assert "◀" in drawing or damage in (lost_tail, lost_child), "what is wrong is marked"


def churn() -> None:
    """Insert and erase in an order that needs every case of the rebalancing."""
    tree = RbTree()
    for number in range(200):
        start = (number * 7919) % 1009
        tree.insert(2 * start, 2 * start + 1, None)
        tree.check()
    for number in range(150):
        nodes = list(tree)
        tree.erase(nodes[(number * 31) % len(nodes)])
        tree.check()


def skip_rotation(nth: int) -> Callable[..., Any]:
    rotate, calls = RbTree.rotate, [0]

    def rotated(tree: RbTree, top: RbNode, side: int) -> RbNode:
        calls[0] += 1
        return tree.nodes[top.child(1 - side)] if calls[0] == nth else rotate(tree, top, side)

    return rotated


def test_churn_keeps_every_invariant() -> None:
    churn()


@pytest.mark.parametrize("nth", [1, 2, 5, 40])
def test_a_rotation_that_is_left_out_is_found(nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RbTree, "rotate", skip_rotation(nth))
    with pytest.raises(BrokenTreeError):
        churn()


def no_repair(tree: RbTree, parent: RbNode) -> None:
    pass


def test_an_erase_that_does_not_repair_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance, "erase_color", no_repair)
    with pytest.raises(BrokenTreeError, match="black nodes on every way down"):
        churn()


def test_a_gap_that_is_not_passed_up_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "update_gap", lambda tree, node_id, stop=0: None)
    with pytest.raises(BrokenTreeError, match="subtree gap"):
        churn()
