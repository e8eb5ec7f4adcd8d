"""The node of a red-black tree of ranges, the record of one write to the tree, and small questions.

Links are node ids, never objects: a tree of any size can be pickled. NIL is no node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

NIL: Final = 0
RED: Final = 0
BLACK: Final = 1
"""RB_RED and RB_BLACK (include/linux/rbtree_augmented.h)."""
LEFT: Final = 0
RIGHT: Final = 1
SIDES: Final = ("left", "right")


@dataclass(slots=True, eq=False)
class RbNode:
    """One range [start, end) of the tree: what a VMA is to mm_rb and to the sorted list."""

    id: int
    start: int
    end: int
    guard: int
    """Bytes below `start` that no gap may use: stack_guard_gap of a VM_GROWSDOWN VMA."""
    entry: Any
    color: int = RED
    parent: int = NIL
    left: int = NIL
    right: int = NIL
    next: int = NIL
    prev: int = NIL
    """The sorted list beside the tree: vm_next and vm_prev."""
    subtree_gap: int = 0
    """rb_subtree_gap: the largest gap before this node or before any node below it."""

    def child(self, side: int) -> int:
        """The child on a side, LEFT or RIGHT."""
        return self.right if side else self.left

    def describe(self) -> str:
        """Colour, id, range and gap in one line: `R #3 0x1000-0x2000 gap 0x4000`."""
        letter = "B" if self.color == BLACK else "R"
        guard = f" guard {self.guard:#x}" if self.guard else ""
        gap = f"gap {self.subtree_gap:#x}"
        return f"{letter} #{self.id} {self.start:#x}-{self.end:#x} {gap}{guard}"


@dataclass(frozen=True, slots=True)
class Rotation:
    """One rotation: `down` went below `up`, which had been its child."""

    side: str
    """The side to which `down` went: "left" or "right"."""
    down: int
    up: int


@dataclass(frozen=True, slots=True)
class RbWrite:
    """What one write did to the tree, for whoever has to show or to charge it."""

    function: str
    """The kernel's: "vma_rb_insert", "vma_rb_erase" or "vma_gap_update"."""
    node: int
    rotations: tuple[Rotation, ...]
    """In the order in which they happened."""
    recolored: tuple[int, ...]
    """Nodes that have another colour now, ascending; neither the new nor the erased one."""
    touched: tuple[int, ...]
    """Nodes of which a link, the colour, the range or the gap was written, ascending; without
    the erased one."""
