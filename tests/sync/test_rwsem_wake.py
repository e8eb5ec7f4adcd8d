"""Who is woken, and who is not: rwsem_mark_wake."""

from __future__ import annotations

from typing import Any

import pytest
from lock_worlds import (
    Read,
    Release,
    Write,
    acquired_ns,
    actor,
    events,
    ideal_engine,
    mmap_lock,
    rest,
    run_checked,
    steps_of,
    stuck,
    word,
)

from pfviz.sim.engine import Engine
from pfviz.sim.event import (
    LOCK_HANDOFF,
    LOCK_WORD,
    READ,
    SCHED_WAKEUP,
    STEP,
    WRITE,
)
from pfviz.sim.task import SLEEPING, WAKING
from pfviz.sync import rwsem_wake
from pfviz.sync.rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_READFAIL,
    FLAG_WAITERS,
    READER_BIAS,
    WAIT_TIMEOUT_NS,
    WRITER_LOCKED,
    RwSemaphore,
)
from pfviz.sync.rwsem import holders, waiters
from pfviz.sync.rwsem_wake import MAX_READERS_WAKEUP, Wake, rwsem_mark_wake

READERS_AND_WRITERS = ("R0", "W1", "R2", "W3", "R4")


def queue_behind_a_sleeping_writer(names: tuple[str, ...], cpus: int = 8):
    """A writer that sleeps with the lock, and a queue of readers (R..) and writers (W..)."""
    engine = ideal_engine(cpus)
    sem = mmap_lock(engine)
    actor(engine, sem, "owner", Write, rest(50_000), Release)
    queued = {
        name: actor(
            engine, sem, name, Read if name[0] == "R" else Write, rest(1_000), Release,
            after_ns=10 + index,
        )
        for index, name in enumerate(names)
    }  # fmt: skip
    run_checked(engine, sem, until_ns=49_999)
    assert waiters(sem) == tuple(queued.values())
    return engine, sem, queued


def test_a_writer_at_the_head_is_woken_alone() -> None:
    engine, sem, queued = queue_behind_a_sleeping_writer(("W0", "R1", "R2"))
    run_checked(engine, sem, until_ns=50_500)
    assert [task.state for task in queued.values()] == [WAKING, SLEEPING, SLEEPING]
    assert word(sem) == "WAITERS"


def test_a_reader_at_the_head_brings_every_reader_of_the_queue_along() -> None:
    engine, sem, queued = queue_behind_a_sleeping_writer(READERS_AND_WRITERS)
    run_checked(engine, sem, until_ns=50_500)
    assert [name for name, task in queued.items() if task.state == WAKING] == ["R0", "R2", "R4"]
    assert word(sem) == "3R WAITERS"
    assert waiters(sem) == (queued["W1"], queued["W3"])
    run_checked(engine, sem)
    assert stuck(engine) == []
    assert acquired_ns(engine, queued["W1"]) < acquired_ns(engine, queued["W3"])


def test_phases_of_readers_and_writers_alternate_without_the_second_readers_waiting() -> None:
    engine, sem, queued = queue_behind_a_sleeping_writer(READERS_AND_WRITERS)
    run_checked(engine, sem)
    got = {name: acquired_ns(engine, task)[0] for name, task in queued.items()}
    assert got["R0"] == got["R2"] == got["R4"] == 51_000
    assert got["W1"] == 53_000


def test_at_most_256_readers_are_woken_at_once() -> None:
    names = tuple(f"R{index}" for index in range(300))
    engine, sem, queued = queue_behind_a_sleeping_writer(names, cpus=301)
    run_checked(engine, sem, until_ns=50_500)
    assert MAX_READERS_WAKEUP == 256
    assert word(sem) == "256R WAITERS"
    assert [task.state for task in queued.values()].count(SLEEPING) == 300 - 256
    run_checked(engine, sem)
    assert stuck(engine) == []


def test_a_late_reader_takes_those_beyond_256_and_itself_along() -> None:
    names = tuple(f"R{index}" for index in range(300))
    engine, sem, _ = queue_behind_a_sleeping_writer(names, cpus=302)
    late = actor(engine, sem, "late", Read, Release, after_ns=50_100 - engine.now_ns)
    run_checked(engine, sem, until_ns=50_101)
    assert steps_of(engine, late)[:4] == [
        "act", "rwsem_down_read_slowpath", "rwsem_queue_reader", "rwsem_read_granted",
    ]  # fmt: skip
    assert acquired_ns(engine, late) == [50_100]
    run_checked(engine, sem)
    assert stuck(engine) == []


def test_the_waiters_bit_goes_when_the_queue_is_empty() -> None:
    engine, sem, _ = queue_behind_a_sleeping_writer(("R0", "R1"))
    run_checked(engine, sem, until_ns=50_500)
    assert word(sem) == "2R"


def test_all_readers_are_counted_before_the_first_is_woken() -> None:
    engine, sem, _ = queue_behind_a_sleeping_writer(("R0", "R1", "R2"))
    run_checked(engine, sem, until_ns=50_500)
    rows = [row for row in engine.log if row[0] == 50_000 and row[1] in (LOCK_WORD, SCHED_WAKEUP)]
    kinds = [row[1] for row in rows][-5:]
    assert kinds == [LOCK_WORD, LOCK_WORD, SCHED_WAKEUP, SCHED_WAKEUP, SCHED_WAKEUP]
    assert rows[-4][4] == 3 * READER_BIAS


def test_waking_many_takes_the_waker_time_for_each() -> None:
    engine, sem, queued = queue_behind_a_sleeping_writer(("R0", "R1", "R2"))
    costs = engine.machine.costs
    costs |= {"wake_up_process": 200}  # type: ignore[operator]
    run_checked(engine, sem)
    assert [acquired_ns(engine, task)[0] for task in queued.values()] == [51_200, 51_400, 51_600]
    (release,) = [row for row in engine.log if row[1] == STEP and row[2] == 0 and row[0] == 50_000]
    assert release[5] == 600


def waking(names: tuple[str, ...], wake: Wake, set_bits: int = 0, clear_bits: int = 0) -> list[str]:
    """Whom one call of rwsem_mark_wake wakes, with the word as it is then."""
    engine, sem, queued = queue_behind_a_sleeping_writer(names)
    sem.count = (sem.count | set_bits) & ~clear_bits
    rwsem_mark_wake(engine, sem, wake)
    return [name for name, task in queued.items() if task.state == WAKING]


@pytest.mark.parametrize(
    ("names", "wake", "woken"),
    [
        (("W0", "R1"), Wake.ANY, ["W0"]),
        (("W0", "R1"), Wake.READERS, []),
        (("W0", "R1"), Wake.READ_OWNED, []),
        (("R0", "W1", "R2"), Wake.ANY, ["R0", "R2"]),
        (("R0", "W1", "R2"), Wake.READERS, ["R0", "R2"]),
        (("R0", "W1", "R2"), Wake.READ_OWNED, ["R0", "R2"]),
    ],
)
def test_only_wake_any_wakes_a_writer(names: tuple[str, ...], wake: Wake, woken: list[str]) -> None:
    assert waking(names, wake, clear_bits=WRITER_LOCKED) == woken


def test_a_reader_is_not_granted_what_a_writer_stole() -> None:
    assert waking(("R0", "R1"), Wake.ANY) == []


def test_nobody_is_granted_when_too_many_readers_hold_it() -> None:
    names = ("R0", "R1")
    assert waking(names, Wake.ANY, set_bits=FLAG_READFAIL, clear_bits=WRITER_LOCKED) == []


def test_a_reader_past_its_deadline_asks_for_the_lock_a_writer_stole() -> None:
    engine, sem, queued = queue_behind_a_sleeping_writer(("R0",))
    for late_ns, bits in [(-1_000, 0), (1_000, FLAG_HANDOFF)]:
        sem.wait_list.first.deadline_ns = engine.now_ns - late_ns
        rwsem_mark_wake(engine, sem, Wake.ANY)
        assert sem.count == WRITER_LOCKED | FLAG_WAITERS | bits
    assert sem.wait_list.first.handoff_set
    (handoff,) = events(engine, LOCK_HANDOFF)
    assert handoff["task"] == queued["R0"].id
    run_checked(engine, sem, until_ns=50_500)
    assert word(sem) == "1R", "granted, and the hand-over is done"


def test_waking_readers_ends_a_hand_over_though_writers_still_wait() -> None:
    engine, sem, _ = queue_behind_a_sleeping_writer(("R0", "W1"))
    sem.wait_list.first.deadline_ns = 0
    rwsem_mark_wake(engine, sem, Wake.ANY)
    assert word(sem) == "W WAITERS HANDOFF"
    run_checked(engine, sem, until_ns=50_500)
    assert word(sem) == "1R WAITERS"


def test_a_writer_that_queues_behind_readers_lets_them_in_if_it_can() -> None:
    """The head may have become eligible since: rwsem_cond_wake_waiter in the writer's slow path."""
    engine, sem, queued = queue_behind_a_sleeping_writer(("R0", "R1"))
    late = actor(engine, sem, "late", Write, Release, after_ns=100)
    owner = engine.tasks[0]
    engine.alarm(99, forget_the_owner, (sem, owner))
    run_checked(engine, sem, until_ns=engine.now_ns + 150)
    assert word(sem) == "2R WAITERS"
    assert holders(sem) == tuple(queued.values())
    assert waiters(sem) == (late,)


def forget_the_owner(engine: Engine[Any], lost: tuple[RwSemaphore, Any]) -> None:
    """As if the owner had left and its wake-up got lost."""
    sem, owner = lost
    sem.count &= ~WRITER_LOCKED
    # A writer that may spin would never reach the queue: readers were here for too long.
    sem.owner_flags = 3
    del sem.held[owner]


def test_the_invariants_notice_a_waker_that_forgets_the_waiters_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rwsem_wake, "FLAG_WAITERS", 0)
    engine, sem, _ = queue_behind_a_sleeping_writer(("R0",))
    with pytest.raises(AssertionError, match="WAITERS is wrong"):
        run_checked(engine, sem)


def test_without_waking_all_readers_the_phases_are_no_longer_fair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rwsem_wake, "readers_to_wake", lambda sem: [sem.wait_list.first])
    engine, sem, queued = queue_behind_a_sleeping_writer(READERS_AND_WRITERS)
    run_checked(engine, sem)
    got = {name: acquired_ns(engine, task)[0] for name, task in queued.items()}
    assert got["R4"] > got["W1"], "the last reader waits behind the writers now"


def test_modes_of_waiters_are_known() -> None:
    _, sem, _ = queue_behind_a_sleeping_writer(READERS_AND_WRITERS)
    assert [waiter.mode for waiter in sem.wait_list] == [READ, WRITE, READ, WRITE, READ]
    assert all(waiter.deadline_ns > WAIT_TIMEOUT_NS for waiter in sem.wait_list)
