"""Stores that make or replace the root: into a tree without nodes, or over everything.

mas_store_root() and mas_new_root() of lib/maple_tree.c, 6.12. Builds new nodes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import MAPLE_LEAF_64, MAX_INDEX, TaggedEntry
from pfviz.mm.maple.write import Graft, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def build_new_root(tree: MapleTree, graft: Graft, plan: WritePlan) -> Graft:
    """Replace everything by one leaf with one slot, or by nothing."""
    graft.dead = list(tree.nodes())
    if plan.entry is not None:
        graft.new = tree.new_node(MAPLE_LEAF_64, 0, [MAX_INDEX], [plan.entry])
        graft.height = 1
        graft.born.append(graft.new)
    return graft


def build_store_root(tree: MapleTree, graft: Graft, plan: WritePlan) -> Graft:
    """Store into a tree without nodes: only an entry at index 0 alone stays without."""
    entry = plan.entry
    if entry is None:
        graft.new = tree.root if plan.index else None
        return graft
    if plan.last == 0 and type(entry) is not TaggedEntry:
        graft.new = entry
        return graft
    pivots: list[int] = []
    slots: list[Any] = []
    if plan.index > 0:
        if tree.root is not None:
            pivots.append(0)
            slots.append(tree.root)
        if tree.root is None or plan.index > 1:
            pivots.append(plan.index - 1)
            slots.append(None)
    pivots.append(plan.last)
    slots.append(entry)
    if plan.last != MAX_INDEX:
        pivots.append(MAX_INDEX)
        slots.append(None)
    graft.new = tree.new_node(MAPLE_LEAF_64, 0, pivots, slots)
    graft.height = 1
    graft.born.append(graft.new)
    return graft
