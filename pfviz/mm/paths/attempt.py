"""One attempt at a fault without locks: what it read, what it holds, and how it gives up.

The section that keeps page tables alive is RCU, or interrupts off when tables are freed after an
interrupt to all CPUs (`world.page_table_free`). Giving up releases everything in reverse order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pfviz.mm.cross_call import local_irq_restore, local_irq_save
from pfviz.mm.page_cache import folio_unlock
from pfviz.mm.paths.allocation import free_frames, release_page
from pfviz.sim.task import Step
from pfviz.sync.spinlock import spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.page_cache import Folio
    from pfviz.mm.page_table import PteTable
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm

SEQ_ODD: Final = "a writer is at work (odd sequence)"
NO_VMA: Final = "no VMA at the address"
VMA_CHANGED: Final = "VMA changed while it was read"
VMA_RECYCLED: Final = "VMA recycled by another process"
ADDRESS_LEFT: Final = "address left the VMA"
NOT_PERMITTED: Final = "access not permitted: let a lock decide"
NOT_PRESENT: Final = "page is not in memory, or on the move"
NO_TABLE: Final = "no page table yet"
HUGE_PAGE: Final = "huge page: its entry is not for walks without a lock"
HUGETLB: Final = "hugetlb: one fault at a time, under a mutex"
NO_ANON_VMA: Final = "no anon_vma yet"
IO_NEEDED: Final = "I/O needed"
FOLIO_LOCKED: Final = "page locked by somebody else"
NO_MAP_PAGES: Final = "driver without map_pages"
DRIVER_SLEEPS: Final = "the driver's handler may sleep"
NEEDS_UFFD: Final = "userfaultfd monitor"
FILESYSTEM: Final = "the filesystem must be asked first"
SEQ1: Final = "a writer came in meanwhile (SEQ1)"
TABLE_REPLACED: Final = "page table replaced"
PTL_BUSY: Final = "page-table lock busy"
SEQ2: Final = "a writer came in before the commit (SEQ2)"

MAY_PASS: Final = frozenset((SEQ_ODD, VMA_CHANGED, VMA_RECYCLED, ADDRESS_LEFT, FOLIO_LOCKED, SEQ1,
                             TABLE_REPLACED, PTL_BUSY, SEQ2))  # fmt: skip
"""Causes that a second attempt may not meet; after any other one it would be in vain."""


@dataclass(slots=True, eq=False)
class Attempt:
    """What an attempt read and holds."""

    scope: str
    """Which sequence says that nothing changed: "mm_seq" or "vma_seq"."""
    sequence: int = 0
    vma: Vma | None = None
    """The VMA itself; what the attempt uses is `fault.vma`, a copy unless policy says rcu_ref."""
    in_rcu: bool = False
    irqs_off: bool = False
    has_ptl: bool = False
    folio_locked: bool = False
    cause: str = ""
    """Why it was given up; "" while it lives and when it succeeded."""


def attempt_of(thread: Thread) -> Attempt:
    """The attempt in flight."""
    attempt: Attempt = thread.in_flight.snapshot
    return attempt


def rcu_begin(engine: Mm, thread: Thread) -> None:
    """Enter RCU: nodes and VMAs read from now on stay in memory."""
    attempt = attempt_of(thread)
    if not attempt.in_rcu:
        attempt.in_rcu = True
        engine.world.rcu.read_lock(engine, thread)


def rcu_end(engine: Mm, thread: Thread) -> None:
    """Leave RCU if the attempt is in it."""
    attempt = attempt_of(thread)
    if attempt.in_rcu:
        attempt.in_rcu = False
        engine.world.rcu.read_unlock(engine, thread)


def walk_begin(engine: Mm, thread: Thread) -> None:
    """Keep page tables from being freed: by RCU, or by answering no interrupt."""
    attempt = attempt_of(thread)
    if engine.world.page_table_free == "rcu":
        rcu_begin(engine, thread)
    elif not attempt.irqs_off:
        attempt.irqs_off = True
        local_irq_save(engine)


def walk_end(engine: Mm, thread: Thread) -> None:
    """Answer interrupts again; an RCU section goes on until the attempt leaves it."""
    attempt = attempt_of(thread)
    if attempt.irqs_off:
        attempt.irqs_off = False
        local_irq_restore(engine)


def sequence_holds(engine: Mm, thread: Thread) -> bool:
    """Whether no writer came in since the attempt began (the mm's count, or this VMA's number)."""
    attempt = attempt_of(thread)
    if attempt.scope == "mm_seq":
        return not thread.mm.mm_lock_seq.retry(engine, attempt.sequence)
    engine.cost("seq_check")
    assert attempt.vma is not None
    return attempt.vma.vm_lock_seq == attempt.sequence


def table_holds(thread: Thread) -> bool:
    """Whether the PMD still points to the table that was walked (pmd_same)."""
    fault = thread.in_flight
    return thread.mm.page_tables.walk(fault.address) is fault.pmd


def check_writers(thread: Thread) -> None:
    """No writer may have changed the VMA under an unchanged sequence (obligations W1 to W5)."""
    fault, attempt = thread.in_flight, attempt_of(thread)
    vma, seen = attempt.vma, fault.vma
    table: PteTable = fault.pmd
    assert vma is not None
    assert seen is not None
    assert not vma.freed, "W4: a VMA was freed inside a read section"
    assert not vma.detached, "W1: a VMA was detached without a new sequence"
    assert (vma.vm_start, vma.vm_end, vma.vm_flags, vma.vm_file) == (
        seen.vm_start, seen.vm_end, seen.vm_flags, seen.vm_file
    ), "W1: a VMA was changed without a new sequence"  # fmt: skip
    assert table.is_linked, "W3: page tables were freed under a VMA that can be found"
    assert not table.is_freed, "W4: a page table was freed inside a read section"


def give_up(engine: Mm, thread: Thread, cause: str) -> Step:
    """Release everything and leave the chain; the cause decides what is tried next."""
    attempt_of(thread).cause = cause
    return let_go(engine, thread)


def let_go(engine: Mm, thread: Thread) -> Step:
    """Release, in reverse order, whatever the attempt still holds, and leave the chain."""
    fault, attempt = thread.in_flight, attempt_of(thread)
    if attempt.has_ptl:
        attempt.has_ptl = False
        spin_unlock(engine, thread, fault.pmd.ptl)
    walk_end(engine, thread)
    rcu_end(engine, thread)
    release_page(engine, thread)
    folio: Folio | None = fault.folio
    if folio is not None:
        if attempt.folio_locked:
            folio_unlock(engine, folio)
        attempt.folio_locked = False
        folio.refcount -= 1
        fault.folio = None
    old, fault.old_page = fault.old_page, None
    if old is not None:
        frames = engine.world.frames
        frames.refcount[old] -= 1
        if not frames.refcount[old]:
            return free_frames(engine, thread, [old], then=thread.back())
    return thread.back()
