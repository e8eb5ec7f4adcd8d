"""What is done to a range of entries of one PTE table: zap, copy, change protection, populate.

Each function works on one table, whose PTL the caller holds; large ranges go table by table
(`PageTable.next_table`), with the lock dropped between them. No step stands here.
"""

from __future__ import annotations

from typing import Any

from pfviz.mm.frames import RSS_BATCH, ZERO_PFN, Frames
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    FLAG_PREFAULTED,
    FLAG_SHARED,
    GUARD,
    NO_FRAME,
    OCCUPIED,
    PAGE_SHIFT,
    PAGE_SIZE,
    PFN_SHIFT,
    PRESENT,
    PROTNONE,
    SPECIAL,
    SWAP,
    UFFD_WP,
    WRITABLE,
    PageTable,
    PteTable,
    event_flags,
    pte_of,
)
from pfviz.mm.swap_entries import (
    copy_elsewhere,
    drop_swap_cache,
    free_swapped,
    has_page_elsewhere,
    is_swapped,
    zap_elsewhere,
)
from pfviz.mm.tlb import MmuGather
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.sim import event
from pfviz.sim.engine import Engine


def count_rss(engine: Engine[Any], page_table: PageTable, anon: int = 0, file: int = 0) -> None:
    """Change the resident set: kept aside per CPU, added to the mm's counter in batches."""
    page_table.rss_anon += anon
    page_table.rss_file += file
    if engine.task is None or engine.task.cpu is None:
        return
    pending = page_table.rss_pending
    cpu = engine.task.cpu.id
    kept = pending.get(cpu, 0) + anon + file
    if abs(kept) >= RSS_BATCH:
        page_table.rss_line.write(engine)
        kept = 0
    pending[cpu] = kept


def zap_pte_range(
    engine: Engine[Any],
    page_table: PageTable,
    table: PteTable,
    start: int,
    end: int,
    gather: MmuGather,
) -> int:
    """Clear the entries of a range; how many there were.

    Frames that lose their last mapping go into `gather`, to be freed after the TLB flush.
    """
    assert_locked(engine, table)
    frames: Frames = engine.world.frames
    folios = engine.world.swap.folios
    ptes = table.ptes
    cleared = anon = file = 0
    run_start = -1
    slots = table.slots(start, end)
    if table.occupied:
        for slot in slots:
            pte = ptes[slot]
            if not pte or (pte == GUARD and gather.keeps_guards):
                if run_start >= 0:
                    log_cleared(engine, page_table, table, run_start, slot)
                    run_start = -1
                continue
            if run_start < 0:
                run_start = slot
            ptes[slot] = 0
            cleared += 1
            if pte & NO_FRAME:
                if pte & SWAP:
                    anon += zap_elsewhere(engine, page_table, table, pte, gather)
                continue
            if pte & FILE:
                file += 1
            else:
                anon += 1
            if frames.unmap(pte >> PFN_SHIFT):
                gather.frames.append(pte >> PFN_SHIFT)
            elif pte >> PFN_SHIFT in folios:
                drop_swap_cache(engine, pte >> PFN_SHIFT, gather)
    if run_start >= 0:
        log_cleared(engine, page_table, table, run_start, slots.stop)
    if cleared:
        table.occupied -= cleared
        gather.pages += cleared
        gather.add_range(max(start, table.base), table.base + (slots.stop << PAGE_SHIFT))
        count_rss(engine, page_table, -anon, -file)
    return cleared


def copy_pte_range(
    engine: Engine[Any],
    source: PageTable,
    source_table: PteTable,
    target: PageTable,
    target_table: PteTable,
    start: int,
    end: int,
    cow: bool,
) -> int:
    """Copy the entries of a range to a child (copy_present_ptes); how many there were.

    `cow` (a private writable mapping): both sides lose the right to write, and anonymous pages are
    no longer exclusive. The parent's TLBs are not flushed here: fork does that once, at its end.
    """
    assert_locked(engine, source_table)
    assert_locked(engine, target_table)
    frames: Frames = engine.world.frames
    copied = anon = file = protected = 0
    slots = source_table.slots(start, end)
    for slot in slots:
        pte = source_table.ptes[slot]
        if not pte:
            continue
        if cow and pte & WRITABLE:
            pte &= ~WRITABLE
            source_table.ptes[slot] = pte
            protected += 1
        assert not target_table.ptes[slot], "fork copies into a used slot"
        target_table.ptes[slot] = pte & ~(ACCESSED | UFFD_WP)
        copied += 1
        if pte & NO_FRAME:
            if pte & SWAP:
                anon += copy_elsewhere(engine, source_table, target, target_table, slot, cow)
            continue
        pfn = pte >> PFN_SHIFT
        if pte & FILE:
            folio = frames.folios[pfn]
            folio.mapcount += 1
            folio.refcount += 1
            file += 1
        else:
            frames.share(pfn)
            anon += 1
    target_table.occupied += copied
    target.rss_anon += anon
    target.rss_file += file
    if copied:
        log_set(engine, target, target_table, slots.start, slots.stop, FLAG_SHARED)
    if protected:
        log_set(engine, source, source_table, slots.start, slots.stop, FLAG_SHARED)
    return copied


def change_pte_range(
    engine: Engine[Any],
    page_table: PageTable,
    table: PteTable,
    start: int,
    end: int,
    accessible: bool,
    writable: bool,
    private: bool,
) -> tuple[int, int]:
    """Give the entries of a range another protection; how many changed, how many are to be flushed.

    x86 flushes every entry that was present and whose rights change, more or fewer
    (pte_needs_flush; recorded on 6.1, 6.12 and 6.18); what was not present no TLB knows.
    A page may become writable at once when it is exclusive (private) or dirty (shared); otherwise
    the next write faults (can_change_pte_writable).
    """
    assert_locked(engine, table)
    frames: Frames = engine.world.frames
    changed = to_flush = 0
    slots = table.slots(start, end)
    for slot in slots if table.occupied else ():
        pte = table.ptes[slot]
        if not pte:
            continue
        if pte & SWAP:
            table.ptes[slot] = pte if writable else pte & ~WRITABLE
            continue
        now = pte & ~(PRESENT | PROTNONE | WRITABLE) | (PRESENT if accessible else PROTNONE)
        if writable and may_write_at_once(frames, pte, private):
            now |= WRITABLE
        if now != pte:
            table.ptes[slot] = now
            changed += 1
            to_flush += bool(pte & PRESENT and (pte ^ now) & (PRESENT | WRITABLE))
    if changed:
        log_set(engine, page_table, table, slots.start, slots.stop, 0)
    return changed, to_flush


def protect_numa_range(
    engine: Engine[Any], page_table: PageTable, table: PteTable, start: int, end: int
) -> int:
    """Make the anonymous pages of a range inaccessible (change_prot_numa); how many changed."""
    assert_locked(engine, table)
    changed = 0
    slots = table.slots(start, end)
    for slot in slots if table.occupied else ():
        pte = table.ptes[slot]
        if pte & PRESENT and not pte & (FILE | NO_FRAME):
            table.ptes[slot] = pte & ~(PRESENT | WRITABLE) | PROTNONE
            changed += 1
    if changed:
        log_set(engine, page_table, table, slots.start, slots.stop, 0)
    return changed


def free_pte_range(
    engine: Engine[Any], page_table: PageTable, table: PteTable, start: int, end: int,
    gather: MmuGather,
) -> int:  # fmt: skip
    """Make the anonymous entries of a range old and clean (madvise_free_pte_range); how many.

    A clean page may be dropped when memory is short. The entries must be flushed: a CPU that still
    knows one as dirty would write without setting the bit again.
    """
    assert_locked(engine, table)
    changed = 0
    slots = table.slots(start, end)
    for slot in slots:
        pte = table.ptes[slot]
        if pte & PRESENT and pte & (ACCESSED | DIRTY) and not pte & (FILE | SPECIAL):
            table.ptes[slot] = pte & ~(ACCESSED | DIRTY)
            changed += 1
        elif is_swapped(pte):
            clear_pte(engine, page_table, table, table.base + (slot << PAGE_SHIFT))
            free_swapped(engine, page_table, pte, gather)
    if changed:
        gather.pages += changed
        gather.add_range(max(start, table.base), table.base + (slots.stop << PAGE_SHIFT))
        log_set(engine, page_table, table, slots.start, slots.stop, 0)
    return changed


def may_write_at_once(frames: Frames, pte: int, private: bool) -> bool:
    """Whether an entry may become writable without a fault (can_change_pte_writable)."""
    if pte & UFFD_WP or pte & (SPECIAL | FILE) == SPECIAL:
        return False
    if private:
        return not pte & FILE and frames.is_exclusive(pte >> PFN_SHIFT)
    return pte & DIRTY != 0


def set_pte(
    engine: Engine[Any], page_table: PageTable, table: PteTable, address: int, pte: int,
    flags: int = 0,
) -> None:  # fmt: skip
    """Store one entry (set_pte_at) and log it; the caller holds the PTL."""
    assert not table.is_freed
    assert_locked(engine, table)
    slot = table.index(address)
    old = table.ptes[slot]
    if not old:
        table.occupied += 1
    if (old | pte) & SWAP:
        table.elsewhere += (pte & SWAP and 1) - (old & SWAP and 1)
    table.ptes[slot] = pte
    watch = engine.world.watch
    if watch is not None:
        watch.entry_set(engine, address, old, pte)
        if pte & WRITABLE:
            watch.page_set_writable(engine, page_table.mm, address)
    if engine.logging:
        engine.emit(event.PTE_SET, address, 1, event_flags(pte) | flags, page_table.mm)


def clear_pte(engine: Engine[Any], page_table: PageTable, table: PteTable, address: int) -> int:
    """Clear one entry (ptep_get_and_clear); what it was."""
    assert_locked(engine, table)
    slot = table.index(address)
    pte = table.ptes[slot]
    table.ptes[slot] = 0
    table.occupied -= 1
    table.elsewhere -= pte & SWAP and 1
    log_cleared(engine, page_table, table, slot, slot + 1)
    return pte


def populate_anon(
    engine: Engine[Any], page_table: PageTable, start: int, pages: int, anon_vma: int,
    writable: bool = True,
) -> None:  # fmt: skip
    """Make `pages` anonymous pages resident at once, as if touched long ago (builds worlds)."""
    frames: Frames = engine.world.frames
    numbers = frames.grow(pages)
    first = numbers.start
    frames.state[first : first + pages] = b"\2" * pages
    for column, value in (
        (frames.mapcount, 1),
        (frames.refcount, 1),
        (frames.anon_vma, anon_vma),
    ):
        column[first : first + pages] = type(column)(column.typecode, [value]) * pages
    frames.used += pages
    flags = PRESENT | ACCESSED | (WRITABLE | DIRTY if writable else 0)
    address, end = start, start + pages * PAGE_SIZE
    while address < end:
        table = page_table.table_for(engine, address)
        slots = table.slots(address, end)
        assert not any(table.ptes[slots.start : slots.stop]), "populated twice"
        for slot in slots:
            table.ptes[slot] = pte_of(first, flags)
            first += 1
        table.occupied += len(slots)
        log_set(engine, page_table, table, slots.start, slots.stop, FLAG_PREFAULTED)
        address = table.base + (slots.stop << PAGE_SHIFT)
    page_table.rss_anon += pages


def populate_shared(engine: Engine[Any], page_table: PageTable, vma: Vma, pages: int) -> None:
    """Map the first `pages` pages of shared memory, as if touched long ago (builds worlds)."""
    file = vma.vm_file
    assert file is not None
    flags = PRESENT | ACCESSED | FILE | (WRITABLE | DIRTY if vma.vm_flags & VM_WRITE else 0)
    for page in range(pages):
        address = vma.vm_start + page * PAGE_SIZE
        folio = file.folio(engine, vma.page_index(address))
        assert folio is not None
        folio.mapcount += 1
        folio.refcount += 1
        folio.dirty = True
        table = page_table.table_for(engine, address)
        set_pte(engine, page_table, table, address, pte_of(folio.pfn, flags), FLAG_PREFAULTED)
    page_table.rss_file += pages


def rss_by_count(page_table: PageTable) -> tuple[int, int]:
    """Anonymous and file pages counted entry by entry, to compare with the counters (I23)."""
    anon = file = 0
    for table in page_table.tables(0, 1 << 47):
        for pte in table.ptes:
            if pte & OCCUPIED and not pte & SPECIAL and pte >> PFN_SHIFT != ZERO_PFN:
                if pte & FILE:
                    file += 1
                else:
                    anon += 1
            elif has_page_elsewhere(pte):
                anon += 1
    for huge in page_table.huge.values():
        if huge.value & FILE:
            file += huge.counted_pages
        else:
            anon += huge.counted_pages
    return anon, file


def assert_locked(engine: Engine[Any], table: PteTable) -> None:
    """Entries change only under their table's lock (W2), but when a world is being built."""
    task = engine.task
    assert task is None or table.ptl.holder is task, f"entries of {table.base:#x} without its PTL"


def log_cleared(
    engine: Engine[Any], page_table: PageTable, table: PteTable, first: int, stop: int
) -> None:
    """Log that entries first to stop are none now."""
    if engine.logging:
        address = table.base + (first << PAGE_SHIFT)
        engine.emit(event.PTE_CLEARED, address, stop - first, 0, page_table.mm)


def log_set(
    engine: Engine[Any], page_table: PageTable, table: PteTable, first: int, stop: int, flags: int
) -> None:
    """Log entries first to stop, one event for each run of equal flags."""
    if not engine.logging:
        return
    slot = first
    while slot < stop:
        pte = table.ptes[slot]
        if not pte:
            slot += 1
            continue
        begin, bits = slot, event_flags(pte)
        while slot < stop and table.ptes[slot] and event_flags(table.ptes[slot]) == bits:
            slot += 1
        shared = flags if not bits & 4 else flags & ~FLAG_SHARED
        address = table.base + (begin << PAGE_SHIFT)
        engine.emit(event.PTE_SET, address, slot - begin, bits | shared, page_table.mm)
