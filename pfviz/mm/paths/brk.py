"""brk: the heap grows by merging into its VMA, and shrinks like a small munmap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PAGE_SHIFT, PROT_READ, PROT_WRITE, Brk
from pfviz.mm.paths.merge import merge_new_range
from pfviz.mm.paths.munmap import Unmap, unmap_range
from pfviz.mm.paths.vma_change import VmaChange, commit_change
from pfviz.mm.vma import Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import mode_held

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

ENOMEM: Final = -12
HEAP_FLAGS: Final = PROT_READ | PROT_WRITE


@step("mm/mmap.c", cost="munmap_checks", function="__x64_sys_brk")
def sys_brk(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: the heap is to change its size."""
    return mmap_write_lock(engine, thread, thread.mm, check_brk_limits)


@step("mm/mmap.c", cost="get_unmapped_area")
def check_brk_limits(engine: Mm, thread: Thread) -> Step:
    """Is there room above the heap (or heap to give back)?"""
    operation = thread.operation
    assert isinstance(operation, Brk)
    mm = thread.mm
    target = mm.brk + (operation.pages << PAGE_SHIFT)
    thread.op_result = mm.brk
    if target == mm.brk or target < mm.start_brk:
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    if target < mm.brk:
        unmap = Unmap(mm, target, mm.brk, engine.world.policy.downgrade)
        # The break moves first: the lock is given back inside.
        mm.brk = thread.op_result = target
        return unmap_range(engine, thread, unmap, shrunk)
    if next(mm.tree.between(mm.brk, target), None) is not None:
        thread.op_result = ENOMEM
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    thread.sys = target
    return do_brk_flags


@step("mm/mmap.c", function="__x64_sys_brk")
def shrunk(engine: Mm, thread: Thread) -> Step:
    """The pages above the new break are gone."""
    if mode_held(thread.mm.mmap_lock, thread) == WRITE:  # It was not downgraded.
        mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_merge_checks")
def do_brk_flags(engine: Mm, thread: Thread) -> Step:
    """Let the heap's VMA grow over the new pages; only the first brk needs a new VMA."""
    mm, target = thread.mm, thread.sys
    before = mm.tree.before(mm.brk)
    pgoff = mm.brk >> PAGE_SHIFT
    change = merge_new_range(
        engine, before, None, mm.brk, target, HEAP_FLAGS, None, pgoff, expand_only=True
    )
    if change is None:
        return new_heap_vma
    thread.change = change
    return vma_start_write(engine, thread, change.vma, grow_heap)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_prepare", function="commit_merge")
def grow_heap(engine: Mm, thread: Thread) -> Step:
    """The heap's VMA is write-locked: give it its new end."""
    change = thread.change
    assert isinstance(change, VmaChange)
    return commit_change(engine, thread, change, brk_unlock)


@step("kernel/fork.c, mm/vma_init.c (6.16+)", cost="vma_alloc", function="vm_area_alloc")
def new_heap_vma(engine: Mm, thread: Thread) -> Step:
    """The process has no heap yet: allocate its VMA."""
    mm = thread.mm
    vma = vm_area_alloc(engine, mm, mm.brk, thread.sys, HEAP_FLAGS, kind="heap", name="[heap]")
    thread.vma = vma
    if not engine.world.preset.locks_new_vma:
        return vma_link if engine.world.preset.tree == "rb" else store_heap_vma
    return vma_start_write(engine, thread, vma, store_heap_vma)


@step("mm/vma.h", cost="ma_prealloc", function="vma_iter_store_new")
def store_heap_vma(engine: Mm, thread: Thread) -> Step:
    """Store the heap's VMA in the tree."""
    vma = thread.vma
    assert isinstance(vma, Vma)
    plan = thread.mm.tree.prealloc(engine, vma.vm_start, vma.vm_end, vma)
    thread.mm.tree.store_prealloc(engine, plan)
    vma_mark_attached(engine, vma)
    return brk_unlock


@step("mm/mmap.c (until 6.0)")
def vma_link(engine: Mm, thread: Thread) -> Step:
    """Link the heap's VMA into the list and hang it into the tree."""
    return store_heap_vma(engine, thread)


@step("mm/mmap.c", function="mmap_write_unlock")
def brk_unlock(engine: Mm, thread: Thread) -> Step:
    """Move the break and give mmap_lock back."""
    thread.mm.brk = thread.op_result = thread.sys
    mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()
