"""One small world per recorded kind, in which pfviz does what the recorded process did.

A scene is a function of a kernel's name that returns `Played`: the world after its run, the thread
that was recorded, and the rows that are the recorded fault or system call. To add a kind: write
the function (most are one line of `_fault` or `_call`), enter it in `SCENES` under the name that
the kind has in `tests/data/callgraphs`, and take the name off `NO_SCENE_YET` in `test_call_order`.
Nothing else needs to change; what differs names itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pfviz.mm import operations as ops
from pfviz.mm.operations import MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_READ
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE, TABLE_SPAN
from pfviz.mm.policy import Policy
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_HUGEPAGE, VM_SHARED
from tests.mm import fault_scenes
from tests.mm.callgraphs.recorder import Row, fault_rows, operation_rows
from tests.mm.callgraphs.recordings import Call, recording
from tests.mm.callgraphs.scenes_driver import (
    map_dev_mem,
    read_vvar,
    without_second_merge,
    write_graphics_buffer,
)
from tests.mm.callgraphs.scenes_process import (
    exec_window,
    execve,
    exit_process,
    fork_process,
)
from tests.mm.callgraphs.scenes_swap import swapin_read, without_free_slots
from tests.mm.callgraphs.scenes_uffd import uffd_copy, uffd_missing
from tests.worlds import Scene, at, world

RW: Final = ops.PROT_READ | ops.PROT_WRITE
HEAP: Final = 0x4000_0000
"""Where the heap of a scene begins."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run of which a part is to be compared."""

    scene: Scene
    thread: Thread
    rows: list[Row]


Build = Callable[[Scene], Thread]


def _fault(name: str, **costs: int) -> Callable[[str], Played]:
    """The last fault of a scene of `tests.mm.fault_scenes`."""

    def play(kernel: str) -> Played:
        made, thread = fault_scenes.scene(name, kernel, **costs)
        made.run()
        return Played(made, thread, fault_rows(made, thread))

    return play


def _fault_in(build: Build) -> Callable[[str], Played]:
    """The last fault of the thread that `build` starts in a new world."""

    def play(kernel: str) -> Played:
        made = world(kernel, cpus=4)
        thread = build(made)
        _give_tables(made)
        made.run()
        return Played(made, thread, fault_rows(made, thread))

    return play


def _call(build: Build, has_tables: bool = True, **machine: Any) -> Callable[[str], Played]:
    """The last operation of the thread that `build` starts in a new world."""

    def play(kernel: str) -> Played:
        made = world(kernel, cpus=4, **machine)
        thread = build(made)
        if has_tables:
            _give_tables(made)
        made.run()
        return Played(made, thread, operation_rows(made, thread))

    return play


def _give_tables(made: Scene) -> None:
    """Page tables are there, as in any process that has run for a while."""
    for vma in made.mm.tree:
        made.mm.page_tables.table_for(made.engine, vma.vm_start)
        made.mm.page_tables.table_for(made.engine, vma.vm_start - PAGE_SIZE)


def _file_read_miss(kernel: str) -> Played:
    """The disk of the recordings of 6.1 and 6.12 was faster than the next look at the page."""
    costs = {} if kernel == "6.18" else {"io": 1, "io_page": 0}
    return _fault("file_read_miss", **costs)(kernel)


def _thp(write: bool) -> Callable[[str], Played]:
    """The first touch of a range of huge pages in a process that has no tables for it yet."""

    def play(kernel: str) -> Played:
        made = world(kernel, cpus=4, policy=Policy(thp="madvise"))
        made.vma("m", 1024, start=0x5100_0000_0000, flags=VM_HUGEPAGE)
        thread = made.thread("t", ops.Access(at("m"), write=write))
        made.run()
        return Played(made, thread, fault_rows(made, thread))

    return play


# Faults that need more than one thread or operation


def _anon_write_contended_by_fork(kernel: str) -> Played:
    made = world(kernel, cpus=4)
    made.vma("m", 2048).touched("m", 2000)
    child = ops.OperationList((ops.Sleep(1),))
    made.thread("forker", ops.Fork(child, child_cpu=2), cpu=1)
    late = made.thread("t", ops.Access(at("m", 2040), write=True), after_ns=60_000)
    made.run()
    return Played(made, late, fault_rows(made, late))


def _shmem_write(made: Scene) -> Thread:
    return made.thread("t", ops.Mmap(8, RW, MAP_SHARED, slot="s"), ops.Access(at("s"), True, 2))


def _shmem(kernel: str) -> Played:
    made = world(kernel, cpus=4)
    thread = _shmem_write(made)
    made.run()
    return Played(made, thread, fault_rows(made, thread))


def _mprotect_then_write(made: Scene) -> Thread:
    """Touch a page, take the right to write away, give it back, write: the last one is compared."""
    made.vma("m", 8).touched("m")
    read_only, writable = ops.Mprotect(at("m"), 8, PROT_READ), ops.Mprotect(at("m"), 8, RW)
    return made.thread("t", read_only, writable, ops.Access(at("m"), write=True))


def _mprotect_then_write_shared_file(made: Scene) -> Thread:
    file = new_file(made.engine, "data", 64, 64)
    made.file_vma("m", file, 8, "rw", flags=VM_SHARED)
    read_only, writable = ops.Mprotect(at("m"), 8, PROT_READ), ops.Mprotect(at("m"), 8, RW)
    write = ops.Access(at("m"), write=True)
    return made.thread("t", write, read_only, writable, write)


# System calls


def _between_guards(made: Scene) -> Scene:
    """Room between mappings that nobody can touch, as the recorded process made it."""
    made.vma("above", 16, "")
    made.vma("m", 16)
    made.vma("below", 16, "")
    return made


def _mmap_anon_new(made: Scene) -> Thread:
    made.vma("above", 16, "", start=0x7F00_0010_0000)
    made.vma("below", 16, "", start=0x7F00_0000_0000)
    return made.thread("t", ops.Mmap(4, RW, at=ops.Place(0x7F00_0008_0000)))


def _mmap_anon_merge(made: Scene) -> Thread:
    made.vma("m", 16, start=0x7F00_0000_0000)
    return made.thread("t", ops.Mmap(4, RW, at=at("m", 16)))


def _mmap_populate(made: Scene) -> Thread:
    made.vma("m", 16, "r", start=0x7F00_0000_0000)
    return made.thread("t", ops.Mmap(2, RW, MAP_PRIVATE | MAP_POPULATE, at=at("m", 16)))


def _mmap_file(made: Scene) -> Thread:
    made.file("data", 64, 64)
    return made.thread("t", ops.Mmap(16, RW, MAP_SHARED, file="data"))


def _mprotect_split(made: Scene) -> Thread:
    made.vma("m", 16).touched("m")
    return made.thread("t", ops.Mprotect(at("m", 4), 4, PROT_READ))


def _mprotect_merge(made: Scene) -> Thread:
    made.vma("m", 16).touched("m")
    back = ops.Mprotect(at("m", 4), 4, RW)
    return made.thread("t", ops.Mprotect(at("m", 4), 4, PROT_READ), back)


def _munmap_full(made: Scene) -> Thread:
    _between_guards(made).touched("m")
    return made.thread("t", ops.Munmap(at("m"), 16))


def _munmap_full_mt(made: Scene) -> Thread:
    made.thread("other", ops.Compute(5_000_000), cpu=1)
    return _munmap_full(made)


def _madvise_dontneed(made: Scene) -> Thread:
    """On 6.12 the recorded pages happened to lie in two page tables."""
    split = made.engine.world.preset.name == "6.12"
    made.vma("m", 16, start=TABLE_SPAN * 1000 - (4 * PAGE_SIZE if split else 0)).touched("m")
    return made.thread("t", ops.Madvise(at("m"), 8, ops.MADV_DONTNEED))


def _madvise_dontneed_mt(made: Scene) -> Thread:
    made.thread("other", ops.Compute(5_000_000), cpu=1)
    _between_guards(made).touched("m")
    return made.thread("t", ops.Madvise(at("m"), 16, ops.MADV_DONTNEED))


def _mremap_move(made: Scene) -> Thread:
    """Into the middle of a range that was reserved for it, right below."""
    made.vma("reserved", 56, "", start=0x7F00_0000_0000)
    made.vma("m", 4, start=0x7F00_0000_0000 + 56 * PAGE_SIZE).touched("m")
    return made.thread("t", ops.Mremap(at("m"), 4, 4, to=at("reserved", 8)))


def _mremap_grow_inplace(made: Scene) -> Thread:
    made.vma("m", 8, start=0x7F00_0000_0000).touched("m")
    return made.thread("t", ops.Mremap(at("m"), 8, 12, maymove=False))


def _mlock(made: Scene) -> Thread:
    """The first pages of a mapping that was touched."""
    made.vma("m", 20, start=0x7F00_0000_0000).touched("m")
    return made.thread("t", ops.Mlock(at("m"), 4))


def _heap(made: Scene) -> Scene:
    made.mm.start_brk = made.mm.brk = HEAP
    made.vma("heap", 16, start=HEAP, kind="heap").touched("heap")
    made.mm.brk = HEAP + 16 * PAGE_SIZE
    return made


def _brk_grow(made: Scene) -> Thread:
    return _heap(made).thread("t", ops.Brk(4))


def _brk_shrink(made: Scene) -> Thread:
    return _heap(made).thread("t", ops.Brk(-8))


def _read_proc(file: str) -> Build:
    """As many mappings as were recorded, without page tables: smaps ends at walk_page_vma."""

    def build(made: Scene) -> Thread:
        calls = recording(made.engine.world.preset.name).calls(f"read_proc_{file}")
        data = new_file(made.engine, "data", 64, 64)
        count = len([1 for call in calls if call.name == f"show_{file.removesuffix('s')}"])
        for number in range(count):
            made.file_vma(f"m{number}", data, 4, "r")
        return made.thread("t", ops.ReadProc(file, "app"))

    return build


SCENES: Final[dict[str, Callable[[str], Played]]] = {
    "anon_read_zero": _fault("anon_read_zero"),
    "anon_write_first": _fault("anon_write_first"),
    "anon_write_first_mt": _fault("anon_write_first"),
    "anon_write_second": _fault("anon_write"),
    "anon_write_after_zero": _fault("zero_page_cow"),
    "anon_write_contended_by_fork": _anon_write_contended_by_fork,
    "cow_after_fork": _fault("cow_after_fork"),
    "file_read_hit": _fault("file_read_hit"),
    "file_read_miss": _file_read_miss,
    "file_read_miss_random": _fault("file_read_miss_random"),
    "file_private_write_missing": _fault("file_cow"),
    "file_shared_write_missing": _fault("shared_write"),
    "shmem_write": _shmem,
    "stack_growth": _fault("stack_growth"),
    "swapin_read": lambda kernel: Played(*swapin_read(kernel)),
    "uffd_missing": lambda kernel: Played(*uffd_missing(kernel)),
    "uffd_copy": lambda kernel: Played(*uffd_copy(kernel)),
    "segv_access": _fault("segv_access"),
    "segv_unmapped": _fault("segv_unmapped"),
    "kernel_mode_fault": _fault("kernel_mode"),
    "thp_read_zero": _thp(write=False),
    "thp_write": _thp(write=True),
    "mprotect_then_write": _call(_mprotect_then_write),
    "mprotect_then_write_shared_file": _call(_mprotect_then_write_shared_file),
    "mmap_anon_new": _call(_mmap_anon_new),
    "mmap_anon_merge": _call(_mmap_anon_merge),
    "mmap_populate": _call(_mmap_populate),
    "mmap_file": _call(_mmap_file),
    "mprotect_split": _call(_mprotect_split),
    "mprotect_merge": _call(_mprotect_merge),
    "munmap_full": _call(_munmap_full),
    "munmap_full_mt": _call(_munmap_full_mt),
    "driver_fault_drm": _fault_in(write_graphics_buffer),
    "mmap_devmem_pfnmap": _call(map_dev_mem),
    "vvar_fault": _fault_in(read_vvar),
    "exit_mmap": _call(exit_process, has_tables=False),
    "fork": _call(fork_process, has_tables=False),
    "madvise_dontneed": _call(_madvise_dontneed),
    "madvise_dontneed_mt": _call(_madvise_dontneed_mt),
    "execve_mm": lambda kernel: Played(*execve(kernel)),
    "mlock": _call(_mlock),
    "mremap_move": _call(_mremap_move),
    "mremap_grow_inplace": _call(_mremap_grow_inplace),
    "brk_grow": _call(_brk_grow),
    "brk_shrink": _call(_brk_shrink),
    "read_proc_maps": _call(_read_proc("maps"), has_tables=False),
    "read_proc_smaps": _call(_read_proc("smaps"), has_tables=False),
}
"""Recorded kind -> its scene."""

WINDOWS: Final[dict[str, tuple[str, str]]] = {
    "exit_mmap": ("exit_mmap", ""),
    "fork": ("mmap_lock_start_locking", "dup_userfaultfd_complete"),
    "kernel_mode_fault": ("page_fault_kernel", ""),
    "read_proc_maps": ("", "page_fault_kernel"),
    "thp_read_zero": ("", "schedule"),
}
"""Recorded kind -> the token with which the compared part begins, and the one before which it ends.

fork copies and exit gives up more than memory; kernel_mode_fault was recorded with the read() that
took it, read_proc_maps with the fault of its copy_to_user, which is a kind of its own;
thp_read_zero on 6.12 with the switch to another task.
"""


def window(calls: list[Call], kind: str) -> list[Call]:
    """The part of a recorded kind that is compared."""
    if kind == "swapin_read":
        return without_free_slots(calls)
    if kind == "execve_mm":
        return exec_window(calls)
    if kind == "mmap_devmem_pfnmap":
        return without_second_merge(calls)
    begin, end = WINDOWS.get(kind, ("", ""))
    names = [call.name for call in calls]
    first = names.index(begin) if begin else 0
    return calls[first : names.index(end) if end in names else len(calls)]
