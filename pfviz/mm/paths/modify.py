"""Giving a part of a VMA new flags: merge with a neighbour that has them, or split (vma_modify).

For mprotect and flag-changing madvise; the VMA that ends up with the range is in `Modify.vma`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.paths.merge import merge_existing_range
from pfviz.mm.paths.split import split_vma
from pfviz.mm.paths.vma_change import VmaChange, commit_change
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Modify:
    """A range of one VMA that is to have other flags."""

    vma: Vma
    start: int
    end: int
    flags: int
    change: VmaChange | None = None
    to_lock: list[Vma] | None = None


def modify_flags(engine: Mm, thread: Thread, modify: Modify, then: Step) -> Step:  # noqa: ARG001
    """Make one VMA cover exactly the range (or more, after a merge); then go on with `then`."""
    thread.modify = modify
    return thread.call(vma_modify_flags, then)


def _modify(thread: Thread) -> Modify:
    modify = thread.modify
    assert isinstance(modify, Modify)
    return modify


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_merge_checks")
def vma_modify_flags(engine: Mm, thread: Thread) -> Step:
    """Has a neighbour the new flags already? Then the range can be given to it."""
    modify = _modify(thread)
    vma = modify.vma
    if modify.flags == vma.vm_flags:
        return thread.back()
    change = merge_existing_range(engine, vma, modify.start, modify.end, modify.flags)
    if change is None:
        return split_at_start
    modify.change = change
    others = [change.vma, *change.remove, *([change.shrink] if change.shrink else [])]
    modify.to_lock = [vma, *(other for other in others if other is not vma)]
    return lock_for_merge


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_merge_existing_range")
def lock_for_merge(engine: Mm, thread: Thread) -> Step:
    """Every VMA that the merge changes is write-locked, one after another, if VMAs have locks."""
    modify = _modify(thread)
    assert modify.to_lock is not None
    assert modify.change is not None
    if not modify.to_lock:
        modify.vma = modify.change.vma
        return commit_change(engine, thread, modify.change, modified)
    return vma_start_write(engine, thread, modify.to_lock.pop(0), lock_for_merge)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_modify")
def modified(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The range belongs to a VMA with the new flags."""
    return thread.back()


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_modify")
def split_at_start(engine: Mm, thread: Thread) -> Step:
    """No neighbour fits: cut off what lies below the range."""
    modify = _modify(thread)
    if modify.vma.vm_start < modify.start:
        return split_vma(engine, thread, modify.vma, modify.start, True, split_at_end)
    return split_at_end(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_modify")
def split_at_end(engine: Mm, thread: Thread) -> Step:
    """Cut off what lies above the range."""
    modify = _modify(thread)
    if modify.vma.vm_end > modify.end:
        return split_vma(engine, thread, modify.vma, modify.end, False, modified)
    return modified(engine, thread)
