"""Registering with a userfaultfd, and what a monitor must not do."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    Access,
    Compute,
    Exit,
    Fork,
    MigratePages,
    Munmap,
    Operation,
    OperationList,
    Reclaim,
    Uffd,
)
from pfviz.mm.page_table import UFFD_WP, WRITABLE
from pfviz.mm.policy import Policy
from pfviz.mm.uffd_range import begin_registered
from pfviz.mm.vma import VM_UFFD, VM_UFFD_MISSING
from pfviz.sim.task import DONE
from tests.mm.fault_scenes import check_pages, kinds
from tests.mm.swap_scenes import touched_world
from tests.mm.uffd_scenes import pte, region
from tests.worlds import at, world

# Registering


def test_registering_splits_and_unregistering_merges() -> None:
    made = region("missing")
    made.thread("monitor", Uffd("register", at("m", 4), 4, ("missing",)))
    made.run()
    assert [vma.vm_flags & VM_UFFD for vma in made.mm.tree] == [0, VM_UFFD_MISSING, 0]
    assert [vma.userfaultfd is made.mm.userfaultfd for vma in made.mm.tree] == [False, True, False]
    made.thread("again", Uffd("unregister", at("m", 4), 4))
    made.run()
    assert [vma.pages for vma in made.mm.tree] == [16]
    assert [vma.userfaultfd for vma in made.mm.tree] == [None]


def test_a_split_part_keeps_its_monitor() -> None:
    made = region("missing")
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), Munmap(at("m", 4), 2))
    made.run()
    assert [vma.userfaultfd is made.mm.userfaultfd for vma in made.mm.tree] == [True, True]


@pytest.mark.parametrize("modes", [("minor",), ("missing", "minor")])
def test_private_memory_has_no_minor_faults(modes: tuple[str, ...]) -> None:
    made = region("missing")
    serving = made.thread("monitor", Uffd("register", at("m"), 16, modes))
    made.run()
    assert made.results(serving) == [-22]


def test_a_child_has_no_monitor_unless_the_fork_is_told() -> None:
    made = region("missing")
    child = OperationList((Access(at("m", 5), write=True), Exit()))
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), Fork(child))
    made.run()
    (copy,) = made.engine.world.mms[1:]
    assert copy.userfaultfd is None
    assert kinds(made) == ["anon_write"]


def test_closing_the_descriptor_wakes_and_lets_faults_go_on() -> None:
    made = region("missing")
    made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("poll"),
        Compute(3_000),
        Uffd("close"),
    )
    worker = made.thread("worker", Access(at("m", 5), write=True), cpu=1, after_ns=20_000)
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert worker.state == DONE
    assert pte(made, 5) & WRITABLE


# Errors of the monitor


def test_a_page_that_is_there_is_not_overwritten() -> None:
    made = region("missing")
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5)),
        Uffd("copy", at("m", 5)),
        Uffd("zeropage", at("m", 5)),
        Uffd("copy", at("m", 3), pages=1),
    )
    made.run()
    assert made.results(serving) == [0, 0, -17, -17, -17]
    check_pages(made)


def test_contents_that_are_not_in_memory_are_copied_without_the_locks() -> None:
    made = region("missing")
    made.vma("buffer", 4)
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5), source=at("buffer")),
    )
    rules.run(made.engine, every_steps=1)
    assert made.engine.world.broken == []
    assert made.results(serving) == [0, 0]
    assert kinds(made) == ["anon_read_zero"], "a fault of the kernel on the source"
    assert made.functions(serving).count("uffd_lock_vma") == 4
    check_pages(made)


def test_a_page_prepared_for_memory_that_goes_meanwhile_is_given_back() -> None:
    """The contents are faulted in without the locks; when the call comes back all is gone."""
    made = region("missing")
    made.vma("buffer", 4)
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 16, ("missing",)),
        Uffd("copy", at("m", 5), source=at("buffer")),
    )
    engine = made.engine
    while serving.step is None or serving.step.__name__ != "mfill_drop_locks":
        engine.run(steps_max=1)
    made.thread("changer", Munmap(at("m"), 16), cpu=2)
    made.engine.machine.costs = {**engine.machine.costs, "exception_entry": 50_000}
    rules.run(engine, every_steps=1)
    assert engine.world.broken == []
    assert made.results(serving) == [0, -2]
    check_pages(made)


@pytest.mark.parametrize("away", [Reclaim(at("m"), 4), MigratePages(at("m"), 4)])
@pytest.mark.parametrize("kernel", ["6.1", "6.6", "6.12", "7.2"])
def test_a_page_that_was_away_is_still_write_protected(away: Operation, kernel: str) -> None:
    made = touched_world(kernel)
    serving = made.thread(
        "monitor",
        Uffd("register", at("m"), 8, ("wp",)),
        Uffd("protect", at("m"), 4),
        away,
        Uffd("poll"),
        Uffd("read"),
        Uffd("resolve"),
    )
    worker = made.thread("worker", Access(at("m", 1), write=True), cpu=1, after_ns=1_000_000)
    rules.run(made.engine)
    assert made.engine.world.broken == []
    assert (serving.state, worker.state) == (DONE, DONE)
    assert serving.message is not None
    assert (serving.message.what, serving.message.address) == ("wp", made.named("m") + 4096)
    assert pte(made, 2) & UFFD_WP
    assert pte(made, 1) & WRITABLE


def test_a_child_is_not_told_of_writes_to_pages_that_were_swapped() -> None:
    made = touched_world("6.12")
    child = OperationList((Access(at("m"), write=True, pages=4), Exit()))
    made.thread(
        "monitor",
        Uffd("register", at("m"), 8, ("wp",)),
        Uffd("protect", at("m"), 4),
        Reclaim(at("m"), 4),
        Fork(child),
    )
    rules.run(made.engine)
    assert made.engine.world.broken == []
    assert "uffd_wp" not in kinds(made)


def test_a_huge_page_is_split_to_be_told_of_writes_page_by_page() -> None:
    made = world("6.12", cpus=4, policy=Policy(thp="always"))
    made.vma("m", 1024, start=0x4000_0000)
    serving = made.thread(
        "monitor",
        Access(at("m"), write=True),
        Uffd("register", at("m"), 1024, ("missing", "wp")),
        Uffd("copy", at("m", 7)),
        Uffd("protect", at("m", 100), 4),
        Uffd("poll"),
        Uffd("read"),
        Uffd("resolve"),
    )
    made.thread("worker", Access(at("m", 101), write=True), cpu=1, after_ns=1_000_000)
    rules.run(made.engine)
    assert made.engine.world.broken == []
    assert kinds(made) == ["thp_write", "uffd_wp"]
    assert made.results(serving) == [0, 0, -17, 0, 0, 0, 0]
    assert not made.mm.page_tables.huge


def test_missing_memory_that_could_be_huge_is_the_monitors_page_by_page() -> None:
    made = world("6.12", cpus=4, policy=Policy(thp="always"))
    made.vma("m", 1024, start=0x4000_0000)
    made.thread(
        "monitor",
        Uffd("register", at("m"), 1024, ("missing",)),
        Uffd("poll"),
        Uffd("read"),
        Uffd("resolve"),
        cpu=1,
    )
    made.thread("worker", Access(at("m", 101), write=True), after_ns=1_000_000)
    rules.run(made.engine)
    assert made.engine.world.broken == []
    assert kinds(made) == ["uffd_missing"]
    assert made.mm.page_tables.rss_anon == 1


def test_opening_what_was_there_from_the_start_only_agrees_on_its_features() -> None:
    made = region("missing")
    begin_registered(made.engine, made.vmas["m"], ("missing",))
    ctx = made.mm.userfaultfd
    made.thread("monitor", Uffd("open", features=("sigbus",)))
    made.thread("worker", Access(at("m", 5), write=True), cpu=1, after_ns=20_000)
    made.run()
    assert made.mm.userfaultfd is ctx
    assert kinds(made) == ["sigbus"]
