"""The red-black tree that kept an address space until Linux 6.0: lib/rbtree.c with gaps and a list.

    tree = RbTree()
    node, write = tree.insert(start, end, entry, guard=0)     ranges are [start, end)
    write = tree.erase(node);  write = tree.resize(node, start, end)
    node = tree.find(address, path)                           the first node that ends above it
    tree.gap_topdown(low, high, length), tree.gap_bottomup(...)   the start of a gap, or None
    tree.check()                                              every invariant, or a drawing

Standard library only; it knows neither VMAs nor locks. Nodes have small ids and name each other by
id, so a tree is plain data. A `RbWrite` says what was rotated, recoloured and touched.
"""

from __future__ import annotations

from pfviz.mm.rbtree.check import BrokenTreeError
from pfviz.mm.rbtree.draw import draw_tree, shape
from pfviz.mm.rbtree.node import BLACK, NIL, RED, RbNode, RbWrite, Rotation
from pfviz.mm.rbtree.tree import RbTree

__all__ = [
    "BLACK",
    "NIL",
    "RED",
    "BrokenTreeError",
    "RbNode",
    "RbTree",
    "RbWrite",
    "Rotation",
    "draw_tree",
    "shape",
]
