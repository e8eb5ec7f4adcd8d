"""get_user_pages: fast with interrupts off, slow under mmap_lock; who waits for whom meanwhile."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_POPULATE,
    MAP_PRIVATE,
    Access,
    Fork,
    GetUserPages,
    IrqsOff,
    Mmap,
    Munmap,
    OperationList,
)
from pfviz.mm.paths import zap
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.sim import event
from pfviz.sim.task import Step
from tests.worlds import Scene, at, world

BASE = 0x7000_0000_0000
KERNELS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def took_mmap_lock(scene: Scene, thread: Thread) -> bool:
    return any(
        one["lock"] == scene.mm.mmap_lock.id for one in scene.events(event.LOCK_ACQUIRED, thread)
    )


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_resident_pages_are_taken_without_any_lock(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("m", 64).touched("m")
    thread = scene.thread("t", GetUserPages(at("m"), 64, write=True))
    done(scene)
    assert scene.results() == [64]
    assert not took_mmap_lock(scene, thread)
    assert [one["enabled"] for one in scene.events(event.IRQ)] == [0, 1]


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_what_is_missing_is_faulted_in_under_mmap_lock(kernel: str, mode: str) -> None:
    scene = world(kernel, mode).vma("m", 64).touched("m", 10)
    thread = scene.thread("t", GetUserPages(at("m"), 12, write=True))
    done(scene)
    assert scene.results() == [12]
    assert took_mmap_lock(scene, thread)
    assert scene.mm.page_tables.rss_anon == 12
    assert not scene.events(event.FAULT_BEGIN)  # no exception happens


def test_a_range_without_a_vma_gives_what_lies_before_it() -> None:
    scene = world("6.12").vma("m", 8).touched("m")
    scene.thread("t", GetUserPages(at("m"), 12), GetUserPages(at("m", 9), 1))
    assert done(scene).results() == [8, -14]


def test_a_page_that_a_device_holds_outlives_its_mapping() -> None:
    scene = world("6.12", cpus=2).vma("m", 4).touched("m")
    scene.thread("driver", GetUserPages(at("m"), 4, pin=True, write=True, hold_ns=500_000))
    scene.thread("t", Munmap(at("m"), 4), cpu=1, after_ns=20_000)
    scene.run(until_ns=200_000)
    assert scene.mm.page_tables.rss_anon == 0
    assert scene.engine.world.frames.used == 4
    done(scene)
    assert scene.engine.world.frames.used == 0


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_populating_uses_mmap_lock_and_never_a_vma_lock(kernel: str) -> None:
    scene = world(kernel)
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE
    thread = scene.thread("t", Mmap(4, flags=flags))
    done(scene)
    assert scene.mm.page_tables.rss_anon == 4
    names = scene.functions(thread)
    assert names.index("find_vma_intersection") < names.index("populate_vma_page_range")
    assert names.index("follow_page_mask") < names.index("faultin_page")
    assert "lock_vma_under_rcu" not in names
    found = {one["function"] for one in scene.events(event.MA_READ)}
    assert ("mtree_load" in found) == (kernel == "6.1")


def walked(policy: str, irqs_off_ns: int = 0, walk: int = 0) -> tuple[Scene, int]:
    """How long an unmap of one page table takes while CPU 1 answers no interrupt."""
    scene = world("6.12", cpus=4, policy=Policy(page_table_free=policy))
    scene.vma("m", 512, start=BASE).touched("m").vma("w", 2048, start=BASE + (1 << 32)).touched("w")
    if walk:
        scene.thread("walker", GetUserPages(at("w"), walk), cpu=1)
    if irqs_off_ns:
        other = Scene(scene.engine, scene.mm)
        other.thread("driver", IrqsOff(irqs_off_ns), cpu=1)
    unmapper = scene.thread("unmapper", Munmap(at("m"), 512), after_ns=300)
    done(scene)
    (end,) = scene.events(event.OP_END, unmapper)
    return scene, end["latency_ns"]


@pytest.mark.parametrize("policy", ["rcu", "ipi"])
def test_an_unmap_waits_for_a_cpu_that_walks_with_interrupts_off(policy: str) -> None:
    _, alone_ns = walked(policy)
    scene, latency_ns = walked(policy, irqs_off_ns=400_000)
    assert latency_ns > 390_000 > alone_ns
    (begin, *_) = scene.events(event.SPIN_BEGIN)
    names = {one["lock"]: one["name"] for one in scene.events(event.LOCK_NEW)}
    assert names[begin["lock"]] == "interrupts of CPU 1"


def test_by_interrupt_every_cpu_is_asked_and_tables_are_freed_at_once() -> None:
    asked = {}
    for policy in ("kernel", "rcu", "ipi"):
        scene, _ = walked(policy)
        asked[policy] = [one["what"] for one in scene.events(event.IPI)]
        tables = [one["what"] for one in scene.events(event.RCU_CALLBACK)]
        assert ("page tables" in tables) == (policy == "rcu")
    assert asked == {"kernel": [], "rcu": [], "ipi": ["tlb_remove_table_smp_sync"] * 3}


@pytest.mark.parametrize(
    ("kernel", "mode", "wait"),
    [
        ("6.1", "mmap_lock", ["flush_tlb_func"]),
        ("6.12", "per-vma", ["flush_tlb_func"]),
        ("6.12", "lockless", ["flush_tlb_func", "page tables"]),
        ("6.15", "per-vma", ["flush_tlb_func", "page tables"]),
        ("7.2", "mmap_lock", ["flush_tlb_func", "page tables"]),
    ],
)
def test_before_6_15_tables_wait_for_the_flush_alone(
    kernel: str, mode: str, wait: list[str]
) -> None:
    """As recorded; lockless faults need a grace period whatever the kernel does."""
    scene = world(kernel, mode, cpus=4).vma("m", 512, start=BASE).touched("m").vma("w", 8)
    scene.thread("idle", Access(at("w"), write=True), cpu=1)
    scene.thread("unmapper", Munmap(at("m"), 512), after_ns=90_000)
    tables = list(scene.mm.page_tables.all_tables())
    done(scene)
    callbacks = {one["what"] for one in scene.events(event.RCU_CALLBACK)}
    asked = {one["what"] for one in scene.events(event.IPI)}
    assert sorted(asked | callbacks & {"page tables"}) == wait
    assert [table.is_freed for table in tables if table.base == BASE] == [True]


def test_tables_that_go_with_the_pages_wait_for_walks_with_interrupts_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The flush of the TLBs is all that protects GUP-fast where tables are not freed by RCU."""

    def broken() -> set[str]:
        scene = world("6.12", cpus=4, gup_pte=800)
        scene.vma("m", 512, start=BASE).touched("m")
        scene.thread("walker", GetUserPages(at("m"), 512), cpu=1)
        scene.thread("unmapper", Munmap(at("m"), 512), after_ns=1_000)
        rules.run(scene.engine, every_steps=1)
        return {one.rule for one in scene.engine.world.broken} & {"I5"}

    def flushes_nobody(*arguments: object, **_: object) -> Step:
        then: Step = arguments[5]  # type: ignore[assignment]
        return then

    assert broken() == set()
    monkeypatch.setattr(zap, "flush_tlb_range", flushes_nobody)
    assert broken() == {"I5"}


def test_tables_freed_under_a_walk_with_interrupts_off_break_a_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who waited for nobody would pull the table away from under GUP-fast."""

    def waits_for_nobody(engine: object, task: object, then: Step) -> Step:
        return then

    def flushes_nobody(*arguments: object, **_: object) -> Step:
        then: Step = arguments[5]  # type: ignore[assignment]
        return then

    def broken(wait: bool) -> set[str]:
        if not wait:
            monkeypatch.setattr(zap, "tlb_remove_table_sync_one", waits_for_nobody)
        monkeypatch.setattr(zap, "flush_tlb_range", flushes_nobody)
        policy = Policy(page_table_free="ipi")
        scene = world("6.12", cpus=4, policy=policy, gup_pte=800)
        scene.vma("m", 512, start=BASE).touched("m")
        scene.thread("walker", GetUserPages(at("m"), 512), cpu=1)
        scene.thread("unmapper", Munmap(at("m"), 512), after_ns=1_000)
        rules.run(scene.engine, every_steps=1)
        return {one.rule for one in scene.engine.world.broken} & {"I5"}

    assert broken(wait=True) == set()
    assert broken(wait=False) == {"I5"}


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_who_pins_while_fork_shares_pages_begins_again(kernel: str) -> None:
    scene = world(kernel, cpus=4).vma("m", 512, start=BASE).touched("m")
    scene.thread("fork", Fork(OperationList(())), cpu=1)
    pin = GetUserPages(at("m"), 64, write=False, pin=True)
    scene.thread("driver", pin, repeat=30, after_ns=20_000)
    done(scene)
    assert set(scene.results(scene.engine.tasks[1])) == {64}  # type: ignore[arg-type]


def test_pinning_a_page_that_is_shared_would_break_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    from pfviz.mm.paths import gup_fast

    scene = world("6.12", cpus=2).vma("m", 4).touched("m")
    scene.thread("t", Fork(OperationList(())), GetUserPages(at("m"), 1, pin=True), Access(at("m")))
    shared = gup_fast._must_unshare
    calls: list[int] = []

    def once(engine: object, pfn: int) -> bool:
        calls.append(pfn)
        return len(calls) > 1 and shared(engine, pfn)  # type: ignore[arg-type]

    monkeypatch.setattr(gup_fast, "_must_unshare", once)
    rules.run(scene.engine, every_steps=1)
    assert {one.rule for one in scene.engine.world.broken} == {"I22"}
