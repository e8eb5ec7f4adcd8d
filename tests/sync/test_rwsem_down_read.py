"""The reader's slow path: steal, queue, be granted the lock in one's sleep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lock_worlds import (
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

from pfviz.sim.engine import Engine
from pfviz.sim.event import CONTENTION_BEGIN, CONTENTION_END, LOCK_ACQUIRED, SPIN_BEGIN
from pfviz.sim.task import SLEEPING, WAKING
from pfviz.sync import rwsem_down_read
from pfviz.sync.rw_semaphore import WAIT_TIMEOUT_NS, WRITER_LOCKED, RwSemaphore
from pfviz.sync.rwsem import holders, waiters

if TYPE_CHECKING:
    import pytest


def test_a_reader_queues_when_readers_hold_the_lock_and_a_writer_waits() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "holder", Read, hold(50_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(1_000), Release)
    late = actor(engine, sem, "late", Read, hold(1_000), Release, after_ns=20_000)
    run_checked(engine, sem, until_ns=20_000)
    assert word(sem) == "1R WAITERS", "the late reader took its bias back"
    assert waiters(sem) == (writer, late)
    assert steps_of(engine, late)[:3] == [
        "act", "rwsem_down_read_slowpath", "rwsem_queue_reader",
    ]  # fmt: skip
    run_checked(engine, sem)
    assert acquired_ns(engine, writer) < acquired_ns(engine, late)


def test_a_reader_steals_the_lock_from_a_writer_that_is_still_waking() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "holder", Read, hold(50_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(1_000), Release)
    thief = actor(engine, sem, "thief", Read, hold(2_000), Release, after_ns=50_500)
    run_checked(engine, sem, until_ns=50_900)
    assert writer.state == WAKING
    assert word(sem) == "1R WAITERS"
    assert holders(sem) == (thief,)
    assert sem.owner_task is thief
    run_checked(engine, sem)
    assert steps_of(engine, thief)[1] == "rwsem_down_read_slowpath"
    assert acquired_ns(engine, thief) == [50_500]
    assert acquired_ns(engine, writer) == [53_500]


def test_a_reader_does_not_steal_while_a_writer_holds_the_lock() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(5_000), Release)
    reader = actor(engine, sem, "reader", Read, Release)
    run_checked(engine, sem, until_ns=4_000)
    assert word(sem) == "W WAITERS"
    assert reader.state == SLEEPING
    run_checked(engine, sem)
    assert acquired_ns(engine, reader) == [6_000]


def test_a_reader_does_not_steal_once_a_hand_over_was_asked_for() -> None:
    free_ns = WAIT_TIMEOUT_NS + 60_000
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    actor(engine, sem, "holder", Read, hold(free_ns), Release)
    writer = actor(engine, sem, "writer", Write, hold(1_000), Release)
    actor(engine, sem, "first thief", Read, hold(5_000), Release, after_ns=free_ns + 500)
    thief = actor(engine, sem, "second thief", Read, hold(1), Release, after_ns=free_ns + 2_000)
    run_checked(engine, sem, until_ns=free_ns + 1_900)
    assert word(sem) == "1R WAITERS HANDOFF", "the writer woke too late, and past its deadline"
    run_checked(engine, sem)
    assert steps_of(engine, thief)[2] == "rwsem_queue_reader"
    assert acquired_ns(engine, writer) == [free_ns + 6_500]
    assert acquired_ns(engine, thief) == [free_ns + 8_500]


def lose_the_writer(engine: Engine[Any], sem: RwSemaphore) -> None:
    """Make the moment last between a release and its wake-up, which nobody meets in a step."""
    sem.count &= ~WRITER_LOCKED
    sem.held.clear()
    sem.owner_task = None


def test_the_only_reader_takes_the_readers_at_the_head_of_the_queue_along() -> None:
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(10_000), Release)
    sleepers = [actor(engine, sem, f"s{index}", Read, hold(100), Release) for index in range(2)]
    thief = actor(engine, sem, "thief", Read, hold(100), Release, after_ns=5_000)
    engine.alarm(4_999, lose_the_writer, sem)
    run_checked(engine, sem, until_ns=5_001)
    assert word(sem) == "3R"
    assert holders(sem) == (thief, *sleepers)


def test_a_reader_that_finds_nobody_queueing_and_no_writer_keeps_its_share() -> None:
    engine = ideal_engine(2, rwsem_slowpath=20, rwsem_atomic=10)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(15), Release)
    reader = actor(engine, sem, "reader", Read, hold(100), Release, after_ns=5)
    run_checked(engine, sem)
    assert steps_of(engine, reader)[1:3] == ["rwsem_down_read_slowpath", "rwsem_queue_reader"]
    assert not events(engine, CONTENTION_BEGIN)
    assert acquired_ns(engine, reader) == [35]


def test_a_queued_reader_may_ask_for_a_hand_over_after_four_milliseconds() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(5_000), Release)
    reader = actor(engine, sem, "reader", Read, Release, after_ns=700)
    run_checked(engine, sem, until_ns=1_000)
    assert WAIT_TIMEOUT_NS == 4_000_000
    assert reader.waiting.deadline_ns == 700 + 4_000_000


def hidden_release_world():
    """The last holder leaves while a reader's bias is still in the word: nobody is woken then."""
    engine = ideal_engine(3, rwsem_slowpath=100)
    sem = mmap_lock(engine)
    actor(engine, sem, "holder", Read, hold(50_000), Release)
    writer = actor(engine, sem, "writer", Write, hold(1_000), Release)
    late = actor(engine, sem, "late", Read, hold(1_000), Release, after_ns=49_950)
    return engine, sem, writer, late


def test_a_reader_that_hid_a_release_wakes_the_head_of_the_queue_itself() -> None:
    engine, sem, writer, late = hidden_release_world()
    run_checked(engine, sem, until_ns=50_001)
    assert word(sem) == "1R WAITERS"
    assert writer.state == SLEEPING
    run_checked(engine, sem, until_ns=50_060)
    assert word(sem) == "WAITERS"
    assert writer.state == WAKING
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert acquired_ns(engine, writer) < acquired_ns(engine, late)


def test_without_that_wake_up_everybody_sleeps_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rwsem_down_read, "rwsem_cond_wake_waiter", lambda *_: None)
    engine, sem, _, _ = hidden_release_world()
    run_checked(engine, sem)
    assert stuck(engine) == ["writer", "late"]


def test_a_queued_reader_grants_itself_the_lock_that_became_free_meanwhile() -> None:
    engine = ideal_engine(3, rwsem_slowpath=100)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(5_000), Release)
    actor(engine, sem, "sleeper", Read, hold(10), Release)
    late = actor(engine, sem, "late", Read, hold(10), Release, after_ns=4_950)
    run_checked(engine, sem, until_ns=5_010)
    # The sleeper was granted the lock and is alone in the word with the late reader's bias.
    assert word(sem) == "2R"
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert acquired_ns(engine, late) == [5_050]


def test_a_reader_is_counted_in_before_it_is_woken() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(5_000), Release)
    reader = actor(engine, sem, "reader", Read, hold(100), Release)
    run_checked(engine, sem, until_ns=5_500)
    assert reader.state == WAKING
    assert word(sem) == "1R"
    assert holders(sem) == (reader,)


def test_readers_never_spin() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(5_000), Release)
    for index in range(2):
        actor(engine, sem, f"r{index}", Read, hold(10), Release)
    run_checked(engine, sem)
    assert not events(engine, SPIN_BEGIN)


def test_a_reader_says_how_long_it_waited_and_behind_how_many() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, rest(5_000), Release)
    readers = [
        actor(engine, sem, f"r{index}", Read, Release, after_ns=index * 100) for index in range(2)
    ]
    run_checked(engine, sem)
    begun = events(engine, CONTENTION_BEGIN)
    assert [(entry["task"], entry["mode"], entry["position"]) for entry in begun] == [
        (readers[0].id, 0, 0),
        (readers[1].id, 0, 1),
    ]
    assert [entry["wait_ns"] for entry in events(engine, CONTENTION_END)] == [6_000, 5_900]
    assert [
        entry["wait_ns"]
        for reader in readers
        for entry in events(engine, LOCK_ACQUIRED, task=reader)
    ] == [6_000, 5_900]


def readers_that_overlap() -> int:
    """Readers relieve one another for 220 us without a gap; when does the writer get in?"""
    engine = ideal_engine(6)
    sem = mmap_lock(engine)
    for index in range(5):
        visits = [Read, hold(1_000), Release, hold(1_200)] * 100
        actor(engine, sem, f"r{index}", *visits, after_ns=index * 440)
    writer = actor(engine, sem, "writer", Write, hold(10), Release, after_ns=400)
    run_checked(engine, sem)
    return acquired_ns(engine, writer)[0]


def test_readers_that_overlap_do_not_keep_a_queued_writer_out() -> None:
    assert readers_that_overlap() < 15_000


def test_readers_that_always_stole_would_keep_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rwsem_down_read, "must_queue_behind_readers", lambda *_: False)
    assert readers_that_overlap() > 200_000
