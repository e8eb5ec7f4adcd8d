"""The engine: it owns time, dice and order, and runs one step of one task after another.

Three verbs: `schedule`, `peek_ns`, `step` (and `run`, a loop over `step`). It has never heard of
memory: `world` is whatever the layer above lets its steps change.
"""

from __future__ import annotations

import heapq
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from . import event, scheduler
from .event import NOBODY, STEP, EventLog, StepInfo
from .machine import FOREVER_NS, Cpu, Machine
from .picker import Picker
from .task import DONE, RUNNING, SLEEPING, SPINNING, Alarm, Step, Task

World = TypeVar("World")


class Watch(Protocol):
    """Who is told what tasks do with locks, as it happens, and may not change anything."""

    def asked(self, engine: Any, task: Task, lock: Any, mode: int) -> None:
        """A task asks for a lock and will wait if it must (no trylock)."""

    def took(self, engine: Any, task: Task, lock: Any, mode: int) -> None:
        """A task has a lock."""

    def gave(self, engine: Any, task: Task, lock: Any, mode: int) -> None:
        """A task gives a lock back, or gives up writing under it."""

    def downgraded(self, engine: Any, task: Task, lock: Any) -> None:
        """A task that had a lock for writing has kept it for reading."""

    def counted(self, engine: Any, sequence: Any) -> None:
        """The running task has changed a sequence count."""

    def slept(self, engine: Any, task: Task) -> None:
        """A task has gone to sleep."""


class Engine(Generic[World]):
    """A world, a clock in ns, an agenda of due tasks and the log of all that happened."""

    def __init__(
        self, world: World, machine: Machine, picker: Picker | None = None, logging: bool = True
    ) -> None:
        self.world = world
        self.machine = machine
        self.picker = picker
        self.logging = logging
        self.watch: Watch | None = None
        self.on_switch: Callable[[Any, Cpu, Task], None] | None = None
        """Called when a CPU goes over to a task, for the layer above (address spaces, ...)."""
        self.log = EventLog()
        self.now_ns = 0
        self.extra_ns = 0
        self.steps = 0
        self.task: Task | None = None
        self.tasks: list[Task] = []
        # Time -> who is due: one task, or a queue of several. Most moments have one.
        self._due: dict[int, Task | list[Task]] = {}
        self._times: list[int] = []
        self._object_ids = 0

    # Tasks

    def start(self, task: Task, after_ns: int = 0) -> None:
        """Make a new task runnable `after_ns` from now, on its CPU if it has one."""
        assert task.id == len(self.tasks), "task ids are positions in engine.tasks"
        assert task.step is not None
        self.tasks.append(task)
        task.state = SLEEPING
        task.started_ns = self.now_ns + after_ns
        if self.logging:
            cpu = task.cpu.id if task.cpu else -1
            text = self.log.text(task.name)
            self.emit_of(task, event.TASK_NEW, text, cpu, task.prio, task.group)
        scheduler.wake(self, task, after_ns)

    def sleep(self, then: Step, why: str, lock: int = -1) -> None:
        """Put the running task to sleep; when somebody wakes it, it goes on with `then`."""
        task = self.running
        assert not task.preempt_count, f"{task.name} sleeps in an atomic section"
        task.step = then
        task.state = SLEEPING
        task.asleep_why = why
        if self.logging:
            self.emit(event.SLEEP, self.log.text(why), lock)
        if self.watch is not None:
            self.watch.slept(self, task)

    def wake(self, task: Task, after_ns: int | None = None) -> None:
        """Wake a sleeper; it runs once the wake-up reached its CPU and the CPU is its own."""
        scheduler.wake(self, task, self.machine.costs["wake"] if after_ns is None else after_ns)

    def spin(self, then: Step) -> None:
        """Let the running task burn its CPU without steps until `stop_spinning`; then do `then`."""
        task = self.running
        assert task.preempt_count, f"{task.name} would spin while others wait for its CPU"
        task.step = then
        task.state = SPINNING

    def stop_spinning(self, task: Task, after_ns: int = 0) -> None:
        """What the spinner waited for happened; it sees it `after_ns` from now."""
        assert task.state == SPINNING, (task.name, task.state)
        task.state = RUNNING
        due_ns = self.now_ns + after_ns
        if task.cpu is not None:
            task.cpu.irq_debt_ns = 0  # Interrupts took time that would have been spun away.
            due_ns = max(due_ns, task.cpu.free_ns)
        self.schedule(task, due_ns)

    def end(self) -> None:
        """The running task has nothing more to do."""
        task = self.running
        task.state = DONE
        task.step = None
        self.emit(event.TASK_END)

    def alarm(self, after_ns: int, ring: Callable[[Any, Any], None], subject: Any) -> Alarm:
        """Call `ring(engine, subject)` once, `after_ns` from now, outside any CPU."""
        alarm = Alarm(NOBODY, "alarm", step=_ring, state=RUNNING, ring=ring, subject=subject)
        self.schedule(alarm, self.now_ns + after_ns)
        return alarm

    def interrupt(
        self,
        cpu: Cpu,
        alarm_ns: int,
        ring: Callable[[Any, Any], None],
        subject: Any,
        handler_ns: int,
        late: Callable[[Any, Any], None] | None = None,
    ) -> None:
        """Send an interrupt: `ring` runs when the CPU takes it, `handler_ns` is lost to its task.

        A CPU with interrupts off keeps it pending until `irqs_on`; `late` is then told so.
        """
        irq = Alarm(NOBODY, "irq", cpu=None, step=_ring, state=RUNNING, ring=_take_irq,
                    subject=Irq(cpu, ring, subject, handler_ns, late))  # fmt: skip
        self.schedule(irq, self.now_ns + alarm_ns)

    def irqs_off(self) -> None:
        """Disable interrupts on the running task's CPU; nests."""
        self.cpu.irqs_off += 1
        self.running.preempt_count += 1
        if self.cpu.irqs_off == 1:
            self.emit(event.IRQ, self.cpu.id, 0)

    def irqs_on(self) -> None:
        """Enable interrupts again; what was pending is taken now."""
        cpu = self.cpu
        cpu.irqs_off -= 1
        self.running.preempt_count -= 1
        if cpu.irqs_off == 0:
            self.emit(event.IRQ, cpu.id, 1)
            pending, cpu.pending_irqs = cpu.pending_irqs, []
            for irq in pending:
                self.schedule(irq, self.now_ns)

    @property
    def running(self) -> Task:
        """The task whose step runs now."""
        assert self.task is not None, "no task runs"
        return self.task

    @property
    def cpu(self) -> Cpu:
        """The CPU whose step runs now."""
        cpu = self.running.cpu
        assert cpu is not None, f"{self.running.name} has no CPU"
        return cpu

    def charge(self, ns: int) -> None:
        """Let the current step last `ns` longer than its own cost."""
        self.extra_ns += ns

    def cost(self, name: str) -> None:
        """Let the current step last longer by the cost called `name`."""
        self.extra_ns += self.machine.costs[name]

    def new_id(self) -> int:
        """A number for a new lock, line, VMA, ...; unique in this run, the same in every run."""
        self._object_ids += 1
        return self._object_ids

    # Events

    def emit(self, kind: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        """Log an event of the running task."""
        if self.logging:
            task = self.task
            self.log.append(self.now_ns, kind, task.id if task else NOBODY, a, b, c, d)

    def emit_of(
        self, task: Task, kind: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0
    ) -> None:
        """Log an event of another task than the running one."""
        if self.logging:
            self.log.append(self.now_ns, kind, task.id, a, b, c, d)

    def log_switch(self, prev: int, cpu: int, next_task: int, prev_state: int, ns: int) -> None:
        """Log that a CPU goes over from one task to another (sched_switch)."""
        if self.logging:
            self.log.append(self.now_ns, event.SCHED_SWITCH, prev, cpu, next_task, prev_state, ns)

    # Time

    def schedule(self, task: Task, due_ns: int) -> None:
        """Let `task` run its step at `due_ns`."""
        assert due_ns >= self.now_ns, "time runs backwards"
        due = self._due.get(due_ns)
        if due is None:
            self._due[due_ns] = task
            heapq.heappush(self._times, due_ns)
        elif isinstance(due, list):
            due.append(task)
        else:
            self._due[due_ns] = [due, task]

    def peek_ns(self) -> int | None:
        """When the next step is due; None when nobody has anything to do."""
        return self._times[0] if self._times else None

    def due(self) -> tuple[Task, ...]:
        """The tasks that are due first, in arrival order: those a picker chooses from."""
        if not self._times:
            return ()
        due = self._due[self._times[0]]
        return (due,) if isinstance(due, Task) else tuple(due)

    def step(self) -> bool:
        """Run one step of one task that is due first; False when none is."""
        return self.run(steps_max=1) == 1

    def run(self, until_ns: int = FOREVER_NS, steps_max: int = FOREVER_NS) -> int:
        """Run every step due up to `until_ns`, at most `steps_max`; how many steps ran."""
        times, due_at, known_steps = self._times, self._due, self.log.known_steps
        logging, rows, pack, picker = self.logging, self.log.rows, event.ROW.pack, self.picker
        heappop, heappush, heapreplace = heapq.heappop, heapq.heappush, heapq.heapreplace
        done = self.extra_ns = 0
        while done < steps_max and times and (now := times[0]) <= until_ns:
            self.now_ns = now
            due = due_at[now]
            if type(due) is list:
                task: Task = due.pop(0 if picker is None else self._picked(due))
                is_last = not due
            else:
                task, is_last = due, True  # type: ignore[assignment]
            if is_last:
                del due_at[now]
            cpu = task.cpu
            if cpu is not None and now >= cpu.resched_ns and scheduler.preempt(self, task):
                if is_last:
                    heappop(times)
                continue
            step: Step = task.step  # type: ignore[assignment]
            self.task = task
            following = step(self, task)
            if following is None:
                if is_last:
                    heappop(times)
                done += self._left(task, step)
                continue
            done += 1
            try:
                index, cost_ns = known_steps[step]
            except KeyError:
                index, cost_ns = self._learn(step)
            if logging:
                cpu_id = -1 if cpu is None else cpu.id
                rows += pack(now, STEP, task.id, index, cost_ns, self.extra_ns, cpu_id)
            due_ns = now + cost_ns
            if self.extra_ns:
                due_ns += self.extra_ns
                self.extra_ns = 0
            task.step = following
            later = due_at.get(due_ns)
            if later is None:
                due_at[due_ns] = task
                if is_last:
                    heapreplace(times, due_ns)
                else:
                    heappush(times, due_ns)
                continue
            if is_last:
                heappop(times)
            if type(later) is list:
                later.append(task)
            else:
                due_at[due_ns] = [later, task]  # type: ignore[list-item]
        self.task = None
        self.steps += done
        return done

    def _learn(self, step: Step) -> tuple[int, int]:
        """A step runs for the first time: its index in the log and its cost in ns."""
        plain = cast("Any", step)
        name = f"{plain.__module__.removeprefix('pfviz.')}.{plain.__name__}"
        story = " ".join((plain.__doc__ or "").split())
        self.log.steps.append(StepInfo(name, plain.function, plain.source, story, plain.cost))
        entry = len(self.log.steps) - 1, self.machine.cost_ns(plain.cost)
        self.log.known_steps[step] = entry
        return entry

    def _picked(self, due: list[Task]) -> int:
        assert self.picker is not None
        return self.picker.pick(due) if len(due) > 1 else 0

    def _left(self, task: Task, step: Step) -> int:
        """A task has no next step: it sleeps, spins or ended. How many steps that was (0 or 1)."""
        extra_ns, self.extra_ns = self.extra_ns, 0
        if type(task) is Alarm:
            return 0
        index, cost_ns = self.log.known_steps.get(step) or self._learn(step)
        self.task = task
        self.emit(STEP, index, cost_ns, extra_ns, task.cpu.id if task.cpu else -1)
        self.task = None
        free_ns = self.now_ns + cost_ns + extra_ns
        if task.state == SPINNING:
            if task.cpu is not None:
                task.cpu.free_ns = free_ns  # Its last step still lasts until then.
            return 1
        assert task.state in (SLEEPING, DONE), (
            f"{task.name} returned no next step and does not sleep"
        )
        scheduler.leave(self, task, free_ns)
        return 1

    # Copies

    def copy(self, with_log: bool = False) -> Engine[World]:
        """An independent copy of everything a run can change; the log starts empty by default."""
        log = self.log
        if not with_log:
            self.log = EventLog(
                texts=list(log.texts), steps=list(log.steps), meta=dict(log.meta),
                known_steps=dict(log.known_steps), _text_ids=dict(log._text_ids),
            )  # fmt: skip
        try:
            return cast("Engine[World]", pickle.loads(pickle.dumps(self, pickle.HIGHEST_PROTOCOL)))
        finally:
            self.log = log


def _ring(engine: Engine[Any], alarm: Alarm) -> None:
    assert alarm.ring is not None
    engine.task = None
    alarm.ring(engine, alarm.subject)


@dataclass(slots=True, eq=False)
class Irq:
    """One interrupt on its way to a CPU."""

    cpu: Cpu
    ring: Callable[[Any, Any], None]
    subject: Any
    handler_ns: int
    late: Callable[[Any, Any], None] | None = None


def _take_irq(engine: Engine[Any], irq: Irq) -> None:
    cpu = irq.cpu
    if cpu.irqs_off:
        again = Alarm(NOBODY, "irq", step=_ring, state=RUNNING, ring=_take_irq, subject=irq)
        cpu.pending_irqs.append(again)
        if irq.late is not None:
            irq.late(engine, irq.subject)
            irq.late = None
        return
    if cpu.current is not None:
        cpu.irq_debt_ns += irq.handler_ns
        cpu.resched_ns = engine.now_ns
    irq.ring(engine, irq.subject)
