"""A fault on an entry that maps nothing but remembers a userfaultfd monitor's write protection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.page_range import clear_pte
from pfviz.mm.page_table import PteTable
from pfviz.mm.paths import anonymous, file
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock
from pfviz.mm.vma import VM_UFFD_WP
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


@step("mm/memory.c (5.19+)", cost="vma_check")
def pte_marker_handle_uffd_wp(engine: Mm, thread: Thread) -> Step:
    """Nothing is mapped: get a page as if nothing were written here; the mark goes over to it."""
    fault = thread.in_flight
    assert fault.vma is not None
    if not fault.vma.vm_flags & VM_UFFD_WP:
        return pte_offset_map_lock(engine, thread, then=pte_marker_clear)
    return anonymous.do_anonymous_page if fault.vma.is_anonymous else file.do_fault


@step("mm/memory.c (5.19+)", cost="set_pte")
def pte_marker_clear(engine: Mm, thread: Thread) -> Step:
    """No monitor wants to know any more: clear the mark, and let the access run again."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is not None and not pte_changed(thread, table):
        clear_pte(engine, thread.mm.page_tables, table, fault.address)
    fault.kind = fault.kind or "spurious"
    return pte_unmap_unlock
