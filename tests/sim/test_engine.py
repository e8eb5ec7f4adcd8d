"""The engine owns time, order and CPUs."""

from pfviz.sim.engine import Engine
from pfviz.sim.event import FIELDS, STEP
from pfviz.sim.machine import Machine
from pfviz.sim.picker import Recorded, Replayed, Seeded
from pfviz.sim.rng import Rng
from pfviz.sim.task import Task, step

COSTS = {"context_switch": 100, "wake": 1000, "tick": 10}


@step("test", cost="tick")
def tick(engine: Engine[list[str]], task: Task):
    """Count once and go on."""
    engine.world.append(task.name)
    if engine.world.count(task.name) == 3:
        engine.end()
        return None
    return tick


def engine_of(tasks: int, cpus: int, picker=None) -> Engine[list[str]]:
    machine = Machine("test", 1, cpus, COSTS)
    engine: Engine[list[str]] = Engine([], machine, picker)
    for index in range(tasks):
        engine.start(Task(index, f"t{index}", tick, machine.cpus[index % cpus]))
    return engine


def test_steps_of_equal_tasks_alternate() -> None:
    engine = engine_of(2, 2)
    engine.run()
    assert engine.world == ["t0", "t1", "t0", "t1", "t0", "t1"]
    assert engine.now_ns == 100 + 2 * 10


def test_one_cpu_runs_one_task_after_the_other_with_a_switch_between() -> None:
    engine = engine_of(2, 1)
    engine.run()
    assert engine.world == ["t0"] * 3 + ["t1"] * 3
    assert engine.now_ns == 100 + 30 + 100 + 20


def test_the_same_seed_gives_the_same_digest_and_another_does_not() -> None:
    def digest(seed: int) -> str:
        engine = engine_of(4, 4, Seeded(Rng(seed)))
        engine.run()
        return engine.log.digest()

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)


def test_recorded_choices_replay_to_the_same_events() -> None:
    recorder = Recorded(Seeded(Rng(7)))
    first = engine_of(4, 4, recorder)
    first.run()
    again = engine_of(4, 4, Replayed(tuple(recorder.choices)))
    again.run()
    assert first.log.digest() == again.log.digest()


def test_a_copy_goes_on_like_the_original() -> None:
    engine = engine_of(3, 2, Seeded(Rng(3)))
    engine.run(steps_max=4)
    twin = engine.copy(with_log=True)
    engine.run()
    twin.run()
    assert twin.world == engine.world
    assert twin.log.digest() == engine.log.digest()


def test_every_step_is_an_event() -> None:
    engine = engine_of(2, 2)
    engine.run()
    rows = [row for row in engine.log if row[1] == STEP]
    assert len(rows) == engine.steps == 6
    assert engine.log.describe(rows[0]).startswith("100 step task=0 step=")


def test_kinds_have_distinct_names() -> None:
    names = [name for name, _ in FIELDS.values()]
    assert len(set(names)) == len(names)


class Listener:
    """A watch that only listens."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def asked(self, engine: object, task: Task, lock: object, mode: int) -> None: ...

    def took(self, engine: object, task: Task, lock: object, mode: int) -> None: ...

    def gave(self, engine: object, task: Task, lock: object, mode: int) -> None: ...

    def downgraded(self, engine: object, task: Task, lock: object) -> None: ...

    def counted(self, engine: object, sequence: object) -> None: ...

    def slept(self, engine: object, task: Task) -> None:
        self.told.append(f"{task.name} {task.state} {task.asleep_why}")


@step("test", cost="tick")
def doze(engine: Engine[list[str]], task: Task):
    """Go to sleep."""
    engine.sleep(tick, "tired")


def test_a_watch_is_told_who_sleeps_and_the_layer_above_who_runs_where() -> None:
    machine = Machine("test", 1, 1, COSTS)
    engine: Engine[list[str]] = Engine([], machine)
    ran: list[str] = []
    engine.watch = listener = Listener()
    engine.on_switch = lambda _engine, cpu, task: ran.append(f"{task.name} on {cpu.id}")
    for index, first in enumerate((doze, tick)):
        engine.start(Task(index, f"t{index}", first, machine.cpus[0]))
    engine.run()
    assert listener.told == ["t0 sleeping tired"]
    assert ran == ["t0 on 0", "t1 on 0"]
