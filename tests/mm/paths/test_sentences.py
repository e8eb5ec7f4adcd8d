"""What steps say happened did happen: on every way through them, in every kernel."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import (
    MADV_RANDOM,
    PROT_READ,
    PROT_WRITE,
    Access,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    OperationList,
)
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim import event
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
WITHOUT_VMA_LOCKS = [
    (name, "mmap_lock") for name, one in PRESETS.items() if "mmap_lock" in one.modes
]


def stories(made: Scene) -> list[str]:
    """The sentences of all steps that ran, in order."""
    log = made.engine.log
    return [log.steps[row[3]].story for row in log if row[1] == event.STEP and row[3] >= 0]


def below_a_stack(kernel: str) -> Scene:
    made = world(kernel).vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    made.vma("m", 4, start=BASE - 4 * 4096)
    made.thread("t", Munmap(at("m"), 4))
    return made.run()


@pytest.mark.parametrize("kernel", PRESETS)
def test_munmap_tells_of_a_downgrade_when_there_is_one(kernel: str) -> None:
    made = below_a_stack(kernel)
    downgraded = bool(made.events(event.LOCK_DOWNGRADED))
    assert downgraded == (kernel not in ("6.0", "6.1", "6.4"))
    told = stories(made)
    assert any(story.startswith("Downgrade") for story in told) == downgraded
    assert ("mmap_write_unlock" in made.functions()) != downgraded
    assert ("mmap_read_unlock" in made.functions()) == downgraded


@pytest.mark.parametrize(("kernel", "mode"), WITHOUT_VMA_LOCKS)
def test_where_vmas_have_no_lock_no_step_claims_to_take_one(kernel: str, mode: str) -> None:
    made = world(kernel, mode).vma("m", 8).touched("m")
    made.thread(
        "t",
        Mprotect(at("m", 2), 2, PROT_READ),
        Madvise(at("m", 4), 2, MADV_RANDOM),
        Mmap(4, PROT_READ | PROT_WRITE, slot="s"),
        Fork(OperationList(()), child_cpu=1),
        Munmap(at("m"), 8),
    )
    told = stories(made.run())
    assert len(told) > 30
    for story in told:
        assert not story.startswith(("Write-lock", "Both halves must be write-locked"))
        assert "sequence number unlocks" not in story


def test_page_tables_are_told_to_be_freed_when_there_are_any() -> None:
    made = world("6.12").vma("m", 8).touched("m")
    made.thread("t", Access(at("m"), write=True), Mprotect(at("m"), 8, PROT_READ))
    ways = {"6.12": "page tables like pages", "6.18": "page tables, whose"}
    assert not [one for one in stories(made.run()) if any(told in one for told in ways.values())]
    for kernel, told in ways.items():
        unmapped = world(kernel).vma("m", 512, start=BASE).touched("m")
        unmapped.thread("t", Munmap(at("m"), 512))
        assert [story for story in stories(unmapped.run()) if told in story]


def test_an_access_that_ends_in_a_signal_is_not_said_to_be_done() -> None:
    made = world("6.12").vma("m", 1)
    made.thread("t", Access(at("m", 5)))
    assert "The access is done; go on with the next page." not in stories(made.run())
