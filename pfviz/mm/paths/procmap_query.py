"""PROCMAP_QUERY (6.11+): an ioctl on /proc/PID/maps that tells of the one VMA at an address.

Profilers ask it instead of reading the whole file. Under mmap_lock for reading at first, under the
VMA's own lock from 6.18 on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.errno import ENOENT, ENOTTY
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.paths.lock_vma import lock_next
from pfviz.mm.vma_lock import vma_end_read
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class Query:
    """One question: which VMA is at an address of a process?"""

    mm: AddressSpace
    address: int


def _query(thread: Thread) -> Query:
    query = thread.sys
    assert isinstance(query, Query)
    return query


def begin(engine: Mm, thread: Thread, mm: AddressSpace, address: int | None) -> Step:
    """Ask for the VMA at an address (the first one, if none is given)."""
    lock = engine.world.preset.procmap_query_lock
    if lock == "none":
        thread.op_result = ENOTTY
        return thread.back()
    thread.sys = Query(mm, address or 0)
    if lock == "vma_lock" and engine.world.has_vma_lock:
        engine.world.rcu.read_lock(engine, thread)
        return lock_next(engine, thread, mm, address or 0, query_matching_vma)
    return mmap_read_lock(engine, thread, mm, query_vma_find_by_addr)


@step("fs/proc/task_mmu.c (6.11+)", cost="find_vma")
def query_vma_find_by_addr(engine: Mm, thread: Thread) -> Step:
    """With the whole address space locked for reading, find the VMA at the address."""
    query = _query(thread)
    vma = query.mm.tree.find(engine, query.address)
    found = vma is not None and (vma.covers(query.address) or not query.address)
    thread.op_result = 0 if found else ENOENT
    return query_vma_teardown


@step("fs/proc/task_mmu.c (6.11+)", cost="show_map", function="do_procmap_query")
def query_vma_teardown(engine: Mm, thread: Thread) -> Step:
    """Fill in the answer and give mmap_lock back."""
    mmap_read_unlock(engine, thread, _query(thread).mm)
    return thread.back()


@step("fs/proc/task_mmu.c (6.18+)", cost="show_map", function="do_procmap_query")
def query_matching_vma(engine: Mm, thread: Thread) -> Step:
    """Only the VMA found is locked: fill in the answer and let go of it."""
    query, vma = _query(thread), thread.vma
    engine.world.rcu.read_unlock(engine, thread)
    found = vma is not None and (vma.covers(query.address) or not query.address)
    thread.op_result = 0 if found else ENOENT
    if vma is not None:
        vma_end_read(engine, thread, vma)
    return thread.back()
