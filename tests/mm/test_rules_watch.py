"""Rules in the act: what is wrong for a few steps only is seen, and nobody cries wolf."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfviz.mm import rules
from pfviz.mm.mmap_lock import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
)
from pfviz.mm.operations import PROT_READ, Access, Compute, Fork, Mprotect, OperationList
from pfviz.mm.page_cache import folio_trylock, folio_unlock
from pfviz.mm.page_table import PRESENT, WRITABLE
from pfviz.mm.paths import mprotect as mprotect_paths
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.rules_watch import LOCK_ORDER
from pfviz.mm.thread import Thread
from pfviz.mm.vma_lock import read_locked, vma_end_read, vma_read_trylock
from pfviz.mm.world import Mm, World
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_read, down_write, up_read, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock
from tests.worlds import Scene, at, world

WRITE = Access(at("m"), write=True)


def seldom(scene: Scene) -> list[str]:
    """Run with the rules watched, but the whole world never looked at; what broke."""
    rules.watch(scene.engine)
    scene.run()
    return [broken.rule for broken in scene.engine.world.broken]


def forking(kernel: str, mode: str = "", policy: Policy | None = None) -> Scene:
    """A write to copied pages while fork is still copying others."""
    scene = world(kernel, mode, cpus=4, policy=policy)
    scene.vma("z", 400).touched("z").vma("m", 4).touched("m")
    child = OperationList((Compute(1_000),))
    scene.thread("forker", Fork(child, child_cpu=2))
    scene.thread("writer", Access(at("m"), write=True, pages=4), cpu=1, after_ns=30_000)
    return scene


def test_a_fault_inside_the_fork_of_6_4_0_is_seen_though_it_lasts_a_few_steps() -> None:
    assert seldom(forking("6.4")) == ["F1"]
    assert seldom(forking("6.12")) == []


def test_no_lockless_fault_commits_inside_fork_whatever_its_scope(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_vma = Policy(lockless_scope="vma_seq")
    for kernel in ("6.4", "6.12", "6.18"):
        assert seldom(forking(kernel, "lockless", by_vma)) == []
    # What 6.4.0 would do: fork that locks no VMA leaves the VMA's number as it was.
    monkeypatch.setattr("pfviz.mm.paths.fork.vma_start_write", lambda _e, _t, _v, then: then)
    assert seldom(forking("6.4", "lockless", by_vma)) == ["F1"]


def odd_thread(scene: Scene, first: Step) -> Thread:
    """A thread that does steps of a test instead of operations."""
    thread = scene.thread("odd", cpu=1, after_ns=2_000)
    thread.step = first
    return thread


@step("lib/test.c")
def hold_m(engine: Mm, thread: Thread) -> Step:
    """Lock the VMA for reading without a look at the sequence."""
    vma = thread.mm.tree.at(thread.mm.slots["m"])
    assert vma is not None
    thread.vma = vma
    vma_read_trylock(engine, thread, vma)
    read_locked(engine, vma)
    return change_m


@step("lib/test.c")
def change_m(engine: Mm, thread: Thread) -> Step:
    """Change it, without a word, and put it right before anybody else looks."""
    assert thread.vma is not None
    thread.vma.vm_flags ^= 4
    return let_go_of_m


@step("lib/test.c")
def let_go_of_m(engine: Mm, thread: Thread) -> None:
    """Give it back."""
    assert thread.vma is not None
    vma_end_read(engine, thread, thread.vma)
    engine.end()


@step("lib/test.c")
def write_then_hold(engine: Mm, thread: Thread) -> Step:
    """Write-lock the address space and the VMA, then let a reader in."""
    return mmap_write_lock(engine, thread, thread.mm, mark_and_hold)


@step("lib/test.c")
def mark_and_hold(engine: Mm, thread: Thread) -> Step:
    """The mark says write-locked, the lock word is free."""
    vma = thread.mm.tree.at(thread.mm.slots["m"])
    assert vma is not None
    vma.vm_lock_seq = thread.mm.mm_lock_seq.value
    thread.vma = vma
    vma_read_trylock(engine, thread, vma)
    read_locked(engine, vma)
    return unmark


@step("lib/test.c")
def unmark(engine: Mm, thread: Thread) -> None:
    """Undo it all."""
    vma, mm = thread.vma, thread.mm
    assert vma is not None
    vma_end_read(engine, thread, vma)
    vma.vm_lock_seq = -1
    mm.mm_lock_seq.write_end(engine)
    up_write(engine, thread, mm.mmap_lock)
    engine.end()


@step("lib/test.c")
def write_and_forget(engine: Mm, thread: Thread) -> Step:
    """A writer that forgets the sequence."""
    return mmap_write_lock(engine, thread, thread.mm, forget)


@step("lib/test.c")
def forget(engine: Mm, thread: Thread) -> Step:
    """Give the lock back, the sequence still odd."""
    up_write(engine, thread, thread.mm.mmap_lock)
    return remember


@step("lib/test.c")
def remember(engine: Mm, thread: Thread) -> None:
    """One step later all is well again."""
    thread.mm.mm_lock_seq.write_end(engine)
    engine.end()


@step("lib/test.c")
def file_first(engine: Mm, thread: Thread) -> Step:
    """Lock the tree of a file, which is an inner lock."""
    return down_write(engine, thread, engine.world.files["f"].i_mmap, mmap_second)


@step("lib/test.c")
def mmap_second(engine: Mm, thread: Thread) -> Step:
    """Then mmap_lock, which nobody else wants: it does not wait."""
    return down_read(engine, thread, thread.mm.mmap_lock, both_back)


@step("lib/test.c")
def both_back(engine: Mm, thread: Thread) -> None:
    """Give both back."""
    up_read(engine, thread, thread.mm.mmap_lock)
    up_write(engine, thread, engine.world.files["f"].i_mmap)
    engine.end()


@step("lib/test.c")
def table_first(engine: Mm, thread: Thread) -> Step:
    """Lock a page table, then ask for a lock that may sleep."""
    table = thread.mm.page_tables.walk(thread.mm.slots["m"])
    assert table is not None
    return spin_lock(engine, thread, table.ptl, anon_vma_second)


@step("lib/test.c")
def anon_vma_second(engine: Mm, thread: Thread) -> Step:
    """Lock the anon_vma inside it."""
    vma = thread.mm.tree.at(thread.mm.slots["m"])
    assert vma is not None
    assert vma.anon_vma is not None
    return down_read(engine, thread, vma.anon_vma.rwsem, table_back)


@step("lib/test.c")
def table_back(engine: Mm, thread: Thread) -> None:
    """Give both back."""
    vma = thread.mm.tree.at(thread.mm.slots["m"])
    table = thread.mm.page_tables.walk(thread.mm.slots["m"])
    assert vma is not None
    assert vma.anon_vma is not None
    assert table is not None
    up_read(engine, thread, vma.anon_vma.rwsem)
    spin_unlock(engine, thread, table.ptl)
    engine.end()


@step("lib/test.c")
def page_first(engine: Mm, thread: Thread) -> Step:
    """Lock a page of the file, then ask for what keeps truncation out, which is an outer lock."""
    file = engine.world.files["f"]
    folio = file.folio(engine, 0)
    assert folio is not None
    assert folio_trylock(engine, thread, folio)
    return down_read(engine, thread, file.invalidate_lock, page_back)


@step("lib/test.c")
def page_back(engine: Mm, thread: Thread) -> None:
    """Give both back."""
    file = engine.world.files["f"]
    up_read(engine, thread, file.invalidate_lock)
    folio_unlock(engine, file.folios[0])
    engine.end()


BREAKS = {
    "I7": hold_m,
    "I8": write_then_hold,
    "I20": write_and_forget,
    "I18": file_first,
    "I18 atomic": table_first,
    "I18 page": page_first,
}


@pytest.mark.parametrize("rule", sorted(BREAKS))
@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_what_is_wrong_for_a_few_steps_is_seen(kernel: str, rule: str) -> None:
    scene = world(kernel, cpus=2).vma("m", 4).touched("m")
    scene.file("f", 4, present=4)
    odd_thread(scene, BREAKS[rule])
    assert seldom(scene) == [rule.split()[0]]


def test_a_page_that_is_set_writable_against_its_vma_is_seen() -> None:
    scene = world("6.12").vma("m", 4, "r").touched("m")
    odd_thread(scene, set_writable)
    assert seldom(scene) == ["I6"]


@step("lib/test.c")
def set_writable(engine: Mm, thread: Thread) -> Step:
    """Lock the page table for a page of a read-only VMA."""
    table = thread.mm.page_tables.walk(thread.mm.slots["m"])
    assert table is not None
    return spin_lock(engine, thread, table.ptl, now_writable)


@step("lib/test.c")
def now_writable(engine: Mm, thread: Thread) -> Step:
    """Let it be written."""
    from pfviz.mm.page_range import set_pte

    table = thread.mm.page_tables.walk(thread.mm.slots["m"])
    assert table is not None
    address = thread.mm.slots["m"]
    old = table.read(address)
    set_pte(engine, thread.mm.page_tables, table, address, old | WRITABLE)
    table.ptes[table.index(address)] = old
    return unlock_table


@step("lib/test.c")
def unlock_table(engine: Mm, thread: Thread) -> None:
    """Unlock it again."""
    table = thread.mm.page_tables.walk(thread.mm.slots["m"])
    assert table is not None
    spin_unlock(engine, thread, table.ptl)
    engine.end()


def test_an_mprotect_that_leaves_a_page_writable_is_seen_when_the_lock_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def protecting() -> Scene:
        scene = world("6.12").vma("m", 8).touched("m")
        scene.thread("t", Mprotect(at("m"), 8, PROT_READ))
        return scene

    assert seldom(protecting()) == []
    monkeypatch.setattr(mprotect_paths, "change_pte_range", lambda *_a, **_k: nothing_changed())
    assert seldom(protecting())[:1] == ["I6"]


def nothing_changed() -> tuple[int, int]:
    """What change_pte_range says when no entry changed."""
    return 0, 0


def test_a_write_through_a_stale_tlb_entry_is_seen() -> None:
    scene = world("6.12").vma("m", 4, "r").touched("m")
    thread = scene.thread("t", WRITE)
    scene.engine.run(steps_max=1)
    tlb = scene.engine.world.tlbs.of_cpu[0]
    pte = scene.mm.page_tables.pte(scene.named("m"))
    tlb.load(scene.named("m"), pte | PRESENT | WRITABLE)
    assert thread.faults == 0
    assert seldom(scene) == ["I14"]


def test_a_lock_that_its_holder_took_along_is_missed_at_the_end() -> None:
    scene = world("6.12").vma("m", 4).touched("m")
    odd_thread(scene, end_with_lock)
    rules.run(scene.engine)
    (broken,) = scene.engine.world.broken
    assert (broken.rule, broken.text) == ("I24", "odd still holds mmap_lock app")


@step("lib/test.c")
def end_with_lock(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock."""
    return down_read(engine, thread, thread.mm.mmap_lock, just_end)


@step("lib/test.c")
def just_end(engine: Mm, thread: Thread) -> None:
    """And end."""
    engine.end()


def test_a_bias_that_no_writer_takes_off_breaks_i12() -> None:
    scene = world("6.18").vma("m", 4).touched("m")
    refcnt = scene.vmas["m"].vm_refcnt
    assert refcnt is not None
    refcnt.value += 1 << 30
    assert "I12" in {broken.rule for broken in rules.check(scene.engine)}


@pytest.mark.parametrize("kernel", PRESETS)
def test_watching_changes_no_event(kernel: str) -> None:
    def run(watch: Callable[[Mm], None]) -> str:
        scene = forking("6.12" if kernel == "6.4" else kernel)
        watch(scene.engine)
        scene.run()
        return scene.engine.log.digest()

    assert run(rules.watch) == run(lambda _engine: None)


def test_a_watched_world_can_be_copied() -> None:
    scene = forking("6.12")
    rules.watch(scene.engine)
    scene.engine.run(steps_max=100)
    twin = scene.engine.copy()
    assert twin.watch is twin.world.watch
    assert isinstance(twin.world, World)
    while twin.step():
        pass
    assert not twin.world.broken


def test_locks_of_one_rank_may_nest() -> None:
    assert len(set(LOCK_ORDER.values())) == len(LOCK_ORDER)
    assert seldom(forking("6.12")) == []  # fork nests mmap_locks and page-table locks


@step("lib/test.c")
def hold_m_and_ask(engine: Mm, thread: Thread) -> Step:
    """Lock the VMA for reading, then ask for the lock on ranges, which is free."""
    vma = thread.mm.tree.at(thread.mm.slots["m"])
    assert vma is not None
    thread.vma = vma
    vma_read_trylock(engine, thread, vma)
    read_locked(engine, vma)
    return mmap_read_lock(engine, thread, thread.mm, range_and_m_back)


@step("lib/test.c")
def range_and_m_back(engine: Mm, thread: Thread) -> None:
    """Give both back."""
    assert thread.vma is not None
    mmap_read_unlock(engine, thread, thread.mm)
    vma_end_read(engine, thread, thread.vma)
    engine.end()


@pytest.mark.parametrize(
    ("kernel", "kind"), [("6.12", "mmap_lock"), ("6.18", "mmap_lock"), ("beyond", "range_lock")]
)
def test_who_asks_for_the_lock_of_its_mm_with_a_vma_held_is_seen(kernel: str, kind: str) -> None:
    scene = world(kernel, cpus=2).vma("m", 4).touched("m")
    odd_thread(scene, hold_m_and_ask)
    assert seldom(scene) == ["I18"]
    assert f"asks for {kind} while it holds VMA" in scene.engine.world.broken[0].text
