"""RCU: read sections that cost nothing, and callbacks that wait until all older sections ended.

Sections of tasks end a grace period by event; CPUs with interrupts off count as readers too and
are looked at in `Rcu.irqs_on`, else by polling. It does not know what is freed.

Costs: rcu_read_lock, call_rcu, rcu_grace_period, rcu_poll; wake, wake_up_process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pfviz.sim.engine import Engine
from pfviz.sim.event import RCU_CALLBACK, RCU_GRACE_PERIOD, RCU_READ_BEGIN, RCU_READ_END
from pfviz.sim.task import Step, Task

from .wait_queue import wake_up_process

Reclaim = Callable[[Any, Any], None]
"""A module-level function of (engine, subject), called once nobody can see `subject` any more."""


@dataclass(slots=True, eq=False)
class ReadSection:
    """The outermost rcu_read_lock of one task."""

    task: Task
    since_ns: int
    depth: int = 1


@dataclass(slots=True, eq=False)
class Callback:
    """What call_rcu queued."""

    what: str
    subject: Any
    reclaim: Reclaim


@dataclass(slots=True, eq=False)
class GracePeriod:
    """The one in progress: whom it still waits for, and what may be reclaimed after it."""

    number: int
    started_ns: int
    callbacks: list[Callback]
    readers: list[ReadSection]
    """Sections that were open when it began and still are."""
    cpus: list[int]
    """CPUs that had interrupts off when it began and were not seen otherwise since."""
    is_old_enough: bool = False


@dataclass(slots=True, eq=False)
class Rcu:
    """The RCU state of a world; grace periods follow one another, never two at a time."""

    sections: dict[int, ReadSection] = field(default_factory=dict)
    """Open sections by task id."""
    next: list[Callback] = field(default_factory=list)
    """Callbacks that came too late for the grace period in progress."""
    current: GracePeriod | None = None
    completed: int = 0

    def read_lock(self, engine: Engine[Any], task: Task) -> None:
        """Enter a read section; sections nest."""
        engine.cost("rcu_read_lock")
        section = self.sections.get(task.id)
        if section is not None:
            section.depth += 1
            return
        self.sections[task.id] = ReadSection(task, engine.now_ns)
        engine.emit(RCU_READ_BEGIN)

    def read_unlock(self, engine: Engine[Any], task: Task) -> None:
        """Leave a read section; the outermost may be the last that a grace period waits for."""
        engine.cost("rcu_read_lock")
        section = self.sections[task.id]
        section.depth -= 1
        if section.depth:
            return
        del self.sections[task.id]
        engine.emit(RCU_READ_END, engine.now_ns - section.since_ns)
        current = self.current
        if current is not None and section in current.readers:
            current.readers.remove(section)
            self._end_if_over(engine)

    def is_reading(self, task: Task) -> bool:
        """Whether the task is inside a read section: it must not sleep then."""
        return task.id in self.sections

    def irqs_off(self, engine: Engine[Any]) -> None:
        """Disable interrupts on the running CPU: it counts as a reader until `irqs_on`."""
        engine.irqs_off()

    def irqs_on(self, engine: Engine[Any]) -> None:
        """Enable interrupts again: a grace period need not wait for this CPU any more."""
        engine.irqs_on()
        cpu, current = engine.cpu, self.current
        if current is not None and not cpu.irqs_off and cpu.id in current.cpus:
            current.cpus.remove(cpu.id)
            self._end_if_over(engine)

    def call_rcu(self, engine: Engine[Any], what: str, subject: Any, reclaim: Reclaim) -> None:
        """Call `reclaim(engine, subject)` after a grace period that starts no earlier than now."""
        engine.cost("call_rcu")
        self._queue(engine, Callback(what, subject, reclaim))

    def synchronize_rcu(self, engine: Engine[Any], task: Task, then: Step) -> None:
        """Sleep for a grace period, then go on with `then`; the caller's step returns None."""
        assert not self.is_reading(task), f"{task.name} waits for its own RCU section"
        engine.sleep(then, "synchronize_rcu")
        self._queue(engine, Callback("synchronize_rcu", task, wake_up_process))

    def _queue(self, engine: Engine[Any], callback: Callback) -> None:
        if engine.logging:
            number = callback.subject if isinstance(callback.subject, int) else -1
            number = getattr(callback.subject, "id", number)
            engine.emit(RCU_CALLBACK, engine.log.text(callback.what), number)
        self.next.append(callback)
        if self.current is None:
            self._start(engine)

    def _start(self, engine: Engine[Any]) -> None:
        callbacks, self.next = self.next, []
        cpus = [cpu.id for cpu in engine.machine.cpus if cpu.irqs_off]
        readers = list(self.sections.values())
        self.current = GracePeriod(
            self.completed + 1, engine.now_ns, callbacks, readers, cpus
        )  # fmt: skip
        engine.alarm(engine.machine.costs["rcu_grace_period"], _come_of_age, self)

    def _end_if_over(self, engine: Engine[Any]) -> None:
        current = self.current
        assert current is not None
        if not current.is_old_enough or current.readers or current.cpus:
            return
        self.current = None
        self.completed = current.number
        wait_ns = engine.now_ns - current.started_ns
        engine.emit(RCU_GRACE_PERIOD, current.number, len(current.callbacks), wait_ns)
        # Callbacks run in softirq context, not in the task whose section happened to end last.
        engine.alarm(0, _invoke, current.callbacks)
        if self.next:
            self._start(engine)


def _come_of_age(engine: Engine[Any], rcu: Rcu) -> None:
    """The grace period lasted as long as it must; look at the CPUs that still hold it up."""
    current = rcu.current
    assert current is not None
    current.is_old_enough = True
    cpus = engine.machine.cpus
    current.cpus = [cpu for cpu in current.cpus if cpus[cpu].irqs_off]
    rcu._end_if_over(engine)
    if rcu.current is current and current.cpus:
        engine.alarm(engine.machine.costs["rcu_poll"], _look_again, (rcu, current))


def _look_again(engine: Engine[Any], watched: tuple[Rcu, GracePeriod]) -> None:
    rcu, current = watched
    if rcu.current is current:
        _come_of_age(engine, rcu)


def _invoke(engine: Engine[Any], callbacks: list[Callback]) -> None:
    for callback in callbacks:
        callback.reclaim(engine, callback.subject)
