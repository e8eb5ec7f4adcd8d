"""Arrows between threads: from the release that let somebody through, and from no other."""

from __future__ import annotations

from pfviz.report.flows import flows_of
from pfviz.report.names import names_of
from pfviz.sim import event as ev
from pfviz.sim.event import READ, WRITE, EventLog

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
