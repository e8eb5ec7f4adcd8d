"""The fast paths of the rwsem, bit by bit (kernel/locking/rwsem.c)."""

from __future__ import annotations

import pytest
from lock_worlds import (
    Downgrade,
    Read,
    Release,
    TryRead,
    TryWrite,
    Write,
    actor,
    events,
    hold,
    ideal_engine,
    mmap_lock,
    run_checked,
    steps_of,
    stuck,
    word,
)

from pfviz.sim.event import (
    LOCK_ACQUIRED,
    LOCK_DOWNGRADED,
    LOCK_FAILED,
    LOCK_RELEASED,
    LOCK_START,
    LOCK_WORD,
)
from pfviz.sim.task import SLEEPING
from pfviz.sync.rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_READFAIL,
    FLAG_WAITERS,
    READER_BIAS,
    READER_OWNED,
    WRITER_LOCKED,
)
from pfviz.sync.rwsem import RwSemaphore, holders, is_contended, mode_held, waiters

BUSY_BITS = [WRITER_LOCKED, FLAG_WAITERS, FLAG_HANDOFF, FLAG_READFAIL]


def test_a_reader_is_counted_before_it_looks_whether_it_may_read() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "writer", Write, hold(100), Release)
    actor(engine, sem, "reader", Read, Release, after_ns=10)
    engine.run(until_ns=9)
    engine.run(steps_max=1)
    assert word(sem) == "1R W"
    assert sem.stray_readers == 1
    sem.check()
    run_checked(engine, sem)
    assert word(sem) == "0"


@pytest.mark.parametrize("bit", BUSY_BITS)
def test_a_reader_goes_to_the_slow_path_when_any_lock_bit_is_set(bit: int) -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    reader = actor(engine, sem, "reader", Read)
    sem.count = bit
    engine.run(steps_max=1)
    assert sem.count == bit + READER_BIAS
    assert reader.waiting is not None
    assert reader.preempt_count == 1


@pytest.mark.parametrize("bit", BUSY_BITS)
def test_a_failed_read_trylock_leaves_no_bias(bit: int) -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    reader = actor(engine, sem, "reader", TryRead)
    sem.count = bit
    engine.run(steps_max=1)
    assert reader.tried == [False]
    assert sem.count == bit
    assert not events(engine, LOCK_WORD)


def test_readers_share_the_lock() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    readers = [actor(engine, sem, f"r{index}", Read, hold(100), Release) for index in range(2)]
    late = actor(engine, sem, "late", TryRead, hold(100), Release, after_ns=50)
    run_checked(engine, sem, until_ns=60)
    assert word(sem) == "3R"
    assert holders(sem) == (*readers, late)
    assert sem.owner_task is late
    assert sem.owner_flags == READER_OWNED
    run_checked(engine, sem)
    assert word(sem) == "0"


@pytest.mark.parametrize("action", [Write, TryWrite])
@pytest.mark.parametrize("word_before", [READER_BIAS, *BUSY_BITS])
def test_a_writer_needs_the_whole_word_to_be_zero(word_before: int, action: tuple[str]) -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    writer = actor(engine, sem, "writer", action)
    sem.count = word_before
    engine.run(steps_max=1)
    assert sem.count == word_before
    assert mode_held(sem, writer) is None


@pytest.mark.parametrize("action", [Write, TryWrite])
def test_a_writer_takes_a_free_lock_at_once(action: tuple[str]) -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    writer = actor(engine, sem, "writer", action, hold(10), Release)
    engine.run(until_ns=5)
    assert sem.count == WRITER_LOCKED
    assert (sem.owner_task, sem.owner_flags) == (writer, 0)
    run_checked(engine, sem)
    assert sem.owner_task is None


def test_a_reader_that_leaves_lets_its_owner_hint_go_stale() -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    reader = actor(engine, sem, "reader", Read, Release)
    run_checked(engine, sem)
    assert word(sem) == "0"
    assert (sem.owner_task, sem.owner_flags) == (reader, READER_OWNED)


def test_only_the_last_reader_out_wakes_the_writer() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "short", Read, hold(30_000), Release)
    actor(engine, sem, "long", Read, hold(50_000), Release)
    writer = actor(engine, sem, "writer", Write, Release)
    run_checked(engine, sem, until_ns=40_000)
    assert word(sem) == "1R WAITERS"
    assert writer.state == SLEEPING
    assert waiters(sem) == (writer,)
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert events(engine, LOCK_ACQUIRED, task=writer)[0]["now_ns"] == 51_000


def test_the_lock_is_contended_while_somebody_queues() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(30_000), Release)
    actor(engine, sem, "writer", Write, Release)
    run_checked(engine, sem, until_ns=5_000)
    assert not is_contended(sem), "the writer spins and does not queue yet"
    run_checked(engine, sem, until_ns=20_000)
    assert is_contended(sem)
    run_checked(engine, sem)
    assert not is_contended(sem)


def test_a_downgrade_lets_queued_readers_in_and_keeps_writers_out() -> None:
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    owner = actor(engine, sem, "owner", Write, hold(9_000), Downgrade, hold(9_000), Release)
    readers = [actor(engine, sem, f"r{index}", Read, hold(500), Release) for index in range(2)]
    writer = actor(engine, sem, "writer", Write, hold(1), Release, after_ns=10)
    run_checked(engine, sem, until_ns=9_000)
    assert word(sem) == "3R"
    assert sem.owner_flags & READER_OWNED
    assert holders(sem) == (owner, *readers)
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert [entry["now_ns"] for entry in events(engine, LOCK_ACQUIRED, task=readers[0])] == [10_000]
    assert events(engine, LOCK_ACQUIRED, task=writer)[0]["now_ns"] == 18_000
    assert events(engine, LOCK_DOWNGRADED)[0]["hold_ns"] == 9_000
    assert events(engine, LOCK_RELEASED, task=owner)[0]["hold_ns"] == 9_000


def test_a_downgrade_does_not_wake_a_writer_at_the_head() -> None:
    engine = ideal_engine(3)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, ("rest", 5_000), Downgrade, ("rest", 5_000), Release)
    writer = actor(engine, sem, "writer", Write, Release, after_ns=10)
    reader = actor(engine, sem, "reader", Read, Release, after_ns=20)
    run_checked(engine, sem, until_ns=9_000)
    assert word(sem) == "1R WAITERS"
    assert (writer.state, reader.state) == (SLEEPING, SLEEPING)
    run_checked(engine, sem)
    assert stuck(engine) == []


def test_mmap_lock_alone_says_that_somebody_starts_locking() -> None:
    engine = ideal_engine(2)
    sem = mmap_lock(engine)
    other = RwSemaphore(engine, "vma_lock", "vm_lock 1", 1)
    actor(engine, sem, "a", Read, Release, TryWrite, Release)
    actor(engine, other, "b", Read, Release, TryRead, Release)
    run_checked(engine, sem, other)
    assert [(entry["lock"], entry["mode"]) for entry in events(engine, LOCK_START)] == [
        (sem.id, 0),
        (sem.id, 1),
    ]
    assert [entry["is_try"] for entry in events(engine, LOCK_ACQUIRED)] == [0, 0, 1, 1]


def test_a_failed_trylock_says_what_was_in_its_way() -> None:
    engine = ideal_engine(4)
    sem = mmap_lock(engine)
    actor(engine, sem, "reader", Read, hold(30_000), Release, TryRead, hold(100))
    actor(engine, sem, "writer", Write, hold(5_000), Release, after_ns=1_000)
    actor(engine, sem, "a", hold(500), TryWrite, hold(20_000), TryRead)
    actor(engine, sem, "b", TryWrite, after_ns=32_000)
    run_checked(engine, sem)
    assert [entry["why"] for entry in events(engine, LOCK_FAILED)] == [
        "readers", "waiters", "waiters", "writer",
    ]  # fmt: skip


def test_taking_a_lock_that_one_holds_is_a_mistake() -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    actor(engine, sem, "twice", Write, Write)
    with pytest.raises(AssertionError, match="takes mmap_lock twice"):
        engine.run()


def test_the_fast_path_is_part_of_the_callers_step() -> None:
    engine = ideal_engine(1)
    sem = mmap_lock(engine)
    reader = actor(engine, sem, "reader", Read, Release, Write, Release)
    run_checked(engine, sem)
    assert set(steps_of(engine, reader)) == {"act"}
