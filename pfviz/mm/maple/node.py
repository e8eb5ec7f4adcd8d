"""A maple node as plain data, its types and capacities, and the scratch node of big writes.

Geometry of 64-bit Linux (include/linux/maple_tree.h, 6.12). Knows nothing of trees or VMAs.
"""

from __future__ import annotations

from typing import Any

MAX_INDEX = (1 << 64) - 1
INDEX_MASK = MAX_INDEX

MAPLE_DENSE = 0
MAPLE_LEAF_64 = 1
MAPLE_RANGE_64 = 2
MAPLE_ARANGE_64 = 3

TYPE_NAMES = ("maple_dense", "maple_leaf_64", "maple_range_64", "maple_arange_64")
# A non-root node that does not end at MAX_INDEX has its `end` at or above MIN_SLOTS: the kernel
# compares mt_min_slots with the end offset, so 7 slots in a leaf and 5 in an arange node.
MT_SLOTS = (31, 16, 16, 10)
MT_PIVOTS = (0, 15, 15, 9)
MT_MIN_SLOTS = (15, 6, 6, 4)
NODE_BYTES = 256


class TaggedEntry(int):
    """An entry whose two lowest bits are binary 10; the kernel never keeps one in the root pointer.

    `TaggedEntry(0)` is the zero entry (XA_ZERO_ENTRY): stored, but read back as nothing.
    """

    __slots__ = ()


ZERO_ENTRY = TaggedEntry(0)


def is_zero_entry(entry: Any) -> bool:
    """Say whether readers must see nothing here although a slot is taken (xa_is_zero)."""
    return type(entry) is TaggedEntry and int(entry) == 0


class MapleNode:
    """One node: `pivots[i]` is the last index of slot i, with one pivot per slot in use.

    The kernel leaves the last pivot out when a node is full and takes it from the parent; here it
    is always present, so `pivots[-1]` is the node's max. `parent` is None in the root and the node
    itself in a dead node (mte_set_node_dead). `gaps` is None unless the node is an arange node.
    """

    __slots__ = (
        "gap_slot",
        "gaps",
        "id",
        "min",
        "parent",
        "parent_slot",
        "pivots",
        "slots",
        "type",
    )

    def __init__(
        self,
        node_id: int,
        node_type: int,
        node_min: int,
        pivots: list[int],
        slots: list[Any],
        gaps: list[int] | None = None,
    ) -> None:
        self.id = node_id
        self.type = node_type
        self.min = node_min
        self.pivots = pivots
        self.slots = slots
        self.gaps = gaps
        self.gap_slot = 0
        self.parent: MapleNode | None = None
        self.parent_slot = 0
        if gaps is not None:
            self.gap_slot = _highest_offset_of_max(gaps)

    @property
    def end(self) -> int:
        """Offset of the last slot in use (ma_data_end)."""
        return len(self.pivots) - 1

    @property
    def max(self) -> int:
        """Last index the node is responsible for."""
        return self.pivots[-1]

    @property
    def is_leaf(self) -> bool:
        return self.type == MAPLE_LEAF_64

    @property
    def is_dead(self) -> bool:
        """A dead node points to itself (ma_dead_node); a freed one is dead too."""
        return self.parent is self or not self.pivots

    @property
    def is_freed(self) -> bool:
        """The grace period is over: reading this node is a use after free."""
        return not self.pivots

    @property
    def type_name(self) -> str:
        return TYPE_NAMES[self.type]

    def slot_min(self, offset: int) -> int:
        """First index of a slot."""
        return self.pivots[offset - 1] + 1 if offset else self.min

    def release(self) -> None:
        """Empty the node's memory; whoever still reads it reads freed memory."""
        self.pivots = []
        self.slots = []
        self.gaps = None
        # A node that points to itself would wait for the garbage collector.
        self.parent = None

    def __repr__(self) -> str:
        if self.is_freed:
            return f"<{self.type_name} #{self.id} freed>"
        state = " dead" if self.is_dead else ""
        return f"<{self.type_name} #{self.id} {self.min:#x}-{self.max:#x} end={self.end}{state}>"


class BigNode:
    """Scratch list of slots larger than a node, cut into nodes afterwards (maple_big_node)."""

    __slots__ = ("gaps", "min", "pivots", "slots", "type")

    def __init__(
        self,
        node_type: int,
        node_min: int,
        pivots: list[int],
        slots: list[Any],
        gaps: list[int] | None = None,
    ) -> None:
        self.type = node_type
        self.min = node_min
        self.pivots = pivots
        self.slots = slots
        self.gaps = gaps

    def append_node(self, node: MapleNode) -> None:
        """Put a neighbour's slots behind ours."""
        self.pivots += node.pivots
        self.slots += node.slots
        if self.gaps is not None and node.gaps is not None:
            self.gaps += node.gaps

    def prepend_node(self, node: MapleNode) -> None:
        """Put a neighbour's slots in front of ours."""
        self.min = node.min
        self.pivots[:0] = node.pivots
        self.slots[:0] = node.slots
        if self.gaps is not None and node.gaps is not None:
            self.gaps[:0] = node.gaps


def max_gap(node: MapleNode) -> int:
    """Return the longest null range at or below a node (mas_max_gap)."""
    if node.gaps is not None:
        return node.gaps[node.gap_slot]
    longest = 0
    pivots = node.pivots
    for offset, entry in enumerate(node.slots):
        if entry is None:
            below = pivots[offset - 1] if offset else node.min - 1
            if pivots[offset] - below > longest:
                longest = pivots[offset] - below
    # 64-bit arithmetic: a null range over everything has length 0.
    return longest & INDEX_MASK


def _highest_offset_of_max(gaps: list[int]) -> int:
    largest = max(gaps)
    if not largest:
        return 0
    offset = len(gaps) - 1
    while gaps[offset] != largest:
        offset -= 1
    return offset
