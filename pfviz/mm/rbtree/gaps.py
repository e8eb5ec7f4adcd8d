"""The gap of a subtree, and searching a gap with it: the augmented half of mm_rb.

vma_compute_gap, vma_gap_update, unmapped_area and unmapped_area_topdown of mm/mmap.c, 5.15 to 6.0,
for lengths without an alignment. A gap belongs to the node above it: it ends where the node (or its
guard) begins, and begins where the previous node of the list ends. As in the kernel, a guard that
reaches over the node below it can hide gaps further down from the searches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.rbtree.node import NIL, RbNode

if TYPE_CHECKING:
    from pfviz.mm.rbtree.tree import RbTree


def start_gap(node: RbNode) -> int:
    """Where the gap before a node ends: its start, or the start of its guard (vm_start_gap)."""
    return max(node.start - node.guard, 0)


def prev_end(tree: RbTree, node: RbNode) -> int:
    """Where the gap before a node begins: the end of the previous one, or 0."""
    return tree.nodes[node.prev].end if node.prev else 0


def own_gap(tree: RbTree, node: RbNode) -> int:
    """The bytes free before a node (vma_compute_gap); never negative, as guards may overlap."""
    return max(start_gap(node) - prev_end(tree, node), 0)


def subtree_gap(tree: RbTree, node: RbNode) -> int:
    """What `node.subtree_gap` must be, from its own gap and those that its children report."""
    gap = own_gap(tree, node)
    if node.left:
        gap = max(gap, tree.nodes[node.left].subtree_gap)
    if node.right:
        gap = max(gap, tree.nodes[node.right].subtree_gap)
    return gap


def update_gap(tree: RbTree, node_id: int, stop: int = NIL) -> None:
    """Correct the gaps from a node upwards, until one is right already (or `stop` is reached)."""
    while node_id != stop:
        node = tree.nodes[node_id]
        gap = subtree_gap(tree, node)
        if gap == node.subtree_gap:
            return
        tree.set_gap(node, gap)
        node_id = node.parent


def gap_topdown(tree: RbTree, low: int, high: int, length: int) -> int | None:
    """The start of the highest free `length` bytes in [low, high); None when there are none.

    unmapped_area_topdown: right before left, a subtree only if its largest gap is long enough.
    """
    if high < length or low > high - length:
        return None
    start_max, end_min = high - length, low + length
    if tree.highest_end <= start_max:
        return high - length  # Above the last node: no node reports that gap.
    if not tree.root or tree.nodes[tree.root].subtree_gap < length:
        return None
    node = tree.nodes[tree.root]
    coming_up = False
    while True:
        if not coming_up:
            below = node.right
            if prev_end(tree, node) <= start_max and _promises(tree, below, length):
                node = tree.nodes[below]
                continue
        start, end = prev_end(tree, node), start_gap(node)
        if end < end_min:
            return None
        if start <= start_max and end - start >= length:
            return min(end, high) - length
        if _promises(tree, node.left, length):
            node, coming_up = tree.nodes[node.left], False
            continue
        above = _ancestor(tree, node, of_left=False)
        if above is None:
            return None
        node, coming_up = above, True


def gap_bottomup(tree: RbTree, low: int, high: int, length: int) -> int | None:
    """The start of the lowest free `length` bytes in [low, high); None when there are none.

    unmapped_area: left before right; the range above the last node comes last.
    """
    if high < length or low > high - length:
        return None
    start_max, end_min = high - length, low + length
    node = tree.nodes[tree.root] if tree.root else None
    if node is not None and node.subtree_gap < length:
        node = None
    coming_up = False
    while node is not None:
        if not coming_up and start_gap(node) >= end_min and _promises(tree, node.left, length):
            node = tree.nodes[node.left]
            continue
        start, end = prev_end(tree, node), start_gap(node)
        if start > start_max:
            return None
        if end >= end_min and end - start >= length:
            return max(start, low)
        if _promises(tree, node.right, length):
            node, coming_up = tree.nodes[node.right], False
            continue
        node, coming_up = _ancestor(tree, node, of_left=True), True
    return max(tree.highest_end, low) if tree.highest_end <= start_max else None


def _promises(tree: RbTree, node_id: int, length: int) -> bool:
    return node_id != NIL and tree.nodes[node_id].subtree_gap >= length


def _ancestor(tree: RbTree, node: RbNode, of_left: bool) -> RbNode | None:
    """The nearest ancestor whose left (or right) subtree the node is in."""
    while node.parent:
        above = tree.nodes[node.parent]
        if (above.left if of_left else above.right) == node.id:
            return above
        node = above
    return None
