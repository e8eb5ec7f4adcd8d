"""Stores that stay inside one leaf: the boundaries moved, and the shortest way to do it at once.

mas_wr_slot_store(), mas_wr_node_store() and mas_wr_append() of lib/maple_tree.c, 6.12. Knows
nothing of splits: what does not fit into the leaf is planned instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.gaps import update_leaf_gap
from pfviz.mm.maple.node import MAPLE_LEAF_64, MapleNode
from pfviz.mm.maple.write import LeafDecision, Write

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree

# The kinds that store_in_leaf does.
IN_LEAF = frozenset(("exact_fit", "append", "slot_store", "node_store"))


def splice(pivots: list[int], slots: list[Any], decision: LeafDecision, entry: Any) -> None:
    """Put a store into a leaf's pivots and slots, or into copies of them."""
    _, offset, offset_end, first, end, r_min, _, end_piv, content, _ = decision
    # What sticks out above keeps its slot and its pivot; what sticks out below needs a new slot.
    stop = offset_end if end_piv > end else offset_end + 1
    if r_min < first:
        pivots[offset:stop] = (first - 1, end)
        slots[offset:stop] = (content, entry)
    else:
        pivots[offset:stop] = (end,)
        slots[offset:stop] = (entry,)


def copy_with(tree: MapleTree, leaf: MapleNode, decision: LeafDecision, entry: Any) -> MapleNode:
    """Build a copy of a leaf with a store put in; readers see nothing of it."""
    pivots = leaf.pivots[:]
    slots = leaf.slots[:]
    splice(pivots, slots, decision, entry)
    twin = MapleNode(tree.next_id, MAPLE_LEAF_64, leaf.min, pivots, slots)
    tree.next_id += 1
    return twin


def switch_leaf(tree: MapleTree, leaf: MapleNode, new: MapleNode) -> list[int]:
    """Publish a copy in place of a leaf, which is dead from now on; return the ids changed."""
    parent = leaf.parent
    changed = []
    if parent is None:
        tree.root = new
    else:
        slot = leaf.parent_slot
        new.parent = parent
        new.parent_slot = slot
        parent.slots[slot] = new
        changed.append(parent.id)
    leaf.parent = leaf
    tree.dead[leaf.id] = leaf
    return changed


def write_in_place(leaf: MapleNode, decision: LeafDecision, entry: Any) -> None:
    """Change the leaf itself."""
    if decision[0] == "exact_fit":
        leaf.slots[decision[1]] = entry
    else:
        splice(leaf.pivots, leaf.slots, decision, entry)


def store_in_leaf(
    tree: MapleTree,
    leaf: MapleNode,
    decision: LeafDecision,
    index: int,
    last: int,
    entry: Any,
    via: str,
) -> Write:
    """Do a store decided just now that the leaf can take; planning it comes to the same tree."""
    kind, _, _, first, end, _, r_max, _, _, new_end = decision
    # Once a copy is published the leaf points to itself.
    parent = leaf.parent
    node_max = leaf.pivots[-1]
    born: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    if kind == "node_store" and tree.rcu:
        new = copy_with(tree, leaf, decision, entry)
        born = (new.id,)
        dead = (leaf.id,)
        changed = switch_leaf(tree, leaf, new)
    else:
        new = leaf
        write_in_place(leaf, decision, entry)
        changed = [leaf.id]
    if parent is not None and parent.gaps is not None:
        update_leaf_gap(new, decision, entry, changed)
    tree.generation += 1
    write = Write(
        kind,
        via,
        index,
        last,
        first,
        end,
        entry,
        r_max,
        new_end,
        tree.height,
        len(born),
        leaf.id,
        leaf.min,
        node_max,
        born,
        dead,
        changed,
        [],
    )
    tree.last_write = write
    return write
