"""Choosing the kind of a store before anything changes, and how many nodes it may need.

mas_wr_store_type() and mas_prealloc_calc() of lib/maple_tree.c, 6.12. Changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import (
    MAPLE_LEAF_64,
    MAX_INDEX,
    MT_MIN_SLOTS,
    MT_SLOTS,
    MapleNode,
    TaggedEntry,
)
from pfviz.mm.maple.write import WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

_LEAF_SLOTS = MT_SLOTS[MAPLE_LEAF_64]
_LEAF_MIN = MT_MIN_SLOTS[MAPLE_LEAF_64]


def plan_store(
    tree: MapleTree, index: int, last: int, entry: Any, via: str, *, bulk: bool = False
) -> WritePlan:
    """Walk to `index` and decide the store type; entry None stores null."""
    height = tree.height
    plan = WritePlan(index, last, entry, via, height)
    plan.generation = tree.generation
    plan.bulk = bulk
    if not height:
        return plan
    node: MapleNode = tree.root
    level = height
    while True:
        pivots = node.pivots
        offset = bisect_left(pivots, index)
        r_max = pivots[offset]
        if last >= r_max:
            # A leaf may not end in null, so a null up to the edge needs the next leaf too.
            limit = r_max if level > 1 else pivots[-1]
            if last > limit or (last == limit and entry is None and last != MAX_INDEX):
                plan.store_type = "spanning_store"
                plan.node = node
                plan.level = level
                plan.offset = offset
                plan.r_max = r_max
                return plan
        if level == 1:
            break
        node = node.slots[offset]
        level -= 1
    plan.node = node
    plan.level = 1
    _decide_in_leaf(plan, node, offset, tree.rcu)
    return plan


def plan_in_leaf(
    tree: MapleTree, leaf: MapleNode, offset: int, last: int, entry: Any, via: str
) -> WritePlan:
    """Decide a store that starts with a slot already walked to and stays inside its leaf."""
    plan = WritePlan(leaf.slot_min(offset), last, entry, via, tree.height)
    plan.generation = tree.generation
    plan.node = leaf
    plan.level = 1
    _decide_in_leaf(plan, leaf, offset, tree.rcu)
    return plan


def _decide_in_leaf(plan: WritePlan, node: MapleNode, offset: int, rcu: bool) -> None:
    pivots = node.pivots
    first = plan.index
    last = plan.last
    end = len(pivots) - 1
    offset_end = bisect_left(pivots, last, offset)
    end_piv = pivots[offset_end]
    r_min = pivots[offset - 1] + 1 if offset else node.min
    r_max = pivots[offset]
    content = node.slots[offset]
    if plan.entry is None:
        slots = node.slots
        if slots[offset_end] is None:
            last = end_piv
        elif last == end_piv and offset_end < end and slots[offset_end + 1] is None:
            offset_end += 1
            last = end_piv = pivots[offset_end]
        if content is None:
            first = r_min
        elif first == r_min and offset and slots[offset - 1] is None:
            offset -= 1
            content = None
            r_max = pivots[offset]
            first = r_min = pivots[offset - 1] + 1 if offset else node.min
        plan.first = first
        plan.end = last
    plan.offset = offset
    plan.offset_end = offset_end
    plan.end_piv = end_piv
    plan.r_min = r_min
    plan.r_max = r_max
    plan.content = content
    new_end = end + 2 - (offset_end - offset) - (r_min == first) - (last == end_piv)
    plan.new_end = new_end
    if r_min == first and r_max == last:
        plan.store_type = "exact_fit"
    elif first == 0 and last == MAX_INDEX:
        plan.store_type = "new_root"
    elif new_end < _LEAF_MIN:
        plan.store_type = "node_store" if node.parent is None or plan.bulk else "rebalance"
    elif new_end >= _LEAF_SLOTS:
        plan.store_type = "split_store"
    elif not rcu and offset == end:
        plan.store_type = "append"
    elif new_end == end and (not rcu or offset_end - offset == 1):
        plan.store_type = "slot_store"
    else:
        plan.store_type = "node_store"


def prealloc_nodes(tree: MapleTree, plan: WritePlan, kernel: str = "6.12") -> int:
    """Return how many nodes the kernel reserves for a planned store, its worst case.

    Up to 6.12 counted from the height; since 6.16 from the lowest level that can absorb the
    change. Must be asked before the store is published.
    """
    kind = plan.store_type
    if kind in ("exact_fit", "slot_store", "append"):
        return 0
    if kind == "node_store":
        return 1 if tree.rcu else 0
    if kind == "new_root":
        return 1
    if kind == "store_root":
        return int(plan.last > 0 or plan.index > 0 or type(plan.entry) is TaggedEntry)
    per_level = 3 if kind == "spanning_store" else 2
    if kernel in ("6.18", "7.2", "beyond"):
        return per_level * _levels_to_replace(plan) + 1
    if kind == "rebalance":
        return 2 * plan.height - 1
    return per_level * plan.height + 1


def _levels_to_replace(plan: WritePlan) -> int:
    """Count levels from the leaves up to the one with room, or with slots to spare."""
    vacant_height = sufficient_height = 0
    # The walk that decided the type looks at every inner node above where it stopped.
    node = plan.node.parent if plan.node is not None else None
    height = plan.height - plan.level
    while node is not None:
        if not vacant_height and node.end < MT_SLOTS[node.type] - 1:
            vacant_height = height
        floor = 2 if node.parent is None else MT_MIN_SLOTS[node.type] + 1
        if not sufficient_height and node.end > floor:
            sufficient_height = height
        node = node.parent
        height -= 1
    if plan.store_type != "split_store" and sufficient_height < vacant_height:
        return plan.height - sufficient_height
    return plan.height - vacant_height
