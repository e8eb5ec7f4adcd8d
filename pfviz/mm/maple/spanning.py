"""Spanning stores: a range that leaves its leaf, or a null up to a leaf's edge.

mas_wr_spanning_store() of lib/maple_tree.c, 6.12. Builds new nodes only.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import MAPLE_LEAF_64, MAX_INDEX, BigNode, MapleNode
from pfviz.mm.maple.rebuild import rebuild_upwards
from pfviz.mm.maple.roots import build_new_root
from pfviz.mm.maple.write import Graft, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def build_spanning_store(tree: MapleTree, plan: WritePlan) -> Graft:
    """Gather both edges of the range into one list of slots and rebuild from there."""
    graft = Graft()
    if plan.index == 0 and plan.last == MAX_INDEX:
        return build_new_root(tree, graft, plan)
    top = plan.node
    assert top is not None
    left, left_slot = _leaf_below(top, plan.index, plan.level)
    # The right edge is the leaf of the next index, as far as it lies below the node that spans.
    right, right_slot = _leaf_below(top, min(plan.last + 1, top.max), plan.level)
    if plan.entry is None:
        left_slot, right_slot = _widen_null(plan, left, left_slot, right, right_slot)
        if plan.first == 0 and plan.end == MAX_INDEX:
            return build_new_root(tree, graft, plan)
    pivots = left.pivots[:left_slot]
    slots: list[Any] = left.slots[:left_slot]
    if left.slot_min(left_slot) < plan.first:
        pivots.append(plan.first - 1)
        slots.append(left.slots[left_slot])
    pivots.append(plan.end)
    slots.append(plan.entry)
    if right.max > plan.end:
        pivots += right.pivots[right_slot:]
        slots += right.slots[right_slot:]
    big = BigNode(MAPLE_LEAF_64, left.min, pivots, slots)
    rebuild_upwards(tree, graft, big, left, right, bulk=plan.bulk)
    return graft


def _leaf_below(node: MapleNode, index: int, level: int) -> tuple[MapleNode, int]:
    for _ in range(level - 1):
        node = node.slots[bisect_left(node.pivots, index)]
    return node, bisect_left(node.pivots, index)


def _widen_null(
    plan: WritePlan, left: MapleNode, left_slot: int, right: MapleNode, right_slot: int
) -> tuple[int, int]:
    """Let a null swallow the nulls it touches (mas_extend_spanning_null)."""
    if left.slots[left_slot] is None:
        plan.first = left.slot_min(left_slot)
    if left_slot and plan.first == left.slot_min(left_slot) and left.slots[left_slot - 1] is None:
        left_slot -= 1
        plan.first = left.slot_min(left_slot)
    if right.slots[right_slot] is None:
        plan.end = right.pivots[right_slot]
        right_slot += 1
    return left_slot, right_slot
