"""Maple tree nodes and stores as the event log describes them: plain tuples, ids only.

The layout of the tuples is in docs/architecture.md. It emits nothing and changes no tree.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.maple import MapleNode, Write
from pfviz.mm.maple.write import Graft

TREE_TYPES = ("dense", "leaf_64", "range_64", "arange_64")

Replaced = tuple[tuple[int, tuple[int, ...]], ...]
"""Each node that leaves the tree, and those of its level that take over parts of its range."""


def node_detail(node: MapleNode) -> tuple[Any, ...]:
    """What TREE_NODE says of a node; leaf slots are VMA ids (-1 for NULL), others node ids."""
    slots = tuple(-1 if slot is None else slot.id for slot in node.slots)
    gaps = tuple(node.gaps or ())
    where = (node.parent_slot, node.gap_slot)
    return (TREE_TYPES[node.type], node.min, node.max, tuple(node.pivots), slots, gaps, *where)


def store_detail(write: Write, replaced: Replaced) -> tuple[Any, ...]:
    """What TREE_STORE says of a store."""
    acts = tuple(
        (act.name, act.level, act.total, _or_none(act.split), _or_none(act.mid))
        for act in write.rearrangements
    )
    changed = tuple(sorted(set(write.changed)))
    return (write.last, write.prealloc, write.born, write.dead, changed, replaced, acts)


def replacements(graft: Graft | None) -> Replaced:
    """Which new node takes whose place, by level and range; asked before the store is published."""
    if graft is None:
        return ()
    born = [(_level(node), node) for node in graft.born]
    found = []
    for old in graft.dead:
        level = _level(old)
        heirs = [
            new.id for at, new in born
            if at == level and new.min <= old.max and old.min <= new.max
        ]  # fmt: skip
        found.append((old.id, tuple(heirs)))
    return tuple(found)


def _level(node: MapleNode) -> int:
    level = 1
    while not node.is_leaf:
        node = node.slots[0]
        level += 1
    return level


def _or_none(value: int | None) -> int:
    return -1 if value is None else value
