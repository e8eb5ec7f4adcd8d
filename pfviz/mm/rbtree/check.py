"""Every invariant of the red-black tree, stated once: links, order, colours, blacks, list, gaps.

Rules 1 to 5 of lib/rbtree.c, and what validate_mm and browse_rb of mm/mmap.c (CONFIG_DEBUG_VM_RB)
ask of mm_rb and of the vm_next list. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pfviz.mm.rbtree import gaps
from pfviz.mm.rbtree.draw import draw_tree
from pfviz.mm.rbtree.node import BLACK, NIL, RED

if TYPE_CHECKING:
    from pfviz.mm.rbtree.tree import RbTree

Problem = tuple[int, str]
"""(node id, what is wrong with it)"""


class BrokenTreeError(AssertionError):
    """A red-black tree breaks one of its invariants; the message draws it."""


def check_tree(tree: RbTree) -> None:
    """Check every invariant; raises BrokenTreeError naming the nodes, with the tree drawn."""
    problems = list(find_problems(tree))
    if not problems:
        return
    marks: dict[int, str] = {}
    for node_id, text in problems:
        marks[node_id] = f"{marks[node_id]}; {text}" if node_id in marks else text
    lines = [f"#{node_id}: {text}" if node_id else text for node_id, text in problems]
    drawing = draw_tree(tree, marks)
    raise BrokenTreeError("\n".join(["the red-black tree is broken", *lines, *drawing]))


def find_problems(tree: RbTree) -> Iterator[Problem]:
    """Yield each broken invariant with its node (NIL for the tree as a whole)."""
    broken_links = list(_link_problems(tree))
    yield from broken_links
    if broken_links:
        return  # No walk can be trusted.
    yield from _color_problems(tree)
    order = _in_order(tree)
    yield from _list_problems(tree, order)
    yield from _order_problems(tree, order)
    for node_id in order:
        node = tree.nodes[node_id]
        expected = gaps.subtree_gap(tree, node)
        if node.subtree_gap != expected:
            yield node_id, f"subtree gap {node.subtree_gap:#x}, but below it is {expected:#x}"


def _link_problems(tree: RbTree) -> Iterator[Problem]:
    """Each node hangs once, on the parent that it names."""
    if tree.root and tree.root in tree.nodes and tree.nodes[tree.root].parent:
        yield tree.root, "the root has a parent"
    seen: set[int] = set()
    pending = [(tree.root, NIL)] if tree.root else []
    while pending:
        node_id, parent = pending.pop()
        if node_id not in tree.nodes:
            yield parent, f"points to #{node_id}, which is not in the tree"
            continue
        if node_id in seen:
            yield node_id, "is reached twice"
            continue
        seen.add(node_id)
        node = tree.nodes[node_id]
        if node.id != node_id:
            yield node_id, f"calls itself #{node.id}"
        if node.parent != parent:
            yield node_id, f"names #{node.parent} as its parent, but hangs on #{parent}"
        pending += [(child, node_id) for child in (node.right, node.left) if child]
    for node_id in sorted(set(tree.nodes) - seen):
        yield node_id, "cannot be reached from the root"


def _color_problems(tree: RbTree) -> Iterator[Problem]:
    """The root is black, red nodes have black children, all ways down have as many blacks."""
    if not tree.root:
        return
    if tree.nodes[tree.root].color != BLACK:
        yield tree.root, "the root is red"
    blacks: dict[int, int] = {NIL: 0}
    for node_id in _children_first(tree):
        node = tree.nodes[node_id]
        if node.color not in (RED, BLACK):
            yield node_id, f"has colour {node.color}"
        for child in (node.left, node.right):
            if child and node.color == RED and tree.nodes[child].color == RED:
                yield node_id, f"is red and so is its child #{child}"
        left, right = blacks[node.left], blacks[node.right]
        if left != right:
            yield node_id, f"{left} black nodes on every way down to the left, {right} to the right"
        blacks[node_id] = max(left, right) + (node.color == BLACK)


def _children_first(tree: RbTree) -> list[int]:
    order: list[int] = []
    pending = [tree.root]
    while pending:
        node = tree.nodes[pending.pop()]
        order.append(node.id)
        pending += [child for child in (node.left, node.right) if child]
    return order[::-1]


def _in_order(tree: RbTree) -> list[int]:
    order: list[int] = []
    above: list[int] = []
    node_id = tree.root
    while node_id or above:
        while node_id:
            above.append(node_id)
            node_id = tree.nodes[node_id].left
        node_id = above.pop()
        order.append(node_id)
        node_id = tree.nodes[node_id].right
    return order


def _list_problems(tree: RbTree, order: list[int]) -> Iterator[Problem]:
    """The list runs through the nodes in the order of the tree, forwards and backwards."""
    ends = (order[0], order[-1]) if order else (NIL, NIL)
    if (tree.first, tree.last) != ends:
        yield NIL, f"the list is #{tree.first} to #{tree.last}, the tree #{ends[0]} to #{ends[1]}"
    before = [NIL, *order][:-1]
    after = [*order, NIL][1:]
    for node_id, prev, following in zip(order, before, after, strict=True):
        node = tree.nodes[node_id]
        if node.prev != prev:
            yield node_id, f"the list has #{node.prev} before it, the tree #{prev}"
        if node.next != following:
            yield node_id, f"the list has #{node.next} after it, the tree #{following}"


def _order_problems(tree: RbTree, order: list[int]) -> Iterator[Problem]:
    """Ranges ascend and do not overlap."""
    end = 0
    for node_id in order:
        node = tree.nodes[node_id]
        if node.start >= node.end:
            yield node_id, "has an empty range"
        if node.start < end:
            yield node_id, f"begins before {end:#x}, where the one before it ends"
        end = node.end
