"""Memory of a device (device-private): pages go there by a driver, and come back when touched.

A touch calls the driver (migrate_to_ram), which moves the page back into memory of the machine; it
is only called under mmap_lock. Device frames are numbered like others, and are never mapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_unlock
from pfviz.mm.operations import PAGE_SHIFT, MigrateToDevice
from pfviz.mm.page_table import PFN_SHIFT
from pfviz.mm.paths.allocation import release_page, vma_alloc_folio
from pfviz.mm.paths.migrate import Moving, isolate, isolate_at, migrate
from pfviz.mm.paths.rmap import set_device_pte
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


# Back to memory: a fault


@step("lib/test_hmm.c, drivers/gpu/drm/nouveau/nouveau_dmem.c", cost="vma_check")
def migrate_to_ram(engine: Mm, thread: Thread) -> Step:
    """The device's driver is to bring the page back: get a page of memory for it first."""
    fault = thread.in_flight
    pfn = fault.orig_pte >> PFN_SHIFT
    found = isolate_at(engine, thread.mm, fault.address & ~0xFFF, pfn)
    if found is None:
        return thread.back()
    fault.scratch["device"] = found
    return thread.call(vma_alloc_folio, then=migrate_vma_setup)


@step("mm/migrate_device.c (5.19+)", cost="vma_check")
def migrate_vma_setup(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Lock the device's page and replace its entry, so that nobody else brings it back, too."""
    fault = thread.in_flight
    found, target = fault.scratch.pop("device"), fault.page
    moving = Moving([found], restore=set_device_pte, copy_cost="device_copy", target=target)
    return migrate(thread, moving, then=migrate_vma_finalize)


@step("mm/migrate_device.c (5.19+)", cost="vma_check")
def migrate_vma_finalize(engine: Mm, thread: Thread) -> Step:
    """The page is back, or another thread was faster: then the new page is not needed."""
    moving: Moving = thread.moving
    thread.moving = None
    if moving.moved:
        thread.in_flight.page = None
    else:
        release_page(engine, thread)
    return thread.back()


# To the device: an operation


@step("lib/test_hmm.c, drivers/gpu/drm/nouveau/nouveau_svm.c", cost="munmap_checks")
def dmirror_migrate_to_device(engine: Mm, thread: Thread) -> Step:
    """The driver was asked to bring pages into the device: it takes mmap_lock for reading."""
    return mmap_read_lock(engine, thread, thread.mm, collect_for_device)


@step("mm/migrate_device.c (5.19+)", cost="find_vma", function="migrate_vma_setup")
def collect_for_device(engine: Mm, thread: Thread) -> Step:
    """Find the pages of the range and keep them."""
    operation = thread.operation
    assert isinstance(operation, MigrateToDevice)
    start = thread.resolve(operation.place)
    if start is None:
        mmap_read_unlock(engine, thread, thread.mm)
        return thread.back()
    end = start + (operation.pages << PAGE_SHIFT)
    taken, _ = isolate(engine, thread.mm, start, end, operation.pages)
    engine.charge(len(taken) * engine.machine.costs["lru_isolate"])
    moving = Moving(taken, set_device_pte, copy_cost="device_copy")
    return migrate(thread, moving, then=migrated_to_device)


@step("mm/migrate_device.c (5.19+)", cost="vma_check", function="migrate_vma_finalize")
def migrated_to_device(engine: Mm, thread: Thread) -> Step:
    """The entries say now that the pages are in the device: give mmap_lock back."""
    thread.op_result = thread.moving.moved
    thread.moving = None
    mmap_read_unlock(engine, thread, thread.mm)
    return thread.back()
