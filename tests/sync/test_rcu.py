"""RCU: nothing is reclaimed while a section that could see it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lock_worlds import events, ideal_engine, stuck

from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    RCU_CALLBACK,
    RCU_GRACE_PERIOD,
    RCU_READ_BEGIN,
    RCU_READ_END,
)
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from pfviz.sim.task import Step, Task, step
from pfviz.sync import rcu as rcu_module
from pfviz.sync.rcu import Rcu

GRACE_NS = 10_000


@dataclass(slots=True, eq=False)
class World:
    """RCU and what was reclaimed when."""

    rcu: Rcu = field(default_factory=Rcu)
    reclaimed: list[tuple[int, Any]] = field(default_factory=list)
    unreachable_ns: dict[Any, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Actor(Task):
    """Follows a script of RCU operations."""

    script: list[Any] = field(default_factory=list)


def reclaim(engine: Engine[World], subject: Any) -> None:
    """Nobody can see `subject` any more, RCU says; look whether that is true."""
    world = engine.world
    for section in world.rcu.sections.values():
        assert section.since_ns >= world.unreachable_ns[subject], f"a reader still sees {subject}"
    world.reclaimed.append((engine.now_ns, subject))


@step("tests/sync/test_rcu.py")
def act(engine: Engine[World], task: Actor) -> Step | None:
    """Do the next thing in the script."""
    if not task.script:
        engine.end()
        return None
    rcu = engine.world.rcu
    match task.script.pop(0):
        case "lock":
            rcu.read_lock(engine, task)
        case "unlock":
            rcu.read_unlock(engine, task)
        case "irqs off":
            rcu.irqs_off(engine)
        case "irqs on":
            rcu.irqs_on(engine)
        case "plain irqs off":
            engine.irqs_off()
        case "plain irqs on":
            engine.irqs_on()
        case ("free", subject):
            engine.world.unreachable_ns[subject] = engine.now_ns
            rcu.call_rcu(engine, "node", subject, reclaim)
        case "synchronize":
            rcu.synchronize_rcu(engine, task, act)
            return None
        case ns:
            engine.charge(ns)
    return act


def world_of(*scripts: list[Any], seed: int | None = None) -> Engine[World]:
    picker = None if seed is None else Seeded(Rng(seed))
    engine: Engine[World] = ideal_engine(len(scripts), picker, rcu_poll=1_000)
    engine.world = World()
    for index, script in enumerate(scripts):
        task = Actor(index, f"t{index}", act, engine.machine.cpus[index], script=list(script))
        engine.start(task)
    return engine


def reclaimed(*scripts: list[Any]) -> list[tuple[int, Any]]:
    engine = world_of(*scripts)
    engine.run()
    assert stuck(engine) == []
    return engine.world.reclaimed


def test_without_readers_a_grace_period_takes_its_time() -> None:
    assert reclaimed([5, ("free", 1)]) == [(5 + GRACE_NS, 1)]


def test_a_reader_that_was_there_before_holds_the_grace_period_up() -> None:
    assert reclaimed(["lock", 50_000, "unlock"], [5, ("free", 1)]) == [(50_000, 1)]


def test_a_reader_that_came_later_does_not() -> None:
    assert reclaimed([10, "lock", 50_000, "unlock"], [5, ("free", 1)]) == [(5 + GRACE_NS, 1)]


def test_only_the_outermost_unlock_ends_a_section() -> None:
    script = ["lock", "lock", 20_000, "unlock", 30_000, "unlock"]
    engine = world_of(script, [5, ("free", 1)])
    engine.run()
    assert engine.world.reclaimed == [(50_000, 1)]
    assert len(events(engine, RCU_READ_BEGIN)) == 1
    (end,) = events(engine, RCU_READ_END)
    assert end["section_ns"] == 50_000


def test_a_callback_that_comes_late_waits_for_the_next_grace_period() -> None:
    engine = world_of([5, ("free", 1), 100, ("free", 2), ("free", 3)])
    engine.run()
    assert engine.world.reclaimed == [
        (5 + GRACE_NS, 1), (5 + 2 * GRACE_NS, 2), (5 + 2 * GRACE_NS, 3),
    ]  # fmt: skip
    periods = events(engine, RCU_GRACE_PERIOD)
    assert [(entry["number"], entry["callbacks"]) for entry in periods] == [(1, 1), (2, 2)]
    assert [entry["what"] for entry in events(engine, RCU_CALLBACK)] == ["node"] * 3
    assert [entry["object"] for entry in events(engine, RCU_CALLBACK)] == [1, 2, 3]


def test_a_section_is_forgotten_between_two_visits() -> None:
    """The same task reads again: its second section began after the grace period did."""
    readers = ["lock", 20_000, "unlock", "lock", 40_000, "unlock"]
    assert reclaimed(readers, [5, ("free", 1)]) == [(20_000, 1)]


@pytest.mark.parametrize("kind", ["irqs", "plain irqs"])
def test_a_cpu_with_interrupts_off_counts_as_a_reader(kind: str) -> None:
    ((ns, _),) = reclaimed([f"{kind} off", 50_000, f"{kind} on"], [5, ("free", 1)])
    assert 50_000 <= ns <= 51_005


def test_interrupts_that_went_off_later_do_not_count() -> None:
    script = [20, "irqs off", 50_000, "irqs on"]
    ((ns, _),) = reclaimed(script, [5, ("free", 1)])
    assert ns == 5 + GRACE_NS


def test_nested_irqs_off_count_until_the_last_is_on() -> None:
    script = ["irqs off", "irqs off", 20_000, "irqs on", 30_000, "irqs on"]
    assert reclaimed(script, [5, ("free", 1)]) == [(50_000, 1)]


def test_synchronize_rcu_sleeps_for_a_grace_period() -> None:
    engine = world_of(["lock", 30_000, "unlock"], [5, "synchronize", ("free", 1)])
    engine.run()
    assert stuck(engine) == []
    assert engine.world.unreachable_ns[1] == 31_000


def test_waiting_for_ones_own_section_is_a_mistake() -> None:
    engine = world_of(["lock", "synchronize"])
    with pytest.raises(AssertionError, match="waits for its own RCU section"):
        engine.run()


def test_a_copy_goes_on_with_its_own_grace_period() -> None:
    engine = world_of(["lock", 30_000, "unlock"], [5, ("free", 1)])
    engine.run(until_ns=20_000)
    twin = engine.copy(with_log=True)
    engine.run()
    twin.run()
    assert twin.world is not engine.world
    assert twin.world.reclaimed == engine.world.reclaimed == [(30_000, 1)]
    assert twin.log.digest() == engine.log.digest()


@st.composite
def scripts(draw: st.DrawFn) -> list[Any]:
    parts: list[Any] = []
    for _ in range(draw(st.integers(1, 5))):
        pause = draw(st.integers(0, 15_000))
        body = draw(st.sampled_from(["free", "read", "irqs", "nested"]))
        match body:
            case "free":
                parts += [pause, "FREE"]
            case "read":
                parts += ["lock", pause, "unlock", 100]
            case "irqs":
                parts += ["irqs off", pause, "irqs on", 100]
            case "nested":
                parts += ["lock", 50, "lock", "FREE", "unlock", pause, "unlock"]
    return parts


WORLDS = st.tuples(st.lists(scripts(), min_size=2, max_size=4), st.integers(0, 2**32))


def run_scripts(plain: list[list[Any]], seed: int) -> None:
    subjects = iter(range(1, 1_000))
    named = [
        [("free", next(subjects)) if part == "FREE" else part for part in script]
        for script in plain
    ]
    engine = world_of(*named, seed=seed)
    engine.run()
    assert stuck(engine) == []
    assert len(engine.world.reclaimed) == next(subjects) - 1
    rcu = engine.world.rcu
    assert (rcu.current, rcu.next, rcu.sections) == (None, [], {})
    for ns, subject in engine.world.reclaimed:
        assert ns >= engine.world.unreachable_ns[subject] + GRACE_NS


@settings(max_examples=150, deadline=None)
@given(WORLDS)
def test_nothing_is_reclaimed_under_a_reader_and_all_of_it_in_the_end(world: Any) -> None:
    run_scripts(*world)


def test_a_grace_period_that_forgets_its_readers_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forgetful(*fields: Any) -> Any:
        period = real(*fields)
        period.readers = []
        return period

    real = rcu_module.GracePeriod
    monkeypatch.setattr(rcu_module, "GracePeriod", forgetful)
    with pytest.raises(AssertionError, match="a reader still sees 1"):
        reclaimed(["lock", 50_000, "unlock"], [5, ("free", 1)])
