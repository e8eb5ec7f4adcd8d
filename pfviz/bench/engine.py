"""The engine against SimPy on the same schedule of time-outs; cost per step as threads grow."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from time import process_time_ns
from typing import Any, Final

from pfviz.sim.engine import Engine
from pfviz.sim.machine import Machine
from pfviz.sim.task import Task, step

from .measurement import Measurement, at_least, at_most

# Delays in ns as a page fault has them: mostly short and different, so that few steps coincide.
DELAYS_NS: Final = (5, 60, 15, 2, 150, 10, 120, 33)
COSTS: Final = {f"delay_{index}": ns for index, ns in enumerate(DELAYS_NS)}
STEPS: Final = 150_000
ROUNDS: Final = 5


def time_out(index: int, then: int) -> Any:
    """A step that lets delay `index` pass, and goes on with step `then` of the schedule."""

    def wait(_engine: Engine[None], _task: Task) -> Any:
        """Let the next delay of the schedule pass."""
        return SCHEDULE[then]

    return step("bench/time-out", cost=f"delay_{index}", function=f"delay {index}")(wait)


SCHEDULE: Final = [time_out(index, (index + 1) % 8) for index in range(8)]


def engine_ns_per_step(tasks: int, logging: bool) -> float:
    """CPU nanoseconds per step of `tasks` tasks, each on its own CPU."""
    machine = Machine("bench", 1, tasks, {"context_switch": 0, "wake": 0, **COSTS})
    engine: Engine[None] = Engine(None, machine, logging=logging)
    for index in range(tasks):
        task = Task(index, f"t{index}", SCHEDULE[index % 8], machine.cpus[index])
        engine.start(task, after_ns=index)
    began_ns = process_time_ns()
    engine.run(steps_max=STEPS)
    return (process_time_ns() - began_ns) / STEPS


def simpy_ns_per_step(tasks: int) -> float:
    """The same schedule as SimPy processes; raises ImportError where SimPy is not installed."""
    simpy: Any = importlib.import_module("simpy")

    def process(environment: Any, index: int) -> Iterator[Any]:
        turn = index % 8
        delays = DELAYS_NS[turn:] + DELAYS_NS[:turn]
        yield environment.timeout(index)
        while True:
            for delay in delays:
                yield environment.timeout(delay)

    environment = simpy.Environment()
    for index in range(tasks):
        environment.process(process(environment, index))
    began_ns = process_time_ns()
    for _ in range(STEPS):
        environment.step()
    return (process_time_ns() - began_ns) / STEPS


def measure_engine() -> list[Measurement]:
    """Steps per second with and without the log against SimPy; cost per step at 4, 64, 1,024."""
    found: list[Measurement] = []
    silent: dict[int, float] = {}
    for tasks in (4, 64, 1024):
        rounds: list[tuple[float, float, float]] = []
        for _ in range(ROUNDS):  # interleaved, so that a busy machine is unfair to all alike
            try:
                peer_ns = simpy_ns_per_step(tasks)
            except ImportError:
                peer_ns = float("nan")
            rounds.append(
                (engine_ns_per_step(tasks, False), engine_ns_per_step(tasks, True), peer_ns)
            )
        off_ns, on_ns, peer_ns = (min(column) for column in zip(*rounds, strict=True))
        silent[tasks] = off_ns
        if peer_ns == peer_ns:
            peer = f"SimPy, {tasks} processes"
            for state, own_ns, aim in (("off", off_ns, 3.0), ("on", on_ns, 1.5)):
                name = f"engine steps/s, {tasks} threads, log {state}"
                found.append(at_least(name, 1e9 / own_ns, "steps/s", 1e9 / peer_ns, peer, aim))
        else:
            note = "SimPy is not installed (pip install 'pfviz[dev]')"
            found.append(
                Measurement(f"engine, {tasks} threads", 1e9 / off_ns, "steps/s", note=note)
            )
    floor = silent[4]
    for tasks in (64, 1024):
        name = f"cost per step, {tasks} threads"
        found.append(at_most(name, silent[tasks], "ns", floor, "the same with 4 threads", 1.6))
    return found
