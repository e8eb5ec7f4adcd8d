"""A simulated thread (or device, or timer) and the steps it runs.

A step is a module-level function of (engine, task) that does one indivisible thing and returns
the next step, or None after `engine.sleep` or `engine.end`. What it must remember is a field of its
task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from .machine import Cpu

# Steps of different layers take richer engines and tasks; the chain itself does not care.
Step = Callable[[Any, Any], Any]
S = TypeVar("S", bound=Step)

NEW: Final = "new"
RUNNING: Final = "running"
QUEUED: Final = "queued"
SPINNING: Final = "spinning"
SLEEPING: Final = "sleeping"
WAKING: Final = "waking"
DONE: Final = "done"


@dataclass(slots=True, eq=False)
class Task:
    """Anything that takes steps. A task without a CPU (a timer, a disk) is never preempted."""

    id: int
    name: str
    step: Step | None = None
    cpu: Cpu | None = None
    prio: int = 120
    """The kernel's static priority: 100..139 is nice -20..19; below 100 is real-time."""
    state: str = NEW
    returns: list[Step] = field(default_factory=list)
    """Where `back` goes: the return addresses of step chains entered by `call`."""
    group: int = 0
    """What it belongs to, for viewers: the id of its address space, 0 for none."""
    preempt_count: int = 0
    """Above zero (spinlock held, interrupts off) the scheduler leaves the task alone."""
    vruntime_ns: int = 0
    running_since_ns: int = 0
    asleep_why: str = ""
    started_ns: int = 0
    waiting: Any = None
    """What the slow path of the lock that this task waits for must remember."""

    def call(self, chain: Step, then: Step) -> Step:
        """Enter a chain of steps that ends with `back`; go on with `then` afterwards."""
        self.returns.append(then)
        return chain

    def back(self) -> Step:
        """Leave the current chain: the step to go on with."""
        return self.returns.pop()


@dataclass(slots=True, eq=False)
class Alarm(Task):
    """A one-shot device event: calls `ring(engine, subject)` when due. It charges no CPU."""

    ring: Callable[[Any, Any], None] | None = None
    subject: Any = None


def step(source: str, cost: str = "", function: str = "") -> Callable[[S], S]:
    """Declare a step: kernel file (and versions) it stands in, the name of its cost, its function.

    `function` is given only where one kernel function is several steps; it defaults to the step's
    own name. The docstring is the sentence that the narrator says.
    """

    def declare(plain: S) -> S:
        assert plain.__doc__, f"step {plain.__name__} has no sentence"
        plain.source = source  # type: ignore[attr-defined]
        plain.cost = cost  # type: ignore[attr-defined]
        plain.function = function or plain.__name__  # type: ignore[attr-defined]
        return plain

    return declare
