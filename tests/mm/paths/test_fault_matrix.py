"""Which fault is served under which lock, kernel by kernel: the matrix of faults and releases.

M: under mmap_lock from the start. V: under the VMA lock alone. T: the same with a nested trylock of
mmap_lock. V>M: given up inside the handler. Vio>M: given up after I/O was submitted. X: none.
Columns 6.6 and 6.7 are no presets yet: they prove that a new kernel is nothing but data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pfviz.mm.operations import Access, Fork, OperationList, Sleep
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS, Preset
from pfviz.mm.reverse_map import link_vma, new_anon_vma
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_GROWSDOWN, VM_SHARED
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, copy_to_user, fault_rows
from tests.worlds import Scene, at, world

READ = Access(at("m", 1))
WRITE = Access(at("m", 1), write=True)

KERNELS: dict[str, Preset] = {
    "6.1": PRESETS["6.1"],
    "6.4": PRESETS["6.4"],
    "6.6": replace(
        PRESETS["6.12"], name="6.6", anon_vma_check="early", file_under_vl="map_pages",
        detached_before_range=False, access_error_under_vl=False, tried_after_major=False,
    ),
    "6.7": replace(
        PRESETS["6.12"], name="6.7", anon_vma_check="early", detached_before_range=False,
        access_error_under_vl=False, tried_after_major=False,
    ),
    "6.12": PRESETS["6.12"],
    "6.18": PRESETS["6.18"],
}  # fmt: skip


def anon(*accesses: Access, has_anon_vma: bool) -> Callable[[Scene], Thread]:
    def build(made: Scene) -> Thread:
        made.vma("m", 8)
        if has_anon_vma:
            made.touched("m", 1)
        return made.thread("t", *accesses)

    return build


def file(*accesses: Access, flags: int = 0, present: int = 8, has_anon_vma: bool = False,
         **fields: bool) -> Callable[[Scene], Thread]:  # fmt: skip
    def build(made: Scene) -> Thread:
        data = new_file(made.engine, "data", 8, present, **fields)
        made.file_vma("m", data, 8, "rw", flags=flags, start=0x7F00_0000_0000)
        if has_anon_vma:
            vma = made.vmas["m"]
            vma.anon_vma = new_anon_vma(made.engine)
            link_vma(vma, vma.anon_vma)
        return made.thread("t", *accesses)

    return build


def after_fork(made: Scene) -> Thread:
    made.vma("m", 8).touched("m", 2)
    return made.thread("t", Fork(OperationList((Sleep(1_000_000),)), child_cpu=1), WRITE)


def stack(made: Scene) -> Thread:
    made.vma("m", 8, flags=VM_GROWSDOWN).touched("m", 1)
    return made.thread("t", Access(at("m", -1), write=True))


def kernel_mode(made: Scene) -> Thread:
    made.vma("m", 8).touched("m", 1)
    thread = made.thread("t")
    thread.step = copy_to_user
    return thread


ROWS: dict[str, tuple[Callable[[Scene], Thread], str]] = {
    #                                                                6.1 6.4 6.6  6.7  6.12 6.18
    "anon read": (anon(READ, has_anon_vma=True),                     "X   V   V    V    V    V"),
    "anon read, no anon_vma": (anon(READ, has_anon_vma=False),       "X   M   M    M    V    V"),
    "anon write": (anon(WRITE, has_anon_vma=True),                   "X   V   V    V    V    V"),
    "anon write, no anon_vma": (anon(WRITE, has_anon_vma=False),     "X   M   M    M    T    T"),
    "copy after fork": (after_fork,                                  "X   V   V    V    V    V"),
    "zero page, no anon_vma": (anon(READ, WRITE, has_anon_vma=False), "X   M   M    M    T    T"),
    "file hit": (file(READ),                                         "X   M   V    V    V    V"),
    "file hit, no fault-around": (file(READ),                        "X   M   V>M  V    V    V"),
    "file miss": (file(READ, present=0),                          "X   M   V>M Vio>M Vio>M Vio>M"),
    "private write": (file(WRITE, has_anon_vma=True),                "X   M   V>M  V    V    V"),
    "private write, no anon_vma": (file(WRITE),                      "X   M   V>M  V>M  T    T"),
    "private write, mapped": (file(READ, WRITE, has_anon_vma=True),  "X   M   V    V    V    V"),
    "private write, mapped, no anon_vma": (file(READ, WRITE),        "X   M   V>M  V>M  T    T"),
    "shared write": (file(WRITE, flags=VM_SHARED),                   "X   M   V>M  V    V    V"),
    "shared write, mapped": (file(READ, WRITE, flags=VM_SHARED),     "X   M   V>M  V    V    V"),
    "shared write, mapped, no page_mkwrite": (
        file(READ, WRITE, flags=VM_SHARED, page_mkwrite=False),      "X   M   V    V    V    V"),
    "driver": (file(READ, driver=True),                              "X   M   V>M  V>M  V>M  V>M"),
    "stack growth": (stack,                                          "X   M   M    M    M    M"),
    "kernel mode": (kernel_mode,                                     "X   M   M    M    M    M"),
}  # fmt: skip


def cell(made: Scene, thread: Thread) -> str:
    """How the thread's last fault was served, in the letters of the matrix."""
    log = made.engine.log
    regimes: list[int] = []
    counters: list[str] = []
    has_read = False
    io_before_fallback = False
    touched_mmap_lock = False
    for row in fault_rows(made, thread):
        if row[1] == event.FAULT_PATH:
            regimes.append(row[3])
        elif row[1] == event.FAULT_FALLBACK:
            counters.append(log.texts[row[6]])
            io_before_fallback = has_read
        elif row[1] == event.IO_BEGIN:
            has_read = True
        elif row[1] == event.LOCK_ACQUIRED and row[3] == made.mm.mmap_lock.id:
            touched_mmap_lock = True
    if "vma_lock_retry" in counters:
        return "Vio>M" if io_before_fallback else "V>M"
    if regimes[-1] == 1:
        return "T" if touched_mmap_lock else "V"
    return "M" if made.engine.world.has_vma_lock else "X"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("row", ROWS)
def test_every_fault_is_served_under_the_lock_of_its_release(row: str, kernel: str) -> None:
    build, cells = ROWS[row]
    around = 1 if "no fault-around" in row else 16
    generation = "6.12" if kernel in ("6.6", "6.7") else kernel
    made = world(generation, cpus=2, policy=Policy(fault_around_pages=around))
    made.engine.world.preset = KERNELS[kernel]
    thread = build(made)
    made.mm.page_tables.table_for(made.engine, made.named("m"))
    made.mm.page_tables.table_for(made.engine, made.named("m") - PAGE_SIZE)
    made.run()
    assert cell(made, thread) == dict(zip(KERNELS, cells.split(), strict=True))[kernel]
    check_pages(made)
