"""Reading a maple tree: step-wise walks that notice dead nodes, next, previous, ranges in order.

The step-wise walk is mtree_range_walk() of lib/maple_tree.c under RCU, one node at a time.
Changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import MAPLE_LEAF_64, MAX_INDEX, MapleNode

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

Range = tuple[int, int, Any]


class MaState:
    """Where a reader stands between two steps of a walk (ma_state).

    `status` is start, active (standing on `node`), found, none (no entry there), root (the entry
    in the root pointer) or freed (the node's memory was given back while the reader stood on it).
    `min` and `max` bound the node; after found, `index` and `last` are the slot's range and `entry`
    its content, None for a gap. `restarts` counts dead nodes met.
    """

    __slots__ = (
        "depth",
        "entry",
        "index",
        "last",
        "max",
        "min",
        "node",
        "offset",
        "restarts",
        "scanned",
        "status",
        "target",
    )

    def __init__(self, index: int) -> None:
        self.target = index
        self.restarts = 0
        self.reset()

    def reset(self) -> None:
        """Go back to the root pointer (mas_reset)."""
        self.index = self.last = self.target
        self.status = "start"
        self.node: MapleNode | None = None
        self.offset = 0
        self.depth = 0
        self.min = 0
        self.max = MAX_INDEX
        self.entry: Any = None
        self.scanned = False

    @property
    def is_done(self) -> bool:
        return self.status in ("found", "none", "root", "freed")


def walk_step(tree: MapleTree, mas: MaState) -> bool:
    """Take one step: load the root, or leave the node stood on. True when the walk has ended."""
    if mas.status == "active" and not mas.scanned:
        walk_scan(mas)
    return walk_load(tree, mas)


def walk_scan(mas: MaState) -> None:
    """First half of a step on a node: read its pivots and choose the slot."""
    node = mas.node
    assert node is not None
    if node.is_freed:
        mas.status = "freed"
        return
    offset = bisect_left(node.pivots, mas.target)
    mas.offset = offset
    mas.index = node.pivots[offset - 1] + 1 if offset else mas.min
    mas.last = node.pivots[offset]
    mas.scanned = True


def walk_load(tree: MapleTree, mas: MaState) -> bool:
    """Second half: load the slot, test the node for death, and only then trust the slot."""
    if mas.status == "start":
        return _load_root(tree, mas)
    if mas.is_done:
        return True
    node = mas.node
    assert node is not None
    if node.is_freed:
        mas.status = "freed"
        return True
    # A node changed in place since the scan may have fewer slots now; memory beyond holds null.
    entry = node.slots[mas.offset] if mas.offset < len(node.slots) else None
    if node.parent is node:
        mas.restarts += 1
        mas.reset()
        return False
    mas.scanned = False
    if node.type == MAPLE_LEAF_64:
        mas.status = "found"
        mas.entry = entry
        return True
    mas.node = entry
    mas.min = mas.index
    mas.max = mas.last
    mas.depth += 1
    return False


def next_slot(tree: MapleTree, mas: MaState) -> bool:  # noqa: ARG001
    """Go from the gap that a walk found to the entry behind it (mas_next_slot in mas_find).

    True when the search has ended: found, or none up to the end. Two gaps are never neighbours and
    only the last leaf ends in one, so the entry is in the same leaf; a leaf that died meanwhile
    sends the search back to the root.
    """
    node = mas.node
    if node is None:
        mas.status = "none"
        return True
    if node.is_freed:
        mas.status = "freed"
        return True
    offset = mas.offset + 1
    is_last = offset >= len(node.slots)
    entry = None if is_last else node.slots[offset]
    last = mas.max if is_last else node.pivots[offset]
    if node.parent is node:
        mas.restarts += 1
        mas.reset()
        return False
    if is_last:
        mas.status = "none"
        return True
    mas.offset = offset
    mas.index = mas.last + 1
    mas.last = last
    mas.entry = entry
    return entry is not None


def _load_root(tree: MapleTree, mas: MaState) -> bool:
    if tree.height:
        mas.node = tree.root
        mas.status = "active"
        return False
    if tree.root is None:
        mas.status = "none"
        mas.index, mas.last = 0, MAX_INDEX
    elif mas.target == 0:
        mas.status = "root"
        mas.entry = tree.root
        mas.index = mas.last = 0
    else:
        mas.status = "none"
        mas.index, mas.last = 1, MAX_INDEX
    return True


def slot_at(tree: MapleTree, index: int) -> tuple[MapleNode, int]:
    """Return the leaf and offset that cover an index, in a tree with nodes."""
    node: MapleNode = tree.root
    for _ in range(tree.height - 1):
        node = node.slots[bisect_left(node.pivots, index)]
    return node, bisect_left(node.pivots, index)


def range_at(tree: MapleTree, index: int) -> Range:
    """Return the range and content of the slot that covers an index, nulls included (mas_walk)."""
    if tree.height:
        leaf, offset = slot_at(tree, index)
        return leaf.slot_min(offset), leaf.pivots[offset], leaf.slots[offset]
    if tree.root is None:
        return 0, MAX_INDEX, None
    return (0, 0, tree.root) if index == 0 else (1, MAX_INDEX, None)


def next_node(node: MapleNode) -> MapleNode | None:
    """Return the node to the right on the same level (mas_next_node)."""
    depth = 0
    parent = node.parent
    while parent is not None and node.parent_slot == parent.end:
        node = parent
        parent = node.parent
        depth += 1
    if parent is None:
        return None
    node = parent.slots[node.parent_slot + 1]
    for _ in range(depth):
        node = node.slots[0]
    return node


def prev_node(node: MapleNode) -> MapleNode | None:
    """Return the node to the left on the same level (mas_prev_node)."""
    depth = 0
    parent = node.parent
    while parent is not None and node.parent_slot == 0:
        node = parent
        parent = node.parent
        depth += 1
    if parent is None:
        return None
    node = parent.slots[node.parent_slot - 1]
    for _ in range(depth):
        node = node.slots[-1]
    return node


def ascending(tree: MapleTree, first: int, last: int) -> Iterator[Range]:
    """Yield every entry that touches [first, last] with its full range (mas_for_each)."""
    if first > last:
        return
    if not tree.height:
        if tree.root is not None and first == 0:
            yield 0, 0, tree.root
        return
    leaf, offset = slot_at(tree, first)
    node: MapleNode | None = leaf
    while node is not None:
        start = node.slot_min(offset)
        pivots, slots = node.pivots, node.slots
        for at in range(offset, len(pivots)):
            if start > last:
                return
            if slots[at] is not None:
                yield start, pivots[at], slots[at]
            start = pivots[at] + 1
        node = next_node(node)
        offset = 0


def descending(tree: MapleTree, last: int, first: int) -> Iterator[Range]:
    """Yield every entry that touches [first, last], highest first (mas_for_each_rev)."""
    if first > last:
        return
    if not tree.height:
        if tree.root is not None and first == 0:
            yield 0, 0, tree.root
        return
    leaf, offset = slot_at(tree, last)
    node: MapleNode | None = leaf
    while node is not None:
        while offset >= 0:
            if node.pivots[offset] < first:
                return
            if node.slots[offset] is not None:
                yield node.slot_min(offset), node.pivots[offset], node.slots[offset]
            offset -= 1
        node = prev_node(node)
        if node is not None:
            offset = node.end
