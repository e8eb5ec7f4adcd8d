"""What a fault handler can answer, and how a fault falls back from one lock to the next.

VM_FAULT_* bits, the FAULT_PATH / FAULT_FALLBACK events with their counters, and the signals. It
knows no path: the ladder (lockless, VMA lock, mmap_lock) is in the modules that stand on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm import mmap_lock
from pfviz.mm.thread import MMAP_LOCK, SEGV_ACCERR, SEGV_MAPERR, SIGBUS
from pfviz.mm.vma_lock import vma_end_read
from pfviz.sim import event
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

VM_FAULT_RETRY: Final = 1
"""The fault lock was given up; start again (or, under 6.4, the caller gives it up)."""
VM_FAULT_COMPLETED: Final = 2
"""The page is mapped, and the fault lock was given up on the way."""
VM_FAULT_LOCKED: Final = 4
VM_FAULT_NOPAGE: Final = 8
VM_FAULT_MAJOR: Final = 16
VM_FAULT_SIGBUS: Final = 32
VM_FAULT_OOM: Final = 64
VM_FAULT_FALLBACK: Final = 128
"""No huge page here: go on with small ones."""
VM_FAULT_SIGSEGV: Final = 256
VM_FAULT_ERROR: Final = VM_FAULT_SIGBUS | VM_FAULT_OOM | VM_FAULT_SIGSEGV
VM_FAULT_UNLOCKED: Final = VM_FAULT_RETRY | VM_FAULT_COMPLETED

KINDS: Final = (
    "anon_read_zero",  # read of an untouched anonymous page: the zero page
    "anon_write_first",  # first write of a VMA: it gets its anon_vma
    "anon_write",
    "zero_page_cow",  # write after read: the zero page is replaced
    "cow_after_fork",
    "anon_reuse",  # write to a page that is exclusive (again): made writable in place
    "file_read_hit",
    "file_read_miss",
    "file_cow",  # private write: a copy of the cached page
    "shared_write",
    "driver",
    "dax",  # a file in memory that CPUs reach directly
    "swap_cache_hit",  # swapped out, but the page is (still) in the swap cache
    "swap_in",  # read from a device that is waited for
    "swap_in_sync",  # read from a device that answers at once (zram)
    "migration",  # waited for a page that was being moved
    "device_private",  # fetched from a device's memory
    "numa_hint",
    "thp_write",  # a huge page of its own, at the first write or over the huge zero page
    "thp_read_zero",  # read of an untouched huge range: the huge zero page
    "thp_reuse",  # write to a huge page that is exclusive (again)
    "hugetlb",
    "stack_growth",
    "uffd_missing",  # a userfaultfd monitor was asked for the page
    "uffd_wp",  # ... and told of a write
    "uffd_minor",  # ... and asked whether the cached page may be mapped
    "spurious",  # somebody else had repaired the entry
    "segv_unmapped",
    "segv_access",
    "sigbus",
)
"""What `fault_end.kind_text` can be."""

MAJOR_FLAG: Final = 1
ERROR_FLAG: Final = 2
RETRIED_FLAG: Final = 4
PGMAJFAULT_FLAG: Final = 16
"""The page was not in memory (pgmajfault); MAJOR_FLAG (maj_flt) also counts who only waited."""


def account_fault(engine: Mm, thread: Thread) -> None:
    """Count a handled fault (mm_account_fault): not one that starts again, nor an access error."""
    fault = thread.in_flight
    if not fault.result & VM_FAULT_RETRY:
        engine.world.count("pgfault")


def begin_path(engine: Mm, thread: Thread, regime: int) -> None:
    """Log that an attempt begins under a regime."""
    fault = thread.in_flight
    fault.regime = regime
    fault.attempt += 1
    fault.result = 0
    fault.vma = None
    fault.pmd = None
    fault.orig_pte_valid = False
    engine.emit(event.FAULT_PATH, regime, fault.attempt, fault.id)


def fall_back(engine: Mm, thread: Thread, cause: str, to_regime: int, counter: str) -> None:
    """Log that an attempt was given up, why, and which counter of /proc/vmstat it bumps."""
    fault = thread.in_flight
    fault.abort = cause
    fault.retried = True
    if counter:
        engine.world.count(counter)
    if engine.logging:
        log = engine.log
        engine.emit(
            event.FAULT_FALLBACK, log.text(cause), fault.regime, to_regime, log.text(counter)
        )


@step("arch/x86/mm/fault.c", cost="send_signal", function="bad_area_nosemaphore")
def bad_area_nosemaphore(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """No VMA covers the address: SIGSEGV (SEGV_MAPERR), or EFAULT if the kernel touched it."""
    fault = thread.in_flight
    fault.kind = "segv_unmapped"
    fault.error = SEGV_MAPERR
    return thread.back()


@step("arch/x86/mm/fault.c", cost="send_signal")
def bad_area_access_error(engine: Mm, thread: Thread) -> Step:
    """The VMA forbids this access: unlock, then SIGSEGV (SEGV_ACCERR), or EFAULT for the kernel."""
    fault = thread.in_flight
    if engine.world.watch is not None:
        engine.world.watch.signalled(engine, thread)
    if fault.regime == MMAP_LOCK:
        mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    else:
        assert fault.vma is not None
        vma_end_read(engine, thread, fault.vma)
        engine.world.count("vma_lock_success")
    fault.kind = "segv_access"
    fault.error = SEGV_ACCERR
    return thread.back()


@step("arch/x86/mm/fault.c", cost="send_signal")
def do_sigbus(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """There is no such page: the file ends before it, or a marker stands for it."""
    fault = thread.in_flight
    if fault.result & VM_FAULT_SIGSEGV:
        fault.kind = "segv_unmapped"
        fault.error = SEGV_MAPERR
        return thread.back()
    fault.kind = "sigbus"
    fault.error = SIGBUS
    return thread.back()
