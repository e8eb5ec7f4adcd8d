"""shmem_fault: get a page of memory that processes share (MAP_SHARED | MAP_ANONYMOUS), locked.

Nothing is ever read from a disk here: a page that nobody touched yet is made, zeroed, on the spot,
and the fault lock is kept throughout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.frames import CACHE
from pfviz.mm.page_cache import File, Folio, folio_trylock, folio_unlock
from pfviz.mm.paths.allocation import (
    clear_user_page,
    folio_add_lru,
    release_page,
    vma_alloc_folio,
)
from pfviz.mm.paths.outcome import VM_FAULT_LOCKED, VM_FAULT_SIGBUS
from pfviz.mm.paths.userfaultfd import userfault
from pfviz.mm.userfaultfd import MINOR, MISSING
from pfviz.mm.vma import VM_UFFD_MINOR, VM_UFFD_MISSING
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _place(thread: Thread) -> tuple[File, int]:
    fault = thread.in_flight
    assert fault.vma is not None
    assert fault.vma.vm_file is not None
    return fault.vma.vm_file, fault.vma.page_index(fault.address)


@step("mm/shmem.c", cost="page_cache_lookup")
def shmem_fault(engine: Mm, thread: Thread) -> Step:
    """Look the page up in the page cache of the shared memory, without a lock."""
    fault = thread.in_flight
    file, index = _place(thread)
    if index >= file.pages:
        fault.result |= VM_FAULT_SIGBUS
        return thread.back()
    folio = file.folio(engine, index)
    assert fault.vma is not None
    if fault.vma.vm_flags & VM_UFFD_MINOR and folio is not None:
        return userfault(thread, MINOR)
    if fault.vma.vm_flags & VM_UFFD_MISSING and folio is None:
        return userfault(thread, MISSING)
    if folio is None:
        thread.returns.append(shmem_add_to_page_cache)
        return thread.call(vma_alloc_folio, then=clear_user_page)
    folio.line.write(engine)
    folio.refcount += 1
    fault.folio = folio
    return lock_shmem_folio


@step("mm/shmem.c", cost="page_cache_lookup")
def shmem_add_to_page_cache(engine: Mm, thread: Thread) -> Step:
    """Put the new page, locked, where others find it, unless another thread put one there first."""
    fault = thread.in_flight
    file, index = _place(thread)
    if file.folio(engine, index) is not None:
        release_page(engine, thread)
        return shmem_fault
    pfn, fault.page = fault.page, None
    folio = file.add(engine, index, uptodate=True, pfn=pfn)
    assert engine.world.frames.state[pfn] == CACHE
    folio_trylock(engine, thread, folio)
    folio.refcount += 1
    fault.folio = folio
    fault.result |= VM_FAULT_LOCKED
    return folio_add_lru


@step("mm/shmem.c", cost="folio_lock", function="shmem_get_folio_gfp")
def lock_shmem_folio(engine: Mm, thread: Thread) -> Step | None:
    """Lock the page, waiting with the fault lock held if need be; it may be gone from the cache."""
    fault = thread.in_flight
    folio: Folio = fault.folio
    if not folio_trylock(engine, thread, folio):
        folio.waiters.append(thread)
        engine.sleep(lock_shmem_folio, "waits for a page of a file", folio.id)
        return None
    if not folio.is_cached:
        folio_unlock(engine, folio)
        folio.refcount -= 1
        fault.folio = None
        return shmem_fault
    fault.result |= VM_FAULT_LOCKED
    return thread.back()
