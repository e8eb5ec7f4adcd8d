"""mmap: find a gap, merge with a neighbour or make a new VMA, all under mmap_lock for writing.

The new VMA is write-locked before the tree shows it; a neighbour that grows is write-locked before
its range changes, which waits for every fault that holds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pfviz.mm.errno import EINVAL, ENOMEM
from pfviz.mm.hugetlb import cuts_huge_page, hugetlb_file_setup
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import (
    MAP_GROWSDOWN,
    MAP_HUGETLB,
    MAP_LOCKED,
    MAP_POPULATE,
    MAP_SHARED,
    PAGE_SHIFT,
    PAGE_SIZE,
    Mmap,
)
from pfviz.mm.page_cache import File, shmem_zero_setup
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.driver_mmap import call_mmap
from pfviz.mm.paths.expand import expand
from pfviz.mm.paths.free_pgtables import free_pgtables
from pfviz.mm.paths.merge import merge_new_range
from pfviz.mm.paths.munmap import Unmap, gather_vmas, unmap_range
from pfviz.mm.paths.populate import mm_populate
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.paths.zap import begin_zap, tlb_finish_mmu, unmap_vmas
from pfviz.mm.vma import VM_GROWSDOWN, VM_HUGETLB, VM_LOCKED, VM_SHARED, Vma
from pfviz.mm.vma_alloc import vm_area_alloc, vm_area_free
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.mm.vma_ranges import unmapped_area
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class MmapCall:
    """One mmap on its way."""

    start: int
    end: int
    flags: int
    pgoff: int
    file: File | None
    name: str
    vma: Vma | None = None
    unmap: Unmap | None = None
    plan: Any = None
    """The store that makes the new VMA visible."""


def _call(thread: Thread) -> MmapCall:
    call = thread.sys
    assert isinstance(call, MmapCall)
    return call


@step("mm/util.c", cost="mmap_checks")
def vm_mmap_pgoff(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: a new mapping changes the tree."""
    return mmap_write_lock(engine, thread, thread.mm, get_unmapped_area)


@step("mm/mmap.c", cost="get_unmapped_area", function="__get_unmapped_area")
def get_unmapped_area(engine: Mm, thread: Thread) -> Step:
    """Look for a free range, from the top of the mapping area downwards."""
    operation = thread.operation
    assert isinstance(operation, Mmap)
    mm, length = thread.mm, operation.pages << PAGE_SHIFT
    file = engine.world.files.get(operation.file) if operation.file else None
    start = _place(engine, thread, operation, length)
    if start is None or (operation.file and file is None) or operation.pages <= 0:
        thread.op_result = ENOMEM if operation.pages > 0 else EINVAL
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    thread.op_result = _refuses(engine, thread, operation, start)
    if thread.op_result:
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    if operation.flags & MAP_HUGETLB:
        file = hugetlb_file_setup(engine, mm, operation.pages)
        if file is None:
            thread.op_result = ENOMEM
            mmap_write_unlock(engine, thread, mm)
            return thread.back()
    if file is None and operation.flags & MAP_SHARED:
        file = shmem_zero_setup(engine, operation.pages)
    pgoff = operation.pgoff if file is not None else start >> PAGE_SHIFT
    flags = operation.prot
    flags |= VM_SHARED if operation.flags & MAP_SHARED else 0
    flags |= VM_LOCKED if operation.flags & MAP_LOCKED else 0
    flags |= VM_HUGETLB if operation.flags & MAP_HUGETLB else 0
    flags |= VM_GROWSDOWN if operation.flags & MAP_GROWSDOWN else 0
    flags |= file.driver.vm_flags if file is not None and file.driver is not None else 0
    thread.sys = MmapCall(start, start + length, flags, pgoff, file, operation.name)
    if next(mm.tree.between(start, start + length), None) is not None:
        return clear_old_mappings
    return vma_merge_new_range


def _refuses(engine: Mm, thread: Thread, operation: Mmap, start: int) -> int:  # noqa: ARG001
    """The error of a mapping that would cut a huge page of hugetlb, or is not made of them."""
    end = start + (operation.pages << PAGE_SHIFT)
    aligned = not (start | end) % TABLE_SPAN
    if cuts_huge_page(thread.mm, start, end) or (operation.flags & MAP_HUGETLB and not aligned):
        return EINVAL
    return 0


def _is_aligned(engine: Mm, operation: Mmap, length: int) -> bool:
    """Whether a new mapping is to begin at a multiple of 2 MiB (thp_get_unmapped_area).

    Kernels since 6.7 align large anonymous mappings whatever is said of huge pages; here only
    where policy lets memory have them.
    """
    if operation.flags & MAP_HUGETLB:
        return True
    if operation.file or operation.flags & MAP_SHARED or engine.world.policy.thp == "never":
        return False
    aligned = engine.world.preset.mmap_aligns
    return length >= TABLE_SPAN and (
        aligned == "large" or (aligned == "multiples" and not length % TABLE_SPAN)
    )


def _place(engine: Mm, thread: Thread, operation: Mmap, length: int) -> int | None:
    if operation.at is None and _is_aligned(engine, operation, length):
        start = unmapped_area(thread, operation, length + TABLE_SPAN)
        if start is not None:
            return -(-start // TABLE_SPAN) * TABLE_SPAN
    start = unmapped_area(thread, operation, length)
    tree = thread.mm.tree
    is_searched = operation.at is None or start != thread.resolve(operation.at)
    if start is not None and is_searched and isinstance(tree, VmaTree):
        tree.show_path(engine, start)
    return start


# MAP_FIXED over existing mappings


@step("mm/vma.c (6.12+), mm/mmap.c", function="__mmap_region")
def clear_old_mappings(engine: Mm, thread: Thread) -> Step:
    """The range is taken (MAP_FIXED): the old mappings have to go."""
    call = _call(thread)
    unmap = Unmap(thread.mm, call.start, call.end, downgrade=False)
    if engine.world.preset.map_fixed_leaves_gap:
        # Until 6.11 the old range was unmapped first: look-ups could see the gap.
        return unmap_range(engine, thread, unmap, vma_merge_new_range)
    call.unmap = unmap
    return gather_vmas(engine, thread, unmap, vms_clean_up_area)


@step("mm/vma.c (6.12+)")
def vms_clean_up_area(engine: Mm, thread: Thread) -> Step:
    """Empty the old mappings but leave them in the tree: the new one will replace them at once."""
    call = _call(thread)
    assert call.unmap is not None
    if engine.world.preset.unmap_drains_lru:
        return thread.call(lru_add_drain, then=vms_clear_ptes)
    return vms_clear_ptes(engine, thread)


@step("mm/vma.c (6.12+)")
def vms_clear_ptes(engine: Mm, thread: Thread) -> Step:
    """Collect the pages of the old mappings."""
    call = _call(thread)
    assert call.unmap is not None
    begin_zap(engine, thread, thread.mm, "mmap over a mapping")
    ranges = [(vma, vma.vm_start, vma.vm_end) for vma in call.unmap.vmas]
    return unmap_vmas(thread, ranges, free_old_tables)


@step("mm/vma.c (6.12+)", function="vms_clean_up_area")
def free_old_tables(engine: Mm, thread: Thread) -> Step:
    """Take the page tables of the old mappings out."""
    call = _call(thread)
    assert call.unmap is not None
    thread.returns.append(vma_merge_new_range)
    return free_pgtables(engine, thread, thread.mm, call.unmap.vmas, False, tlb_finish_mmu)


# Merge or make


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_merge_checks")
def vma_merge_new_range(engine: Mm, thread: Thread) -> Step:
    """Could a neighbour simply grow over the new range?"""
    call = _call(thread)
    tree = thread.mm.tree
    before = tree.before(call.start)
    after = next(tree.between(call.end, call.end + PAGE_SIZE), None)
    change = merge_new_range(
        engine, before, after, call.start, call.end, call.flags, call.file, call.pgoff
    )
    if change is None:
        return new_vma
    call.vma = change.vma
    return expand(thread, change, perf_event_mmap)


@step("kernel/fork.c, mm/vma_init.c (6.16+)", cost="vma_alloc", function="vm_area_alloc")
def new_vma(engine: Mm, thread: Thread) -> Step:
    """No neighbour fits: allocate a VMA and fill it in."""
    call = _call(thread)
    kind = "file" if call.file is not None else "anon"
    kind = "stack" if call.flags & VM_GROWSDOWN else kind
    name = call.name or (call.file.name if call.file is not None else "")
    call.vma = vm_area_alloc(
        engine, thread.mm, call.start, call.end, call.flags,
        vm_pgoff=call.pgoff, kind=kind, name=name, vm_file=call.file,
    )  # fmt: skip
    if engine.world.preset.tree != "rb":
        return vma_iter_prealloc
    return lock_new_vma if call.file is None else call_mmap(thread, call.vma, lock_new_vma)


@step("mm/vma.h", cost="ma_prealloc")
def vma_iter_prealloc(engine: Mm, thread: Thread) -> Step:
    """Reserve the tree nodes for the new VMA: from here on its store cannot fail."""
    call = _call(thread)
    call.plan = thread.mm.tree.prealloc(engine, call.start, call.end, call.vma)
    assert call.vma is not None
    return lock_new_vma if call.file is None else call_mmap(thread, call.vma, lock_new_vma)


@step("mm/vma.c (6.12+), mm/mmap.c", function="__mmap_new_vma")
def lock_new_vma(engine: Mm, thread: Thread) -> Step:
    """Nobody may find it half-made: kernels that know that danger write-lock it first."""
    call = _call(thread)
    assert call.vma is not None
    if engine.world.preset.tree == "rb":
        return vma_link
    lock = call.file is not None and engine.world.preset.links_file_around_store
    store = i_mmap_lock_write if lock else vma_iter_store
    publish = build_store(thread, thread.mm.tree, call.plan, store)
    if not engine.world.preset.locks_new_vma:
        return publish
    return vma_start_write(engine, thread, call.vma, publish)


@step("mm/mmap.c (until 6.8)", function="mmap_region")
def i_mmap_lock_write(engine: Mm, thread: Thread) -> Step:
    """Lock the tree of the file's mappings first: the VMA shows up there and here as one."""
    file = _call(thread).file
    assert file is not None
    return down_write(engine, thread, file.i_mmap, vma_iter_store)


@step("mm/vma.h", function="vma_iter_store_new")
def vma_iter_store(engine: Mm, thread: Thread) -> Step:
    """Store the new VMA in the tree: from here on it can be found."""
    call = _call(thread)
    assert call.vma is not None
    thread.mm.tree.store_prealloc(engine, call.plan)
    thread.remap = None
    vma_mark_attached(engine, call.vma)
    if call.file is None:
        return perf_event_mmap
    if engine.world.preset.links_file_around_store:
        return vma_link_file
    return down_write(engine, thread, call.file.i_mmap, vma_link_file)


@step("mm/mmap.c (until 6.0)")
def vma_link(engine: Mm, thread: Thread) -> Step:
    """Link the new VMA into the list and hang it into the tree: from here on it can be found."""
    call = _call(thread)
    call.plan = thread.mm.tree.prealloc(engine, call.start, call.end, call.vma)
    if call.file is not None:
        return i_mmap_lock_write(engine, thread)
    return vma_iter_store(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="interval_tree")
def vma_link_file(engine: Mm, thread: Thread) -> Step:
    """Hang the VMA into its file's tree: truncation and reclaim find it there."""
    call = _call(thread)
    assert call.file is not None
    assert call.vma is not None
    call.file.vmas.append(call.vma.id)
    up_write(engine, thread, call.file.i_mmap)
    return perf_event_mmap


# Finish


@step("mm/vma.c (6.12+), mm/mmap.c", cost="perf_event_mmap", function="__mmap_complete")
def perf_event_mmap(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Tell perf and count the pages."""
    call = _call(thread)
    if call.unmap is not None and call.unmap.vmas:
        return remove_replaced
    thread.unmap = None
    return mmap_unlock


@step("mm/vma.c (6.12+)", function="remove_vma")
def remove_replaced(engine: Mm, thread: Thread) -> Step:
    """Free a VMA that the new mapping replaced."""
    unmap = _call(thread).unmap
    assert unmap is not None
    vm_area_free(engine, unmap.vmas.pop(0))
    if unmap.vmas:
        return remove_replaced
    thread.unmap = None
    return mmap_unlock


@step("mm/util.c", function="mmap_write_unlock")
def mmap_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back; VMAs that were write-locked under it are unlocked with it."""
    call = _call(thread)
    operation = thread.operation
    assert isinstance(operation, Mmap)
    thread.op_result = call.start
    if operation.slot:
        thread.slots[operation.slot] = call.start
    mmap_write_unlock(engine, thread, thread.mm)
    if operation.flags & (MAP_POPULATE | MAP_LOCKED):
        return mm_populate(engine, thread, call.start, call.end, populated)
    return thread.back()


@step("mm/util.c", function="vm_mmap_pgoff")
def populated(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Every page of the new mapping is there."""
    return thread.back()
