"""Interrupting other CPUs and waiting until each has answered; and who answers late.

Whoever switches interrupts off on a CPU holds up all who wait for its answer. Events tell that
like a lock: "interrupts of CPU 2" is held by who switched them off, and spun on by who waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.sim import event
from pfviz.sim.event import READ, SPIN
from pfviz.sim.task import Step, Task, step

if TYPE_CHECKING:
    from pfviz.sim.engine import Engine

Function = Callable[[Any, int, Any], None]
"""What an interrupted CPU does: a module-level function of (engine, CPU number, subject)."""


@dataclass(slots=True, eq=False)
class CrossCall:
    """One function on its way to other CPUs: what the CPU that asked waits for (`Task.waiting`)."""

    function: Function
    subject: Any
    pending: int
    waiter: Task
    spins: bool = False
    """Whether the waiter has begun to spin."""
    late: list[int] = field(default_factory=list)
    """CPUs that had interrupts off when theirs arrived, and still do not answer."""
    blamed: int = -1
    """The one of them that events name as the reason of the wait."""
    blamed_since_ns: int = 0


class CpuIrqs:
    """Who has switched interrupts off on which CPU, and since when (`world.irqs`)."""

    __slots__ = ("locks", "since_ns")

    def __init__(self) -> None:
        self.locks: dict[int, int] = {}
        """CPU -> id under which events speak of its interrupts, from their first use on."""
        self.since_ns: dict[int, int] = {}

    def lock_of(self, engine: Engine[Any], cpu: int) -> int:
        """The id of a CPU's interrupts in lock events."""
        found = self.locks.get(cpu)
        if found is None:
            found = self.locks[cpu] = engine.new_id()
            if engine.logging:
                log = engine.log
                name = log.text(f"interrupts of CPU {cpu}")
                engine.emit(event.LOCK_NEW, found, log.text("irq"), name, -1)
        return found


def local_irq_save(engine: Engine[Any]) -> None:
    """Answer no interrupt on the running CPU until `local_irq_restore`; counts as an RCU reader."""
    irqs: CpuIrqs = engine.world.irqs
    cpu = engine.cpu
    if not cpu.irqs_off:
        irqs.since_ns[cpu.id] = engine.now_ns
        engine.emit(event.LOCK_ACQUIRED, irqs.lock_of(engine, cpu.id), SPIN, 0, 0)
    engine.world.rcu.irqs_off(engine)


def local_irq_restore(engine: Engine[Any]) -> None:
    """Answer interrupts again; those that came meanwhile are taken now."""
    irqs: CpuIrqs = engine.world.irqs
    cpu = engine.cpu
    engine.world.rcu.irqs_on(engine)
    if not cpu.irqs_off:
        held_ns = engine.now_ns - irqs.since_ns.pop(cpu.id)
        engine.emit(event.LOCK_RELEASED, irqs.lock_of(engine, cpu.id), SPIN, held_ns)


def smp_call_function_many(
    engine: Engine[Any],
    task: Task,
    cpus: list[int],
    function: Function,
    name: str,
    subject: Any,
    then: Step,
) -> Step:
    """Interrupt `cpus` to run `function` (called `name`), wait for all of them, go on with `then`.

    May be called with spinlocks held: the waiting CPU spins with its interrupts on.
    """
    call = CrossCall(function, subject, len(cpus), task)
    costs = engine.machine.costs
    for cpu in cpus:
        engine.cost("ipi_per_cpu")
        arrives_ns = engine.extra_ns + costs["ipi"]
        target = engine.machine.cpus[cpu]
        engine.interrupt(target, arrives_ns, _answer, (cpu, call), costs["ipi_handler"], _is_late)
        if engine.logging:
            engine.emit(event.IPI, engine.log.text(name), cpu, arrives_ns)
    task.preempt_count += 1  # get_cpu: the sender stays where it is until all have answered.
    task.waiting = call
    task.returns.append(then)
    return smp_call_function_many_cond


def _is_late(engine: Engine[Any], to: tuple[int, CrossCall]) -> None:
    """The interrupt has arrived, but its CPU answers none now."""
    cpu, call = to
    call.late.append(cpu)
    if call.spins:
        _blame(engine, call)


def _blame(engine: Engine[Any], call: CrossCall) -> None:
    """Say whom the waiter waits for: the first CPU that is late."""
    if call.blamed >= 0 or not call.late:
        return
    call.blamed, call.blamed_since_ns = call.late[0], engine.now_ns
    lock = engine.world.irqs.lock_of(engine, call.blamed)
    engine.emit_of(call.waiter, event.SPIN_BEGIN, lock, READ)


def _answer(engine: Engine[Any], to: tuple[int, CrossCall]) -> None:
    """Another CPU takes the interrupt: it does what it was asked to, and says so."""
    cpu, call = to
    call.function(engine, cpu, call.subject)
    call.pending -= 1
    if cpu in call.late:
        call.late.remove(cpu)
    if cpu == call.blamed:
        call.blamed = -1
        lock = engine.world.irqs.lock_of(engine, cpu)
        waited_ns = engine.now_ns - call.blamed_since_ns
        engine.emit_of(call.waiter, event.SPIN_END, lock, READ, waited_ns, 1)
        # Like a lock that was taken and let go at once: so the wait counts among its waits.
        engine.emit_of(call.waiter, event.LOCK_ACQUIRED, lock, READ, waited_ns)
        engine.emit_of(call.waiter, event.LOCK_RELEASED, lock, READ)
    if not call.spins:
        return
    if call.pending:
        _blame(engine, call)
    else:
        # The answer is a cache line that the waiter has to fetch.
        engine.stop_spinning(call.waiter, engine.machine.costs["ipi_handler"])


@step("kernel/smp.c")
def smp_call_function_many_cond(engine: Engine[Any], task: Task) -> Step | None:
    """Spin until every interrupted CPU has done what it was asked to and said so."""
    call: CrossCall = task.waiting
    if not call.pending:
        return all_answered
    call.spins = True
    _blame(engine, call)
    engine.spin(all_answered)
    return None


@step("kernel/smp.c", function="smp_call_function_many_cond")
def all_answered(engine: Engine[Any], task: Task) -> Step:  # noqa: ARG001
    """All CPUs have answered."""
    task.waiting = None
    task.preempt_count -= 1
    return task.back()
