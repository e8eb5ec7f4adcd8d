"""Queued spinlocks: first come, first served, and nobody gives up his CPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lock_worlds import engine_of, events, ideal_engine, stuck

from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    FIELDS,
    LINE_MOVED,
    LOCK_ACQUIRED,
    LOCK_FAILED,
    LOCK_NEW,
    LOCK_RELEASED,
    SCHED_SWITCH,
    SPIN,
    SPIN_BEGIN,
    SPIN_END,
)
from pfviz.sim.picker import Seeded
from pfviz.sim.rng import Rng
from pfviz.sim.task import SPINNING, Step, Task, step
from pfviz.sync import spinlock
from pfviz.sync.spinlock import SpinLock, spin_lock, spin_trylock, spin_unlock


@dataclass(slots=True, eq=False)
class Locker(Task):
    """Takes a spinlock several times."""

    lock: SpinLock = None  # type: ignore[assignment]
    hold_ns: int = 0
    pause_ns: int = 0
    rounds: int = 1
    tries: bool = False
    taken_ns: list[int] = field(default_factory=list)


@step("tests/sync/test_spinlock.py")
def begin(engine: Engine[Any], task: Locker) -> Step | None:
    """Take the lock, or end."""
    if not task.rounds:
        engine.end()
        return None
    task.rounds -= 1
    if task.tries:
        return locked if spin_trylock(engine, task, task.lock) else begin
    return spin_lock(engine, task, task.lock, locked)


@step("tests/sync/test_spinlock.py")
def locked(engine: Engine[Any], task: Locker) -> Step:
    """Hold it for a while."""
    task.taken_ns.append(engine.now_ns)
    engine.charge(task.hold_ns)
    return unlock


@step("tests/sync/test_spinlock.py")
def unlock(engine: Engine[Any], task: Locker) -> Step:
    """Give it back and pause."""
    spin_unlock(engine, task, task.lock)
    engine.charge(task.pause_ns)
    return begin


def locker(
    engine: Engine[Any], lock: SpinLock, after_ns: int = 0, cpu: int = -1, **how: Any
) -> Any:
    index = len(engine.tasks)
    on = engine.machine.cpus[index if cpu < 0 else cpu]
    task = Locker(index, f"t{index}", begin, on, lock=lock, **how)
    engine.start(task, after_ns)
    return task


def run_checked(engine: Engine[Any], lock: SpinLock) -> None:
    while engine.run(steps_max=1):
        lock.check()


def test_waiters_get_the_lock_in_order_of_arrival() -> None:
    engine = ideal_engine(4)
    lock = SpinLock(engine, "ptl", "ptl")
    lockers = [locker(engine, lock, index, hold_ns=1_000) for index in range(4)]
    run_checked(engine, lock)
    assert [task.taken_ns for task in lockers] == [[0], [1_000], [2_000], [3_000]]
    assert lock.holder is None
    assert all(task.preempt_count == 0 for task in lockers)


def test_a_free_lock_is_taken_in_the_callers_step() -> None:
    engine = ideal_engine(1)
    lock = SpinLock(engine, "ptl", "ptl", 9)
    locker(engine, lock, hold_ns=10)
    run_checked(engine, lock)
    assert engine.steps == 4
    assert not events(engine, SPIN_BEGIN)
    (new,) = events(engine, LOCK_NEW)
    assert (new["lock"], new["owner"]) == (lock.id, 9)
    (released,) = events(engine, LOCK_RELEASED)
    assert (released["mode"], released["hold_ns"]) == (SPIN, 10)


def test_spinning_takes_one_step_however_long_it_lasts() -> None:
    engine = ideal_engine(2)
    lock = SpinLock(engine, "ptl", "ptl")
    locker(engine, lock, hold_ns=1_000_000)
    spinner = locker(engine, lock, 10, hold_ns=5)
    engine.run(until_ns=999_000)
    assert spinner.state == SPINNING
    run_checked(engine, lock)
    (end,) = events(engine, SPIN_END)
    assert (end["spin_ns"], end["taken"]) == (999_990, 1)
    (wait,) = events(engine, LOCK_ACQUIRED, task=spinner)
    assert wait["wait_ns"] == 999_990
    assert engine.steps == 4 + 6


def test_a_trylock_fails_and_goes_on() -> None:
    engine = ideal_engine(2)
    lock = SpinLock(engine, "ptl", "ptl")
    locker(engine, lock, hold_ns=1_000)
    trier = locker(engine, lock, 10, tries=True, rounds=3, hold_ns=5)
    run_checked(engine, lock)
    assert trier.taken_ns == []
    assert [entry["why"] for entry in events(engine, LOCK_FAILED)] == ["held"] * 3
    late = locker(engine, lock, 2_000, cpu=0, tries=True, hold_ns=5)
    run_checked(engine, lock)
    assert len(late.taken_ns) == 1
    assert events(engine, LOCK_ACQUIRED)[-1]["is_try"] == 1


def test_neither_holder_nor_spinner_is_preempted() -> None:
    engine = ideal_engine(2)
    engine.machine.slice_ns = 100
    lock = SpinLock(engine, "ptl", "ptl")
    holder = locker(engine, lock, hold_ns=5_000)
    spinner = locker(engine, lock, 10, hold_ns=5_000)
    locker(engine, lock, 20, cpu=0, hold_ns=1)
    locker(engine, lock, 20, cpu=1, hold_ns=1)
    run_checked(engine, lock)
    assert stuck(engine) == []
    for task, free_ns in ((holder, 5_000), (spinner, 10_000)):
        switched = events(engine, SCHED_SWITCH, task=task)
        assert switched[0]["now_ns"] >= free_ns


def test_handing_over_moves_the_cache_line() -> None:
    engine = engine_of(3)
    lock = SpinLock(engine, "ptl", "ptl")
    for index in range(3):
        locker(engine, lock, index, hold_ns=1_000)
    run_checked(engine, lock)
    assert len(events(engine, LINE_MOVED)) >= 5
    assert len(FIELDS[LINE_MOVED][1]) == 4


def test_sleeping_with_a_spinlock_is_a_mistake() -> None:
    engine = ideal_engine(1)
    lock = SpinLock(engine, "ptl", "ptl")
    task = locker(engine, lock, hold_ns=10)
    engine.run(until_ns=5)
    engine.task = task
    with pytest.raises(AssertionError, match="sleeps in an atomic section"):
        engine.sleep(begin, "a page")


def test_unlocking_what_another_holds_is_a_mistake() -> None:
    engine = ideal_engine(2)
    lock = SpinLock(engine, "ptl", "ptl")
    locker(engine, lock, hold_ns=10)
    engine.run(until_ns=5)
    other = locker(engine, lock, cpu=1)
    with pytest.raises(AssertionError, match="which it does not hold"):
        spin_unlock(engine, other, lock)


LOCKERS = st.lists(
    st.tuples(
        st.integers(0, 500), st.integers(0, 2), st.integers(0, 400), st.integers(0, 400),
        st.integers(1, 5), st.booleans(),
    ),
    min_size=2, max_size=7,
)  # fmt: skip


def contend(lockers: list[Any], seed: int) -> tuple[Engine[Any], SpinLock]:
    engine = engine_of(3, Seeded(Rng(seed)))
    engine.machine.slice_ns = 2_000
    lock = SpinLock(engine, "ptl", "ptl")
    for after_ns, cpu, hold_ns, pause_ns, rounds, tries in lockers:
        locker(engine, lock, after_ns, cpu, hold_ns=hold_ns, pause_ns=pause_ns, rounds=rounds,
               tries=tries)  # fmt: skip
    run_checked(engine, lock)
    return engine, lock


@settings(max_examples=100, deadline=None)
@given(LOCKERS, st.integers(0, 2**32))
def test_one_holder_at_a_time_and_everybody_finishes(lockers: list[Any], seed: int) -> None:
    engine, lock = contend(lockers, seed)
    assert stuck(engine) == []
    assert lock.holder is None
    holder = None
    for entry in events(engine, LOCK_ACQUIRED, LOCK_RELEASED):
        if entry["kind"] == "lock_acquired":
            assert holder is None
            holder = entry["task"]
        else:
            assert holder == entry["task"]
            holder = None


def test_a_lock_that_hands_over_to_nobody_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(engine: Any, task: Any, lock: Any) -> None:
        task.preempt_count -= 1
        lock.holder = None

    monkeypatch.setitem(globals(), "spin_unlock", forget)
    with pytest.raises(AssertionError, match="free, but tasks spin on it"):
        contend([(0, 0, 900, 0, 1, False), (10, 1, 5, 0, 1, False)], 1)
    assert spinlock.spin_unlock is not forget
