"""Checks that only a race can fail: looked at here by making the race happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pfviz.mm.operations import Access
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import PAGE_SIZE
from pfviz.mm.paths import attempt, lockless, lockless_commit, under_mmap_lock
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from pfviz.sim.task import Step
from tests.mm.fault_scenes import check_pages, fallbacks, kinds
from tests.worlds import Scene, at, world

START = 0x7F00_0000_0000


def until(made: Scene, stop: Callable[[], bool]) -> None:
    """Take steps until something holds."""
    for _ in range(5_000):
        if stop():
            return
        assert made.engine.step()
    raise AssertionError("it never held")


def regimes(made: Scene) -> list[int]:
    return [path["regime"] for path in made.events(event.FAULT_PATH)]


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_retry_for_another_reason_than_io_may_still_drop_mmap_lock_for_io(kernel: str) -> None:
    """TRIED follows MAJOR: a fault that came for an anon_vma has not waited for a page yet."""
    made = world(kernel)
    made.engine.world.preset = replace(PRESETS[kernel], anon_vma_check="early")
    file = new_file(made.engine, "data", 8)
    made.file_vma("m", file, 8, "rw", start=START)
    made.thread("t", Access(at("m"), write=True))
    made.run()
    assert fallbacks(made) == ["no anon_vma yet"]
    assert regimes(made) == [1, 0, 0], "under mmap_lock, and once more after the I/O"
    check_pages(made)


def test_a_fault_drops_its_lock_for_io_only_once() -> None:
    made = world("6.12", "mmap_lock")
    file = new_file(made.engine, "data", 8)
    made.file_vma("m", file, 8, start=START)
    thread = made.thread("t", Access(at("m")))
    until(made, lambda: len(regimes(made)) == 2)
    assert thread.step is under_mmap_lock.lock_mm_and_find_vma
    for index in range(8):
        file.remove(made.engine, index)
    made.run()
    assert len(made.events(event.IO_BEGIN)) == 2
    assert regimes(made) == [0, 0], "the second time it waits with mmap_lock held"
    second = made.events(event.IO_BEGIN)[1]["now_ns"]
    done = made.events(event.IO_END)[1]["now_ns"]
    lock = made.mm.mmap_lock.id
    released = [one["now_ns"] for one in made.events(event.LOCK_RELEASED) if one["lock"] == lock]
    assert not [now for now in released if second <= now < done]


def test_without_a_lock_the_address_must_lie_in_the_vma_that_was_copied() -> None:
    made = world("6.12", "lockless", policy=Policy(lockless_scope="vma_seq"))
    made.vma("m", 8).touched("m", 1)
    thread = made.thread("t", Access(at("m", 6), write=True))
    before(made, thread.id, lockless.snapshot_vma)
    # A writer came and went in between: the VMA lost its upper half, its number is a settled one.
    vma = made.vmas["m"]
    vma.vm_end = vma.vm_start + 4 * PAGE_SIZE
    until(made, lambda: bool(fallbacks(made)))
    assert fallbacks(made) == [attempt.ADDRESS_LEFT]


def test_without_a_lock_the_table_must_still_be_the_one_the_pmd_points_to() -> None:
    made = world("6.12", "lockless").vma("m", 8)
    tables = made.mm.page_tables
    first = tables.table_for(made.engine, made.named("m"))
    thread = made.thread("t", Access(at("m")))
    before(made, thread.id, lockless_commit.recheck_sequence)
    assert tables.unlink_tables(made.engine, 0, 1 << 47) == [first]
    made.run()
    assert fallbacks(made) == [attempt.TABLE_REPLACED]
    assert kinds(made) == ["anon_read_zero"]
    assert tables.pte(made.named("m"))
    assert not first.occupied


def before(made: Scene, task: int, step: Step) -> None:
    """Run until a task is about to take a step."""
    until(made, lambda: made.engine.tasks[task].step is step)


def test_fault_around_passes_over_a_page_that_somebody_has_locked() -> None:
    made = world("6.12")
    file = new_file(made.engine, "data", 16, 16)
    made.file_vma("m", file, 16, start=START)
    folio = file.folio(made.engine, 3)
    assert folio is not None
    folio.locked_by = -2
    made.thread("t", Access(at("m")))
    made.run()
    mapped = [bool(made.mm.page_tables.pte(START + page * PAGE_SIZE)) for page in range(16)]
    assert [page for page, there in enumerate(mapped) if not there] == [3]
