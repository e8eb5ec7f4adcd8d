"""Rebuilding a tree from a strip of leaf slots up to the root: the work of big writes.

mas_spanning_rebalance() of lib/maple_tree.c, 6.12, used by rebalances and spanning stores. Every
level is rebuilt, even where nothing changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import (
    MAX_INDEX,
    MT_MIN_SLOTS,
    MT_SLOTS,
    BigNode,
    MapleNode,
)
from pfviz.mm.maple.split import (
    add_children,
    build_node,
    build_root,
    calc_split,
    no_null_split,
)
from pfviz.mm.maple.write import Graft

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def rebuild_upwards(
    tree: MapleTree,
    graft: Graft,
    big: BigNode,
    left: MapleNode,
    right: MapleNode,
    *,
    bulk: bool = False,
) -> None:
    """Build everything above the leaf slots in `big`, which come from leaves left ... right."""
    level = 1
    graft.note("gather", level, len(big.pivots))
    if not _covers_everything(big) and len(big.pivots) <= MT_MIN_SLOTS[big.type]:
        left, right = _borrow(graft, big, left, right, level)
    while True:
        nodes = _make_nodes(tree, graft, big, level, bulk=bulk)
        if left is right:
            graft.dead.append(left)
        else:
            graft.dead.extend(nodes_between(left, right))
        if len(nodes) == 1 and _covers_everything(big):
            graft.height = level
            break
        if left.parent is None:
            nodes = [build_root(tree, graft, nodes)]
            graft.height = level + 1
            graft.note("top", level + 1, nodes[0].end + 1)
            break
        assert right.parent is not None
        big = _level_above(left, right, nodes)
        left = left.parent
        right = right.parent
        level += 1
        if len(big.pivots) > MT_MIN_SLOTS[big.type]:
            continue
        if left.parent is None:
            graft.note("top", level, len(big.pivots))
            nodes = [build_node(tree, graft, big)]
            graft.dead.append(left)
            graft.height = level
            break
        left, right = _borrow(graft, big, left, right, level)
    graft.new = nodes[0]
    # A tree that shrank leaves whole levels behind.
    while left.parent is not None and right.parent is not None:
        left = left.parent
        right = right.parent
        graft.dead.extend(nodes_between(left, right))


def _covers_everything(big: BigNode) -> bool:
    return big.min == 0 and big.pivots[-1] == MAX_INDEX


def _make_nodes(
    tree: MapleTree, graft: Graft, big: BigNode, level: int, *, bulk: bool
) -> list[MapleNode]:
    """Cut a level's slots into one, two or three nodes (mab_calc_split)."""
    count = len(big.pivots)
    end = count - 1
    room = MT_SLOTS[big.type]
    if end < room:
        graft.note("make1", level, count)
        return [build_node(tree, graft, big)]
    if not bulk and _needs_middle(big, end, room):
        cut = end // 3
        mid = no_null_split(big, 2 * cut, end)
        cut = no_null_split(big, cut, end)
        graft.note("make3", level, count, cut, mid)
        return [
            build_node(tree, graft, big, 0, cut + 1),
            build_node(tree, graft, big, cut + 1, mid + 1),
            build_node(tree, graft, big, mid + 1),
        ]
    cut = calc_split(big, bulk=bulk)
    graft.note("make2", level, count, cut)
    return [build_node(tree, graft, big, 0, cut + 1), build_node(tree, graft, big, cut + 1)]


def _needs_middle(big: BigNode, end: int, room: int) -> bool:
    return end >= 2 * room or (big.slots[end // 2] is None and end >= 2 * room - 1)


def _level_above(left: MapleNode, right: MapleNode, nodes: list[MapleNode]) -> BigNode:
    """Join what stays of two parents, left of `left` and right of `right`, around new nodes."""
    before = left.parent
    after = right.parent
    assert before is not None
    assert after is not None
    stop = left.parent_slot
    start = right.parent_slot + 1
    pivots = before.pivots[:stop]
    slots: list[Any] = before.slots[:stop]
    gaps = None if before.gaps is None else before.gaps[:stop]
    add_children(nodes, pivots, slots, gaps)
    pivots += after.pivots[start:]
    slots += after.slots[start:]
    if gaps is not None and after.gaps is not None:
        gaps += after.gaps[start:]
    return BigNode(before.type, before.min, pivots, slots, gaps)


def _borrow(
    graft: Graft, big: BigNode, left: MapleNode, right: MapleNode, level: int
) -> tuple[MapleNode, MapleNode]:
    """Take in a whole neighbouring node: right first, then left, then from one level higher.

    Returns the new left-most and right-most source (mast_spanning_rebalance).
    """
    low: MapleNode = left
    high: MapleNode = right
    depth = 0
    while True:
        below, above = low.parent, high.parent
        if below is None or above is None:
            # The region is everything though its level is not the root's: the tree will shrink.
            return left, right
        if high.parent_slot < above.end:
            right = _descend(above.slots[high.parent_slot + 1], depth, 0)
            big.append_node(right)
            graft.note("borrow_next", level, len(big.pivots))
            return left, right
        if low.parent_slot > 0:
            left = _descend(below.slots[low.parent_slot - 1], depth, -1)
            big.prepend_node(left)
            graft.note("borrow_prev", level, len(big.pivots))
            return left, right
        low, high = below, above
        depth += 1


def _descend(node: MapleNode, levels: int, slot: int) -> MapleNode:
    for _ in range(levels):
        node = node.slots[slot]
    return node


def nodes_between(left: MapleNode, right: MapleNode) -> Iterator[MapleNode]:
    """Yield the nodes of one level from `left` to `right`, both included."""
    node = left
    yield node
    while node is not right:
        depth = 0
        parent = node.parent
        while parent is not None and node.parent_slot == parent.end:
            node = parent
            parent = node.parent
            depth += 1
        assert parent is not None, "right is not to the right of left"
        node = _descend(parent.slots[node.parent_slot + 1], depth, 0)
        yield node
