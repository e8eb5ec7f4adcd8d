"""Splitting an overfull leaf and what ripples up from it: pushes to a sibling, splits, the final.

mas_split() of lib/maple_tree.c, 6.12. Builds new nodes only; publishing is store.py's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.leaf_store import splice
from pfviz.mm.maple.node import (
    MAPLE_ARANGE_64,
    MAPLE_LEAF_64,
    MAPLE_RANGE_64,
    MAX_INDEX,
    MT_MIN_SLOTS,
    MT_SLOTS,
    BigNode,
    MapleNode,
    max_gap,
)
from pfviz.mm.maple.write import Graft, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def build_split(tree: MapleTree, plan: WritePlan) -> Graft:
    """Build the nodes of a store whose leaf needs more than 16 slots."""
    node = plan.node
    assert node is not None
    big = overfull_leaf(plan, node)
    graft = Graft()
    graft.height = plan.height
    level = 1
    while True:
        graft.dead.append(node)
        if len(big.pivots) <= MT_SLOTS[big.type]:
            graft.note("final", level, len(big.pivots))
            return _finish(graft, node, build_node(tree, graft, big))
        parent = node.parent
        if parent is not None:
            pushed = _push_left(tree, graft, big, node, level)
            pushed = pushed or _push_right(tree, graft, big, node, level)
            if pushed is not None:
                graft.note("final", level + 1, len(pushed.pivots))
                graft.dead.append(parent)
                return _finish(graft, parent, build_node(tree, graft, pushed))
        count = len(big.pivots)
        cut = calc_split(big, bulk=plan.bulk)
        graft.note("split", level, count, cut)
        left = build_node(tree, graft, big, 0, cut + 1)
        right = build_node(tree, graft, big, cut + 1, count)
        if parent is None:
            root = build_root(tree, graft, [left, right])
            graft.height += 1
            graft.note("final", level + 1, 2)
            return _finish(graft, node, root)
        big = with_children(parent, node.parent_slot, node.parent_slot, [left, right])
        node = parent
        level += 1


def _finish(graft: Graft, old: MapleNode, new: MapleNode) -> Graft:
    graft.old = old
    graft.new = new
    return graft


def overfull_leaf(plan: WritePlan, leaf: MapleNode) -> BigNode:
    """Copy a leaf with the store applied into a scratch node (mas_store_b_node)."""
    pivots = leaf.pivots[:]
    slots = leaf.slots[:]
    splice(pivots, slots, plan.decision, plan.entry)
    return BigNode(MAPLE_LEAF_64, leaf.min, pivots, slots)


def build_node(
    tree: MapleTree, graft: Graft, big: BigNode, start: int = 0, stop: int | None = None
) -> MapleNode:
    """Make a new node of slots start ... stop-1 of a scratch node (mab_mas_cp).

    A node of all its slots takes over the scratch node's lists.
    """
    pivots = big.pivots
    slots = big.slots
    gaps = big.gaps
    node_min = big.min
    if start or stop is not None:
        if start:
            node_min = pivots[start - 1] + 1
        pivots = pivots[start:stop]
        slots = slots[start:stop]
        if gaps is not None:
            gaps = gaps[start:stop]
    node = MapleNode(tree.next_id, big.type, node_min, pivots, slots, gaps)
    tree.next_id += 1
    graft.born.append(node)
    return node


def build_root(tree: MapleTree, graft: Graft, children: list[MapleNode]) -> MapleNode:
    """Make a new inner node over everything."""
    pivots = [child.pivots[-1] for child in children]
    gaps = [max_gap(child) for child in children] if tree.alloc else None
    node_type = MAPLE_ARANGE_64 if tree.alloc else MAPLE_RANGE_64
    root = tree.new_node(node_type, 0, pivots, list(children), gaps)
    graft.born.append(root)
    return root


def with_children(parent: MapleNode, first: int, last: int, children: list[MapleNode]) -> BigNode:
    """Copy an inner node with slots first ... last replaced by new children."""
    pivots = parent.pivots[:first]
    slots: list[Any] = parent.slots[:first]
    gaps = None if parent.gaps is None else parent.gaps[:first]
    add_children(children, pivots, slots, gaps)
    pivots += parent.pivots[last + 1 :]
    slots += parent.slots[last + 1 :]
    if gaps is not None and parent.gaps is not None:
        gaps += parent.gaps[last + 1 :]
    return BigNode(parent.type, parent.min, pivots, slots, gaps)


def add_children(
    children: list[MapleNode], pivots: list[int], slots: list[Any], gaps: list[int] | None
) -> None:
    """Put new nodes behind the slots of an inner node in the making."""
    for child in children:
        pivots.append(child.pivots[-1])
        slots.append(child)
        if gaps is not None:
            gaps.append(max_gap(child))


def calc_split(big: BigNode, *, bulk: bool = False) -> int:
    """Return the last offset of the left half (mab_calc_split without a middle node)."""
    end = len(big.pivots) - 1
    if bulk:
        cut = end - MT_MIN_SLOTS[big.type]
        if big.type == MAPLE_LEAF_64 and big.slots[cut] is None:
            cut -= 1
        return cut
    return no_null_split(big, end // 2, end)


def no_null_split(big: BigNode, cut: int, end: int) -> int:
    """Move a cut off a null, since no left node may end in one (mab_no_null_split)."""
    if big.type != MAPLE_LEAF_64 or big.slots[cut] is not None:
        return cut
    if cut < MT_SLOTS[big.type] - 1 and end - cut > MT_MIN_SLOTS[big.type]:
        return cut + 1
    return cut - 1


def _room_for_push(big: BigNode, sibling: MapleNode) -> int | None:
    """Sum of both ends if two nodes can hold both lists, else None (mas_push_data)."""
    total = len(big.pivots) + len(sibling.pivots) - 2
    space = 2 * MT_SLOTS[big.type] - 2
    if big.type == MAPLE_LEAF_64:
        space -= 1
    if big.pivots[-1] == MAX_INDEX:
        space -= 1
    return total if total < space else None


def _push_left(
    tree: MapleTree, graft: Graft, big: BigNode, node: MapleNode, level: int
) -> BigNode | None:
    parent = node.parent
    assert parent is not None
    slot = node.parent_slot
    if slot == 0:
        return None
    sibling: MapleNode = parent.slots[slot - 1]
    total = _room_for_push(big, sibling)
    if total is None:
        return None
    big.prepend_node(sibling)
    cut = no_null_split(big, MT_SLOTS[big.type] - 2, total + 1)
    graft.note("push_left", level, len(big.pivots), cut)
    return _share(tree, graft, big, sibling, cut, parent, slot - 1)


def _push_right(
    tree: MapleTree, graft: Graft, big: BigNode, node: MapleNode, level: int
) -> BigNode | None:
    parent = node.parent
    assert parent is not None
    slot = node.parent_slot
    if slot == len(parent.slots) - 1:
        return None
    sibling: MapleNode = parent.slots[slot + 1]
    total = _room_for_push(big, sibling)
    if total is None:
        return None
    big.append_node(sibling)
    cut = no_null_split(big, total - (MT_SLOTS[big.type] - 2), total + 2)
    graft.note("push_right", level, len(big.pivots), cut)
    return _share(tree, graft, big, sibling, cut, parent, slot)


def _share(
    tree: MapleTree,
    graft: Graft,
    big: BigNode,
    sibling: MapleNode,
    cut: int,
    parent: MapleNode,
    left_slot: int,
) -> BigNode:
    """Cut the slots of two siblings anew; return their parent's new slots."""
    graft.dead.append(sibling)
    left = build_node(tree, graft, big, 0, cut + 1)
    right = build_node(tree, graft, big, cut + 1)
    return with_children(parent, left_slot, left_slot + 1, [left, right])
