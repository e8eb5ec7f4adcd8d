"""UFFDIO_COPY, ZEROPAGE and CONTINUE: put pages in where faults wait, then wake who waited.

Up to 6.8 under mmap_lock for reading, from 6.9 on under the lock of the one VMA (uffd_lock_vma).
While the address space is about to change in a way that the monitor has not read of yet
(mmap_changing) nothing is put in: the call fails with EAGAIN. Source: mm/userfaultfd.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.errno import EAGAIN, EEXIST, EFAULT, EINVAL, ENOENT
from pfviz.mm.frames import ZERO_PFN
from pfviz.mm.operations import PAGE_SIZE
from pfviz.mm.page_cache import Folio, folio_trylock, folio_unlock
from pfviz.mm.page_range import set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PRESENT,
    SPECIAL,
    UFFD_WP,
    WRITABLE,
    PteTable,
    is_pte_marker,
    pte_of,
)
from pfviz.mm.paths import entry
from pfviz.mm.paths.allocation import (
    folio_add_lru_vma,
    page_has_contents,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.anonymous import add_new_anon_rmap, pte_alloc
from pfviz.mm.paths.file_page import map_folio
from pfviz.mm.paths.pte_lock import pte_offset_map_lock, unlock
from pfviz.mm.paths.uffd_lock import uffd_mfill_lock, uffd_mfill_unlock
from pfviz.mm.paths.uffd_wake import wake_userfault
from pfviz.mm.thread import Fault, Thread
from pfviz.mm.userfaultfd import UffdCall
from pfviz.mm.vma import VM_SHARED, VM_WRITE, Vma
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, up_read
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


def _vma(thread: Thread) -> Vma:
    vma = _call(thread).vma
    assert vma is not None
    return vma


# Lock and check


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic")
def mfill_atomic(engine: Mm, thread: Thread) -> Step:
    """Lock what must not change: the one VMA where the kernel can, else the address space."""
    call = _call(thread)
    call.fault = call.fault or Fault(0, call.start, True, 0, engine.now_ns, user=False)
    return thread.call(uffd_mfill_lock(engine), then=dst_locked)


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic")
def dst_locked(engine: Mm, thread: Thread) -> Step:
    """From 6.9 on a lock of its own keeps mmap_changing still; before, mmap_lock does."""
    call = _call(thread)
    if call.vma is None:
        _drop_page(engine, thread)
        return thread.back()
    if engine.world.preset.uffd_ioctl_lock != "vma_lock":
        return check_mmap_changing(engine, thread)
    call.is_changing_locked = True
    return down_read(engine, thread, call.ctx.map_changing_lock, then=check_mmap_changing)


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic")
def check_mmap_changing(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """A change that the monitor has not read of is on its way: it must read first (EAGAIN)."""
    call, vma = _call(thread), _vma(thread)
    if call.ctx.mmap_changing:
        thread.op_result = EAGAIN
    elif call.end > vma.vm_end or vma.userfaultfd is None:
        thread.op_result = ENOENT
    elif call.do == "continue" and (vma.vm_file is None or not vma.vm_file.is_shmem):
        thread.op_result = EINVAL
    if thread.op_result:
        return mfill_unlock
    call.fault.vma = vma
    thread.fault = call.fault
    return mm_alloc_pmd


# One page


@step("mm/userfaultfd.c", cost="vma_check")
def mm_alloc_pmd(engine: Mm, thread: Thread) -> Step:
    """Go to the page table of the next page; what is missing of it is made."""
    call, tables = _call(thread), thread.mm.page_tables
    call.fault.address = call.address
    call.fault.orig_pte = 0
    call.fault.orig_pte_valid = False
    call.fault.result = 0
    if tables.huge_at(call.address) is not None:
        return _failed(thread, EEXIST)
    if tables.missing_upper(call.address):
        return spin_lock(engine, thread, tables.page_table_lock, then=alloc_upper)
    if tables.walk(call.address) is None:
        return thread.call(pte_alloc, then=mfill_atomic_pte)
    return mfill_atomic_pte(engine, thread)


@step("mm/memory.c", cost="page_table_alloc", function="__pmd_alloc")
def alloc_upper(engine: Mm, thread: Thread) -> Step:
    """Link the missing upper tables under page_table_lock."""
    tables = thread.mm.page_tables
    if tables.missing_upper(_call(thread).address):
        tables.alloc_upper(engine, _call(thread).address)
    spin_unlock(engine, thread, tables.page_table_lock)
    return mm_alloc_pmd


@step("mm/userfaultfd.c", cost="vma_check")
def mfill_atomic_pte(engine: Mm, thread: Thread) -> Step:
    """Which page is to go in: a new one, the shared zero page, or one of the page cache?"""
    call, vma = _call(thread), _vma(thread)
    if call.do == "continue":
        return mfill_atomic_pte_continue
    if call.do == "zeropage" and vma.is_anonymous:
        return pte_offset_map_lock(engine, thread, then=mfill_atomic_pte_zeropage)
    if call.copied:
        call.copied = False
        return page_filled
    return thread.call(vma_alloc_folio, then=copy_from_user)


@step("mm/userfaultfd.c", cost="copy", function="mfill_atomic_pte_copy")
def copy_from_user(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Copy the contents into the new page; a fault on them must not happen with the locks held."""
    call = _call(thread)
    if call.do == "copy" and call.source is not None:
        at = call.source + call.address - call.start
        if not thread.mm.page_tables.pte(at) & PRESENT:
            return mfill_drop_locks
    return page_filled


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic")
def mfill_drop_locks(engine: Mm, thread: Thread) -> Step:
    """The contents are not in memory: give the locks back, copy with faults allowed, try again."""
    call = _call(thread)
    assert call.source is not None
    thread.fault = None
    _give_locks_back(engine, thread)
    at = call.source + call.address - call.start
    call.copied = True
    return entry.touch(engine, thread, at, False, copied_without_locks, user=False)


@step("mm/userfaultfd.c", cost="copy", function="copy_from_user")
def copied_without_locks(engine: Mm, thread: Thread) -> Step:
    """The page is filled: lock again, and look at everything again."""
    if thread.op_result:
        _drop_page(engine, thread)
        return thread.back()
    return mfill_atomic


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic_pte_copy")
def page_filled(engine: Mm, thread: Thread) -> Step:
    """The page is ready: into the file in memory first, if it is shared; then into the table."""
    page_has_contents(engine, thread)
    call, vma = _call(thread), _vma(thread)
    if vma.vm_file is not None and vma.vm_flags & VM_SHARED:
        return shmem_mfill_atomic_pte
    call.fault.folio = None
    return pte_offset_map_lock(engine, thread, then=mfill_atomic_install_pte)


@step("mm/shmem.c", cost="page_cache_lookup")
def shmem_mfill_atomic_pte(engine: Mm, thread: Thread) -> Step:
    """Put the page, locked, into the page cache of the shared memory, unless one is there."""
    call, vma = _call(thread), _vma(thread)
    file = vma.vm_file
    assert file is not None
    index = vma.page_index(call.address)
    if file.folio(engine, index) is not None:
        release_page(engine, thread)
        return _failed(thread, EEXIST)
    pfn, call.fault.page = call.fault.page, None
    folio = file.add(engine, index, uptodate=True, pfn=pfn)
    folio_trylock(engine, thread, folio)
    folio.refcount += 1
    call.fault.folio = folio
    return pte_offset_map_lock(engine, thread, then=mfill_atomic_install_pte)


@step("mm/userfaultfd.c", cost="page_cache_lookup")
def mfill_atomic_pte_continue(engine: Mm, thread: Thread) -> Step | None:
    """Find the page that the monitor has put into the shared memory by its own mapping of it."""
    call, vma = _call(thread), _vma(thread)
    file = vma.vm_file
    assert file is not None
    folio = file.folio(engine, vma.page_index(call.address))
    if folio is None:
        return _failed(thread, EFAULT)
    if not folio_trylock(engine, thread, folio):
        folio.waiters.append(thread)
        engine.sleep(mfill_atomic_pte_continue, "waits for a page of a file", folio.id)
        return None
    folio.refcount += 1
    call.fault.folio = folio
    return pte_offset_map_lock(engine, thread, then=mfill_atomic_install_pte)


@step("mm/userfaultfd.c", cost="set_pte")
def mfill_atomic_pte_zeropage(engine: Mm, thread: Thread) -> Step:
    """Map the shared zero page if nothing is there."""
    call = _call(thread)
    table: PteTable | None = call.fault.pmd
    if table is None:
        return _failed(thread, EAGAIN)
    if _is_taken(call, table):
        thread.op_result = EEXIST
    else:
        pte = pte_of(ZERO_PFN, PRESENT | ACCESSED | SPECIAL)
        set_pte(engine, thread.mm.page_tables, table, call.address, pte)
    return mfill_pte_unlock


@step("mm/userfaultfd.c", cost="pte_read")
def mfill_atomic_install_pte(engine: Mm, thread: Thread) -> Step:
    """See that nothing is there (somebody else may have answered): then count and map the page."""
    call = _call(thread)
    table: PteTable | None = call.fault.pmd
    if table is None or _is_taken(call, table):
        thread.op_result = EAGAIN if table is None else EEXIST
        release_page(engine, thread)
        _put_folio(engine, call)
        return mfill_pte_unlock
    if call.fault.folio is not None:
        return set_file_pte
    return folio_add_new_anon_rmap


@step("mm/rmap.c", cost="map")
def folio_add_new_anon_rmap(engine: Mm, thread: Thread) -> Step:
    """Count the page and point it at the VMA's anon_vma: it belongs to this process alone."""
    add_new_anon_rmap(engine, thread)
    return thread.call(folio_add_lru_vma, then=set_filled_pte)


def _is_taken(call: UffdCall, table: PteTable) -> bool:
    pte = table.read(call.address)
    return bool(pte) and not is_pte_marker(pte)


@step("mm/userfaultfd.c", cost="set_pte", function="mfill_atomic_install_pte")
def set_filled_pte(engine: Mm, thread: Thread) -> Step:
    """Store the entry of the new page: from here on the fault that waits can go on."""
    call, vma = _call(thread), _vma(thread)
    pfn, call.fault.page = call.fault.page, None
    pte = pte_of(pfn, _rights(call, vma))
    set_pte(engine, thread.mm.page_tables, call.fault.pmd, call.address, pte)
    return mfill_pte_unlock


@step("mm/userfaultfd.c", cost="map", function="mfill_atomic_install_pte")
def set_file_pte(engine: Mm, thread: Thread) -> Step:
    """Map the page of the shared memory."""
    call, vma = _call(thread), _vma(thread)
    folio: Folio = call.fault.folio
    flags = _rights(call, vma) | FILE
    map_folio(engine, thread, call.fault.pmd, call.address, folio, flags)
    folio.dirty = True
    _put_folio(engine, call)
    return mfill_pte_unlock


def _rights(call: UffdCall, vma: Vma) -> int:
    flags = PRESENT | ACCESSED | DIRTY
    if call.protect:
        return flags | UFFD_WP
    return flags | (WRITABLE if vma.vm_flags & VM_WRITE else 0)


def _put_folio(engine: Mm, call: UffdCall) -> None:
    folio: Folio | None = call.fault.folio
    if folio is not None:
        folio_unlock(engine, folio)
        folio.refcount -= 1
        call.fault.folio = None


@step("mm/userfaultfd.c", function="pte_unmap_unlock")
def mfill_pte_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the page table and go on to the next page."""
    call = _call(thread)
    unlock(engine, thread)
    if thread.op_result:
        return mfill_unlock
    call.address += PAGE_SIZE
    return mm_alloc_pmd if call.address < call.end else mfill_unlock


def _failed(thread: Thread, error: int) -> Step:
    thread.op_result = error
    return mfill_unlock


# The end


@step("mm/userfaultfd.c", cost="vma_check", function="mfill_atomic")
def mfill_unlock(engine: Mm, thread: Thread) -> Step:
    """Give the locks back; then wake whoever waits for these pages."""
    call = _call(thread)
    _drop_page(engine, thread)
    _give_locks_back(engine, thread)
    if call.address == call.start:
        return thread.back()  # Nothing was put in, nobody is woken.
    if call.address < call.end:
        call.end, thread.op_result = call.address, EAGAIN
    return wake_userfault if call.wake else thread.back()


def _drop_page(engine: Mm, thread: Thread) -> None:
    """Give a page back that could not be put in; from here on no page is in work."""
    thread.fault = _call(thread).fault
    release_page(engine, thread)
    thread.fault = None


def _give_locks_back(engine: Mm, thread: Thread) -> None:
    call = _call(thread)
    if call.is_changing_locked:
        call.is_changing_locked = False
        up_read(engine, thread, call.ctx.map_changing_lock)
    uffd_mfill_unlock(engine, thread)
