"""exit: the last thread unmaps all under the read lock and frees all under the write lock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm import operations as ops
from pfviz.mm.address_space import AddressSpace
from pfviz.mm.mmap_lock import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.free_pgtables import free_pgtables
from pfviz.mm.paths.uffd_read import thread_ended
from pfviz.mm.paths.zap import begin_zap, tlb_finish_mmu, unmap_vmas
from pfviz.mm.vma import Vma
from pfviz.mm.vma_alloc import vm_area_free
from pfviz.mm.vma_lock import vma_mark_detached
from pfviz.sim import event
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("kernel/exit.c", cost="exit_base")
def do_exit(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The thread ends; the last one of its process takes the address space down."""
    mm = thread.mm
    mm.threads -= 1
    if mm.threads or mm.exited:
        return do_task_dead
    thread.exiting = mm
    return thread.call(exit_mmap, then=do_task_dead)


def _mm(thread: Thread) -> AddressSpace:
    mm = thread.exiting
    assert mm is not None
    return mm


@step("mm/mmap.c")
def exit_mmap(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for reading only: unmapping the pages needs no more."""
    drains = engine.world.preset.unmap_drains_lru
    return mmap_read_lock(engine, thread, _mm(thread), drain_first if drains else unmap_all)


@step("mm/mmap.c", function="exit_mmap")
def drain_first(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Put the pages that this CPU collected onto the LRU lists before they go."""
    return thread.call(lru_add_drain, then=unmap_all)


@step("mm/mmap.c", function="exit_mmap")
def unmap_all(engine: Mm, thread: Thread) -> Step:
    """Begin to collect: every page of every VMA goes."""
    mm = _mm(thread)
    begin_zap(engine, thread, mm, "exit")
    thread.exiting_vmas = list(mm.tree)
    ranges = [(vma, vma.vm_start, vma.vm_end) for vma in thread.exiting_vmas]
    return unmap_vmas(thread, ranges, write_lock_all)


@step("mm/mmap.c", function="exit_mmap")
def write_lock_all(engine: Mm, thread: Thread) -> Step:
    """The pages are gone: change over to the write lock, for the page tables and the tree."""
    mmap_read_unlock(engine, thread, _mm(thread))
    return mmap_write_lock(engine, thread, _mm(thread), free_all_tables)


@step("mm/mmap.c", function="exit_mmap")
def free_all_tables(engine: Mm, thread: Thread) -> Step:
    """Take all page tables out."""
    locks = engine.world.has_vma_lock
    _mm(thread).tree.set_rcu(False)
    thread.returns.append(remove_all)
    return free_pgtables(engine, thread, _mm(thread), thread.exiting_vmas, locks, tlb_finish_mmu)


@step("mm/mmap.c", function="exit_mmap")
def remove_all(engine: Mm, thread: Thread) -> Step:
    """Detach the next VMA; no fault can look for it any more."""
    vmas: list[Vma] = thread.exiting_vmas
    if not vmas:
        return forget_tree if engine.world.preset.tree == "rb" else destroy_tree
    return vma_mark_detached(engine, thread, vmas[0], remove_one)


@step("mm/vma.c (6.12+), mm/mmap.c", function="remove_vma")
def remove_one(engine: Mm, thread: Thread) -> Step:
    """Close the VMA and free it."""
    vm_area_free(engine, thread.exiting_vmas.pop(0), unreachable=True)
    return remove_all


@step("mm/mmap.c (until 6.0)", function="exit_mmap")
def forget_tree(engine: Mm, thread: Thread) -> Step:
    """The list is empty; nobody takes the tree apart, its nodes went with the VMAs."""
    return destroy_tree(engine, thread)


@step("mm/mmap.c", function="__mt_destroy")
def destroy_tree(engine: Mm, thread: Thread) -> Step:
    """Destroy the tree and unlock: the address space is no more."""
    mm = _mm(thread)
    mm.tree.destroy(engine)
    mm.exited = True
    mmap_write_unlock(engine, thread, mm)
    thread.exiting = None
    return thread.back()


@step("kernel/sched/core.c")
def do_task_dead(engine: Mm, thread: Thread) -> None:
    """The thread is gone."""
    if engine.logging:
        assert thread.operation is not None
        text = engine.log.text(ops.name_of(thread.operation))
        engine.emit(event.OP_END, text, engine.now_ns - thread.op_begun_ns, 0, thread.op_index)
    engine.end()
    thread_ended(engine)
