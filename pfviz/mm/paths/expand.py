"""A VMA grows over a range beside it: write-locked with what it swallows, then stored anew.

For mmap and mremap, which both let a neighbour take a new range (vma_expand, commit_merge).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.paths.vma_change import VmaChange, commit_change
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def expand(thread: Thread, change: VmaChange, then: Step) -> Step:
    """Let `change.vma` grow as planned (mmap_lock is held for writing), then go on with `then`."""
    thread.change = change
    return thread.call(vma_expand, then)


def _change(thread: Thread) -> VmaChange:
    change = thread.change
    assert isinstance(change, VmaChange)
    return change


@step("mm/vma.c (6.12+), mm/mmap.c")
def vma_expand(engine: Mm, thread: Thread) -> Step:
    """The neighbour grows: if it has a lock, take it for writing when the faults in it are over."""
    return vma_start_write(engine, thread, _change(thread).vma, vma_expand_locked)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_expand")
def vma_expand_locked(engine: Mm, thread: Thread) -> Step:
    """If the gap closes, the VMA above is swallowed: it is locked in the same way."""
    change = _change(thread)
    if change.remove:
        return vma_start_write(engine, thread, change.remove[0], commit_merge)
    return commit_merge


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_prepare")
def commit_merge(engine: Mm, thread: Thread) -> Step:
    """Everything concerned is locked: give the VMA its new range."""
    return commit_change(engine, thread, _change(thread), thread.back())
