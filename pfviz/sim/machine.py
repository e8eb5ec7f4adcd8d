"""Sockets, CPUs and what it costs to move a cache line between them. Knows no kernel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .task import Task

FOREVER_NS: Final = 1 << 62


@dataclass(slots=True, eq=False)
class Cpu:
    """One logical CPU: who runs, who is queued, and when the one that runs must give way."""

    id: int
    socket: int
    current: Task | None = None
    queue: list[Task] = field(default_factory=list)
    resched_ns: int = FOREVER_NS
    """From this time on the running task gives way at its next step boundary."""
    slice_end_ns: int = 0
    vruntime_min_ns: int = 0
    switches: int = 0
    free_ns: int = 0
    """An idle CPU is really free from here on: the last step of the task before may still last."""
    irqs_off: int = 0
    """Above zero the CPU answers no inter-processor interrupt."""
    pending_irqs: list[Task] = field(default_factory=list)
    """Interrupts that wait until `irqs_off` is zero again (see `Engine.interrupt`)."""
    irq_debt_ns: int = 0
    """Time that interrupt handlers took from the running task and did not charge yet."""


@dataclass(slots=True)
class Machine:
    """`sockets` x `cores` CPUs, the same on each, and named costs in nanoseconds."""

    name: str
    sockets: int
    cores_per_socket: int
    costs: Mapping[str, int]
    line_same_socket_ns: int = 60
    line_cross_socket_ns: int = 200
    slice_ns: int = 3_000_000
    wakeup_granularity_ns: int = 1_000_000
    cpus: list[Cpu] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.cpus:
            self.cpus = [
                Cpu(index, index // self.cores_per_socket)
                for index in range(self.sockets * self.cores_per_socket)
            ]

    def transfer_ns(self, from_cpu: int, to_cpu: int) -> int:
        """What one transfer of a line costs, queueing not included."""
        same = self.cpus[from_cpu].socket == self.cpus[to_cpu].socket
        return self.line_same_socket_ns if same else self.line_cross_socket_ns

    def cost_ns(self, name: str) -> int:
        """The cost called `name`; an unknown name is our mistake, not the user's."""
        return self.costs[name] if name else 0
