"""Between a release and the wake-up that follows it, others may take the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lock_worlds import (
    Read,
    Release,
    Write,
    acquired_ns,
    actor,
    engine_of,
    events,
    hold,
    ideal_engine,
    mmap_lock,
    run_checked,
    stuck,
    word,
)

from pfviz.sim.event import LOCK_HANDOFF, LOCK_WORD, SCHED_WAKEUP, SPIN_END
from pfviz.sim.task import SLEEPING
from pfviz.sync import rwsem_wake
from pfviz.sync.rw_semaphore import WAIT_TIMEOUT_NS

if TYPE_CHECKING:
    import pytest

WINDOW_NS = 500


def test_a_spinner_takes_the_lock_before_the_reader_at_the_head_is_granted_it() -> None:
    engine = ideal_engine(3, rwsem_wait_lock=WINDOW_NS)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    reader = actor(engine, sem, "reader", Read, hold(10), Release, after_ns=10)
    spinner = actor(engine, sem, "spinner", Write, hold(3_000), Release, after_ns=20)
    run_checked(engine, sem, until_ns=5_600)
    assert word(sem) == "W WAITERS"
    assert acquired_ns(engine, spinner) == [5_000]
    assert reader.state == SLEEPING
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert acquired_ns(engine, reader) == [8_000 + WINDOW_NS + 1_000]


def test_with_ordinary_costs_the_waker_is_faster_than_the_spinner() -> None:
    engine = engine_of(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    reader = actor(engine, sem, "reader", Read, hold(10), Release, after_ns=10)
    spinner = actor(engine, sem, "spinner", Write, hold(3_000), Release, after_ns=20)
    run_checked(engine, sem)
    assert acquired_ns(engine, reader) < acquired_ns(engine, spinner)


def test_a_spinner_sees_the_release_when_the_line_reaches_it() -> None:
    engine = ideal_engine(2)
    engine.machine.line_same_socket_ns = 60
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    spinner = actor(engine, sem, "spinner", Write, hold(3_000), Release, after_ns=20)
    run_checked(engine, sem)
    (release,) = [entry for entry in events(engine, LOCK_WORD) if entry["word"] == 0][:1]
    (taken,) = acquired_ns(engine, spinner)
    assert taken - release["now_ns"] == 60 + 60, "the owner fetches it back, then it comes over"
    assert events(engine, SPIN_END)[0]["taken"] == 1


def test_the_wake_up_is_the_doing_of_the_task_that_released() -> None:
    engine = ideal_engine(2, rwsem_wait_lock=WINDOW_NS, wake_up_process=200)
    sem = mmap_lock(engine)
    owner = actor(engine, sem, "owner", Write, hold(5_000), Release, hold(1))
    reader = actor(engine, sem, "reader", Read, Release, after_ns=10)
    run_checked(engine, sem)
    woken = events(engine, SCHED_WAKEUP, task=reader)[-1]
    assert (woken["now_ns"], woken["waker_task"]) == (5_000 + WINDOW_NS, owner.id)
    assert owner.done[-1][0] == 5_000 + WINDOW_NS + 200, "its step lasted until then"


def two_writers_pass_the_lock_to_one_another() -> int:
    """Each spins while the other holds it; how long a reader waits meanwhile."""
    engine = ideal_engine(3, rwsem_wait_lock=WINDOW_NS)
    sem = mmap_lock(engine)
    for index in range(2):
        visits = [Write, hold(2_000), Release] * 1_500
        actor(engine, sem, f"w{index}", *visits, after_ns=index)
    reader = actor(engine, sem, "reader", Read, hold(10), Release, after_ns=10)
    run_checked(engine, sem)
    assert stuck(engine) == []
    handoffs = [entry["task"] for entry in events(engine, LOCK_HANDOFF)]
    assert handoffs in ([reader.id], [])
    return acquired_ns(engine, reader)[0]


def test_a_reader_at_the_head_is_overtaken_for_four_milliseconds_at_most() -> None:
    wait_ns = two_writers_pass_the_lock_to_one_another()
    assert WAIT_TIMEOUT_NS < wait_ns < WAIT_TIMEOUT_NS + 10_000


def test_a_reader_that_could_not_ask_would_starve(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> None: ...

    monkeypatch.setattr(rwsem_wake, "set_handoff", never)
    assert two_writers_pass_the_lock_to_one_another() > 5_900_000
