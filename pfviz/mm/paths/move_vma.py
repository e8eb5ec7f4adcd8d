"""move_vma: a mapping goes over to another address, with its pages (the heart of mremap).

The old VMA is write-locked, a copy of it is put into the tree (or a neighbour of the new place
grows), the pages move, and the old range is unmapped, or stays empty (MREMAP_DONTUNMAP). All of it
under mmap_lock held for writing, which is not downgraded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.mm.paths import uffd_event
from pfviz.mm.paths.expand import expand
from pfviz.mm.paths.merge import merge_new_range
from pfviz.mm.paths.move_page_tables import Move, move_pages
from pfviz.mm.paths.munmap import Unmap, do_munmap
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.reverse_map import anon_vma_clone, unlink_anon_vmas
from pfviz.mm.vma import VM_LOCKED, VM_UFFD, Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class MremapCall:
    """One mremap on its way (struct vma_remap_struct)."""

    start: int
    old_length: int
    new_length: int
    vma: Vma | None = None
    target: int = 0
    """The new address."""
    copy: Vma | None = None
    """The VMA that covers the new place."""
    plan: Any = None
    """The store that makes a new VMA visible."""
    rmap_locks: bool = False
    keeps_old: bool = False
    """MREMAP_DONTUNMAP: the old range stays mapped, without pages."""
    grown: int = 0
    """Bytes at the end of a locked mapping that are to be made resident."""

    @property
    def end(self) -> int:
        """Where the old range ends."""
        return self.start + self.old_length

    @property
    def old(self) -> Vma:
        """The VMA that is moved."""
        assert self.vma is not None
        return self.vma

    @property
    def new(self) -> Vma:
        """The VMA that covers the new place."""
        assert self.copy is not None
        return self.copy


def _call(thread: Thread) -> MremapCall:
    call = thread.sys
    assert isinstance(call, MremapCall)
    return call


@step("mm/mremap.c", cost="vma_check")
def move_vma(engine: Mm, thread: Thread) -> Step:
    """The mapping has to move: if its VMA has a lock, take it for writing, so no fault runs."""
    return vma_start_write(engine, thread, _call(thread).old, copy_vma)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_check")
def copy_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Look at what lies around the new place."""
    return vma_merge if engine.world.preset.map_fixed_leaves_gap else vma_merge_new_range


@step("mm/mmap.c (until 6.11)", cost="vma_merge_checks")
def vma_merge(engine: Mm, thread: Thread) -> Step:
    """Could a neighbour of the new place simply grow over it, and take the pages in?"""
    return _merge_or_copy(engine, thread)


@step("mm/vma.c (6.12+)", cost="vma_merge_checks")
def vma_merge_new_range(engine: Mm, thread: Thread) -> Step:
    """Could a neighbour of the new place simply grow over it, and take the pages in?"""
    return _merge_or_copy(engine, thread)


def _merge_or_copy(engine: Mm, thread: Thread) -> Step:
    call = _call(thread)
    vma, tree, target = call.old, thread.mm.tree, call.target
    end = target + call.new_length
    change = merge_new_range(
        engine, tree.before(target), next(tree.between(end, end + PAGE_SIZE), None),
        target, end, vma.vm_flags, vma.vm_file, _pgoff(call), moved=vma,
    )  # fmt: skip
    if change is None:
        return dup_moved_vma
    call.copy = change.vma
    return expand(thread, change, copied_into_neighbour)


def _pgoff(call: MremapCall) -> int:
    """The offset keeps what the pages are; untouched anonymous memory takes that of its address."""
    if call.old.is_anonymous and call.old.anon_vma is None:
        return call.target >> PAGE_SHIFT
    return call.old.page_index(call.start)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_check", function="copy_vma")
def copied_into_neighbour(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """A neighbour has grown over the new place; it may be the very VMA that is moved."""
    call = _call(thread)
    if call.new.covers(call.start):
        call.vma = call.copy
    call.rmap_locks = call.new.vm_pgoff <= call.old.vm_pgoff
    return begin_moving


@step("kernel/fork.c, mm/vma_init.c (6.16+)", cost="vma_alloc", function="vm_area_dup")
def dup_moved_vma(engine: Mm, thread: Thread) -> Step:
    """No neighbour fits: duplicate the VMA for the new place."""
    call = _call(thread)
    vma = call.old
    kind = "anon" if vma.kind in ("heap", "stack") else vma.kind
    told = uffd_event.wants(vma, "remap")
    call.copy = vm_area_alloc(
        engine, thread.mm, call.target, call.target + call.new_length,
        vma.vm_flags if told else vma.vm_flags & ~VM_UFFD,
        vm_pgoff=_pgoff(call), kind=kind, name=vma.name, vm_file=vma.vm_file,
        userfaultfd=vma.userfaultfd if told else None,
    )  # fmt: skip
    if told:
        start, end = call.start, call.end
        return uffd_event.prepare(engine, thread, vma, "remap", start, end, clone_source)
    return clone_source(engine, thread)


@step("mm/rmap.c", function="anon_vma_clone")
def clone_source(engine: Mm, thread: Thread) -> Step:
    """The new VMA is to find the pages of the old one: lock its anon_vma, if it has one."""
    vma = _call(thread).old
    if vma.anon_vma is None:
        return _reserve_or_link(engine)
    return down_write(engine, thread, vma.anon_vma.rwsem, clone_moved_anon_vma)


@step("mm/rmap.c", cost="interval_tree", function="anon_vma_clone")
def clone_moved_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Link the new VMA to every anon_vma of the old one: it will map the same pages."""
    call = _call(thread)
    anon_vma = call.old.anon_vma
    assert anon_vma is not None
    anon_vma_clone(call.new, call.old)
    call.new.anon_vma = anon_vma
    up_write(engine, thread, anon_vma.rwsem)
    return _reserve_or_link(engine)


def _reserve_or_link(engine: Mm) -> Step:
    return vma_link_rb if engine.world.preset.tree == "rb" else vma_iter_prealloc


@step("mm/vma.h", cost="ma_prealloc")
def vma_iter_prealloc(engine: Mm, thread: Thread) -> Step:
    """Reserve the tree nodes for the new VMA: from here on its store cannot fail."""
    call = _call(thread)
    call.plan = thread.mm.tree.prealloc(engine, call.new.vm_start, call.new.vm_end, call.new)
    return vma_link


@step("mm/vma.c (6.12+), mm/mmap.c")
def vma_link(engine: Mm, thread: Thread) -> Step:
    """Kernels that know the danger write-lock the new VMA before anybody can find it."""
    call = _call(thread)
    publish = build_store(thread, thread.mm.tree, call.plan, store_moved_vma)
    if not engine.world.preset.locks_new_vma:
        return publish
    return vma_start_write(engine, thread, call.new, publish)


@step("mm/vma.h", function="vma_iter_store")
def store_moved_vma(engine: Mm, thread: Thread) -> Step:
    """Store the new VMA in the tree: it has no pages yet, and faults in it have to wait."""
    call = _call(thread)
    thread.mm.tree.store_prealloc(engine, call.plan)
    call.plan = None
    vma_mark_attached(engine, call.new)
    if call.new.vm_file is not None:
        return down_write(engine, thread, call.new.vm_file.i_mmap, vma_link_file)
    return begin_moving


@step("mm/mmap.c (until 6.0)", function="vma_link")
def vma_link_rb(engine: Mm, thread: Thread) -> Step:
    """Link the new VMA into the list and hang it into the tree: from here on it can be found."""
    call = _call(thread)
    call.plan = thread.mm.tree.prealloc(engine, call.new.vm_start, call.new.vm_end, call.new)
    return store_moved_vma(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="interval_tree")
def vma_link_file(engine: Mm, thread: Thread) -> Step:
    """Hang the new VMA into its file's tree, behind the old one."""
    vma = _call(thread).new
    assert vma.vm_file is not None
    vma.vm_file.link(vma)
    up_write(engine, thread, vma.vm_file.i_mmap)
    return begin_moving


@step("mm/mremap.c", cost="vma_check", function="move_vma")
def begin_moving(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Both places have their VMA: let the pages go over."""
    call = _call(thread)
    move = Move(call.old, call.start, call.target, call.old_length, call.rmap_locks)
    return move_pages(thread, move, pages_moved)


@step("mm/mremap.c", cost="perf_event_mmap", function="move_vma")
def pages_moved(engine: Mm, thread: Thread) -> Step:
    """The pages are at their new place: the old range is unmapped, or stays and is empty."""
    call = _call(thread)
    if not call.keeps_old:
        unmap = Unmap(thread.mm, call.start, call.end, downgrade=False)
        return do_munmap(thread, unmap, moved)
    vma = call.old
    if vma.vm_flags & VM_LOCKED:
        vma.vm_flags &= ~VM_LOCKED
        vma.emit_changed(engine, "mremap")
    is_whole = (vma.vm_start, vma.vm_end) == (call.start, call.end)
    if not is_whole or call.copy is vma or vma.anon_vma is None:
        return moved
    return down_write(engine, thread, vma.anon_vma.rwsem, unlink_anon_vmas_of_old)


@step("mm/rmap.c", cost="interval_tree", function="unlink_anon_vmas")
def unlink_anon_vmas_of_old(engine: Mm, thread: Thread) -> Step:
    """The old VMA has no pages any more: it loses its anon_vma, which faults rely on to stay."""
    vma = _call(thread).old
    assert vma.anon_vma is not None
    rwsem = vma.anon_vma.rwsem
    if engine.world.watch is not None:
        engine.world.watch.anon_vma_dropped(engine, thread, vma)
    unlink_anon_vmas(vma)
    vma.emit_changed(engine, "anon_vma")
    up_write(engine, thread, rwsem)
    return moved


@step("mm/mremap.c", cost="vma_check", function="move_vma")
def moved(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The mapping has moved."""
    return thread.back()
