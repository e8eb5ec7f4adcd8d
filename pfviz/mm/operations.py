"""What a thread can be told to do: frozen records, and programs that yield the next one.

Plain data; nothing here runs a step or knows what an operation costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pfviz.mm.bpf import BpfVmaIter
from pfviz.mm.kernel_work import GetUserPages as GetUserPages
from pfviz.mm.kernel_work import IrqsOff as IrqsOff
from pfviz.mm.kernel_work import MigratePages as MigratePages
from pfviz.mm.kernel_work import MigrateToDevice as MigrateToDevice
from pfviz.mm.kernel_work import NumaScan as NumaScan
from pfviz.mm.kernel_work import Reclaim as Reclaim
from pfviz.mm.user_mutex import MutexOperation

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT

PROT_NONE: Final = 0
PROT_READ: Final = 1
PROT_WRITE: Final = 2
PROT_EXEC: Final = 4

MAP_SHARED: Final = 0x01
MAP_PRIVATE: Final = 0x02
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
MAP_GROWSDOWN: Final = 0x0100
MAP_LOCKED: Final = 0x2000
MAP_POPULATE: Final = 0x8000
MAP_HUGETLB: Final = 0x40000

MADV_NORMAL: Final = "normal"
MADV_RANDOM: Final = "random"
MADV_SEQUENTIAL: Final = "sequential"
MADV_DONTNEED: Final = "dontneed"
MADV_FREE: Final = "free"
MADV_PAGEOUT: Final = "pageout"
MADV_COLD: Final = "cold"
MADV_WILLNEED: Final = "willneed"
MADV_POPULATE_READ: Final = "populate_read"
MADV_POPULATE_WRITE: Final = "populate_write"
MADV_DONTFORK: Final = "dontfork"
MADV_DOFORK: Final = "dofork"
MADV_DONTDUMP: Final = "dontdump"
MADV_DODUMP: Final = "dodump"
MADV_GUARD_INSTALL: Final = "guard_install"
MADV_GUARD_REMOVE: Final = "guard_remove"
MADV_HUGEPAGE: Final = "hugepage"
MADV_NOHUGEPAGE: Final = "nohugepage"
MADV_COLLAPSE: Final = "collapse"
ADVICE: Final = (
    MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_DONTNEED, MADV_FREE, MADV_PAGEOUT,
    MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLLAPSE, MADV_COLD, MADV_WILLNEED, MADV_POPULATE_READ,
    MADV_POPULATE_WRITE, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP,
    MADV_GUARD_INSTALL, MADV_GUARD_REMOVE,
)  # fmt: skip

UFFD_CALLS: Final = (
    "open", "register", "unregister", "poll", "read", "resolve", "copy", "zeropage", "continue",
    "move", "protect", "unprotect", "wake", "close",
)  # fmt: skip

UFFD_SLOT: Final = "uffd"
"""Where a monitor finds the page that it read of."""

PROC_FILES: Final = (
    "maps",
    "smaps",
    "smaps_rollup",
    "numa_maps",
    "pagemap",
    "clear_refs",
    "procmap_query",
)
"""The files of /proc/PID that concern its memory; clear_refs is written, the others are read."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address: `offset` bytes from `base`, an address or the name of a slot.

    A slot is a name under which an earlier Mmap of this thread (or of its process) kept its result.
    """

    base: int | str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """Touch one byte in each of `pages` pages, `stride_pages` apart: a fault where none is mapped.

    `place` may lie anywhere in a page; a missing VMA or permission ends the operation with -14.
    """

    place: Place
    write: bool = False
    pages: int = 1
    stride_pages: int = 1
    exec: bool = False
    by_kernel: bool = False
    """A system call touches it for the thread, as read() and write() do with their buffers."""


@dataclass(frozen=True, slots=True)
class Mmap:
    """Map `pages` pages; the address goes into `slot`.

    `flags` are MAP_* bits; `file` the name of a file of the world (None: anonymous); `at` an
    address (with MAP_FIXED: exactly there) and `pgoff` the first page of the file.
    """

    pages: int
    prot: int = PROT_READ | PROT_WRITE
    flags: int = MAP_PRIVATE | MAP_ANONYMOUS
    file: str | None = None
    slot: str = ""
    at: Place | None = None
    pgoff: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Munmap:
    """Unmap `pages` pages from `place` on."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class Mprotect:
    """Change the protection of `pages` pages from `place` on to the PROT_* bits `prot`."""

    place: Place
    pages: int
    prot: int


@dataclass(frozen=True, slots=True)
class Mremap:
    """Give `pages` pages from `place` on the size `new_pages`, where they are or elsewhere.

    `to` is where they must go (MREMAP_FIXED); the address goes into `slot`. With `dontunmap` the
    old range stays mapped, without its pages.
    """

    place: Place
    pages: int
    new_pages: int
    maymove: bool = True
    to: Place | None = None
    dontunmap: bool = False
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Mincore:
    """Ask which of `pages` pages from `place` on are in memory; the result is how many."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class Mlock:
    """Lock `pages` pages from `place` on into memory: those that are missing are made resident."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class Munlock:
    """Let reclaim have `pages` pages from `place` on again."""

    place: Place
    pages: int


@dataclass(frozen=True, slots=True)
class Brk:
    """Move the program break by `pages` pages; negative shrinks the heap."""

    pages: int


@dataclass(frozen=True, slots=True)
class Madvise:
    """Give `advice` (one of ADVICE) on `pages` pages from `place` on."""

    place: Place
    pages: int
    advice: str


@dataclass(frozen=True, slots=True)
class Fork:
    """Copy the address space; the child's only thread runs `child_program` (None: it exits)."""

    child_program: Program | None = None
    child_name: str = ""
    child_cpu: int = -1
    """The CPU of the child; -1 is the parent's."""


@dataclass(frozen=True, slots=True)
class Exec:
    """Replace the process by a new program (None: it ends) called `name`; other threads end."""

    program: Program | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """End the thread; the last one of an address space tears it down."""


@dataclass(frozen=True, slots=True)
class ReadProc:
    """Read one of PROC_FILES of the process called `mm` ("" is the thread's own) to its end.

    pagemap has an entry for every page: with `place` only `pages` pages from there on are read,
    else those of all VMAs.
    """

    file: str
    mm: str = ""
    place: Place | None = None
    pages: int = 0


@dataclass(frozen=True, slots=True)
class Uffd:
    """A call on the userfaultfd of the thread's process; `do` is one of UFFD_CALLS.

    `read` keeps the page that it was told of in the slot "uffd"; `resolve` answers that message
    with the call that it needs. Every kind uses only those of the fields that it has a use for.
    """

    do: str
    place: Place = Place(UFFD_SLOT)
    pages: int = 1
    modes: tuple[str, ...] = ()
    """Of `register`: "missing", "wp", "minor"."""
    features: tuple[str, ...] = ()
    """Of `open`: see `pfviz.mm.userfaultfd.FEATURES`."""
    user_mode_only: bool = False
    source: Place | None = None
    """Of `copy` and `move`: where the contents are."""
    protect: bool = False
    """Of `copy` and `continue`: map the page write-protected."""
    wake: bool = True
    """Whether the call wakes who waits for its pages (no UFFDIO_..._MODE_DONTWAKE)."""


@dataclass(frozen=True, slots=True)
class Compute:
    """Use the CPU in user mode for `ns`."""

    ns: int


@dataclass(frozen=True, slots=True)
class Sleep:
    """Give up the CPU for `ns`."""

    ns: int


Operation = (
    Access
    | Mmap
    | Munmap
    | Mprotect
    | Mremap
    | Mlock
    | Munlock
    | Mincore
    | MutexOperation
    | BpfVmaIter
    | Brk
    | Madvise
    | Fork
    | Exec
    | Exit
    | ReadProc
    | Reclaim
    | MigratePages
    | MigrateToDevice
    | NumaScan
    | GetUserPages
    | IrqsOff
    | Compute
    | Sleep
    | Uffd
)


class Program(Protocol):
    """Yields what a thread does next; plain data, so that a world can be copied."""

    def next_operation(self, engine: Any, thread: Thread) -> Operation | None:
        """The next operation; None ends the thread."""
        ...

    def fresh(self) -> Program:
        """The same program from its start (what a forked child runs)."""
        ...


@dataclass(slots=True)
class OperationList:
    """Operations one after another, `repeat` times over (0: for ever)."""

    operations: tuple[Operation, ...]
    repeat: int = 1
    position: int = 0
    round: int = 0

    def next_operation(self, engine: Any, thread: Thread) -> Operation | None:  # noqa: ARG002
        """The next operation of the list, or None after the last round."""
        if self.position == len(self.operations):
            self.round += 1
            self.position = 0
        if not self.operations or (self.repeat and self.round >= self.repeat):
            return None
        operation = self.operations[self.position]
        self.position += 1
        return operation

    def fresh(self) -> OperationList:
        """The same list from its first operation."""
        return OperationList(self.operations, self.repeat)


def name_of(operation: Operation) -> str:
    """The lower-case name under which OP_BEGIN and OP_END report an operation."""
    if isinstance(operation, ReadProc):
        return operation.file
    if isinstance(operation, GetUserPages):
        return "gup"
    if isinstance(operation, IrqsOff):
        return "irqs_off"
    if isinstance(operation, Uffd):
        return f"uffd_{operation.do}"
    return type(operation).__name__.lower()


def prot_of(perms: str) -> int:
    """PROT_* bits of "rwx", "r--", ...; ValueError for anything else."""
    wanted = zip(perms, "rwx", strict=False)
    if len(perms) < 3 or any(got not in (want, "-") for got, want in wanted):
        raise ValueError(f"not a protection: {perms!r} (write it as rwx, with - for no)")
    return sum(1 << bit for bit in range(3) if perms[bit] != "-")
