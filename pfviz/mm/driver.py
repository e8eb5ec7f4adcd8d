"""What a driver's mapping is like for the kernel: its vm_operations, its habits, its locks.

Data only. A driver opts in by having map_pages (6.7+: vmf_can_call_fault); no driver of Linux 7.2
does, so the kinds that have one say what would happen. The steps are in `paths/driver.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pfviz.mm.vma import VM_DONTEXPAND, VM_IO, VM_MIXEDMAP, VM_PFNMAP

NOTHING: Final = "nothing"
AHEAD: Final = "ahead"
SLEEPS: Final = "sleeps"
"""What a driver's map_pages does: nothing (it is only there to opt in), map what the device has
ready, or ask the driver's lock and its device first, which may sleep."""

PFN_FLAGS: Final = VM_IO | VM_PFNMAP | VM_DONTEXPAND


@dataclass(frozen=True, slots=True)
class Driver:
    """One kind of driver mapping."""

    name: str
    title: str
    map_pages: str = ""
    """What its map_pages does; "" when it has none."""
    has_lock: bool = True
    """Its fault handler takes the lock of the object that is mapped (a mutex, such as dma_resv)."""
    drops_lock: str = ""
    """What it gives up while it waits for its device: "" (nothing), "mmap_lock" (mmap_read_unlock,
    whatever the fault holds) or "fault_lock" (what the fault does hold)."""
    has_pfn_mkwrite: bool = False
    """It wants to know before a page that is mapped read-only is written."""
    at_mmap: bool = False
    """It fills the page tables when it is mapped (remap_pfn_range): there are no faults."""
    is_special: bool = False
    """A special mapping of the kernel itself: [vvar], [vdso]."""
    is_dax: bool = False
    """A file on memory that CPUs reach directly, without a page cache."""
    pages_at_once: int = 1
    """So many pages the handler maps from the faulting one on."""
    vm_flags: int = PFN_FLAGS

    @property
    def opted_in(self) -> bool:
        """Whether its handler may be called without mmap_lock: it has map_pages."""
        return bool(self.map_pages)


PLAIN: Final = Driver("plain", "never said that its handler can do without mmap_lock")
SPECIAL: Final = Driver("special", "a page of the kernel itself: [vvar], [vdso]", has_lock=False,
                        is_special=True)  # fmt: skip
DRIVERS: Final = {
    one.name: one
    for one in (
        PLAIN,
        SPECIAL,
        Driver("opted_in", "its handler needs no mmap_lock, and it says so", NOTHING),
        Driver("maps_ahead", "map_pages maps what the device has ready, under RCU", AHEAD),
        Driver("sleeps", "its map_pages may sleep, under RCU: a broken rule", SLEEPS),
        Driver("drops_lock", "gives mmap_lock up itself while its device works",
               drops_lock="mmap_lock", pages_at_once=16),
        Driver("drops_wrong_lock", "opted in, but gives mmap_lock up itself: a broken rule",
               NOTHING, drops_lock="mmap_lock", pages_at_once=16),
        Driver("drops_fault_lock", "opted in, and gives up whichever lock the fault holds",
               NOTHING, drops_lock="fault_lock", pages_at_once=16),
        Driver("pfnmap", "all mapped when it is mapped, no faults", has_lock=False, at_mmap=True),
        Driver("dax", "a file on persistent memory; no map_pages (ext4)", has_pfn_mkwrite=True,
               is_dax=True, vm_flags=VM_MIXEDMAP),
        Driver("dax_opted_in", "a file on persistent memory; with map_pages (XFS)", NOTHING,
               has_pfn_mkwrite=True, is_dax=True, vm_flags=VM_MIXEDMAP),
    )
}  # fmt: skip
"""The kinds of driver mappings by name, as `[[file]] driver = "..."` names them."""
