"""munmap: gather and detach the VMAs under the write lock, downgrade, and only then free pages.

The gathering half also serves mmap with MAP_FIXED and a shrinking brk (do_vmi_align_munmap,
vms_gather_munmap_vmas, vms_complete_munmap_vmas of 6.12; older kernels do the same in other files).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.errno import EINVAL
from pfviz.mm.hugetlb import cuts_huge_page
from pfviz.mm.maple import WritePlan
from pfviz.mm.mmap_lock import (
    mmap_read_unlock,
    mmap_write_downgrade,
    mmap_write_lock,
    mmap_write_unlock,
)
from pfviz.mm.operations import PAGE_SHIFT, Munmap
from pfviz.mm.paths import uffd_event
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.free_pgtables import free_pgtables
from pfviz.mm.paths.split import split_vma
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.paths.zap import begin_zap, tlb_finish_mmu, unmap_vmas
from pfviz.mm.vma import VM_GROWSDOWN, Vma
from pfviz.mm.vma_alloc import vm_area_free
from pfviz.mm.vma_lock import vma_mark_detached, vma_start_write
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import mode_held

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Unmap:
    """One range on its way out (struct vma_munmap_struct)."""

    mm: AddressSpace
    start: int
    end: int
    downgrade: bool
    """Whether the lock is downgraded to a read lock and given back at the end."""
    vmas: list[Vma] = field(default_factory=list)
    vma: Vma | None = None
    """The VMA that is being gathered."""
    plan: WritePlan | None = None
    """The store that empties the range."""
    tells: bool = False
    """Whether monitors that want to know of it are told (userfaultfd)."""


def _unmap(thread: Thread) -> Unmap:
    unmap = thread.unmap
    assert isinstance(unmap, Unmap)
    return unmap


# The system call


@step("mm/mmap.c", cost="munmap_checks", function="__vm_munmap")
def vm_munmap(engine: Mm, thread: Thread) -> Step:
    """Ask for mmap_lock for writing: the VMAs of the whole process must hold still."""
    return mmap_write_lock(engine, thread, thread.mm, do_vmi_munmap)


@step("mm/vma.c", cost="find_vma")
def do_vmi_munmap(engine: Mm, thread: Thread) -> Step:
    """Find the first VMA of the range."""
    operation = thread.operation
    assert isinstance(operation, Munmap)
    start = thread.resolve(operation.place)
    mm = thread.mm
    end = (start or 0) + (operation.pages << PAGE_SHIFT)
    if start is None or next(mm.tree.between(start, end), None) is None:
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    if cuts_huge_page(mm, start, end):
        thread.op_result = EINVAL
        mmap_write_unlock(engine, thread, mm)
        return thread.back()
    unmap = Unmap(mm, start, end, engine.world.policy.downgrade, tells=True)
    return unmap_range(engine, thread, unmap, done)


@step("mm/mmap.c", function="__vm_munmap")
def done(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The range is unmapped."""
    if mode_held(thread.mm.mmap_lock, thread) == WRITE:  # It was not downgraded.
        return munmap_write_unlock
    return uffd_event.complete(thread, thread.back())


@step("mm/mmap.c", function="mmap_write_unlock")
def munmap_write_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back, which was held for writing all the time."""
    mmap_write_unlock(engine, thread, thread.mm)
    return uffd_event.complete(thread, thread.back())


def do_munmap(thread: Thread, unmap: Unmap, then: Step) -> Step:
    """Unmap what is mapped of a range, for another system call that holds the write lock."""
    thread.unmap = unmap
    return thread.call(find_unmapped, then)


@step("mm/vma.c", cost="find_vma", function="do_vmi_munmap")
def find_unmapped(engine: Mm, thread: Thread) -> Step:
    """Find the first VMA of the range that is to go; there may be none."""
    unmap = _unmap(thread)
    if next(unmap.mm.tree.between(unmap.start, unmap.end), None) is None:
        thread.unmap = None
        return thread.back()
    return unmap_range(engine, thread, unmap, thread.back())


def unmap_range(engine: Mm, thread: Thread, unmap: Unmap, then: Step) -> Step:
    """Unmap a range under mmap_lock held for writing (do_vmi_align_munmap), then go on."""
    thread.returns.append(then)
    if engine.world.preset.tree == "rb":
        return gather_vmas(engine, thread, unmap, detach_vmas_to_be_unmapped)
    if engine.world.preset.unmap_store != "mas_store_prealloc":
        return gather_vmas(engine, thread, unmap, vma_iter_clear)
    thread.unmap = unmap
    return mas_preallocate


@step("lib/maple_tree.c", cost="ma_prealloc")
def mas_preallocate(engine: Mm, thread: Thread) -> Step:
    """Reserve the nodes for emptying the range, before the first VMA is cut."""
    unmap = _unmap(thread)
    # How many is all that lasts: the cuts change the tree, so the store is planned after them.
    unmap.mm.tree.prealloc(engine, unmap.start, unmap.end, None)
    return gather_vmas(engine, thread, unmap, do_mas_align_munmap)


# Gather: split, write-lock, detach


def gather_vmas(engine: Mm, thread: Thread, unmap: Unmap, then: Step) -> Step:  # noqa: ARG001
    """Write-lock and detach every VMA of the range, cutting those that stick out."""
    thread.unmap = unmap
    return thread.call(vms_gather_munmap_vmas, then)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="find_vma")
def vms_gather_munmap_vmas(engine: Mm, thread: Thread) -> Step:
    """Look at the first VMA: if the range begins inside it, it must be cut there."""
    unmap = _unmap(thread)
    vma = next(unmap.mm.tree.between(unmap.start, unmap.end), None)
    if vma is None:
        return thread.back()
    unmap.vma = vma
    if vma.vm_start < unmap.start:
        below = engine.world.preset.unmap_splits_below[0]
        return split_vma(engine, thread, vma, unmap.start, below, gather_one)
    return gather_one(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vms_gather_munmap_vmas")
def gather_one(engine: Mm, thread: Thread) -> Step:
    """Take the next VMA of the range; if the range ends inside it, cut it there."""
    unmap = _unmap(thread)
    vma = unmap.vma
    assert vma is not None
    if vma.vm_start < unmap.start:  # What was cut off above is what goes.
        vma = unmap.vma = unmap.mm.tree.next_of(vma)
        assert vma is not None
    if vma.vm_end > unmap.end:
        below = engine.world.preset.unmap_splits_below[1]
        return split_vma(engine, thread, vma, unmap.end, below, lock_gathered)
    return lock_gathered(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vms_gather_munmap_vmas")
def lock_gathered(engine: Mm, thread: Thread) -> Step:
    """Lock the VMA for writing if it has a lock: faults that hold it must finish first."""
    unmap = _unmap(thread)
    vma = unmap.vma
    assert vma is not None
    if vma.vm_start >= unmap.end:  # What was cut off below is what goes.
        vma = unmap.vma = unmap.mm.tree.prev_of(vma)
        assert vma is not None
    return vma_start_write(engine, thread, vma, detach_gathered)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vms_gather_munmap_vmas")
def detach_gathered(engine: Mm, thread: Thread) -> Step:
    """Put the VMA on the list of those that go, and detach it."""
    unmap = _unmap(thread)
    assert unmap.vma is not None
    unmap.vmas.append(unmap.vma)
    return vma_mark_detached(engine, thread, unmap.vma, next_gathered)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vms_gather_munmap_vmas")
def next_gathered(engine: Mm, thread: Thread) -> Step:
    """Is there another VMA in the range? A monitor of this one may have to be told first."""
    unmap = _unmap(thread)
    assert unmap.vma is not None
    if unmap.tells and uffd_event.wants(unmap.vma, "unmap"):
        vma = unmap.vma
        return uffd_event.prepare(
            engine, thread, vma, "unmap", vma.vm_start, vma.vm_end, gather_following
        )
    return gather_following(engine, thread)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vms_gather_munmap_vmas")
def gather_following(engine: Mm, thread: Thread) -> Step:
    """Go on to the next VMA of the range, if there is one."""
    unmap = _unmap(thread)
    assert unmap.vma is not None
    following = unmap.mm.tree.next_of(unmap.vma)
    if following is None or following.vm_start >= unmap.end:
        unmap.vma = None
        return thread.back()
    unmap.vma = following
    return gather_one(engine, thread)


@step("mm/vma.h", cost="ma_prealloc", function="vma_iter_clear_gfp")
def vma_iter_clear(engine: Mm, thread: Thread) -> Step:
    """Decide how one store empties the range in the tree, and take the nodes that it needs."""
    unmap = _unmap(thread)
    tree = unmap.mm.tree
    assert isinstance(tree, VmaTree)
    unmap.plan = tree.prealloc(engine, unmap.start, unmap.end, None, "mas_store_gfp")
    return build_store(thread, tree, unmap.plan, mas_store_gfp)


@step("lib/maple_tree.c")
def mas_store_gfp(engine: Mm, thread: Thread) -> Step:
    """Publish the tree without the range: no look-up finds these VMAs any more."""
    return _publish_clear(engine, thread)


@step("mm/mmap.c (until 6.2)")
def do_mas_align_munmap(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """All VMAs of the range are cut out and set aside: decide how one store empties it."""
    unmap = _unmap(thread)
    tree = unmap.mm.tree
    assert isinstance(tree, VmaTree)
    unmap.plan = tree.plan(unmap.start, unmap.end, None, "mas_store_prealloc")
    return build_store(thread, tree, unmap.plan, mas_store_prealloc)


@step("lib/maple_tree.c")
def mas_store_prealloc(engine: Mm, thread: Thread) -> Step:
    """Publish the tree without the range, built from the nodes that were reserved for it."""
    return _publish_clear(engine, thread)


def _publish_clear(engine: Mm, thread: Thread) -> Step:
    unmap = _unmap(thread)
    unmap.mm.tree.store_prealloc(engine, unmap.plan)
    unmap.plan = None
    return vms_complete_munmap_vmas


@step("mm/mmap.c (until 6.0)")
def detach_vmas_to_be_unmapped(engine: Mm, thread: Thread) -> Step:
    """Take each VMA out of tree and list; every thread's vmacache is void from here on."""
    unmap = _unmap(thread)
    unmap.mm.tree.store(engine, unmap.start, unmap.end, None, "")
    return vms_complete_munmap_vmas


# Complete: downgrade, unmap, free


@step("mm/vma.c (6.12+), mm/mmap.c")
def vms_complete_munmap_vmas(engine: Mm, thread: Thread) -> Step:
    """No look-up finds the VMAs any more: what is left is the slow part, their pages."""
    unmap = _unmap(thread)
    if engine.world.preset.unmap_minds_stack and _ends_below_stack(unmap):
        unmap.downgrade = False
    return downgrade if unmap.downgrade else _begin_slow_part(engine, thread)


@step("include/linux/mmap_lock.h", function="mmap_write_downgrade")
def downgrade(engine: Mm, thread: Thread) -> Step:
    """Downgrade mmap_lock to a read lock: the slow part needs no exclusion, faults may go on."""
    mmap_write_downgrade(engine, thread, _unmap(thread).mm)
    return _begin_slow_part(engine, thread)


def _begin_slow_part(engine: Mm, thread: Thread) -> Step:
    if engine.world.preset.unmap_drains_lru:
        return thread.call(lru_add_drain, then=tlb_gather_mmu)
    return tlb_gather_mmu


def _ends_below_stack(unmap: Unmap) -> bool:
    """Whether the next VMA above could grow into the range that is being unmapped."""
    above = next(unmap.mm.tree.between(unmap.end, 1 << 63), None)
    return above is not None and bool(above.vm_flags & VM_GROWSDOWN)


@step("mm/mmu_gather.c")
def tlb_gather_mmu(engine: Mm, thread: Thread) -> Step:
    """Begin to collect pages and page tables: they are freed after one TLB flush for all."""
    unmap = _unmap(thread)
    begin_zap(engine, thread, unmap.mm, "munmap")
    ranges = [(vma, vma.vm_start, vma.vm_end) for vma in unmap.vmas]
    return unmap_vmas(thread, ranges, free_tables_of_range)


@step("mm/memory.c", function="free_pgtables")
def free_tables_of_range(engine: Mm, thread: Thread) -> Step:
    """Unlink the VMAs from the reverse map, then take their empty page tables out."""
    unmap = _unmap(thread)
    thread.returns.append(remove_vma)
    return free_pgtables(engine, thread, unmap.mm, unmap.vmas, False, tlb_finish_mmu)


@step("mm/vma.c (6.12+), mm/mmap.c")
def remove_vma(engine: Mm, thread: Thread) -> Step:
    """Close the VMA and give its memory back, as soon as this kernel lets it be used again."""
    unmap = _unmap(thread)
    vm_area_free(engine, unmap.vmas.pop(0))
    if unmap.vmas:
        return remove_vma
    thread.unmap = None
    if unmap.downgrade:
        thread.locking_mm = unmap.mm
        return munmap_unlock
    return thread.back()


@step("mm/vma.c (6.12+), mm/mmap.c", function="mmap_read_unlock")
def munmap_unlock(engine: Mm, thread: Thread) -> Step:
    """Give the read lock back, which the write lock was downgraded to."""
    mm = thread.locking_mm
    assert mm is not None
    thread.locking_mm = None
    mmap_read_unlock(engine, thread, mm)
    return thread.back()
