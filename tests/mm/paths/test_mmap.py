"""mmap as seen from outside: which steps, in which order, under which locks, with which result."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_SHARED,
    PAGE_SIZE,
    PROT_READ,
    Access,
    Mmap,
    Munmap,
)
from pfviz.mm.policy import Policy
from pfviz.sim import event
from tests.worlds import Scene, at, world

FIXED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_new_vma_is_write_locked_before_the_tree_shows_it(kernel: str) -> None:
    scene = world(kernel)
    thread = scene.thread("t", Mmap(4))
    names = done(scene).functions(thread)

    locking = {"6.12": ["vma_start_write"], "6.18": ["__vma_enter_locked", "__vma_start_write"]}
    assert names == [
        "user",
        "do_syscall_64",
        "vm_mmap_pgoff",
        "mm_lock_seqcount_begin",
        "__get_unmapped_area",
        "vma_merge_new_range",
        "vm_area_alloc",
        "vma_iter_prealloc",
        "__mmap_new_vma",
        "__is_vma_write_locked",
        *locking[kernel],
        "mas_store_root",
        "vma_iter_store_new",
        "__mmap_complete",
        "mmap_write_unlock",
        "syscall_exit_to_user_mode",
        "user",
    ]


@pytest.mark.parametrize(("kernel", "mode"), [("6.1", ""), ("6.12", "mmap_lock")])
def test_without_vma_locks_nothing_locks_a_vma(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("a", 4).touched("a")
    scene.thread("t", Mmap(4), Munmap(at("a", 1), 2))
    names = done(scene).functions()
    assert not any("vma_start_write" in name or "seqcount" in name for name in names)
    locks = {found["kind"] for found in scene.events(event.LOCK_NEW)}
    assert "vma_lock" not in locks


def test_6_4_stores_a_new_vma_without_locking_it() -> None:
    scene = world("6.4")
    scene.thread("t", Mmap(4))
    assert "vma_start_write" not in done(scene).functions()


def test_a_mapping_beside_an_equal_one_is_merged_into_it() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    thread = scene.thread("t", Mmap(4, slot="x"))
    before = scene.named("a")
    names = done(scene).functions(thread)

    assert scene.layout() == [((before >> 12) - 4, (before >> 12) + 4, "rw-p")]
    assert thread.slots["x"] == before - 4 * PAGE_SIZE
    order = ["vma_expand", "vma_start_write", "commit_merge", "vma_prepare", "vma_iter_store",
             "vma_complete", "mmap_write_unlock"]  # fmt: skip
    assert [name for name in names if name in order] == ["vma_expand", *order[1:2], "vma_expand",
                                                        *order[2:]]  # fmt: skip


def test_a_merge_takes_the_anon_vma_lock_around_the_store() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    scene.thread("t", Mmap(4))
    done(scene)
    kinds = {found["lock"]: found["kind"] for found in scene.events(event.LOCK_NEW)}
    taken = [
        (row[1], kinds.get(row[3]))
        for row in scene.engine.log
        if row[2] >= 0 and row[1] in (event.LOCK_ACQUIRED, event.LOCK_RELEASED, event.MA_WRITE)
    ]
    store = next(index for index, (kind, _) in enumerate(taken) if kind == event.MA_WRITE)
    assert (event.LOCK_ACQUIRED, "anon_vma") in taken[:store]
    assert (event.LOCK_RELEASED, "anon_vma") in taken[store:]


def test_a_mapping_that_closes_a_gap_swallows_the_vma_above() -> None:
    scene = world("6.18").vma("a", 4)
    base = scene.named("a") - 8 * PAGE_SIZE
    scene.vma("b", 4, start=base).touched("b")
    scene.thread("t", Mmap(4, at=at(base + 4 * PAGE_SIZE)))
    done(scene)
    assert scene.layout() == [(base >> 12, (base >> 12) + 12, "rw-p")]
    assert [found["vma"] for found in scene.events(event.VMA_FREED)] == [scene.vmas["a"].id]


def test_vmas_with_different_anon_vmas_do_not_merge() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    base = scene.named("a") - 8 * PAGE_SIZE
    scene.vma("b", 4, start=base).touched("b")
    scene.thread("t", Mmap(4, at=at(base + 4 * PAGE_SIZE)))
    done(scene)
    assert len(scene.layout()) == 2


def test_the_policy_can_forbid_merging() -> None:
    scene = world("6.12", policy=Policy(merge=False)).vma("a", 4)
    scene.thread("t", Mmap(4))
    done(scene)
    assert len(scene.layout()) == 2


def test_an_expanding_mmap_waits_for_the_fault_that_holds_the_neighbour() -> None:
    """FP 3.9: two mallocs that merge make the second wait for the faults of the first."""
    scene = world("6.12", zero=50_000).vma("a", 4).touched("a", 1)
    fault = scene.thread("fault", Access(at("a", 2), write=True))
    writer = scene.thread("mmap", Mmap(4), cpu=1, after_ns=5_000)
    done(scene)
    ended = scene.events(event.FAULT_END, fault)[0]
    mapped = scene.events(event.OP_END, writer)[0]
    assert ended["latency_ns"] > 50_000
    assert mapped["latency_ns"] > 40_000


@pytest.mark.parametrize(("kernel", "sees_gap"), [("6.1", True), ("6.12", False), ("6.18", False)])
def test_map_fixed_leaves_a_gap_only_before_6_12(kernel: str, sees_gap: bool) -> None:
    scene = world(kernel).vma("a", 8, "r").touched("a")
    scene.thread("t", Mmap(2, flags=FIXED, at=at("a", 3)))
    engine, address = scene.engine, scene.named("a") + 3 * PAGE_SIZE
    gap = False
    while engine.step():
        gap |= scene.mm.vma_at(address) is None
    assert gap is sees_gap
    start = scene.named("a") >> 12
    assert scene.layout() == [
        (start, start + 3, "r--p"),
        (start + 3, start + 5, "rw-p"),
        (start + 5, start + 8, "r--p"),
    ]
    assert scene.mm.page_tables.count_present(address, address + 2 * PAGE_SIZE) == 0


def test_a_file_mapping_hangs_in_the_files_tree() -> None:
    scene = world("6.12")
    file = scene.file("lib.so", 16)
    scene.thread("t", Mmap(8, prot=PROT_READ, flags=MAP_SHARED, file="lib.so", pgoff=2))
    done(scene)
    (vma,) = scene.mm.tree
    assert file.vmas == [vma.id]
    assert (vma.vm_pgoff, vma.perms, vma.kind) == (2, "r--s", "file")


def test_populate_maps_every_page_under_mmap_lock() -> None:
    scene = world("6.12")
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE
    thread = scene.thread("t", Mmap(5, flags=flags, slot="x"))
    done(scene)
    start = thread.slots["x"]
    assert scene.mm.page_tables.count_present(start, start + 5 * PAGE_SIZE) == 5
    assert scene.events(event.FAULT_BEGIN) == []
    reads = [one for one in scene.events(event.LOCK_START) if one["mode"] == event.READ]
    assert len(reads) == 1


def test_an_impossible_mapping_returns_an_error_and_unlocks() -> None:
    scene = world("6.12")
    scene.thread("t", Mmap(1 << 36), Mmap(1, file="no such file"), Mmap(0))
    done(scene)
    assert scene.results() == [-12, -12, -22]
    assert not scene.mm.mmap_lock.is_write_locked
