"""Per-CPU run queues: fair by weight, preemption by slice and on wake-up, switches that cost.

The fair class as in kernel/sched/fair.c, reduced: the queued task with the least virtual run time
runs next; a nice level is a weight (kernel/sched/core.c, sched_prio_to_weight); a task with a
priority below 100 is real-time and always first. Tasks are pinned to their CPU: there is no load
balancing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .event import ASLEEP, ENDED, NOBODY, SCHED_WAKEUP, STILL_RUNNABLE
from .machine import FOREVER_NS, Cpu
from .task import DONE, QUEUED, RUNNING, SLEEPING, WAKING, Task

if TYPE_CHECKING:
    from .engine import Engine

WEIGHTS: Final = (
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
    1024, 820, 655, 526, 423, 335, 272, 215, 172, 137,
    110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
)  # fmt: skip
NICE_0_WEIGHT: Final = 1024


def is_realtime(task: Task) -> bool:
    """Real-time tasks run before every fair one."""
    return task.prio < 100


def account(task: Task, now_ns: int) -> None:
    """Charge the time since the task last started to its virtual run time."""
    ran_ns = now_ns - task.running_since_ns
    if ran_ns > 0 and not is_realtime(task):
        task.vruntime_ns += ran_ns * NICE_0_WEIGHT // WEIGHTS[task.prio - 100]
    task.running_since_ns = now_ns


def comes_before(task: Task, other: Task) -> bool:
    """Whether `task` should run rather than `other`, all else equal."""
    if is_realtime(task) != is_realtime(other):
        return is_realtime(task)
    if is_realtime(task):
        return task.prio < other.prio
    return task.vruntime_ns < other.vruntime_ns


def enqueue(engine: Engine[Any], task: Task, woken: bool) -> None:
    """Put a runnable task on its CPU: it runs at once if the CPU idles, else it may preempt."""
    cpu = task.cpu
    assert cpu is not None
    task.state = QUEUED
    # A sleeper may not hoard credit: it starts at most half a slice behind the others.
    task.vruntime_ns = max(task.vruntime_ns, cpu.vruntime_min_ns - engine.machine.slice_ns // 2)
    cpu.queue.append(task)
    current = cpu.current
    if current is None:
        _run_next(engine, cpu, engine.now_ns, NOBODY, STILL_RUNNABLE)
        return
    account(current, engine.now_ns)
    if woken and _preempts(engine, task, current):
        cpu.resched_ns = engine.now_ns
    else:
        cpu.resched_ns = min(cpu.resched_ns, max(cpu.slice_end_ns, engine.now_ns))


def _preempts(engine: Engine[Any], woken: Task, current: Task) -> bool:
    if is_realtime(woken) or is_realtime(current):
        return comes_before(woken, current)
    lead_ns = current.vruntime_ns - woken.vruntime_ns
    weight = WEIGHTS[woken.prio - 100]
    return lead_ns > engine.machine.wakeup_granularity_ns * NICE_0_WEIGHT // weight


def preempt(engine: Engine[Any], task: Task) -> bool:
    """A slice is over, a better task waits or interrupts took time: True when `task` waits."""
    cpu = task.cpu
    assert cpu is not None
    assert cpu.current is task
    if cpu.irq_debt_ns:
        engine.schedule(task, engine.now_ns + cpu.irq_debt_ns)
        cpu.irq_debt_ns = 0
        return True
    if task.preempt_count:
        return False
    account(task, engine.now_ns)
    best = _best(cpu)
    if best is None or not comes_before(best, task):
        cpu.slice_end_ns = engine.now_ns + engine.machine.slice_ns
        cpu.resched_ns = cpu.slice_end_ns if cpu.queue else FOREVER_NS
        return False
    task.state = QUEUED
    cpu.queue.append(task)
    _run_next(engine, cpu, engine.now_ns, task.id, STILL_RUNNABLE)
    return True


def leave(engine: Engine[Any], task: Task, free_ns: int) -> None:
    """The running task sleeps or ended; its CPU goes on with another one at `free_ns`."""
    cpu = task.cpu
    if cpu is None:
        return
    assert cpu.current is task
    account(task, free_ns)
    _run_next(engine, cpu, free_ns, task.id, ENDED if task.state == DONE else ASLEEP)


def arrive(engine: Engine[Any], task: Task) -> None:
    """The wake-up reached the sleeper's CPU (the ring of the alarm that `Engine.wake` set)."""
    assert task.state == WAKING, (task.name, task.state)
    enqueue(engine, task, woken=True)


def _best(cpu: Cpu) -> Task | None:
    best: Task | None = None
    for task in cpu.queue:
        if best is None or comes_before(task, best):
            best = task
    return best


def _run_next(engine: Engine[Any], cpu: Cpu, free_ns: int, prev: int, prev_state: int) -> None:
    task = _best(cpu)
    cpu.current = task
    if task is None:
        cpu.resched_ns = FOREVER_NS
        cpu.free_ns = free_ns
        engine.log_switch(prev, cpu.id, NOBODY, prev_state, 0)
        return
    cpu.queue.remove(task)
    starts_ns = max(free_ns, cpu.free_ns) + engine.machine.costs["context_switch"]
    cpu.switches += 1
    if not is_realtime(task):
        cpu.vruntime_min_ns = max(cpu.vruntime_min_ns, task.vruntime_ns)
    task.state = RUNNING
    task.running_since_ns = starts_ns
    cpu.slice_end_ns = starts_ns + engine.machine.slice_ns
    cpu.resched_ns = cpu.slice_end_ns if cpu.queue else FOREVER_NS
    engine.log_switch(prev, cpu.id, task.id, prev_state, starts_ns - engine.now_ns)
    if engine.on_switch is not None:
        engine.on_switch(engine, cpu, task)
    engine.schedule(task, starts_ns)


def wake(engine: Engine[Any], task: Task, after_ns: int) -> None:
    """Make a sleeping task runnable `after_ns` from now: the wake-up has to reach its CPU."""
    assert task.state == SLEEPING, (task.name, task.state)
    task.state = WAKING
    cpu_id = task.cpu.id if task.cpu else -1
    engine.emit_of(task, SCHED_WAKEUP, cpu_id, engine.task.id if engine.task else NOBODY)
    if task.cpu is None:
        task.state = RUNNING
        engine.schedule(task, engine.now_ns + after_ns)
    else:
        engine.alarm(after_ns, arrive, task)
