"""The shape of a scenario file: every table and every key that may stand in one.

Types and bounds only; whether names fit together is `checks`, what they become is `build`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from pfviz.scenario.operations import Op, Pages, Table, Time
from pfviz.scenario.workloads import AnyWorkload

SCHEMA_URL: Final = "./pfviz-scenario-1.json"
MODES: Final = ("mmap_lock", "per-vma", "lockless")
PANES: Final = ("threads", "locks", "address", "tree", "latency", "steps", "counters")

Name = Annotated[str, Meta(min_length=1, max_length=120)]
Mode = Literal["mmap_lock", "per-vma", "lockless"]
Pane = Literal["threads", "locks", "address", "tree", "latency", "steps", "counters", ""]
Number = Annotated[int, Meta(ge=0)]
DriverKind = Literal[
    "plain", "special", "opted_in", "maps_ahead", "sleeps", "drops_lock", "drops_wrong_lock",
    "drops_fault_lock", "pfnmap", "dax", "dax_opted_in",
]  # fmt: skip
ComesInModes = Annotated[tuple[Mode, ...], Meta(description="where it is true; left out: in all")]
ComesInKernels = Annotated[tuple[str, ...], Meta(description="where it is true; left out: in all")]


Wait = Literal["restart", "hold"]


class IoWait(Table, frozen=True, kw_only=True):
    """What a fault does with its lock while it waits, for each thing that it can wait for."""

    file: Wait = "restart"
    swap: Wait = "restart"
    userfaultfd: Wait = "restart"


class Policy(Table, frozen=True, kw_only=True):
    """Switches that change what the modelled kernel does; left out, it does what it always did."""

    merge: bool = True
    io_wait: Annotated[
        Wait | IoWait,
        Meta(description="while it waits a fault drops its lock and starts again, or holds it"),
    ] = "restart"
    io_wait_file: Annotated[Wait | None, Meta(description="the same for a file's page")] = None
    io_wait_swap: Annotated[
        Wait | None,
        Meta(description="the same for a page in swap, on a device that is waited for"),
    ] = None
    restart_lock: Literal["mmap", "vma"] = "mmap"
    page_table_free: Literal["kernel", "ipi", "rcu"] = "kernel"
    lockless_scope: Literal["mm_seq", "vma_seq"] = "mm_seq"
    lockless_snapshot: Literal["copy", "rcu_ref"] = "copy"
    lockless_fallback: Literal["vma_lock", "mmap_lock"] = "vma_lock"
    lockless_attempts: Annotated[int, Meta(ge=1, le=100)] = 1
    fault_around: Annotated[int, Meta(ge=1, le=512, description="pages")] = 16
    downgrade: bool = True
    thp: Annotated[
        Literal["never", "madvise", "always"],
        Meta(description="where anonymous memory may get huge pages of 2 MiB"),
    ] = "never"
    fragmented: Annotated[
        bool, Meta(description="memory is so fragmented that no huge page can be had")
    ] = False
    uffd_notify: Annotated[
        Literal["drop_first", "hold"],
        Meta(description="drop the fault's lock before a userfaultfd monitor is told, or keep it"),
    ] = "drop_first"
    io_wait_userfaultfd: Annotated[
        Wait | None,
        Meta(description="start again when the monitor has answered, or keep the lock and go on"),
    ] = None
    driver_opt_in: Annotated[
        bool, Meta(description="every driver says that its handler can do without mmap_lock")
    ] = False
    map_pages_ahead: Annotated[
        bool, Meta(description="every driver has a map_pages that maps what its device has ready")
    ] = False
    tree_in_place: Annotated[
        bool, Meta(description="change maple nodes under their readers: what RCU mode prevents")
    ] = False


class File(Table, frozen=True, kw_only=True):
    """A file that VMAs map."""

    name: Name
    pages: Pages
    cached: Annotated[Number | Literal["all"], Meta(description="its first pages in memory")] = (
        "all"
    )
    driver: Annotated[
        bool | DriverKind,
        Meta(description="a device, and what its driver is like; true: its faults need mmap_lock"),
    ] = False
    page_mkwrite: Annotated[
        bool, Meta(description="the filesystem is asked before a shared page is written")
    ] = True


class Swap(Table, frozen=True, kw_only=True):
    """A device that pages are swapped out to."""

    name: Name
    kind: Annotated[
        Literal["zram", "ssd"],
        Meta(description="compressed memory that answers at once, or a device that is waited for"),
    ] = "zram"
    pages: Pages = 1 << 20


class Vma(Table, frozen=True, kw_only=True):
    """A VMA that exists when the run begins."""

    name: Name
    pages: Pages
    process: Name = "app"
    start: Annotated[int | None, Meta(description="address; left out, a free one is chosen")] = None
    perms: Annotated[str, Meta(pattern="^[r-][w-][x-][ps]$")] = "rw-p"
    kind: Literal["anon", "heap", "stack", "file", "hugetlb", "other"] = "anon"
    file: str = ""
    offset: Annotated[int, Meta(ge=0, description="first page of the file")] = 0
    resident: Annotated[
        Number | Literal["all"], Meta(description="its first pages mapped from the start")
    ] = 0
    swapped: Annotated[
        Number | Literal["all"], Meta(description="so many pages after the resident ones in swap")
    ] = 0
    swap_cached: Annotated[int, Meta(ge=0, description="so many of them in the swap cache")] = 0
    swap: Annotated[str, Meta(description="in which [[swap]]; left out: the first")] = ""
    on_device: Annotated[int, Meta(ge=0, description="so many next ones in a device's memory")] = 0
    numa_hinted: Annotated[
        int, Meta(ge=0, description="so many first resident pages that the NUMA scanner has marked")
    ] = 0
    huge: Annotated[
        bool,
        Meta(description="aligned to 2 MiB and advised to get huge pages, from the start"),
    ] = False
    anon_vma: bool = False
    gap: Annotated[int, Meta(ge=0, description="pages left free on either side")] = 16
    uffd: Annotated[
        tuple[Literal["missing", "wp", "minor"], ...],
        Meta(description="a userfaultfd serves these faults from the start"),
    ] = ()
    uffd_protected: Annotated[
        int, Meta(ge=0, description="so many first resident pages are write-protected by uffd")
    ] = 0
    cached: Annotated[
        int, Meta(ge=0, description="shared memory: first pages that exist, mapped or not")
    ] = 0
    count: Annotated[int, Meta(ge=1, le=100_000, description="so many like it, numbered")] = 1
    per_thread: Annotated[bool, Meta(description="one for each thread that scales")] = False


class Thread(Table, frozen=True, kw_only=True):
    """A thread, or a group of threads that do the same."""

    name: Name
    process: Name = "app"
    count: Annotated[int, Meta(ge=1, le=4096)] = 1
    scales: Annotated[bool, Meta(description="--threads changes how many there are")] = False
    background: Annotated[bool, Meta(description="ends when all others have ended")] = False
    prio: Annotated[
        int,
        Meta(ge=0, le=139, description="as the kernel counts: 120 is nice 0, below 100 real-time"),
    ] = 120
    cpu: Annotated[int, Meta(ge=0, description="left out: spread over all CPUs")] | None = None
    start: Time = "0ns"
    stagger: Annotated[Time, Meta(description="each next thread of the group starts later")] = "0ns"
    repeat: Annotated[int, Meta(ge=0, description="how often the ops; 0 is without end")] = 1
    op: tuple[Op, ...] = ()
    workload: str | AnyWorkload = ""


class Cue(Table, frozen=True, kw_only=True):
    """A moment worth stopping at, by time or by what happens, where its caption is true."""

    caption: Annotated[str, Meta(min_length=1)]
    at: Time | None = None
    when: Annotated[str, Meta(description='an event: "lock_acquired lock=mmap_lock"')] = ""
    note: Annotated[str, Meta(description="for the speaker, not the screen")] = ""
    focus: Pane = ""
    pause: bool = False
    modes: ComesInModes = ()
    kernels: ComesInKernels = ()

    def comes_in(self, kernel: str, mode: str) -> bool:
        """Whether it is meant for a run of this kernel in this mode."""
        return _is_among(kernel, self.kernels) and _is_among(mode, self.modes)


class Question(Table, frozen=True, kw_only=True):
    """A question to ask at a moment, where its answer is right; `right` counts from 1."""

    ask: str
    answers: Annotated[tuple[str, ...], Meta(min_length=2, max_length=9)]
    right: Annotated[int, Meta(ge=1, le=9)]
    why: str
    at: Time | None = None
    when: str = ""
    modes: ComesInModes = ()
    kernels: ComesInKernels = ()

    def comes_in(self, kernel: str, mode: str) -> bool:
        """Whether it is meant for a run of this kernel in this mode."""
        return _is_among(kernel, self.kernels) and _is_among(mode, self.modes)


def _is_among(name: str, names: tuple[str, ...]) -> bool:
    return not names or name in names


class Expect(Table, frozen=True, kw_only=True):
    """A claim about the run that `pfviz check` holds it to."""

    that: Annotated[str, Meta(min_length=1, description="an expression over the run's JSON")]
    because: str = ""
    modes: Annotated[
        tuple[Mode, ...], Meta(description="where it is claimed; left out: the mode above")
    ] = ()
    kernels: tuple[str, ...] = ()


class Layout(Table, frozen=True, kw_only=True):
    """How the screen begins."""

    focus: Pane = ""
    maximise: bool = False
    speed: Annotated[Time, Meta(description="simulated time that passes in a second")] = "2us"


class Scenario(Table, frozen=True, kw_only=True):
    """A whole scenario: a world, what its threads do, and what to look at."""

    schema_version: Literal[1]
    title: Name
    name: Annotated[str, Meta(description="short name; left out: that of the file")] = ""
    story: str = ""
    sources: tuple[str, ...] = ()
    kernel: str = "6.12"
    mode: Mode | Literal[""] = ""
    machine: str = "laptop"
    seed: Annotated[int, Meta(ge=0, le=(1 << 63) - 1)] = 1
    until: Annotated[Time | None, Meta(description="the run ends here if not before")] = None
    maps: Annotated[str, Meta(description="a copy of /proc/PID/maps: the VMAs of `app`")] = ""
    policy: Policy = Policy()
    hugetlb: Annotated[
        int, Meta(ge=0, le=4096, description="huge pages set aside beyond those of [[vma]]s")
    ] = 0
    file: tuple[File, ...] = ()
    swap: tuple[Swap, ...] = ()
    vma: tuple[Vma, ...] = ()
    thread: Annotated[tuple[Thread, ...], Meta(min_length=1)]
    cue: tuple[Cue, ...] = ()
    question: tuple[Question, ...] = ()
    expect: tuple[Expect, ...] = ()
    layout: Layout = Layout()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a scenario file, for editors (`#:schema` on its first line)."""
    schema = msgspec.json.schema(Scenario)
    schema["title"] = "pfviz scenario"
    return schema
