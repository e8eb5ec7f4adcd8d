"""filemap_fault: get one page of a file, locked and up to date, reading it from disk if need be.

Before it sleeps it drops the fault lock (once: TRIED forbids it the second time); after that only a
restart from the beginning is possible, and RETRY says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_cache import (
    READAHEAD_PAGES,
    File,
    Folio,
    folio_trylock,
    folio_unlock,
    start_read,
    submit_read,
)
from pfviz.mm.paths.outcome import (
    VM_FAULT_LOCKED,
    VM_FAULT_MAJOR,
    VM_FAULT_NOPAGE,
    VM_FAULT_RETRY,
    VM_FAULT_SIGBUS,
)
from pfviz.mm.paths.release import may_drop_lock, release_fault_lock
from pfviz.mm.vma import VM_RAND_READ, VM_SEQ_READ
from pfviz.sim.event import WRITE
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

IO_NEEDED = "I/O needed"
FOLIO_LOCKED = "page locked by somebody else"


def _file(thread: Thread) -> File:
    """The file of the fault: pinned by get_file once the VMA may be gone."""
    fault = thread.in_flight
    if fault.fpin is not None:
        file: File = fault.fpin
        return file
    assert fault.vma is not None
    assert fault.vma.vm_file is not None
    return fault.vma.vm_file


def _index(thread: Thread) -> int:
    index: int = thread.in_flight.scratch["index"]
    return index


@step("mm/filemap.c", cost="page_cache_lookup")
def filemap_fault(engine: Mm, thread: Thread) -> Step:
    """Look the page up in the page cache, without a lock, and take a reference to it."""
    fault = thread.in_flight
    assert fault.vma is not None
    index = fault.vma.page_index(fault.address)
    fault.scratch["index"] = index
    fault.scratch["advice"] = fault.vma.vm_flags & (VM_RAND_READ | VM_SEQ_READ)
    file = _file(thread)
    if index >= file.pages:
        fault.result |= VM_FAULT_SIGBUS
        return thread.back()
    folio = file.folio(engine, index)
    if folio is None:
        return do_sync_mmap_readahead
    folio.line.write(engine)
    folio.refcount += 1
    fault.folio = folio
    if folio.readahead and not fault.tried:
        return do_async_mmap_readahead
    return lock_folio_maybe_drop_mmap


# Readahead


@step("mm/filemap.c", cost="vma_check")
def do_sync_mmap_readahead(engine: Mm, thread: Thread) -> Step:
    """The page is not in memory: a major fault. What is read ahead depends on the VMA's advice."""
    fault = thread.in_flight
    if engine.world.preset.rechecks_before_miss and thread.mm.page_tables.pte(fault.address):
        # filemap_fault_recheck_pte_none (6.10+): another thread has had the page and mapped it.
        fault.result |= VM_FAULT_NOPAGE
        return thread.back()
    engine.world.count("pgmajfault")
    fault.scratch["missed"] = True
    fault.result |= VM_FAULT_MAJOR
    fault.kind = "file_read_miss" if fault.kind == "file_read_hit" else fault.kind
    if fault.scratch["advice"] & VM_RAND_READ:
        return filemap_get_folio  # No readahead: just this page is read, further down.
    return unlock_for_readahead


@step("mm/filemap.c", cost="vma_check", function="maybe_unlock_mmap_for_io")
def unlock_for_readahead(engine: Mm, thread: Thread) -> Step:
    """Before the read starts, pin the file and give the fault lock up, if that is allowed once."""
    maybe_unlock_mmap_for_io(engine, thread, IO_NEEDED)
    return down_read(engine, thread, _file(thread).invalidate_lock, then=page_cache_ra_unbounded)


@step("mm/readahead.c", cost="readahead")
def page_cache_ra_unbounded(engine: Mm, thread: Thread) -> Step:
    """With truncation kept out, add locked pages around the missing one and start one read."""
    fault = thread.in_flight
    file, index = _file(thread), _index(thread)
    if fault.scratch["advice"] & VM_SEQ_READ:
        first, count = index, READAHEAD_PAGES
    else:
        first, count = max(index - READAHEAD_PAGES // 2, 0), READAHEAD_PAGES
    start_read(engine, file, first, count)
    marker = file.folios.get(first + count - READAHEAD_PAGES // 4)
    if marker is not None and not marker.uptodate:
        marker.readahead = True
    up_read(engine, thread, file.invalidate_lock)
    return filemap_get_folio


@step("mm/filemap.c", cost="readahead")
def do_async_mmap_readahead(engine: Mm, thread: Thread) -> Step:
    """The page is marked as the edge of what was read ahead: start reading the next window."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    folio.readahead = False
    maybe_unlock_mmap_for_io(engine, thread, IO_NEEDED)
    file, index = _file(thread), _index(thread)
    start_read(engine, file, index + READAHEAD_PAGES // 4, READAHEAD_PAGES)
    return lock_folio_maybe_drop_mmap


def maybe_unlock_mmap_for_io(engine: Mm, thread: Thread, cause: str) -> None:
    """Pin the file and drop the fault lock, if that is still allowed in this fault."""
    fault = thread.in_flight
    if fault.fpin is not None or not may_drop_lock(engine, thread):
        return
    file = _file(thread)
    file.refcount_line.write(engine)
    fault.fpin = file
    thread.abort = cause
    release_fault_lock(engine, thread)


@step("mm/filemap.c", cost="page_cache_lookup", function="__filemap_get_folio")
def filemap_get_folio(engine: Mm, thread: Thread) -> Step:
    """Find the page that readahead put there, or create it, with truncation kept out."""
    file = _file(thread)
    return down_read(engine, thread, file.invalidate_lock, then=find_or_create_folio)


@step("mm/filemap.c", cost="page_cache_lookup", function="__filemap_get_folio")
def find_or_create_folio(engine: Mm, thread: Thread) -> Step:
    """Take a reference to the page, making an empty one if nobody has yet."""
    fault = thread.in_flight
    file, index = _file(thread), _index(thread)
    folio = file.folio(engine, index)
    if folio is None:
        folio = file.add(engine, index, uptodate=False)
    folio.line.write(engine)
    folio.refcount += 1
    fault.folio = folio
    fault.scratch["invalidate"] = file
    return lock_folio_maybe_drop_mmap


# The folio lock


@step("mm/filemap.c", cost="folio_lock")
def lock_folio_maybe_drop_mmap(engine: Mm, thread: Thread) -> Step | None:
    """Lock the page; if that means waiting, drop the fault lock first when it is allowed."""
    folio: Folio = thread.in_flight.folio
    if engine.watch is not None:
        engine.watch.asked(engine, thread, folio, WRITE)
    if folio_trylock(engine, thread, folio):
        return folio_locked
    maybe_unlock_mmap_for_io(engine, thread, FOLIO_LOCKED)
    folio.waiters.append(thread)
    engine.sleep(folio_woken, "waits for a page of a file", folio.id)
    return None


@step("mm/filemap.c", cost="folio_lock", function="folio_wait_bit_common")
def folio_woken(engine: Mm, thread: Thread) -> Step | None:
    """The page was unlocked: try to lock it."""
    folio: Folio = thread.in_flight.folio
    if folio_trylock(engine, thread, folio):
        return folio_locked
    folio.waiters.append(thread)
    engine.sleep(folio_woken, "waits for a page of a file", folio.id)
    return None


@step("mm/filemap.c", cost="vma_check", function="filemap_fault")
def folio_locked(engine: Mm, thread: Thread) -> Step:
    """With the page locked: is it still part of the file, and are its contents there?"""
    fault = thread.in_flight
    folio: Folio = fault.folio
    if not folio.is_cached:
        folio_unlock(engine, folio)
        folio.refcount -= 1
        fault.folio = None
        _release_invalidate(engine, thread)
        return filemap_fault_again(engine, thread)
    if not folio.uptodate:
        return unlock_for_read
    return page_found(engine, thread)


def filemap_fault_again(engine: Mm, thread: Thread) -> Step:
    """The page was truncated away: look again, or start over when the lock is gone."""
    if thread.in_flight.fpin is not None:
        return retry(engine, thread)
    return filemap_fault


@step("mm/filemap.c", function="maybe_unlock_mmap_for_io")
def unlock_for_read(engine: Mm, thread: Thread) -> Step:
    """Nobody read this page: give the fault lock up before it is read, if that is allowed once."""
    maybe_unlock_mmap_for_io(engine, thread, IO_NEEDED)
    return filemap_read_folio


@step("mm/filemap.c", cost="readahead")
def filemap_read_folio(engine: Mm, thread: Thread) -> Step | None:
    """Read the page now, and wait for it."""
    folio: Folio = thread.in_flight.folio
    submit_read(engine, folio.file, [folio])
    folio.waiters.append(thread)
    engine.sleep(folio_woken, "waits for a page of a file", folio.id)
    return None


def page_found(engine: Mm, thread: Thread) -> Step:
    """The page is locked and valid: hand it over, or start over if the lock had to go."""
    fault = thread.in_flight
    _release_invalidate(engine, thread)
    if fault.fpin is None:
        fault.result |= VM_FAULT_LOCKED
        return thread.back()
    folio: Folio = fault.folio
    folio_unlock(engine, folio)
    folio.refcount -= 1
    fault.folio = None
    return fput(engine, thread)


def retry(engine: Mm, thread: Thread) -> Step:
    """The fault lock is gone: only a restart can go on."""
    return fput(engine, thread)


def fput(engine: Mm, thread: Thread) -> Step:
    """Unpin the file and ask for a restart from the beginning."""
    fault = thread.in_flight
    fault.fpin.refcount_line.write(engine)
    fault.fpin = None
    fault.result |= VM_FAULT_RETRY
    return thread.back()


def _release_invalidate(engine: Mm, thread: Thread) -> None:
    file: File | None = thread.in_flight.scratch.pop("invalidate", None)
    if file is not None:
        up_read(engine, thread, file.invalidate_lock)
