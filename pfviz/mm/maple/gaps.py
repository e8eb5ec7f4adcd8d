"""Gaps of an allocation tree: keeping them true upwards, and searching free ranges with them.

A gap is the longest null range below a slot; it never crosses a leaf border.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.node import INDEX_MASK, MapleNode, max_gap
from pfviz.mm.maple.write import LeafDecision

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def update_gap(node: MapleNode, changed: list[int]) -> None:
    """Carry a node's new gap to its ancestors as far as it matters (mas_update_gap).

    Ids of the ancestors that changed are appended to `changed`.
    """
    parent = node.parent
    if parent is None or parent.gaps is None:
        return
    gap = max_gap(node)
    if parent.gaps[node.parent_slot] != gap:
        carry_gap(parent, node.parent_slot, gap, changed)


def update_leaf_gap(
    leaf: MapleNode, decision: LeafDecision, entry: Any, changed: list[int]
) -> None:
    """Do what update_gap does after a store into a leaf with a parent, with less counting.

    The parent knows the longest null from before: the store can only have made a longer one, or
    have written over the longest.
    """
    parent = leaf.parent
    assert parent is not None
    assert parent.gaps is not None
    slot = leaf.parent_slot
    before = parent.gaps[slot]
    _, offset, offset_end, first, end, r_min, r_max, _, content, _ = decision
    if entry is None:
        # All nulls written over are part of the new one.
        gap = end - first + 1
        if gap > before:
            carry_gap(parent, slot, gap, changed)
    elif offset_end > offset or (content is None and r_max - r_min + 1 == before):
        gap = max_gap(leaf)
        if gap != before:
            carry_gap(parent, slot, gap, changed)


def carry_gap(parent: MapleNode, slot: int, gap: int, changed: list[int]) -> None:
    """Put a child's new gap into its parent and go up while a largest gap changes."""
    while True:
        gaps = parent.gaps
        assert gaps is not None
        largest_slot = parent.gap_slot
        largest = gaps[largest_slot]
        gaps[slot] = gap
        changed.append(parent.id)
        if largest == gap:
            return
        if slot != largest_slot:
            if largest > gap:
                return
            parent.gap_slot = slot
        elif gap < largest:
            gap = max(gaps)
            # Ties go to the highest offset; here, unlike in a new node, also when all are 0.
            offset = len(gaps) - 1
            while gaps[offset] != gap:
                offset -= 1
            parent.gap_slot = offset
        above = parent.parent
        if above is None:
            return
        slot = parent.parent_slot
        parent = above


def empty_area(tree: MapleTree, low: int, high: int, size: int) -> tuple[int, int] | None:
    """Return the lowest free range of `size` indices inside [low, high], or None (mas_empty_area).

    Raises ValueError where the kernel answers -EINVAL, and for a tree that keeps no gaps.
    """
    _validate(tree, low, high, size)
    if not tree.height:
        return _room_without_nodes(tree, low, high, size, upwards=True)
    node: MapleNode = tree.root
    offset = bisect_left(node.pivots, low)
    while True:
        start = node.slot_min(offset)
        last = node.pivots[offset]
        if node.gaps is not None:
            if node.gaps[offset] >= size:
                node = node.slots[offset]
                offset = bisect_left(node.pivots, low)
                continue
        elif node.slots[offset] is None:
            first = max(low, start)
            if (min(last, high) - first + 1) & INDEX_MASK >= size:
                return first, first + size - 1
        if last >= high:
            return None
        while offset == node.end:
            if node.parent is None:
                return None
            offset = node.parent_slot
            node = node.parent
        offset += 1


def empty_area_rev(tree: MapleTree, low: int, high: int, size: int) -> tuple[int, int] | None:
    """Return the highest free range of `size` indices inside [low, high], or None.

    This is mas_empty_area_rev with its 64-bit wraps. Raises ValueError for -EINVAL, and for a tree
    that keeps no gaps.
    """
    _validate(tree, low, high, size)
    if not tree.height:
        return _room_without_nodes(tree, low, high, size, upwards=False)
    node: MapleNode = tree.root
    offset = bisect_left(node.pivots, high)
    while True:
        start = node.slot_min(offset)
        last = node.pivots[offset]
        if last < low:
            return None
        if node.gaps is not None:
            gap = node.gaps[offset]
        else:
            gap = (last - start + 1) & INDEX_MASK if node.slots[offset] is None else 0
        if gap and size <= gap and size <= (high - start + 1) & INDEX_MASK:
            if size - 1 > last - low:
                return None
            if node.gaps is None:
                last = min(last, high)
                return last - size + 1, last
            node = node.slots[offset]
            offset = min(bisect_left(node.pivots, high), node.end)
            continue
        while not offset:
            if node.parent is None:
                return None
            offset = node.parent_slot
            node = node.parent
        offset -= 1


def _validate(tree: MapleTree, low: int, high: int, size: int) -> None:
    if not tree.alloc:
        raise ValueError("a tree without gaps has no gap search")
    if low > high or size <= 0 or high - low < size - 1:
        raise ValueError(f"no range of {size} indices fits between {low} and {high}")


def _room_without_nodes(
    tree: MapleTree, low: int, high: int, size: int, *, upwards: bool
) -> tuple[int, int] | None:
    if tree.root is not None and low == 0:
        low = 1
        if high - low < size - 1:
            return None
    return (low, low + size - 1) if upwards else (high - size + 1, high)
