"""A page fault under the lock of one VMA: look it up under RCU, lock it or give up, handle, unlock.

Both generations of the lock (rwsem and sequence, 6.4-6.14; reference count, 6.15+) and the order of
checks of each kernel. `lock_vma_under_rcu` is a chain of its own: madvise and maps use it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.paths import under_mmap_lock
from pfviz.mm.paths.access_check import access_error
from pfviz.mm.paths.filemap import FOLIO_LOCKED, IO_NEEDED
from pfviz.mm.paths.handle import handle_mm_fault
from pfviz.mm.paths.outcome import (
    VM_FAULT_ERROR,
    VM_FAULT_MAJOR,
    VM_FAULT_RETRY,
    VM_FAULT_UNLOCKED,
    account_fault,
    bad_area_access_error,
    begin_path,
    do_sigbus,
    fall_back,
)
from pfviz.mm.paths.tree_walk import mas_walk, mas_walk_again
from pfviz.mm.thread import MMAP_LOCK, VMA_LOCK
from pfviz.mm.vma import VM_UFFD
from pfviz.mm.vma_lock import (
    BUSY,
    DETACHED,
    is_write_locked,
    read_locked,
    vma_end_read,
    vma_read_trylock,
)
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm

NO_VMA = "no VMA at the address"
NOT_ANONYMOUS = "not anonymous (6.4 locks no file VMA)"
NO_ANON_VMA = "no anon_vma yet"
WRITE_LOCKED = "VMA is write-locked (seq)"
LOCKED_MEANWHILE = "VMA was write-locked meanwhile (seq)"
LOCK_BUSY = "lock word busy"
WAS_DETACHED = "detached: retry the walk"
UFFD_ARMED = "userfaultfd monitor (6.4, 6.5)"
ADDRESS_LEFT = "address left the VMA"
RECYCLED = "VMA recycled by another process"
ACCESS_RECHECK = "access not permitted: ask mmap_lock"
AFTER_IO = (IO_NEEDED, FOLIO_LOCKED)
"""Why a VMA was not locked, as FAULT_FALLBACK says it."""


def begin(engine: Mm, thread: Thread) -> Step:
    """Try the fault under a VMA lock."""
    begin_path(engine, thread, VMA_LOCK)
    return thread.call(lock_vma_under_rcu, then=vma_locked_or_not)


# lock_vma_under_rcu: thread.address in; thread.vma, or None and thread.abort, out


@step("mm/memory.c (6.4-6.15), mm/mmap_lock.c (6.16+)")
def lock_vma_under_rcu(engine: Mm, thread: Thread) -> Step:
    """Enter an RCU section: nothing that the walk may meet is freed before it ends."""
    engine.world.rcu.read_lock(engine, thread)
    return thread.call(mas_walk, then=check_found)


@step(
    "mm/memory.c (6.4-6.15), mm/mmap_lock.c (6.16+)",
    cost="vma_lookup",
    function="lock_vma_under_rcu",
)
def check_found(engine: Mm, thread: Thread) -> Step:
    """See what the walk found: it may not be trusted yet, and a gap is for mmap_lock to judge."""
    vma = thread.vma
    check = engine.world.preset.anon_vma_check
    if vma is None:
        return _inval(engine, thread, NO_VMA)
    if engine.world.preset.file_under_vl == "none" and not vma.is_anonymous:
        return _inval(engine, thread, NOT_ANONYMOUS)
    if check == "early_unlocked" and vma.anon_vma is None:
        return _inval(engine, thread, NO_ANON_VMA)
    return vma_start_read


@step("include/linux/mm.h (6.4-6.16), mm/mmap_lock.c (6.17+)", cost="seq_check")
def vma_start_read(engine: Mm, thread: Thread) -> Step:
    """Glance at the sequence numbers: a VMA that is being written is not worth an atomic."""
    if is_write_locked(engine, _found(thread)):
        return _inval(engine, thread, WRITE_LOCKED)
    return vma_lock_word


@step("include/linux/mm.h (6.4-6.16), mm/mmap_lock.c (6.17+)", function="vma_start_read")
def vma_lock_word(engine: Mm, thread: Thread) -> Step:
    """Take the VMA's lock word for reading; never wait for it."""
    answer = vma_read_trylock(engine, thread, _found(thread))
    if answer == BUSY:
        return _inval(engine, thread, LOCK_BUSY)
    if answer == DETACHED:
        return _missed(engine, thread)
    return vma_recheck_sequence


@step(
    "include/linux/mm.h (6.4-6.16), mm/mmap_lock.c (6.17+)",
    cost="seq_check",
    function="vma_start_read",
)
def vma_recheck_sequence(engine: Mm, thread: Thread) -> Step:
    """Compare the sequence numbers again: only now, with the word taken, the answer counts."""
    vma = _found(thread)
    if vma.mm is not thread.mm:
        return _drop(engine, thread, RECYCLED)
    if is_write_locked(engine, vma):
        return _drop(engine, thread, LOCKED_MEANWHILE)
    read_locked(engine, vma)
    # From 6.15 on a detached VMA has a reference count of zero and was not locked at all.
    if engine.world.preset.detached_before_range and vma.vm_refcnt is None:
        return check_vma_detached
    return check_vma_range


@step("mm/memory.c (6.4-6.14)", cost="vma_check", function="lock_vma_under_rcu")
def check_vma_detached(engine: Mm, thread: Thread) -> Step:
    """See whether the VMA was taken out of the tree between the walk and the lock."""
    vma = _found(thread)
    if vma.detached:
        vma_end_read(engine, thread, vma)
        return _missed(engine, thread)
    if engine.world.preset.detached_before_range:
        return check_vma_range
    return _locked(engine, thread)


@step(
    "mm/memory.c (6.4-6.15), mm/mmap_lock.c (6.16+)",
    cost="vma_check",
    function="lock_vma_under_rcu",
)
def check_vma_range(engine: Mm, thread: Thread) -> Step:
    """See whether the VMA still covers the address: it may have been split or shrunk."""
    vma = _found(thread)
    if engine.world.preset.anon_vma_check == "early" and vma.is_anonymous and not vma.anon_vma:
        return _drop(engine, thread, NO_ANON_VMA)
    if vma.vm_flags & VM_UFFD and not engine.world.preset.uffd_under_vl:
        return _drop(engine, thread, UFFD_ARMED)
    if not vma.covers(thread.address):
        return _drop(engine, thread, ADDRESS_LEFT)
    if engine.world.preset.detached_before_range:
        return _locked(engine, thread)
    return check_vma_detached


def _found(thread: Thread) -> Vma:
    assert thread.vma is not None
    return thread.vma


def _locked(engine: Mm, thread: Thread) -> Step:
    """The VMA is pinned by its lock: the RCU section may end."""
    engine.world.rcu.read_unlock(engine, thread)
    thread.abort = ""
    return thread.back()


def _drop(engine: Mm, thread: Thread, cause: str) -> Step:
    vma_end_read(engine, thread, _found(thread))
    return _inval(engine, thread, cause)


def _inval(engine: Mm, thread: Thread, cause: str) -> Step:
    engine.world.rcu.read_unlock(engine, thread)
    thread.vma = None
    thread.abort = cause
    if thread.fault is None:
        engine.world.count("vma_lock_abort")  # A fault counts it where it falls back.
    return thread.back()


def _missed(engine: Mm, thread: Thread) -> Step:
    """A detached VMA: walk again, before 6.18 in the same RCU section."""
    if thread.fault is None:
        engine.world.count("vma_lock_miss")
    else:
        fall_back(engine, thread, WAS_DETACHED, VMA_LOCK, "vma_lock_miss")
    if not engine.world.preset.walk_begins_anew:
        return thread.call(mas_walk_again, then=check_found)
    # vma_start_read has left the RCU section: begin again, from the address of the fault (6.18).
    engine.world.rcu.read_unlock(engine, thread)
    return lock_vma_under_rcu


# The fault


@step("arch/x86/mm/fault.c (6.4+)", cost="vma_check", function="do_user_addr_fault")
def vma_locked_or_not(engine: Mm, thread: Thread) -> Step:
    """With the VMA locked check the access; without it fall back to mmap_lock at once."""
    fault = thread.in_flight
    vma = thread.vma
    if vma is None:
        fall_back(engine, thread, thread.abort, MMAP_LOCK, "vma_lock_abort")
        return under_mmap_lock.begin(engine, thread)
    fault.vma = vma
    if not access_error(fault, vma.vm_flags):
        return thread.call(handle_mm_fault, then=vma_fault_handled)
    if engine.world.preset.access_error_under_vl:
        return bad_area_access_error
    vma_end_read(engine, thread, vma)
    fall_back(engine, thread, ACCESS_RECHECK, MMAP_LOCK, "")
    return under_mmap_lock.begin(engine, thread)


@step("arch/x86/mm/fault.c (6.4+)", cost="vma_check", function="do_user_addr_fault")
def vma_fault_handled(engine: Mm, thread: Thread) -> Step:
    """See what the handler made of it, and whether the VMA lock is still to be given back."""
    if thread.in_flight.result & VM_FAULT_UNLOCKED and engine.world.preset.handler_unlocks:
        return vma_fault_unlocked(engine, thread)
    return end_read


@step("include/linux/mm.h (6.4-6.15), include/linux/mmap_lock.h (6.16+)", function="vma_end_read")
def end_read(engine: Mm, thread: Thread) -> Step:
    """Give the VMA's lock back: a writer may be waiting for it."""
    vma = thread.in_flight.vma
    assert vma is not None
    vma_end_read(engine, thread, vma)
    return vma_fault_unlocked(engine, thread)


def vma_fault_unlocked(engine: Mm, thread: Thread) -> Step:
    """Return, or start again under mmap_lock when the handler could not finish."""
    fault = thread.in_flight
    world = engine.world
    gave_up = fault.result & VM_FAULT_UNLOCKED and world.preset.handler_unlocks
    if gave_up and world.watch is not None:
        world.watch.fault_unlocked(engine, thread)
    account_fault(engine, thread)
    read_in = bool(fault.result & VM_FAULT_MAJOR)
    if not fault.result & VM_FAULT_RETRY:
        fault.major = fault.major or read_in
        world.count("vma_lock_success")
        return do_sigbus if fault.result & VM_FAULT_ERROR else thread.back()
    if read_in and world.preset.tried_after_major:
        fault.tried = True
    # A handler that returns RETRY leaves in thread.abort why.
    restart = MMAP_LOCK
    if world.policy.restart_lock == "vma_lock" and thread.abort in AFTER_IO:
        # What was proposed in 2025: the same lock again, and now the fault may not drop it.
        fault.tried = True
        restart = VMA_LOCK
    # A round that ends in RETRY is not accounted: the next is major by TRIED, or (until 6.7) minor.
    fault.major = fault.major or (read_in and fault.tried)
    fall_back(engine, thread, thread.abort, restart, "vma_lock_retry")
    return begin(engine, thread) if restart == VMA_LOCK else under_mmap_lock.begin(engine, thread)
