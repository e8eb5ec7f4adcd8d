"""A prefetched line moves at once, and the CPU goes on until it needs it."""

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.event import LINE_MOVED
from pfviz.sim.machine import Machine
from pfviz.sim.task import Task, step


@step("test")
def take(engine, task):
    """Own the line."""
    engine.world.write(engine)
    engine.end()


@step("test", cost="work")
def prefetch(engine, task):
    """Ask for the line and go on with something else."""
    engine.world.prefetch(engine)
    return take


def elapsed(first, work_ns: int) -> tuple[int, Engine]:
    machine = Machine("test", 1, 2, {"context_switch": 0, "wake": 0, "work": work_ns})
    engine = Engine(CacheLine(0, "line"), machine)
    engine.start(Task(0, "owner", take, machine.cpus[0]))
    engine.run()
    before = engine.now_ns
    engine.start(Task(1, "t", first, machine.cpus[1]), after_ns=1_000)
    engine.run()
    end = machine.cpus[1].free_ns
    return end - before - 1_000, engine


def test_work_done_meanwhile_hides_the_transfer() -> None:
    assert elapsed(prefetch, 100)[0] == 100
    assert elapsed(prefetch, 20)[0] == 60  # one transfer: 40 of it are waited for
    assert elapsed(take, 0)[0] == 60


def test_a_prefetch_takes_the_line_from_its_owner() -> None:
    _, engine = elapsed(prefetch, 100)
    assert engine.world.owner == 1
    assert engine.world.transfers == 1
    assert [row[6] for row in engine.log if row[1] == LINE_MOVED] == [0]


def test_a_busy_line_is_not_prefetched() -> None:
    machine = Machine("test", 1, 2, {"context_switch": 0, "wake": 0, "work": 0})
    line = CacheLine(0, "line", owner=0, sharers={0}, busy_until_ns=10_000)
    engine = Engine(line, machine)

    engine.start(Task(0, "t", prefetch_only, machine.cpus[1]))
    engine.run()
    assert line.owner == 0
    assert line.transfers == 0


@step("test")
def prefetch_only(engine, task):
    """Ask for the line and leave."""
    engine.world.prefetch(engine)
    engine.end()
