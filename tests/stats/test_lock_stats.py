"""Figures of locks from the events of a log."""

from __future__ import annotations

import random

from pfviz.sim import event as ev
from pfviz.sim.event import READ, WRITE, EventLog
from pfviz.stats.lock_stats import count_locks


def _log(*events: tuple[int, ...]) -> EventLog:
    log = EventLog()
    kind, name = log.text("mmap_lock"), log.text("mm 7")
    log.append(0, ev.LOCK_NEW, -1, 5, kind, name, 3)
    for now_ns, event, task, *payload in events:
        log.append(now_ns, event, task, 5, *payload)
    return log


def test_each_acquisition_counts_its_wait_and_each_hold_its_length() -> None:
    log = _log(
        (10, ev.LOCK_ACQUIRED, 1, WRITE, 0),
        (20, ev.CONTENTION_BEGIN, 2, READ, 0),
        (25, ev.CONTENTION_BEGIN, 3, READ, 1),
        (40, ev.LOCK_DOWNGRADED, 1, 30),
        (41, ev.CONTENTION_END, 2, READ, 21),
        (42, ev.LOCK_ACQUIRED, 2, READ, 22),
        (50, ev.LOCK_RELEASED, 1, READ, 10),
        (60, ev.LOCK_FAILED, 4, READ),
    )
    (lock,) = count_locks(log).values()
    assert lock.to_json() == {
        "name": "mm 7",
        "kind": "mmap_lock",
        "reads": 1,
        "writes": 1,
        "contended": 2,
        "trylock_failed": 1,
        "wait_ns": {"p50": 0, "p99": 22, "max": 22, "total": 22},
        "hold_ns": {"p50": 10, "p99": 30, "max": 30, "total": 40},
        "waiters_max": 2,
    }
    assert (lock.write_waits_ns, lock.write_holds_ns, lock.owner) == ([0], [30], 3)


def test_spinning_and_then_queueing_is_one_contended_acquisition() -> None:
    log = _log(
        (10, ev.SPIN_BEGIN, 1, WRITE),
        (20, ev.SPIN_END, 1, WRITE, 10, 0),
        (20, ev.CONTENTION_BEGIN, 1, WRITE, 0),
        (50, ev.CONTENTION_END, 1, WRITE, 30),
        (50, ev.LOCK_ACQUIRED, 1, WRITE, 40),
        (60, ev.SPIN_BEGIN, 2, WRITE),
        (70, ev.SPIN_END, 2, WRITE, 10, 1),
    )
    assert count_locks(log)[5].contended == 2


def test_times_the_log_does_not_know_are_left_out() -> None:
    log = _log((10, ev.LOCK_ACQUIRED, 1, READ, -1), (20, ev.LOCK_RELEASED, 1, READ, -1))
    lock = count_locks(log)[5]
    assert (lock.reads, lock.waits_ns, lock.holds_ns) == (1, [], [])


def test_a_lock_that_is_only_seen_contended_is_judged_by_its_queue() -> None:
    log = _log((10, ev.SPIN_BEGIN, 1, ev.SPIN), (25, ev.SPIN_END, 1, ev.SPIN, 15, 1))
    assert count_locks(log)[5].to_json()["wait_ns"]["max"] == 15


def test_other_events_do_not_count() -> None:
    log = _log()
    rng = random.Random(1)
    for now in range(200):
        kind = rng.choice([ev.STEP, ev.FAULT_BEGIN, ev.VMA_NEW, ev.LOCK_HANDOFF, ev.LOCK_WORD])
        log.append(now, kind, 1, 5, 1, 1, 1)
    assert count_locks(log)[5].to_json()["reads"] == 0
