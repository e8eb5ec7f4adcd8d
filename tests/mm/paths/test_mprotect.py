"""mprotect: splits and merges, locks before flags, one flush before the lock is given back."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import PAGE_SIZE, PROT_NONE, PROT_READ, PROT_WRITE, Access, Mprotect
from pfviz.mm.page_table import PRESENT, WRITABLE
from pfviz.sim import event
from tests.worlds import Scene, at, world

RW = PROT_READ | PROT_WRITE


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def only(names: list[str], wanted: set[str]) -> list[str]:
    """The names that matter, in order."""
    return [name for name in names if name in wanted]


def test_protecting_the_middle_splits_twice_and_locks_each_new_half() -> None:
    """Order as traced on 6.12.117: the second split finds the old half locked already."""
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("t", Mprotect(at("a", 2), 4, PROT_READ))
    names = done(scene).functions()
    wanted = {"vm_area_dup", "anon_vma_clone", "vma_start_write", "vma_prepare", "vma_complete"}
    wanted |= {"vma_set_page_prot", "change_pte_range", "tlb_finish_mmu", "mmap_write_unlock"}
    split = ["vm_area_dup", "anon_vma_clone"]
    assert only(names, wanted) == [
        *split, "vma_start_write", "vma_start_write", "vma_prepare", "vma_complete",
        *split, "vma_start_write", "vma_prepare", "vma_complete",
        "vma_set_page_prot", "change_pte_range", "tlb_finish_mmu", "mmap_write_unlock",
    ]  # fmt: skip
    start = scene.named("a") >> 12
    assert scene.layout() == [
        (start, start + 2, "rw-p"), (start + 2, start + 6, "r--p"), (start + 6, start + 8, "rw-p"),
    ]  # fmt: skip


def test_protecting_back_merges_three_vmas_into_one() -> None:
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("t", Mprotect(at("a", 2), 4, PROT_READ), Mprotect(at("a", 2), 4, RW))
    done(scene)
    start = scene.named("a") >> 12
    assert scene.layout() == [(start, start + 8, "rw-p")]
    assert len(scene.events(event.VMA_FREED)) == 2
    assert scene.engine.world.frames.used == 8


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_a_range_at_the_edge_moves_to_the_neighbour_that_has_its_flags(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    first = Mprotect(at("a"), 4, PROT_READ)
    scene.thread("t", first, Mprotect(at("a", 4), 2, PROT_READ), Mprotect(at("a", 3), 3, RW))
    done(scene)
    start = scene.named("a") >> 12
    assert scene.layout() == [(start, start + 3, "r--p"), (start + 3, start + 8, "rw-p")]


def test_taking_write_permission_away_reaches_page_tables_and_tlbs() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    address = scene.named("a")
    writes = Access(at("a"), write=True)
    thread = scene.thread("t", writes, Mprotect(at("a"), 4, PROT_READ), writes)
    done(scene)
    assert scene.results(thread) == [0, 0, -14]
    assert scene.mm.page_tables.pte(address) & (PRESENT | WRITABLE) == PRESENT
    assert scene.events(event.FAULT_END)[-1]["kind"] == "segv_access"


def test_an_exclusive_page_is_writable_again_at_once() -> None:
    """README of the recorded calls, point 16: no fault after mprotect back to writable."""
    scene = world("6.12").vma("a", 4).touched("a")
    scene.thread(
        "t",
        Mprotect(at("a"), 4, PROT_READ),
        Mprotect(at("a"), 4, RW),
        Access(at("a"), write=True, pages=4),
    )
    assert done(scene).events(event.FAULT_BEGIN) == []


def test_prot_none_hides_pages_but_keeps_them() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    thread = scene.thread(
        "t", Mprotect(at("a"), 4, PROT_NONE), Access(at("a")), Mprotect(at("a"), 4, RW),
        Access(at("a")),
    )  # fmt: skip
    assert done(scene).results(thread) == [0, -14, 0, 0]
    assert scene.mm.page_tables.count_present(scene.named("a"), scene.named("a") + 0x4000) == 4


def test_the_flush_comes_before_the_unlock() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    scene.thread("t", Mprotect(at("a"), 4, PROT_READ))
    done(scene)
    log = [row for row in scene.engine.log if row[2] >= 0]
    flush = next(index for index, row in enumerate(log) if row[1] == event.TLB_FLUSH)
    unlock = [
        index
        for index, row in enumerate(log)
        if row[1] == event.LOCK_RELEASED and row[3] == scene.mm.mmap_lock.id
    ]
    assert flush < unlock[-1]


def test_a_hole_in_the_range_is_an_error() -> None:
    scene = world("6.12").vma("a", 2, start=0x10000000).vma("b", 2, start=0x10004000)
    thread = scene.thread("t", Mprotect(at("a"), 6, PROT_READ), Mprotect(at(0x20000), 1, RW))
    assert done(scene).results(thread) == [-12, -12]
    assert scene.mm.vma_at(0x10000000) is not None
    assert [perms for _, _, perms in scene.layout()] == ["r--p", "rw-p"]


def test_a_range_over_two_vmas_changes_both() -> None:
    scene = world("6.12").vma("b", 2, "r").vma("a", 2)
    scene.thread("t", Mprotect(at("a"), 4, PROT_NONE))
    done(scene)
    assert {perms for _, _, perms in scene.layout()} == {"---p"}


def test_a_fault_meets_the_new_flags_or_the_old_never_half_of_them() -> None:
    """The writer waits for the fault under the VMA lock, so its page is rewritten afterwards."""
    scene = world("6.18", zero=60_000).vma("a", 8).touched("a", 1)
    scene.thread("fault", Access(at("a", 3), write=True))
    scene.thread("mprotect", Mprotect(at("a"), 8, PROT_READ), cpu=1, after_ns=8_000)
    done(scene)
    pte = scene.mm.page_tables.pte(scene.named("a") + 3 * PAGE_SIZE)
    assert pte & PRESENT
    assert not pte & WRITABLE


def test_without_locking_the_vma_its_flags_change_under_a_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flags changed without vma_start_write: what the fault checked is no longer true."""
    from pfviz.mm.paths import modify, mprotect

    def skip(engine: object, thread: object, vma: object, then: object) -> object:
        return then

    monkeypatch.setattr(mprotect, "vma_start_write", skip)
    monkeypatch.setattr(modify, "vma_start_write", skip)
    scene = world("6.12", zero=80_000).vma("a", 8).touched("a", 1)
    scene.thread("fault", Access(at("a", 3), write=True))
    scene.thread("mprotect", Mprotect(at("a"), 8, PROT_READ), cpu=1, after_ns=8_000)
    rules.run(scene.engine, every_steps=1)
    assert "I7" in {broken.rule for broken in scene.engine.world.broken}


@pytest.mark.parametrize("kernel", ["6.1", "6.18"])
def test_rights_that_change_are_flushed_whether_taken_or_given(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    there = Mprotect(at("a"), 8, PROT_READ)
    back = Mprotect(at("a"), 8, RW)
    scene.thread("other", Access(at("a"), pages=8), repeat=200, cpu=1)
    scene.thread("t", Access(at("a"), write=True), there, back)
    done(scene)
    flushes = [one["reason"] for one in scene.events(event.TLB_FLUSH)]
    assert flushes == ["mprotect", "mprotect"]
    assert len(scene.events(event.IPI)) == 2


def test_a_right_given_back_after_prot_none_needs_no_flush() -> None:
    scene = world("6.12").vma("a", 4).touched("a")
    scene.thread("t", Mprotect(at("a"), 4, PROT_NONE), Mprotect(at("a"), 4, RW))
    done(scene)
    assert len(scene.events(event.TLB_FLUSH)) == 1
