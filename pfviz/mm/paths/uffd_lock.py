"""Locking the memory that a userfaultfd monitor puts pages into (uffd_mfill_lock).

Up to 6.8 mmap_lock for reading; from 6.9 on the lock of the one VMA, with mmap_lock as a way in
when the VMA is busy or has no anon_vma yet. A chain: `UffdCall.vma` is None when there is no VMA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.errno import ENOENT
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.paths.anon_vma import anon_vma_prepare
from pfviz.mm.paths.under_vma_lock import lock_vma_under_rcu
from pfviz.mm.userfaultfd import UffdCall
from pfviz.mm.vma import VM_SHARED, Vma
from pfviz.mm.vma_lock import vma_end_read, vma_start_read_locked
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


def _vma(thread: Thread) -> Vma:
    vma = _call(thread).vma
    assert vma is not None
    return vma


def _by_vma_lock(engine: Mm) -> bool:
    world = engine.world
    return world.has_vma_lock and world.preset.uffd_ioctl_lock == "vma_lock"


def uffd_mfill_lock(engine: Mm) -> Step:
    """The first step of the chain that locks the destination."""
    return uffd_lock_vma if _by_vma_lock(engine) else lock_mm


@step("mm/userfaultfd.c", function="mfill_atomic")
def lock_mm(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for reading: VMAs hold still, faults go on."""
    return mmap_read_lock(engine, thread, thread.mm, find_dst_vma)


@step("mm/userfaultfd.c (6.9+)", cost="vma_check")
def uffd_lock_vma(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Try to lock the VMA of the page for reading, as a page fault does."""
    thread.address = _call(thread).start
    return thread.call(lock_vma_under_rcu, then=dst_vma_locked)


@step("mm/userfaultfd.c (6.9+)", cost="vma_check", function="uffd_lock_vma")
def dst_vma_locked(engine: Mm, thread: Thread) -> Step:
    """Private memory will need an anon_vma: without one, or without the lock, ask mmap_lock."""
    call, vma = _call(thread), thread.vma
    if vma is not None and (vma.vm_flags & VM_SHARED or vma.anon_vma is not None):
        call.vma, call.under_vma_lock = vma, True
        return thread.back()
    if vma is not None:
        vma_end_read(engine, thread, vma)
    return mmap_read_lock(engine, thread, thread.mm, find_dst_vma)


@step("mm/userfaultfd.c", cost="find_vma", function="find_vma")
def find_dst_vma(engine: Mm, thread: Thread) -> Step:
    """Under mmap_lock find the VMA; if its pages are to be private it needs an anon_vma."""
    call = _call(thread)
    vma = call.vma = thread.mm.tree.find(engine, call.start)
    if vma is None or not vma.covers(call.start):
        call.vma = None
        thread.op_result = ENOENT
        mmap_read_unlock(engine, thread, thread.mm)
        return thread.back()
    if vma.vm_flags & VM_SHARED or vma.anon_vma is not None:
        return _dst_vma_ready(engine, thread)
    thread.fault = call.fault
    call.fault.vma = vma
    return thread.call(anon_vma_prepare, then=anon_vma_prepared)


@step("mm/userfaultfd.c", cost="vma_check", function="find_vma_and_prepare_anon")
def anon_vma_prepared(engine: Mm, thread: Thread) -> Step:
    """The VMA has an anon_vma now."""
    thread.fault = None
    return _dst_vma_ready(engine, thread)


def _dst_vma_ready(engine: Mm, thread: Thread) -> Step:
    return change_over_to_vma if _by_vma_lock(engine) else thread.back()


@step("mm/userfaultfd.c (6.9+)", cost="vma_check", function="uffd_lock_vma")
def change_over_to_vma(engine: Mm, thread: Thread) -> Step:
    """Lock the VMA itself, which cannot fail under mmap_lock, and give mmap_lock back."""
    vma_start_read_locked(engine, thread, _vma(thread))
    _call(thread).under_vma_lock = True
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


def uffd_mfill_unlock(engine: Mm, thread: Thread) -> None:
    """Give the lock of the destination back (part of a step)."""
    call = _call(thread)
    if call.under_vma_lock:
        call.under_vma_lock = False
        vma_end_read(engine, thread, _vma(thread))
    else:
        mmap_read_unlock(engine, thread, thread.mm)
    call.vma = None
