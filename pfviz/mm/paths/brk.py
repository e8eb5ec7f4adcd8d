"""brk: the heap grows by merging into its VMA, and shrinks like a small munmap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.errno import ENOMEM
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PAGE_SHIFT, PROT_READ, PROT_WRITE, Brk
from pfviz.mm.paths.expand import expand
from pfviz.mm.paths.merge import merge_new_range
from pfviz.mm.paths.munmap import Unmap, unmap_range
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.paths.vma_change import VmaChange
from pfviz.mm.vma import Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import mode_held

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

HEAP_FLAGS: Final = PROT_READ | PROT_WRITE


@dataclass(slots=True, eq=False)
class BrkCall:
    """One growing brk on its way."""

    target: int
    """The break to be."""
    plan: Any = None
    """The store that makes the first heap VMA visible."""


def _call(thread: Thread) -> BrkCall:
    call = thread.sys
    assert isinstance(call, BrkCall)
    return call


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
    if target < mm.brk and next(mm.tree.between(target, mm.brk), None) is None:
        mmap_write_unlock(engine, thread, mm)  # Somebody has unmapped it: nothing to give back.
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
    thread.sys = BrkCall(target)
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
    mm, target = thread.mm, _call(thread).target
    before = mm.tree.before(mm.brk)
    pgoff = mm.brk >> PAGE_SHIFT
    change = merge_new_range(
        engine, before, None, mm.brk, target, HEAP_FLAGS, None, pgoff, expand_only=True
    )
    if change is None:
        return new_heap_vma
    thread.change = change
    return grow_heap


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_merge_new_range")
def grow_heap(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The heap can grow over the new pages: give its VMA another end."""
    change = thread.change
    assert isinstance(change, VmaChange)
    return expand(thread, change, brk_unlock)


@step("kernel/fork.c, mm/vma_init.c (6.16+)", cost="vma_alloc", function="vm_area_alloc")
def new_heap_vma(engine: Mm, thread: Thread) -> Step:
    """The process has no heap yet: allocate its VMA."""
    mm = thread.mm
    end = _call(thread).target
    vma = vm_area_alloc(engine, mm, mm.brk, end, HEAP_FLAGS, kind="heap", name="[heap]")
    thread.vma = vma
    then = vma_link if engine.world.preset.tree == "rb" else reserve_heap_nodes
    if not engine.world.preset.locks_new_vma:
        return then
    return vma_start_write(engine, thread, vma, then)


@step("lib/maple_tree.c", cost="ma_prealloc", function="mas_store_gfp")
def reserve_heap_nodes(engine: Mm, thread: Thread) -> Step:
    """Decide how the heap's VMA goes into the tree and take the nodes for it; this may sleep."""
    # Unlike mmap, brk reserves nothing ahead: until the store it can simply give up.
    call, tree, vma = _call(thread), thread.mm.tree, _heap(thread)
    assert isinstance(tree, VmaTree)
    call.plan = tree.prealloc(engine, vma.vm_start, vma.vm_end, vma, "mas_store_gfp")
    return build_store(thread, tree, call.plan, store_heap_vma)


@step("lib/maple_tree.c", function="mas_store_gfp")
def store_heap_vma(engine: Mm, thread: Thread) -> Step:
    """Publish the heap's VMA in the tree: from here on it can be found."""
    call = _call(thread)
    thread.mm.tree.store_prealloc(engine, call.plan)
    call.plan = None
    vma_mark_attached(engine, _heap(thread))
    return brk_unlock


@step("mm/mmap.c (until 6.0)")
def vma_link(engine: Mm, thread: Thread) -> Step:
    """Link the heap's VMA into the list and hang it into the tree."""
    vma = _heap(thread)
    _call(thread).plan = thread.mm.tree.prealloc(engine, vma.vm_start, vma.vm_end, vma)
    return store_heap_vma(engine, thread)


def _heap(thread: Thread) -> Vma:
    vma = thread.vma
    assert isinstance(vma, Vma)
    return vma


@step("mm/mmap.c", function="mmap_write_unlock")
def brk_unlock(engine: Mm, thread: Thread) -> Step:
    """Move the break and give mmap_lock back."""
    thread.mm.brk = thread.op_result = _call(thread).target
    mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()
