"""madvise: which lock each advice takes on which kernel, and what becomes of the pages."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_COLD,
    MADV_DOFORK,
    MADV_DONTDUMP,
    MADV_DONTFORK,
    MADV_DONTNEED,
    MADV_FREE,
    MADV_GUARD_INSTALL,
    MADV_GUARD_REMOVE,
    MADV_NORMAL,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    MADV_WILLNEED,
    PAGE_SIZE,
    Access,
    Fork,
    Madvise,
    Mincore,
    Mlock,
    Munlock,
    OperationList,
    Sleep,
)
from pfviz.mm.page_table import ACCESSED, DIRTY, GUARD
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_DONTDUMP, VM_RAND_READ, VM_SEQ_READ
from pfviz.sim import event
from tests.worlds import Scene, at, world

KERNELS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
GUARDED = [(kernel, mode) for kernel, mode in KERNELS if PRESETS[kernel].guard_regions]


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def mmap_lock_modes(scene: Scene) -> list[int]:
    """In which modes mmap_lock was asked for."""
    lock = scene.mm.mmap_lock.id
    return [one["mode"] for one in scene.events(event.LOCK_START) if one["lock"] == lock]


@pytest.mark.parametrize(
    ("kernel", "mode", "modes"),
    [("6.1", "", [event.READ]), ("6.12", "", [event.READ]), ("6.18", "", []),
     ("6.18", "mmap_lock", [event.READ])],
)  # fmt: skip
@pytest.mark.parametrize("advice", [MADV_DONTNEED, MADV_FREE])
def test_giving_pages_back_needs_mmap_lock_until_6_17(
    kernel: str, mode: str, modes: list[int], advice: str
) -> None:
    scene = world(kernel, mode).vma("a", 8).touched("a")
    scene.thread("t", Madvise(at("a", 2), 4, advice))
    assert mmap_lock_modes(done(scene)) == modes


def test_dontneed_over_two_vmas_falls_back_to_mmap_lock() -> None:
    scene = world("6.18").vma("b", 4, "r").vma("a", 4).touched("a")
    scene.thread("t", Madvise(at("a", 2), 4, MADV_DONTNEED))
    assert mmap_lock_modes(done(scene)) == [event.READ]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_dontneed_frees_the_pages_and_they_read_as_zero_again(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    thread = scene.thread("t", Madvise(at("a", 2), 4, MADV_DONTNEED), Access(at("a", 2)))
    done(scene)
    assert scene.results(thread) == [0, 0]
    assert scene.engine.world.frames.used == 4
    assert scene.events(event.FAULT_END)[0]["kind"] == "anon_read_zero"


def test_free_keeps_the_pages_mapped_until_memory_is_short() -> None:
    scene = world("6.18").vma("a", 8).touched("a")
    scene.thread("t", Madvise(at("a"), 8, MADV_FREE), Access(at("a"), write=True))
    done(scene)
    assert scene.engine.world.frames.used == 8
    assert scene.events(event.FAULT_BEGIN) == []


def test_dontneed_in_6_18_goes_on_while_a_writer_holds_another_vma() -> None:
    """The VMA lock is enough, unless the writer holds mmap_lock for this VMA too."""
    scene = world("6.18").vma("a", 8).touched("a")
    scene.thread("t", Madvise(at("a"), 8, MADV_DONTNEED))
    names = done(scene).functions()
    assert "lock_vma_under_rcu" in names
    assert "madvise_walk_vmas" in names  # where the VMA lock is given back


@pytest.mark.parametrize("kernel", ["6.1", "6.4", "6.12", "6.18"])
def test_advice_on_reading_changes_flags_under_the_write_lock(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    scene.thread(
        "t",
        Madvise(at("a", 2), 4, MADV_SEQUENTIAL),
        Madvise(at("a"), 8, MADV_RANDOM),
        Madvise(at("a"), 8, MADV_NORMAL),
    )
    engine = scene.engine
    seen = set()
    while engine.step():
        flags = tuple(v.vm_flags & (VM_SEQ_READ | VM_RAND_READ) for v in scene.mm.tree)
        seen.add(flags)
    assert (0, VM_SEQ_READ, 0) in seen
    assert (VM_RAND_READ,) in seen
    assert [vma.pages for vma in scene.mm.tree] == [8]
    assert set(mmap_lock_modes(scene)) == {event.WRITE}


def test_advice_on_nothing_is_an_error() -> None:
    scene = world("6.12")
    place = at(16 * PAGE_SIZE)
    scene.thread("t", *(Madvise(place, 1, one) for one in (MADV_DONTNEED, MADV_SEQUENTIAL)))
    assert done(scene).results() == [-12, -12]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_free_cleans_entries_under_the_page_table_lock_and_flushes_them(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    table = scene.mm.page_tables.walk(scene.named("a"))
    assert table is not None
    thread = scene.thread("t", Madvise(at("a", 2), 4, MADV_FREE))
    done(scene)
    locked = [one["lock"] for one in scene.events(event.LOCK_ACQUIRED, thread)]
    assert table.ptl.id in locked
    assert [one["reason"] for one in scene.events(event.TLB_FLUSH)] == ["madvise"]
    start = scene.named("a")
    dirty = [bool(table.read(start + page * PAGE_SIZE) & DIRTY) for page in range(8)]
    assert dirty == [True, True, False, False, False, False, True, True]
    (cleaned,) = scene.events(event.PTE_SET, thread)
    assert (cleaned["address"], cleaned["count"]) == (start + 2 * PAGE_SIZE, 4)


def test_free_again_changes_and_flushes_nothing() -> None:
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("t", *[Madvise(at("a"), 8, MADV_FREE)] * 2)
    done(scene)
    assert len(scene.events(event.TLB_FLUSH)) == 1


def test_free_is_for_anonymous_memory_only() -> None:
    scene = world("6.12")
    scene.file_vma("f", scene.file("data", 8, 8), 8)
    thread = scene.thread("t", Madvise(at("f"), 8, MADV_FREE))
    done(scene)
    assert scene.results(thread) == [-22]


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
@pytest.mark.parametrize("advice", [MADV_DONTNEED, MADV_FREE])
def test_what_mlock_keeps_in_memory_is_not_given_back(kernel: str, mode: str, advice: int) -> None:
    scene = world(kernel, mode).vma("a", 8).touched("a")
    taken = [Mlock(at("a"), 4), Madvise(at("a"), 4, advice), Munlock(at("a"), 4)]
    thread = scene.thread("t", *taken, Madvise(at("a"), 4, advice))
    done(scene)
    assert scene.results(thread) == [0, -22, 0, 0]


# Advice that takes nothing away


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_willneed_gives_mmap_lock_back_before_it_reads_ahead(kernel: str) -> None:
    scene = world(kernel)
    file = scene.file("data", 200, present=0)
    scene.file_vma("m", file, 100)
    scene.thread("t", Madvise(at("m"), 100, MADV_WILLNEED))
    done(scene)
    lock = scene.mm.mmap_lock.id
    released = [one["now_ns"] for one in scene.events(event.LOCK_RELEASED) if one["lock"] == lock]
    begun = [one["now_ns"] for one in scene.events(event.IO_BEGIN)]
    assert mmap_lock_modes(scene) == [event.READ, event.READ]
    assert len(begun) == 4
    assert released[0] <= begun[0]
    assert sum(file.present) == 100


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_cold_pages_are_old_and_stay(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("a", 8).touched("a")
    thread = scene.thread("t", Madvise(at("a", 2), 4, MADV_COLD), Access(at("a"), pages=8))
    scene.run(steps_max=200_000)
    assert thread.faults == 0
    scene = world(kernel, mode).vma("a", 8).touched("a")
    scene.thread("t", Madvise(at("a", 2), 4, MADV_COLD))
    done(scene)
    young = [
        bool(scene.mm.page_tables.pte(scene.named("a") + page * PAGE_SIZE) & ACCESSED)
        for page in range(8)
    ]
    assert young == [True] * 2 + [False] * 4 + [True] * 2
    assert mmap_lock_modes(scene) in ([event.READ], [])


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
@pytest.mark.parametrize("advice", [MADV_POPULATE_READ, MADV_POPULATE_WRITE])
def test_populating_by_advice_faults_pages_in_under_mmap_lock(
    kernel: str, mode: str, advice: str
) -> None:
    scene = world(kernel, mode).vma("a", 8)
    scene.thread("t", Madvise(at("a"), 8, advice), Madvise(at("a"), 9, advice))
    done(scene)
    assert scene.results() == [0, -12]
    assert scene.mm.page_tables.rss_anon == (8 if advice == MADV_POPULATE_WRITE else 0)
    assert not scene.events(event.FAULT_BEGIN)


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_child_does_not_get_what_is_advised_against(kernel: str) -> None:
    scene = world(kernel).vma("b", 4, "r").vma("a", 8).touched("a")
    fork = Fork(OperationList((Sleep(9_000_000),)), child_name="child", child_cpu=1)
    scene.thread("t", Madvise(at("a", 2), 4, MADV_DONTFORK), fork)
    scene.run(until_ns=2_000_000)
    (child,) = [mm for mm in scene.engine.world.mms if mm is not scene.mm]
    assert [vma.pages for vma in child.tree] == [2, 2, 4]
    child.tree.check()
    done(scene)
    back = world(kernel).vma("a", 8)
    back.thread("t", Madvise(at("a"), 8, MADV_DONTFORK), Madvise(at("a"), 8, MADV_DOFORK), fork)
    back.run(until_ns=2_000_000)
    assert [len(mm.tree) for mm in back.engine.world.mms] == [1, 1]


def test_what_is_left_out_of_a_core_dump_has_its_flag() -> None:
    scene = world("6.12").vma("a", 8)
    scene.thread("t", Madvise(at("a"), 4, MADV_DONTDUMP))
    done(scene)
    assert [bool(vma.vm_flags & VM_DONTDUMP) for vma in scene.mm.tree] == [True, False]


# Guard regions


def test_guard_regions_came_with_6_13() -> None:
    for kernel in ("6.12", "6.15"):
        scene = world(kernel).vma("a", 8)
        scene.thread("t", Madvise(at("a"), 4, MADV_GUARD_INSTALL))
        assert done(scene).results() == [0 if kernel == "6.15" else -22]


@pytest.mark.parametrize(("kernel", "mode"), GUARDED)
@pytest.mark.parametrize("touched", [0, 8])
def test_a_guarded_page_cannot_be_touched_until_the_guard_is_gone(
    kernel: str, mode: str, touched: int
) -> None:
    scene = world(kernel, mode).vma("a", 8)
    if touched:
        scene.touched("a")
    scene.thread(
        "t",
        Madvise(at("a", 2), 2, MADV_GUARD_INSTALL),
        Madvise(at("a"), 8, MADV_DONTNEED),
        Access(at("a", 1), write=True),
        Access(at("a", 2), write=True),
        Access(at("a", 3)),
        Madvise(at("a"), 8, MADV_GUARD_REMOVE),
        Access(at("a"), write=True, pages=8),
    )
    done(scene)
    assert scene.results() == [0, 0, 0, -14, -14, 0, 0]
    assert len(scene.layout()) == 1


@pytest.mark.parametrize(
    ("kernel", "touched", "modes"),
    [("6.15", 8, [event.READ]), ("6.18", 8, [event.READ]), ("7.2", 8, []),
     ("7.2", 0, [event.READ])],
)  # fmt: skip
def test_since_7_2_the_vma_lock_is_enough_if_there_is_an_anon_vma(
    kernel: str, touched: int, modes: list[int]
) -> None:
    scene = world(kernel).vma("a", 8)
    if touched:
        scene.touched("a")
    scene.thread("t", Madvise(at("a"), 4, MADV_GUARD_INSTALL))
    assert mmap_lock_modes(done(scene)) == modes


def test_a_guard_page_needs_no_vma_of_its_own() -> None:
    scene = world("6.18").vma("a", 8, start=0x7000_0000_0000).touched("a")
    thread = scene.thread("t", Madvise(at("a", 4), 1, MADV_GUARD_INSTALL))
    done(scene)
    assert "__split_vma" not in scene.functions(thread)
    assert scene.mm.page_tables.pte(scene.named("a") + 4 * PAGE_SIZE) == GUARD


# mincore


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_mincore_counts_what_is_there_chunk_by_chunk(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("a", 9000).touched("a", 5000)
    scene.thread("t", Mincore(at("a"), 9000), Mincore(at("a", 8999), 2))
    done(scene)
    assert scene.results() == [5000, -12]
    if kernel != "beyond":
        assert mmap_lock_modes(scene) == [event.READ] * 5
