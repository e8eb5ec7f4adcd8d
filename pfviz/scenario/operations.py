"""`[[thread.op]]`: one operation of a thread as a scenario file writes it.

Each kind is a table told apart by its key `do`; `build` turns them into `pfviz.mm` operations.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pfviz.scenario.tables import PLACE as PLACE
from pfviz.scenario.tables import At as At
from pfviz.scenario.tables import Operation as Operation
from pfviz.scenario.tables import Pages as Pages
from pfviz.scenario.tables import Perms as Perms
from pfviz.scenario.tables import Table as Table
from pfviz.scenario.tables import Time as Time
from pfviz.scenario.uffd_operations import UffdCall as UffdCall
from pfviz.scenario.uffd_operations import UffdClose as UffdClose
from pfviz.scenario.uffd_operations import UffdContinue as UffdContinue
from pfviz.scenario.uffd_operations import UffdCopy as UffdCopy
from pfviz.scenario.uffd_operations import UffdModes as UffdModes
from pfviz.scenario.uffd_operations import UffdMove as UffdMove
from pfviz.scenario.uffd_operations import UffdOpen as UffdOpen
from pfviz.scenario.uffd_operations import UffdPages as UffdPages
from pfviz.scenario.uffd_operations import UffdPoll as UffdPoll
from pfviz.scenario.uffd_operations import UffdProtect as UffdProtect
from pfviz.scenario.uffd_operations import UffdRead as UffdRead
from pfviz.scenario.uffd_operations import UffdRegister as UffdRegister
from pfviz.scenario.uffd_operations import UffdResolve as UffdResolve
from pfviz.scenario.uffd_operations import UffdUnprotect as UffdUnprotect
from pfviz.scenario.uffd_operations import UffdUnregister as UffdUnregister
from pfviz.scenario.uffd_operations import UffdWake as UffdWake
from pfviz.scenario.uffd_operations import UffdZeropage as UffdZeropage

ByKernel = Annotated[bool, Meta(description="a system call touches the pages for the thread")]


class _Access(Operation, frozen=True, kw_only=True):
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


class Mmap(Operation, frozen=True, kw_only=True, tag="mmap"):
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


class Munmap(Operation, frozen=True, kw_only=True, tag="munmap"):
    """Unmap pages."""

    at: At
    pages: Pages


class Mprotect(Operation, frozen=True, kw_only=True, tag="mprotect"):
    """Change the permissions of pages."""

    at: At
    pages: Pages
    perms: Perms


class Mincore(Operation, frozen=True, kw_only=True, tag="mincore"):
    """Ask which pages are in memory."""

    at: At
    pages: Pages


class Mlock(Operation, frozen=True, kw_only=True, tag="mlock"):
    """Lock pages into memory; those that are missing are made resident."""

    at: At
    pages: Pages


class Munlock(Operation, frozen=True, kw_only=True, tag="munlock"):
    """Let reclaim have pages again."""

    at: At
    pages: Pages


class Mremap(Operation, frozen=True, kw_only=True, tag="mremap"):
    """Give a mapping another size, where it is or elsewhere; the address goes into `slot`."""

    at: At
    pages: Pages
    new_pages: Pages
    to: Annotated[str, Meta(description="where it must go; what is mapped there is unmapped")] = ""
    maymove: Annotated[bool, Meta(description="it may go elsewhere if there is no room")] = True
    dontunmap: Annotated[bool, Meta(description="the old range stays mapped, and is empty")] = False
    slot: str = ""


class Brk(Operation, frozen=True, kw_only=True, tag="brk"):
    """Move the end of the heap by so many pages; negative shrinks it."""

    pages: int


class Madvise(Operation, frozen=True, kw_only=True, tag="madvise"):
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


class Fork(Operation, frozen=True, kw_only=True, tag="fork"):
    """Copy the process; the child touches `pages` pages from `at` on and exits."""

    at: str = ""
    pages: Annotated[int, Meta(ge=0)] = 0
    child_writes: bool = True
    child_time: Annotated[Time, Meta(description="how long the child works before it exits")] = (
        "0ns"
    )
    child_name: str = "child"
    child_cpu: int = -1


class Exec(Operation, frozen=True, kw_only=True, tag="exec"):
    """Become another program, which maps and writes `pages` pages, works for `time` and exits."""

    name: Annotated[str, Meta(description="what the new process is called")] = ""
    pages: Annotated[int, Meta(ge=0)] = 0
    time: Annotated[Time, Meta(description="how long the new program works")] = "0ns"


class Exit(Operation, frozen=True, kw_only=True, tag="exit"):
    """End the thread."""


class ReadProc(Operation, frozen=True, kw_only=True, tag="proc"):
    """Read a file of /proc/PID to its end, or write clear_refs."""

    file: Literal[
        "maps", "smaps", "smaps_rollup", "numa_maps", "pagemap", "clear_refs", "procmap_query"
    ]
    process: str = ""
    at: Annotated[str, Meta(description="pagemap: from here on; procmap_query: there")] = ""
    pages: Annotated[int, Meta(ge=0, description="pagemap: so many pages")] = 0


class _OnPages(Operation, frozen=True, kw_only=True):
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


class GetUserPages(Operation, frozen=True, kw_only=True, tag="gup"):
    """A driver takes the pages behind a range of the program's memory (get_user_pages)."""

    at: At
    pages: Pages = 1
    write: bool = False
    fast: Annotated[bool, Meta(description="first without a lock, with interrupts off")] = True
    pin: Annotated[bool, Meta(description="for a device that will use them (FOLL_PIN)")] = False
    hold: Annotated[Time, Meta(description="how long the device uses them")] = "0ns"


class IrqsOff(Operation, frozen=True, kw_only=True, tag="irqs_off"):
    """A driver keeps interrupts off on this CPU."""

    time: Time


class LockMutex(Operation, frozen=True, kw_only=True, tag="lock"):
    """Take a lock of the program's own (a pthread mutex) by its name."""

    mutex: str


class UnlockMutex(Operation, frozen=True, kw_only=True, tag="unlock"):
    """Give it back."""

    mutex: str


class BpfVmaIter(Operation, frozen=True, kw_only=True, tag="bpf_vma_iter"):
    """A BPF program looks at a VMA under its lock, and takes mmap_lock as well."""

    at: At
    tries: Annotated[bool, Meta(description="it only tries mmap_lock: the repair")] = False


class Compute(Operation, frozen=True, kw_only=True, tag="compute"):
    """Use the CPU in user mode."""

    time: Time


class Sleep(Operation, frozen=True, kw_only=True, tag="sleep"):
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
