"""Walking the maple tree under RCU, one node a step, while writers replace nodes.

A chain: `mas_walk` leaves in `thread.vma` what covers `thread.address`, None for a gap. What it
finds may be stale the moment it returns; callers validate. It refuses to know any lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.maple import MaState
from pfviz.mm.paths.tree_in_place import read_pivots
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("lib/maple_tree.c")
def mas_walk(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Walk the maple tree without any lock, from its root down."""
    thread.walk = MaState(thread.address)
    return _first_node(thread)


def _first_node(thread: Thread) -> Step:
    tree = thread.mm.tree
    return read_pivots if isinstance(tree, VmaTree) and tree.in_place else mtree_range_walk


@step("lib/maple_tree.c", function="mas_walk")
def mtree_range_walk(engine: Mm, thread: Thread) -> Step:
    """Go down one node; a node that was replaced meanwhile sends the walk back to the root."""
    mas: MaState = thread.walk
    tree = thread.mm.tree
    assert isinstance(tree, VmaTree), "a red-black tree cannot be walked without mmap_lock"
    if mas.status == "start":
        tree.walk_step(engine, mas)  # The root pointer; its first node goes with this step.
    if not mas.is_done and not tree.walk_step(engine, mas):
        return mtree_range_walk
    assert mas.status != "freed", "I3: a node was freed inside a read section"
    thread.vma = mas.entry
    return thread.back()


@step("lib/maple_tree.c (6.4-6.17)", function="mas_walk")
def mas_walk_again(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Walk again, for the start of the range found before: the walk's state was not set back."""
    # The kernel forgot mas_set (read in 6.12 and 6.16, not in 7.2): a needless fallback at times.
    mas: MaState = thread.walk
    assert mas.is_done
    thread.walk = MaState(mas.index)
    return _first_node(thread)
