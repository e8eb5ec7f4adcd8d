"""Builders of small worlds of tasks that follow a script of lock operations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pfviz.sim.engine import Engine
from pfviz.sim.event import FIELDS, LOCK_ACQUIRED, STEP
from pfviz.sim.machine import FOREVER_NS, Machine
from pfviz.sim.picker import Picker
from pfviz.sim.task import DONE, Step, Task, step
from pfviz.sync.costs import COSTS
from pfviz.sync.rw_semaphore import FLAG_HANDOFF, FLAG_WAITERS, WRITER_LOCKED
from pfviz.sync.rwsem import (
    RwSemaphore,
    down_read,
    down_read_trylock,
    down_write,
    down_write_trylock,
    downgrade_write,
    up_read,
    up_write,
)

Action = tuple[Any, ...]
Read = ("read",)
Write = ("write",)
TryRead = ("try_read",)
TryWrite = ("try_write",)
Release = ("release",)
Downgrade = ("downgrade",)


def hold(ns: int) -> Action:
    """Burn `ns` of CPU time."""
    return ("hold", ns)


def rest(ns: int) -> Action:
    """Sleep for `ns`."""
    return ("rest", ns)


@dataclass(slots=True, eq=False)
class Actor(Task):
    """A task that follows a script on one rwsem."""

    script: list[Action] = field(default_factory=list)
    sem: RwSemaphore = None  # type: ignore[assignment]
    mode: str = ""
    done: list[tuple[int, Action]] = field(default_factory=list)
    """Actions with the time at which the next one could begin."""
    tried: list[bool] = field(default_factory=list)


@step("tests/sync/lock_worlds.py")
def act(engine: Engine[Any], task: Actor) -> Step | None:
    """Do the next thing in the script."""
    if not task.script:
        engine.end()
        return None
    action = task.script.pop(0)
    task.done.append((engine.now_ns, action))
    match action:
        case ("read",):
            task.mode = "read"
            return down_read(engine, task, task.sem, act)
        case ("write",):
            task.mode = "write"
            return down_write(engine, task, task.sem, act)
        case ("try_read",):
            task.tried.append(down_read_trylock(engine, task, task.sem))
            task.mode = "read" if task.tried[-1] else task.mode
        case ("try_write",):
            task.tried.append(down_write_trylock(engine, task, task.sem))
            task.mode = "write" if task.tried[-1] else task.mode
        case ("release",):
            release = up_read if task.mode == "read" else up_write
            task.mode = ""
            release(engine, task, task.sem)
        case ("downgrade",):
            downgrade_write(engine, task, task.sem)
            task.mode = "read"
        case ("if_taken", actions):
            if task.tried[-1]:
                task.script[:0] = actions
        case ("hold", ns):
            engine.charge(ns)
        case ("rest", ns):
            engine.alarm(ns, wake_up, task)
            engine.sleep(act, "rest")
            return None
        case _:
            raise AssertionError(action)
    return act


def wake_up(engine: Engine[Any], task: Task) -> None:
    """The rest is over."""
    engine.wake(task, 0)


def engine_of(cpus: int, picker: Picker | None = None, **costs: int) -> Engine[Any]:
    """An engine without a world, on one socket with the default costs, some of them replaced."""
    plain = {name: ns for name, (ns, _) in COSTS.items()} | costs
    return Engine(None, Machine("test", 1, cpus, plain), picker)


def ideal_engine(cpus: int, picker: Picker | None = None, **costs: int) -> Engine[Any]:
    """An engine on which nothing but holding, resting and waking (1 us) takes time."""
    plain = dict.fromkeys(COSTS, 0) | {"wake": 1_000, "rcu_grace_period": 10_000} | costs
    machine = Machine("ideal", 1, cpus, plain, line_same_socket_ns=0)
    return Engine(None, machine, picker)


def mmap_lock(engine: Engine[Any]) -> RwSemaphore:
    """The lock that most of these tests are about."""
    return RwSemaphore(engine, "mmap_lock", "mmap_lock")


def run_checked(engine: Engine[Any], *sems: RwSemaphore, until_ns: int = FOREVER_NS) -> None:
    """Run step by step and check every invariant of the locks after each."""
    while True:
        due_ns = engine.peek_ns()
        if due_ns is None or due_ns > until_ns or not engine.run(until_ns, steps_max=1):
            return
        for sem in sems:
            sem.check()


def word(sem: RwSemaphore) -> str:
    """The count word as the tests spell it: `2R WAITERS`."""
    parts = [f"{sem.readers}R"] if sem.readers else []
    names = {WRITER_LOCKED: "W", FLAG_WAITERS: "WAITERS", FLAG_HANDOFF: "HANDOFF"}
    return " ".join(parts + [name for bit, name in names.items() if sem.count & bit]) or "0"


def stuck(engine: Engine[Any]) -> list[str]:
    """Tasks that did not finish, though nobody has anything to do any more."""
    return [task.name for task in engine.tasks if task.state != DONE]


def acquired_ns(engine: Engine[Any], task: Task) -> list[int]:
    """When a task got its locks."""
    return [entry["now_ns"] for entry in events(engine, LOCK_ACQUIRED, task=task)]


def actor(
    engine: Engine[Any],
    sem: RwSemaphore,
    name: str,
    *script: Action,
    cpu: int | None = None,
    after_ns: int = 0,
    prio: int = 120,
) -> Actor:
    """Start a task with a script, by default on a CPU of its own."""
    index = len(engine.tasks)
    on = engine.machine.cpus[index if cpu is None else cpu]
    task = Actor(index, name, act, on, prio, script=list(script), sem=sem)
    engine.start(task, after_ns)
    return task


def events(engine: Engine[Any], *kinds: int, task: Task | None = None) -> list[dict[str, Any]]:
    """Logged events of some kinds as dictionaries, texts resolved."""
    found = []
    for row in engine.log:
        if row[1] in kinds and (task is None or row[2] == task.id):
            name, fields = FIELDS[row[1]]
            entry: dict[str, Any] = {"now_ns": row[0], "kind": name, "task": row[2]}
            for field_name, value in zip(fields, row[3:], strict=False):
                if field_name.endswith("_text"):
                    entry[field_name[:-5]] = engine.log.texts[value]
                elif field_name:
                    entry[field_name] = value
            found.append(entry)
    return found


def steps_of(engine: Engine[Any], task: Task) -> list[str]:
    """The names of the steps that a task took, in order."""
    names = [info.name.rsplit(".", 1)[1] for info in engine.log.steps]
    return [names[row[3]] for row in engine.log if row[1] == STEP and row[2] == task.id]
