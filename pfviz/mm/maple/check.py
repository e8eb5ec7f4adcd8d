"""Every invariant of a maple tree, stated once: links, bounds, order, occupancy, gaps, height.

The limits are those of lib/maple_tree.c 6.12 (mt_validate). Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pfviz.mm.maple.draw import Path, draw_tree
from pfviz.mm.maple.dump import dump_tree
from pfviz.mm.maple.node import (
    MAPLE_ARANGE_64,
    MAPLE_LEAF_64,
    MAPLE_RANGE_64,
    MAX_INDEX,
    MT_MIN_SLOTS,
    MT_SLOTS,
    MapleNode,
)

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

Problem = tuple[Path, str]


class BrokenTreeError(AssertionError):
    """A maple tree breaks one of its invariants; the message draws it."""


def check_tree(tree: MapleTree) -> None:
    """Check every invariant; raises BrokenTreeError naming the nodes, with the tree drawn."""
    problems = list(find_problems(tree))
    if not problems:
        return
    marks: dict[Path, str] = {}
    for path, text in problems:
        marks[path] = f"{marks[path]}; {text}" if path in marks else text
    try:
        drawing = draw_tree(dump_tree(tree), marks)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        # Broken beyond drawing: the list of problems has to do.
        drawing = [f"(cannot be drawn: {error})"]
    lines = [f"slot path {list(path)}: {text}" for path, text in problems]
    raise BrokenTreeError("\n".join(["the maple tree is broken", *lines, *drawing]))


def find_problems(tree: MapleTree) -> Iterator[Problem]:
    """Yield each broken invariant with the slot path of its node."""
    yield from _root_problems(tree)
    if not tree.height or not isinstance(tree.root, MapleNode):
        return
    seen: dict[int, Path] = {}
    pending: list[tuple[MapleNode, Path, int, int, int]] = [
        (tree.root, (), 0, MAX_INDEX, tree.height)
    ]
    while pending:
        node, path, low, high, level = pending.pop()
        if node.id in seen:
            yield path, f"node #{node.id} is also at {list(seen[node.id])}"
            continue
        seen[node.id] = path
        broken = list(_node_problems(tree, node, low, high, level))
        for text in broken:
            yield path, text
        if level == 1 or broken:
            continue
        yield from ((path, text) for text in _link_problems(node))
        start = low
        for offset, child in enumerate(node.slots):
            if isinstance(child, MapleNode):
                pending.append((child, (*path, offset), start, node.pivots[offset], level - 1))
            start = node.pivots[offset] + 1
    for node_id, node in tree.dead.items():
        if node_id in seen:
            yield seen[node_id], f"dead node #{node_id} is still in the tree"
        if not node.is_dead:
            yield (), f"node #{node_id} waits for its grace period but is not marked dead"


def _root_problems(tree: MapleTree) -> Iterator[Problem]:
    if not 0 <= tree.height <= 31:
        yield (), f"height {tree.height} does not fit the tree's flags"
    if tree.height and not isinstance(tree.root, MapleNode):
        yield (), f"height {tree.height}, but the root pointer holds no node"
    if not tree.height and isinstance(tree.root, MapleNode):
        yield (), "height 0, but the root pointer holds a node"
    if isinstance(tree.root, MapleNode) and tree.root.parent is not None:
        yield (), "the root has a parent" if not tree.root.is_dead else "the root is dead"


def _node_problems(
    tree: MapleTree, node: MapleNode, low: int, high: int, level: int
) -> Iterator[str]:
    if node.is_freed:
        yield f"node #{node.id} was freed"
        return
    inner = MAPLE_ARANGE_64 if tree.alloc else MAPLE_RANGE_64
    expected = MAPLE_LEAF_64 if level == 1 else inner
    if node.type != expected:
        yield f"type is {node.type_name} at level {level}"
    if node.parent is node:
        yield f"node #{node.id} is dead but in the tree"
    if node.id >= tree.next_id:
        yield f"node #{node.id} was never allocated"
    used = len(node.pivots)
    if len(node.slots) != used or (node.gaps is not None and len(node.gaps) != used):
        yield f"{used} pivots, {len(node.slots)} slots, {len(node.gaps or ())} gaps"
        return
    if used > MT_SLOTS[node.type]:
        yield f"{used} slots in use of {MT_SLOTS[node.type]}"
    if node.min != low or node.max != high:
        yield f"bounds {node.min:#x}-{node.max:#x}, the parent says {low:#x}-{high:#x}"
    start = node.min
    for offset, pivot in enumerate(node.pivots):
        if pivot < start:
            yield f"pivot {offset} is {pivot:#x}, below its slot's start {start:#x}"
        start = pivot + 1
    if node is not tree.root and node.max != MAX_INDEX and node.end < MT_MIN_SLOTS[node.type]:
        yield f"{used} slots in use, at least {MT_MIN_SLOTS[node.type] + 1} needed"
    yield from _null_problems(node) if level == 1 else _inner_problems(tree, node)


def _null_problems(leaf: MapleNode) -> Iterator[str]:
    for offset in range(leaf.end):
        if leaf.slots[offset] is None and leaf.slots[offset + 1] is None:
            yield f"slots {offset} and {offset + 1} are both null"
    if leaf.slots[-1] is None and leaf.max != MAX_INDEX:
        yield "a leaf ends in null"
    if leaf.gaps is not None:
        yield "a leaf has gaps"


def _inner_problems(tree: MapleTree, node: MapleNode) -> Iterator[str]:
    if tree.alloc != (node.gaps is not None):
        yield "gaps are missing" if tree.alloc else "a plain tree has gaps"
    for offset, child in enumerate(node.slots):
        if not isinstance(child, MapleNode):
            yield f"slot {offset} holds no node"
    if node is tree.root and node.end == 0:
        yield "the root has a single child"


def _link_problems(node: MapleNode) -> Iterator[str]:
    for offset, child in enumerate(node.slots):
        if child.parent is not node or child.parent_slot != offset:
            yield f"child {offset} does not point back here"
        if node.gaps is not None and not child.is_freed:
            longest = _longest_null_below(child)
            if node.gaps[offset] != longest:
                yield f"gap {offset} is {node.gaps[offset]:#x}, below it is {longest:#x}"
    if node.gaps is not None:
        if not 0 <= node.gap_slot < len(node.gaps):
            yield f"gap slot {node.gap_slot} is not in use"
        elif node.gaps[node.gap_slot] != max(node.gaps):
            yield f"gap slot {node.gap_slot} does not hold the largest gap"


def _longest_null_below(node: MapleNode) -> int:
    """Take a child's word for its own children: they are checked in turn."""
    if node.gaps is not None:
        return max(node.gaps)
    longest = 0
    start = node.min
    for pivot, entry in zip(node.pivots, node.slots, strict=False):
        if entry is None:
            longest = max(longest, pivot - start + 1)
        start = pivot + 1
    return longest
