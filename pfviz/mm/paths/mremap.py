"""mremap: a mapping gets shorter, grows where it is, or moves; one write section of mmap_lock.

Shrinking is a munmap of the tail and ends as that does. Only growth in place and moves write-lock
the VMA itself. Where the mapping goes over to another address is the business of `move_vma`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.address_space import MMAP_MIN, TASK_SIZE
from pfviz.mm.errno import EFAULT, EINVAL, ENOMEM
from pfviz.mm.hugetlb import cuts_huge_page
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE, Mremap
from pfviz.mm.paths import uffd_event
from pfviz.mm.paths.expand import expand
from pfviz.mm.paths.merge import merge_new_range
from pfviz.mm.paths.move_vma import MremapCall, move_vma
from pfviz.mm.paths.munmap import Unmap, do_munmap
from pfviz.mm.paths.populate import mm_populate
from pfviz.mm.paths.vma_change import VmaChange
from pfviz.mm.vma import VM_DONTEXPAND, VM_HUGETLB, VM_LOCKED, VM_PFNMAP, Vma
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import mode_held

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> MremapCall:
    call = thread.sys
    assert isinstance(call, MremapCall)
    return call


def _asked(thread: Thread) -> Mremap:
    operation = thread.operation
    assert isinstance(operation, Mremap)
    return operation


@step("mm/mremap.c", cost="munmap_checks", function="__x64_sys_mremap")
def sys_mremap(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: a mapping is to change its size or its place."""
    asked = _asked(thread)
    start = thread.resolve(asked.place)
    target = thread.resolve(asked.to) if asked.to is not None else 0
    if (
        start is None
        or target is None
        or start % PAGE_SIZE
        or min(asked.pages, asked.new_pages) < 1
    ):
        thread.op_result = EINVAL
        return thread.back()
    call = MremapCall(start, asked.pages << PAGE_SHIFT, asked.new_pages << PAGE_SHIFT)
    call.target, call.keeps_old = target, asked.dontunmap
    overlaps = target < call.end and call.start < target + call.new_length
    if asked.to is not None and (overlaps or target % PAGE_SIZE or target < MMAP_MIN):
        thread.op_result = EINVAL
        return thread.back()
    thread.sys = call
    early = engine.world.preset.mremap_checks == "early"
    moves_only = asked.to is not None and asked.pages == asked.new_pages
    first = next_vma_to_move if early and moves_only else vma_lookup
    return mmap_write_lock(engine, thread, thread.mm, first)


@step("include/linux/mm.h", cost="find_vma")
def vma_lookup(engine: Mm, thread: Thread) -> Step:
    """Find the VMA at the old address."""
    return _found(engine, thread, thread.mm.tree.load(engine, _call(thread).start))


@step("mm/mremap.c (6.17+)", cost="find_vma", function="remap_move")
def next_vma_to_move(engine: Mm, thread: Thread) -> Step:
    """A move without a change of size may take several VMAs along: go to the first one."""
    start = _call(thread).start
    vma = thread.mm.tree.next_at(engine, start)
    return _found(engine, thread, vma if vma is not None and vma.vm_start <= start else None)


def _found(engine: Mm, thread: Thread, vma: Vma | None) -> Step:
    call, asked = _call(thread), _asked(thread)
    if vma is None:
        return _fails(engine, thread, EFAULT)
    # Moving huge pages of hugetlb is not modelled, and nobody may cut one.
    to = None if asked.to is None else thread.resolve(asked.to)
    cuts = to is not None and cuts_huge_page(thread.mm, to, to + call.new_length)
    if vma.vm_flags & VM_HUGETLB or cuts:
        return _fails(engine, thread, EINVAL)
    call.vma = vma
    if engine.world.preset.mremap_checks == "early":
        return check_prep_vma
    if asked.to is not None or asked.dontunmap:
        return mremap_to
    return _resize(engine, thread)


@step("mm/mremap.c (6.17+)", cost="vma_check")
def check_prep_vma(engine: Mm, thread: Thread) -> Step:
    """Check before anything changes: does one VMA hold all of the old range?"""
    call, asked = _call(thread), _asked(thread)
    if call.new_length > call.old_length or asked.to is not None or asked.dontunmap:
        error = _resize_error(call, asked)
        if error:
            return _fails(engine, thread, error)
    if asked.to is not None or asked.dontunmap:
        return mremap_to
    return _resize(engine, thread)


def _resize(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    if call.new_length == call.old_length:
        return mremap_done
    if call.new_length < call.old_length:
        return shrink_vma
    if engine.world.preset.mremap_checks == "late":
        return vma_to_resize
    return _grow_or_move(engine, thread)


def _resize_error(call: MremapCall, asked: Mremap) -> int:
    if call.vma is None or call.end > call.vma.vm_end:
        return EFAULT
    fixed = call.vma.vm_flags & (VM_DONTEXPAND | VM_PFNMAP)
    if asked.dontunmap and (call.old_length != call.new_length or fixed):
        return EINVAL
    return EFAULT if fixed and call.new_length > call.old_length else 0


# Shrink


@step("mm/mremap.c")
def shrink_vma(engine: Mm, thread: Thread) -> Step:
    """The mapping gets shorter: its tail is unmapped as by munmap."""
    call = _call(thread)
    unmap = Unmap(thread.mm, call.start + call.new_length, call.end, engine.world.policy.downgrade)
    return do_munmap(thread, unmap, mremap_done)


# Grow in place


@step("mm/mremap.c (until 6.16)", cost="find_vma")
def vma_to_resize(engine: Mm, thread: Thread) -> Step:
    """Look the VMA up once more: may it grow or move at all?"""
    call, asked = _call(thread), _asked(thread)
    call.vma = thread.mm.tree.load(engine, call.start)
    error = _resize_error(call, asked)
    if error:
        return _fails(engine, thread, error)
    if asked.to is not None or asked.dontunmap:
        return get_unmapped_area
    return _grow_or_move(engine, thread)


def _grow_or_move(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    if call.end == call.old.vm_end:
        return find_vma_intersection
    return _must_move(engine, thread)


@step("include/linux/mm.h", cost="find_vma")
def find_vma_intersection(engine: Mm, thread: Thread) -> Step:
    """The range ends with its VMA: is the room behind it free?"""
    call = _call(thread)
    end = call.start + call.new_length
    behind = thread.mm.tree.find(engine, call.end)
    if end > TASK_SIZE or (behind is not None and behind.vm_start < end):
        return _must_move(engine, thread)
    return vma_merge if engine.world.preset.map_fixed_leaves_gap else vma_merge_extend


@step("mm/vma.c (6.12+)")
def vma_merge_extend(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """There is room: as if a new mapping were made right behind the VMA."""
    return vma_merge_new_range


@step("mm/vma.c (6.12+)", cost="vma_merge_checks")
def vma_merge_new_range(engine: Mm, thread: Thread) -> Step:
    """The VMA grows like a neighbour of that mapping, and may close a gap."""
    return _extend(engine, thread)


@step("mm/mmap.c (until 6.11)", cost="vma_merge_checks")
def vma_merge(engine: Mm, thread: Thread) -> Step:
    """There is room: the VMA grows like a neighbour of a new mapping, and may close a gap."""
    return _extend(engine, thread)


def _extend(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    vma, end = call.old, call.start + call.new_length
    behind = next(thread.mm.tree.between(end, end + PAGE_SIZE), None)
    pgoff = vma.vm_pgoff + vma.pages
    change = merge_new_range(
        engine, vma, behind, call.end, end, vma.vm_flags, vma.vm_file, pgoff, moved=vma
    )
    if change is None or change.vma is not vma:
        change = VmaChange(vma, vma.vm_start, end, "mremap")
    return expand(thread, change, grown)


@step("mm/mremap.c", cost="perf_event_mmap", function="__x64_sys_mremap")
def grown(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The VMA has its new size, at its old address."""
    call = _call(thread)
    call.target = call.start
    _note_growth(call)
    return mremap_done


# Move


def _must_move(engine: Mm, thread: Thread) -> Step:
    return get_unmapped_area if _asked(thread).maymove else _fails(engine, thread, ENOMEM)


@step("mm/mremap.c", cost="vma_check")
def mremap_to(engine: Mm, thread: Thread) -> Step:
    """The caller says where to: what is mapped there now has to go first."""
    call, asked = _call(thread), _asked(thread)
    if asked.to is None:
        return cut_tail(engine, thread)
    unmap = Unmap(thread.mm, call.target, call.target + call.new_length, downgrade=False)
    return do_munmap(thread, unmap, cut_tail)


@step("mm/mremap.c", cost="vma_check", function="mremap_to")
def cut_tail(engine: Mm, thread: Thread) -> Step:
    """If the mapping is to get shorter on the way, its tail goes before it moves."""
    call = _call(thread)
    tail, end = call.start + call.new_length, call.end
    late = engine.world.preset.mremap_checks == "late"
    then = vma_to_resize if late else look_up_again
    if tail >= end or _asked(thread).to is None:
        return then
    call.old_length = call.new_length
    return do_munmap(thread, Unmap(thread.mm, tail, end, downgrade=False), then)


@step("mm/mremap.c (6.17+)", cost="find_vma", function="mremap_to")
def look_up_again(engine: Mm, thread: Thread) -> Step:
    """What was unmapped may have been a part of the VMA: look it up again."""
    call = _call(thread)
    if _asked(thread).to is not None:
        call.vma = thread.mm.tree.load(engine, call.start)
    return get_unmapped_area


@step("mm/mmap.c", cost="get_unmapped_area", function="__get_unmapped_area")
def get_unmapped_area(engine: Mm, thread: Thread) -> Step:
    """Look for a free range, unless the caller said which."""
    call, mm = _call(thread), thread.mm
    if _asked(thread).to is None:
        found = mm.tree.gap_below(MMAP_MIN, mm.mmap_base, call.new_length)
        if found is None:
            return _fails(engine, thread, ENOMEM)
        if isinstance(mm.tree, VmaTree):
            mm.tree.show_path(engine, found)
        call.target = found
    _note_growth(call)
    return thread.call(move_vma, mremap_done)


def _note_growth(call: MremapCall) -> None:
    if call.old.vm_flags & VM_LOCKED:
        call.grown = max(0, call.new_length - call.old_length)


# Finish


def _fails(engine: Mm, thread: Thread, error: int) -> Step:
    thread.op_result = error
    mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()


@step("mm/mremap.c", function="mmap_write_unlock")
def mremap_done(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back, unless a munmap of the tail did; a locked mapping is made resident."""
    call, asked = _call(thread), _asked(thread)
    thread.op_result = call.target or call.start
    if asked.slot:
        thread.slots[asked.slot] = thread.op_result
    if mode_held(thread.mm.mmap_lock, thread) == WRITE:
        mmap_write_unlock(engine, thread, thread.mm)
    if thread.uffd_events:
        return uffd_event.complete(thread, mremap_populate)
    return _populate(engine, thread)


@step("mm/mremap.c", function="mremap")
def mremap_populate(engine: Mm, thread: Thread) -> Step:
    """Monitors know of the move."""
    return _populate(engine, thread)


def _populate(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    if not call.grown:
        return thread.back()
    end = thread.op_result + call.new_length
    return mm_populate(engine, thread, end - call.grown, end, thread.back())
