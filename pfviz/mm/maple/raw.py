"""The 256 bytes of a maple node word by word, as include/linux/maple_tree.h lays them out.

For a detail view: what memory holds beyond the slots in use, too. Changes nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pfviz.mm.maple.node import MAPLE_ARANGE_64, MT_PIVOTS, MT_SLOTS, MapleNode


class RawWord(NamedTuple):
    """One 64-bit word: `field` is parent, pivot, slot, gap or meta, `offset` its array index.

    `value` is a number, an entry, a child node, None for a null pointer, or for meta and for the
    parent a pair: (end, gap slot) and (parent node or None in the root, slot in it).
    """

    field: str
    offset: int
    value: Any
    in_use: bool


def raw_words(node: MapleNode) -> list[RawWord]:
    """Return the words of a node in memory order: 32, in an arange node 31 and one unused.

    The last pivot of a full node is not stored; a node that is not full keeps its end in the
    last slot's word, an arange node always in a word of its own. A freed node has no words.
    """
    if node.is_freed:
        return []
    used = len(node.pivots)
    pivots, capacity = MT_PIVOTS[node.type], MT_SLOTS[node.type]
    parent = (node.parent, node.parent_slot)
    words = [RawWord("parent", 0, parent, True)]
    for offset in range(pivots):
        in_use = offset < used
        words.append(RawWord("pivot", offset, node.pivots[offset] if in_use else 0, in_use))
    for offset in range(capacity):
        in_use = offset < used
        words.append(RawWord("slot", offset, node.slots[offset] if in_use else None, in_use))
    if node.type == MAPLE_ARANGE_64:
        gaps = node.gaps or []
        for offset in range(capacity):
            in_use = offset < used
            words.append(RawWord("gap", offset, gaps[offset] if in_use else 0, in_use))
        words.append(RawWord("meta", 0, (node.end, node.gap_slot), True))
    elif used < capacity:
        words[-1] = RawWord("meta", 0, (node.end, 0), True)
    return words
