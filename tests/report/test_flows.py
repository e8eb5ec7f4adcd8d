"""Arrows between threads: from the release that let somebody through, and from no other."""

from __future__ import annotations

from pfviz.report.flows import flows_of
from pfviz.report.names import names_of
from pfviz.sim import event as ev
from pfviz.sim.event import READ, WRITE, EventLog
from tests.report.runs import recorded

LOCK = 7


def log_of(*rows: tuple[int, ...], kind: str = "mmap_lock") -> EventLog:
    """A log of events (kind, task, payload...), one a nanosecond; row 0 names the lock."""
    log = EventLog()
    log.append(0, ev.LOCK_NEW, -1, LOCK, log.text(kind), log.text("the lock"), 1)
    for now_ns, (event, task, *payload) in enumerate(rows, 1):
        log.append(now_ns, event, task, *payload)
    return log


def arrows(log: EventLog) -> list[tuple[int, int]]:
    """(row of the release, row of the acquisition) of each arrow."""
    flows = flows_of(log, names_of(log))
    ends = {number: row for row, numbers in flows.into.items() for number in numbers}
    return sorted((row, ends[one]) for row, numbers in flows.out.items() for one in numbers)


def test_who_waited_was_let_through_by_the_last_release() -> None:
    log = log_of(
        (ev.CONTENTION_BEGIN, 2, LOCK, WRITE),
        (ev.LOCK_RELEASED, 0, LOCK, READ),
        (ev.LOCK_RELEASED, 1, LOCK, READ),
        (ev.CONTENTION_END, 2, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, 2, LOCK, WRITE),
    )
    assert arrows(log) == [(3, 5)]


def test_one_release_lets_all_waiting_readers_through() -> None:
    log = log_of(
        (ev.CONTENTION_BEGIN, 2, LOCK, READ),
        (ev.CONTENTION_BEGIN, 3, LOCK, READ),
        (ev.LOCK_DOWNGRADED, 1, LOCK, 10),
        (ev.LOCK_ACQUIRED, 2, LOCK, READ),
        (ev.LOCK_ACQUIRED, 3, LOCK, READ),
    )
    assert arrows(log) == [(3, 4), (3, 5)]


def test_a_release_before_the_wait_let_nobody_through() -> None:
    log = log_of(
        (ev.LOCK_RELEASED, 0, LOCK, WRITE),
        (ev.SPIN_BEGIN, 2, LOCK, WRITE),
        (ev.SPIN_END, 2, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, 2, LOCK, WRITE),
    )
    assert arrows(log) == []


def test_who_did_not_wait_or_gave_up_has_no_arrow() -> None:
    log = log_of(
        (ev.LOCK_RELEASED, 0, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, 1, LOCK, READ),
        (ev.CONTENTION_BEGIN, 2, LOCK, WRITE),
        (ev.LOCK_FAILED, 2, LOCK, WRITE),
        (ev.LOCK_RELEASED, 1, LOCK, READ),
        (ev.LOCK_ACQUIRED, 2, LOCK, WRITE),
    )
    assert arrows(log) == []


def test_who_sleeps_for_the_readers_of_a_vma_is_let_through_by_the_last_of_them() -> None:
    rows = (
        (ev.SLEEP, 2, 0, LOCK),
        (ev.LOCK_RELEASED, 1, LOCK, READ),
        (ev.LOCK_ACQUIRED, 2, LOCK, WRITE),
    )
    assert arrows(log_of(*rows, kind="vma_lock")) == [(2, 3)]
    assert arrows(log_of(*rows, kind="rwsem")) == []


def test_a_reader_that_was_granted_the_lock_asleep_owes_it_to_who_woke_it() -> None:
    """Until it runs, others may take the lock for reading too, and be done with it."""
    log = log_of(
        (ev.CONTENTION_BEGIN, 2, LOCK, READ),
        (ev.LOCK_RELEASED, 1, LOCK, WRITE),
        (ev.SCHED_WAKEUP, 2, 0, 1),
        (ev.LOCK_ACQUIRED, 1, LOCK, READ),
        (ev.LOCK_RELEASED, 1, LOCK, READ),
        (ev.LOCK_ACQUIRED, 2, LOCK, READ),
    )
    assert arrows(log) == [(2, 6)]


def test_a_writer_that_was_woken_competes_and_owes_the_lock_to_the_last_release() -> None:
    log = log_of(
        (ev.CONTENTION_BEGIN, 2, LOCK, WRITE),
        (ev.LOCK_RELEASED, 1, LOCK, WRITE),
        (ev.SCHED_WAKEUP, 2, 0, 1),
        (ev.LOCK_ACQUIRED, 3, LOCK, WRITE),
        (ev.LOCK_RELEASED, 3, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, 2, LOCK, WRITE),
    )
    assert arrows(log) == [(5, 6)]


def test_a_waker_that_holds_the_lock_itself_has_not_given_it() -> None:
    """A reader that steals the lock from a queue of readers wakes them all."""
    log = log_of(
        (ev.CONTENTION_BEGIN, 2, LOCK, READ),
        (ev.LOCK_RELEASED, 3, LOCK, READ),
        (ev.LOCK_RELEASED, 1, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, 3, LOCK, READ),
        (ev.SCHED_WAKEUP, 2, 0, 3),
        (ev.LOCK_ACQUIRED, 2, LOCK, READ),
    )
    assert arrows(log) == [(3, 6)]


def test_in_a_run_every_sleeping_reader_is_let_through_by_its_waker() -> None:
    log = recorded("writer-convoy", 200_000, "mmap_lock").log
    rows = list(log)
    flows = flows_of(log, names_of(log))
    begins = {number: row for row, numbers in flows.out.items() for number in numbers}
    wakers: dict[int, int] = {}
    looked_at = passed_by = 0
    for at, (_, kind, task, lock, mode, *_) in enumerate(rows):
        if kind == ev.SCHED_WAKEUP:
            wakers[task] = mode
        elif kind == ev.CONTENTION_BEGIN:
            wakers.pop(task, None)
        elif kind == ev.LOCK_ACQUIRED and mode == READ and at in flows.into and task in wakers:
            begin = begins[flows.into[at][0]]
            assert rows[begin][2] == wakers[task]
            looked_at += 1
            gives = (ev.LOCK_RELEASED, ev.LOCK_DOWNGRADED)
            passed_by += any(row[1] in gives and row[3] == lock for row in rows[begin + 1 : at])
    assert looked_at > 10
    assert passed_by > 5  # The last release is not the one: the rule is needed.
