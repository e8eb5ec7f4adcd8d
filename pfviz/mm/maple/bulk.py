"""Bulk loading: entries stored in ascending order into nodes that are left nearly full.

mas_expected_entries() and MA_STATE_BULK of lib/maple_tree.c, 6.12; fork used it from 6.1 to 6.7.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pfviz.mm.maple import store
from pfviz.mm.maple.node import MAPLE_ARANGE_64, MAPLE_LEAF_64, MAX_INDEX, MT_SLOTS
from pfviz.mm.maple.plan import plan_store, walk_to_store
from pfviz.mm.maple.walk import Range
from pfviz.mm.maple.write import Write

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def expected_nodes(tree: MapleTree, entries: int) -> int:
    """Return how many nodes the kernel reserves when told to expect so many entries.

    It assumes a null beside every entry and one at the end, leaves two slots of every node free
    and adds three nodes for the split at work.
    """
    leaf_fill = MT_SLOTS[MAPLE_LEAF_64] - 2
    inner_fill = (MT_SLOTS[MAPLE_ARANGE_64] if tree.alloc else MT_SLOTS[MAPLE_LEAF_64]) - 2
    leaves = -(-(2 * entries + 1) // leaf_fill)
    return leaves + -(-leaves // inner_fill) + 3


def bulk_store(tree: MapleTree, ranges: Iterable[Range], via: str = "mas_store") -> list[Write]:
    """Store ascending (first, last, entry) ranges in bulk mode; return the record of each store.

    Raises ValueError for a range out of order: the kernel's repair of a last leaf that shrank is
    not modelled, and ascending ranges never need it.
    """
    writes = []
    floor = 0
    for first, last, entry in ranges:
        if not floor <= first <= last <= MAX_INDEX:
            raise ValueError(f"bulk ranges must ascend: {first} to {last} follows {floor - 1}")
        if tree.height:
            place = walk_to_store(tree, first, last, entry)
            write = store.store_at(tree, *place, first, last, entry, via, bulk=True)
        else:
            write = tree.store_prealloc(plan_store(tree, first, last, entry, via, bulk=True))
        writes.append(write)
        floor = last + 1
    return writes
