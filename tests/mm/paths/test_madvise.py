"""madvise: which lock each advice takes on which kernel, and what becomes of the pages."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_DONTNEED,
    MADV_FREE,
    MADV_NORMAL,
    MADV_RANDOM,
    MADV_SEQUENTIAL,
    PAGE_SIZE,
    Access,
    Madvise,
)
from pfviz.mm.page_table import DIRTY
from pfviz.mm.vma import VM_RAND_READ, VM_SEQ_READ
from pfviz.sim import event
from tests.worlds import Scene, at, world


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
