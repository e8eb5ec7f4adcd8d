"""Storing into the maple tree in two steps: new nodes are built aside, then published as one.

A chain that builds what a plan needs; the step after it publishes (`VmaTree.store_prealloc`). In
between readers see the old nodes, afterwards those who still stand in one find it dead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.maple import WritePlan
from pfviz.mm.vma_index import VmaIndex
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def build_store(thread: Thread, tree: VmaIndex, plan: Any, then: Step) -> Step:
    """Build the nodes of a planned store, if it needs any, and go on with `then`, which publishes.

    Stores that change a leaf in place, and the red-black tree, have nothing to build.
    """
    if isinstance(plan, WritePlan) and thread.mm.tree_lock is not None and tree is thread.mm.tree:
        thread.storing = (tree, plan)
        return thread.call(ma_lock, then)
    builder = _builder(tree, plan)
    if builder is None:
        return then
    thread.storing = (tree, plan)
    return thread.call(builder, then)


def _builder(tree: VmaIndex, plan: Any) -> Step | None:
    if not isinstance(plan, WritePlan):
        return None
    if plan.store_type == "node_store" and not tree.replaces_nodes:
        return None
    return BUILDERS.get(plan.store_type)


@step("lib/maple_tree.c (proposal)", function="mas_lock")
def ma_lock(engine: Mm, thread: Thread) -> Step:
    """Take the tree's own lock: it is held from here until the new nodes are published."""
    lock = thread.mm.tree_lock
    assert lock is not None
    return spin_lock(engine, thread, lock, ma_locked)


@step("lib/maple_tree.c (proposal)", cost="vma_check", function="mas_lock")
def ma_locked(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The tree is mine: if another writer was here since the store was planned, plan it again."""
    tree, plan = thread.storing
    tree.plan_again(plan)
    builder = _builder(tree, plan)
    if builder is None:
        thread.storing = None
        return thread.back()
    return builder


def _build(engine: Mm, thread: Thread) -> Step:
    tree, plan = thread.storing
    thread.storing = None
    tree.build(engine, plan)
    return thread.back()


@step("lib/maple_tree.c")
def mas_wr_node_store(engine: Mm, thread: Thread) -> Step:
    """Copy the leaf with the change in it; readers go on in the old one."""
    return _build(engine, thread)


@step("lib/maple_tree.c")
def mas_split(engine: Mm, thread: Thread) -> Step:
    """The leaf is too full: share its slots out to new nodes, or push some to a sibling's copy."""
    return _build(engine, thread)


@step("lib/maple_tree.c")
def mas_rebalance(engine: Mm, thread: Thread) -> Step:
    """The leaf would get too small: build it anew together with its neighbour, up to the root."""
    return _build(engine, thread)


@step("lib/maple_tree.c")
def mas_wr_spanning_store(engine: Mm, thread: Thread) -> Step:
    """The range leaves its leaf: gather both edges and build every level above them anew."""
    return _build(engine, thread)


@step("lib/maple_tree.c")
def mas_new_root(engine: Mm, thread: Thread) -> Step:
    """The store covers everything: one new leaf will be the tree, or nothing."""
    return _build(engine, thread)


@step("lib/maple_tree.c")
def mas_store_root(engine: Mm, thread: Thread) -> Step:
    """The tree has no node yet: build its first leaf."""
    return _build(engine, thread)


BUILDERS: dict[str, Step] = {
    "node_store": mas_wr_node_store,
    "split_store": mas_split,
    "rebalance": mas_rebalance,
    "spanning_store": mas_wr_spanning_store,
    "new_root": mas_new_root,
    "store_root": mas_store_root,
}
"""Store type -> the step that builds its nodes."""
