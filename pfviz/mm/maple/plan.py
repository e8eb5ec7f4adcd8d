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
from pfviz.mm.maple.write import LeafDecision, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

_LEAF_SLOTS = MT_SLOTS[MAPLE_LEAF_64]
# Presets before 6.6: mas_preallocate knows no store types (refined in 6.6, d415bcd1ab53).
_WORST_CASE_ALWAYS = ("6.1", "6.4", "6.5")
# Presets since 6.16: the walk notes the lowest level that can absorb a change (vacant_height).
_LEVELS_KNOWN = ("6.17", "6.18", "7.2", "beyond")
_LEAF_MIN = MT_MIN_SLOTS[MAPLE_LEAF_64]


def walk_to_store(tree: MapleTree, index: int, last: int, entry: Any) -> tuple[MapleNode, int, int]:
    """Walk to where a store begins, in a tree with nodes (mas_wr_walk).

    Returns the node, the slot in it that covers `index`, and the node's level: 0 for a leaf that
    can take the store, otherwise (a leaf being level 1) where the range leaves the node it is in.
    """
    # A leaf may not end in null, so a null up to the edge needs the next leaf too.
    reach = last + 1 if entry is None and last != MAX_INDEX else last
    node: MapleNode = tree.root
    for level in range(tree.height, 1, -1):
        pivots = node.pivots
        offset = bisect_left(pivots, index)
        if reach > pivots[offset]:
            return node, offset, level
        node = node.slots[offset]
    pivots = node.pivots
    return node, bisect_left(pivots, index), 1 if reach > pivots[-1] else 0


def decide_in_leaf(
    leaf: MapleNode, offset: int, index: int, last: int, entry: Any, *, rcu: bool, bulk: bool
) -> LeafDecision:
    """Decide how a leaf takes a store that begins in one of its slots (mas_wr_store_type)."""
    pivots = leaf.pivots
    slots = leaf.slots
    end = len(pivots) - 1
    r_max = pivots[offset]
    offset_end = offset if last <= r_max else bisect_left(pivots, last, offset)
    end_piv = pivots[offset_end]
    r_min = pivots[offset - 1] + 1 if offset else leaf.min
    content = slots[offset]
    if entry is None:
        # A null widens over the nulls beside it.
        if slots[offset_end] is None:
            last = end_piv
        elif last == end_piv and offset_end < end and slots[offset_end + 1] is None:
            offset_end += 1
            last = end_piv = pivots[offset_end]
        if content is None:
            index = r_min
        elif index == r_min and offset and slots[offset - 1] is None:
            offset -= 1
            content = None
            r_max = pivots[offset]
            index = r_min = pivots[offset - 1] + 1 if offset else leaf.min
    new_end = end + 2 - (offset_end - offset) - (r_min == index) - (last == end_piv)
    if r_min == index and r_max == last:
        kind = "exact_fit"
    elif index == 0 and last == MAX_INDEX:
        kind = "new_root"
    elif new_end < _LEAF_MIN:
        kind = "node_store" if leaf.parent is None or bulk else "rebalance"
    elif new_end >= _LEAF_SLOTS:
        kind = "split_store"
    elif not rcu and offset == end:
        kind = "append"
    elif new_end == end and (not rcu or offset_end - offset == 1):
        kind = "slot_store"
    else:
        kind = "node_store"
    return kind, offset, offset_end, index, last, r_min, r_max, end_piv, content, new_end


def plan_store(
    tree: MapleTree, index: int, last: int, entry: Any, via: str, *, bulk: bool = False
) -> WritePlan:
    """Walk to `index` and decide the store type; entry None stores null."""
    plan = WritePlan(index, last, entry, via, tree.height)
    plan.generation = tree.generation
    plan.rcu = tree.rcu
    plan.bulk = bulk
    if tree.height:
        node, offset, level = walk_to_store(tree, index, last, entry)
        if level:
            plan.take_span(node, offset, level)
        else:
            decision = decide_in_leaf(node, offset, index, last, entry, rcu=tree.rcu, bulk=bulk)
            plan.take_leaf(node, decision)
    return plan


def prealloc_nodes(tree: MapleTree, plan: WritePlan, kernel: str = "6.12") -> int:
    """Return how many nodes the kernel reserves for a planned store, its worst case.

    `kernel` is a preset's name. Before 6.6 mas_preallocate asks for three nodes a level and one
    more whatever the store type; other stores, and later kernels, count by type: from the height,
    since 6.16 from the lowest level that can absorb the change. Must be asked before the store is
    published.
    """
    if kernel in _WORST_CASE_ALWAYS and plan.via == "mas_store_prealloc":
        return 1 + 3 * plan.height
    kind = plan.store_type
    if kind == "split_store" and kernel not in _LEVELS_KNOWN:
        return 2 * plan.height + 1
    if kind in ("exact_fit", "slot_store", "append"):
        return 0
    if kind == "node_store":
        return 1 if tree.rcu else 0
    if kind == "new_root":
        return 1
    if kind == "store_root":
        return int(plan.last > 0 or plan.index > 0 or type(plan.entry) is TaggedEntry)
    per_level = 3 if kind == "spanning_store" else 2
    if kernel in _LEVELS_KNOWN:
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
