"""Keeping the tree balanced: the colours and rotations of lib/rbtree.c, 5.15 to 6.0.

The case numbers in the comments are the kernel's; the resulting shape equals the kernel's node for
node. Left and right cases are one: `side` says which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.rbtree import gaps
from pfviz.mm.rbtree.node import BLACK, LEFT, NIL, RED, RIGHT, RbNode

if TYPE_CHECKING:
    from pfviz.mm.rbtree.tree import RbTree


def insert_color(tree: RbTree, node: RbNode) -> None:
    """Repair the tree above a red node that was just linked in (__rb_insert)."""
    while True:
        if not node.parent:
            tree.paint(node, BLACK)
            return
        parent = tree.nodes[node.parent]
        if parent.color == BLACK:
            return
        grandparent = tree.nodes[parent.parent]  # A red node is never the root.
        side = LEFT if grandparent.left == parent.id else RIGHT
        uncle = grandparent.child(1 - side)
        if uncle and tree.nodes[uncle].color == RED:
            # Case 1: push the black of the grandparent down; it may now clash with its own parent.
            tree.paint(tree.nodes[uncle], BLACK)
            tree.paint(parent, BLACK)
            tree.paint(grandparent, RED)
            node = grandparent
            continue
        if parent.child(1 - side) == node.id:
            parent = tree.rotate(parent, side)  # Case 2: an inner grandchild becomes an outer one.
        tree.rotate(grandparent, 1 - side)  # Case 3
        tree.paint(parent, BLACK)
        tree.paint(grandparent, RED)
        return


def unlink(tree: RbTree, node: RbNode) -> int:
    """Take a node out of the tree (__rb_erase_augmented).

    Returns the node below which a black node is missing, NIL when nothing has to be repaired.
    """
    if node.left and node.right:
        return _replace_by_successor(tree, node)
    # Case 1: at most one child, which is red by the colour rules and takes over place and colour.
    child, parent = node.left or node.right, node.parent
    tree.replace_child(node.id, child, parent)
    short = NIL
    if child:
        tree.set_parent(tree.nodes[child], parent)
        tree.paint(tree.nodes[child], node.color)
    elif node.color == BLACK:
        short = parent
    gaps.update_gap(tree, parent)
    return short


def _replace_by_successor(tree: RbTree, node: RbNode) -> int:
    """Put the next node in the place of one with two children; what `unlink` returns."""
    successor = tree.nodes[node.right]
    while successor.left:
        successor = tree.nodes[successor.left]
    orphan = successor.right
    if successor.id == node.right:
        lower = successor  # Case 2: the successor is the right child itself.
        tree.set_gap(successor, node.subtree_gap)
    else:
        # Case 3: it is the leftmost one below the right child.
        lower = tree.nodes[successor.parent]
        tree.set_child(lower, LEFT, orphan)
        tree.set_child(successor, RIGHT, node.right)
        tree.set_parent(tree.nodes[node.right], successor.id)
        tree.set_gap(successor, node.subtree_gap)
        gaps.update_gap(tree, lower.id, stop=successor.id)
    tree.set_child(successor, LEFT, node.left)
    tree.set_parent(tree.nodes[node.left], successor.id)
    tree.replace_child(node.id, successor.id, node.parent)
    short = NIL
    if orphan:
        tree.set_parent(tree.nodes[orphan], lower.id)
        tree.paint(tree.nodes[orphan], BLACK)
    elif successor.color == BLACK:
        short = lower.id
    tree.set_parent(successor, node.parent)
    tree.paint(successor, node.color)
    gaps.update_gap(tree, successor.id)
    return short


def erase_color(tree: RbTree, parent: RbNode) -> None:
    """Repair the tree below `parent`, one of whose sides lacks a black node (__rb_erase_color)."""
    short = NIL  # The top of the side that is one black short; at first nothing is there.
    while True:
        side = LEFT if parent.left == short else RIGHT
        sibling = tree.nodes[parent.child(1 - side)]
        if sibling.color == RED:
            # Case 1: get a black sibling.
            tree.rotate(parent, side)
            tree.paint(sibling, BLACK)
            tree.paint(parent, RED)
            sibling = tree.nodes[parent.child(1 - side)]
        outer, inner = sibling.child(1 - side), sibling.child(side)
        if not _is_red(tree, outer) and not _is_red(tree, inner):
            # Case 2: make the other side one black shorter, too.
            tree.paint(sibling, RED)
            if parent.color == RED:
                tree.paint(parent, BLACK)
                return
            if not parent.parent:
                return
            short, parent = parent.id, tree.nodes[parent.parent]
            continue
        if not _is_red(tree, outer):
            # Case 3: turn the red nephew outwards; colours settle in case 4.
            outer = sibling.id
            sibling = tree.rotate(sibling, 1 - side)
        # Case 4: the sibling takes the place and the colour of the parent.
        tree.rotate(parent, side)
        tree.paint(sibling, parent.color)
        tree.paint(parent, BLACK)
        tree.paint(tree.nodes[outer], BLACK)
        return


def _is_red(tree: RbTree, node_id: int) -> bool:
    return node_id != NIL and tree.nodes[node_id].color == RED
