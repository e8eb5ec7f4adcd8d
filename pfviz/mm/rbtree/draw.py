"""A red-black tree as text, one node a line, the left child above the right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pfviz.mm.rbtree.node import BLACK, NIL

if TYPE_CHECKING:
    from pfviz.mm.rbtree.tree import RbTree


def draw_tree(tree: RbTree, marks: Mapping[int, str] | None = None) -> list[str]:
    """The lines of a drawing; nodes in `marks` carry their text. Draws broken trees as well."""
    if not tree.root:
        return ["(no node)"]
    return list(_draw(tree, tree.root, "", "", "", marks or {}, set()))


def shape(tree: RbTree) -> str:
    """The tree in one line: `(B10 (R5 . .) .)` is a black node from 10 on with one red child.

    A node is its colour and its start in hexadecimal, then its children; a dot is none.
    """
    return _shape(tree, tree.root)


def _shape(tree: RbTree, node_id: int) -> str:
    if not node_id:
        return "."
    node = tree.nodes[node_id]
    letter = "B" if node.color == BLACK else "R"
    return f"({letter}{node.start:x} {_shape(tree, node.left)} {_shape(tree, node.right)})"


def _draw(
    tree: RbTree, node_id: int, branch: str, under: str, side: str, marks: Mapping[int, str],
    seen: set[int],
) -> Iterator[str]:  # fmt: skip
    if node_id not in tree.nodes or node_id in seen:
        why = "drawn above already" if node_id in seen else "not a node of this tree"
        yield f"{branch}{side}#{node_id} ({why})"
        return
    seen.add(node_id)
    node = tree.nodes[node_id]
    mark = f"   ◀ {marks[node_id]}" if node_id in marks else ""
    yield f"{branch}{side}{node.describe()}{mark}"
    children = [(name, child) for name, child in (("l ", node.left), ("r ", node.right))
                if child != NIL]  # fmt: skip
    for index, (name, child) in enumerate(children):
        is_last = index == len(children) - 1
        yield from _draw(
            tree, child, under + ("└─ " if is_last else "├─ "),
            under + ("   " if is_last else "│  "), name, marks, seen,
        )  # fmt: skip
