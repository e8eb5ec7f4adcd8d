"""Which nodes of a red-black tree get a row: what is hot or opened by hand, then what fits.

`NodeState.slots` is (left child, VMA, right child) here. Knows nothing of text.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

from .frame import Frame, TaskState
from .look import TreeLook
from .memory_state import MmState, NodeState
from .tree_marks import is_writing

DEPTH_MAX: Final = 128
"""No red-black tree is deeper; a log whose links run in a circle is cut off there."""


@dataclass(slots=True)
class Subtree:
    """A node and all below it, as far as the log tells."""

    node: NodeState
    depth: int
    side: str
    """"l", "r" or, for the root, ""."""
    children: list[Subtree] = field(default_factory=list)
    nodes: int = 1
    first: int = 0
    last: int = 0
    """The addresses that it covers, from its lowest VMA to its highest."""


def gather(mm: MmState) -> Subtree | None:
    """The tree below the root, with the size and the range of each subtree."""
    if mm.root not in mm.nodes:
        return None
    root = Subtree(mm.nodes[mm.root], 0, "")
    order = [root]
    seen = {mm.root}
    for tree in order:
        left, _, right = tree.node.slots
        for side, child in (("l", left), ("r", right)):
            if child in mm.nodes and child not in seen and tree.depth < DEPTH_MAX:
                seen.add(child)
                below = Subtree(mm.nodes[child], tree.depth + 1, side)
                tree.children.append(below)
                order.append(below)
    for tree in reversed(order):
        tree.first, tree.last = tree.node.min, tree.node.max
        for below in tree.children:
            tree.nodes += below.nodes
            if below.side == "l":
                tree.first = below.first
            else:
                tree.last = below.last
    return root


def _hot(frame: Frame, mm: MmState, here: dict[int, list[TaskState]]) -> dict[int, int]:
    """The nodes to show first: those on the way to a walker (0), then to what is written (1)."""
    hot: dict[int, int] = {}
    written: list[int] = []
    if is_writing(frame, mm):
        written = [node.id for node in mm.nodes.values() if node.changed_ns == mm.write_ns]
    for rank, wanted in enumerate((list(here), written)):
        for number in wanted:
            while number in mm.nodes and number not in hot:
                hot[number] = rank
                number = mm.nodes[number].parent
    return hot


def opened_nodes(
    root: Subtree, frame: Frame, mm: MmState, here: dict[int, list[TaskState]], room: int,
    look: TreeLook,
) -> set[int]:  # fmt: skip
    """The nodes whose children are shown: hot ones first, then level by level while there is room.

    A folded subtree takes one row, so opening it takes one more row for each child but none back.
    What was opened or folded by hand is so however much room there is.
    """
    hot = _hot(frame, mm, here)
    opened: set[int] = set()
    used = 1
    trees = {root.node.id: root}
    waiting = [(0, 0, root.first, root.node.id)]
    while waiting:
        tree = trees[heapq.heappop(waiting)[3]]
        number = tree.node.id
        by_hand = number in look.opened
        if number in look.folded or (not by_hand and used + len(tree.children) > room):
            continue
        used += len(tree.children)
        opened.add(number)
        for child in tree.children:
            if child.children:
                below = child.node.id
                trees[below] = child
                heapq.heappush(waiting, (hot.get(below, 2), child.depth, child.first, below))
    return opened
