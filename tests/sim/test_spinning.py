"""Spinning without steps: the task keeps its CPU, and goes on when it is told."""

from typing import Any

import pytest

from pfviz.sim.engine import Engine
from pfviz.sim.event import STEP
from pfviz.sim.machine import Machine
from pfviz.sim.task import DONE, SPINNING, Task, step

COSTS = {"context_switch": 0, "wake": 0, "look": 50}


@step("tests/sim/test_spinning.py", cost="look")
def look(engine: Engine[Any], task: Task) -> None:
    """Spin until told."""
    task.preempt_count += 1
    engine.spin(seen)


@step("tests/sim/test_spinning.py")
def look_carelessly(engine: Engine[Any], task: Task) -> None:
    """Spin while somebody else may need the CPU."""
    engine.spin(seen)


@step("tests/sim/test_spinning.py")
def seen(engine: Engine[Any], task: Task) -> None:
    """Told."""
    engine.world[task.name] = engine.now_ns
    task.preempt_count -= 1
    engine.end()


@step("tests/sim/test_spinning.py")
def pass_by(engine: Engine[Any], task: Task) -> None:
    """Run once."""
    engine.world[task.name] = engine.now_ns
    engine.end()


def tell(engine: Engine[Any], task: Task) -> None:
    """Tell a spinner."""
    engine.stop_spinning(task)


def ring(engine: Engine[Any], task: Task) -> None:
    """An interrupt."""


def engine_with(*first_steps: Any) -> Engine[Any]:
    engine: Engine[Any] = Engine({}, Machine("test", 1, 1, COSTS, slice_ns=100))
    for index, first in enumerate(first_steps):
        engine.start(Task(index, f"t{index}", first, engine.machine.cpus[0]), index)
    return engine


def test_a_spinner_takes_no_steps_until_it_is_told() -> None:
    engine = engine_with(look)
    engine.alarm(1_000_000, tell, engine.tasks[0])
    engine.run(until_ns=999_999)
    assert engine.tasks[0].state == SPINNING
    engine.run()
    assert engine.world == {"t0": 1_000_000}
    assert len([row for row in engine.log if row[1] == STEP]) == 2


def test_a_spinner_keeps_its_cpu() -> None:
    engine = engine_with(look, pass_by)
    engine.alarm(10_000, tell, engine.tasks[0])
    engine.run()
    assert engine.world == {"t0": 10_000, "t1": 10_000}


def test_a_spinner_that_is_told_early_finishes_its_step_first() -> None:
    engine = engine_with(look)
    engine.alarm(10, tell, engine.tasks[0])
    engine.run()
    assert engine.world == {"t0": 50}


def test_interrupts_take_time_that_would_have_been_spun_away() -> None:
    engine = engine_with(look)
    engine.interrupt(engine.machine.cpus[0], 200, ring, engine.tasks[0], 5_000)
    engine.alarm(6_000, tell, engine.tasks[0])
    engine.run()
    assert engine.world == {"t0": 6_000}


def test_spinning_with_preemption_enabled_is_a_mistake() -> None:
    engine = engine_with(look_carelessly)
    with pytest.raises(AssertionError, match="would spin while others wait for its CPU"):
        engine.run()


def test_a_copied_spinner_can_be_told() -> None:
    engine = engine_with(look)
    engine.run()
    twin = engine.copy()
    tell(twin, twin.tasks[0])
    twin.run()
    assert twin.tasks[0].state == DONE
    assert engine.tasks[0].state == SPINNING
