"""Walking a maple tree whose nodes are changed under their readers: what RCU mode prevents.

Only with `Policy.tree_in_place`, a mistake that no kernel makes. Choosing a slot by the pivots and
loading it are two steps here, for the node may be another one by then; and nodes are given back at
once. What such a reader gets is reported as broken rules I3 and T1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.maple import MaState, walk_scan
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("lib/maple_tree.c (without RCU mode)", function="mtree_range_walk")
def read_pivots(engine: Mm, thread: Thread) -> Step:
    """Read the pivots of the node and choose a slot; nobody keeps the node as it is."""
    mas, tree = _walk(thread)
    if mas.status == "start":
        tree.maple.walk_step(mas)  # The root pointer; its first node goes with this step.
    if mas.is_done:
        thread.vma = mas.entry
        return thread.back()
    node = mas.node
    if node is None or node.is_freed:
        return _lost(engine, thread, "I3", "stands on a node that was given back")
    if not node.min <= mas.target <= node.max:
        return _lost(engine, thread, "T1", "was led into a node that does not cover the address")
    walk_scan(mas)
    tree.show_walk(engine, node, mas.target, mas.offset)
    thread.walk_saw = tree.at(mas.target)
    return load_slot


@step("lib/maple_tree.c (without RCU mode)", function="mtree_range_walk")
def load_slot(engine: Mm, thread: Thread) -> Step:
    """Load the slot that the pivots led to; a writer may have moved what was in it."""
    mas, tree = _walk(thread)
    if not tree.maple.walk_step(mas):
        return read_pivots
    if mas.status == "freed":
        return _lost(engine, thread, "I3", "stands on a node that was given back")
    if mas.entry is not thread.walk_saw and mas.entry is not tree.at(mas.target):
        entry = mas.entry
        name = "NULL" if entry is None else f"VMA {entry.vm_start:#x}-{entry.vm_end:#x}"
        text = f"{thread.name} looks up {mas.target:#x} and gets {name}, which never was there"
        engine.world.break_rule(engine, "T1", text)
    thread.vma = mas.entry
    return thread.back()


def _walk(thread: Thread) -> tuple[MaState, VmaTree]:
    mas, tree = thread.walk, thread.mm.tree
    assert isinstance(mas, MaState)
    assert isinstance(tree, VmaTree)
    return mas, tree


def _lost(engine: Mm, thread: Thread, rule: str, what: str) -> Step:
    """Report it and begin again: what a CPU would make of such memory cannot be told."""
    mas, tree = _walk(thread)
    engine.world.break_rule(engine, rule, f"{thread.name} {what}")
    tree.show_walk(engine, mas.node, mas.target, -1)
    mas.reset()
    return read_pivots
