"""Locking one VMA after another for reading, without mmap_lock: how /proc/PID/maps walks (6.17+).

The look-up goes node by node, as a fault's does; what could not be locked this way is looked up
under mmap_lock, which is given back at once: a reader of /proc never holds up more than one VMA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.address_space import TASK_SIZE
from pfviz.mm.maple import MaState
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import (
    BUSY,
    DETACHED,
    LOCKED,
    is_write_locked,
    read_locked,
    vma_end_read,
    vma_read_trylock,
    vma_start_read_locked,
)
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def lock_found(engine: Mm, thread: Thread, vma: Vma) -> str:
    """vma_start_read with both checks of the sequence number: LOCKED, BUSY or DETACHED."""
    if is_write_locked(engine, vma):
        return BUSY
    answer = vma_read_trylock(engine, thread, vma)
    if answer != LOCKED:
        return answer
    if is_write_locked(engine, vma) or vma.detached:
        vma_end_read(engine, thread, vma)
        return BUSY
    read_locked(engine, vma)
    return LOCKED


def lock_next(engine: Mm, thread: Thread, mm: AddressSpace, start: int, then: Step) -> Step:  # noqa: ARG001
    """Lock the first VMA that ends above `start`; `thread.vma` is None behind the last one.

    The caller is in an RCU section, and is again afterwards.
    """
    thread.locking_mm, thread.address = mm, start
    return thread.call(lock_next_vma, then)


@step("mm/mmap_lock.c (6.17+)", cost="vma_lookup")
def lock_next_vma(engine: Mm, thread: Thread) -> Step:
    """Find the next VMA under RCU, having noted the sequence, without touching mmap_lock."""
    mm = thread.locking_mm
    assert mm is not None
    if engine.world.watch is not None:
        engine.world.watch.lookup_begins(thread, mm, thread.address)
    thread.sequence = mm.mm_lock_seq.read(engine)
    return _find(thread, lock_next_walked)


def _find(thread: Thread, then: Step) -> Step:
    """Look for the first VMA that ends above the position; `thread.walk` will hold it."""
    thread.walk = MaState(thread.address)
    return thread.call(mas_find, then=then)


def _walk(thread: Thread) -> tuple[MaState, VmaTree]:
    mas, mm = thread.walk, thread.locking_mm
    assert isinstance(mas, MaState)
    assert mm is not None
    tree = mm.tree
    assert isinstance(tree, VmaTree), "a red-black tree cannot be walked without mmap_lock"
    return mas, tree


@step("lib/maple_tree.c")
def mas_find(engine: Mm, thread: Thread) -> Step:
    """Go down one node; a node that was replaced meanwhile sends the walk back to the root."""
    mas, tree = _walk(thread)
    if mas.status == "start":
        tree.walk_step(engine, mas)  # The root pointer; its first node goes with this step.
    if not mas.is_done and not tree.walk_step(engine, mas):
        return mas_find
    if mas.status == "freed":
        return _lost(engine, thread)
    return mas_next_slot if mas.status == "found" and mas.entry is None else thread.back()


@step("lib/maple_tree.c", function="mas_find")
def mas_next_slot(engine: Mm, thread: Thread) -> Step:
    """Nothing is mapped there: take what lies behind the gap, if the leaf is still alive."""
    mas, tree = _walk(thread)
    if not tree.next_slot(engine, mas):
        return mas_find if mas.status == "start" else mas_next_slot
    return _lost(engine, thread) if mas.status == "freed" else thread.back()


def _lost(engine: Mm, thread: Thread) -> Step:
    """Only with `Policy.tree_in_place` are nodes given back under readers: report, begin again."""
    mas, _ = _walk(thread)
    text = f"{thread.name} stands on a node that was given back"
    engine.world.break_rule(engine, "I3", text)
    mas.reset()
    return mas_find


@step("mm/mmap_lock.c (6.17+)", function="lock_next_vma")
def lock_next_walked(engine: Mm, thread: Thread) -> Step:
    """Take what the walk found; behind the last VMA there is nothing to lock."""
    mas, _ = _walk(thread)
    thread.vma = mas.entry
    if thread.vma is not None:
        return lock_next_found
    if engine.world.watch is not None:
        engine.world.watch.gap_shown(engine, thread, TASK_SIZE)
    return thread.back()


@step("mm/mmap_lock.c (6.17+)", cost="vma_check", function="lock_next_vma")
def lock_next_found(engine: Mm, thread: Thread) -> Step:
    """Lock what was found; a gap before it counts only if another look finds nothing else there."""
    mm, vma = thread.locking_mm, thread.vma
    assert mm is not None
    assert vma is not None
    answer = lock_found(engine, thread, vma)
    if answer == DETACHED:
        # vma_start_read has left the section.
        engine.world.rcu.read_unlock(engine, thread)
        engine.world.rcu.read_lock(engine, thread)
        return lock_next_vma
    if answer != LOCKED:
        return _ask_mmap_lock(engine, thread, mm)
    if vma.mm is not mm or vma.vm_end <= thread.address:
        vma_end_read(engine, thread, vma)
        return _ask_mmap_lock(engine, thread, mm)
    if vma.vm_start <= thread.address or not mm.mm_lock_seq.retry(engine, thread.sequence):
        if engine.world.watch is not None:
            engine.world.watch.vma_shown(engine, mm, thread.address, vma)
        return thread.back()
    # Somebody writes, or has written, meanwhile: he may have mapped something into the gap.
    engine.cost("vma_lookup")
    return _find(thread, lock_next_found_again)


@step("mm/mmap_lock.c (6.17+)", function="lock_next_vma")
def lock_next_found_again(engine: Mm, thread: Thread) -> Step:
    """See whether what is locked is still the next VMA, and the gap before it a gap (FP 5.2)."""
    (mas, _), mm, vma = _walk(thread), thread.locking_mm, thread.vma
    assert mm is not None
    assert vma is not None
    if mas.entry is vma:
        if engine.world.watch is not None:
            engine.world.watch.gap_shown(engine, thread, vma.vm_start)
        return thread.back()
    vma_end_read(engine, thread, vma)
    return _ask_mmap_lock(engine, thread, mm)


def _ask_mmap_lock(engine: Mm, thread: Thread, mm: AddressSpace) -> Step:
    """Take the slow way, outside the RCU section: it may have to wait for mmap_lock."""
    engine.world.rcu.read_unlock(engine, thread)
    return mmap_read_lock(engine, thread, mm, lock_next_vma_slowly)


@step("mm/mmap_lock.c (6.17+)", cost="find_vma", function="lock_next_vma_under_mmap_lock")
def lock_next_vma_slowly(engine: Mm, thread: Thread) -> Step:
    """The VMA is busy, or something else came to lie before it: look it up under mmap_lock."""
    mm = thread.locking_mm
    assert mm is not None
    vma = mm.tree.find(engine, thread.address)
    if vma is not None:
        vma_start_read_locked(engine, thread, vma)
        if engine.world.watch is not None:
            engine.world.watch.vma_shown(engine, mm, thread.address, vma)
    thread.vma = vma
    mmap_read_unlock(engine, thread, mm)
    engine.world.rcu.read_lock(engine, thread)
    return thread.back()
