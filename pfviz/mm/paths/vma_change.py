"""Changing the ranges of VMAs in the tree: vma_prepare, store, vma_complete, for merges and splits.

The VMAs are write-locked by the caller; here are the reverse-map locks around the one store that
makes the change visible, and the end of VMAs that were swallowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.mm.page_cache import File
from pfviz.mm.paths.huge_split import split_huge_pmd
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.reverse_map import AnonVma, anon_vma_clone, unlink_anon_vmas
from pfviz.mm.vma import Vma
from pfviz.mm.vma_alloc import vm_area_free
from pfviz.mm.vma_lock import vma_mark_attached, vma_mark_detached
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class VmaChange:
    """One change of ranges (struct vma_prepare and vma_merge_struct)."""

    vma: Vma
    """The VMA that is stored over [start, end), or that makes room for `insert`."""
    start: int
    end: int
    why: str
    insert: Vma | None = None
    """The other half of a split: stored over its own range."""
    remove: list[Vma] = field(default_factory=list)
    """VMAs that the merge swallows."""
    shrink: Vma | None = None
    """A neighbour that loses to `vma` what lies in [start, end)."""
    anon_vma_from: Vma | None = None
    """Whose anon_vma `vma` takes over first (dup_anon_vma)."""
    anon_vma: AnonVma | None = None
    file: File | None = None
    plan: Any = None
    """The store as the tree planned it."""
    old_half: Any = None
    """The store of the VMA that is cut, where a kernel stores both halves."""


def commit_change(engine: Mm, thread: Thread, change: VmaChange, then: Step) -> Step:
    """Carry out a change whose VMAs are write-locked, then go on with `then`."""
    thread.change = change
    if change.anon_vma_from is not None:
        return thread.call(dup_anon_vma, then)
    return thread.call(_first_step(engine), then)


def _first_step(engine: Mm) -> Step:
    return vma_adjust if engine.world.preset.tree == "rb" else vma_iter_prealloc


def _change(thread: Thread) -> VmaChange:
    change = thread.change
    assert isinstance(change, VmaChange)
    return change


@step("mm/vma.c", cost="anon_vma_alloc")
def dup_anon_vma(engine: Mm, thread: Thread) -> Step:
    """The VMA that grows has no anon_vma: it takes over that of the VMA it swallows."""
    change = _change(thread)
    assert change.anon_vma_from is not None
    assert change.anon_vma_from.anon_vma is not None
    return down_write(engine, thread, change.anon_vma_from.anon_vma.rwsem, dup_anon_vma_locked)


@step("mm/rmap.c", cost="interval_tree", function="anon_vma_clone")
def dup_anon_vma_locked(engine: Mm, thread: Thread) -> Step:
    """Link the growing VMA to the anon_vma, under the anon_vma's lock."""
    change = _change(thread)
    source = change.anon_vma_from
    assert source is not None
    assert source.anon_vma is not None
    anon_vma_clone(change.vma, source)
    change.vma.anon_vma = source.anon_vma
    up_write(engine, thread, source.anon_vma.rwsem)
    return _first_step(engine)


@step("mm/vma.h", cost="ma_prealloc")
def vma_iter_prealloc(engine: Mm, thread: Thread) -> Step:
    """Reserve the tree nodes that the store will need: from here on it cannot fail."""
    change = _change(thread)
    change.plan = change.vma.mm.tree.prealloc(engine, change.start, change.end, change.vma)
    return vma_prepare


@step("mm/mmap.c (until 6.0)", cost="vma_prepare", function="__vma_adjust")
def vma_adjust(engine: Mm, thread: Thread) -> Step:
    """No node has to be reserved, each is part of its VMA: lock the reverse map at once."""
    change = _change(thread)
    change.plan = change.vma.mm.tree.prealloc(engine, change.start, change.end, change.vma)
    return vma_prepare(engine, thread)


@step("mm/vma.c", cost="vma_prepare")
def vma_prepare(engine: Mm, thread: Thread) -> Step:
    """Lock the reverse map of the VMA: nobody may find its pages while its range changes."""
    change = _change(thread)
    change.file = change.vma.vm_file
    neighbour = change.shrink
    change.anon_vma = change.vma.anon_vma or (neighbour.anon_vma if neighbour else None)
    if change.file is not None:
        return down_write(engine, thread, change.file.i_mmap, vma_prepare_anon)
    return vma_prepare_anon(engine, thread)


@step("mm/vma.c", function="vma_prepare")
def vma_prepare_anon(engine: Mm, thread: Thread) -> Step:
    """Lock the anon_vma, if pages of the VMA hang on one, and take the VMA out of its tree."""
    change = _change(thread)
    huge = change.vma.mm.page_tables.huge
    then = vma_adjust_trans_huge if huge else _store_step(engine, thread)
    if change.anon_vma is not None:
        return down_write(engine, thread, change.anon_vma.rwsem, then)
    return then


@step("mm/huge_memory.c", cost="vma_check")
def vma_adjust_trans_huge(engine: Mm, thread: Thread) -> Step:
    """A huge page that the new border would cut through is split first."""
    change = _change(thread)
    mm = change.vma.mm
    others = (change.insert, change.shrink)
    borders = {change.start, change.end, change.vma.vm_start, change.vma.vm_end}
    borders.update(edge for vma in others if vma for edge in (vma.vm_start, vma.vm_end))
    for border in sorted(borders):
        huge = mm.page_tables.huge_at(border)
        if huge is not None and huge.base != border:
            return split_huge_pmd(thread, mm, huge, vma_adjust_trans_huge)
    return _store_step(engine, thread)


def _store_step(engine: Mm, thread: Thread) -> Step:
    if engine.world.preset.tree == "rb":
        return adjust_in_place
    change = _change(thread)
    if change.insert is None:
        return build_store(thread, change.vma.mm.tree, change.plan, vma_iter_store)
    is_below = change.insert.vm_start == change.vma.vm_start
    if is_below and engine.world.preset.split_stores_old_half:
        return store_old_half
    return build_store(thread, change.vma.mm.tree, change.plan, store_new_half)


@step("mm/mmap.c (until 6.2)", function="vma_mas_store")
def store_old_half(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The VMA that is cut is stored over what stays its own; below it, it is still found, too."""
    change = _change(thread)
    tree, vma = change.vma.mm.tree, change.vma
    assert isinstance(tree, VmaTree)
    change.old_half = tree.plan(change.end, vma.vm_end, vma, "mas_store_prealloc")
    return build_store(thread, tree, change.old_half, publish_old_half)


@step("mm/mmap.c (until 6.2)", function="vma_mas_store")
def publish_old_half(engine: Mm, thread: Thread) -> Step:
    """The tree has two slots for the VMA that is cut; the new one takes the lower of them next."""
    change = _change(thread)
    tree = change.vma.mm.tree
    assert isinstance(tree, VmaTree)
    tree.store_prealloc(engine, change.old_half)
    change.plan = tree.plan(change.start, change.end, change.insert, "mas_store_prealloc")
    return build_store(thread, tree, change.plan, store_new_half)


@step("mm/vma.c", function="vma_complete")
def store_new_half(engine: Mm, thread: Thread) -> Step:
    """Set the ranges of both halves and store the new one: walkers see the old or the new entry."""
    return vma_iter_store(engine, thread)


@step("mm/mmap.c (until 6.0)", function="__vma_adjust")
def adjust_in_place(engine: Mm, thread: Thread) -> Step:
    """Set the new ranges and correct the gaps above; what was swallowed leaves tree and list."""
    return vma_iter_store(engine, thread)


@step("mm/vma.h")
def vma_iter_store(engine: Mm, thread: Thread) -> Step:
    """Set the new ranges and store the VMA: lockless walkers see the old or the new entry."""
    change = _change(thread)
    assert change.plan is not None
    vma, other = change.vma, change.insert or change.shrink
    if change.insert is None:
        vma.vm_pgoff += (change.start - vma.vm_start) >> 12
        vma.vm_start, vma.vm_end = change.start, change.end
    if other is not None:
        taker = change.insert or vma
        loser = vma if change.insert is not None else other
        if taker.vm_start <= loser.vm_start:
            loser.vm_pgoff += (taker.vm_end - loser.vm_start) >> 12
            loser.vm_start = taker.vm_end
        else:
            loser.vm_end = taker.vm_start
        loser.emit_changed(engine, change.why)
    vma.mm.tree.store_prealloc(engine, change.plan)
    if change.insert is not None:
        vma_mark_attached(engine, change.insert)
    else:
        vma.emit_changed(engine, change.why)
    return vma_complete


@step("mm/vma.c", cost="vma_complete")
def vma_complete(engine: Mm, thread: Thread) -> Step:
    """Put the VMA back into the reverse map and unlock it."""
    change = _change(thread)
    if change.file is not None and change.insert is not None:
        change.file.vmas.append(change.insert.id)
    if change.anon_vma is not None:
        up_write(engine, thread, change.anon_vma.rwsem)
    if change.file is not None:
        up_write(engine, thread, change.file.i_mmap)
    return _next_removed(engine, thread)


def _next_removed(engine: Mm, thread: Thread) -> Step:
    change = _change(thread)
    if not change.remove:
        thread.change = None
        return thread.back()
    return vma_mark_detached(engine, thread, change.remove[0], remove_swallowed)


@step("mm/vma.c", function="vma_complete")
def remove_swallowed(engine: Mm, thread: Thread) -> Step:
    """A VMA was swallowed by the merge: take it out of its anon_vmas."""
    change = _change(thread)
    vma = change.remove[0]
    if vma.vm_file is not None:
        vma.vm_file.vmas.remove(vma.id)
    if vma.anon_vma is None:
        unlink_anon_vmas(vma)
        return free_swallowed
    return down_write(engine, thread, vma.anon_vma.rwsem, unlink_swallowed)


@step("mm/rmap.c", cost="interval_tree", function="unlink_anon_vmas")
def unlink_swallowed(engine: Mm, thread: Thread) -> Step:
    """Unlink the swallowed VMA from its anon_vmas, under their root's lock."""
    vma = _change(thread).remove[0]
    assert vma.anon_vma is not None
    rwsem = vma.anon_vma.rwsem
    unlink_anon_vmas(vma)
    up_write(engine, thread, rwsem)
    return free_swallowed


@step("kernel/fork.c, mm/vma_init.c (6.16+)", function="vm_area_free")
def free_swallowed(engine: Mm, thread: Thread) -> Step:
    """Free the VMA that was swallowed."""
    vm_area_free(engine, _change(thread).remove.pop(0))
    return _next_removed(engine, thread)
