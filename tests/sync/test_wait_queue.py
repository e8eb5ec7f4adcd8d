"""The one FIFO: order, position, waking, statistics."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from lock_worlds import ideal_engine, stuck

from pfviz.sim.engine import Engine
from pfviz.sim.event import READ, SLEEP, WRITE
from pfviz.sim.fingerprint import fingerprint
from pfviz.sim.task import Task, step
from pfviz.sync.wait_queue import Waiter, WaitQueue, sleep_on


@step("tests/sync/test_wait_queue.py")
def wait_here(engine: Engine[Any], task: Task) -> None:
    """Sleep in the world's queue."""
    sleep_on(engine, engine.world, woken, "the page", lock=7, mode=READ)


@step("tests/sync/test_wait_queue.py")
def woken(engine: Engine[Any], task: Task) -> None:
    """Awake again."""
    engine.end()


def queue_of(count: int) -> tuple[Engine[Any], WaitQueue[Waiter]]:
    engine = ideal_engine(count)
    engine.world = WaitQueue()
    for index in range(count):
        engine.start(Task(index, f"t{index}", wait_here, engine.machine.cpus[index]), index * 10)
    engine.run()
    return engine, engine.world


def test_tasks_wait_in_order_of_arrival() -> None:
    engine, queue = queue_of(3)
    assert queue.tasks == tuple(engine.tasks)
    assert [queue.position(task) for task in engine.tasks] == [0, 1, 2]
    assert queue.first.task is engine.tasks[0]
    assert queue.first.mode == READ
    assert [row[4] for row in engine.log if row[1] == SLEEP] == [7, 7, 7]


def test_waking_one_wakes_the_one_that_waits_longest() -> None:
    engine, queue = queue_of(3)
    assert queue.wake_one(engine) is engine.tasks[0]
    assert queue.position(engine.tasks[0]) == -1
    assert queue.position(engine.tasks[1]) == 0
    engine.run()
    assert stuck(engine) == ["t1", "t2"]


def test_waking_all_wakes_everybody_once() -> None:
    engine, queue = queue_of(3)
    assert queue.wake_all(engine) == 3
    assert queue.wake_all(engine) == 0
    assert queue.wake_one(engine) is None
    engine.run()
    assert stuck(engine) == []


def test_a_waiter_can_leave_from_the_middle() -> None:
    engine, queue = queue_of(3)
    queue.remove(queue.waiters[1], engine.now_ns)
    assert queue.tasks == (engine.tasks[0], engine.tasks[2])
    assert len(queue) == 2
    assert [waiter.task for waiter in queue] == [engine.tasks[0], engine.tasks[2]]


def test_statistics_are_a_frozen_snapshot() -> None:
    engine, queue = queue_of(3)
    before = queue.statistics()
    assert (before.waiting, before.waiting_max, before.arrivals, before.departures) == (3, 3, 3, 0)
    engine.now_ns = 100
    queue.wake_all(engine)
    after = queue.statistics()
    assert (after.waiting, after.waiting_max, after.departures) == (0, 3, 3)
    assert (after.wait_ns_total, after.wait_ns_max) == (100 + 90 + 80, 100)
    assert before.departures == 0
    with pytest.raises(FrozenInstanceError):
        before.waiting = 5  # type: ignore[misc]


def test_statistics_do_not_tell_two_worlds_apart() -> None:
    engine, queue = queue_of(1)
    task = engine.tasks[0]
    other: WaitQueue[Waiter] = WaitQueue()
    other.enqueue(Waiter(task, WRITE, 0))
    other.remove(other.first, 50)
    other.enqueue(Waiter(task, READ, 0))
    assert fingerprint(other) == fingerprint(queue)
    other.enqueue(Waiter(task, WRITE, 0))
    assert fingerprint(other) != fingerprint(queue)
