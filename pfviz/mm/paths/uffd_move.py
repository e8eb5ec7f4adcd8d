"""UFFDIO_MOVE: a page that the process has elsewhere becomes the missing page, without a copy.

Two VMAs are locked for reading at once, the second one by trylock: waiting for mmap_lock with the
first one held would close a circle with a writer. Source: mm/userfaultfd.c of Linux 6.12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.errno import EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SIZE
from pfviz.mm.page_range import clear_pte, set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    SPECIAL,
    WRITABLE,
    PteTable,
    is_pte_marker,
    pfn_of,
    pte_of,
)
from pfviz.mm.paths.anonymous import pte_alloc
from pfviz.mm.paths.pte_lock import pte_map, pte_unmap
from pfviz.mm.paths.uffd_lock import uffd_mfill_lock, uffd_mfill_unlock
from pfviz.mm.paths.uffd_wake import wake_userfault
from pfviz.mm.paths.under_vma_lock import lock_vma_under_rcu
from pfviz.mm.thread import Fault
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.userfaultfd import UffdCall
from pfviz.mm.vma import VM_ACCESS, VM_WRITE, Vma
from pfviz.mm.vma_lock import vma_end_read, vma_start_read_locked
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, down_write, up_read, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


def _vmas(thread: Thread) -> tuple[Vma, Vma]:
    """Where the page goes to, and where it comes from."""
    call = _call(thread)
    assert call.vma is not None
    return call.vma, call.src_vma or call.vma


def _from(call: UffdCall) -> int:
    """The address of the page that is moved."""
    assert call.source is not None
    return call.source + call.address - call.start


# Two VMAs


@step("mm/userfaultfd.c (6.8+)", cost="vma_check")
def move_pages(engine: Mm, thread: Thread) -> Step:
    """Lock where the page goes to and where it comes from, one after the other."""
    call = _call(thread)
    if not engine.world.preset.uffd_move or call.source is None:
        thread.op_result = EINVAL
        return thread.back()
    call.fault = Fault(0, call.start, True, 0, engine.now_ns, user=False)
    return thread.call(uffd_mfill_lock(engine), then=dst_locked)


@step("mm/userfaultfd.c (6.8+)", cost="vma_check", function="uffd_move_lock")
def dst_locked(engine: Mm, thread: Thread) -> Step:
    """With the first one locked: does the page come from the same VMA, or from another one?"""
    call = _call(thread)
    if call.vma is None:
        return thread.back()
    assert call.source is not None
    if call.vma.covers(call.source):
        return _lock_map_changing(engine, thread)
    if call.under_vma_lock:
        thread.address = call.source
        return thread.call(lock_vma_under_rcu, then=src_locked)
    call.src_vma = thread.mm.tree.find(engine, call.source)
    return _lock_map_changing(engine, thread)


@step("mm/userfaultfd.c (6.9+)", cost="vma_check", function="uffd_move_lock")
def src_locked(engine: Mm, thread: Thread) -> Step:
    """If the second VMA cannot be had at once, give the first one back before asking mmap_lock."""
    call = _call(thread)
    if thread.vma is not None:
        call.src_vma = thread.vma
        return _lock_map_changing(engine, thread)
    uffd_mfill_unlock(engine, thread)
    return mmap_read_lock(engine, thread, thread.mm, find_vmas_mm_locked)


@step("mm/userfaultfd.c (6.9+)", cost="find_vma")
def find_vmas_mm_locked(engine: Mm, thread: Thread) -> Step:
    """Under mmap_lock find both VMAs and lock them, which cannot fail; then give it back."""
    call, tree = _call(thread), thread.mm.tree
    assert call.source is not None
    dst, src = tree.find(engine, call.start), tree.find(engine, call.source)
    found = dst is not None and src is not None
    if dst is not None and src is not None and dst.covers(call.start) and dst.anon_vma:
        vma_start_read_locked(engine, thread, dst)
        call.vma, call.under_vma_lock = dst, True
        if src is not dst:
            vma_start_read_locked(engine, thread, src)
            call.src_vma = src
    mmap_read_unlock(engine, thread, thread.mm)
    if call.vma is None:
        thread.op_result = EAGAIN if found else ENOENT
        return thread.back()
    return _lock_map_changing(engine, thread)


def _lock_map_changing(engine: Mm, thread: Thread) -> Step:
    if engine.world.preset.uffd_ioctl_lock != "vma_lock":
        return validate_move_areas
    call = _call(thread)
    call.is_changing_locked = True
    return down_read(engine, thread, call.ctx.map_changing_lock, then=validate_move_areas)


@step("mm/userfaultfd.c (6.8+)", cost="vma_check")
def validate_move_areas(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Both must be private, writable and alike, and the first one served by this descriptor."""
    call = _call(thread)
    dst, src = _vmas(thread)
    length = call.end - call.start
    assert call.source is not None
    fits = dst.covers(call.end - 1) and src.covers(call.source) and src.covers(
        call.source + length - 1
    )  # fmt: skip
    alike = dst.vm_flags & VM_ACCESS == src.vm_flags & VM_ACCESS and dst.vm_flags & VM_WRITE
    private = dst.is_anonymous and src.is_anonymous
    if call.ctx.mmap_changing:
        thread.op_result = EAGAIN
    elif not (fits and alike and private and dst.userfaultfd is call.ctx):
        thread.op_result = EINVAL
    return move_unlock if thread.op_result else mm_alloc_pmd


# One page


@step("mm/userfaultfd.c (6.8+)", cost="vma_check")
def mm_alloc_pmd(engine: Mm, thread: Thread) -> Step:
    """Go to both page tables; the one that the page goes to is made if it is missing."""
    call, tables = _call(thread), thread.mm.page_tables
    huge = tables.huge_at(call.address) or tables.huge_at(_from(call))
    if huge is not None:
        return _failed(thread, EBUSY)
    if tables.missing_upper(call.address):
        return spin_lock(engine, thread, tables.page_table_lock, then=alloc_upper)
    if tables.walk(call.address) is not None:
        return move_pages_pte
    thread.fault = call.fault
    call.fault.address = call.address
    return thread.call(pte_alloc, then=move_pages_pte)


@step("mm/memory.c", cost="page_table_alloc", function="__pmd_alloc")
def alloc_upper(engine: Mm, thread: Thread) -> Step:
    """Link the missing upper tables under page_table_lock."""
    tables = thread.mm.page_tables
    if tables.missing_upper(_call(thread).address):
        tables.alloc_upper(engine, _call(thread).address)
    spin_unlock(engine, thread, tables.page_table_lock)
    return mm_alloc_pmd


@step("mm/userfaultfd.c (6.8+)", cost="pte_read")
def move_pages_pte(engine: Mm, thread: Thread) -> Step:
    """Look at both entries without their locks: a page of this process alone, and nothing."""
    call, tables = _call(thread), thread.mm.page_tables
    thread.fault = None
    source = call.source_pte = tables.pte(_from(call))
    target = tables.pte(call.address)
    if not source or is_pte_marker(source):
        return _failed(thread, ENOENT)
    if target and not is_pte_marker(target):
        return _failed(thread, EEXIST)
    frames = engine.world.frames
    if not source & PRESENT or source & (SPECIAL | FILE) or not frames.is_exclusive(pfn_of(source)):
        return _failed(thread, EBUSY)
    _, src = _vmas(thread)
    assert src.anon_vma is not None
    call.rwsem = src.anon_vma.rwsem
    return down_write(engine, thread, call.rwsem, then=double_pt_lock)


def _tables(thread: Thread) -> tuple[PteTable | None, PteTable | None]:
    call, tables = _call(thread), thread.mm.page_tables
    first, second = tables.walk(call.address), tables.walk(_from(call))
    return (first, second)


@step("mm/userfaultfd.c (6.8+)", cost="vma_check")
def double_pt_lock(engine: Mm, thread: Thread) -> Step:
    """Lock both page tables, the lower one first, so that two movers cannot wait for each other."""
    call = _call(thread)
    found: list[PteTable] = []
    for table in _tables(thread):
        if table is not None and table not in found:
            found.append(table)
    call.tables = sorted(found, key=lambda table: table.base)
    pte_map(engine, thread)
    second = lock_second if len(call.tables) == 2 else move_present_pte
    return spin_lock(engine, thread, call.tables[0].ptl, then=second)


@step("mm/userfaultfd.c (6.8+)", function="double_pt_lock")
def lock_second(engine: Mm, thread: Thread) -> Step:
    """And the other one."""
    return spin_lock(engine, thread, _call(thread).tables[1].ptl, then=move_present_pte)


@step("mm/userfaultfd.c (6.8+)", cost="pte_read")
def move_present_pte(engine: Mm, thread: Thread) -> Step:
    """With both locked see that nothing has changed; then take the page away and flush."""
    call, page_tables = _call(thread), thread.mm.page_tables
    target, source = _tables(thread)
    if (
        target is None
        or source is None
        or source.read(_from(call)) != call.source_pte
        or (target.read(call.address) and not is_pte_marker(target.read(call.address)))
        or not engine.world.frames.is_exclusive(pfn_of(call.source_pte))
    ):
        thread.op_result = EAGAIN
        return double_pt_unlock
    at = _from(call)
    clear_pte(engine, page_tables, source, at)
    return flush_tlb_range(
        engine, thread, page_tables, at, at + PAGE_SIZE, folio_move_anon_rmap, "userfaultfd move"
    )


@step("mm/rmap.c", cost="map")
def folio_move_anon_rmap(engine: Mm, thread: Thread) -> Step:
    """The page belongs to the other VMA's anon_vma from now on; store its entry there."""
    call = _call(thread)
    dst, _ = _vmas(thread)
    target, _ = _tables(thread)
    assert target is not None
    pfn = pfn_of(call.source_pte)
    engine.world.frames.reuse(pfn, dst.anon_vma.id if dst.anon_vma else 0)
    pte = pte_of(pfn, PRESENT | ACCESSED | DIRTY | WRITABLE)
    set_pte(engine, thread.mm.page_tables, target, call.address, pte)
    return double_pt_unlock


@step("mm/userfaultfd.c (6.8+)")
def double_pt_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock both page tables and the anon_vma; go on to the next page."""
    call = _call(thread)
    for table in reversed(call.tables):
        spin_unlock(engine, thread, table.ptl)
    pte_unmap(engine, thread)
    up_write(engine, thread, call.rwsem)
    if thread.op_result:
        return move_unlock
    call.address += PAGE_SIZE
    return mm_alloc_pmd if call.address < call.end else move_unlock


def _failed(thread: Thread, error: int) -> Step:
    thread.fault = None
    thread.op_result = error
    return move_unlock


@step("mm/userfaultfd.c (6.8+)", cost="vma_check", function="uffd_move_unlock")
def move_unlock(engine: Mm, thread: Thread) -> Step:
    """Give the locks back; then wake whoever waits for these pages."""
    call = _call(thread)
    if call.is_changing_locked:
        call.is_changing_locked = False
        up_read(engine, thread, call.ctx.map_changing_lock)
    src: Any = call.src_vma
    if src is not None and call.under_vma_lock:
        vma_end_read(engine, thread, src)
    call.src_vma = None
    uffd_mfill_unlock(engine, thread)
    if call.address == call.start:
        return thread.back()
    if call.address < call.end:
        call.end, thread.op_result = call.address, EAGAIN
    return wake_userfault if call.wake else thread.back()
