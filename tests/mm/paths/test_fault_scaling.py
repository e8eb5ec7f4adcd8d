"""What contention does to faults: the reasons are lines and locks of the model, never a formula.

Threads sit on two sockets in turn and touch pages in 2 MiB regions of their own, so that they share
no page table; they share one VMA, or have one each.
"""

from __future__ import annotations

from functools import cache

import pytest

from pfviz.mm.address_space import new_mm
from pfviz.mm.costs import COSTS
from pfviz.mm.operations import Access, Mmap, Munmap, OperationList, ReadProc
from pfviz.mm.paths.run import new_thread
from pfviz.mm.reverse_map import link_vma, new_anon_vma
from pfviz.mm.world import new_engine
from pfviz.sim import event
from pfviz.sim.machine import Machine
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
REGION_PAGES = 1024
PAGES = 60


def _scene(machine: Machine, kernel: str, mode: str) -> Scene:
    engine = new_engine(machine, kernel, mode)
    return Scene(engine, new_mm(engine, "app"))


@cache
def storm(kernel: str, mode: str, threads: int, shared: bool) -> Scene:
    """`threads` threads write `PAGES` pages each."""
    machine = Machine("test", 2, 16, COSTS)
    made = _scene(machine, kernel, mode)
    pages = REGION_PAGES * threads if shared else REGION_PAGES - 1
    for index in range(1 if shared else threads):
        start = BASE + (index * REGION_PAGES << 12)
        made.vma(f"m{index}", pages, start=start)
        vma = made.vmas[f"m{index}"]
        vma.anon_vma = new_anon_vma(made.engine)
        link_vma(vma, vma.anon_vma)
    for index in range(threads):
        place = at(BASE + (index * REGION_PAGES << 12))
        made.mm.page_tables.table_for(made.engine, BASE + (index * REGION_PAGES << 12))
        cpu = machine.cpus[index % 2 * 16 + index // 2]
        program = OperationList((Access(place, write=True, pages=PAGES),))
        new_thread(made.engine, made.mm, f"t{index}", cpu, program)
    return made.run(steps_max=1_000_000)


def fault_ns(kernel: str, mode: str, threads: int, shared: bool) -> float:
    """The mean time from a fault to its end."""
    ends = storm(kernel, mode, threads, shared).events(event.FAULT_END)
    assert len(ends) == threads * PAGES
    return sum(end["latency_ns"] for end in ends) / len(ends)


def waits_by_line(made: Scene) -> dict[str, int]:
    """How long CPUs waited for each cache line."""
    names = {new["line"]: new["name"] for new in made.events(event.LINE_NEW)}
    waits: dict[str, int] = {}
    for moved in made.events(event.LINE_MOVED):
        name = names[moved["line"]]
        waits[name] = waits.get(name, 0) + moved["transfer_ns"]
    return waits


@pytest.mark.parametrize("kernel", ["6.4", "6.12", "6.18"])
def test_alone_a_thread_takes_the_same_time_in_every_mode(kernel: str) -> None:
    times = [fault_ns(kernel, mode, 1, False) for mode in ("mmap_lock", "per-vma", "lockless")]
    assert max(times) <= 1.1 * min(times)


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_in_private_vmas_the_vma_lock_takes_the_shared_word_away(kernel: str) -> None:
    for threads in (4, 16, 32):
        under_mmap = fault_ns(kernel, "mmap_lock", threads, False)
        under_vma = fault_ns(kernel, "per-vma", threads, False)
        assert under_vma < under_mmap / (1.5 if threads == 4 else 4)
    waits = waits_by_line(storm(kernel, "mmap_lock", 32, False))
    assert max(waits, key=lambda name: waits[name]) == "mmap_lock app"
    waits = waits_by_line(storm(kernel, "per-vma", 32, False))
    assert waits.get("mmap_lock app", 0) == 0


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_in_one_vma_its_lock_word_is_the_next_bottleneck(kernel: str) -> None:
    under_mmap = fault_ns(kernel, "mmap_lock", 32, True)
    under_vma = fault_ns(kernel, "per-vma", 32, True)
    without = fault_ns(kernel, "lockless", 32, True)
    assert 0.6 * under_mmap < under_vma < 1.1 * under_mmap
    assert without < under_vma / 4
    waits = waits_by_line(storm(kernel, "per-vma", 32, True))
    assert max(waits, key=lambda name: waits[name]).startswith(("vm_lock", "vm_refcnt"))


def test_the_exception_entry_drags_mmap_lock_around_until_6_12() -> None:
    def moves(kernel: str) -> int:
        made = storm(kernel, "per-vma", 16, False)
        names = {new["line"]: new["name"] for new in made.events(event.LINE_NEW)}
        return sum(names[m["line"]] == "mmap_lock app" for m in made.events(event.LINE_MOVED))

    assert moves("6.12") > 100
    assert moves("6.18") == 0


def test_kinds_of_faults_cost_what_they_cost_on_bare_metal() -> None:
    from tests.mm.fault_scenes import scene

    # Bare-metal ranges; the scenes have their tables and (by the slack above) a cold free list.
    ranges = {
        "anon_read_zero": (220, 450),
        "anon_write": (420, 1_700),
        "zero_page_cow": (600, 1_750),
        "file_read_hit": (500, 1_000),
        "file_cow": (700, 1_800),
        "cow_after_fork": (600, 1_700),
    }
    for kind, (low, high) in ranges.items():
        made, thread = scene(kind, "6.12", "per-vma")
        made.run()
        assert low <= made.events(event.FAULT_END, thread)[-1]["latency_ns"] <= high, kind


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_system_calls_cost_what_they_cost_on_bare_metal(kernel: str) -> None:
    made = world(kernel).vma("m", 64).touched("m", 1)
    made.thread("t", Mmap(4, slot="x"), Munmap(at("x"), 4), ReadProc("maps"), repeat=3)
    made.run()
    mmap_ns, munmap_ns, maps_ns = [
        made.events(event.OP_END)[-3:][number]["latency_ns"] for number in range(3)
    ]
    assert 1_200 <= mmap_ns + munmap_ns <= 2_500
    assert 300 <= maps_ns <= 2_000  # one VMA, one more read() that finds the end
