"""A red-black tree of ranges with a sorted list beside it: find, insert, erase, resize.

What mm_rb and the vm_next list were until Linux 6.0 (find_vma, find_vma_links, __vma_link_rb,
vma_rb_erase of mm/mmap.c). Nodes change in place: readers need a lock that keeps writers out. It
knows neither VMAs nor locks; entries are any objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pfviz.mm.rbtree import balance, gaps
from pfviz.mm.rbtree.node import LEFT, NIL, RIGHT, SIDES, RbNode, RbWrite, Rotation


@dataclass(slots=True, eq=False)
class RbTree:
    """Ranges that do not overlap, in a balanced tree (`root`) and in a list (`first`, `last`)."""

    nodes: dict[int, RbNode] = field(default_factory=dict)
    root: int = NIL
    first: int = NIL
    last: int = NIL
    last_id: int = 0
    """Ids count up from 1 and are never used again."""
    _touched: set[int] = field(default_factory=set)
    _colors: dict[int, int] = field(default_factory=dict)
    """The colours that nodes had before the write in work repainted them."""
    _rotations: list[Rotation] = field(default_factory=list)

    # Reading

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[RbNode]:
        """The nodes in ascending order, along the list."""
        node_id = self.first
        while node_id:
            node = self.nodes[node_id]
            yield node
            node_id = node.next

    @property
    def highest_end(self) -> int:
        """Where the last range ends (mm->highest_vm_end); 0 when there is none."""
        return self.nodes[self.last].end if self.last else 0

    def find(self, address: int, path: list[int] | None = None) -> RbNode | None:
        """The first node that ends above an address (find_vma): it may begin above it, too.

        The ids of all nodes looked at, from the root down, are added to `path`.
        """
        found: RbNode | None = None
        node_id = self.root
        while node_id:
            node = self.nodes[node_id]
            if path is not None:
                path.append(node_id)
            if node.end <= address:
                node_id = node.right
                continue
            found = node
            if node.start <= address:
                break
            node_id = node.left
        return found

    def between(self, start: int, end: int) -> Iterator[RbNode]:
        """The nodes that touch [start, end), ascending; do not write while iterating."""
        node = self.find(start)
        while node is not None and node.start < end:
            yield node
            node = self.nodes[node.next] if node.next else None

    # Writing

    def insert(self, start: int, end: int, entry: Any, guard: int = 0) -> tuple[RbNode, RbWrite]:
        """Put [start, end) into list and tree; ValueError when it is empty or taken."""
        prev, parent, side = self._find_links(start, end)
        self.last_id += 1
        node = self.nodes[self.last_id] = RbNode(self.last_id, start, end, guard, entry)
        self._begin_write()
        self._link_list(node, prev)
        if node.next:
            gaps.update_gap(self, node.next)
        node.parent = parent
        if parent:
            self.set_child(self.nodes[parent], side, node.id)
        else:
            self.root = node.id
        # Its gap begins as 0, which the nodes above agree with, and then grows to what it is.
        gaps.update_gap(self, node.id)
        balance.insert_color(self, node)
        self._touched.add(node.id)
        self._colors.pop(node.id, None)
        return node, self._end_write("vma_rb_insert", node.id)

    def erase(self, node: RbNode) -> RbWrite:
        """Take a node out of tree and list; the next node's gap grows by its range."""
        self._begin_write()
        short = balance.unlink(self, node)
        if short:
            balance.erase_color(self, self.nodes[short])
        self._unlink_list(node)
        del self.nodes[node.id]
        if node.next:
            gaps.update_gap(self, node.next)
        self._touched.discard(node.id)
        return self._end_write("vma_rb_erase", node.id)

    def resize(self, node: RbNode, start: int, end: int) -> RbWrite:
        """Give a node another range, in place; ValueError when it would touch a neighbour."""
        below = self.nodes[node.prev].end if node.prev else 0
        above = self.nodes[node.next].start if node.next else end
        if not below <= start < end <= above:
            raise ValueError(f"[{start:#x}, {end:#x}) does not fit between {below:#x}, {above:#x}")
        self._begin_write()
        self._touched.add(node.id)
        starts_elsewhere, ends_elsewhere = node.start != start, node.end != end
        node.start, node.end = start, end
        if starts_elsewhere:
            gaps.update_gap(self, node.id)
        if ends_elsewhere and node.next:
            gaps.update_gap(self, node.next)
        return self._end_write("vma_gap_update", node.id)

    def gap_topdown(self, low: int, high: int, length: int) -> int | None:
        """The start of the highest free `length` bytes in [low, high), None if there are none."""
        return gaps.gap_topdown(self, low, high, length)

    def gap_bottomup(self, low: int, high: int, length: int) -> int | None:
        """The start of the lowest free `length` bytes in [low, high), None if there are none."""
        return gaps.gap_bottomup(self, low, high, length)

    def clear(self) -> None:
        """Forget every node at once, as the end of an address space does."""
        self.nodes.clear()
        self.root = self.first = self.last = NIL

    def check(self) -> None:
        """Check every invariant; raises BrokenTreeError with the tree drawn."""
        from pfviz.mm.rbtree.check import check_tree

        check_tree(self)

    def _find_links(self, start: int, end: int) -> tuple[int, int, int]:
        """Where a new range goes (find_vma_links): the node before it, its parent, which side."""
        if start >= end:
            raise ValueError(f"[{start:#x}, {end:#x}) is empty")
        prev = parent = NIL
        side = LEFT
        node_id = self.root
        while node_id:
            node = self.nodes[node_id]
            parent = node_id
            if node.end > start:
                if node.start < end:
                    raise ValueError(f"[{start:#x}, {end:#x}) is taken: {node.describe()}")
                side, node_id = LEFT, node.left
            else:
                prev, side, node_id = node_id, RIGHT, node.right
        return prev, parent, side

    def _link_list(self, node: RbNode, prev: int) -> None:
        node.prev = prev
        node.next = self.nodes[prev].next if prev else self.first
        if prev:
            self.nodes[prev].next = node.id
        else:
            self.first = node.id
        if node.next:
            self.nodes[node.next].prev = node.id
        else:
            self.last = node.id

    def _unlink_list(self, node: RbNode) -> None:
        if node.prev:
            self.nodes[node.prev].next = node.next
        else:
            self.first = node.next
        if node.next:
            self.nodes[node.next].prev = node.prev
        else:
            self.last = node.prev

    def _begin_write(self) -> None:
        self._touched.clear()
        self._colors.clear()
        self._rotations.clear()

    def _end_write(self, function: str, node_id: int) -> RbWrite:
        recolored = [
            other
            for other, color in sorted(self._colors.items())
            if other != node_id and self.nodes[other].color != color
        ]
        return RbWrite(
            function, node_id, tuple(self._rotations), tuple(recolored),
            tuple(sorted(self._touched)),
        )  # fmt: skip

    # The words of a node: every store to one is noted for the record of the write

    def set_child(self, node: RbNode, side: int, child: int) -> None:
        """Store rb_left or rb_right."""
        if side == LEFT:
            node.left = child
        else:
            node.right = child
        self._touched.add(node.id)

    def set_parent(self, node: RbNode, parent: int) -> None:
        """Store the parent."""
        if node.parent != parent:
            node.parent = parent
            self._touched.add(node.id)

    def set_gap(self, node: RbNode, gap: int) -> None:
        """Store rb_subtree_gap."""
        if node.subtree_gap != gap:
            node.subtree_gap = gap
            self._touched.add(node.id)

    def paint(self, node: RbNode, color: int) -> None:
        """Store the colour."""
        if node.color != color:
            self._colors.setdefault(node.id, node.color)
            node.color = color
            self._touched.add(node.id)

    def replace_child(self, old: int, new: int, parent: int) -> None:
        """Let `parent` (NIL: the tree) point to `new` where it points to `old`."""
        if not parent:
            self.root = new
            return
        above = self.nodes[parent]
        self.set_child(above, LEFT if above.left == old else RIGHT, new)

    def rotate(self, top: RbNode, side: int) -> RbNode:
        """Turn `top` down to a side: its child on the other side takes its place and is returned.

        No colour changes; the gaps stay right.
        """
        new = self.nodes[top.child(1 - side)]
        inner = new.child(side)
        self.set_child(top, 1 - side, inner)
        if inner:
            self.set_parent(self.nodes[inner], top.id)
        self.replace_child(top.id, new.id, top.parent)
        self.set_parent(new, top.parent)
        self.set_child(new, side, top.id)
        self.set_parent(top, new.id)
        self.set_gap(new, top.subtree_gap)
        self.set_gap(top, gaps.subtree_gap(self, top))
        self._rotations.append(Rotation(SIDES[side], top.id, new.id))
        return new
