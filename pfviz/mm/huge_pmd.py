"""What is done to a PMD entry that maps a huge page: set, zap, copy, protect, move, split.

Plain functions; the caller holds the PMD table's lock. Each of the 512 frames is counted by itself,
so a split changes no count: the same frames are then reached through 512 entries.
"""

from __future__ import annotations

from array import array
from typing import Any, Final

from pfviz.mm.frames import ANON, ANON_EXCLUSIVE, CACHE, ZERO_PFN, Frames
from pfviz.mm.hugetlb import unmap_block
from pfviz.mm.page_range import count_rss
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    FLAG_HUGE,
    FLAG_PREFAULTED,
    FLAG_SHARED,
    PFN_SHIFT,
    PRESENT,
    PROTNONE,
    PTES_PER_TABLE,
    SPECIAL,
    TABLE_SHIFT,
    TABLE_SPAN,
    UFFD_WP,
    WRITABLE,
    HugePmd,
    PageTable,
    PteTable,
    event_flags,
    pte_of,
)
from pfviz.mm.tlb import MmuGather
from pfviz.sim import event
from pfviz.sim.engine import Engine

HUGE_ZERO: Final = pte_of(ZERO_PFN, PRESENT | ACCESSED | SPECIAL)
"""The entry of the one huge zero page that all reads of untouched huge ranges share."""


def is_huge_zero(value: int) -> bool:
    """Whether an entry points to the huge zero page."""
    return bool(value & SPECIAL) and not value & FILE


def set_huge_pmd(engine: Engine[Any], page_table: PageTable, huge: HugePmd, flags: int = 0) -> None:
    """Let a PMD entry map a huge page (set_pmd_at): new, or with another value."""
    assert_pml(engine, huge)
    index = huge.base >> TABLE_SHIFT
    assert page_table.walk(huge.base) is None, "a huge page where a page table is linked"
    assert page_table.huge.get(index, huge) is huge, "two huge pages for one PMD entry"
    page_table.huge[index] = huge
    huge.is_linked = True
    if huge.value & WRITABLE and engine.world.watch is not None:
        engine.world.watch.page_set_writable(engine, page_table.mm, huge.base)
    log_huge(engine, page_table, huge, flags)


def log_huge(engine: Engine[Any], page_table: PageTable, huge: HugePmd, flags: int = 0) -> None:
    """Log what a PMD entry maps: 512 pages with the mark of a huge one."""
    if engine.logging:
        bits = event_flags(huge.value) | FLAG_HUGE | flags
        engine.emit(event.PTE_SET, huge.base, PTES_PER_TABLE, bits, page_table.mm)


def assert_pml(engine: Engine[Any], huge: HugePmd) -> None:
    """PMD entries change under their table's lock, but when a world is being built."""
    task = engine.task
    assert task is None or huge.lock.holder is task, f"PMD of {huge.base:#x} without its lock"


def map_new_huge(engine: Engine[Any], page_table: PageTable, huge: HugePmd, anon_vma: int) -> None:
    """Count the 512 frames of a new anonymous huge page (folio_add_new_anon_rmap)."""
    start_anon_block(engine.world.frames, huge.value >> PFN_SHIFT, anon_vma)
    count_rss(engine, page_table, anon=PTES_PER_TABLE)


def start_anon_block(frames: Frames, first: int, anon_vma: int) -> None:
    """512 frames get their first mapping, exclusive to one process."""
    stop = first + PTES_PER_TABLE
    assert not any(frames.state[first:stop]), f"a frame of block {first} is in use"
    frames.state[first:stop] = bytes((ANON_EXCLUSIVE,)) * PTES_PER_TABLE
    frames.mapcount[first:stop] = array("i", [1]) * PTES_PER_TABLE
    frames.refcount[first:stop] = array("i", [1]) * PTES_PER_TABLE
    frames.anon_vma[first:stop] = array("q", [anon_vma]) * PTES_PER_TABLE
    frames.used += PTES_PER_TABLE


def is_sole_user(frames: Frames, first: int) -> bool:
    """Whether nobody else maps or holds any of 512 frames."""
    return frames.refcount[first : first + PTES_PER_TABLE].count(1) == PTES_PER_TABLE


def reuse_block(frames: Frames, first: int, anon_vma: int) -> None:
    """The last sharer takes all 512 frames over."""
    for pfn in range(first, first + PTES_PER_TABLE):
        frames.reuse(pfn, anon_vma)


def clear_huge_pmd(engine: Engine[Any], page_table: PageTable, huge: HugePmd) -> None:
    """Empty a PMD entry; whoever found it before sees that it is not the entry any more."""
    assert_pml(engine, huge)
    del page_table.huge[huge.base >> TABLE_SHIFT]
    huge.is_linked = False
    if engine.logging:
        engine.emit(event.PTE_CLEARED, huge.base, PTES_PER_TABLE, 0, page_table.mm)


def zap_huge_pmd(
    engine: Engine[Any], page_table: PageTable, huge: HugePmd, gather: MmuGather
) -> None:
    """Take a huge page out of the page tables; its frames wait in `gather` for the flush."""
    clear_huge_pmd(engine, page_table, huge)
    gather.pages += 1
    gather.huge += 1
    gather.add_range(huge.base, huge.end)
    huge.deposit = None  # It was never linked: its memory can be used again at once.
    if huge.value & SPECIAL:
        return
    frames: Frames = engine.world.frames
    first = huge.value >> PFN_SHIFT
    if huge.hugetlb:
        if unmap_block(frames, first):
            gather.pool.append(first)
        return
    if huge.value & FILE:
        _unmap_file_block(engine, huge)
        count_rss(engine, page_table, file=-PTES_PER_TABLE)
        return
    count_rss(engine, page_table, anon=-PTES_PER_TABLE)
    gone = [pfn for pfn in range(first, first + PTES_PER_TABLE) if frames.unmap(pfn)]
    if len(gone) == PTES_PER_TABLE:
        gather.blocks.append(first)
    else:
        gather.frames.extend(gone)


def _unmap_file_block(engine: Engine[Any], huge: HugePmd) -> None:
    """A file's huge page loses one mapping; the file keeps the page."""
    frames: Frames = engine.world.frames
    first = huge.value >> PFN_SHIFT
    for pfn in range(first, first + PTES_PER_TABLE):
        if frames.state[pfn] == CACHE:
            frames.unmap(pfn)


def copy_huge_pmd(
    engine: Engine[Any], source: PageTable, huge: HugePmd, target: PageTable, copy: HugePmd,
    cow: bool,
) -> None:  # fmt: skip
    """Give a child the huge page of its parent: both may only read it from now on.

    `copy` is the child's entry, not set yet; both PMD locks are held.
    """
    assert_pml(engine, huge)
    frames: Frames = engine.world.frames
    first = huge.value >> PFN_SHIFT
    shared = FLAG_SHARED
    if cow and huge.value & WRITABLE:
        huge.value &= ~WRITABLE
        log_huge(engine, source, huge, FLAG_SHARED)
    copy.value = huge.value & ~ACCESSED
    if huge.value & SPECIAL:
        shared = 0
    elif huge.hugetlb:
        for pfn in range(first, first + PTES_PER_TABLE):
            frames.share(pfn)
    elif huge.value & FILE:
        for pfn in range(first, first + PTES_PER_TABLE):
            if frames.state[pfn] == CACHE:
                folio = frames.folios[pfn]
                folio.mapcount += 1
                folio.refcount += 1
        target.rss_file += PTES_PER_TABLE
    else:
        for pfn in range(first, first + PTES_PER_TABLE):
            frames.share(pfn)
        target.rss_anon += PTES_PER_TABLE
    set_huge_pmd(engine, target, copy, shared)


def change_huge_pmd(
    engine: Engine[Any], page_table: PageTable, huge: HugePmd, accessible: bool, writable: bool,
    private: bool,
) -> tuple[int, int]:  # fmt: skip
    """Give a huge page another protection; whether it changed (0 or 1), whether it lost a right."""
    assert_pml(engine, huge)
    value = huge.value
    now = value & ~(PRESENT | PROTNONE | WRITABLE) | (PRESENT if accessible else PROTNONE)
    if writable and not value & (SPECIAL | UFFD_WP):
        exclusive = not value & FILE and engine.world.frames.is_exclusive(value >> PFN_SHIFT)
        if exclusive if private else value & DIRTY:
            now |= WRITABLE
    if now == value:
        return 0, 0
    huge.value = now
    log_huge(engine, page_table, huge)
    return 1, int(bool(value & ~now & (PRESENT | WRITABLE)))


def move_huge_pmd(
    engine: Engine[Any], page_table: PageTable, huge: HugePmd, moved: HugePmd
) -> None:
    """Map a huge page at another address of the same mm; both PMD locks are held."""
    clear_huge_pmd(engine, page_table, huge)
    moved.value, moved.deposit = huge.value, huge.deposit
    moved.hugetlb = huge.hugetlb
    if moved.deposit is not None:
        moved.deposit.base = moved.base
    huge.deposit = None
    set_huge_pmd(engine, page_table, moved)


def invalidate_huge_pmd(huge: HugePmd) -> None:
    """Make an entry fault while it is being split (pmdp_invalidate): the TLB flush comes next."""
    huge.value &= ~(PRESENT | PROTNONE)


def split_huge_pmd_locked(engine: Engine[Any], page_table: PageTable, huge: HugePmd,
                          before: int) -> None:  # fmt: skip
    """Map the same 512 frames through the PTE table that was kept for it (pmd_populate).

    `before` is the entry as it was before it was made invalid. A file's page is just unmapped: its
    next touch finds it again (and there is no table to be filled).
    """
    assert_pml(engine, huge)
    if before & FILE:
        huge.value = before
        clear_huge_pmd(engine, page_table, huge)
        return
    table = huge.deposit
    assert table is not None
    assert not table.occupied
    huge.deposit = None
    huge.is_linked = False
    del page_table.huge[huge.base >> TABLE_SHIFT]
    first, flags = before >> PFN_SHIFT, before & (1 << PFN_SHIFT) - 1
    step = 0 if is_huge_zero(before) else 1
    table.ptes = array("Q", (pte_of(first + i * step, flags) for i in range(PTES_PER_TABLE)))
    table.occupied = PTES_PER_TABLE
    table.is_linked = True
    page_table.link_table(engine, table)
    if engine.logging:
        shared = FLAG_SHARED if _is_shared(engine, before) else 0
        bits = event_flags(before) | shared
        engine.emit(event.PTE_SET, huge.base, PTES_PER_TABLE, bits, page_table.mm)


def _is_shared(engine: Engine[Any], value: int) -> bool:
    state = engine.world.frames.state
    return not value & (SPECIAL | FILE) and state[value >> PFN_SHIFT] == ANON


def new_huge_pmd(
    engine: Engine[Any], page_table: PageTable, address: int, value: int,
    deposit: PteTable | None = None,
) -> HugePmd:  # fmt: skip
    """A huge entry for the 2 MiB around an address, not set yet; its PMD table must exist."""
    pmd = page_table.pmd_table(address)
    assert pmd is not None
    return HugePmd(engine.new_id(), address & -TABLE_SPAN, pmd.lock, value, deposit)


def populate_huge_anon(
    engine: Engine[Any], page_table: PageTable, start: int, count: int, anon_vma: int,
    writable: bool = True,
) -> None:  # fmt: skip
    """Map `count` anonymous huge pages from an aligned address on, as if long ago (set-up)."""
    assert not start % TABLE_SPAN, "huge pages are aligned to 2 MiB"
    for number in range(count):
        address = start + number * TABLE_SPAN
        page_table.alloc_upper(engine, address)
        first = engine.world.frames.grow(PTES_PER_TABLE).start
        flags = PRESENT | ACCESSED | (WRITABLE | DIRTY if writable else 0)
        deposit = page_table.new_table(engine, address)
        huge = new_huge_pmd(engine, page_table, address, pte_of(first, flags), deposit)
        start_anon_block(engine.world.frames, first, anon_vma)
        page_table.rss_anon += PTES_PER_TABLE
        set_huge_pmd(engine, page_table, huge, FLAG_PREFAULTED)


def is_covered(huge: HugePmd, start: int, end: int) -> bool:
    """Whether a range takes in the whole huge page: what covers less must split it."""
    return start <= huge.base and huge.end <= end
