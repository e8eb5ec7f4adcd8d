"""Four levels of page tables of one mm, with a spinlock per PTE table (split PTLs).

A PMD entry points to a PTE table or, as a leaf, to 2 MiB of memory; it is then in `huge`.

A PTE is one integer, a PTE table an array of 512 of them, so large address spaces stay small.
Knows nothing of VMAs and frames: who may write an entry is decided by the paths.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.sim import event
from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sync.spinlock import SpinLock

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
PTES_PER_TABLE: Final = 512
TABLE_SHIFT: Final = PAGE_SHIFT + 9
TABLE_SPAN: Final = 1 << TABLE_SHIFT
"""Bytes that one PTE table maps: 2 MiB."""

PRESENT: Final = 1
WRITABLE: Final = 2
DIRTY: Final = 4
ACCESSED: Final = 8
SPECIAL: Final = 16
"""The shared zero page: no struct page stands behind the entry (pte_special)."""
FILE: Final = 32
PROTNONE: Final = 64
"""A page is there but may not be touched (mprotect PROT_NONE, or a NUMA hint where the VMA allows
access): PRESENT is clear."""
SWAP: Final = 128
"""No page is there: the entry says where it is (a swap entry), PRESENT and PROTNONE are clear."""
MIGRATION: Final = 256
"""With SWAP: the page is being moved, PFN is the frame it leaves; WRITABLE says it was writable."""
DEVICE: Final = 512
"""With SWAP: the page is in a device's own memory, PFN is its frame there."""
MARKER: Final = MIGRATION | DEVICE
"""With SWAP: there is no page, the value says what a touch is to meet (pte_marker)."""
SWP_EXCLUSIVE: Final = 1024
"""With SWAP: the page was exclusive to this process when it went (pte_swp_exclusive)."""
UFFD_WP: Final = 2048
"""A userfaultfd monitor wants to know of the next write: WRITABLE is clear (pte_uffd_wp)."""
PFN_SHIFT: Final = 12

OCCUPIED: Final = PRESENT | PROTNONE
"""A page of memory stands behind the entry (SPECIAL ones aside)."""
NO_FRAME: Final = SPECIAL | SWAP
"""No page of memory to be counted stands behind the entry: see which of the two it is."""

MARKER_UFFD_WP: Final = 1
"""Value of a marker entry: nothing is mapped, but writes are to be told of (PTE_MARKER_UFFD_WP)."""
MARKER_POISONED: Final = 2
MARKER_GUARD: Final = 4
"""Values of marker entries: SIGBUS and SIGSEGV (PTE_MARKER_POISONED, PTE_MARKER_GUARD)."""
GUARD: Final = MARKER_GUARD << PFN_SHIFT | SWAP | MARKER
"""A guard marker as an entry."""

FLAG_WRITABLE: Final = 1
FLAG_DIRTY: Final = 2
FLAG_ZERO: Final = 4
FLAG_FILE: Final = 8
FLAG_SHARED: Final = 16
FLAG_PREFAULTED: Final = 32
FLAG_ELSEWHERE: Final = 64
FLAG_HUGE: Final = 128
"""Bits of the `flags` of a PTE_SET event."""


def pte_of(pfn: int, flags: int) -> int:
    """A page-table entry for a frame."""
    return pfn << PFN_SHIFT | flags


def is_pte_marker(pte: int) -> bool:
    """Whether an entry maps nothing and says what a touch is to meet."""
    return bool(pte & SWAP) and pte & MARKER == MARKER


def keeping_mark(old: int, pte: int) -> int:
    """`pte` as it must be to take the place of `old`: a marker's write protection stays."""
    if is_pte_marker(old) and pfn_of(old) & MARKER_UFFD_WP:
        return pte & ~WRITABLE | UFFD_WP
    return pte


def pfn_of(pte: int) -> int:
    """The frame that an entry points to."""
    return pte >> PFN_SHIFT


def event_flags(pte: int) -> int:
    """The flags of an entry as the PTE_SET event carries them (without the shared bit)."""
    if pte & SWAP:
        return FLAG_ELSEWHERE
    return (
        (FLAG_WRITABLE if pte & WRITABLE else 0)
        | (FLAG_DIRTY if pte & DIRTY else 0)
        | (FLAG_ZERO if pte & SPECIAL and not pte & FILE else 0)
        | (FLAG_FILE if pte & FILE else 0)
    )


@dataclass(slots=True, eq=False)
class PteTable:
    """One page of 512 entries and the lock that guards them."""

    id: int
    base: int
    """Virtual address of the first page that it maps."""
    ptl: SpinLock
    ptes: array[int] = field(default_factory=lambda: array("Q", bytes(8 * PTES_PER_TABLE)))
    occupied: int = 0
    """How many entries are not none."""
    elsewhere: int = 0
    """How many of them are swap entries (SWAP)."""
    is_linked: bool = True
    """A PMD entry points to it; it becomes False when free_pgtables takes it out."""
    is_freed: bool = False
    """Its grace period is over: who still reads it has a bug."""

    def index(self, address: int) -> int:
        """The slot of an address of this table."""
        return (address - self.base) >> PAGE_SHIFT

    def read(self, address: int) -> int:
        """The entry of an address, as a lockless reader sees it; 0 is none."""
        assert not self.is_freed, f"read of freed page table {self.base:#x}"
        return self.ptes[(address - self.base) >> PAGE_SHIFT]

    def slots(self, start: int, end: int) -> range:
        """The slots that a range of addresses has in this table (clamped to it)."""
        first = max(start - self.base, 0) >> PAGE_SHIFT
        last = min(end - self.base, TABLE_SPAN) >> PAGE_SHIFT
        return range(first, max(first, last))

    def count(self, start: int, end: int) -> int:
        """How many entries of a range are not none."""
        slots = self.slots(start, end)
        if len(slots) == PTES_PER_TABLE:
            return self.occupied
        return len(slots) - self.ptes[slots.start : slots.stop].count(0)

    def count_elsewhere(self, start: int, end: int) -> int:
        """How many entries of a range are swap entries."""
        if not self.elsewhere:
            return 0
        slots = self.slots(start, end)
        return sum(map(bool, map(SWAP.__and__, self.ptes[slots.start : slots.stop])))


@dataclass(slots=True, eq=False)
class HugePmd:
    """A PMD entry that maps 2 MiB itself; guarded by the lock of its PMD table (PML)."""

    id: int
    base: int
    """Virtual address of the first byte that it maps."""
    lock: SpinLock
    value: int
    """As a PTE: the first of 512 frames, and flags. Not PRESENT while it is being split."""
    deposit: PteTable | None = None
    """The PTE table kept for the day it is split: a split may not fail."""
    hugetlb: bool = False
    """A page of the hugetlb pool: not counted as resident, never split."""
    is_linked: bool = True
    """It is the PMD entry; False once it was cleared, split or moved."""

    @property
    def end(self) -> int:
        """Where its 2 MiB end."""
        return self.base + TABLE_SPAN

    @property
    def counted_pages(self) -> int:
        """How many pages of the resident set it stands for."""
        return 0 if self.hugetlb or self.value & SPECIAL else PTES_PER_TABLE


@dataclass(slots=True, eq=False)
class UpperTable:
    """A PGD, PUD or PMD table: entries point to tables one level down."""

    id: int
    level: int
    base: int
    lock: SpinLock
    """A PMD table has its own lock (split PMD locks); the others share mm->page_table_lock."""
    entries: dict[int, Any] = field(default_factory=dict)

    @property
    def shift(self) -> int:
        """Address bits below one entry."""
        return PAGE_SHIFT + 9 * (self.level - 1)


class PageTable:
    """The page tables of one mm: walk, allocate, iterate. Callers hold the locks they need."""

    __slots__ = (
        "flush_pending", "flushes", "huge", "mm", "page_table_lock", "pgd", "rss_anon",
        "rss_file", "rss_line", "rss_pending", "rss_swap", "table_count", "tlb_gen",
        "tlb_gen_line",
    )  # fmt: skip

    def __init__(self, engine: Engine[Any], mm: int) -> None:
        self.mm = mm
        self.page_table_lock = SpinLock(engine, "ptl", f"page_table_lock mm {mm}", mm)
        self.pgd = UpperTable(engine.new_id(), 4, 0, self.page_table_lock)
        self.table_count = 0
        self.huge: dict[int, HugePmd] = {}
        """PMD entries that map 2 MiB themselves, by address >> 21; `walk` finds no table there."""
        self.rss_anon = 0
        self.rss_file = 0
        self.rss_swap = 0
        """MM_SWAPENTS: entries that point to a place in swap."""
        self.rss_line = CacheLine(engine.new_id(), f"rss_stat mm {mm}")
        self.rss_pending: dict[int, int] = {}
        """Per CPU (6.2 and later) or per task (before): page counts not yet added to the mm's."""
        self.tlb_gen = 1
        self.tlb_gen_line = CacheLine(engine.new_id(), f"tlb_gen mm {mm}")
        self.flush_pending = 0
        """How many gathers are between tlb_gather_mmu and tlb_finish_mmu."""
        self.flushes = 0

    # Walking

    def pmd_table(self, address: int) -> UpperTable | None:
        """The PMD table that covers an address, if there is one."""
        pud = self.pgd.entries.get(address >> 39)
        return None if pud is None else pud.entries.get(address >> 30)

    def walk(self, address: int) -> PteTable | None:
        """The PTE table of an address (the entry of its PMD), or None."""
        pmd = self.pmd_table(address)
        return None if pmd is None else pmd.entries.get(address >> TABLE_SHIFT)

    def pte(self, address: int) -> int:
        """The entry of an address, of a huge page its PMD; 0 when it or a table is none."""
        table = self.walk(address)
        if table is None:
            huge = self.huge.get(address >> TABLE_SHIFT)
            return 0 if huge is None else huge.value
        return table.read(address)

    def huge_at(self, address: int) -> HugePmd | None:
        """The PMD entry of an address if it maps a huge page."""
        return self.huge.get(address >> TABLE_SHIFT)

    def pmd_none(self, address: int) -> bool:
        """Whether the PMD entry of an address is empty: neither a table nor a huge page."""
        return self.walk(address) is None and address >> TABLE_SHIFT not in self.huge

    def next_entry(self, address: int, end: int) -> PteTable | HugePmd | None:
        """The first PTE table or huge page that has an address in [address, end), or None."""
        table = self.next_table(address, end)
        if not self.huge:
            return table
        return self.next_huge(address, end if table is None else table.base) or table

    def next_huge(self, address: int, end: int) -> HugePmd | None:
        """The first huge page that has an address in [address, end); None when there is none."""
        if address >= end or not self.huge:
            return None
        first, last = address >> TABLE_SHIFT, (end - 1) >> TABLE_SHIFT
        if last - first < len(self.huge):
            found = (self.huge.get(index) for index in range(first, last + 1))
            return next((huge for huge in found if huge is not None), None)
        index = min((at for at in self.huge if first <= at <= last), default=-1)
        return self.huge.get(index)

    def next_table(self, address: int, end: int) -> PteTable | None:
        """The first PTE table that has an address in [address, end); None when there is none."""
        index = address >> TABLE_SHIFT
        last = (end - 1) >> TABLE_SHIFT
        while index <= last:
            pud = self.pgd.entries.get(index >> 18)
            if pud is None:
                index = ((index >> 18) + 1) << 18
                continue
            pmd = pud.entries.get(index >> 9)
            if pmd is None:
                index = ((index >> 9) + 1) << 9
                continue
            table: PteTable | None = pmd.entries.get(index)
            if table is not None:
                return table
            index += 1
        return None

    def tables(self, start: int, end: int) -> Iterator[PteTable]:
        """All PTE tables that have an address in [start, end), ascending."""
        table = self.next_table(start, end)
        while table is not None:
            yield table
            table = self.next_table(table.base + TABLE_SPAN, end)

    def all_tables(self) -> Iterator[PteTable]:
        """All PTE tables, without looking at the terabytes between them."""
        for pud in self.pgd.entries.values():
            for pmd in pud.entries.values():
                yield from pmd.entries.values()

    def count_present(self, start: int, end: int) -> int:
        """How many pages of a range are mapped; for tests and for rss, not for a timed walk."""
        small = sum(
            table.count(start, end) - table.count_elsewhere(start, end)
            for table in self.tables(start, end)
        )
        huge = (self.huge[at] for at in self.huge)
        return small + sum(
            max(min(one.end, end) - max(one.base, start), 0) >> PAGE_SHIFT for one in huge
        )

    # Allocating

    def missing_upper(self, address: int) -> bool:
        """Whether a PUD or PMD table must be allocated before a PTE table can be linked."""
        return self.pmd_table(address) is None

    def missing_pud(self, address: int) -> bool:
        """Whether even the PUD table of an address is missing."""
        return address >> 39 not in self.pgd.entries

    def alloc_pud(self, engine: Engine[Any], address: int) -> UpperTable:
        """Link the PUD table of an address if it is missing (__pud_alloc)."""
        pud: UpperTable | None = self.pgd.entries.get(address >> 39)
        if pud is None:
            pud = UpperTable(engine.new_id(), 3, address >> 39 << 39, self.page_table_lock)
            self.pgd.entries[address >> 39] = pud
            self._log(engine, "alloc", pud.base, 3)
        return pud

    def alloc_upper(self, engine: Engine[Any], address: int) -> UpperTable:
        """Link the missing PUD and PMD tables of an address (__pud_alloc, __pmd_alloc)."""
        pud = self.alloc_pud(engine, address)
        pmd: UpperTable | None = pud.entries.get(address >> 30)
        if pmd is None:
            base = address >> 30 << 30
            lock = SpinLock(engine, "ptl", f"pmd lock {base:#x}", -1)
            pmd = UpperTable(engine.new_id(), 2, base, lock)
            pud.entries[address >> 30] = pmd
            self._log(engine, "alloc", base, 2)
        return pmd

    def new_table(self, engine: Engine[Any], address: int) -> PteTable:
        """A zeroed PTE table for an address, not linked yet (pte_alloc_one)."""
        base = address >> TABLE_SHIFT << TABLE_SHIFT
        return PteTable(engine.new_id(), base, SpinLock(engine, "ptl", f"ptl {base:#x}", -1))

    def link_table(self, engine: Engine[Any], table: PteTable) -> None:
        """Let the PMD point to a table (pmd_install); the caller holds the PMD lock."""
        pmd = self.pmd_table(table.base)
        assert pmd is not None
        assert table.base >> TABLE_SHIFT not in pmd.entries, "two tables for one PMD entry"
        assert table.base >> TABLE_SHIFT not in self.huge, "a table where a huge page is mapped"
        pmd.entries[table.base >> TABLE_SHIFT] = table
        self.table_count += 1
        self._log(engine, "alloc", table.base, 1)

    def table_for(self, engine: Engine[Any], address: int) -> PteTable:
        """The PTE table of an address, made if missing: for fork and for building worlds."""
        table = self.walk(address)
        if table is None:
            self.alloc_upper(engine, address)
            table = self.new_table(engine, address)
            self.link_table(engine, table)
        return table

    def unlink_tables(self, engine: Engine[Any], floor: int, ceiling: int) -> list[PteTable]:
        """Take out every PTE table that lies inside [floor, ceiling) (free_pgd_range).

        `floor` is the end of the VMA below, `ceiling` the start of the one above: a table that
        still serves a neighbour stays. The caller frees the tables after the TLB flush.
        """
        taken = []
        first = -(-floor >> TABLE_SHIFT) << TABLE_SHIFT
        last = ceiling >> TABLE_SHIFT << TABLE_SHIFT
        assert not self.huge or self.next_huge(first, last) is None, "a huge page outlives its VMA"
        for table in list(self.tables(first, last)) if first < last else ():
            assert not table.occupied, f"page table {table.base:#x} freed with live entries"
            pmd = self.pmd_table(table.base)
            assert pmd is not None
            del pmd.entries[table.base >> TABLE_SHIFT]
            table.is_linked = False
            self.table_count -= 1
            self._log(engine, "unlink", table.base, 1)
            taken.append(table)
        return taken

    def _log(self, engine: Engine[Any], what: str, address: int, level: int) -> None:
        if engine.logging:
            engine.emit(event.PAGE_TABLE, engine.log.text(what), address, level, self.mm)
