"""The line grammar of the kernel's own trace files and of `trace-cmd report`.

Splits a line into who, where, when and what; what an event's arguments mean is in fields.py.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Place(NamedTuple):
    """Who an event happened to: what stands in a line before its time; `tgid` 0 when unknown."""

    cpu: int
    tid: int
    comm: str
    tgid: int


# A task name may hold blanks, ':' and '-': the greedy 16 characters find the *last* '-' that a PID
# and a column follow (TASK_COMM_LEN is 16, trace_print_context pads to it).
_TASK = r" *(.{1,16})-(\d+) +(?:\( *(\d+|-+)\) +)?"
# `[000]`, then 4 to 8 flag characters or none; `trace-cmd report -l` glues them: `0d..2.`.
_CPU = r"(?:\[(\d+)\](?: +[^\s\[\]]+)?|(\d+)[^\d\s]\S*)"
_STAMP = r"(\d+(?:\.\d+)?)"
# trace-cmd puts a buffer's name and a colon first when it reads more than one.
_INSTANCE = r"(?:[\w.\-]+: +)?"

_PREFIX = re.compile(f"{_INSTANCE}{_TASK}{_CPU} *")
_LINE = re.compile(f"({_INSTANCE}{_TASK}{_CPU} +){_STAMP}: +(.*)")
_EVENT = re.compile(r" *(?:[\w\-]+:)?([A-Za-z_][\w.\-]*):?")

# The recorder's own text: `echo note > trace_marker`; trace-cmd calls it print.
MARKER = "tracing_mark_write"
_SAME_EVENT = {"print": MARKER, "bprint": "trace_printk", "bputs": "trace_printk"}


def read_place(prefix: str) -> Place | None:
    """Return who and where from what stands before the time, or None when it is not that."""
    match = _PREFIX.fullmatch(prefix)
    if match is None:
        return None
    comm, tid, tgid, cpu, glued_cpu = match.groups()
    known = tgid is not None and tgid.isdigit()
    comm = comm.strip().replace("\t", " ")
    return Place(int(cpu or glued_cpu), int(tid), comm, int(tgid) if known else 0)


def split_line(line: str) -> tuple[str, str, str] | None:
    """Return (prefix, time, event text) of a line of any shape, or None; the slow way."""
    match = _LINE.fullmatch(line)
    return None if match is None else (match[1].rstrip(), match[7], match[8])


def split_event(text: str) -> tuple[str, str]:
    """Return (event name, argument text); a system call gets the name of its event.

    The kernel prints `sys_mmap(addr: 0, ...)` and `sys_mmap -> 0x7f...` without an event name;
    front ends print `sys_enter_mmap: addr: ...`. Text of no event at all is named "(text)".
    """
    if text.startswith("sys_"):
        call, arrow, returned = text.partition(" -> ")
        if arrow and call.isidentifier():
            return "sys_exit_" + call[4:], returned
        call, paren, args = text.partition("(")
        if paren and call.isidentifier():
            return "sys_enter_" + call[4:], args.removesuffix(")")
    raw, _, args = text.partition(": ")
    name = event_name(raw)
    if name is None:
        # The function tracer prints `callee <-caller`, without a colon.
        return ("function" if " <-" in text else "(text)"), text
    return name, args.lstrip()


def event_name(raw: str) -> str | None:
    """Return the event's bare name: no padding, no `system:` in front; None when it is no name."""
    match = _EVENT.fullmatch(raw)
    return None if match is None else _SAME_EVENT.get(match[1], match[1])
