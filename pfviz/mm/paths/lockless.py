"""A page fault without any lock, as speculative designs propose: look, prepare, look again, commit.

Everything is read under RCU, a sequence count says whether a writer came in between, and only the
page table's own lock is taken, by trylock, to commit. This file goes as far as the prepared page,
`lockless_commit` goes on. Every way out has a name and leads one rung down the ladder.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from pfviz.mm.page_cache import Folio, folio_trylock
from pfviz.mm.page_table import FILE, PRESENT, SPECIAL, WRITABLE, pfn_of
from pfviz.mm.paths import attempt as lockless_attempt
from pfviz.mm.paths import under_mmap_lock, under_vma_lock
from pfviz.mm.paths.access_check import access_error
from pfviz.mm.paths.allocation import clear_user_page, vma_alloc_folio
from pfviz.mm.paths.attempt import (
    MAY_PASS,
    Attempt,
    attempt_of,
    give_up,
    let_go,
    rcu_begin,
    rcu_end,
    sequence_holds,
    walk_begin,
    walk_end,
)
from pfviz.mm.paths.copy_on_write import copy_mc_user_highpage
from pfviz.mm.paths.lockless_commit import reenter
from pfviz.mm.paths.outcome import account_fault, begin_path, fall_back
from pfviz.mm.paths.tree_walk import mas_walk
from pfviz.mm.thread import LOCKLESS, MMAP_LOCK, VMA_LOCK, Fault
from pfviz.mm.vma import VM_HUGETLB, VM_SHARED, VM_UFFD, Vma
from pfviz.mm.vma_lock import is_write_locked
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def begin(engine: Mm, thread: Thread) -> Step:
    """Try the fault without any lock."""
    begin_path(engine, thread, LOCKLESS)
    world = engine.world
    by_vma = world.policy.lockless_scope == "vma_seq" and world.has_vma_lock
    by_vma = by_vma or world.splits_mmap_lock
    thread.in_flight.snapshot = Attempt("vma_seq" if by_vma else "mm_seq")
    world.count("lockless_attempt")
    return thread.call(lockless_fault, then=lockless_done)


@step("mm/memory.c (lockless model)")
def lockless_fault(engine: Mm, thread: Thread) -> Step:
    """Enter an RCU section: what is read from here on may be stale, but stays in memory."""
    rcu_begin(engine, thread)
    return read_sequence


@step("include/linux/mmap_lock.h (lockless model)", function="mmap_seq_read_start")
def read_sequence(engine: Mm, thread: Thread) -> Step:
    """Note the sequence count before anything else; odd means that a writer is at work."""
    attempt = attempt_of(thread)
    if attempt.scope == "mm_seq":
        sequence = thread.mm.mm_lock_seq
        attempt.sequence = sequence.read(engine)
        if sequence.is_written:
            return give_up(engine, thread, lockless_attempt.SEQ_ODD)
    return thread.call(mas_walk, then=snapshot_vma)


@step("mm/memory.c (lockless model)", cost="vma_snapshot")
def snapshot_vma(engine: Mm, thread: Thread) -> Step:
    """Copy the VMA's fields: the VMA itself may change or go away at any moment."""
    fault, attempt = thread.in_flight, attempt_of(thread)
    vma = attempt.vma = thread.vma
    if vma is None:
        return give_up(engine, thread, lockless_attempt.NO_VMA)
    assert not vma.freed, "W4: a VMA was freed inside a read section"
    if attempt.scope == "vma_seq":
        attempt.sequence = vma.vm_lock_seq
        if is_write_locked(engine, vma):
            return give_up(engine, thread, lockless_attempt.SEQ_ODD)
    fault.vma = copy.copy(vma) if engine.world.policy.lockless_snapshot == "copy" else vma
    return check_snapshot


@step("mm/memory.c (lockless model)", cost="vma_check", function="mmap_seq_read_check")
def check_snapshot(engine: Mm, thread: Thread) -> Step:
    """Compare the sequence: unchanged, the copy is a true picture of the VMA."""
    fault = thread.in_flight
    assert fault.vma is not None
    if not sequence_holds(engine, thread):
        return give_up(engine, thread, lockless_attempt.VMA_CHANGED)
    if fault.vma.mm is not thread.mm:
        return give_up(engine, thread, lockless_attempt.VMA_RECYCLED)
    if not fault.vma.covers(fault.address):
        return give_up(engine, thread, lockless_attempt.ADDRESS_LEFT)
    if access_error(fault, fault.vma.vm_flags):
        return give_up(engine, thread, lockless_attempt.NOT_PERMITTED)
    if fault.vma.vm_flags & VM_UFFD:
        return give_up(engine, thread, lockless_attempt.NEEDS_UFFD)
    if fault.vma.vm_flags & VM_HUGETLB:
        return give_up(engine, thread, lockless_attempt.HUGETLB)
    return walk_page_tables


@step("mm/memory.c (lockless model)", cost="handle_pte_fault", function="speculative_page_walk")
def walk_page_tables(engine: Mm, thread: Thread) -> Step:
    """Walk the page tables that exist and remember the PMD and the entry."""
    fault = thread.in_flight
    walk_begin(engine, thread)
    tables = thread.mm.page_tables
    table = tables.walk(fault.address)
    if table is None:
        is_huge = tables.huge_at(fault.address) is not None
        cause = lockless_attempt.HUGE_PAGE if is_huge else lockless_attempt.NO_TABLE
        return give_up(engine, thread, cause)
    engine.cost("pte_read")
    fault.pmd = table
    fault.orig_pte = table.read(fault.address)
    fault.orig_pte_valid = True
    return choose


# Which kind of fault is it, and can it be done without a lock?


@step("mm/memory.c (lockless model)", cost="handle_mm_fault", function="handle_pte_fault")
def choose(engine: Mm, thread: Thread) -> Step:
    """Decide by the entry what the fault needs; whatever may sleep is left to the lower rungs."""
    fault = thread.in_flight
    assert fault.vma is not None
    pte = fault.orig_pte
    if not pte:
        cause = _choose_missing(engine, thread, fault, fault.vma)
    elif not pte & PRESENT:
        cause = lockless_attempt.NOT_PRESENT
    elif not fault.write or pte & WRITABLE:
        fault.kind = fault.kind or "spurious"
        return let_go(engine, thread)
    else:
        cause = _choose_write(engine, fault, fault.vma)
    if cause:
        fault.kind = ""
        return give_up(engine, thread, cause)
    return prepare


def _choose_missing(engine: Mm, thread: Thread, fault: Fault, vma: Vma) -> str:
    """Choose the path of an empty entry; the cause when there is none without a lock."""
    if vma.is_anonymous:
        fault.kind = "anon_write" if fault.write else "anon_read_zero"
        return lockless_attempt.NO_ANON_VMA if fault.write and vma.anon_vma is None else ""
    file = vma.vm_file
    assert file is not None
    if file.driver is not None:
        said = file.has_map_pages
        return lockless_attempt.DRIVER_SLEEPS if said else lockless_attempt.NO_MAP_PAGES
    engine.cost("page_cache_lookup")
    folio = file.folio(engine, vma.page_index(fault.address))
    if folio is None or not folio.uptodate or folio.readahead:
        return lockless_attempt.IO_NEEDED
    fault.kind = "file_read_hit"
    if fault.write and vma.vm_flags & VM_SHARED:
        if file.has_page_mkwrite:
            return lockless_attempt.FILESYSTEM
        fault.kind = "shared_write"
    elif fault.write:
        fault.kind = "file_cow"
        if vma.anon_vma is None:
            return lockless_attempt.NO_ANON_VMA
    elif folio.locked_by == -1:
        return ""  # map_pages takes references itself, at the commit
    return _lock_folio(engine, thread, folio)


def _lock_folio(engine: Mm, thread: Thread, folio: Folio) -> str:
    if not folio_trylock(engine, thread, folio):
        return lockless_attempt.FOLIO_LOCKED
    attempt_of(thread).folio_locked = True
    folio.refcount += 1
    thread.in_flight.folio = folio
    return ""


def _choose_write(engine: Mm, fault: Fault, vma: Vma) -> str:
    """Choose the path of a write to a read-only entry; the cause when it needs a lock."""
    pte = fault.orig_pte
    frames = engine.world.frames
    if vma.vm_flags & VM_SHARED:
        file = vma.vm_file
        fault.kind = "shared_write"
        minds = file is not None and (file.has_page_mkwrite or file.driver is not None)
        return lockless_attempt.FILESYSTEM if minds else ""
    if not pte & (FILE | SPECIAL) and (
        frames.is_exclusive(pfn_of(pte)) or frames.refcount[pfn_of(pte)] == 1
    ):
        fault.kind = "anon_reuse"
        return ""
    if vma.anon_vma is None:
        return lockless_attempt.NO_ANON_VMA
    if pte & SPECIAL:
        fault.kind = "file_cow" if pte & FILE else "zero_page_cow"
        return ""
    # As in GUP-fast: take a reference, then see that the entry is unchanged, in one section.
    if fault.pmd.read(fault.address) != pte:
        return lockless_attempt.VMA_CHANGED
    fault.kind = "file_cow" if pte & FILE else "cow_after_fork"
    if pte & FILE:
        fault.folio = frames.folios[pfn_of(pte)]
        fault.folio.refcount += 1
    else:
        fault.old_page = pfn_of(pte)
        frames.refcount[fault.old_page] += 1
    return ""


@step("mm/memory.c (lockless model)", cost="vma_check")
def prepare(engine: Mm, thread: Thread) -> Step:
    """Leave the read section and prepare the page: this may take its time, for nothing is held."""
    fault = thread.in_flight
    walk_end(engine, thread)
    if engine.world.policy.lockless_snapshot == "copy":
        rcu_end(engine, thread)
    if fault.kind in ("anon_read_zero", "file_read_hit", "shared_write", "anon_reuse"):
        return reenter
    thread.returns.append(reenter)
    copies = fault.kind in ("cow_after_fork", "file_cow")
    return thread.call(vma_alloc_folio, copy_mc_user_highpage if copies else clear_user_page)


# The ladder


@step("arch/x86/mm/fault.c (lockless model)", cost="vma_check", function="do_user_addr_fault")
def lockless_done(engine: Mm, thread: Thread) -> Step:
    """Return if the fault is done; otherwise try again, or go one rung down the ladder."""
    fault, world = thread.in_flight, engine.world
    cause = attempt_of(thread).cause
    fault.snapshot = None
    if not cause:
        world.count("lockless_success")
        account_fault(engine, thread)
        return thread.back()
    policy = world.policy
    if cause in MAY_PASS and fault.attempt < policy.lockless_attempts_max:
        fall_back(engine, thread, cause, LOCKLESS, "lockless_abort")
        return begin(engine, thread)
    if policy.lockless_fallback == "vma_lock" and world.has_vma_lock:
        fall_back(engine, thread, cause, VMA_LOCK, "lockless_abort")
        return under_vma_lock.begin(engine, thread)
    fall_back(engine, thread, cause, MMAP_LOCK, "lockless_abort")
    return under_mmap_lock.begin(engine, thread)
