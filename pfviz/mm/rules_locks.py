"""Rules about locks: who may hold what, wait for whom, and what the lock words must say."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm import rules_uffd
from pfviz.mm.address_space import AddressSpace
from pfviz.mm.paths.fork import ForkCall
from pfviz.mm.paths.fork import copied as copied_by_fork
from pfviz.mm.thread import Thread
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import EXCLUDING, VM_REFCNT_WRITER
from pfviz.sim.event import READ, WRITE
from pfviz.sim.task import DONE, SLEEPING, Task
from pfviz.sync.range_lock import RangeLock
from pfviz.sync.rwsem import RwSemaphore, holders

if TYPE_CHECKING:
    from pfviz.mm.world import Mm


LOCKS_OF_MM: Final = ("mmap_lock", "range_lock")
"""Kinds of the lock on an address space: mmap_lock, in `beyond` the lock on ranges."""


def threads_of(engine: Mm) -> list[Thread]:
    """All threads that have not ended."""
    return [task for task in engine.tasks if isinstance(task, Thread) and task.state != DONE]


def is_written(mm: AddressSpace) -> bool:
    """Whether somebody holds the address space for writing."""
    return mm.mmap_lock.is_write_locked


def is_vma_written(engine: Mm, vma: Vma) -> bool:
    """Whether a VMA is write-locked just now."""
    if engine.world.splits_mmap_lock:
        return vma.vm_lock_seq % 2 == 1
    return is_written(vma.mm) and vma.vm_lock_seq == vma.mm.mm_lock_seq.value


def nobody_holds_a_freed_vma(engine: Mm) -> Iterator[str]:
    """I2: a VMA is not freed while somebody holds its lock, or stands on it under RCU."""
    for thread in threads_of(engine):
        for vma in thread.vma_read_locks:
            if vma.freed:
                yield f"{thread.name} holds VMA {vma.id}, which is freed"


def write_locked_vmas_have_no_reader(engine: Mm) -> Iterator[str]:
    """I8: who locked a VMA for writing in this write section is alone in it."""
    for thread in threads_of(engine):
        for vma in thread.vmas_held:
            if is_vma_written(engine, vma):
                yield f"{thread.name} holds VMA {vma.id} for reading while it is write-locked"


def held_vmas_do_not_change(engine: Mm) -> Iterator[str]:
    """I7: what a reader who holds a VMA relies on keeps its value until it lets go."""
    for thread in threads_of(engine):
        for vma, fields in thread.vmas_held.items():
            if vma.stable_fields != fields:
                yield f"VMA {vma.id} changed while {thread.name} held it for reading"


def lock_words_are_true(engine: Mm) -> Iterator[str]:
    """I10: the invariants that each lock states about its own word."""
    for lock in _rwsems(engine):
        try:
            lock.check()
        except AssertionError as error:
            yield str(error)


def _rwsems(engine: Mm) -> Iterator[RwSemaphore | RangeLock]:
    seen: set[int] = set()
    for mm in engine.world.mms:
        yield mm.mmap_lock
        if mm.userfaultfd is not None:
            yield mm.userfaultfd.map_changing_lock
        for vma in mm.tree:
            if vma.vm_lock is not None:
                yield vma.vm_lock
            if vma.anon_vma is not None and vma.anon_vma.rwsem.id not in seen:
                seen.add(vma.anon_vma.rwsem.id)
                yield vma.anon_vma.rwsem
    for file in engine.world.files.values():
        yield file.i_mmap


def vma_reference_counts_are_true(engine: Mm) -> Iterator[str]:
    """I12: 6.15+: one for attached, one for each reader, a bias for a writer who excludes them."""
    readers: dict[int, int] = {}
    vmas: dict[int, Vma] = {}
    excluded: set[int] = set()
    for thread in threads_of(engine):
        if thread.vma is not None and thread.step in EXCLUDING:
            excluded.add(thread.vma.id)
        for vma in thread.vma_read_locks:
            readers[vma.id] = readers.get(vma.id, 0) + 1
            vmas[vma.id] = vma
    for mm in engine.world.mms:
        vmas.update((vma.id, vma) for vma in mm.tree)
    for vma in vmas.values():
        if vma.vm_refcnt is None:
            continue
        value = vma.vm_refcnt.value
        expected = (0 if vma.detached else 1) + readers.get(vma.id, 0) + vma.lost_readers
        expected += VM_REFCNT_WRITER if vma.id in excluded else 0
        if value != expected:
            yield f"VMA {vma.id} counts {value} users, but has {expected}"


def waiting_is_allowed(engine: Mm) -> Iterator[str]:
    """I18: no sleep in an atomic or RCU section, none on mmap_lock with a VMA held, no cycle."""
    rcu = engine.world.rcu
    for thread in threads_of(engine):
        if thread.state != SLEEPING:
            continue
        if thread.preempt_count:
            yield f"{thread.name} sleeps in an atomic section"
        if rcu.is_reading(thread):
            yield f"{thread.name} sleeps in an RCU section"
        lock = _awaited(thread)
        if getattr(lock, "kind", "") in LOCKS_OF_MM and thread.vmas_held:
            held = next(iter(thread.vmas_held)).id
            yield f"{thread.name} waits for {lock.kind} while it holds VMA {held}"
    for thread in threads_of(engine):
        circle = circle_of(engine, thread)
        if circle:
            yield f"a circle of waiting: {told(circle)}"
            return


def told(circle: list[Task]) -> str:
    """A circle of waiting in words: who waits for whom, and what for."""
    others = [*circle[1:], circle[0]]
    return ", ".join(
        f"{task.name} waits for {other.name} ({_wanted(task)})"
        for task, other in zip(circle, others, strict=True)
    )


def _wanted(task: Task) -> str:
    lock = _awaited(task)
    if isinstance(lock, RwSemaphore):
        return str(lock.name)
    return task.asleep_why.removeprefix("waits for ")


def _awaited(task: Task) -> Any:
    waiting = task.waiting
    return getattr(waiting, "sem", None) if waiting is not None else None


def _waits_for(engine: Mm, task: Task) -> tuple[Task, ...]:
    lock = _awaited(task)
    if isinstance(lock, RwSemaphore):
        if not lock.is_write_locked and task.waiting.mode == READ:
            # Readers hold it: a reader waits only because a writer stands in the queue before it.
            ahead = (one.task for one in lock.wait_list if one.mode == WRITE)
            return tuple(itertools.islice(ahead, 1))
        return tuple(one for one in holders(lock) if one is not task)
    if isinstance(lock, RangeLock):
        return lock.blockers(task.waiting)
    if isinstance(task, Thread) and task.vma is not None and task.vma.writer_wait is task:
        return tuple(other for other in threads_of(engine) if task.vma in other.vma_read_locks)
    for mm in engine.world.mms:
        if mm.vma_writer_wait is task:
            return tuple(other for other in threads_of(engine) if task.vma in other.vma_read_locks)
    return rules_uffd.monitors_of(task)


def circle_of(engine: Mm, start: Task) -> list[Task]:
    """A circle of sleepers each of whom waits for the next, from `start` back to it; or nothing."""
    path: list[Task] = []
    agenda: list[tuple[Task, int]] = [(start, 0)]
    seen: set[int] = set()
    while agenda:
        task, depth = agenda.pop()
        del path[depth:]
        if task is start and depth:
            return path
        if task.id in seen or task.state != SLEEPING:
            continue
        seen.add(task.id)
        path.append(task)
        agenda.extend((other, depth + 1) for other in _waits_for(engine, task))
    return []


def sequences_are_odd_for_writers(engine: Mm) -> Iterator[str]:
    """I20: mm_lock_seq is odd exactly while its mm is write-locked (6.13+)."""
    for mm in engine.world.mms:
        if engine.world.mm_lock_seq != "seqcount":
            continue
        if mm.mm_lock_seq.is_written and not is_written(mm):
            yield f"mm_lock_seq of {mm.name} is odd, but nobody writes"
        # The writer's very next step after it got the lock makes the count odd.
        begins = any(task.locking_mm is mm for task in threads_of(engine))
        if is_written(mm) and not mm.mm_lock_seq.is_written and not begins:
            yield f"mm_lock_seq of {mm.name} is even under a writer"


def fork_keeps_faults_out(engine: Mm) -> Iterator[str]:
    """Until fork has flushed the TLBs, no fault may run in a VMA whose pages it has copied.

    What 6.4.0 got wrong: a page copied on write in that window loses what another CPU still writes
    through its stale TLB entry.
    """
    for mm in engine.world.mms:
        forker = forker_of(mm)
        if forker is None:
            continue
        for thread in threads_of(engine):
            for vma in thread.vmas_held:
                if vma.mm is mm and copied_by(forker, vma):
                    yield fault_in_a_copy(thread, vma, forker)


def fault_in_a_copy(thread: Thread, vma: Vma, forker: Thread) -> str:
    """What F1 says: who is where he may not be, and what comes of it."""
    return (
        f"{thread.name} faults in VMA {vma.id}, which {forker.name}'s fork copies"
        " and has not flushed from the TLBs yet: writes can be lost"
    )


def forker_of(mm: AddressSpace) -> Thread | None:
    """Who is inside fork with an address space write-locked that is its own."""
    if is_written(mm):
        for task in tuple(mm.mmap_lock.held):
            if isinstance(task, Thread) and task.mm is mm and isinstance(task.sys, ForkCall):
                return task
    return None


def copied_by(forker: Thread, vma: Vma) -> bool:
    """Whether a VMA is one that fork has copied, or copies."""
    return copied_by_fork(forker.sys, vma)


def locks_are_free(engine: Mm) -> Iterator[str]:
    """I24: at the end nobody holds a lock, not even one who has ended."""
    for lock in [*_rwsems(engine), *(file.invalidate_lock for file in engine.world.files.values())]:
        for task in lock.held:
            yield f"{task.name} still holds {lock.name}"
        if lock.count and not lock.held:
            yield f"{lock.name} is free, but its word is {lock.count:#x}"
    for mm in engine.world.mms:
        for spin in [mm.page_tables.page_table_lock, *(t.ptl for t in mm.page_tables.all_tables())]:
            if spin.holder is not None:
                yield f"{spin.holder.name} still holds {spin.name}"


def everybody_gets_on(engine: Mm) -> Iterator[str]:
    """I25: when nothing is due any more, nobody is left asleep."""
    for thread in threads_of(engine):
        yield f"{thread.name} sleeps for ever: {thread.asleep_why}"
