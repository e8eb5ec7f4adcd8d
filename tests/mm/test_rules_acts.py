"""Rules that one act breaks: each is seen when the path that keeps it is changed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pfviz.mm import rules
from pfviz.mm.mmap_lock import mmap_write_downgrade
from pfviz.mm.operations import PAGE_SIZE, Access, Fork, Mremap, Munmap, ReadProc, Sleep
from pfviz.mm.page_table import PRESENT, WRITABLE, pfn_of, pte_of
from pfviz.mm.paths import (
    allocation,
    anon_vma,
    copy_on_write,
    move_vma,
    under_mmap_lock,
    under_vma_lock,
)
from pfviz.mm.paths.outcome import VM_FAULT_RETRY
from pfviz.mm.paths.zap import TableBatch, free_tables
from pfviz.mm.rules_watch import RuleWatch
from pfviz.sim.event import READ, WRITE
from pfviz.sim.task import step
from pfviz.sync.rwsem import down_read_trylock
from tests.worlds import Scene, at, world

Patch = pytest.MonkeyPatch


def scene_of(kernel: str = "6.12", mode: str = "per-vma") -> Scene:
    return world(kernel, mode).vma("rw", 8).vma("ro", 8, "r")


def broken(scene: Scene) -> set[str]:
    rules.run(scene.engine, every_steps=1)
    return {one.rule for one in scene.engine.world.broken}


def step_until(scene: Scene, is_reached: Callable[[], bool]) -> None:
    while not is_reached():
        assert scene.engine.run(steps_max=1), "the moment never came"


def leave_unfilled(patch: Patch) -> None:
    """The page is mapped with what was in it."""
    patch.setattr(allocation, "page_has_contents", lambda *_: None)


def forget_to_clear(patch: Patch) -> None:
    """Copy-on-write stores the copy over the old entry."""

    def keep(engine: Any, page_table: Any, table: Any, address: int) -> int:
        entry: int = table.read(address)
        return entry

    patch.setattr(copy_on_write, "clear_pte", keep)


def prepare_without_lock(patch: Patch) -> None:
    """The nested trylock of mmap_lock is left out."""

    @step("test", function="__vmf_anon_prepare")
    def prepare(engine: Any, thread: Any) -> Any:
        """Prepare the anon_vma without mmap_lock."""
        return thread.call(anon_vma.anon_vma_prepare, then=thread_back)

    @step("test")
    def thread_back(engine: Any, thread: Any) -> Any:
        """Go on."""
        return thread.back()

    patch.setattr(anon_vma, "anon_prepare_trylock", prepare)


def unlinking(kernel: str) -> Scene:
    """A process that unmaps what it has written, and moves what it keeps empty."""
    scene = world(kernel).vma("rw", 8).touched("rw").vma("other", 8).touched("other")
    scene.thread("t", Mremap(at("rw"), 8, 8, dontunmap=True), Munmap(at("other"), 8))
    return scene


def test_an_anon_vma_that_is_taken_from_a_vma_without_its_locks_is_seen(
    monkeypatch: Patch,
) -> None:
    for kernel in ("6.4", "6.12", "6.18", "beyond"):
        assert broken(unlinking(kernel)) == set()

    def no_vma_lock(scene: Scene, vma: Any) -> None:
        vma.vm_lock_seq -= 1

    def no_anon_vma_lock(scene: Scene, vma: Any) -> None:
        del vma.anon_vma.rwsem.held[scene.engine.tasks[0]]

    def no_mmap_lock(scene: Scene, vma: Any) -> None:
        del scene.mm.mmap_lock.held[scene.engine.tasks[0]]

    for missing, take_away in (
        ("its VMA lock", no_vma_lock),
        ("the anon_vma's lock", no_anon_vma_lock),
        ("mmap_lock", no_mmap_lock),
    ):
        scene = unlinking("6.12")
        vma, thread = scene.vmas["rw"], scene.engine.tasks[0]
        rules.watch(scene.engine)
        step_until(scene, lambda thread=thread: thread.step is move_vma.unlink_anon_vmas_of_old)
        take_away(scene, vma)
        with suppress(AssertionError, KeyError):
            scene.engine.run(steps_max=1)
        texts = [one.text for one in scene.engine.world.broken if one.rule == "I11"]
        assert [text.endswith(f"without {missing}") for text in texts][:1] == [True], missing


def refuse_what_is_allowed(patch: Patch) -> None:
    """The access check forbids what the VMA permits."""
    patch.setattr(under_vma_lock, "access_error", lambda *_: True)


MISTAKES: list[tuple[str, Callable[[Patch], None], str]] = [
    ("I15", leave_unfilled, "6.12"),
    ("I11", prepare_without_lock, "6.12"),
    ("I21", refuse_what_is_allowed, "6.12"),
]


@pytest.mark.parametrize(("rule", "mistake", "kernel"), MISTAKES, ids=[one[0] for one in MISTAKES])
def test_a_mistake_in_a_fault_breaks_its_rule(
    rule: str, mistake: Callable[[Patch], None], kernel: str, monkeypatch: Patch
) -> None:
    def write() -> Scene:
        scene = scene_of(kernel)
        scene.thread("t", Access(at("rw"), write=True, pages=2))
        return scene

    assert broken(write()) == set()
    mistake(monkeypatch)
    assert rule in broken(write())


def test_a_copy_that_is_stored_over_the_old_page_is_seen(monkeypatch: Patch) -> None:
    def copy() -> Scene:
        scene = scene_of().touched("rw")
        scene.thread("t", Fork(None), Access(at("rw"), write=True))
        return scene

    assert "I17" not in broken(copy())
    forget_to_clear(monkeypatch)
    scene = copy()
    with suppress(AssertionError):
        rules.run(scene.engine, every_steps=1)
    assert "I17" in {one.rule for one in scene.engine.world.broken}


def test_a_fault_that_starts_again_with_its_lock_is_seen() -> None:
    scene = scene_of()
    thread = scene.thread("t", Access(at("rw"), write=True))
    rules.watch(scene.engine)
    step_until(scene, lambda: thread.fault is not None and bool(thread.vmas_held))
    thread.in_flight.result |= VM_FAULT_RETRY
    scene.engine.task = thread
    under_vma_lock.vma_fault_unlocked(scene.engine, thread)
    assert {one.rule for one in scene.engine.world.broken} == {"I19"}


def test_a_table_that_is_freed_under_a_walk_is_seen() -> None:
    scene = scene_of(mode="lockless").touched("rw", 4)
    thread = scene.thread("t", Access(at("rw", 5), write=True))
    rules.watch(scene.engine)
    step_until(scene, lambda: thread.fault is not None and thread.fault.pmd is not None)
    table = thread.fault.pmd
    with pytest.raises(AssertionError, match="live entries"):
        free_tables(scene.engine, TableBatch(0, [table]))
    watch = scene.engine.world.watch
    assert watch is not None
    watch.table_freed(scene.engine, table)
    assert {one.rule for one in scene.engine.world.broken} == {"I5"}


def test_a_writer_beside_a_downgraded_lock_is_seen() -> None:
    scene = scene_of()
    one, two = scene.thread("one", Sleep(1)), scene.thread("two", Sleep(1), cpu=1)
    watch = RuleWatch()
    scene.engine.watch = scene.engine.world.watch = watch
    scene.engine.task = one
    lock = scene.mm.mmap_lock
    lock.count, lock.held[one] = 1, 0  # type: ignore[union-attr, assignment]
    watch.took(scene.engine, one, lock, WRITE)
    scene.mm.mm_lock_seq.write_begin(scene.engine)
    mmap_write_downgrade(scene.engine, one, scene.mm)
    assert down_read_trylock(scene.engine, two, lock)  # type: ignore[arg-type]
    watch.gave(scene.engine, two, lock, READ)
    assert not scene.engine.world.broken
    watch.took(scene.engine, two, lock, WRITE)
    assert "I27" in {broken.rule for broken in scene.engine.world.broken}


def test_a_gap_that_never_was_is_seen() -> None:
    scene = world("6.18", "per-vma").vma("b", 4).vma("a", 4)
    scene.thread("reader", ReadProc("maps"))
    assert broken(scene) == set()
    watch = scene.engine.world.watch
    assert watch is not None
    watch.vma_shown(scene.engine, scene.mm, scene.named("a"), scene.vmas["b"])
    assert {one.rule for one in scene.engine.world.broken} == {"I28"}


def test_segv_of_who_touches_a_hole_is_right_and_of_who_may_touch_is_wrong(
    monkeypatch: Patch,
) -> None:
    def touch_hole() -> Scene:
        scene = scene_of().touched("rw")
        scene.thread("t", Munmap(at("rw", 4), 4), Access(at("rw", 5), write=True))
        return scene

    assert broken(touch_hole()) == set()
    monkeypatch.setattr(under_mmap_lock, "access_error", lambda *_: True)
    kernel = world("6.1").vma("rw", 8)
    kernel.thread("t", Access(at("rw"), write=True))
    assert broken(kernel) == {"I21"}


def test_a_page_that_replaces_itself_is_no_other_page() -> None:
    scene = scene_of().touched("rw")
    watch = RuleWatch()
    pte = scene.mm.page_tables.pte(scene.named("rw"))
    watch.entry_set(scene.engine, scene.named("rw"), pte, pte & ~WRITABLE)
    assert not scene.engine.world.broken
    other = pte_of(pfn_of(pte) + 1, PRESENT)
    watch.entry_set(scene.engine, scene.named("rw") + PAGE_SIZE, pte, other)
    assert {one.rule for one in scene.engine.world.broken} == {"I17"}
