"""Stack growth: an address just below a VM_GROWSDOWN VMA makes the VMA larger.

Since 6.5 (6.1.37, 6.4.1) under mmap_lock held for writing, downgraded before the fault goes on;
6.4.0 stored into the tree under the read lock, which is the bug called StackRot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm import mmap_lock
from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.mm.paths.anon_vma import anon_vma_prepare
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.vma import STACK_GUARD_GAP, VM_ACCESS, VM_GROWSDOWN, Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

RLIMIT_STACK: Final = 8 << 20
"""The usual limit of a stack, in bytes."""


@step(
    "mm/memory.c (6.1.37+, 6.5-6.15), mm/mmap_lock.c (6.16+)",
    cost="vma_check",
    function="upgrade_mmap_lock",
)
def expand_stack(engine: Mm, thread: Thread) -> Step:
    """The address lies below a stack. A read lock cannot be upgraded: drop it, lock for writing."""
    mm = thread.mm
    mmap_lock.mmap_read_unlock(engine, thread, mm)
    thread.in_flight.vma = None
    return mmap_lock.mmap_write_lock(engine, thread, mm, then=find_vma_again)


@step("mm/mmap.c", cost="find_vma", function="find_vma")
def find_vma_again(engine: Mm, thread: Thread) -> Step:
    """Nothing found before is true any more: look the VMA up again, with the lock for writing."""
    fault = thread.in_flight
    vma = thread.mm.tree.find(engine, fault.address)
    fault.vma = vma
    if vma is not None and vma.vm_start <= fault.address:
        return downgrade  # Somebody else grew it meanwhile.
    if vma is None or not vma.vm_flags & VM_GROWSDOWN:
        return _fail(engine, thread)
    return expand_downwards


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="mmap_checks")
def expand_downwards(engine: Mm, thread: Thread) -> Step:
    """Check the guard gap below and the size limit of the stack."""
    vma = _vma(thread)
    start = _new_start(thread)
    below = thread.mm.tree.prev_of(vma)
    if below is not None and _needs_gap(below) and start - below.vm_end < STACK_GUARD_GAP:
        return _fail(engine, thread)
    if vma.vm_end - start > RLIMIT_STACK:
        return _fail(engine, thread)
    return prepare_stack if engine.world.preset.tree == "rb" else prealloc_nodes


def _needs_gap(below: Vma) -> bool:
    """Another stack, or memory that nobody can touch, may lie closer than the guard gap."""
    return not below.vm_flags & VM_GROWSDOWN and bool(below.vm_flags & VM_ACCESS)


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="ma_prealloc", function="expand_downwards")
def prealloc_nodes(engine: Mm, thread: Thread) -> Step:
    """Reserve the tree nodes now: with the locks held below, nothing may sleep for memory."""
    vma = _vma(thread)
    thread.mm.tree.prealloc(engine, _new_start(thread), vma.vm_end, vma)
    return prepare_stack


@step("mm/mmap.c, mm/vma.c (6.14+)", function="expand_downwards")
def prepare_stack(engine: Mm, thread: Thread) -> Step:
    """Make sure that the stack has an anon_vma: its lock is needed next."""
    if _vma(thread).anon_vma is None:
        return thread.call(anon_vma_prepare, then=lock_stack_vma)
    return lock_stack_vma(engine, thread)


@step("mm/mmap.c, mm/vma.c (6.14+)", function="expand_downwards")
def lock_stack_vma(engine: Mm, thread: Thread) -> Step:
    """The anon_vma is there; who grows a stack under the write lock locks its VMA as well."""
    if engine.world.preset.expand_stack == "read":
        return lock_anon_vma
    return vma_start_write(engine, thread, _vma(thread), then=lock_anon_vma)


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="rmap", function="expand_downwards")
def lock_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Lock the anon_vma: reverse-map walks look at vm_start and vm_pgoff."""
    anon_vma = _vma(thread).anon_vma
    assert anon_vma is not None
    then = lock_page_tables if engine.world.preset.stack_page_table_lock else grow
    return down_write(engine, thread, anon_vma.rwsem, then=then)


@step("mm/mmap.c (seen until 6.12; gone by 6.18)", function="expand_downwards")
def lock_page_tables(engine: Mm, thread: Thread) -> Step:
    """Take page_table_lock, which serialises growers where they hold mmap_lock for reading only."""
    lock = thread.mm.page_tables.page_table_lock
    return spin_lock(engine, thread, lock, then=grow)


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="ma_store", function="expand_downwards")
def grow(engine: Mm, thread: Thread) -> Step:
    """Move vm_start down, unless somebody else has by now; the tree is to show it next."""
    vma, tree = _vma(thread), thread.mm.tree
    start = _new_start(thread)
    thread.in_flight.kind = "stack_growth"
    if start >= vma.vm_start:  # A racing grower (until 6.4.0) was faster.
        return _grown(engine, thread)
    vma.vm_pgoff -= (vma.vm_start - start) >> PAGE_SHIFT
    vma.vm_start = start
    vma.emit_changed(engine, "stack growth")
    if not isinstance(tree, VmaTree):
        tree.store(engine, start, vma.vm_end, vma, "")  # Only the gap above a node changes.
        return _grown(engine, thread)
    # The nodes were reserved before; where they go is decided by the tree as it is now.
    thread.in_flight.plan = tree.plan(start, vma.vm_end, vma, "mas_store_prealloc")
    return build_store(thread, tree, thread.in_flight.plan, store_grown)


@step("lib/maple_tree.c", function="mas_store_prealloc")
def store_grown(engine: Mm, thread: Thread) -> Step:
    """Publish the larger range in the tree: from here on look-ups below find the stack."""
    thread.mm.tree.store_prealloc(engine, thread.in_flight.plan)
    thread.in_flight.plan = None
    return _grown(engine, thread)


def _grown(engine: Mm, thread: Thread) -> Step:
    if engine.world.preset.stack_page_table_lock:
        spin_unlock(engine, thread, thread.mm.page_tables.page_table_lock)
    return unlock_anon_vma


@step("mm/mmap.c, mm/vma.c (6.14+)", function="expand_downwards")
def unlock_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Unlock the anon_vma."""
    anon_vma = _vma(thread).anon_vma
    assert anon_vma is not None
    up_write(engine, thread, anon_vma.rwsem)
    return thread.back() if engine.world.preset.expand_stack == "read" else downgrade


@step("include/linux/mmap_lock.h", cost="vma_check", function="mmap_write_downgrade")
def downgrade(engine: Mm, thread: Thread) -> Step:
    """Keep mmap_lock for reading only: the fault itself needs no more."""
    mmap_lock.mmap_write_downgrade(engine, thread, thread.mm)
    return thread.back()


def _fail(engine: Mm, thread: Thread) -> Step:
    """No growth: give mmap_lock back; the missing VMA tells the caller."""
    thread.in_flight.vma = None
    if engine.world.preset.expand_stack == "read":
        mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    else:
        mmap_lock.mmap_write_unlock(engine, thread, thread.mm)
    return thread.back()


def _new_start(thread: Thread) -> int:
    return thread.in_flight.address & -PAGE_SIZE


def _vma(thread: Thread) -> Vma:
    vma = thread.in_flight.vma
    assert vma is not None
    return vma
