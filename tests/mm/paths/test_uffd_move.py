"""UFFDIO_MOVE: two VMAs locked at once, two page tables, and a page that changes its place."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.mmap_lock import mmap_read_lock
from pfviz.mm.operations import Access, Compute, Mprotect, Operation, Uffd
from pfviz.mm.page_table import WRITABLE, pfn_of
from pfviz.mm.paths import uffd_move
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.world import Mm
from pfviz.sim import event
from pfviz.sim.task import DONE, Step, step
from tests.mm.fault_scenes import check_pages, kinds
from tests.mm.uffd_scenes import locks_held_at, pte, region
from tests.worlds import Scene, at

NEW = [name for name in PRESETS if PRESETS[name].uffd_move]
REGISTER = Uffd("register", at("m"), 16, ("missing",))


def scene(kernel: str, *operations: Operation) -> tuple[Scene, Thread]:
    """A region that is served, and another mapping with four pages to take from."""
    made = region("missing", kernel)
    made.vma("store", 8).touched("store", 4)
    return made, made.thread("monitor", REGISTER, *operations, cpu=1)


def frame_at(made: Scene, name: str, page: int) -> int:
    return pfn_of(made.mm.page_tables.pte(made.named(name) + page * 4096))


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_page_changes_its_place_without_a_copy(kernel: str) -> None:
    move = Uffd("move", pages=1, source=at("store", 2))
    made, monitor = scene(kernel, Uffd("poll"), Uffd("read"), move, Uffd("zeropage"))
    worker = made.thread("worker", Access(at("m", 5), write=True), after_ns=20_000)
    before = frame_at(made, "store", 2)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert worker.state == DONE
    assert kinds(made)[0] == "uffd_missing"
    if kernel in NEW:
        assert made.results(monitor) == [0, 0, 0, 0, -17]
        assert (frame_at(made, "m", 5), pte(made, 5) & WRITABLE) == (before, WRITABLE)
        assert not made.mm.page_tables.pte(made.named("store") + 2 * 4096)
        assert "mfill_atomic_pte_copy" not in made.functions(monitor)
    else:
        assert made.results(monitor) == [0, 0, 0, -22, 0]
    check_pages(made)


@pytest.mark.parametrize("kernel", NEW)
def test_locks_of_a_move(kernel: str) -> None:
    made, monitor = scene(kernel, Uffd("move", at("m", 5), source=at("store", 1)))
    made.run()
    held = locks_held_at(made, "move_present_pte", monitor.id)
    if kernel == "6.8":
        assert held.count("mmap_lock") == 1
        assert "vma_lock" not in held
    else:
        assert held.count("vma_lock") == 2
        assert "mmap_lock" not in held
        assert "rwsem" in held, "map_changing_lock"
    assert held.count("anon_vma") == 1
    assert "ptl" in held
    flushes = [one["reason"] for one in made.events(event.TLB_FLUSH)]
    assert flushes == ["userfaultfd move"]


def test_from_the_same_vma_one_lock_is_enough() -> None:
    made, monitor = scene("6.12", Uffd("move", at("m", 8), pages=2, source=at("m", 1)))
    made.run()
    assert made.results(monitor) == [0, 0]
    assert locks_held_at(made, "move_present_pte", monitor.id).count("vma_lock") == 1
    check_pages(made)


@pytest.mark.parametrize(
    ("move", "error"),
    [
        (Uffd("move", at("m", 2), source=at("store")), -17),
        (Uffd("move", at("m", 8), source=at("store", 6)), -2),
        (Uffd("move", at("m", 8), source=at("m", 9)), -2),
        (Uffd("move", at("store", 6), source=at("m")), -22),
        (Uffd("move", at("m", 8), pages=6, source=at("store")), -11),
    ],
)
def test_what_cannot_be_moved(move: Uffd, error: int) -> None:
    made, monitor = scene("6.12", move)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert made.results(monitor) == [0, error]
    check_pages(made)


def contended(offset_ns: int) -> Scene:
    """A mover, and a writer that locks the source's VMA, then the destination's."""
    made = region("missing", "6.12")
    made.vma("store", 8).touched("store", 4)
    made.thread(
        "monitor", REGISTER, Compute(6_000), Uffd("move", at("m", 5), source=at("store", 1)), cpu=1
    )
    low = min(made.named("m"), made.named("store"))
    pages = abs(made.named("m") - made.named("store")) // 4096 + 8
    made.thread("writer", Compute(5_000 + offset_ns), Mprotect(at(low), pages, 1), cpu=2)
    return made


def circles() -> list[str]:
    found = []
    for offset in range(0, 3_000, 50):
        made = contended(offset)
        rules.run(made.engine)
        found += [one.text for one in made.engine.world.broken if one.rule == "I18"]
    return found


@step("lib/test.c", function="uffd_move_lock")
def keep_the_first(engine: Mm, thread: Thread) -> Step:
    """Wait for mmap_lock with the first VMA still locked: what uffd_move_lock must not do."""
    call: object = thread.sys
    assert isinstance(call, uffd_move.UffdCall)
    if thread.vma is not None:
        return HONEST(engine, thread)
    return mmap_read_lock(engine, thread, thread.mm, then=uffd_move.find_vmas_mm_locked)


HONEST = uffd_move.src_locked


def test_a_mover_drops_the_first_vma_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert circles() == []
    monkeypatch.setattr(uffd_move, "src_locked", keep_the_first)
    assert any("asks for mmap_lock while it holds VMA" in text for text in circles())
