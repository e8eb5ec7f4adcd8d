"""`[[thread.op]]`: one operation of a thread as a scenario file writes it.

Each kind is a table told apart by its key `do`; `build` turns them into `pfviz.mm` operations.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pfviz.scenario.times import PATTERN

Time = Annotated[
    str, Meta(pattern=PATTERN, description='a number with its unit: "20us", "1.5ms", "3s"')
]
Pages = Annotated[int, Meta(ge=1, le=1 << 35, description="a number of 4 KiB pages")]
Perms = Annotated[str, Meta(pattern="^[r-][w-][x-]$", description='such as "rw-"')]
PLACE = (
    'where: the name of a VMA, or of a slot that an earlier mmap of this thread filled, with "+3" '
    'or "-3" for pages further on or back'
)
UffdModes = Annotated[
    tuple[Literal["missing", "wp", "minor"], ...],
    Meta(min_length=1, description="which faults a userfaultfd serves"),
]
At = Annotated[str, Meta(min_length=1, description=PLACE)]


ByKernel = Annotated[bool, Meta(description="a system call touches the pages for the thread")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TOML table with known keys only."""


class _Operation(Table, frozen=True, kw_only=True, tag_field="do"):
    """What every operation may say."""

    apart: Annotated[
        int,
        Meta(ge=0, description="how many pages further on each next thread of the group works"),
    ] = 0


class _Access(_Operation, frozen=True, kw_only=True):
    at: At
    pages: Pages = 1
    stride: Annotated[int, Meta(ge=1, description="touch every so many-th page")] = 1


class Read(_Access, frozen=True, kw_only=True, tag="read"):
    """Read a byte of each page."""

    by_kernel: ByKernel = False


class Write(_Access, frozen=True, kw_only=True, tag="write"):
    """Write a byte of each page."""

    by_kernel: ByKernel = False


class Execute(_Access, frozen=True, kw_only=True, tag="execute"):
    """Fetch an instruction from each page."""


class Mmap(_Operation, frozen=True, kw_only=True, tag="mmap"):
    """Map pages; the address goes into `slot`."""

    pages: Pages
    slot: str = ""
    perms: Perms = "rw-"
    shared: bool = False
    file: str = ""
    offset: Annotated[int, Meta(ge=0, description="first page of the file")] = 0
    at: str = ""
    fixed: bool = False
    populate: bool = False
    locked: Annotated[bool, Meta(description="lock it into memory (MAP_LOCKED)")] = False


class Munmap(_Operation, frozen=True, kw_only=True, tag="munmap"):
    """Unmap pages."""

    at: At
    pages: Pages


class Mprotect(_Operation, frozen=True, kw_only=True, tag="mprotect"):
    """Change the permissions of pages."""

    at: At
    pages: Pages
    perms: Perms


class Mincore(_Operation, frozen=True, kw_only=True, tag="mincore"):
    """Ask which pages are in memory."""

    at: At
    pages: Pages


class Mlock(_Operation, frozen=True, kw_only=True, tag="mlock"):
    """Lock pages into memory; those that are missing are made resident."""

    at: At
    pages: Pages


class Munlock(_Operation, frozen=True, kw_only=True, tag="munlock"):
    """Let reclaim have pages again."""

    at: At
    pages: Pages


class Mremap(_Operation, frozen=True, kw_only=True, tag="mremap"):
    """Give a mapping another size, where it is or elsewhere; the address goes into `slot`."""

    at: At
    pages: Pages
    new_pages: Pages
    to: Annotated[str, Meta(description="where it must go; what is mapped there is unmapped")] = ""
    maymove: Annotated[bool, Meta(description="it may go elsewhere if there is no room")] = True
    dontunmap: Annotated[bool, Meta(description="the old range stays mapped, and is empty")] = False
    slot: str = ""


class Brk(_Operation, frozen=True, kw_only=True, tag="brk"):
    """Move the end of the heap by so many pages; negative shrinks it."""

    pages: int


class Madvise(_Operation, frozen=True, kw_only=True, tag="madvise"):
    """Give advice on pages."""

    at: At
    pages: Pages
    advice: Literal[
        "cold",
        "collapse",
        "dodump",
        "dofork",
        "dontdump",
        "dontfork",
        "dontneed",
        "free",
        "guard_install",
        "guard_remove",
        "hugepage",
        "nohugepage",
        "normal",
        "pageout",
        "populate_read",
        "populate_write",
        "random",
        "sequential",
        "willneed",
    ] = "dontneed"


class Fork(_Operation, frozen=True, kw_only=True, tag="fork"):
    """Copy the process; the child touches `pages` pages from `at` on and exits."""

    at: str = ""
    pages: Annotated[int, Meta(ge=0)] = 0
    child_writes: bool = True
    child_time: Annotated[Time, Meta(description="how long the child works before it exits")] = (
        "0ns"
    )
    child_name: str = "child"
    child_cpu: int = -1


class Exec(_Operation, frozen=True, kw_only=True, tag="exec"):
    """Become another program, which maps and writes `pages` pages, works for `time` and exits."""

    name: Annotated[str, Meta(description="what the new process is called")] = ""
    pages: Annotated[int, Meta(ge=0)] = 0
    time: Annotated[Time, Meta(description="how long the new program works")] = "0ns"


class Exit(_Operation, frozen=True, kw_only=True, tag="exit"):
    """End the thread."""


class ReadProc(_Operation, frozen=True, kw_only=True, tag="proc"):
    """Read a file of /proc/PID to its end, or write clear_refs."""

    file: Literal["maps", "smaps", "smaps_rollup", "numa_maps", "pagemap", "clear_refs"]
    process: str = ""
    at: Annotated[str, Meta(description="pagemap: from here on (left out: all VMAs)")] = ""
    pages: Annotated[int, Meta(ge=0, description="pagemap: so many pages")] = 0


class _OnPages(_Operation, frozen=True, kw_only=True):
    at: At
    pages: Pages = 1


class Reclaim(_OnPages, frozen=True, kw_only=True, tag="reclaim"):
    """Swap pages out, as kswapd does; `at` is a name of `process`."""

    process: str = ""


class MigratePages(_OnPages, frozen=True, kw_only=True, tag="migrate_pages"):
    """Move pages to other frames, as compaction does; `at` is a name of `process`."""

    process: str = ""


class ToDevice(_OnPages, frozen=True, kw_only=True, tag="to_device"):
    """Let a driver bring pages into its device's memory."""


class NumaScan(_OnPages, frozen=True, kw_only=True, tag="numa_scan"):
    """Mark pages, so that their next touch says which node uses them."""


class GetUserPages(_Operation, frozen=True, kw_only=True, tag="gup"):
    """A driver takes the pages behind a range of the program's memory (get_user_pages)."""

    at: At
    pages: Pages = 1
    write: bool = False
    fast: Annotated[bool, Meta(description="first without a lock, with interrupts off")] = True
    pin: Annotated[bool, Meta(description="for a device that will use them (FOLL_PIN)")] = False
    hold: Annotated[Time, Meta(description="how long the device uses them")] = "0ns"


class IrqsOff(_Operation, frozen=True, kw_only=True, tag="irqs_off"):
    """A driver keeps interrupts off on this CPU."""

    time: Time


class UffdOpen(_Operation, frozen=True, kw_only=True, tag="uffd_open"):
    """Open a userfaultfd for the process, if it is to have features."""

    features: Annotated[
        tuple[
            Literal["sigbus", "wp_async", "wp_unpopulated", "event_fork", "event_unmap",
                    "event_remove", "event_remap"], ...
        ],
        Meta(description="what UFFDIO_API is asked for"),
    ] = ()  # fmt: skip
    user_mode_only: Annotated[bool, Meta(description="the kernel's own faults get SIGBUS")] = False


class UffdRegister(_Operation, frozen=True, kw_only=True, tag="uffd_register"):
    """Let the userfaultfd of the process serve faults in pages."""

    at: At
    pages: Pages
    modes: UffdModes = ("missing",)


class UffdUnregister(_Operation, frozen=True, kw_only=True, tag="uffd_unregister"):
    """Let the kernel serve faults in pages again."""

    at: At
    pages: Pages


class UffdCall(_Operation, frozen=True, kw_only=True):
    """A call of a monitor on its descriptor."""


class UffdPoll(UffdCall, frozen=True, kw_only=True, tag="uffd_poll"):
    """Sleep until a fault or event can be read from the userfaultfd."""


class UffdRead(UffdCall, frozen=True, kw_only=True, tag="uffd_read"):
    """Read the next fault or event; its page is the slot "uffd" from now on."""


class UffdClose(UffdCall, frozen=True, kw_only=True, tag="uffd_close"):
    """Close the userfaultfd: faults go on as if it had never been."""


class UffdPages(UffdCall, frozen=True, kw_only=True):
    """What the calls on pages may say."""

    at: Annotated[str, Meta(min_length=1, description=PLACE)] = "uffd"
    pages: Pages = 1
    wake: Annotated[bool, Meta(description="wake who waits for these pages")] = True


class UffdResolve(UffdPages, frozen=True, kw_only=True, tag="uffd_resolve"):
    """Answer what was read last by the call that it needs."""


class UffdCopy(UffdPages, frozen=True, kw_only=True, tag="uffd_copy"):
    """Put pages with contents in (UFFDIO_COPY)."""

    source: Annotated[str, Meta(description="where the contents are; left out: in memory")] = ""
    protect: Annotated[bool, Meta(description="write-protected")] = False


class UffdMove(UffdPages, frozen=True, kw_only=True, tag="uffd_move"):
    """Move pages that the process has elsewhere (UFFDIO_MOVE)."""

    source: At


class UffdZeropage(UffdPages, frozen=True, kw_only=True, tag="uffd_zeropage"):
    """Put zero pages in (UFFDIO_ZEROPAGE)."""


class UffdContinue(UffdPages, frozen=True, kw_only=True, tag="uffd_continue"):
    """Map pages of shared memory that are in the page cache (UFFDIO_CONTINUE)."""


class UffdProtect(UffdPages, frozen=True, kw_only=True, tag="uffd_protect"):
    """Write-protect pages, to be told of writes (UFFDIO_WRITEPROTECT)."""


class UffdUnprotect(UffdPages, frozen=True, kw_only=True, tag="uffd_unprotect"):
    """Lift the write protection of pages."""


class UffdWake(UffdPages, frozen=True, kw_only=True, tag="uffd_wake"):
    """Only wake who waits for pages (UFFDIO_WAKE)."""


class LockMutex(_Operation, frozen=True, kw_only=True, tag="lock"):
    """Take a lock of the program's own (a pthread mutex) by its name."""

    mutex: str


class UnlockMutex(_Operation, frozen=True, kw_only=True, tag="unlock"):
    """Give it back."""

    mutex: str


class BpfVmaIter(_Operation, frozen=True, kw_only=True, tag="bpf_vma_iter"):
    """A BPF program looks at a VMA under its lock, and takes mmap_lock as well."""

    at: At
    tries: Annotated[bool, Meta(description="it only tries mmap_lock: the repair")] = False


class Compute(_Operation, frozen=True, kw_only=True, tag="compute"):
    """Use the CPU in user mode."""

    time: Time


class Sleep(_Operation, frozen=True, kw_only=True, tag="sleep"):
    """Do nothing for a while, off the CPU."""

    time: Time


Op = (
    Read
    | Write
    | Execute
    | Mmap
    | Munmap
    | Mprotect
    | Mremap
    | Mlock
    | Munlock
    | Mincore
    | LockMutex
    | UnlockMutex
    | BpfVmaIter
    | Brk
    | Madvise
    | Fork
    | Exec
    | Exit
    | ReadProc
    | Reclaim
    | MigratePages
    | ToDevice
    | NumaScan
    | GetUserPages
    | IrqsOff
    | UffdOpen
    | UffdRegister
    | UffdUnregister
    | UffdPoll
    | UffdRead
    | UffdClose
    | UffdResolve
    | UffdCopy
    | UffdMove
    | UffdZeropage
    | UffdContinue
    | UffdProtect
    | UffdUnprotect
    | UffdWake
    | Compute
    | Sleep
)
