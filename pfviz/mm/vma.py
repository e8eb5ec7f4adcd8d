"""A virtual memory area: one mapped range of an address space and the lock on it.

Fields and pure questions; who may change them when is the business of `paths` and `rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.sim import event

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.page_cache import File
    from pfviz.mm.reverse_map import AnonVma
    from pfviz.mm.userfaultfd import UserfaultfdCtx
    from pfviz.sim.engine import Engine
    from pfviz.sync.refcount import LimitedRefcount
    from pfviz.sync.rwsem import RwSemaphore

VM_READ: Final = 0x1
VM_WRITE: Final = 0x2
VM_EXEC: Final = 0x4
VM_SHARED: Final = 0x8
VM_GROWSDOWN: Final = 0x100
VM_UFFD_MISSING: Final = 0x200
VM_PFNMAP: Final = 0x400
"""Its entries point to frames that may have no struct page: a device's memory."""
VM_UFFD_WP: Final = 0x1000
VM_LOCKED: Final = 0x2000
VM_IO: Final = 0x4000
VM_SEQ_READ: Final = 0x8000
VM_RAND_READ: Final = 0x10000
VM_DONTCOPY: Final = 0x20000
VM_DONTEXPAND: Final = 0x40000
VM_HUGETLB: Final = 0x400000
VM_DONTDUMP: Final = 0x4000000
VM_MIXEDMAP: Final = 0x10000000
"""As VM_PFNMAP, but some of the frames may have a struct page."""
VM_HUGEPAGE: Final = 0x20000000
VM_NOHUGEPAGE: Final = 0x40000000
VM_UFFD_MINOR: Final = 1 << 38
VM_UFFD: Final = VM_UFFD_MISSING | VM_UFFD_WP | VM_UFFD_MINOR
"""Any of them: a userfaultfd monitor serves faults in this VMA (userfaultfd_armed)."""
VM_SPECIAL: Final = VM_IO | VM_DONTEXPAND | VM_PFNMAP | VM_MIXEDMAP
"""Any of them: never merged with a neighbour."""
VM_NO_PAGES: Final = VM_IO | VM_PFNMAP
"""Either: nobody gets at the pages behind its entries (GUP), nor drops them by advice."""
VM_ACCESS: Final = VM_READ | VM_WRITE | VM_EXEC

STACK_GUARD_GAP: Final = 256 * PAGE_SIZE
"""Bytes that stay free below a VM_GROWSDOWN VMA."""

NEVER_LOCKED: Final = -1
"""vm_lock_seq of a new VMA: all ones (FP 3.1), equal to no sequence count."""


@dataclass(slots=True, eq=False)
class Vma:
    """One mapped range [vm_start, vm_end) of an address space (struct vm_area_struct)."""

    id: int
    mm: AddressSpace
    vm_start: int
    vm_end: int
    vm_flags: int
    vm_pgoff: int
    """In pages: the offset in the file; for anonymous memory vm_start >> 12 when it was mapped."""
    kind: str = "anon"
    name: str = ""
    vm_file: File | None = None
    anon_vma: AnonVma | None = None
    anon_vma_chain: list[AnonVma] = field(default_factory=list)
    """Every anon_vma whose pages may be mapped here: its own, and those inherited by fork."""
    userfaultfd: UserfaultfdCtx | None = None
    """Who is told of faults here, if vm_flags has one of VM_UFFD (vm_userfaultfd_ctx)."""
    vm_lock_seq: int = NEVER_LOCKED
    """The mm's sequence number of the last write lock; in `beyond` its own: odd while locked."""
    writer_wait: Any = None
    """`beyond`: the task that waits until its readers left; else the mm has the one such task."""
    vm_lock: RwSemaphore | None = None
    """The lock of 6.4 to 6.14, allocated separately: its word has a cache line of its own."""
    vm_refcnt: LimitedRefcount | None = None
    """The lock of 6.15 and later: alone on the last line of the VMA."""
    detached: bool = True
    """Not in the tree (not yet, or no more)."""
    freed: bool = False
    lost_readers: int = 0
    """Readers that went without giving the lock back: a mistake that no kernel makes (I19)."""

    @property
    def pages(self) -> int:
        """How many pages it covers."""
        return (self.vm_end - self.vm_start) >> PAGE_SHIFT

    @property
    def is_anonymous(self) -> bool:
        """vma_is_anonymous: no file behind it."""
        return self.vm_file is None

    @property
    def stable_fields(self) -> tuple[int, ...]:
        """What a reader who holds it relies on: mm, range, flags, offset and file."""
        file = self.vm_file.id if self.vm_file is not None else -1
        return (self.mm.id, self.vm_start, self.vm_end, self.vm_flags, self.vm_pgoff, file)

    @property
    def perms(self) -> str:
        """As in /proc/PID/maps: "rw-p"."""
        return perms_of(self.vm_flags)

    @property
    def lock_id(self) -> int:
        """The id of its lock in events, -1 when there are no VMA locks."""
        if self.vm_lock is not None:
            return self.vm_lock.id
        return self.vm_refcnt.id if self.vm_refcnt is not None else -1

    def covers(self, address: int) -> bool:
        """Whether the address lies in it."""
        return self.vm_start <= address < self.vm_end

    def page_index(self, address: int) -> int:
        """The page of the file (or of the anonymous object) at an address: linear_page_index."""
        return ((address - self.vm_start) >> PAGE_SHIFT) + self.vm_pgoff

    def describe(self) -> tuple[int, int, str, str, str, int, bool, int]:
        """The detail tuple of `vma_new` and `vma_changed`."""
        return (
            self.vm_start,
            self.vm_end,
            self.perms,
            self.name,
            self.kind,
            self.vm_pgoff,
            self.anon_vma is not None,
            self.vm_file.id if self.vm_file is not None else -1,
        )

    def emit_new(self, engine: Engine[Any]) -> None:
        """Log that it exists."""
        if engine.logging:
            detail = engine.log.detail(self.describe())
            engine.emit(event.VMA_NEW, self.id, self.mm.id, detail, self.lock_id)

    def emit_changed(self, engine: Engine[Any], why: str) -> None:
        """Say that it has changed, and log what it looks like now."""
        watch = engine.world.watch
        if watch is not None:
            watch.vma_changed(engine, self)
        if engine.logging:
            detail = engine.log.detail(self.describe())
            engine.emit(event.VMA_CHANGED, self.id, self.mm.id, detail, engine.log.text(why))


def perms_of(vm_flags: int) -> str:
    """The four letters of /proc/PID/maps for VM_* flags."""
    letters = "".join(
        letter if vm_flags & bit else "-"
        for letter, bit in (("r", VM_READ), ("w", VM_WRITE), ("x", VM_EXEC))
    )
    return letters + ("s" if vm_flags & VM_SHARED else "p")
