"""Faults and operations of a log, a row each: when, whose, what it waited for, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.report.measure import REGIMES
from pfviz.report.recording import Recording
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, Row, unsigned

Pieces = Iterator[tuple[int, list[list[Any]]]]

_WRITE, _USER, _EXEC = 2, 4, 0x10
"""Bits of an x86 page fault's error code."""
MAJOR, ERROR, RETRIED, INFERRED = 1, 2, 4, 8
"""Bits of `fault_end.flags`."""


def access_of(error_code: int) -> str:
    """What the fault was about, by its error code."""
    return "exec" if error_code & _EXEC else "write" if error_code & _WRITE else "read"


@dataclass(slots=True)
class _Open:
    """A fault or an operation that has not ended."""

    row: Row
    attempts: int = 0
    causes: list[str] = field(default_factory=list)
    wait_ns: int = 0
    io_ns: int = 0
    faults: int = 0


_Cells = Callable[[EventLog, int, _Open, Row], list[Any]]


def fault_rows(recording: Recording) -> Pieces:
    """The faults that ended: cells of the faults table without the thread's name."""
    return _ended(recording, ev.FAULT_BEGIN, ev.FAULT_END, _fault)


def operation_rows(recording: Recording) -> Pieces:
    """The operations that ended: cells of the operations table without the thread's name."""
    return _ended(recording, ev.OP_BEGIN, ev.OP_END, _operation)


def _ended(recording: Recording, begin: int, end: int, cells: _Cells) -> Pieces:
    """A row for each end whose begin is there, with what happened between them."""
    log = recording.log
    opened: dict[int, _Open] = {}
    number = 0
    for first, rows in recording.rows():
        found = []
        for row in rows:
            kind, task = row[1], row[2]
            if kind == begin:
                opened[task] = _Open(row)
            elif (one := opened.get(task)) is None:
                continue
            elif kind == end:
                del opened[task]
                found.append(cells(log, number, one, row))
                number += 1
            else:
                _note(log, one, row)
        yield first + len(rows), found


def _note(log: EventLog, one: _Open, row: Row) -> None:
    """Take what happened inside a fault or an operation."""
    kind = row[1]
    if kind == ev.FAULT_PATH:
        one.attempts += 1
    elif kind == ev.FAULT_FALLBACK:
        one.causes.append(log.texts[row[3]])
    elif kind in WAITED:
        one.wait_ns += max(row[5], 0)
    elif kind == ev.IO_END:
        one.io_ns += max(row[6], 0)
    elif kind == ev.FAULT_END:
        one.faults += 1


WAITED: Final = (ev.CONTENTION_END, ev.SPIN_END)
"""Events whose third payload field is how long somebody waited for a lock."""


def _fault(log: EventLog, number: int, fault: _Open, end: Row) -> list[Any]:
    begin_ns, _, task, address, error_code, _, mm = fault.row
    end_ns, _, _, kind, latency_ns, regime, flags = end
    return [
        number, begin_ns, end_ns, task, mm, unsigned(address), access_of(error_code),
        not error_code & _USER, log.texts[kind],
        REGIMES[regime] if 0 <= regime < len(REGIMES) else "", latency_ns,
        max(fault.attempts, 1), "; ".join(fault.causes), fault.wait_ns, fault.io_ns,
        *(bool(flags & bit) for bit in (MAJOR, ERROR, RETRIED, INFERRED)),
    ]  # fmt: skip


def _operation(log: EventLog, number: int, operation: _Open, end: Row) -> list[Any]:
    begin_ns, _, task, text, address, length, _ = operation.row
    end_ns, _, _, _, latency_ns, result, _ = end
    return [
        number, begin_ns, end_ns, task, log.texts[text], unsigned(address), length, result,
        latency_ns, operation.faults, operation.wait_ns,
    ]  # fmt: skip
