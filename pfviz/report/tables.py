"""A log as tables with typed columns: events, faults, locks, operations. Names stand for numbers.

Rows come as they are read; how a cell is written is the business of each file format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pfviz.report.fault_table import fault_rows, operation_rows
from pfviz.report.json import ascii_line
from pfviz.report.measure import REGIMES
from pfviz.report.names import Names, names_of
from pfviz.report.recording import Recording
from pfviz.sim.event import FIELDS, MODES, EventLog, Row, unsigned
from pfviz.stats.lock_stats import count_locks
from pfviz.trace.named_rows import SHAPES, kind_name

INT: Final = "int"
ADDRESS: Final = "address"
TEXT: Final = "text"
FLAG: Final = "flag"

Cells = list[Any]
"""One row: int, str, bool or None (no value) for each column."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, which ends in its unit, and its type."""

    name: str
    type: str = INT


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows in pieces: (how many events are behind them, the rows)."""

    columns: tuple[Column, ...]
    pieces: Iterator[tuple[int, list[Cells]]]


def events(recording: Recording) -> Table:
    """A row per event; a column for every field that some event of this log has."""
    log = recording.log
    kinds = {row[1] for _, rows in recording.rows() for row in rows}
    places: dict[str, int] = {column.name: n for n, column in enumerate(_EVENT_BEGIN)}
    columns = list(_EVENT_BEGIN)
    fillers: dict[int, list[_Filler]] = {}
    names = names_of(log)
    for kind in sorted(kinds):
        fillers[kind] = []
        for position, (field, way) in enumerate(SHAPES.get(kind, ()), 3):
            if position - 3 >= len(FIELDS[kind][1]) or not FIELDS[kind][1][position - 3]:
                continue
            for column, read in _columns_of(field, way, names):
                if column.name not in places:
                    places[column.name] = len(columns)
                    columns.append(column)
                fillers[kind].append((places[column.name], position, read))
    return Table(tuple(columns), _event_rows(recording, names, fillers, len(columns)))


_EVENT_BEGIN: Final = (
    Column("number"), Column("time_ns"), Column("event", TEXT), Column("task"),
    Column("thread", TEXT),
)  # fmt: skip
_Read = Callable[[int], Any]
_Filler = tuple[int, int, _Read]
"""Which cell, which value of the row, how it is read."""


def _event_rows(
    recording: Recording, names: Names, fillers: dict[int, list[_Filler]], width: int
) -> Iterator[tuple[int, list[Cells]]]:
    for first, rows in recording.rows():
        table = []
        for number, row in enumerate(rows, first):
            table.append(_event_cells(number, row, names, fillers[row[1]], width))
        yield first + len(rows), table


def _event_cells(
    number: int, row: Row, names: Names, fillers: list[_Filler], width: int
) -> Cells:  # fmt: skip
    cells: Cells = [None] * width
    task = row[2]
    cells[:5] = number, row[0], kind_name(row[1]), task, names.task(task)
    for place, position, read in fillers:
        cells[place] = read(row[position])
    return cells


def _columns_of(field: str, way: int, names: Names) -> list[tuple[Column, _Read]]:
    """The columns that a field of an event fills."""
    log = names.log
    if way == 1:
        return [(Column(field, TEXT), _text_of(log))]
    if way == 2:
        return [(Column(field, TEXT), _detail_of(log))]
    match field:
        case "lock":
            return [(Column("lock"), int), (Column("lock_name", TEXT), names.lock)]
        case "step":
            return [(Column("step", TEXT), names.step)]
        case "mode":
            return [(Column("mode", TEXT), lambda value: word(MODES, value))]
        case "regime" | "from_regime" | "to_regime":
            return [(Column(field, TEXT), lambda value: word(REGIMES, value))]
        case "address":
            return [(Column("address", ADDRESS), unsigned)]
        case "length":
            return [(Column("length_bytes"), int)]
        case "next_task" | "waker_task" | "owner_task":
            whose = field.removesuffix("_task")
            return [(Column(field), int), (Column(f"{whose}_thread", TEXT), names.task)]
    return [(Column(field), int)]


def _text_of(log: EventLog) -> _Read:
    return lambda value: log.texts[value] if 0 <= value < len(log.texts) else ""


def _detail_of(log: EventLog) -> _Read:
    def read(value: int) -> str:
        known = 0 <= value < len(log.details)
        return ascii_line(log.details[value]).decode() if known else ""

    return read


def word(words: tuple[str, ...], value: int) -> str:
    """The word for a number; "" where there is none (captures do not know all)."""
    return words[value] if 0 <= value < len(words) else ""


def faults(recording: Recording) -> Table:
    """A row per page fault that ended, in the order of their ends."""
    names = names_of(recording.log)
    return Table(_columns(_FAULT), _named(fault_rows(recording), names))


def operations(recording: Recording) -> Table:
    """A row per operation or system call that ended, in the order of their ends."""
    names = names_of(recording.log)
    return Table(_columns(_OPERATION), _named(operation_rows(recording), names))


def _named(
    pieces: Iterator[tuple[int, list[Cells]]], names: Names
) -> Iterator[tuple[int, list[Cells]]]:
    """Put the thread's name behind its number."""
    for done, rows in pieces:
        yield done, [[*row[:4], names.task(row[3]), *row[4:]] for row in rows]


def locks(recording: Recording) -> Table:
    """A row per lock that was used; ranks are by nearest rank."""
    return Table(_columns(_LOCK), iter([(len(recording.log), list(_lock_rows(recording)))]))


def _lock_rows(recording: Recording) -> Iterator[Cells]:
    names = names_of(recording.log)
    for number, stats in count_locks(recording.log).items():
        row = stats.to_json()
        if not (row["reads"] or row["writes"] or row["trylock_failed"] or row["contended"]):
            continue
        ranks = [row[what][rank] for what in ("wait_ns", "hold_ns") for rank in _RANKS]
        yield [
            number, names.lock(number), row["kind"], row["reads"], row["writes"],
            row["contended"], row["trylock_failed"], row["waiters_max"], *ranks,
        ]  # fmt: skip


_RANKS: Final = ("p50", "p99", "max", "total")
_FAULT: Final = (
    "number", "begin_ns", "end_ns", "task", "thread:text", "mm", "address:address", "access:text",
    "from_kernel:flag", "kind:text", "lock:text", "latency_ns", "attempts", "fallbacks:text",
    "lock_wait_ns", "io_wait_ns", "major:flag", "error:flag", "retried:flag", "end_inferred:flag",
)  # fmt: skip
_OPERATION: Final = (
    "number", "begin_ns", "end_ns", "task", "thread:text", "operation:text", "address:address",
    "length_bytes", "result", "latency_ns", "faults", "lock_wait_ns",
)  # fmt: skip
_LOCK: Final = (
    "lock", "name:text", "kind:text", "reads", "writes", "contended", "trylock_failed",
    "waiters_max", *(f"{what}_ns_{rank}" for what in ("wait", "hold") for rank in _RANKS),
)  # fmt: skip


def _columns(names: tuple[str, ...]) -> tuple[Column, ...]:
    found = []
    for name in names:
        text, _, kind = name.partition(":")
        found.append(Column(text, kind or INT))
    return tuple(found)


TABLES: Final[dict[str, Callable[[Recording], Table]]] = {
    "events": events,
    "faults": faults,
    "locks": locks,
    "operations": operations,
}
