"""Userfaultfd's write protection of a range of entries of one PTE table (change_pte_range).

The caller holds the table's PTL and flushes what lost the right to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.page_range import assert_locked, log_set, may_write_at_once
from pfviz.mm.page_table import (
    MARKER,
    MARKER_UFFD_WP,
    PAGE_SIZE,
    PRESENT,
    SWAP,
    UFFD_WP,
    WRITABLE,
    PteTable,
    is_pte_marker,
    pfn_of,
    pte_of,
)
from pfviz.mm.userfaultfd import flags_of, new_userfaultfd
from pfviz.mm.vma import VM_SHARED, VM_WRITE, Vma

if TYPE_CHECKING:
    from pfviz.mm.world import Mm

UFFD_WP_MARKER: Final = pte_of(MARKER_UFFD_WP, SWAP | MARKER)


def protect_range(
    engine: Mm, vma: Vma, table: PteTable, start: int, end: int, markers: bool
) -> tuple[int, int]:
    """Mark entries and take away their right to write; (how many, how many must be flushed).

    `markers` marks what is not mapped, too.
    """
    assert_locked(engine, table)
    changed = to_flush = 0
    slots = table.slots(start, end)
    for slot in slots if table.occupied or markers else ():
        pte = table.ptes[slot]
        if not pte:
            if not markers:
                continue
            now = UFFD_WP_MARKER
            table.occupied += 1
            table.elsewhere += 1
        elif is_pte_marker(pte):
            now = pte
        else:
            now = pte & ~WRITABLE | UFFD_WP
        if now != pte:
            table.ptes[slot] = now
            changed += 1
            to_flush += bool(pte & PRESENT and pte & WRITABLE)
    if changed:
        log_set(engine, vma.mm.page_tables, table, slots.start, slots.stop, 0)
    return changed, to_flush


def unprotect_range(engine: Mm, vma: Vma, table: PteTable, start: int, end: int) -> int:
    """Lift the mark; how many had it. Nothing is to be flushed: nobody loses a right.

    From 6.2 on who may write at once gets the right back; before, the next write faults.
    """
    assert_locked(engine, table)
    changed = 0
    frames = engine.world.frames
    gives = engine.world.preset.uffd_unprotect_writable and vma.vm_flags & VM_WRITE
    slots = table.slots(start, end)
    for slot in slots if table.occupied else ():
        pte = table.ptes[slot]
        if is_pte_marker(pte) and pfn_of(pte) == MARKER_UFFD_WP:
            table.ptes[slot] = 0
            table.occupied -= 1
            table.elsewhere -= 1
            changed += 1
        elif pte & UFFD_WP:
            pte &= ~UFFD_WP
            private = not vma.vm_flags & VM_SHARED
            if gives and pte & PRESENT and may_write_at_once(frames, pte, private):
                pte |= WRITABLE
            table.ptes[slot] = pte
            changed += 1
    if changed:
        log_set(engine, vma.mm.page_tables, table, slots.start, slots.stop, 0)
    return changed


def begin_registered(engine: Mm, vma: Vma, modes: tuple[str, ...], protected: int = 0) -> None:
    """Register a VMA with the userfaultfd of its process before the run begins (builds worlds).

    The first `protected` pages are write-protected.
    """
    mm = vma.mm
    vma.vm_flags |= flags_of(modes)
    vma.userfaultfd = mm.userfaultfd or new_userfaultfd(engine, mm)
    vma.emit_changed(engine, "userfaultfd")
    end = vma.vm_start + protected * PAGE_SIZE
    for table in mm.page_tables.tables(vma.vm_start, end) if protected else ():
        protect_range(engine, vma, table, vma.vm_start, end, markers=False)
