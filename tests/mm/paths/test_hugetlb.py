"""hugetlb: the pool, who may take from it, one fault at a time for a page, locks by kernel."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.address_space import AddressSpace
from pfviz.mm.hugetlb import pool_of
from pfviz.mm.hugetlb_setup import place_hugetlb, populate_hugetlb
from pfviz.mm.mmap_lock import mmap_read_trylock
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_HUGETLB,
    MAP_PRIVATE,
    Access,
    Exit,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    Operation,
    OperationList,
    Sleep,
)
from pfviz.mm.page_table import WRITABLE
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_READ, VM_SHARED, VM_WRITE
from pfviz.mm.world import Mm
from pfviz.sim import event
from tests.mm.fault_scenes import fallbacks, kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
HUGE = 512
RW = VM_READ | VM_WRITE
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def mapped(kernel: str = "6.12", mode: str = "", flags: int = RW, pages: int = 2 * HUGE,
           spare: int = 0) -> Scene:  # fmt: skip
    """Two huge pages reserved at "m"."""
    made = world(kernel, mode, cpus=4)
    place_hugetlb(made.engine, made.mm, BASE, pages, flags, "m")
    made.mm.slots["m"] = BASE
    pool_of(made.engine).add(made.engine, spare)
    return made


def run(made: Scene, every_steps: int = 10) -> Scene:
    """To the end, with all rules asked; nobody is left behind."""
    rules.run(made.engine, steps_max=100_000, every_steps=every_steps)
    assert made.engine.world.broken == []
    assert all(task.state == "done" for task in made.engine.tasks)
    return made


def rss(made: Scene) -> tuple[int, int]:
    return made.mm.page_tables.rss_anon, made.mm.page_tables.rss_file


WRITE = Access(at("m", 3), write=True)


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("flags", [RW, RW | VM_SHARED], ids=["private", "shared"])
def test_one_fault_maps_two_mebibytes(kernel: str, mode: str, flags: int) -> None:
    made = mapped(kernel, mode, flags)
    made.thread("t", WRITE, Access(at("m"), True, HUGE))
    run(made)
    assert kinds(made) == ["hugetlb"]
    assert len(made.mm.page_tables.huge) == 1
    assert rss(made) == (0, 0), "pages of the pool are not counted as resident"
    assert len(pool_of(made.engine).free) == 1


@pytest.mark.parametrize(
    ("kernel", "falls"),
    [("6.4", "not anonymous*"), ("6.6", "hugetlb needs*"), ("6.9", "hugetlb needs*"),
     ("6.10", ""), ("6.12", ""), ("6.18", ""), ("7.2", "")],
)  # fmt: skip
def test_the_vma_lock_is_enough_since_6_10(kernel: str, falls: str) -> None:
    made = mapped(kernel)
    made.thread("t", WRITE)
    run(made)
    assert [cause[:8] for cause in fallbacks(made)] == ([falls[:8]] if falls else [])
    locks = {begin["regime"] for begin in made.events(event.FAULT_END)}
    assert locks == ({0} if falls else {1})


def test_a_private_page_is_copied_after_fork_if_the_pool_has_one_more() -> None:
    made = mapped(spare=1)
    child = OperationList((Access(at("m"), True), Exit()))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(10_000_000), WRITE)
    run(made)
    assert "copy_user_large_folio" in made.functions()
    pool = pool_of(made.engine)
    assert len(pool.free) + 1 == pool.total, "the child's copy came back"


def test_a_child_without_a_page_for_its_copy_gets_sigbus() -> None:
    """The parent's mapping has reserved all there is; a child of fork has no claim to it."""
    made = mapped()
    child = OperationList((Access(at("m"), True), Exit()))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(10_000_000))
    run(made)
    assert kinds(made) == ["hugetlb", "sigbus"]
    assert -14 in made.results()


def test_the_last_sharer_takes_the_page_over() -> None:
    made = mapped()
    child = OperationList((Exit(),))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(10_000_000), WRITE)
    run(made)
    assert kinds(made) == ["hugetlb", "hugetlb"]
    assert "copy_user_large_folio" not in made.functions()
    assert made.mm.page_tables.huge_at(BASE).value & WRITABLE  # type: ignore[union-attr]


def test_a_shared_page_is_found_in_the_cache_by_the_child() -> None:
    made = mapped(flags=RW | VM_SHARED)
    child = OperationList((Access(at("m"), True), Exit()))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(10_000_000))
    run(made)
    assert kinds(made) == ["hugetlb", "hugetlb"]
    assert len(pool_of(made.engine).free) == 1


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_two_threads_that_fault_one_page_take_one_page_of_the_pool(kernel: str) -> None:
    made = mapped(kernel)
    made.thread("a", WRITE)
    made.thread("b", WRITE, cpu=1)
    run(made)
    assert len(pool_of(made.engine).free) == 1
    mutex = [new["lock"] for new in made.events(event.LOCK_NEW) if "fault_mutex" in new["name"]]
    waits = [e for e in made.events(event.CONTENTION_BEGIN) if e["lock"] in mutex]
    spins = [e for e in made.events(event.SPIN_BEGIN) if e["lock"] in mutex]
    assert waits or spins, "the second waits for the mutex of the page"


def test_without_an_anon_vma_and_without_mmap_lock_both_locks_are_dropped_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The trylock fails: the fault's own locks go first, then the VMA lock; it starts again."""
    made = mapped("6.12")
    made.thread("t", WRITE)
    refused: list[str] = []

    def refuse(engine: Mm, thread: Thread, mm: AddressSpace) -> bool:
        if not refused:
            refused.append(thread.name)
            return False
        return mmap_read_trylock(engine, thread, mm)

    monkeypatch.setattr("pfviz.mm.mmap_lock.mmap_read_trylock", refuse)
    run(made)
    assert refused == ["t"]
    assert fallbacks(made) == ["mmap_read_trylock failed"]
    assert made.engine.world.vmstat["vma_lock_retry"] == 1


@pytest.mark.parametrize(
    "operation",
    [
        Munmap(at("m"), 5),
        Munmap(at("m", HUGE - 1), 2),
        Mprotect(at("m", 1), HUGE, 1),
        Madvise(at("m"), 7, "dontneed"),
        Madvise(at("m"), 7, "sequential"),
        Mmap(4, flags=MAP_PRIVATE | MAP_ANONYMOUS | 0x10, at=at("m", 3)),
        Mmap(5, flags=MAP_PRIVATE | MAP_HUGETLB, at=None),
    ],
    ids=lambda operation: f"{type(operation).__name__}",
)
def test_nothing_may_cut_a_huge_page(operation: Operation) -> None:
    made = mapped()
    made.thread("t", WRITE, operation)
    run(made)
    assert made.results()[-1] == -22
    assert len(made.mm.page_tables.huge) == 1


def test_unmapping_gives_pages_and_promises_back() -> None:
    made = mapped()
    pool = pool_of(made.engine)
    assert pool.reserved == 2
    made.thread("t", WRITE, Munmap(at("m"), 2 * HUGE))
    run(made)
    assert (len(pool.free), pool.reserved) == (2, 0)
    assert made.results() == [0, 0]


def test_a_mapping_needs_its_pages_reserved() -> None:
    made = world("6.12")
    pool_of(made.engine).add(made.engine, 3)
    flags = MAP_PRIVATE | MAP_HUGETLB
    two = Mmap(2 * HUGE, flags=flags, slot="a")
    made.thread("t", two, two, Access(at("a"), True, 2, stride_pages=HUGE))
    run(made)
    results = made.results()
    assert results[0] % (HUGE << 12) == 0
    assert results[1] == -12
    assert kinds(made) == ["hugetlb", "hugetlb"]


@pytest.mark.parametrize("kernel", ["6.1", "6.7", "6.18"])
def test_unmapping_waits_for_a_fault_in_the_same_mapping(kernel: str) -> None:
    made = mapped(kernel, flags=RW | VM_SHARED)
    made.thread("t", WRITE)
    made.thread("u", Madvise(at("m"), 2 * HUGE, "dontneed"), cpu=1, after_ns=8_000)
    run(made)
    assert not made.mm.page_tables.huge
    zapped = made.functions(made.engine.tasks[1])  # type: ignore[arg-type]
    assert "hugetlb_zap_begin" in zapped
    assert "hugetlb_zap_end" in zapped


def test_resident_pages_are_there_from_the_start() -> None:
    made = mapped()
    vma = made.mm.vma_at(BASE)
    assert vma is not None
    populate_hugetlb(made.engine, vma, 600)
    made.thread("t", Access(at("m"), True, 2 * HUGE))
    run(made)
    assert kinds(made) == []
