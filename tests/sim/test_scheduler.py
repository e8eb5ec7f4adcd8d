"""Run queues: weights, slices, wake-up preemption, and the lock holder that loses its CPU."""

from pfviz.sim.engine import Engine
from pfviz.sim.event import IPI, SCHED_SWITCH
from pfviz.sim.fingerprint import fingerprint
from pfviz.sim.machine import Machine
from pfviz.sim.task import Task, step

COSTS = {"context_switch": 0, "wake": 0, "chunk": 100_000, "atomic": 2_000_000}


@step("test", cost="chunk")
def work(engine, task: Task):
    """Use the CPU for 100 us."""
    engine.world[task.name] = engine.world.get(task.name, 0) + 1
    return work


@step("test", cost="atomic")
def hold_a_spinlock(engine, task: Task):
    """Use the CPU for 2 ms without letting go of it."""
    task.preempt_count = 1
    engine.world[task.name] = engine.world.get(task.name, 0) + 1
    return hold_a_spinlock


@step("test", cost="chunk")
def nap(engine, task: Task):
    """Sleep until the alarm rings."""
    engine.alarm(5_000_000, _wake, task)
    engine.sleep(nap_over, "a nap")


@step("test", cost="chunk")
def nap_over(engine, task: Task):
    """Note when the CPU was ours again."""
    engine.world["woke_ns"] = engine.now_ns
    engine.end()


def _wake(engine, task: Task) -> None:
    engine.wake(task)


def engine_of(*tasks: tuple[str, object, int]) -> Engine[dict[str, int]]:
    machine = Machine("test", 1, 1, COSTS)
    engine: Engine[dict[str, int]] = Engine({}, machine)
    for index, (name, first, prio) in enumerate(tasks):
        engine.start(Task(index, name, first, machine.cpus[0], prio))
    return engine


def test_equal_tasks_share_a_cpu_equally() -> None:
    engine = engine_of(("a", work, 120), ("b", work, 120))
    engine.run(until_ns=100_000_000)
    assert abs(engine.world["a"] - engine.world["b"]) <= 31


def test_nice_19_gets_a_sixty_eighth_of_what_nice_0_gets() -> None:
    engine = engine_of(("busy", work, 120), ("idle", work, 139))
    engine.run(until_ns=2_000_000_000)
    assert 40 <= engine.world["busy"] / engine.world["idle"] <= 90


def test_a_woken_nice_0_task_preempts_a_nice_19_task_at_once() -> None:
    engine = engine_of(("sleeper", nap, 120), ("background", work, 139))
    engine.run(until_ns=50_000_000)
    assert engine.world["woke_ns"] <= 5_200_000


def test_a_spinlock_holder_is_not_preempted() -> None:
    engine = engine_of(("holder", hold_a_spinlock, 139), ("waiter", work, 120))
    engine.run(until_ns=50_000_000)
    assert "waiter" not in engine.world


def test_a_realtime_task_runs_before_every_fair_one() -> None:
    engine = engine_of(("fair", work, 100), ("rt", work, 50))
    engine.run(until_ns=50_000_000)
    assert engine.world.get("fair", 0) <= 2


@step("test", cost="chunk")
def switch_irqs_off(engine, task: Task):
    """Walk page tables with interrupts off."""
    engine.irqs_off()
    return switch_irqs_on


@step("test", cost="chunk")
def switch_irqs_on(engine, task: Task):
    """Answer what came in meanwhile."""
    engine.irqs_on()
    return work


def _acknowledge(engine, cpu_id: int) -> None:
    engine.world["acked_ns"] = engine.now_ns
    engine.emit(IPI, engine.log.text("ack"), cpu_id)


def test_an_interrupt_waits_for_a_cpu_with_interrupts_off() -> None:
    engine = engine_of(("gup", switch_irqs_off, 120))
    engine.run(until_ns=10)
    engine.interrupt(engine.machine.cpus[0], 1_000, _acknowledge, 0, handler_ns=700)
    engine.run(until_ns=1_000_000)
    assert engine.world["acked_ns"] == 100_000


def test_an_interrupt_takes_its_time_from_the_running_task() -> None:
    def count(interrupts: int) -> int:
        engine = engine_of(("a", work, 120))
        engine.run(until_ns=10)
        for number in range(interrupts):
            engine.interrupt(
                engine.machine.cpus[0], number * 1_000, _acknowledge, 0, handler_ns=100_000
            )
        engine.run(until_ns=9_999_999)
        return engine.world["a"]

    assert count(0) == 100
    assert count(10) == 90


def test_switches_are_events_in_time_order() -> None:
    engine = engine_of(("a", work, 120), ("b", work, 120))
    engine.run(until_ns=20_000_000)
    times = [row[0] for row in engine.log]
    assert times == sorted(times)
    assert any(row[1] == SCHED_SWITCH for row in engine.log)


def test_equal_worlds_have_equal_fingerprints_and_one_step_changes_it() -> None:
    engine = engine_of(("a", work, 120), ("b", work, 120))
    engine.run(until_ns=1_000_000)
    twin = engine.copy()
    assert fingerprint(twin) == fingerprint(engine)
    twin.step()
    assert fingerprint(twin) != fingerprint(engine)
