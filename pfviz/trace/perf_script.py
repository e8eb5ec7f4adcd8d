"""The line grammar of `perf script`: the task's name, then its id, never a '-' between them."""

from __future__ import annotations

import re

from pfviz.trace.ftrace import Place

# The lazy name stops where the rest is exactly `TID [CPU]` or, with -F pid,tid, `PID/TID [CPU]`.
_PREFIX = re.compile(r" *(\S.{0,15}?) +(?:(\d+)/)?(\d+) +(?:\[(\d+)\] *)?")
_LINE = re.compile(r" *(\S.{0,15}?) +((?:\d+/)?\d+ +\[\d+\]) +(\d+\.\d+): +(.*)")
# With -g a stack of `ADDRESS symbol (file)` lines follows each event.
_FRAME = re.compile(r"[ \t]+[0-9a-f]{1,16} .+")


def read_place(prefix: str) -> Place | None:
    """Return who and where from what stands before the time, or None when it is not that."""
    match = _PREFIX.fullmatch(prefix)
    if match is None:
        return None
    comm, pid, tid, cpu = match.groups()
    return Place(int(cpu or 0), int(tid), comm.replace("\t", " "), int(pid or 0))


def split_line(line: str) -> tuple[str, str, str] | None:
    """Return (prefix, time, event text) of a line whose task name hides the colon, or None."""
    match = _LINE.fullmatch(line)
    return None if match is None else (f"{match[1]} {match[2]}", match[3], match[4])


def is_stack_frame(line: str) -> bool:
    """Say whether the line is a frame of the event above it, not an event."""
    return _FRAME.fullmatch(line) is not None
