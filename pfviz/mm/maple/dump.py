"""A maple tree as nested lists, and the digests by which two trees are compared.

Format of the oracle files recorded from lib/maple_tree.c of 6.12.117: `[height, root]`, leaves
`["L", min, max, pivots, entries]`, inner nodes `["R", ...children]` or `["A", ...children, gaps,
gap slot]`.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import MAPLE_LEAF_64, MAX_INDEX, MapleNode

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

Dump = list[Any]
UNREADABLE = "unreadable"


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


def dump_readable(tree: MapleTree) -> Dump | None:
    """Return what can be read of a tree that may be broken, in the form of a dump.

    Where a slot holds nothing that can be read stands a leaf whose only entry says so.
    """
    try:
        if not tree.height or not isinstance(tree.root, MapleNode):
            return [0, None if tree.root is None else ascii(tree.root)]
        return [tree.height, _read_node(tree.root, 0, MAX_INDEX, tree.height)]
    except (AttributeError, IndexError, TypeError, ValueError):
        return None


def _read_node(node: Any, low: int, high: int, level: int) -> Dump:
    if not isinstance(node, MapleNode) or node.is_freed or node.is_leaf is not (level == 1):
        return ["L", low, high, [high], [UNREADABLE]]
    used = min(len(node.pivots), len(node.slots))
    pivots = node.pivots[:used]
    if not used or level == 1:
        return ["L", node.min, node.pivots[-1], pivots or [high], node.slots[:used] or [UNREADABLE]]
    children = []
    start = node.min
    for pivot, child in zip(pivots, node.slots, strict=False):
        children.append(_read_node(child, start, pivot, level - 1))
        start = pivot + 1
    if node.gaps is None:
        return ["R", node.min, pivots[-1], pivots, children]
    gaps = (node.gaps + [0] * used)[:used]
    return ["A", node.min, pivots[-1], pivots, children, gaps, node.gap_slot]


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
