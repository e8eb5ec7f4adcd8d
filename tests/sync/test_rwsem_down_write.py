"""The writer's slow path: spin, queue, compete, ask for a hand-over."""

from __future__ import annotations

import pytest
from lock_worlds import (
    Downgrade,
    Read,
    Release,
    Write,
    acquired_ns,
    actor,
    events,
    hold,
    ideal_engine,
    mmap_lock,
    rest,
    run_checked,
    steps_of,
    stuck,
    word,
)

from pfviz.sim.event import (
    CONTENTION_BEGIN,
    CONTENTION_END,
    LOCK_HANDOFF,
    SLEEP,
    SPIN_BEGIN,
    SPIN_END,
)
from pfviz.sim.task import SLEEPING, SPINNING, WAKING
from pfviz.sync import rwsem_down_write
from pfviz.sync.rw_semaphore import NONSPINNABLE, READER_OWNED, WAIT_TIMEOUT_NS
from pfviz.sync.rwsem import waiters

# Optimistic spinning


def test_a_writer_spins_while_the_owner_runs_and_takes_the_lock_without_sleeping() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(300_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(1), Release)
    run_checked(engine, sem, until_ns=299_000)
    assert writer.state == SPINNING
    assert word(sem) == "W"
    run_checked(engine, sem)
    assert acquired_ns(engine, writer) == [300_000]
    assert events(engine, SPIN_END)[0] | {"now_ns": 0} == {
        "now_ns": 0, "kind": "spin_end", "task": writer.id, "lock": sem.id, "mode": 1,
        "spin_ns": 300_000, "taken": 1,
    }  # fmt: skip
    assert not events(engine, SLEEP)


def test_a_writer_does_not_spin_on_an_owner_that_sleeps() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(20_000), Release)
    writer = actor(engine, sem, "writer", Write, Release, after_ns=10)
    run_checked(engine, sem)
    assert not events(engine, SPIN_BEGIN)
    assert acquired_ns(engine, writer) == [21_000]


def test_a_writer_stops_spinning_when_the_owner_leaves_its_cpu() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), rest(20_000), Release)
    writer = actor(engine, sem, "writer", Write, Release, after_ns=10)
    run_checked(engine, sem)
    (end,) = events(engine, SPIN_END)
    assert (end["taken"], 5_000 <= end["now_ns"] <= 6_010) == (0, True)
    assert acquired_ns(engine, writer) == [26_000]


@pytest.mark.parametrize(
    ("readers", "limit_ns"), [(1, 10_500), (2, 11_000), (10, 15_000), (30, 25_000), (40, 25_000)]
)
def test_a_writer_spins_on_readers_for_ten_to_twenty_five_microseconds(
    readers: int, limit_ns: int
) -> None:
    engine = ideal_engine(readers + 1)
    sem = mmap_lock(engine)
    for index in range(readers):
        actor(engine, sem, f"r{index}", Read, hold(100_000), Release)
    writer = actor(engine, sem, "writer", Write, Release, after_ns=10)
    run_checked(engine, sem)
    (end,) = events(engine, SPIN_END)
    assert end["taken"] == 0
    assert end["spin_ns"] == limit_ns + 1
    assert acquired_ns(engine, writer) == [101_000]


def test_a_writer_takes_the_lock_if_the_readers_leave_in_time() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(8_000), Release)
    writer = actor(engine, sem, "writer", Write, Release)
    run_checked(engine, sem)
    assert acquired_ns(engine, writer) == [8_000]
    assert not events(engine, SLEEP)


def test_after_one_writer_gave_up_nobody_spins_on_these_readers() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(100_000), Release)
    first = actor(engine, sem, "first", Write, hold(50), Release)
    second = actor(engine, sem, "second", Write, hold(50), Release, after_ns=30_000)
    run_checked(engine, sem, until_ns=30_000)
    assert sem.owner_flags == READER_OWNED | NONSPINNABLE
    assert not events(engine, SPIN_BEGIN, task=second)
    assert waiters(sem) == (first, second)
    run_checked(engine, sem, until_ns=100_000)
    assert sem.owner_flags == READER_OWNED, "the last reader out makes spinning worth a try again"
    run_checked(engine, sem)
    assert stuck(engine) == []


def test_spinners_take_turns_in_order_of_arrival() -> None:
    engine = ideal_engine(5)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    spinners = [
        actor(engine, sem, f"w{index}", Write, hold(1_000), Release, after_ns=index + 1)
        for index in range(4)
    ]
    run_checked(engine, sem)
    assert [acquired_ns(engine, spinner) for spinner in spinners] == [
        [5_000], [6_000], [7_000], [8_000],
    ]  # fmt: skip
    assert not events(engine, SLEEP)


def test_only_the_first_spinner_looks_at_the_lock() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    first = actor(engine, sem, "first", Write, hold(1_000), Release, after_ns=1)
    second = actor(engine, sem, "second", Write, hold(1_000), Release, after_ns=2)
    run_checked(engine, sem, until_ns=4_999)
    assert "rwsem_optimistic_spin" in steps_of(engine, first)
    assert steps_of(engine, second) == ["act", "rwsem_down_write_slowpath", "osq_lock"]
    assert second.state == SPINNING


def test_a_spinner_goes_on_to_watch_the_writer_that_was_faster() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_000), Release)
    faster = actor(engine, sem, "faster", Write, hold(2_500), Release, after_ns=5_000)
    spinner = actor(engine, sem, "spinner", Write, Release, after_ns=1)
    run_checked(engine, sem)
    assert acquired_ns(engine, faster) == [5_000]
    assert acquired_ns(engine, spinner) == [7_500]
    assert not events(engine, SLEEP)


def test_a_spinner_gives_up_when_another_task_should_have_its_cpu() -> None:
    engine = ideal_engine(3)
    engine.machine.slice_ns = 10_000
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(100_000), Release)
    first = actor(engine, sem, "first", Write, Release, after_ns=10)
    second = actor(engine, sem, "second", Write, Release, after_ns=20)
    others = [actor(engine, sem, f"other{cpu}", hold(50), cpu=cpu, after_ns=30) for cpu in (1, 2)]
    run_checked(engine, sem)
    for spinner, other in zip((first, second), others, strict=True):
        (end,) = events(engine, SPIN_END, task=spinner)
        assert end["taken"] == 0
        assert 10_000 <= end["now_ns"] <= 11_100
        assert other.done[0][0] >= end["now_ns"]
    assert stuck(engine) == []


def test_a_spinner_takes_the_lock_before_the_writers_that_sleep_for_it() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(9_000), hold(2_000), Release)
    sleeper = actor(engine, sem, "sleeper", Write, hold(10), Release, after_ns=10)
    spinner = actor(engine, sem, "spinner", Write, hold(10), Release, after_ns=10_000)
    run_checked(engine, sem)
    assert acquired_ns(engine, spinner) == [11_000]
    assert acquired_ns(engine, sleeper) == [12_000], "woken at the first release, it competes"


def test_a_spinner_does_not_take_a_lock_that_was_promised() -> None:
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    free_ns = WAIT_TIMEOUT_NS + 60_000
    actor(engine, sem, "reader", Read, hold(free_ns), Release)
    heir = actor(engine, sem, "heir", Write, hold(10), Release, after_ns=10)
    actor(engine, sem, "thief", Write, hold(8_000), Release, after_ns=free_ns + 500)
    spinner = actor(engine, sem, "spinner", Write, hold(1), Release, after_ns=free_ns + 3_000)
    run_checked(engine, sem, until_ns=free_ns + 4_000)
    assert word(sem) == "W WAITERS HANDOFF"
    assert spinner.state == SPINNING
    run_checked(engine, sem)
    assert acquired_ns(engine, heir) < acquired_ns(engine, spinner)


# Queueing and competing


def test_queued_writers_are_served_in_order_of_arrival() -> None:
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(5_000), Release)
    queued = [
        actor(engine, sem, f"w{index}", Write, rest(100), Release, after_ns=index + 1)
        for index in range(3)
    ]
    run_checked(engine, sem, until_ns=4_000)
    assert waiters(sem) == tuple(queued)
    assert [entry["position"] for entry in events(engine, CONTENTION_BEGIN)] == [0, 1, 2]
    run_checked(engine, sem)
    assert [acquired_ns(engine, writer) for writer in queued] == [[6_000], [7_100], [8_200]]
    assert [entry["wait_ns"] for entry in events(engine, CONTENTION_END)] == [5_999, 7_098, 8_197]


def test_a_writer_is_woken_to_compete_and_not_granted() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(5_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(10), Release, after_ns=1)
    run_checked(engine, sem, until_ns=5_500)
    assert writer.state == WAKING
    assert word(sem) == "WAITERS"
    run_checked(engine, sem)
    assert steps_of(engine, writer)[3:5] == ["rwsem_try_write_lock", "act"]


def test_the_last_writer_in_the_queue_clears_the_waiters_bit() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(5_000), Release)
    actor(engine, sem, "writer", Write, hold(10), Release, after_ns=1)
    run_checked(engine, sem, until_ns=6_000)
    assert word(sem) == "W"


def test_a_writer_that_is_woken_too_late_sleeps_again() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(5_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(10), Release, after_ns=1)
    actor(engine, sem, "thief", Write, rest(5_000), Release, after_ns=5_500)
    run_checked(engine, sem)
    assert len(events(engine, SLEEP, task=writer)) == 2
    assert acquired_ns(engine, writer) == [11_500]
    assert not events(engine, LOCK_HANDOFF), "its four milliseconds are not over"


# Hand-over


def overtaken_writer(thief_ns: int):
    """A writer past its deadline finds, when it wakes, that a thief was faster."""
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    free_ns = WAIT_TIMEOUT_NS + 60_000
    actor(engine, sem, "reader", Read, hold(free_ns), Release)
    heir = actor(engine, sem, "heir", Write, hold(10), Release, after_ns=10)
    thief = actor(engine, sem, "thief", Write, hold(thief_ns), Release, after_ns=free_ns + 500)
    return engine, sem, free_ns, heir, thief


def test_a_writer_past_its_deadline_asks_for_the_lock_to_be_handed_over() -> None:
    engine, sem, free_ns, heir, _ = overtaken_writer(8_000)
    run_checked(engine, sem, until_ns=free_ns + 900)
    assert word(sem) == "W WAITERS", "asleep, it cannot ask"
    run_checked(engine, sem, until_ns=free_ns + 1_100)
    assert word(sem) == "W WAITERS HANDOFF"
    (handoff,) = events(engine, LOCK_HANDOFF)
    assert (handoff["task"], handoff["lock"]) == (heir.id, sem.id)


def test_the_heir_watches_the_owner_and_takes_the_lock_without_sleeping_again() -> None:
    engine, sem, free_ns, heir, _ = overtaken_writer(8_000)
    run_checked(engine, sem)
    assert steps_of(engine, heir)[-5:-3] == ["rwsem_spin_on_owner", "rwsem_try_write_lock_again"]
    assert acquired_ns(engine, heir) == [free_ns + 8_500]
    assert len(events(engine, SLEEP, task=heir)) == 1


def test_taking_the_lock_ends_the_hand_over() -> None:
    engine, sem, free_ns, _, _ = overtaken_writer(8_000)
    run_checked(engine, sem, until_ns=free_ns + 8_501)
    assert word(sem) == "W"


def writer_that_asked_readers():
    """A writer past its deadline finds, when it wakes, that a reader stole the lock."""
    free_ns = WAIT_TIMEOUT_NS + 60_000
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(free_ns), Release)
    heir = actor(engine, sem, "heir", Write, hold(10), Release, after_ns=10)
    actor(engine, sem, "thief", Read, hold(8_000), Release, after_ns=free_ns + 500)
    return engine, sem, free_ns, heir


def test_a_writer_that_asked_sleeps_when_readers_hold_the_lock() -> None:
    engine, sem, free_ns, heir = writer_that_asked_readers()
    run_checked(engine, sem, until_ns=free_ns + 2_000)
    assert word(sem) == "1R WAITERS HANDOFF"
    assert heir.state == SLEEPING
    run_checked(engine, sem)
    assert acquired_ns(engine, heir) == [free_ns + 9_500]


def test_a_real_time_writer_asks_at_once() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(30_000), Release)
    heir = actor(engine, sem, "heir", Write, hold(10), Release, after_ns=10, prio=50)
    late = actor(engine, sem, "late", Read, hold(10), Release, after_ns=1_000)
    run_checked(engine, sem, until_ns=1_000)
    assert word(sem) == "1R WAITERS HANDOFF"
    run_checked(engine, sem)
    assert not [end for end in events(engine, SPIN_END, task=heir) if end["spin_ns"]]
    assert acquired_ns(engine, heir) < acquired_ns(engine, late)


def test_a_writer_that_is_not_first_cannot_take_a_promised_lock() -> None:
    engine, sem, free_ns, heir = writer_that_asked_readers()
    # Real-time writers do not spin on readers: this one queues while the promised lock is free.
    other = actor(engine, sem, "other", Write, Release, prio=50, after_ns=free_ns + 8_800)
    run_checked(engine, sem, until_ns=free_ns + 9_000)
    assert word(sem) == "WAITERS HANDOFF"
    assert waiters(sem) == (heir, other)
    run_checked(engine, sem)
    assert acquired_ns(engine, heir) == [free_ns + 9_500]
    assert stuck(engine) == []


def stream_of_thieves(engine, sem, length: int) -> None:
    """Three readers whose short visits never overlap, but leave no gap long enough to wake in."""
    for index in range(3):
        visit = (Read, hold(390), Release, hold(810))
        actor(engine, sem, f"t{index}", *visit * length, after_ns=20_300 + index * 400)


def starved_writer():
    engine = ideal_engine(5)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(20_200), Release)
    writer = actor(engine, sem, "writer", Write, hold(10), Release)
    stream_of_thieves(engine, sem, 5_000)
    run_checked(engine, sem)
    assert stuck(engine) == []
    return acquired_ns(engine, writer)[0]


def test_readers_overtake_a_sleeping_writer_for_four_milliseconds_at_most() -> None:
    wait_ns = starved_writer()
    assert WAIT_TIMEOUT_NS < wait_ns < WAIT_TIMEOUT_NS + 30_000


def test_without_the_hand_over_the_writer_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rwsem_down_write, "_may_ask_for_handoff", lambda *_: False)
    assert starved_writer() > 5_900_000, "it got the lock only when no thief was left"


def test_a_downgrade_stirs_the_spinner() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, hold(5_500), Downgrade, hold(100_000), Release)
    writer = actor(engine, sem, "writer", Write, Release, after_ns=1)
    run_checked(engine, sem)
    (end,) = events(engine, SPIN_END)
    assert end["now_ns"] == 5_500 + 10_500 + 1, "the limit for readers counts from the downgrade"
    assert acquired_ns(engine, writer) == [106_500]
