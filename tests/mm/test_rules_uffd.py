"""I26 under random interleavings: no wake-up is lost; and mistakes that would lose one are seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import Access, Compute, Operation, Uffd
from pfviz.mm.page_table import WRITABLE
from pfviz.mm.paths import userfaultfd
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import Userfault, faults_waiting
from pfviz.mm.world import Mm
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from pfviz.sim.task import DONE, Step, step
from pfviz.sync.seqcount import SeqCount
from tests.mm.uffd_scenes import flow, region
from tests.worlds import Scene, at

SEEDS = range(25)
WORKERS = 3


def crowd(kernel: str, seed: int) -> Scene:
    """Three workers on the same few pages, a monitor, and a second one that fills unasked."""
    dice = random.Random(seed)
    made = region("missing", kernel, picker=Seeded(Rng(seed)))
    for number in range(WORKERS):
        work: list[Operation] = [Compute(8_000 + dice.randrange(2_000))]
        for _ in range(6):
            place = at("m", 4 + dice.randrange(8))
            work += [Access(place, write=dice.random() < 0.7), Compute(1 + dice.randrange(900))]
        made.thread(f"w{number}", *work, cpu=2 + number % 2)
    answer = (Uffd("poll"), Uffd("read"), Compute(1 + dice.randrange(600)), Uffd("resolve"))
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), *(answer * 40), cpu=1)
    unasked: list[Operation] = [Compute(9_000)]
    for page in dice.sample(range(4, 12), 5):
        unasked += [Uffd("copy", at("m", page)), Compute(1 + dice.randrange(1_500))]
    made.thread("filler", *unasked, cpu=0)
    return made


def outcome(made: Scene) -> set[str]:
    """The rules that a run breaks."""
    rules.run(made.engine, every_steps=1, steps_max=60_000)
    return {one.rule for one in made.engine.world.broken}


@pytest.mark.parametrize("kernel", ["6.1", "6.8", "6.12", "7.2", "beyond"])
def test_no_wake_up_is_lost(kernel: str) -> None:
    asked = 0
    for seed in SEEDS:
        made = crowd(kernel, seed)
        assert outcome(made) == set(), seed
        assert all(task.state == DONE for task in made.engine.tasks), seed
        assert made.mm.userfaultfd is not None
        assert faults_waiting(made.mm.userfaultfd) == []
        asked += made.functions().count("handle_userfault")
    assert asked > len(SEEDS)


def test_every_kernel_keeps_the_rule() -> None:
    for kernel in PRESETS:
        assert outcome(crowd(kernel, 1)) == set(), kernel


# One fault against one answer that nobody asked for, at every moment of it

OFFSETS = range(0, 2_600, 20)


def duel(kernel: str, offset_ns: int, **costs: int) -> Scene:
    """A worker that faults, and a filler that puts the same page in and wakes, so much later."""
    made = region("missing", kernel, **costs)
    made.thread("monitor", Uffd("register", at("m"), 16, ("missing",)), cpu=1)
    made.thread("worker", Compute(20_000), Access(at("m", 5), write=True), cpu=2)
    made.thread("filler", Compute(19_300 + offset_ns), Uffd("copy", at("m", 5)), cpu=3)
    return made


def lost(kernel: str = "6.12", **costs: int) -> list[int]:
    """At which moments an answer leaves the worker asleep for ever, or the rule is broken."""
    return [offset for offset in OFFSETS if outcome(duel(kernel, offset, **costs)) & {"I25", "I26"}]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_an_answer_at_any_moment_of_the_fault_is_seen(kernel: str) -> None:
    assert lost(kernel) == []
    assert lost(kernel, page_free=2_000) == [], "with all the time in the world before it queues"
    assert lost(kernel, uffd_notify=2_000) == [], "and after it has looked again"
    slept = ["schedule" in duel(kernel, offset).run().functions() for offset in OFFSETS]
    assert set(slept) == {True, False}, "the moments span all from before to after"


@step("lib/test.c", function="schedule")
def late_schedule(engine: Mm, thread: Thread) -> Step | None:
    """Mark the thread asleep only now, after the entry was looked at again."""
    thread.in_flight.scratch["uwq"].is_blocking = True
    return HONEST_SCHEDULE(engine, thread)


HONEST_SCHEDULE = userfaultfd.schedule


def test_a_state_set_after_the_recheck_would_lose_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake that the order of handle_userfault avoids."""
    monkeypatch.setattr(userfaultfd, "set_current_state", lambda waiting: None)
    monkeypatch.setattr(userfaultfd, "schedule", late_schedule)
    assert lost(uffd_notify=2_000)


def test_without_the_recheck_wake_ups_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userfaultfd, "must_wait", lambda pte, reason: True)
    assert lost(page_free=2_000)


def test_waking_without_the_sequence_count_would_miss_a_fault_between_two_queues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def misses() -> bool:
        for offset in range(0, 3_000, 40):
            made, _, _ = flow("missing", "6.12", uffd_read=2_000)
            made.thread("filler", Compute(24_500 + offset), Uffd("copy", at("m", 5)), cpu=2)
            if outcome(made) & {"I25", "I26"}:
                return True
        return False

    begin, end = SeqCount.write_begin, SeqCount.write_end

    def skipped(honest: Callable[[SeqCount, Any], None]) -> Callable[[SeqCount, Any], None]:
        def change(self: SeqCount, engine: Any) -> None:
            if not self.name.startswith("refile_seq"):
                honest(self, engine)

        return change

    assert not misses()
    monkeypatch.setattr(SeqCount, "write_begin", skipped(begin))
    monkeypatch.setattr(SeqCount, "write_end", skipped(end))
    assert misses()


def test_a_sleeper_in_no_queue_breaks_the_rule() -> None:
    made, worker, serving = flow("missing")
    while worker.state != "sleeping" or worker.fault is None:
        made.engine.run(steps_max=1)
    assert rules.check(made.engine) == []
    ctx = made.mm.userfaultfd
    assert ctx is not None
    ctx.fault_pending_wqh.waiters.clear()
    ctx.fault_wqh.waiters.clear()
    serving.sys = None
    assert [one.rule for one in rules.check(made.engine)] == ["I26"]


def test_a_sleeper_whose_page_is_there_breaks_the_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Userfault, "wake", lambda self, engine: False)
    made, _, _ = flow("missing")
    rules.run(made.engine, every_steps=1)
    texts = {one.rule: one.text for one in made.engine.world.broken}
    assert texts["I26"].endswith("which is there already")
    assert "I25" in texts


def test_a_marked_page_that_can_be_written_breaks_i6() -> None:
    made = region("wp")
    made.thread("monitor", Uffd("register", at("m"), 16, ("wp",)), Uffd("protect", at("m"), 4))
    made.run()
    assert rules.check(made.engine) == []
    table = made.mm.page_tables.walk(made.named("m"))
    assert table is not None
    table.ptes[table.index(made.named("m"))] |= WRITABLE
    assert [one.rule for one in rules.check(made.engine)] == ["I6"]
