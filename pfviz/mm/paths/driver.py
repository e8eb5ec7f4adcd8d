"""What drivers do in a fault: their lock, their device, a page frame put into the page table.

`ask_driver` is vm_ops->fault: GEM with shmem pages, TTM, special mappings, DAX. Their map_pages is
in `driver_map_pages`. Chains that end with `back`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm import mmap_lock
from pfviz.mm.driver import Driver
from pfviz.mm.page_cache import File
from pfviz.mm.page_range import set_pte
from pfviz.mm.page_table import (
    ACCESSED,
    DIRTY,
    FILE,
    PAGE_SIZE,
    PRESENT,
    SPECIAL,
    TABLE_SPAN,
    WRITABLE,
    PteTable,
    pte_of,
)
from pfviz.mm.paths.file_page import file_of, install_and_lock, with_prealloc
from pfviz.mm.paths.outcome import VM_FAULT_NOPAGE, VM_FAULT_RETRY
from pfviz.mm.paths.pte_lock import pte_changed, pte_unmap_unlock
from pfviz.mm.paths.release import release_fault_lock
from pfviz.mm.thread import MMAP_LOCK
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.mm.vma_lock import vma_forget_read
from pfviz.sim import event
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, down_write, down_write_trylock, up_read, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

DEVICE_BUSY: Final = "the driver waits for its device"
DEVICE_PFN: Final = 1 << 20
"""Where the frames of devices begin: no memory that the model hands out."""

TTM: Final = "drivers/gpu/drm/ttm/ttm_bo_vm.c"
GEM: Final = "drivers/gpu/drm/drm_gem_shmem_helper.c"


def driver_of(file: File) -> Driver:
    """The driver that serves a file's faults; there must be one."""
    assert file.driver is not None
    return file.driver


def ask_driver(file: File) -> Step:
    """The first step of the driver's own handler (vm_ops->fault)."""
    driver = driver_of(file)
    if driver.is_special:
        return special_mapping_fault
    if driver.is_dax:
        return dax_iomap_fault
    return ttm_bo_vm_fault if driver.drops_lock else drm_gem_shmem_fault


# A lock of its own, perhaps a wait for the device


@step(GEM, cost="vma_check")
def drm_gem_shmem_fault(engine: Mm, thread: Thread) -> Step:
    """The driver locks its object, which ioctls and other processes use, too."""
    lock = file_of(thread).device_lock
    assert lock is not None
    return down_write(engine, thread, lock, then=object_locked)


@step(GEM, cost="vma_check", function="drm_gem_shmem_fault")
def object_locked(engine: Mm, thread: Thread) -> Step | None:
    """Has the device the page at hand? If not, the driver waits for it with all locks held."""
    if is_ready(thread):
        return thread.call(vmf_insert_pfn, then=object_unlock)
    return wait_for_device(engine, thread, object_ready)


@step(GEM, cost="vma_check", function="drm_gem_shmem_fault")
def object_ready(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The device has answered: on to the page table."""
    return thread.call(vmf_insert_pfn, then=object_unlock)


@step(GEM, cost="vma_check", function="drm_gem_shmem_fault")
def object_unlock(engine: Mm, thread: Thread) -> Step:
    """Unlock the object: the page is mapped, the handler has nothing to hand over (NOPAGE)."""
    return unlock_object(engine, thread)


# A driver that gives the fault lock up while its device works


@step(TTM, cost="vma_check")
def ttm_bo_vm_fault(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """A handler that would not keep mmap_lock for as long as its device works."""
    return ttm_bo_vm_reserve


@step(TTM, cost="vma_check")
def ttm_bo_vm_reserve(engine: Mm, thread: Thread) -> Step:
    """Try the buffer's lock; whoever would have to wait for it gives the fault lock up first."""
    lock = file_of(thread).device_lock
    assert lock is not None
    if down_write_trylock(engine, thread, lock):
        return ttm_bo_vm_fault_reserved
    if thread.in_flight.tried:
        return down_write(engine, thread, lock, then=ttm_bo_vm_fault_reserved)
    thread.in_flight.fpin = file_of(thread)
    give_fault_lock_up(engine, thread)
    return down_write(engine, thread, lock, then=buffer_unlock)


@step(TTM, cost="vma_check")
def ttm_bo_vm_fault_reserved(engine: Mm, thread: Thread) -> Step | None:
    """Is the device done with the buffer? The first time the driver does not wait with the lock."""
    if is_ready(thread):
        return thread.call(vmf_insert_pfn_prot, then=buffer_done)
    if thread.in_flight.tried:
        return wait_for_device(engine, thread, buffer_ready)
    file = file_of(thread)
    index = _index(thread)
    thread.in_flight.fpin = file
    give_fault_lock_up(engine, thread)
    return _wait_for(engine, thread, file, index, buffer_unlock)


@step(TTM, cost="vma_check", function="ttm_bo_vm_fault_reserved")
def buffer_ready(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The device has answered: on to the page table."""
    return thread.call(vmf_insert_pfn_prot, then=buffer_done)


@step(TTM, cost="vma_check", function="ttm_bo_vm_fault")
def buffer_done(engine: Mm, thread: Thread) -> Step:
    """Unlock the buffer: its pages are mapped, the handler has nothing to hand over (NOPAGE)."""
    return unlock_object(engine, thread)


def give_fault_lock_up(engine: Mm, thread: Thread) -> None:
    """What the driver's code does: `mmap_read_unlock`, or what it was converted to.

    Under the VMA lock mmap_read_unlock gives back what nobody took, and the VMA stays locked (I19).
    The model says so and leaves the word of mmap_lock alone.
    """
    fault = thread.in_flight
    thread.abort = DEVICE_BUSY
    if driver_of(fault.fpin).drops_lock == "fault_lock":
        release_fault_lock(engine, thread)
    elif fault.regime == MMAP_LOCK:
        mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    else:
        assert fault.vma is not None
        text = f"{thread.name} gives mmap_lock back, but holds the lock of VMA {fault.vma.id}"
        engine.world.break_rule(engine, "I19", text)
        vma_forget_read(thread, fault.vma)


@step(TTM, cost="vma_check", function="ttm_bo_vm_reserve")
def buffer_unlock(engine: Mm, thread: Thread) -> Step:
    """The device is done: the fault starts again, and will find the buffer idle."""
    fault = thread.in_flight
    up_write(engine, thread, fault.fpin.device_lock)
    fault.fpin = None
    fault.result |= VM_FAULT_RETRY
    return thread.back()


# A page of the kernel


@step("mm/mmap.c (until 6.15), mm/vma.c (6.16+)", cost="vma_check")
def special_mapping_fault(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """A special mapping of the kernel: it has a handler of its own, and no map_pages."""
    return vvar_fault


@step("arch/x86/entry/vdso/vma.c", cost="vma_check")
def vvar_fault(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Choose the kernel's page that is shown to programs: clock data, or code."""
    return thread.call(vmf_insert_pfn, then=special_mapped)


@step("arch/x86/entry/vdso/vma.c", cost="vma_check", function="vvar_fault")
def special_mapped(engine: Mm, thread: Thread) -> Step:
    """The page is mapped, the handler has nothing to hand over (NOPAGE)."""
    return unlock_object(engine, thread)


# Memory that CPUs reach directly


@step("fs/dax.c", cost="page_cache_lookup")
def dax_iomap_fault(engine: Mm, thread: Thread) -> Step:
    """The filesystem keeps truncation out, and looks up where on the device the block lies."""
    return down_read(engine, thread, file_of(thread).invalidate_lock, then=dax_insert_entry)


@step("fs/dax.c", cost="page_cache_lookup")
def dax_insert_entry(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Note in the file's tree that this block is mapped: there is no page that could say so."""
    return thread.call(vmf_insert_pfn, then=dax_unlock)


@step("fs/dax.c", cost="vma_check", function="dax_iomap_fault")
def dax_unlock(engine: Mm, thread: Thread) -> Step:
    """Let truncation go on: the block is mapped, there is no page to hand over (NOPAGE)."""
    return unlock_object(engine, thread)


# Putting page frames into the page table


@step("mm/memory.c", cost="vma_check")
def vmf_insert_pfn(engine: Mm, thread: Thread) -> Step:
    """The driver hands page frames over that have no struct page."""
    return _insert_pfns(engine, thread)


@step("mm/memory.c", cost="vma_check")
def vmf_insert_pfn_prot(engine: Mm, thread: Thread) -> Step:
    """The driver hands page frames over, and says how they may be cached."""
    return _insert_pfns(engine, thread)


def _insert_pfns(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    fault = thread.in_flight
    assert fault.vma is not None
    first = fault.address & -PAGE_SIZE
    end = min(first + driver_of(file_of(thread)).pages_at_once * PAGE_SIZE, fault.vma.vm_end,
              first // TABLE_SPAN * TABLE_SPAN + TABLE_SPAN)  # fmt: skip
    fault.scratch["pfns"] = [first, end]
    return with_prealloc(thread, get_locked_pte)


@step("mm/memory.c", cost="vma_check", function="__get_locked_pte")
def get_locked_pte(engine: Mm, thread: Thread) -> Step:
    """Lock the page table for the driver."""
    return install_and_lock(engine, thread, then=insert_pfn)


@step("mm/memory.c", cost="map")
def insert_pfn(engine: Mm, thread: Thread) -> Step:
    """Let the entry point to the device's page frame, if nothing is there yet."""
    fault = thread.in_flight
    table: PteTable | None = fault.pmd
    address = fault.scratch["pfns"][0]
    if table is not None and not _is_taken(thread, table, address):
        set_pfn(engine, thread, table, address)
    return thread.call(pte_unmap_unlock, then=pfn_inserted)


@step("mm/memory.c", cost="vma_check", function="insert_pfn")
def pfn_inserted(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """See whether the driver has more pages to hand over at once."""
    fault = thread.in_flight
    pfns = fault.scratch["pfns"]
    pfns[0] += PAGE_SIZE
    if fault.pmd is not None and pfns[0] < pfns[1] and is_ready_at(thread, pfns[0]):
        return next_pfn
    del fault.scratch["pfns"]
    return thread.back()


@step("mm/memory.c", function="vmf_insert_pfn_prot")
def next_pfn(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The driver hands its next page frame over."""
    return get_locked_pte


def unlock_object(engine: Mm, thread: Thread) -> Step:
    """Undo what the driver locked, and leave its handler."""
    file = file_of(thread)
    if file.device_lock is not None:
        up_write(engine, thread, file.device_lock)
    elif driver_of(file).is_dax:
        up_read(engine, thread, file.invalidate_lock)
    thread.in_flight.result |= VM_FAULT_NOPAGE
    return thread.back()


def set_pfn(engine: Mm, thread: Thread, table: PteTable, address: int, flags: int = 0) -> None:
    """Let an entry point to the device; writable at once unless the driver wants to be asked."""
    fault = thread.in_flight
    vma, file = fault.vma, file_of(thread)
    assert vma is not None
    is_written = fault.write and address == fault.address & -PAGE_SIZE
    tells = driver_of(file).has_pfn_mkwrite and not is_written  # vma_wants_writenotify
    writable = WRITABLE | DIRTY if vma.vm_flags & VM_WRITE and not tells else 0
    pte = pte_of(pfn_in(vma, address), PRESENT | ACCESSED | FILE | SPECIAL | writable)
    set_pte(engine, thread.mm.page_tables, table, address, pte, flags)


def pfn_in(vma: Vma, address: int) -> int:
    """The frame of the device that belongs at an address."""
    return DEVICE_PFN + vma.page_index(address)


def _is_taken(thread: Thread, table: PteTable, address: int) -> bool:
    if address == thread.in_flight.address & -PAGE_SIZE:
        return pte_changed(thread, table)
    return bool(table.read(address))


# The device


def _index(thread: Thread) -> int:
    fault = thread.in_flight
    assert fault.vma is not None
    return fault.vma.page_index(fault.address)


def is_ready(thread: Thread) -> bool:
    """Whether the device has the page of the fault at hand."""
    return is_ready_at(thread, thread.in_flight.address)


def is_ready_at(thread: Thread, address: int) -> bool:
    """The same for any page of the VMA."""
    file, vma = file_of(thread), thread.in_flight.vma
    assert vma is not None
    index = vma.page_index(address)
    return index >= file.pages or bool(file.present[index])


def wait_for_device(engine: Mm, thread: Thread, then: Step) -> Step | None:
    """Sleep until the device has the page of the fault at hand, then go on with `then`."""
    return _wait_for(engine, thread, file_of(thread), _index(thread), then)


def _wait_for(engine: Mm, thread: Thread, file: File, index: int, then: Step) -> Step | None:
    """Let the device bring a window of pages to where CPUs can reach them, and sleep till then."""
    wait_ns = engine.machine.costs["device_wait"]
    engine.emit(event.IO_BEGIN, file.id, index, 1)
    engine.alarm(wait_ns, _device_answers, (file, index, thread, engine.now_ns))
    engine.sleep(then, "waits for a device")
    return None


def _device_answers(engine: Mm, subject: tuple[File, int, Thread, int]) -> None:
    file, index, thread, begun_ns = subject
    engine.emit(event.IO_END, file.id, index, 1, engine.now_ns - begun_ns)
    last = min(index + DEVICE_WINDOW, file.pages)
    file.present[index:last] = b"\1" * (last - index)
    engine.wake(thread)


DEVICE_WINDOW: Final = 16
"""So many pages a device makes ready at a time."""
