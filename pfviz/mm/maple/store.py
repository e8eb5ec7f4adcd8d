"""Carrying out a planned store: build the new nodes in private, then publish them at once.

Dispatch is mas_wr_store_entry(); the kinds that touch one leaf are here, the others in split.py,
rebalance.py and spanning.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple.gaps import update_gap, update_leaf_gap
from pfviz.mm.maple.leaf_store import IN_LEAF, copy_with, store_in_leaf, write_in_place
from pfviz.mm.maple.node import MAPLE_LEAF_64, MAX_INDEX, MapleNode
from pfviz.mm.maple.plan import decide_in_leaf, prealloc_nodes
from pfviz.mm.maple.rebalance import build_rebalance
from pfviz.mm.maple.roots import build_new_root, build_store_root
from pfviz.mm.maple.spanning import build_spanning_store
from pfviz.mm.maple.split import build_split
from pfviz.mm.maple.write import Graft, Rearrangement, Write, WritePlan

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


def publish(tree: MapleTree, plan: WritePlan, kernel: str = "6.12") -> Write:
    """Make a built store visible by one pointer store, then mark the old nodes dead."""
    reserved = prealloc_nodes(tree, plan, kernel)
    node = plan.node
    where = (0, 0, MAX_INDEX) if node is None else (node.id, node.min, node.pivots[-1])
    graft = plan.graft
    changed: list[int] = []
    born: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    rearrangements: list[Rearrangement] = []
    if graft is None:
        assert node is not None
        write_in_place(node, plan.decision, plan.entry)
        changed.append(node.id)
        if node.parent is not None and tree.alloc:
            update_leaf_gap(node, plan.decision, plan.entry, changed)
    else:
        _publish_graft(tree, graft, changed)
        born = tuple([node.id for node in graft.born])
        dead = tuple([node.id for node in graft.dead])
        rearrangements = graft.rearrangements
    tree.generation += 1
    asked = (plan.store_type, plan.via, plan.index, plan.last, plan.first, plan.end, plan.entry)
    shape = (plan.r_max, plan.new_end, plan.height, reserved)
    write = Write(*asked, *shape, *where, born, dead, changed, rearrangements)
    tree.last_write = write
    return write


def store_at(
    tree: MapleTree,
    node: MapleNode,
    offset: int,
    level: int,
    index: int,
    last: int,
    entry: Any,
    via: str,
    *,
    bulk: bool = False,
) -> Write:
    """Store at once where walk_to_store has led."""
    if not level:
        decision = decide_in_leaf(node, offset, index, last, entry, rcu=tree.rcu, bulk=bulk)
        if decision[0] in IN_LEAF:
            return store_in_leaf(tree, node, decision, index, last, entry, via)
    plan = WritePlan(index, last, entry, via, tree.height)
    plan.bulk = bulk
    if level:
        plan.take_span(node, offset, level)
    else:
        plan.take_leaf(node, decision)
    build(tree, plan)
    return publish(tree, plan)


def _build_node_store(tree: MapleTree, plan: WritePlan) -> Graft:
    leaf = plan.node
    assert leaf is not None
    graft = Graft()
    graft.old = leaf
    graft.new = copy_with(tree, leaf, plan.decision, plan.entry)
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
            # Every child is pointed at its new parent (mas_adopt_children).
            for offset, child in enumerate(node.slots):
                child.parent = node
                child.parent_slot = offset
    bury(tree, graft.dead)
    if parent is not None and tree.alloc:
        update_gap(new, changed)


def bury(tree: MapleTree, dead: list[MapleNode]) -> None:
    """Mark nodes dead; under RCU they stay readable until their grace period ends."""
    if tree.rcu:
        waiting = tree.dead
        for node in dead:
            node.parent = node
            waiting[node.id] = node
    else:
        for node in dead:
            node.parent = node
            node.release()
