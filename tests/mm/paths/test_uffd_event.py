"""Changes of the address space of which a userfaultfd monitor is to read first."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    Compute,
    Exit,
    Fork,
    Madvise,
    Mremap,
    Munmap,
    Operation,
    OperationList,
    Uffd,
)
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_UFFD
from pfviz.sim.task import DONE
from tests.mm.uffd_scenes import locks_held_at, region
from tests.worlds import Scene, at


def told(made: Scene, features: tuple[str, ...], *answer: Uffd) -> Thread:
    """A monitor that reads one event, late."""
    return made.thread(
        "monitor",
        Uffd("open", features=features),
        Uffd("register", at("m"), 16, ("missing",)),
        Compute(60_000),
        *answer,
        Uffd("poll"),
        Uffd("read"),
        Compute(9_000),  # Who waits lowers mmap_changing himself, once he is awake.
        Uffd("copy", at("m", 5)),
        cpu=1,
    )


CHANGES: dict[str, Operation] = {
    "event_unmap": Munmap(at("m", 8), 4),
    "event_remove": Madvise(at("m", 8), 4, "dontneed"),
    "event_fork": Fork(OperationList((Exit(),)), child_cpu=3),
    "event_remap": Mremap(at("m", 8), 4, 8, slot="moved"),
}


@pytest.mark.parametrize("kernel", ["6.1", "6.8", "6.12", "6.18"])
@pytest.mark.parametrize("feature", CHANGES)
def test_a_change_waits_until_the_monitor_has_read_of_it(feature: str, kernel: str) -> None:
    made = region("missing", kernel)
    early = Uffd("copy", at("m", 5))
    serving = told(made, (feature,), early)
    changer = made.thread("changer", CHANGES[feature], cpu=2, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert (serving.state, changer.state) == (DONE, DONE)
    assert made.results(serving) == [0, 0, 0, -11, 0, 0, 0, 0], "EAGAIN before it has read"
    assert serving.message is not None
    assert serving.message.what == feature.removeprefix("event_")
    ctx = made.mm.userfaultfd
    assert ctx is not None
    assert (ctx.mmap_changing, ctx.refcount) == (0, 1)


@pytest.mark.parametrize("feature", CHANGES)
def test_a_change_that_nobody_wants_to_know_of_waits_for_nobody(feature: str) -> None:
    made = region("missing")
    told(made, (), Uffd("copy", at("m", 6)))
    changer = made.thread("changer", CHANGES[feature], cpu=2, after_ns=20_000)
    made.run(until_ns=60_000)
    assert changer.state == DONE


def test_the_lock_is_not_held_while_the_monitor_is_told_of_a_change() -> None:
    for feature, change in CHANGES.items():
        made = region("missing")
        told(made, (feature,))
        changer = made.thread("changer", change, cpu=2, after_ns=20_000)
        made.run()
        assert locks_held_at(made, "schedule", changer.id) == [], feature


def test_closing_the_descriptor_wakes_who_waits_to_be_read_of() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("open", features=("event_unmap",)),
        Uffd("register", at("m"), 16, ("missing",)),
        Compute(60_000),
        Uffd("close"),
        cpu=1,
    )
    changer = made.thread("changer", CHANGES["event_unmap"], cpu=2, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert changer.state == DONE


def test_a_monitor_that_unmaps_itself_waits_for_itself() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("open", features=("event_unmap",)),
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5)),
        Munmap(at("m"), 4),
    )
    rules.run(made.engine)
    assert "I25" in {one.rule for one in made.engine.world.broken}


def test_a_range_that_moves_loses_its_monitor_unless_it_is_told() -> None:
    for feature in ("", "event_remap"):
        made = region("missing")
        features = (feature,) if feature else ()
        made.thread(
            "monitor", Uffd("open", features=features),
            Uffd("register", at("m"), 16, ("missing",)), Compute(50_000), Uffd("read"), cpu=1,
        )  # fmt: skip
        changer = made.thread("changer", CHANGES["event_remap"], cpu=2, after_ns=20_000)
        made.run(until_ns=5_000_000)
        moved = made.mm.vma_at(changer.slots["moved"])
        assert moved is not None
        assert bool(moved.vm_flags & VM_UFFD) == bool(feature)
        assert (moved.userfaultfd is not None) == bool(feature)


def test_dropping_pages_that_a_monitor_serves_takes_mmap_lock() -> None:
    """6.17+ drops pages under the VMA lock, but not where a monitor might have to be told."""
    for modes in (("missing",), ()):
        made = region("missing", "6.18")
        work = [Uffd("register", at("m"), 16, modes)] if modes else []
        changer = made.thread("changer", *work, Madvise(at("m"), 2, "dontneed"))
        made.run()
        held = locks_held_at(made, "zap_pte_range", changer.id)
        assert ("mmap_lock" in held, "vma_lock" in held) == (bool(modes), not modes)
