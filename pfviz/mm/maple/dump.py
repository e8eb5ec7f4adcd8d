"""A maple tree as nested lists, and the digests by which two trees are compared.

Format of the oracle files recorded from lib/maple_tree.c of 6.12.117: `[height, root]`, leaves
`["L", min, max, pivots, entries]`, inner nodes `["R", ...children]` or `["A", ...children, gaps,
gap slot]`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import MAPLE_LEAF_64, MapleNode

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

Dump = list[Any]


def dump_tree(tree: MapleTree) -> Dump:
    """Return the whole tree as lists; entries are put in as they are."""
    return [tree.height, dump_node(tree.root) if tree.height else tree.root]


def dump_node(node: MapleNode) -> Dump:
    """Return one node and all below it as lists."""
    pivots = list(node.pivots)
    if node.type == MAPLE_LEAF_64:
        return ["L", node.min, pivots[-1], pivots, list(node.slots)]
    children = [dump_node(child) for child in node.slots]
    if node.gaps is None:
        return ["R", node.min, pivots[-1], pivots, children]
    return ["A", node.min, pivots[-1], pivots, children, list(node.gaps), node.gap_slot]


def digest(dump: Any) -> str:
    """Return the sha256 of a dump as compact JSON, lower-case hex."""
    return hashlib.sha256(json.dumps(dump, separators=(",", ":")).encode()).hexdigest()


def shape_of(dump: Dump) -> Dump:
    """Return a tree's dump without gaps and gap slots."""
    height, root = dump
    return [height, _cut(root) if height else root]


def _cut(node: Dump) -> Dump:
    if node[0] == "L":
        return node
    return [*node[:4], [_cut(child) for child in node[4]]]


def entries_of(dump: Dump) -> list[list[Any]]:
    """Return `[first, last, entry]` of every entry in order."""
    height, root = dump
    if not height:
        return [] if root is None else [[0, 0, root]]
    found = []
    pending = [root]
    while pending:
        node = pending.pop()
        if node[0] != "L":
            pending.extend(reversed(node[4]))
            continue
        start = node[1]
        for pivot, entry in zip(node[3], node[4], strict=True):
            if entry is not None:
                found.append([start, pivot, entry])
            start = pivot + 1
    return found
