"""Copying a maple tree node by node, as fork does since 6.8 (__mt_dup)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.maple.node import MapleNode

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def duplicate_nodes(source: MapleTree, copy: MapleTree) -> MapleTree:
    """Fill an empty tree with copies of another's nodes; entries are shared, not copied."""
    copy.height = source.height
    if not source.height:
        copy.root = source.root
        return copy
    copy.root = _copy_node(copy, source.root)
    pending: list[MapleNode] = [copy.root]
    while pending:
        node = pending.pop()
        if node.is_leaf:
            continue
        # All children are allocated together, then the first of them is entered.
        for offset, child in enumerate(node.slots):
            twin = _copy_node(copy, child)
            twin.parent = node
            twin.parent_slot = offset
            node.slots[offset] = twin
        pending.extend(reversed(node.slots))
    return copy


def _copy_node(copy: MapleTree, node: MapleNode) -> MapleNode:
    gaps = None if node.gaps is None else node.gaps[:]
    twin = copy.new_node(node.type, node.min, node.pivots[:], node.slots[:], gaps)
    twin.gap_slot = node.gap_slot
    return twin
