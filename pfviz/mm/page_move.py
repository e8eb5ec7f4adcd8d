"""Moving entries to another address of the same mm: one by one, or a whole table at once.

Plain functions of one table or two, whose locks the caller holds. Pages keep their frames and
counts: only the way to them changes, so the TLB entries of the old addresses must be flushed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pfviz.mm.page_range import assert_locked, log_cleared, log_set
from pfviz.mm.page_table import (
    PAGE_SHIFT,
    PRESENT,
    PTES_PER_TABLE,
    SWAP,
    TABLE_SHIFT,
    PageTable,
    PteTable,
)
from pfviz.sim import event
from pfviz.sim.engine import Engine


def move_pte_range(
    engine: Engine[Any],
    page_table: PageTable,
    source: PteTable,
    target: PteTable,
    old: int,
    new: int,
    length: int,
) -> tuple[int, int]:
    """Move the entries of [old, old+length) to `new` (move_ptes); how many, and how many present.

    Present ones must be flushed before the locks are dropped: a write through a stale TLB entry
    could otherwise follow whatever happens to the page at its new address.
    """
    assert_locked(engine, source)
    assert_locked(engine, target)
    first, to = source.index(old), target.index(new)
    moved = present = elsewhere = 0
    for offset in range(length >> PAGE_SHIFT):
        pte = source.ptes[first + offset]
        if not pte:
            continue
        assert not target.ptes[to + offset], "mremap moves into a used slot"
        source.ptes[first + offset] = 0
        target.ptes[to + offset] = pte
        moved += 1
        present += pte & PRESENT
        elsewhere += pte & SWAP and 1
    source.occupied -= moved
    target.occupied += moved
    source.elsewhere -= elsewhere
    target.elsewhere += elsewhere
    if moved:
        stop = length >> PAGE_SHIFT
        log_cleared(engine, page_table, source, first, first + stop)
        log_set(engine, page_table, target, to, to + stop, 0)
    return moved, present


def move_table(engine: Engine[Any], page_table: PageTable, table: PteTable, new: int) -> PteTable:
    """Hang a whole PTE table below another PMD entry (move_normal_pmd), which must be none.

    Entries and lock stay the same memory. The old object is what those still hold who found the
    table at its old address: they see that no PMD entry points to it there.
    """
    old_pmd, new_pmd = page_table.pmd_table(table.base), page_table.pmd_table(new)
    assert old_pmd is not None
    assert new_pmd is not None
    assert new >> TABLE_SHIFT not in new_pmd.entries, "mremap moves onto a table"
    moved = replace(table, base=new)
    del old_pmd.entries[table.base >> TABLE_SHIFT]
    table.is_linked = False
    log_cleared(engine, page_table, table, 0, PTES_PER_TABLE)
    new_pmd.entries[new >> TABLE_SHIFT] = moved
    if engine.logging:
        for what, address in (("unlink", table.base), ("alloc", new)):
            text = engine.log.text(what)
            engine.emit(event.PAGE_TABLE, text, address, 1, page_table.mm)
    log_set(engine, page_table, moved, 0, PTES_PER_TABLE, 0)
    return moved
