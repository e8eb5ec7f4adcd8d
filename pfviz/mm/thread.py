"""A thread of a process: its program, the operation and the page fault it is in.

Fields only; what is done with them is in `paths`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.operations import Operation, Place, Program
from pfviz.sim.task import Task

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.userfaultfd import Message, UffdEvent, UserfaultfdCtx
    from pfviz.mm.vma import Vma

# FAULT_PATH.regime
MMAP_LOCK: Final = 0
VMA_LOCK: Final = 1
LOCKLESS: Final = 2
REGIMES: Final = ("mmap_lock", "vma_lock", "lockless")

# error_code bits of an x86 page fault
PF_PROT: Final = 1
PF_WRITE: Final = 2
PF_USER: Final = 4
PF_INSTR: Final = 16

# What became of a fault
OK: Final = ""
SEGV_MAPERR: Final = "SEGV_MAPERR"
SEGV_ACCERR: Final = "SEGV_ACCERR"
SIGBUS: Final = "SIGBUS"


@dataclass(slots=True, eq=False)
class Fault:
    """One page fault in flight, from the exception to the return to user mode."""

    id: int
    address: int
    write: bool
    error_code: int
    begun_ns: int
    exec: bool = False
    user: bool = True
    """FAULT_FLAG_USER: taken in user mode; the kernel's own accesses never use VMA locks."""
    result: int = 0
    """VM_FAULT_* bits that the handler returned (`paths/handle.py`)."""
    vma: Vma | None = None
    """The VMA found; stable only while `regime`'s lock is held."""
    regime: int = MMAP_LOCK
    attempt: int = 0
    tried: bool = False
    """FAULT_FLAG_TRIED: the fault may not drop its lock for I/O once more."""
    major: bool = False
    retried: bool = False
    kind: str = ""
    error: str = OK
    abort: str = ""
    """Why the VMA lock or the lockless path was given up."""
    orig_pte: Any = None
    orig_pte_valid: bool = False
    pmd: Any = None
    """The leaf table that the walk found, to be compared when its lock is taken."""
    page: Any = None
    """The page allocated or found for the PTE to be set."""
    old_page: Any = None
    folio: Any = None
    """The page-cache folio found, locked when VM_FAULT_LOCKED is in `result`."""
    fpin: Any = None
    """The file held by get_file since the fault dropped its lock for I/O."""
    sequence: int = 0
    """The sequence count read at the start of a lockless attempt."""
    snapshot: Any = None
    plan: Any = None
    """The store of a stack that grows, from its decision to its publication."""
    scratch: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Thread(Task):
    """A schedulable thread of `mm`."""

    mm: AddressSpace = None  # type: ignore[assignment]
    program: Program | None = None
    slots: dict[str, int] = field(default_factory=dict)
    """Addresses that earlier Mmap operations kept under a name."""
    fault: Fault | None = None
    faults: int = 0
    access_write: bool = False
    access_exec: bool = False
    access_user: bool = True
    """How `address` is touched (`paths/entry.py`): a write, a fetch, from user mode."""
    operation: Operation | None = None
    op_index: int = -1
    op_begun_ns: int = 0
    op_result: int = 0
    """What the operation in flight returns: an address, 0, or a negative errno."""
    sys: Any = None
    """What the system call in flight must remember (a dataclass of its file in `paths`)."""
    zap: Any = None
    """What the unmapping of a page range in flight must remember (`paths/zap.py`)."""
    modify: Any = None
    """What giving a range new flags must remember (`paths/modify.py`)."""
    sys_tables: Any = None
    """What freeing page tables must remember (`paths/free_pgtables.py`)."""
    move: Any = None
    """What moving page tables must remember (`paths/move_page_tables.py`)."""
    moving: Any = None
    """The pages that it reclaims or moves (`paths/reclaim.py`, `paths/migrate.py`)."""
    remap: Any = None
    """What filling a device's new mapping must remember (`paths/driver_mmap.py`)."""
    rmap: Any = None
    """What a walk from a page to its entries must remember (`paths/rmap.py`)."""
    exiting: AddressSpace | None = None
    """The address space that it takes down, and its VMAs that are left (`paths/exit_mmap.py`)."""
    exiting_vmas: list[Vma] = field(default_factory=list)
    advising: Any = None
    """What an advice on one VMA must remember (`paths/madvise_pages.py`, `guard_region.py`)."""
    page_walk: Any = None
    """The page tables that it goes through for somebody else (`paths/page_walk.py`)."""
    gup: Any = None
    """What making pages resident for the kernel must remember (`paths/gup.py`)."""
    huge: Any = None
    """What work on a huge PMD entry must remember (`paths/huge_split.py`)."""
    unmap: Any = None
    """What taking VMAs out of the address space must remember (`paths/munmap.py`)."""
    vma: Vma | None = None
    """The VMA that a chain of locking steps works on, or the one that it found."""
    locking_mm: AddressSpace | None = None
    """The address space whose mmap_lock a chain of steps is about to have for writing."""
    range_mm: AddressSpace | None = None
    """The address space of which it is about to lock a range (`beyond`)."""
    locking_mode: int = 0
    """READ or WRITE: how it is about to lock that range."""
    write_locked: list[Vma] = field(default_factory=list)
    """VMAs that it has write-locked, where each is unlocked by itself (`beyond`)."""
    address: int = 0
    """The address that a chain of look-up steps was asked for."""
    sequence: int = 0
    """mm_lock_seq as it was before such a look-up."""
    change: Any = None
    """The change of VMA ranges in flight (`paths/vma_change.py`)."""
    storing: Any = None
    """Tree and plan of a store whose nodes are about to be built (`paths/tree_store.py`)."""
    walk_saw: Any = None
    """What a walk should find, as of when it chose its slot (`paths/tree_in_place.py`)."""
    walk: Any = None
    """Where a walk of the tree under RCU stands (MaState)."""
    uffd_told: UserfaultfdCtx | None = None
    """The userfaultfd whose monitor it is about to wake."""
    uffd_events: list[UffdEvent] = field(default_factory=list)
    """Changes it has made that monitors have yet to read of."""
    message: Message | None = None
    """What it last read from a userfaultfd."""
    abort: str = ""
    """Why a look-up chain returned without a locked VMA."""
    vma_read_locks: list[Vma] = field(default_factory=list)
    """VMAs whose lock word this thread has taken for reading, in order of locking."""
    refcount_since_ns: dict[Vma, int] = field(default_factory=dict)
    """Since when it has, or waits for, the reference-counted lock words of VMAs (6.15+)."""
    vmas_held: dict[Vma, tuple[int, ...]] = field(default_factory=dict)
    """Those of them that passed the last check, as they were then: nobody may change them now."""
    waited_since_ns: int = 0
    """Since when it waits for a lock of its program."""
    rcu_depth: int = 0
    killed: bool = False

    def resolve(self, place: Place) -> int | None:
        """The address of a place; None when its slot was never filled."""
        if isinstance(place.base, int):
            return place.base + place.offset
        base = self.slots.get(place.base)
        if base is None:
            base = self.mm.slots.get(place.base)
        return None if base is None else base + place.offset

    @property
    def in_flight(self) -> Fault:
        """The fault in flight; there must be one."""
        assert self.fault is not None, f"{self.name} is in no fault"
        return self.fault
