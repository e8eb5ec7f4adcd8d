"""The checker names each kind of damage and draws the tree, marked where it is broken."""

from collections.abc import Callable

import pytest

from pfviz.mm.maple import BrokenTreeError, MapleNode, MapleTree


def sound_tree(*, alloc: bool = True) -> MapleTree:
    tree = MapleTree(alloc=alloc)
    for number in range(60):
        tree.store(30 * number, 30 * number + 19, number)
    tree.check()
    return tree


def first_leaf(tree: MapleTree) -> MapleNode:
    node: MapleNode = tree.root
    while not node.is_leaf:
        node = node.slots[0]
    return node


def unlink(tree: MapleTree) -> None:
    first_leaf(tree).parent = None


def misplace(tree: MapleTree) -> None:
    first_leaf(tree).parent_slot = 3


def disorder(tree: MapleTree) -> None:
    pivots = first_leaf(tree).pivots
    pivots[1], pivots[2] = pivots[2], pivots[1]


def shrink(tree: MapleTree) -> None:
    leaf = first_leaf(tree)
    del leaf.pivots[1:-2]
    del leaf.slots[1:-2]


def overfill(tree: MapleTree) -> None:
    leaf = first_leaf(tree)
    leaf.pivots[0:0] = range(12)
    leaf.slots[0:0] = [1] * 12


def overlap(tree: MapleTree) -> None:
    first_leaf(tree).pivots[-1] += 5


def end_in_null(tree: MapleTree) -> None:
    first_leaf(tree).slots[-1] = None


def double_null(tree: MapleTree) -> None:
    first_leaf(tree).slots[2] = None


def wrong_gap(tree: MapleTree) -> None:
    tree.root.gaps[0] += 1


def wrong_gap_slot(tree: MapleTree) -> None:
    tree.root.gap_slot = 0


def wrong_type(tree: MapleTree) -> None:
    first_leaf(tree).type = 2


def too_high(tree: MapleTree) -> None:
    tree.height += 1


def kill(tree: MapleTree) -> None:
    leaf = first_leaf(tree)
    leaf.parent = leaf


def revive(tree: MapleTree) -> None:
    next(iter(tree.dead.values())).parent = None


def share(tree: MapleTree) -> None:
    tree.root.slots[1] = tree.root.slots[0]


def drop_a_slot(tree: MapleTree) -> None:
    first_leaf(tree).slots.pop()


def free_in_tree(tree: MapleTree) -> None:
    first_leaf(tree).release()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (unlink, "does not point back"),
        (misplace, "child 0 does not point back"),
        (disorder, "below its slot's start"),
        (shrink, "at least 7 needed"),
        (overfill, "slots in use of 16"),
        (overlap, "the parent says"),
        (end_in_null, "a leaf ends in null"),
        (double_null, "are both null"),
        (wrong_gap, "gap 0 is"),
        (wrong_gap_slot, "gap slot 0 does not hold the largest gap"),
        (wrong_type, "type is maple_range_64 at level 1"),
        (too_high, "type is maple_leaf_64 at level 2"),
        (kill, "is dead but in the tree"),
        (revive, "waits for its grace period but is not marked dead"),
        (share, "is also at"),
        (drop_a_slot, "pivots, "),
        (free_in_tree, "was freed"),
    ],
)
def test_each_kind_of_damage_is_named(damage: Callable[[MapleTree], None], message: str) -> None:
    tree = sound_tree()
    damage(tree)
    with pytest.raises(BrokenTreeError) as broken:
        tree.check()
    assert message in str(broken.value)


def test_the_broken_tree_is_drawn_and_marked() -> None:
    tree = sound_tree()
    first_leaf(tree).slots[-1] = None
    with pytest.raises(BrokenTreeError) as broken:
        tree.check()
    text = str(broken.value)
    assert text.splitlines()[0] == "the maple tree is broken"
    assert any("◀" in line and "a leaf ends in null" in line for line in text.splitlines())
    assert "arange_64 0–max" in text


def test_a_plain_tree_with_gaps_is_refused() -> None:
    tree = sound_tree(alloc=False)
    tree.root.gaps = [0] * len(tree.root.slots)
    with pytest.raises(BrokenTreeError, match="a plain tree has gaps"):
        tree.check()
