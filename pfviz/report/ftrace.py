"""A log as the text of the kernel's own tracer: what the kernel would print, and all the rest.

What a kernel traces stands in the kernel's words (`kernel_lines`); each event stands besides as a
`pfviz_` event with its whole payload, from which pfviz reads the log again without loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pfviz.report.json import ascii_line
from pfviz.report.kernel_lines import KernelLines
from pfviz.report.log_head import head_objects
from pfviz.report.names import names_of
from pfviz.report.recording import Piece, Recording
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, Row
from pfviz.trace.named_rows import RowNamer, kind_name
from pfviz.trace.own_ftrace import EVENT, HEAD, NAMED, TRACER

_COLUMNS: Final = """\
#
#                                          _-----=> irqs-off/BH-disabled
#                                         / _----=> need-resched
#                                        | / _---=> hardirq/softirq
#                                        || / _--=> preempt-depth
#                                        ||| / _-=> migrate-disable
#                                        |||| /     delay
#           TASK-PID       TGID    CPU#  |||||  TIMESTAMP  FUNCTION
#              | |           |       |   |||||     |         |
"""


def pieces(recording: Recording) -> Iterator[Piece]:
    """The lines of the file, some thousand events a piece."""
    log = recording.log
    head = [f"{HEAD}{ascii_line(one).decode()}\n" for one in head_objects(log)]
    yield 0, "".join((f"{TRACER}\n", *head, _COLUMNS)).encode()
    writer = _Writer(log)
    for first, rows in recording.rows():
        lines: list[str] = []
        for row in rows:
            writer.write(row, lines)
        lines.append("")
        yield first + len(rows), "\n".join(lines).encode()
    unused = writer.namer.unused_details()
    if unused:
        said = ascii_line({"unused_details": unused}).decode()
        yield len(log), f"{HEAD}{said}\n".encode()


class _Writer:
    """Lines of one log, in order."""

    def __init__(self, log: EventLog) -> None:
        self.namer = RowNamer(log)
        self._names = names_of(log)
        self._kernel = KernelLines(log, self._names)
        self._texts: dict[str, str] = {}

    def write(self, row: Row, lines: list[str]) -> None:
        """Add the lines of one event."""
        now_ns, kind, task = row[:3]
        seconds, fraction = divmod(max(now_ns, 0), 1_000_000_000)
        stamp = f"{seconds:5}.{fraction:09}"
        kernel = self._kernel
        kernel.note(row)
        for who, text in kernel.lines(row):
            lines.append(f"{kernel.place(who)} {stamp}: {text}")
        if kind == ev.LOSS and row[3] >= 0 and row[4] > 0:
            lines.append(f"CPU:{row[3]} [LOST {row[4]} EVENTS]")
        args = [f"task={task}"]
        if now_ns < 0:
            args.append(f"ns={now_ns}")
        for key, value in self.namer.payload(row).items():
            args.append(f"{key}={value if type(value) is int else self._quoted(value)}")
        if kind == ev.STEP:
            args.append(f"{NAMED}{self._names.step(row[3])}")
        name = f"{EVENT}{kind_name(kind)}"
        lines.append(f"{kernel.place(task)} {stamp}: {name}: {' '.join(args)}")

    def _quoted(self, value: object) -> str:
        """A text or a detail as JSON; texts are few and repeat."""
        if not isinstance(value, str):
            return ascii_line(value).decode()
        found = self._texts.get(value)
        if found is None:
            found = self._texts[value] = ascii_line(value).decode()
        return found
