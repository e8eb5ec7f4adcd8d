"""Contention has a cause: transfers of a line queue up, and nothing else makes threads slow."""

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import LINE_MOVED
from pfviz.sim.machine import Machine
from pfviz.sim.task import Task, step

COSTS = {"context_switch": 0, "wake": 0, "atomic": 5}


@step("test", cost="atomic")
def bump(engine, task: Task):
    """Add one to a counter that others add to."""
    engine.world[0].write(engine)
    return bump


@step("test", cost="atomic")
def look(engine, task: Task):
    """Read a counter that nobody writes."""
    engine.world[0].read(engine)
    return look


def steps_in(cpus: int, first, sockets: int = 1) -> int:
    machine = Machine("test", sockets, cpus // sockets, COSTS)
    engine = Engine([CacheLine(0, "counter")], machine)
    for index in range(cpus):
        engine.start(Task(index, f"t{index}", first, machine.cpus[index]))
    return engine.run(until_ns=100_000)


def test_one_writer_pays_no_transfer() -> None:
    assert steps_in(1, bump) == 100_000 // 5 + 1


def test_writers_share_the_rate_of_one_line() -> None:
    four, eight = steps_in(4, bump), steps_in(8, bump)
    assert four < steps_in(1, bump) / 5
    assert abs(four - eight) <= 0.15 * four


def test_readers_scale() -> None:
    assert steps_in(8, look) > 7.5 * steps_in(1, look)


def test_another_socket_is_farther_away() -> None:
    assert steps_in(2, bump, sockets=2) < 0.5 * steps_in(2, bump)


def test_every_transfer_is_an_event_with_what_it_cost() -> None:
    machine = Machine("test", 1, 2, COSTS)
    engine = Engine([CacheLine(0, "counter")], machine)
    for index in range(2):
        engine.start(Task(index, f"t{index}", bump, machine.cpus[index]))
    engine.run(until_ns=1_000)
    moved = [row for row in engine.log if row[1] == LINE_MOVED]
    assert len(moved) == engine.world[0].transfers > 5
    assert all(row[6] >= 60 for row in moved)
