"""A write to a page that others see, too: the file's own page is mapped writable.

The filesystem is asked first (page_mkwrite), with the page unlocked; afterwards the page is marked
dirty and the fault lock dropped, since a writer may be made to wait. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_cache import Folio, folio_trylock, folio_unlock
from pfviz.mm.page_range import set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    WRITABLE,
    PteTable,
    keeping_mark,
)
from pfviz.mm.paths.call_fault import ask_file, vmf_can_call_fault
from pfviz.mm.paths.file_page import (
    file_of,
    has_no_page,
    install_and_lock,
    map_folio,
    pte_free_prealloc,
    put_folio,
    unlock_folio,
    with_prealloc,
)
from pfviz.mm.paths.filemap import maybe_unlock_mmap_for_io
from pfviz.mm.paths.outcome import VM_FAULT_COMPLETED, VM_FAULT_LOCKED, VM_FAULT_NOPAGE
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock, unlock
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

THROTTLED = "a writer may be throttled"


# Nothing is mapped yet


@step("mm/memory.c", cost="vma_check")
def do_shared_fault(engine: Mm, thread: Thread) -> Step:
    """A write that needs the file's (or the device's) own page, not a copy."""
    fault = thread.in_flight
    fault.kind = fault.kind or "shared_write"
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        return refused
    thread.returns.append(shared_page_found)
    return with_prealloc(thread, ask_file(thread))


@step("mm/memory.c", cost="vma_check", function="do_shared_fault")
def shared_page_found(engine: Mm, thread: Thread) -> Step:
    """See what the file answered: its page, locked, or that the fault must start again or fail."""
    if has_no_page(engine, thread):
        return thread.back()
    if not file_of(thread).has_page_mkwrite:
        return install_and_lock(engine, thread, then=finish_shared_fault)
    thread.returns.append(shared_page_agreed)
    return unlock_for_mkwrite


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
def unlock_for_mkwrite(engine: Mm, thread: Thread) -> Step:
    """Unlock the page: the filesystem has locks of its own to take before it."""
    fault = thread.in_flight
    folio_unlock(engine, fault.folio)
    fault.result &= ~VM_FAULT_LOCKED
    return do_page_mkwrite


@step("mm/memory.c", cost="page_mkwrite")
def do_page_mkwrite(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Tell the filesystem that the page is about to be written: it reserves what it needs."""
    return lock_mkwrite_folio


@step("mm/memory.c", cost="folio_lock", function="do_page_mkwrite")
def lock_mkwrite_folio(engine: Mm, thread: Thread) -> Step | None:
    """Lock the page again, waiting if need be; it may have been truncated away meanwhile."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    if not folio_trylock(engine, thread, folio):
        folio.waiters.append(thread)
        engine.sleep(lock_mkwrite_folio, "waits for a page of a file", folio.id)
        return None
    fault.result |= VM_FAULT_LOCKED
    if folio.is_cached:
        return thread.back()
    thread.back()  # Nobody can go on with this page: the access is simply tried again.
    put_folio(engine, thread)
    pte_free_prealloc(engine, thread)
    fault.result |= VM_FAULT_NOPAGE
    return thread.back()


@step("mm/memory.c", cost="vma_check", function="do_shared_fault")
def shared_page_agreed(engine: Mm, thread: Thread) -> Step:
    """The filesystem agrees and the page is locked: on to the page table."""
    return install_and_lock(engine, thread, then=finish_shared_fault)


@step("mm/memory.c", cost="map", function="finish_fault")
def finish_shared_fault(engine: Mm, thread: Thread) -> Step:
    """Map the file's page writable and dirty, unless another thread mapped something meanwhile."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        return thread.call(pte_unmap_unlock, then=unlock_folio)
    flags = keeping_mark(fault.orig_pte, PRESENT | ACCESSED | FILE | WRITABLE | DIRTY)
    map_folio(engine, thread, table, fault.address, fault.folio, flags)
    return thread.call(pte_unmap_unlock, then=fault_dirty_shared_page)


# The page is mapped read-only


@step("mm/memory.c", cost="vma_check")
def wp_page_shared(engine: Mm, thread: Thread) -> Step:
    """A shared page is mapped read-only: must the filesystem agree before it becomes writable?"""
    fault = thread.in_flight
    folio: Folio = engine.world.frames.folios[fault.orig_pte >> 12]
    folio.refcount += 1
    fault.folio = folio
    if not folio.file.has_page_mkwrite:
        return wp_page_reuse_shared
    return unlock_shared_pte


@step("mm/memory.c", function="pte_unmap_unlock")
def unlock_shared_pte(engine: Mm, thread: Thread) -> Step:
    """Let go of the page-table lock: the filesystem may sleep."""
    unlock(engine, thread)
    return ask_about_write


@step("mm/memory.c", cost="vma_check", function="wp_page_shared")
def ask_about_write(engine: Mm, thread: Thread) -> Step:
    """Ask the filesystem, if the lock that is held allows that."""
    refused = vmf_can_call_fault(engine, thread)
    if refused is not None:
        put_folio(engine, thread)
        return refused
    thread.returns.append(lock_agreed_pte)
    return do_page_mkwrite


@step("mm/memory.c", cost="vma_check", function="finish_mkwrite_fault")
def lock_agreed_pte(engine: Mm, thread: Thread) -> Step:
    """The filesystem agrees and the page is locked: lock the page table again."""
    return pte_offset_map_lock(engine, thread, then=finish_mkwrite_fault)


@step("mm/memory.c", cost="set_pte")
def finish_mkwrite_fault(engine: Mm, thread: Thread) -> Step:
    """Make the entry writable, unless it changed while the lock was not held."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        fault.result |= VM_FAULT_NOPAGE
        return thread.call(pte_unmap_unlock, then=unlock_folio)
    _make_writable(engine, thread)
    return thread.call(pte_unmap_unlock, then=fault_dirty_shared_page)


# A device's page is mapped read-only


@step("mm/memory.c", cost="vma_check")
def wp_pfn_shared(engine: Mm, thread: Thread) -> Step:
    """A page frame without struct page: does its owner want to know of the write (pfn_mkwrite)?"""
    driver = file_of(thread).driver
    if driver is None or not driver.has_pfn_mkwrite:
        _make_writable(engine, thread)
        return pte_unmap_unlock
    return unlock_pfn


@step("mm/memory.c", function="pte_unmap_unlock")
def unlock_pfn(engine: Mm, thread: Thread) -> Step:
    """Let go of the page-table lock: the owner may sleep."""
    unlock(engine, thread)
    return ask_about_pfn


@step("mm/memory.c", cost="vma_check", function="wp_pfn_shared")
def ask_about_pfn(engine: Mm, thread: Thread) -> Step:
    """Ask the owner, if the lock that is held allows that."""
    refused = vmf_can_call_fault(engine, thread)
    return pfn_mkwrite if refused is None else refused


@step("fs/ext4/file.c, fs/xfs/xfs_file.c", cost="page_mkwrite")
def pfn_mkwrite(engine: Mm, thread: Thread) -> Step:
    """The filesystem notes that the block is about to be written, with truncation kept out."""
    lock = file_of(thread).invalidate_lock
    return down_read(engine, thread, lock, then=pfn_agreed)


@step("mm/memory.c", cost="vma_check", function="finish_mkwrite_fault")
def pfn_agreed(engine: Mm, thread: Thread) -> Step:
    """The owner agrees: lock the page table again."""
    up_read(engine, thread, file_of(thread).invalidate_lock)
    return pte_offset_map_lock(engine, thread, then=finish_pfn_mkwrite)


@step("mm/memory.c", cost="set_pte", function="finish_mkwrite_fault")
def finish_pfn_mkwrite(engine: Mm, thread: Thread) -> Step:
    """Make the entry writable, unless it changed while the lock was not held."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        _make_writable(engine, thread)
    return pte_unmap_unlock


@step("mm/memory.c", cost="set_pte", function="wp_page_reuse")
def wp_page_reuse_shared(engine: Mm, thread: Thread) -> Step:
    """Nobody wants to be asked: make the entry writable at once."""
    _make_writable(engine, thread)
    return thread.call(pte_unmap_unlock, then=lock_written_folio)


def _make_writable(engine: Mm, thread: Thread) -> None:
    fault = thread.in_flight
    pte = fault.orig_pte | WRITABLE | DIRTY | ACCESSED
    set_pte(engine, thread.mm.page_tables, fault.pmd, fault.address, pte)


@step("mm/memory.c", cost="folio_lock", function="wp_page_shared")
def lock_written_folio(engine: Mm, thread: Thread) -> Step | None:
    """Lock the page, waiting if need be, to mark it dirty."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    if not folio_trylock(engine, thread, folio):
        folio.waiters.append(thread)
        engine.sleep(lock_written_folio, "waits for a page of a file", folio.id)
        return None
    fault.result |= VM_FAULT_LOCKED
    return fault_dirty_shared_page


# Dirty


@step("mm/memory.c")
def fault_dirty_shared_page(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Mark the page dirty."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    fault.scratch["dirtied"] = not folio.dirty
    folio.dirty = True
    return unlock_dirty_folio


@step("mm/filemap.c", cost="folio_unlock", function="folio_unlock")
def unlock_dirty_folio(engine: Mm, thread: Thread) -> Step:
    """Unlock the page; whoever dirtied it may have to wait for the disk next."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    put_folio(engine, thread)
    if fault.scratch.pop("dirtied") or folio.file.has_page_mkwrite:
        return unlock_for_throttling
    return thread.back()


@step("mm/memory.c", function="fault_dirty_shared_page")
def unlock_for_throttling(engine: Mm, thread: Thread) -> Step:
    """Pin the file and give the fault lock up, unless this fault gave it up before."""
    maybe_unlock_mmap_for_io(engine, thread, THROTTLED)
    return balance_dirty_pages_ratelimited


@step("mm/page-writeback.c", cost="vma_check")
def balance_dirty_pages_ratelimited(engine: Mm, thread: Thread) -> Step:
    """Count the dirtied page: whoever dirties pages faster than the disk writes would wait here."""
    fault = thread.in_flight
    if fault.fpin is not None:
        fault.fpin.refcount_line.write(engine)
        fault.fpin = None
        fault.result |= VM_FAULT_COMPLETED
    return thread.back()
