"""Machines as data: sockets, cores and what a cache line costs to move.

Round figures of machines one meets; costs of steps come from `pfviz.mm.costs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pfviz.scenario.errors import hint
from pfviz.sim.machine import Machine

CPUS_MAX: Final = 1024
_SIZE: Final = re.compile(r"([0-9]{1,4})x([0-9]{1,4})")


@dataclass(frozen=True, slots=True)
class MachineKind:
    """A machine one can name in a scenario."""

    title: str
    sockets: int
    cores_per_socket: int
    line_same_socket_ns: int = 60
    line_cross_socket_ns: int = 200


MACHINES: Final[dict[str, MachineKind]] = {
    "single": MachineKind("one CPU: everybody takes turns", 1, 1),
    "duo": MachineKind("two CPUs", 1, 2),
    "demo": MachineKind("four CPUs, few enough to watch", 1, 4),
    "laptop": MachineKind("eight CPUs on one chip", 1, 8, 40),
    "server": MachineKind("two sockets of 16 CPUs", 2, 16),
    "server-2x28": MachineKind("two sockets of 28 CPUs (as in published pft runs)", 2, 28),
    "server-4x24": MachineKind("four sockets of 24 CPUs", 4, 24, 60, 280),
}


def machine_kind(name: str) -> MachineKind:
    """The machine called `name`, or one of a size such as "2x16"; ValueError with a hint."""
    if name in MACHINES:
        return MACHINES[name]
    size = _SIZE.fullmatch(name)
    if size is not None:
        sockets, cores = int(size[1]), int(size[2])
        if 1 <= sockets * cores <= CPUS_MAX:
            return MachineKind(f"{sockets} sockets of {cores} CPUs", sockets, cores)
        raise ValueError(f'machine "{name}" has no CPU or more than {CPUS_MAX}')
    raise ValueError(
        f'machine "{name}" is not known here{hint(name, MACHINES)} (or a size such as 2x16)'
    )


def machine_named(name: str, costs: Mapping[str, int]) -> Machine:
    """A fresh machine with idle CPUs."""
    kind = machine_kind(name)
    return Machine(
        name, kind.sockets, kind.cores_per_socket, costs,
        kind.line_same_socket_ns, kind.line_cross_socket_ns,
    )  # fmt: skip
