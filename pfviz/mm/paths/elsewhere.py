"""A fault on an entry whose page is neither here nor in swap: on the move, in a device, a marker.

Who meets a page on the move waits for it holding its lock, and lets the access run again. Device
memory needs a driver, which is only called under mmap_lock. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.page_table import MARKER_GUARD, MARKER_UFFD_WP, PFN_SHIFT, PteTable
from pfviz.mm.paths import device_memory
from pfviz.mm.paths.anon_vma import give_up
from pfviz.mm.paths.outcome import VM_FAULT_SIGBUS, VM_FAULT_SIGSEGV
from pfviz.mm.paths.pte_lock import pte_changed, pte_offset_map_lock, pte_unmap_unlock, unlock
from pfviz.mm.paths.uffd_marker import pte_marker_handle_uffd_wp
from pfviz.mm.swap_entries import is_migration, is_on_device
from pfviz.mm.thread import VMA_LOCK
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

DRIVER_NEEDS_MMAP_LOCK: Final = "page in device memory: the driver wants mmap_lock"


def non_swap_entry(engine: Mm, thread: Thread) -> Step:
    """Decide what such an entry asks for."""
    fault = thread.in_flight
    if is_migration(fault.orig_pte):
        fault.kind = fault.kind or "migration"
        return pte_offset_map_lock(engine, thread, then=migration_entry_wait)
    if is_on_device(fault.orig_pte):
        fault.kind = fault.kind or "device_private"
        if fault.regime == VMA_LOCK:
            return give_up(engine, thread, DRIVER_NEEDS_MMAP_LOCK)
        return pte_offset_map_lock(engine, thread, then=get_device_page)
    return handle_pte_marker


# On the move


@step("mm/migrate.c", cost="pte_read")
def migration_entry_wait(engine: Mm, thread: Thread) -> Step | None:
    """If the page is still on the move, queue for its lock; the fault lock stays held meanwhile."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        return pte_unmap_unlock
    folio = engine.world.swap.folios.get(fault.orig_pte >> PFN_SHIFT)
    if folio is None or folio.locked_by == -1:
        return pte_unmap_unlock
    folio.line.write(engine)
    folio.waiters.append(thread)
    unlock(engine, thread)
    engine.sleep(migration_entry_waited, "waits for a page that is being moved", folio.id)
    return None


@step("mm/filemap.c", cost="vma_check", function="migration_entry_wait_on_locked")
def migration_entry_waited(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The page has arrived: let the access run again."""
    return thread.back()


# In a device


@step("mm/memory.c", cost="pte_read", function="do_swap_page")
def get_device_page(engine: Mm, thread: Thread) -> Step:
    """If the entry is unchanged, keep the device's page, so that its driver can be called."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    if table is None or pte_changed(thread, table):
        return pte_unmap_unlock
    unlock(engine, thread)
    return device_memory.migrate_to_ram


# Markers


@step("mm/memory.c (5.19+)", cost="vma_check")
def handle_pte_marker(engine: Mm, thread: Thread) -> Step:
    """The entry says what a touch is to meet: an error (a guard page), or a monitor."""
    fault = thread.in_flight
    if fault.orig_pte >> PFN_SHIFT & MARKER_UFFD_WP:
        return pte_marker_handle_uffd_wp(engine, thread)
    is_guard = fault.orig_pte >> PFN_SHIFT & MARKER_GUARD
    fault.result |= VM_FAULT_SIGSEGV if is_guard else VM_FAULT_SIGBUS
    return thread.back()
