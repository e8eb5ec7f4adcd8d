"""The rules themselves: each must be able to fail, and none may cry wolf."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pfviz.mm import rules
from pfviz.mm.mmap_lock import mmap_read_lock, mmap_read_trylock
from pfviz.mm.operations import PAGE_SIZE, Access, Exit, Mmap, Sleep
from pfviz.mm.page_range import clear_pte, set_pte
from pfviz.mm.page_table import PRESENT, WRITABLE, PteTable, pte_of
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.mm.world import Mm
from pfviz.sim import event
from pfviz.sim.task import Step, step
from pfviz.sync.rw_semaphore import FLAG_HANDOFF
from pfviz.sync.rwsem import down_write
from tests.worlds import Scene, at, world


def table_of(scene: Scene, name: str) -> PteTable:
    """The page table of a VMA's first page."""
    table = scene.mm.page_tables.walk(scene.named(name))
    assert table is not None
    return table


def map_outside(scene: Scene) -> None:
    """A page where no VMA is."""
    scene.engine.world.frames.grow(1)
    pte = pte_of(20, PRESENT)
    address = scene.named("ro") - 3 * PAGE_SIZE
    set_pte(scene.engine, scene.mm.page_tables, table_of(scene, "rw"), address, pte)


def free_a_held_vma(scene: Scene) -> None:
    """A VMA freed under its reader."""
    vma = scene.vmas["rw"]
    scene.engine.tasks[0].vma_read_locks.append(vma)  # type: ignore[attr-defined]
    vma.freed = True


def make_writable(scene: Scene) -> None:
    """A writable page in a read-only VMA."""
    table = table_of(scene, "ro")
    table.ptes[table.index(scene.named("ro"))] |= WRITABLE


def change_under_reader(scene: Scene) -> None:
    """A range that changes while somebody holds the VMA."""
    vma = scene.vmas["rw"]
    scene.engine.tasks[0].vmas_held[vma] = vma.stable_fields  # type: ignore[attr-defined]
    vma.vm_end += PAGE_SIZE


def hold_a_written_vma(scene: Scene) -> None:
    """A reader inside a write-locked VMA."""
    vma, mm = scene.vmas["rw"], scene.mm
    mm.mmap_lock.count = 1
    mm.mmap_lock.held[scene.engine.tasks[1]] = 0
    mm.mm_lock_seq.value = vma.vm_lock_seq = 1
    scene.engine.tasks[0].vmas_held[vma] = vma.stable_fields  # type: ignore[attr-defined]


def corrupt_the_word(scene: Scene) -> None:
    """A hand-off bit without waiters."""
    scene.mm.mmap_lock.count |= FLAG_HANDOFF


def miscount(scene: Scene) -> None:
    """A reference that nobody holds."""
    refcnt = scene.vmas["rw"].vm_refcnt
    assert refcnt is not None
    refcnt.value += 1


def keep_a_stale_translation(scene: Scene) -> None:
    """A TLB that was not flushed."""
    tlb = scene.engine.world.tlbs.of_cpu[0]
    tlb.switch(scene.mm.page_tables)
    tlb.load(scene.named("ro"), pte_of(1, PRESENT | WRITABLE))


def sleep_under_rcu(scene: Scene) -> None:
    """A sleeper in an RCU section."""
    scene.engine.world.rcu.read_lock(scene.engine, scene.engine.tasks[0])


def leave_the_sequence_odd(scene: Scene) -> None:
    """An odd sequence count without a writer."""
    scene.mm.mm_lock_seq.value += 1


BREAKS: dict[str, Callable[[Scene], None]] = {
    "I1": map_outside,
    "I2": free_a_held_vma,
    "I6": make_writable,
    "I7": change_under_reader,
    "I8": hold_a_written_vma,
    "I10": corrupt_the_word,
    "I12": miscount,
    "I14": keep_a_stale_translation,
    "I18": sleep_under_rcu,
    "I20": leave_the_sequence_odd,
}


def asleep() -> Scene:
    """Two threads asleep in a process with a writable and a read-only VMA."""
    scene = world("6.18").vma("rw", 4).touched("rw").vma("ro", 4, "r").touched("ro")
    scene.thread("t", Sleep(1_000_000))
    scene.thread("u", Sleep(1_000_000), cpu=1)
    return scene.run(until_ns=500_000)


def test_an_honest_world_breaks_no_rule() -> None:
    assert rules.check(asleep().engine) == []


@pytest.mark.parametrize("rule", sorted(BREAKS))
def test_each_rule_can_fail(rule: str) -> None:
    scene = asleep()
    BREAKS[rule](scene)
    assert rule in {broken.rule for broken in rules.check(scene.engine)}


def test_every_rule_between_steps_is_tried_somewhere() -> None:
    # tests/mm/test_rules_swap.py, tests/mm/paths/test_fork.py, tests/mm/test_rules_uffd.py
    elsewhere = {"I16", "F1", "I26"}
    assert set(rules.STATE_RULES) == set(BREAKS) | elsewhere


def test_a_lost_page_is_missed_at_the_end() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    clear_pte(scene.engine, scene.mm.page_tables, table_of(scene, "a"), scene.named("a"))
    scene.thread("t", Exit())
    rules.run(scene.engine)
    assert {"I23", "I24"} & {broken.rule for broken in scene.engine.world.broken}


def test_a_page_without_its_anon_vma_is_missed_at_the_end() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    scene.vmas["a"].anon_vma_chain.clear()
    assert "I13" in {broken.rule for broken in rules.check(scene.engine)}


@step("lib/test.c")
def take_file_then_mmap_lock(engine: Mm, thread: Thread) -> Step:
    """Lock the file's tree first."""
    return down_write(engine, thread, engine.world.files["f"].i_mmap, then_mmap_lock)


@step("lib/test.c")
def then_mmap_lock(engine: Mm, thread: Thread) -> Step:
    """And mmap_lock inside of it."""
    return mmap_read_lock(engine, thread, thread.mm, die_with_the_lock)


def test_locks_taken_in_the_wrong_order_are_told_when_they_wait() -> None:
    scene = world("6.12", cpus=2, vma_alloc=200_000).vma("a", 4)
    scene.file("f", 4)
    scene.thread("writer", Mmap(1, prot=1))
    scene.thread("wrong", cpu=1, after_ns=5_000).step = take_file_then_mmap_lock
    rules.run(scene.engine, until_ns=100_000, every_steps=1)
    texts = {broken.rule: broken.text for broken in scene.engine.world.broken}
    assert texts["I18"].endswith("wrong order")


def test_6_4_0_grows_the_stack_under_the_read_lock_only() -> None:
    """CVE-2023-3269 (StackRot): the tree is stored to while others read it under the same lock."""
    broken = {}
    for kernel in ("6.4", "6.12"):
        scene = world(kernel).vma("stack", 16, flags=VM_GROWSDOWN, kind="stack").touched("stack", 1)
        scene.thread("t", Access(at("stack", -1), write=True))
        rules.run(scene.engine, every_steps=1)
        broken[kernel] = [one.rule for one in scene.engine.world.broken]
    assert broken == {"6.4": ["I9"], "6.12": []}


@step("lib/test.c")
def die_with_the_lock(engine: Mm, thread: Thread) -> None:
    """Take mmap_lock for reading and end without giving it back."""
    mmap_read_trylock(engine, thread, thread.mm)
    engine.end()


def test_a_sleeper_that_nobody_wakes_is_named() -> None:
    scene = world("6.12").vma("a", 4)
    scene.thread("ghost").step = die_with_the_lock
    scene.thread("t", Mmap(1), cpu=1, after_ns=10_000)
    scene.run()
    assert "I25" in {broken.rule for broken in rules.check(scene.engine)}


def test_a_broken_rule_is_told_once_with_its_sentence() -> None:
    scene = asleep()
    leave_the_sequence_odd(scene)
    rules.run(scene.engine, every_steps=1)
    (told,) = [one for one in scene.events(event.RULE_BROKEN) if one["rule"].startswith("I20")]
    assert told["rule"] == "I20: mm_lock_seq of app is odd, but nobody writes"
    assert [one.rule for one in scene.engine.world.broken].count("I20") == 1


def test_checking_changes_nothing() -> None:
    plain, watched = [world("6.18").vma("a", 8).touched("a", 4) for _ in range(2)]
    for scene in (plain, watched):
        scene.thread("t", Access(at("a"), write=True, pages=8), Mmap(4))
    plain.run()
    rules.run(watched.engine, every_steps=1)
    assert plain.engine.log.digest() == watched.engine.log.digest()


def test_the_documentation_lists_every_rule() -> None:
    model = (Path(__file__).parents[2] / "docs" / "model.md").read_text()
    listed = set(re.findall(r"^\| ([IFT][0-9]+) \|", model, re.MULTILINE))
    assert listed == set(rules.sentences())
