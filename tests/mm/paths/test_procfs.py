"""Monitors: what reading maps, smaps and smaps_rollup holds, for how long, and who waits for it."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PAGE_SIZE,
    Access,
    Mmap,
    Mprotect,
    Munmap,
    ReadProc,
)
from pfviz.mm.page_table import ACCESSED
from pfviz.mm.paths.lock_vma import lock_next_found
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=8)
    assert scene.engine.world.broken == []
    return scene


def many(kernel: str, count: int, mode: str = "") -> Scene:
    """A process of `count` VMAs that cannot merge."""
    scene = world(kernel, mode)
    for number in range(count):
        scene.vma(f"v{number}", 1, "rw" if number % 2 else "r")
    return scene


def under_vma_locks(scene: Scene) -> bool:
    """Whether VMAs were locked for reading."""
    return any(one["what"] == "read_locked" for one in scene.events(event.VMA_LOCK_EVENT))


def holds(scene: Scene) -> int:
    """How often mmap_lock was held."""
    lock = scene.mm.mmap_lock.id
    return sum(one["lock"] == lock for one in scene.events(event.LOCK_ACQUIRED))


@pytest.mark.parametrize(
    ("kernel", "file", "expected"),
    [("6.1", "maps", 3), ("6.12", "maps", 3), ("6.18", "maps", 0), ("6.18", "smaps", 41),
     ("6.12", "smaps", 41), ("6.18", "smaps_rollup", 1)],
)  # fmt: skip
def test_how_often_each_file_takes_mmap_lock(kernel: str, file: str, expected: int) -> None:
    """Observed on 6.18: no hold for maps, one per five VMAs for smaps, one for the roll-up."""
    scene = many(kernel, 201)
    scene.thread("monitor", ReadProc(file))
    assert holds(done(scene)) == expected


def test_maps_takes_mmap_lock_when_there_are_no_vma_locks() -> None:
    scene = many("6.18", 3, mode="mmap_lock")
    scene.thread("monitor", ReadProc("maps"))
    assert holds(done(scene)) == 1


def test_maps_in_6_18_locks_one_vma_after_another() -> None:
    scene = many("6.18", 5)
    scene.thread("monitor", ReadProc("maps"))
    done(scene)
    locks = [one["vma"] for one in scene.events(event.VMA_LOCK_EVENT) if one["task"] >= 0]
    order = [vma.id for vma in scene.mm.tree]
    assert locks == [number for number in order for _ in ("locked", "unlocked")]


def with_gaps(count: int) -> Scene:
    """Single pages of 6.18, each with a page of nothing below it."""
    scene = world("6.18")
    for number in range(count):
        scene.vma(f"v{number}", 1, "rw" if number % 2 else "r", start=BASE + 2 * number * PAGE_SIZE)
    return scene


def test_maps_in_6_18_needs_mmap_lock_only_for_the_vma_that_is_being_changed() -> None:
    """A writer elsewhere makes the reader look twice at each gap, and then go on."""
    scene = with_gaps(30)
    monitor = scene.thread("monitor", ReadProc("maps"), repeat=6)
    changes = [Mprotect(at("v10"), 1, prot) for prot in (3, 1)]
    scene.thread("writer", *changes, cpu=1, repeat=20)
    done(scene)
    shown = scene.functions(monitor).count("show_map")
    slowly = scene.functions(monitor).count("lock_next_vma_under_mmap_lock")
    assert shown == 6 * 30
    assert slowly <= 6


def test_maps_in_6_18_looks_a_write_locked_vma_up_under_mmap_lock() -> None:
    scene = with_gaps(3)
    monitor = scene.thread("monitor", ReadProc("maps"))
    scene.vmas["v1"].vm_lock_seq = scene.mm.mm_lock_seq.value
    done(scene)
    assert scene.functions(monitor).count("lock_next_vma_under_mmap_lock") == 1
    assert scene.functions(monitor).count("show_map") == 3


def test_maps_in_6_18_reports_no_gap_that_was_filled_before_it_had_the_vma_behind_it() -> None:
    scene = with_gaps(3)
    monitor = scene.thread("monitor", ReadProc("maps"))
    while monitor.step is not lock_next_found or monitor.vma is not scene.vmas["v1"]:
        scene.engine.step()
    # Somebody maps the page below what was found, and is gone again.
    scene.vma("between", 1, "rw", start=scene.named("v1") - PAGE_SIZE)
    scene.mm.mm_lock_seq.value += 2
    done(scene)
    assert scene.functions(monitor).count("show_map") == 4
    assert scene.functions(monitor).count("lock_next_vma_under_mmap_lock") == 1


def test_maps_in_6_18_looks_again_when_what_it_found_is_detached() -> None:
    scene = with_gaps(3)
    monitor = scene.thread("monitor", ReadProc("maps"))
    while monitor.step is not lock_next_found or monitor.vma is not scene.vmas["v1"]:
        scene.engine.step()
    gone = scene.vmas["v1"]
    scene.mm.tree.store(scene.engine, gone.vm_start, gone.vm_end, None, "mas_store")
    gone.detached = True
    assert gone.vm_refcnt is not None
    gone.vm_refcnt.value = 0
    done(scene)
    assert scene.functions(monitor).count("show_map") == 2
    assert "lock_next_vma_under_mmap_lock" not in scene.functions(monitor)


def test_smaps_holds_mmap_lock_48_ns_for_each_resident_page() -> None:
    scene = world("6.18").vma("a", 2048).touched("a")
    scene.thread("monitor", ReadProc("smaps"))
    done(scene)
    lock = scene.mm.mmap_lock.id
    held = max(one["hold_ns"] for one in scene.events(event.LOCK_RELEASED) if one["lock"] == lock)
    assert held == pytest.approx(2048 * 48.5, rel=0.1)


def test_smaps_looks_at_one_page_table_at_a_time_and_can_be_preempted_between() -> None:
    scene = world("6.12").vma("a", 2048).touched("a")
    scene.thread("monitor", ReadProc("smaps"))
    done(scene)
    locked = [one for one in scene.functions() if one == "smaps_pte_range"]
    assert len(locked) in (4, 5)
    assert "cond_resched" in scene.functions()


def test_a_writer_waits_for_the_monitor_and_faults_wait_for_the_writer() -> None:
    """The priority inversion of FP 4.5: a reader delays a writer, the writer delays faults."""
    scene = world("6.1", cpus=4).vma("a", 65536).touched("a", 65535)
    monitor = scene.thread("monitor", ReadProc("smaps"))
    writer = scene.thread("writer", Munmap(at("a"), 1), cpu=1, after_ns=100_000)
    fault = scene.thread("fault", Access(at("a", 65535), write=True), cpu=2, after_ns=200_000)
    done(scene)
    hold = scene.events(event.OP_END, monitor)[0]["latency_ns"]
    assert hold > 3_000_000
    assert scene.events(event.OP_END, writer)[0]["latency_ns"] > hold // 2
    assert scene.events(event.OP_END, fault)[0]["latency_ns"] > hold // 2
    begun = scene.events(event.CONTENTION_BEGIN, fault)
    assert [one["mode"] for one in begun] == [event.READ]


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_under_vma_locks_the_same_fault_does_not_wait(kernel: str) -> None:
    scene = world(kernel, cpus=4).vma("b", 8, "r").vma("a", 65536).touched("a", 65535)
    scene.thread("monitor", ReadProc("smaps"))
    scene.thread("writer", Mmap(1), cpu=1, after_ns=100_000)
    fault = scene.thread("fault", Access(at("a", 65535), write=True), cpu=2, after_ns=200_000)
    done(scene)
    assert scene.events(event.OP_END, fault)[0]["latency_ns"] < 20_000


def test_the_roll_up_gives_way_between_two_vmas_but_steals_the_lock_back() -> None:
    """A woken writer must compete; the reader is faster until the hand-off after 4 ms (FP 4.3)."""
    scene = world("6.12", cpus=2)
    for number in range(16):
        scene.vma(f"v{number}", 8192, "rw" if number % 2 else "r").touched(f"v{number}")
    monitor = scene.thread("monitor", ReadProc("smaps_rollup"))
    writer = scene.thread("writer", Mmap(1), cpu=1, after_ns=50_000)
    done(scene)
    whole = scene.events(event.OP_END, monitor)[0]["latency_ns"]
    waited = scene.events(event.OP_END, writer)[0]["latency_ns"]
    assert 4_000_000 < waited < 5_000_000 < whole
    assert holds(scene) > 10
    assert scene.events(event.LOCK_HANDOFF)


# The other files


@pytest.mark.parametrize("kernel", PRESETS)
@pytest.mark.parametrize("file", ["maps", "smaps", "numa_maps", "smaps_rollup", "pagemap"])
def test_what_each_file_holds_in_each_kernel(kernel: str, file: str) -> None:
    """maps since 6.17, smaps and numa_maps since 7.2 lock one VMA at a time; the others never."""
    since = {"maps": "6.17", "smaps": "7.2", "numa_maps": "7.2"}.get(file)
    names = list(PRESETS)
    one_vma = since is not None and names.index(kernel) >= names.index(since)
    scene = many(kernel, 20)
    scene.thread("monitor", ReadProc(file))
    done(scene)
    assert under_vma_locks(scene) == one_vma
    assert (holds(scene) == 0) == one_vma


def test_numa_maps_holds_mmap_lock_once_per_168_vmas() -> None:
    scene = many("6.18", 400)
    scene.thread("monitor", ReadProc("numa_maps"))
    assert holds(done(scene)) == 3
    assert scene.results() == [3]


def test_smaps_under_vma_locks_leaves_rcu_for_the_walk() -> None:
    scene = world("7.2").vma("a", 2048).touched("a")
    scene.thread("monitor", ReadProc("smaps"))
    done(scene)
    inside = []
    reading = 0
    for row in scene.engine.log:
        if row[1] == event.RCU_READ_BEGIN:
            reading += 1
        elif row[1] == event.RCU_READ_END:
            reading -= 1
        elif row[1] == event.STEP and scene.engine.log.steps[row[3]].function == "cond_resched":
            inside.append(reading)
    assert len(inside) > 3
    assert not any(inside)


def writer_waits(kernel: str, beside: str) -> int:
    """How long a mmap beside a VMA takes while a monitor reads smaps: "b" is read-only."""
    scene = world(kernel, cpus=4)
    large = scene.vma("a", 65536, start=BASE).touched("a")
    large.vma("b", 8, "r", start=BASE - 65536 * PAGE_SIZE)
    scene.thread("monitor", ReadProc("smaps"))
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    place = at(beside, 65536 if beside == "a" else 8)
    writer = scene.thread("writer", Mmap(1, flags=flags, at=place), cpu=1, after_ns=100_000)
    latency: int = done(scene).events(event.OP_END, writer)[0]["latency_ns"]
    return latency


def test_since_7_2_a_writer_waits_for_smaps_only_if_it_changes_the_vma_that_is_read() -> None:
    assert writer_waits("6.18", beside="b") > 1_000_000
    assert writer_waits("7.2", beside="b") < 20_000
    assert writer_waits("7.2", beside="a") > 1_000_000  # it merges with what is read


def test_pagemap_holds_mmap_lock_for_one_page_table_at_a_time() -> None:
    """Recorded on 6.18: two holds for one read of 512 entries."""
    scene = world("6.18").vma("a", 2048, start=BASE).touched("a", 600)
    scene.thread("monitor", ReadProc("pagemap", place=at("a"), pages=512))
    assert holds(done(scene)) == 2
    scene = world("6.18").vma("a", 2048, start=BASE).touched("a", 600)
    scene.thread("monitor", ReadProc("pagemap"))
    assert holds(done(scene)) == 8
    assert scene.results() == [4]


@pytest.mark.parametrize("kernel", PRESETS)
def test_clear_refs_holds_mmap_lock_for_writing_and_makes_entries_old(kernel: str) -> None:
    scene = world(kernel).vma("a", 600).touched("a")
    scene.thread("monitor", ReadProc("clear_refs"))
    done(scene)
    taken = [
        one for one in scene.events(event.LOCK_ACQUIRED) if one["lock"] == scene.mm.mmap_lock.id
    ]
    assert [one["mode"] for one in taken] == [event.WRITE]
    assert scene.results() == [600]
    assert not scene.mm.page_tables.pte(scene.named("a")) & ACCESSED


@pytest.mark.parametrize(("kernel", "locks"), [("6.1", 0), ("6.5", 0), ("6.6", 3), ("6.18", 3)])
def test_since_6_6_clear_refs_write_locks_each_vma(kernel: str, locks: int) -> None:
    scene = many(kernel, 3)
    scene.thread("monitor", ReadProc("clear_refs"))
    done(scene)
    told = [one["what"] for one in scene.events(event.VMA_LOCK_EVENT)]
    assert told.count("write_locked") == locks
