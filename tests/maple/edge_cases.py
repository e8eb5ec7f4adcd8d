"""Stores at the edges of what the recorded vectors reach; what must come of them follows by hand.

Each returns the tree and the leaves that it must have, as lists of last indices and entries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pfviz.mm.maple import MAX_INDEX, MapleTree

Leaves = list[list[tuple[int, Any]]]


def side_by_side(count: int) -> MapleTree:
    """Ranges of ten indices from 0 on, stored in ascending order."""
    tree = MapleTree()
    for number in range(count):
        tree.store(10 * number, 10 * number + 9, number)
    return tree


def leaves_of(tree: MapleTree) -> Leaves:
    return [
        list(zip(node.pivots, node.slots, strict=True)) for node in tree.nodes() if node.is_leaf
    ]


def a_null_that_widens_over_everything() -> tuple[MapleTree, Leaves]:
    """Sixteen ranges, then nothing, in two leaves: clearing all of them leaves no node.

    The range asked for ends at 159; the gap behind it makes the null cover all there is.
    """
    tree = side_by_side(16)
    assert tree.height == 2
    assert tree.clear(0, 159).store_type == "spanning_store"
    return tree, []


def a_null_that_widens_downwards_over_everything() -> tuple[MapleTree, Leaves]:
    """The same with a gap below: the range asked for begins at 5."""
    tree = MapleTree()
    for number in range(16):
        tree.store(5 + 10 * number, 14 + 10 * number, number)
    assert tree.height == 2
    assert tree.clear(5, 164).store_type == "spanning_store"
    return tree, []


def a_leaf_borrows_from_its_left_cousin() -> tuple[MapleTree, Leaves]:
    """160 ranges make two inner nodes, the second from 900 on; all but its first slots goes.

    Three slots are left, too few. To the right is nothing, to the left no node of the same parent,
    so the last leaf below the first inner node comes in, with 15 slots (750 to 899). 18 slots are
    cut in two halves of nine.
    """
    tree = side_by_side(160)
    assert tree.height == 3
    assert tree.root.pivots == [899, MAX_INDEX]
    assert [len(node.slots) for node in tree.root.slots] == [6, 5]
    kept = leaves_of(tree)[:5]
    assert [pivot for pivot, _ in leaves_of(tree)[5]] == list(range(759, 900, 10))
    assert tree.store(912, MAX_INDEX, "x").store_type == "spanning_store"
    strip: list[tuple[int, Any]] = [(10 * number + 9, number) for number in range(75, 91)]
    strip += [(911, 91), (MAX_INDEX, "x")]
    return tree, [*kept, strip[:9], strip[9:]]


EDGE_CASES: tuple[Callable[[], tuple[MapleTree, Leaves]], ...] = (
    a_null_that_widens_over_everything,
    a_null_that_widens_downwards_over_everything,
    a_leaf_borrows_from_its_left_cousin,
)
