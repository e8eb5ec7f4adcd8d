"""MADV_COLLAPSE: locks in their order, faults kept out, whoever holds a page makes it fail."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_COLLAPSE,
    Access,
    Exit,
    Fork,
    GetUserPages,
    Madvise,
    Mprotect,
    OperationList,
    Sleep,
)
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
HUGE = 512
WORLDS = [(name, mode) for name in PRESETS if name != "6.0" for mode in PRESETS[name].modes]
COLLAPSE = Madvise(at("m"), HUGE, MADV_COLLAPSE)


def small(kernel: str = "6.12", mode: str = "", pages: int = 300, **policy: bool) -> Scene:
    """Two huge pages' worth of memory at "m", of which some small pages are there."""
    made = world(kernel, mode, cpus=4, policy=Policy(**policy))  # type: ignore[arg-type]
    return made.vma("m", 2 * HUGE, start=BASE).touched("m", pages)


def run(made: Scene, every_steps: int = 10) -> Scene:
    rules.run(made.engine, steps_max=200_000, every_steps=every_steps)
    assert made.engine.world.broken == []
    assert all(task.state == "done" for task in made.engine.tasks)
    check_pages(made)
    return made


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
def test_small_pages_become_a_huge_one(kernel: str, mode: str) -> None:
    made = small(kernel, mode)
    made.thread("t", Access(at("m", 400)), COLLAPSE, Access(at("m"), True, HUGE))
    run(made)
    assert made.results() == [0, 0, 0]
    assert list(made.mm.page_tables.huge) == [BASE >> 21]
    assert made.mm.page_tables.rss_anon == HUGE
    assert len(kinds(made)) == 1, "nothing faults afterwards"


def test_6_0_does_not_know_it() -> None:
    made = small("6.0")
    made.thread("t", COLLAPSE)
    run(made)
    assert made.results() == [-22]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_the_locks_come_in_their_order(kernel: str) -> None:
    made = small(kernel)
    thread = made.thread("t", COLLAPSE)
    run(made)
    kind = {e["lock"]: e["kind"] for e in made.events(event.LOCK_NEW)}
    kind |= {made.mm.mmap_lock.id: "mmap_lock"}
    taken = [
        (kind.get(e["lock"], "?"), e["mode"]) for e in made.events(event.LOCK_ACQUIRED, thread)
    ]
    order = [one for one in taken if one[0] in ("mmap_lock", "anon_vma", "ptl")]
    assert [one for one in order if one[0] == "mmap_lock"] == [
        ("mmap_lock", mode) for mode in (0, 0, 1, 0)
    ]
    write = order.index(("mmap_lock", 1))
    assert order[write + 1 : write + 3] == [("anon_vma", 1), ("ptl", 2)]


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_every_cpu_answers_before_pages_are_looked_at_for_the_last_time(kernel: str) -> None:
    made = small(kernel)
    made.thread("u", *[Access(at("m", 3), True)] * 4, Sleep(900_000), cpu=1)
    thread = made.thread("t", COLLAPSE, after_ns=2_000)
    run(made)
    calls = made.functions(thread)
    flushed = calls.index("pmdp_collapse_flush")
    assert flushed < calls.index("__collapse_huge_page_isolate")
    names = [ipi["what"] for ipi in made.events(event.IPI, thread)]
    # Where tables are not freed by RCU, tlb_remove_table_sync_one is empty: the flush asked.
    assert "flush_tlb_func" in names
    assert ("tlb_remove_table_smp_sync" in names) == (kernel == "6.18")


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
@pytest.mark.parametrize("after_ns", range(0, 120_000, 12_000))
def test_faults_beside_it_wait_or_come_first(kernel: str, after_ns: int) -> None:
    made = small(kernel)
    made.thread("t", COLLAPSE)
    made.thread("u", Access(at("m", 310), True, 5), cpu=1, after_ns=after_ns)
    run(made, every_steps=2)
    assert list(made.mm.page_tables.huge) == [BASE >> 21]


def test_a_pinned_page_makes_it_fail() -> None:
    made = small()
    pin = GetUserPages(at("m", 7), 1, write=True, pin=True, hold_ns=3_000_000)
    made.thread("p", pin, cpu=1)
    made.thread("t", COLLAPSE, after_ns=20_000)
    run(made)
    assert made.results(made.engine.tasks[1]) == [-11]  # type: ignore[arg-type]
    assert not made.mm.page_tables.huge


def test_pages_shared_by_fork_are_copied() -> None:
    made = small()
    child = OperationList((Sleep(2_000_000), Access(at("m"), pages=300), Exit()))
    made.thread("t", Fork(child, child_cpu=1), COLLAPSE, Access(at("m"), True, HUGE))
    run(made)
    assert list(made.mm.page_tables.huge) == [BASE >> 21]
    assert kinds(made) == []


def test_without_a_huge_page_nothing_changes() -> None:
    made = small(fragmented=True)
    made.thread("t", COLLAPSE)
    run(made)
    assert made.results() == [-12]
    assert made.mm.page_tables.rss_anon == 300


def test_what_was_collapsed_can_be_split_again() -> None:
    made = small()
    made.thread("t", COLLAPSE, Mprotect(at("m", 5), 3, 1), COLLAPSE, Access(at("m"), True))
    run(made)
    assert made.engine.world.vmstat["thp_split_pmd"] == 1
