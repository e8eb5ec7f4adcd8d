"""Carrying out a planned store: build the new nodes in private, then publish them at once.

Dispatch is mas_wr_store_entry(); the kinds that touch one leaf are here, the others in split.py,
rebalance.py and spanning.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.gaps import update_gap
from pfviz.mm.maple.node import MAPLE_LEAF_64, MapleNode
from pfviz.mm.maple.plan import prealloc_nodes
from pfviz.mm.maple.rebalance import build_rebalance
from pfviz.mm.maple.roots import build_new_root, build_store_root
from pfviz.mm.maple.spanning import build_spanning_store
from pfviz.mm.maple.split import build_split
from pfviz.mm.maple.write import Graft, Write, WritePlan

if TYPE_CHECKING:
    from pfviz.mm.maple.tree import MapleTree


def build(tree: MapleTree, plan: WritePlan) -> None:
    """Build every new node of a planned store without touching the tree.

    Kinds that change a leaf in place build nothing.
    """
    kind = plan.store_type
    if kind == "node_store":
        if tree.rcu:
            plan.graft = _build_node_store(tree, plan)
    elif kind == "split_store":
        plan.graft = build_split(tree, plan)
    elif kind == "spanning_store":
        plan.graft = build_spanning_store(tree, plan)
    elif kind == "rebalance":
        plan.graft = build_rebalance(tree, plan)
    elif kind == "store_root":
        plan.graft = build_store_root(tree, Graft(), plan)
    elif kind == "new_root":
        plan.graft = build_new_root(tree, Graft(), plan)


def publish(tree: MapleTree, plan: WritePlan) -> Write:
    """Make a built store visible by one pointer store, then mark the old nodes dead."""
    write = Write(plan, prealloc_nodes(tree, plan))
    graft = plan.graft
    changed = write.changed
    if graft is None:
        leaf = plan.node
        assert leaf is not None
        nullness_kept = _write_in_place(plan, leaf)
        changed.append(leaf.id)
        if tree.alloc and leaf.parent is not None and not nullness_kept:
            update_gap(leaf, changed)
    else:
        _publish_graft(tree, graft, changed)
        write.born = tuple([node.id for node in graft.born])
        write.dead = tuple([node.id for node in graft.dead])
        write.rearrangements = graft.rearrangements
    tree.generation += 1
    tree.last_write = write
    return write


def _write_in_place(plan: WritePlan, leaf: MapleNode) -> bool:
    """Change the leaf itself; True if no gap can have changed."""
    if plan.store_type == "exact_fit":
        leaf.slots[plan.offset] = plan.entry
        return (plan.content is None) == (plan.entry is None)
    pivots, slots = written_slots(plan, leaf)
    leaf.pivots[plan.offset : plan.offset_end + 1] = pivots
    leaf.slots[plan.offset : plan.offset_end + 1] = slots
    return False


def written_slots(plan: WritePlan, leaf: MapleNode) -> tuple[list[int], list[Any]]:
    """Return the pivots and slots that take the place of offset ... offset_end."""
    if plan.r_min < plan.first:
        pivots = [plan.first - 1, plan.end]
        slots = [plan.content, plan.entry]
    else:
        pivots = [plan.end]
        slots = [plan.entry]
    if plan.end_piv > plan.end:
        pivots.append(plan.end_piv)
        slots.append(leaf.slots[plan.offset_end])
    return pivots, slots


def _build_node_store(tree: MapleTree, plan: WritePlan) -> Graft:
    leaf = plan.node
    assert leaf is not None
    middle_pivots, middle_slots = written_slots(plan, leaf)
    pivots = leaf.pivots[:]
    slots = leaf.slots[:]
    pivots[plan.offset : plan.offset_end + 1] = middle_pivots
    slots[plan.offset : plan.offset_end + 1] = middle_slots
    graft = Graft()
    graft.old = leaf
    graft.new = tree.new_node(MAPLE_LEAF_64, leaf.min, pivots, slots)
    graft.height = plan.height
    graft.born.append(graft.new)
    graft.dead.append(leaf)
    return graft


def _publish_graft(tree: MapleTree, graft: Graft, changed: list[int]) -> None:
    old = graft.old
    new = graft.new
    parent = old.parent if old is not None else None
    if old is None or parent is None:
        if graft.height:
            new.parent = None
        tree.root = new
        tree.height = graft.height
    else:
        new.parent = parent
        new.parent_slot = old.parent_slot
        parent.slots[old.parent_slot] = new
        changed.append(parent.id)
    for node in graft.born:
        if node.type != MAPLE_LEAF_64:
            adopt_children(node)
    bury(tree, graft.dead)
    if parent is not None and tree.alloc:
        update_gap(new, changed)


def adopt_children(node: MapleNode) -> None:
    """Point every child of a new node at it (mas_adopt_children)."""
    for offset, child in enumerate(node.slots):
        child.parent = node
        child.parent_slot = offset


def bury(tree: MapleTree, dead: list[MapleNode]) -> None:
    """Mark nodes dead; under RCU they stay readable until their grace period ends."""
    if tree.rcu:
        for node in dead:
            node.parent = node
            tree.dead[node.id] = node
    else:
        for node in dead:
            node.parent = node
            node.release()
