"""Random readers and writers: no interleaving breaks the word, and everybody finishes."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lock_worlds import (
    Action,
    Downgrade,
    Read,
    Release,
    TryRead,
    TryWrite,
    Write,
    actor,
    engine_of,
    events,
    hold,
    ideal_engine,
    mmap_lock,
    rest,
    run_checked,
    stuck,
    word,
)

from pfviz.sim.engine import Engine
from pfviz.sim.event import LOCK_ACQUIRED, LOCK_DOWNGRADED, LOCK_RELEASED
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from pfviz.sync import rwsem_down_read, rwsem_down_write, rwsem_spin, rwsem_wake
from pfviz.sync.rw_semaphore import RwSemaphore

DURATIONS = st.one_of(
    st.integers(0, 300), st.integers(300, 5_000), st.integers(5_000, 60_000), st.just(4_100_000)
)
PAUSES = st.builds(lambda ns, how: how(ns), DURATIONS, st.sampled_from([hold, rest]))


@st.composite
def visits(draw: st.DrawFn) -> list[Action]:
    """One visit of the lock: how it is taken, what is done with it, a pause."""
    action = draw(st.sampled_from([Read, Write, Write, TryRead, TryWrite]))
    body = [draw(PAUSES)]
    if action in (Write, TryWrite) and draw(st.booleans()):
        body += [Downgrade, draw(PAUSES)]
    pause = draw(PAUSES)
    if action in (TryRead, TryWrite):
        return [action, ("if_taken", [*body, Release]), pause]
    return [action, *body, Release, pause]


ACTORS = st.lists(
    st.tuples(
        st.lists(visits(), min_size=1, max_size=4).map(lambda parts: list(chain(*parts))),
        st.integers(0, 3),  # CPU
        st.integers(0, 20_000),  # start
        st.sampled_from([50, 100, 120, 120, 139]),  # priority
    ),
    min_size=2,
    max_size=7,
)


def crowd(engine: Engine[Any], sem: RwSemaphore, actors: list[Any]) -> None:
    for index, (script, cpu, after_ns, prio) in enumerate(actors):
        actor(engine, sem, f"t{index}", *script, cpu=cpu, after_ns=after_ns, prio=prio)


def slow_engine(seed: int) -> Engine[Any]:
    """Long slow paths, so that others meet a task in the middle of them."""
    return engine_of(
        4, Seeded(Rng(seed)), rwsem_slowpath=3_000, rwsem_wait_lock=500, rwsem_atomic=300
    )


def everybody_finishes(engine: Engine[Any], sem: RwSemaphore, actors: list[Any]) -> None:
    crowd(engine, sem, actors)
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert word(sem) == "0"
    assert not sem.held
    assert not sem.watchers
    assert not sem.osq
    assert sem.stray_readers == 0
    assert all(task.preempt_count == 0 for task in engine.tasks)


@settings(max_examples=150, deadline=None)
@given(ACTORS, st.integers(0, 2**32))
def test_no_schedule_breaks_the_word_or_leaves_a_sleeper(actors: list[Any], seed: int) -> None:
    engine = engine_of(4, Seeded(Rng(seed)))
    everybody_finishes(engine, mmap_lock(engine), actors)


@settings(max_examples=100, deadline=None)
@given(ACTORS, st.integers(0, 2**32))
def test_the_same_holds_when_everything_happens_at_once(actors: list[Any], seed: int) -> None:
    """Without costs many steps are due at the same time, and the dice decide."""
    engine = ideal_engine(4, Seeded(Rng(seed)))
    everybody_finishes(engine, mmap_lock(engine), actors)


@settings(max_examples=100, deadline=None)
@given(ACTORS, st.integers(0, 2**32))
def test_the_same_holds_when_the_slow_paths_are_slow(actors: list[Any], seed: int) -> None:
    engine = slow_engine(seed)
    everybody_finishes(engine, mmap_lock(engine), actors)


@settings(max_examples=60, deadline=None)
@given(ACTORS, st.integers(0, 2**32))
def test_the_events_alone_tell_who_holds_the_lock(actors: list[Any], seed: int) -> None:
    engine = engine_of(4, Seeded(Rng(seed)))
    sem = mmap_lock(engine)
    everybody_finishes(engine, sem, actors)
    held: dict[int, int] = {}
    for entry in events(engine, LOCK_ACQUIRED, LOCK_RELEASED, LOCK_DOWNGRADED):
        task = entry["task"]
        if entry["kind"] == "lock_acquired":
            assert task not in held
            if entry["mode"] == 1:
                assert not held, "a writer came in while others held it"
            assert 1 not in held.values(), "a reader came in while a writer held it"
            held[task] = entry["mode"]
        elif entry["kind"] == "lock_downgraded":
            assert held[task] == 1
            held[task] = 0
        else:
            assert held.pop(task) == entry["mode"]
    assert not held


@settings(max_examples=30, deadline=None)
@given(ACTORS, st.integers(0, 2**32), st.integers(1, 60))
def test_a_copied_world_goes_on_in_the_same_way(actors: list[Any], seed: int, steps: int) -> None:
    engine = engine_of(4, Seeded(Rng(seed)))
    crowd(engine, mmap_lock(engine), actors)
    engine.run(steps_max=steps)
    twin = engine.copy(with_log=True)
    engine.run()
    twin.run()
    assert twin.log.digest() == engine.log.digest()


@settings(max_examples=30, deadline=None)
@given(ACTORS, st.integers(0, 2**32))
def test_logging_changes_nothing(actors: list[Any], seed: int) -> None:
    engine = engine_of(4, Seeded(Rng(seed)))
    silent = engine_of(4, Seeded(Rng(seed)))
    silent.logging = False
    for each in (engine, silent):
        crowd(each, mmap_lock(each), actors)
        each.run()
    assert (silent.now_ns, silent.steps) == (engine.now_ns, engine.steps)
    assert not len(silent.log)


def never_wake(*_: Any) -> None:
    """A waker that wakes nobody."""


BREAKAGES = {
    "nobody is woken": (rwsem_wake, "wake_up_process", never_wake),
    "woken writers are not noted": (rwsem_wake, "_wake_writer", never_wake),
    "queued readers are not granted": (rwsem_wake, "_grant", never_wake),
    "the head is not woken when a reader queues": (
        rwsem_down_read, "rwsem_cond_wake_waiter", never_wake,
    ),
    "a writer takes the lock without looking": (rwsem_down_write, "LOCK_MASK", 0),
    "a spinner takes the lock without looking": (
        rwsem_spin, "LOCK_MASK", 0,
    ),
    "readers steal from writers": (
        rwsem_down_read, "WRITER_LOCKED", 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, attribute, broken = BREAKAGES[name]
    monkeypatch.setattr(module, attribute, broken)

    @settings(
        max_examples=400, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(ACTORS, st.integers(0, 2**32))
    def property_holds(actors: list[Any], seed: int) -> None:
        engine = slow_engine(seed)
        everybody_finishes(engine, mmap_lock(engine), actors)

    with pytest.raises(AssertionError):
        property_holds()
