"""A comparison that could not fail would prove nothing: models with two steps exchanged differ."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from pfviz.mm.paths import anonymous, munmap, shared_write, split
from pfviz.mm.paths.anon_vma import vmf_anon_prepare
from pfviz.mm.paths.pte_lock import pte_offset_map_lock, unlock
from pfviz.mm.thread import Thread
from pfviz.mm.world import Mm
from pfviz.sim.task import Step, step
from tests.mm.callgraphs.compare import EMPTIED, Comparison, compare, expected
from tests.mm.callgraphs.recorder import Item, record
from tests.mm.callgraphs.recordings import KERNELS, recording
from tests.mm.callgraphs.scenes import SCENES, window

TOO_LONG = ("exit_mmap", "fork")
KINDS = sorted(set(SCENES) - set(TOO_LONG))


def compared(kind: str, kernel: str) -> Comparison:
    """One kind as it is played now."""
    recorded, played = recording(kernel), SCENES[kind](kernel)
    return compare(recorded, window(recorded.calls(kind), kind), record(played.scene, played.rows))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_lock_operations_that_change_places_are_noticed(kind: str, kernel: str) -> None:
    recorded, played = recording(kernel), SCENES[kind](kernel)
    calls = window(recorded.calls(kind), kind)
    items = expected(recorded, record(played.scene, played.rows), [])
    assert not compare(recorded, calls, items).difference
    for at, (one, other) in enumerate(pairwise(items)):
        if one.token == other.token or one.is_step or other.is_step:
            continue
        changed = [*items[:at], other, one, *items[at + 2 :]]
        assert compare(recorded, calls, changed).difference, (one.token, other.token)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_two_functions_that_change_places_are_noticed(kind: str, kernel: str) -> None:
    recorded, played = recording(kernel), SCENES[kind](kernel)
    calls = window(recorded.calls(kind), kind)
    items = expected(recorded, record(played.scene, played.rows), [])
    tokens = [item.token for item in items]
    once = {token for token in tokens if tokens.count(token) == 1}
    for at, (one, other) in enumerate(pairwise(items)):
        if one.is_step and other.is_step and {one.token, other.token} <= once:
            changed = [*items[:at], other, one, *items[at + 2 :]]
            assert compare(recorded, calls, changed).difference, (one.token, other.token)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lock_operation_too_few_or_too_many_is_noticed(kind: str) -> None:
    recorded, played = recording("6.12"), SCENES[kind]("6.12")
    calls = window(recorded.calls(kind), kind)
    items = expected(recorded, record(played.scene, played.rows), [])
    for at, item in enumerate(items):
        if not item.is_step and item.token != "schedule":  # Which is a step as well.
            assert compare(recorded, calls, items[:at] + items[at + 1 :]).difference, item.token
            assert compare(recorded, calls, [*items[:at], item, *items[at:]]).difference


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_lock_of_another_kind_is_noticed(kernel: str) -> None:
    recorded, played = recording(kernel), SCENES["stack_growth"](kernel)
    calls = recorded.calls("stack_growth")
    items = record(played.scene, played.rows)
    changed = [_as_i_mmap(item) for item in items]
    assert changed != items
    assert "anon_vma" in compare(recorded, calls, changed).difference


def _as_i_mmap(item: Item) -> Item:
    return replace(item, token=item.token.replace("(anon_vma)", "(i_mmap)"))


# The model itself, changed


@step("mm/memory.c", function="do_anonymous_page")
def lock_too_early(engine: Mm, thread: Thread) -> Step:
    """Lock the page table before the VMA has its anon_vma."""
    return pte_offset_map_lock(engine, thread, then=unlock_too_early)


@step("mm/memory.c", function="do_anonymous_page")
def unlock_too_early(engine: Mm, thread: Thread) -> Step:
    """Unlock it again."""
    unlock(engine, thread)
    return vmf_anon_prepare


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_page_table_locked_before_the_anon_vma_is_noticed(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anonymous, "vmf_anon_prepare", lock_too_early)
    difference = compared("anon_write_first", kernel).difference
    assert "anon_prepare" in difference.splitlines()[0] or "anon_vma" in difference.splitlines()[0]


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_downgrade_after_the_unmapping_is_noticed(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @step("mm/vma.c", function="vms_complete_munmap_vmas")
    def begin_without(engine: Mm, thread: Thread) -> Step:
        """Begin the slow part with the lock held for writing."""
        return munmap._begin_slow_part(engine, thread)

    @step("mm/vma.c", function="mmap_write_downgrade")
    def free_after_downgrade(engine: Mm, thread: Thread) -> Step:
        """Downgrade only when the pages are gone."""
        munmap.mmap_write_downgrade(engine, thread, munmap._unmap(thread).mm)
        return free_tables(engine, thread)

    free_tables = munmap.free_tables_of_range
    monkeypatch.setattr(munmap, "downgrade", begin_without)
    monkeypatch.setattr(munmap, "free_tables_of_range", free_after_downgrade)
    first = compared("munmap_full", kernel).difference.splitlines()[0]
    assert first.startswith("the kernel calls mmap_lock_acquire_returned(read)")


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_tree_emptied_after_the_downgrade_is_noticed(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No recording of a whole VMA's munmap shows the store; a shrinking brk's does."""

    @step("mm/vma.h", function="mmap_write_downgrade")
    def clear_after_downgrade(engine: Mm, thread: Thread) -> Step:
        """Downgrade while faults still find the VMAs, and only then empty the range."""
        munmap.mmap_write_downgrade(engine, thread, munmap._unmap(thread).mm)
        return clear(engine, thread)

    def publish_and_go_on(engine: Mm, thread: Thread) -> Step:
        publish(engine, thread)
        return munmap._begin_slow_part(engine, thread)

    clear, publish = munmap.vma_iter_clear, munmap._publish_clear
    monkeypatch.setattr(munmap, "vma_iter_clear", munmap.vms_complete_munmap_vmas)
    monkeypatch.setattr(munmap, "downgrade", clear_after_downgrade)
    monkeypatch.setattr(munmap, "_publish_clear", publish_and_go_on)
    first = compared("brk_shrink", kernel).difference.splitlines()[0]
    assert first.startswith(f"the kernel calls {EMPTIED}, pfviz has vms_complete_munmap_vmas")


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_split_that_locks_no_vma_is_noticed(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "vma_start_write", lambda engine, thread, vma, then: then)
    difference = compared("mprotect_split", kernel).difference
    assert "vma_lock" in difference or "__vma_start_write" in difference


@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
@pytest.mark.parametrize("kind", ["file_shared_write_missing", "shmem_write"])
def test_a_fault_lock_kept_while_a_writer_may_be_throttled_is_noticed(
    kind: str, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given back later then, by the same calls: only where it happens differs."""

    @step("mm/memory.c", function="fault_dirty_shared_page")
    def keep_lock(engine: Mm, thread: Thread) -> Step:
        """Go on with the fault lock held."""
        return shared_write.balance_dirty_pages_ratelimited

    monkeypatch.setattr(shared_write, "unlock_for_throttling", keep_lock)
    assert "in handle_mm_fault" in compared(kind, kernel).difference.splitlines()[0]
