"""Cutting a VMA in two at an address: __split_vma, with both halves write-locked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.paths.vma_change import VmaChange, vma_prepare
from pfviz.mm.reverse_map import anon_vma_clone
from pfviz.mm.vma import Vma
from pfviz.mm.vma_alloc import vm_area_dup
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def split_vma(
    engine: Mm,  # noqa: ARG001
    thread: Thread,
    vma: Vma,
    address: int,
    new_below: bool,
    then: Step,
) -> Step:
    """Cut `vma` at `address`; the new VMA is the part below or above. Then go on with `then`."""
    assert vma.vm_start < address < vma.vm_end
    change = VmaChange(vma, vma.vm_start, vma.vm_end, "split")
    change.start, change.end = (vma.vm_start, address) if new_below else (address, vma.vm_end)
    thread.change = change
    return thread.call(duplicate_vma, then)


@step("mm/vma.c", cost="vma_alloc", function="vm_area_dup")
def duplicate_vma(engine: Mm, thread: Thread) -> Step:
    """Duplicate the VMA: one half will be the new one."""
    change: VmaChange = thread.change
    change.insert = vm_area_dup(engine, change.vma, change.start, change.end)
    if engine.world.preset.tree == "rb":
        return _plan_split(engine, thread)  # The new VMA brings its node along.
    return reserve_split


@step("mm/vma.h", cost="ma_prealloc", function="vma_iter_prealloc")
def reserve_split(engine: Mm, thread: Thread) -> Step:
    """Reserve the tree nodes for the new half, while it may still fail."""
    return _plan_split(engine, thread)


def _plan_split(engine: Mm, thread: Thread) -> Step:
    change: VmaChange = thread.change
    change.plan = change.vma.mm.tree.prealloc(engine, change.start, change.end, change.insert)
    if change.vma.anon_vma is None:
        return clone_nothing
    return down_write(engine, thread, change.vma.anon_vma.rwsem, clone_anon_vma)


@step("mm/rmap.c", function="anon_vma_clone")
def clone_nothing(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The old half has no anon_vma: there is nothing to link the new one to."""
    return lock_both_halves


@step("mm/rmap.c", cost="interval_tree", function="anon_vma_clone")
def clone_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Link the new half to every anon_vma of the old one: both may map its pages."""
    change: VmaChange = thread.change
    assert change.insert is not None
    assert change.vma.anon_vma is not None
    anon_vma_clone(change.insert, change.vma)
    change.insert.anon_vma = change.vma.anon_vma
    up_write(engine, thread, change.vma.anon_vma.rwsem)
    return lock_both_halves


@step("mm/vma.c", function="__split_vma")
def lock_both_halves(engine: Mm, thread: Thread) -> Step:
    """Before ranges change, both halves are write-locked if VMAs have locks: first the old one."""
    return vma_start_write(engine, thread, thread.change.vma, lock_new_half)


@step("mm/vma.c", function="__split_vma")
def lock_new_half(engine: Mm, thread: Thread) -> Step:
    """Then the new one, which nobody can hold yet."""
    return vma_start_write(engine, thread, thread.change.insert, vma_prepare)
