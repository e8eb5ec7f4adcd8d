"""Which release of a lock let which acquisition through: the arrows between two threads."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pfviz.report.names import Names
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog


@dataclass(slots=True)
class Flows:
    """Arrows by the number of the row at which they begin or end; ids count from 1."""

    out: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Row of a release or downgrade -> the acquisitions that it let through."""
    into: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Row of an acquisition -> the one arrow that ends there."""


_WAIT_BEGINS = (ev.CONTENTION_BEGIN, ev.SPIN_BEGIN)
_GIVES = (ev.LOCK_RELEASED, ev.LOCK_DOWNGRADED)


def flows_of(log: EventLog, names: Names) -> Flows:
    """Find the arrows of a log.

    Whoever waited for a lock (in its queue, spinning, or asleep for the readers of a VMA lock) was
    let through by the last release or downgrade before it got the lock, if that came after it had
    begun to wait.
    """
    table = np.frombuffer(bytes(log.rows), dtype="<i8").reshape(-1, 7)
    kinds = table[:, 1]
    wanted = np.isin(kinds, (*_WAIT_BEGINS, *_GIVES, ev.LOCK_ACQUIRED, ev.LOCK_FAILED, ev.SLEEP))
    waits: dict[tuple[int, int], int] = {}
    given: dict[int, int] = {}
    flows = Flows()
    number = 0
    where = np.flatnonzero(wanted).tolist()
    for row, (_, kind, task, lock, b, *_) in zip(where, table[wanted].tolist(), strict=True):
        if kind in _WAIT_BEGINS:
            waits.setdefault((lock, task), row)
        elif kind in _GIVES:
            given[lock] = row
        elif kind == ev.SLEEP:
            if b >= 0 and names.lock_kind(b) == "vma_lock":
                waits.setdefault((b, task), row)
        else:
            began = waits.pop((lock, task), None)
            gave = given.get(lock, -1)
            if kind == ev.LOCK_ACQUIRED and began is not None and gave > began:
                number += 1
                flows.out[gave] = (*flows.out.get(gave, ()), number)
                flows.into[row] = (number,)
    return flows
