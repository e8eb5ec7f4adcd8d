"""Giving a VMA its anon_vma before its first private page, under whatever lock the fault holds.

Neighbours are looked at, and they are not VMA-locked: it needs mmap_lock. 6.10+ tries to take it
for reading while it holds the VMA lock (it never waits: that could deadlock); earlier kernels start
again under mmap_lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm import mmap_lock
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.release import release_fault_lock
from pfviz.mm.reverse_map import find_mergeable_anon_vma, link_vma, new_anon_vma
from pfviz.mm.thread import VMA_LOCK
from pfviz.mm.vma import Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

NO_ANON_VMA = "no anon_vma yet"
TRYLOCK_FAILED = "mmap_read_trylock failed"


@step("mm/memory.c", cost="vma_check")
def vmf_anon_prepare(engine: Mm, thread: Thread) -> Step:
    """A private page needs an anon_vma in its VMA: make one if this is the first."""
    vma = _vma(thread)
    if vma.anon_vma is not None:
        return thread.back()
    check = engine.world.preset.anon_vma_check
    if thread.in_flight.regime != VMA_LOCK or check == "early_unlocked":
        return anon_vma_prepare
    if check == "late":
        return anon_prepare_trylock
    return give_up(engine, thread, NO_ANON_VMA)


@step("mm/memory.c (6.10+)", cost="vma_check", function="__vmf_anon_prepare")
def anon_prepare_trylock(engine: Mm, thread: Thread) -> Step:
    """Try mmap_lock for reading beside the VMA lock: waiting for it here could deadlock."""
    if mmap_lock.mmap_read_trylock(engine, thread, thread.mm):
        return thread.call(anon_vma_prepare, then=anon_prepare_unlock)
    return give_up(engine, thread, TRYLOCK_FAILED)


def give_up(engine: Mm, thread: Thread, cause: str) -> Step:
    """Drop the fault lock and ask to be started again under mmap_lock."""
    release_fault_lock(engine, thread)
    thread.abort = cause
    thread.in_flight.result |= VM_FAULT_RETRY
    return thread.back()


@step("mm/memory.c (6.10+)", function="__vmf_anon_prepare")
def anon_prepare_unlock(engine: Mm, thread: Thread) -> Step:
    """The anon_vma is there: give mmap_lock back and go on under the VMA lock alone."""
    mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()


@step("mm/rmap.c", cost="anon_vma_alloc", function="__anon_vma_prepare")
def anon_vma_prepare(engine: Mm, thread: Thread) -> Step:
    """Take over a neighbour's anon_vma if the two could merge later; otherwise make a new one."""
    vma = _vma(thread)
    fault = thread.in_flight
    if engine.world.watch is not None:
        engine.world.watch.anon_vma_prepared(engine, thread)
    tree = thread.mm.tree
    found = find_mergeable_anon_vma(tree.prev_of(vma), vma, tree.next_of(vma))
    fault.scratch["anon_vma"] = found if found is not None else new_anon_vma(engine)
    return down_write(engine, thread, fault.scratch["anon_vma"].rwsem, then=anon_vma_locked)


@step("mm/rmap.c", cost="rmap", function="__anon_vma_prepare")
def anon_vma_locked(engine: Mm, thread: Thread) -> Step:
    """With the anon_vma's root locked, page_table_lock decides between racing threads."""
    lock = thread.mm.page_tables.page_table_lock
    return spin_lock(engine, thread, lock, then=anon_vma_link)


@step("mm/rmap.c", cost="interval_tree", function="__anon_vma_prepare")
def anon_vma_link(engine: Mm, thread: Thread) -> Step:
    """Set vma->anon_vma if it is still empty, and link the VMA into the interval tree."""
    vma = _vma(thread)
    anon_vma = thread.in_flight.scratch["anon_vma"]
    if vma.anon_vma is None:
        vma.anon_vma = anon_vma
        link_vma(vma, anon_vma)
        vma.emit_changed(engine, "anon_vma")
    spin_unlock(engine, thread, thread.mm.page_tables.page_table_lock)
    return anon_vma_unlock


@step("mm/rmap.c", function="__anon_vma_prepare")
def anon_vma_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the anon_vma's root."""
    up_write(engine, thread, thread.in_flight.scratch.pop("anon_vma").rwsem)
    return thread.back()


def _vma(thread: Thread) -> Vma:
    vma = thread.in_flight.vma
    assert vma is not None
    return vma
