"""Rebalancing: a leaf that would get too small is joined with a sibling and rebuilt upwards.

mas_rebalance() of lib/maple_tree.c, 6.12. Builds new nodes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.maple.rebuild import rebuild_upwards
from pfviz.mm.maple.split import overfull_leaf
from pfviz.mm.maple.write import Graft, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def build_rebalance(tree: MapleTree, plan: WritePlan) -> Graft:
    """Build the nodes of a store that leaves fewer than 7 slots in a leaf that is not the root."""
    node = plan.node
    assert node is not None
    parent = node.parent
    assert parent is not None
    big = overfull_leaf(plan, node)
    graft = Graft()
    left = right = node
    if node.parent_slot < parent.end:
        right = parent.slots[node.parent_slot + 1]
        big.append_node(right)
        graft.note("rebalance_next", 1, len(big.pivots))
    else:
        left = parent.slots[node.parent_slot - 1]
        big.prepend_node(left)
        graft.note("rebalance_prev", 1, len(big.pivots))
    rebuild_upwards(tree, graft, big, left, right)
    return graft
