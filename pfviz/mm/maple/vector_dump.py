"""Whether a recorded tree has the form of a dump: nodes nested as deep as the height says.

Forms only: a recorded tree may be any tree, even one that no kernel would build.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.maple.node import MAX_INDEX

HEIGHT_MAX = 31
"""What the height's bits in ma_flags can hold."""


def is_dump(dump: Any) -> bool:
    """Say whether this is `[height, root]` as the files write it."""
    if not isinstance(dump, list) or len(dump) != 2 or type(dump[0]) is not int:
        return False
    height, root = dump
    if height == 0:
        return root is None or type(root) is int
    return 0 < height <= HEIGHT_MAX and _is_node(root, height)


def are_indices(values: Any) -> bool:
    """Say whether this is a list of indices."""
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value <= MAX_INDEX for value in values
    )


def _is_node(node: Any, level: int) -> bool:
    if not isinstance(node, list) or not node or node[0] not in ("L", "R", "A"):
        return False
    kind = node[0]
    if len(node) != (7 if kind == "A" else 5) or (kind == "L") is not (level == 1):
        return False
    low, high, pivots, slots = node[1:5]
    if not are_indices([low, high]) or not are_indices(pivots) or not pivots:
        return False
    if not isinstance(slots, list) or len(slots) != len(pivots):
        return False
    if kind == "A":
        gaps, gap_slot = node[5:]
        if not are_indices(gaps) or len(gaps) != len(pivots):
            return False
        if type(gap_slot) is not int or not 0 <= gap_slot < len(gaps):
            return False
    if kind == "L":
        return all(slot is None or type(slot) is int for slot in slots)
    return all(_is_node(child, level - 1) for child in slots)
