"""A log as JSON Lines: first what it is, its steps and its texts, then an object per event.

Names are added to numbers (`task_name`, `lock_name`, `step_name`) for whoever filters; reading it
again (`pfviz.trace.jsonl`) does not need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pfviz.report.json import ascii_line
from pfviz.report.log_head import head_objects
from pfviz.report.names import names_of
from pfviz.report.recording import Piece, Recording
from pfviz.trace.named_rows import RowNamer, kind_name


def pieces(recording: Recording) -> Iterator[Piece]:
    """The lines of the file, some thousand events a piece."""
    log = recording.log
    yield 0, b"".join(ascii_line(one) + b"\n" for one in head_objects(log))
    names, namer = names_of(log), RowNamer(log)
    for first, rows in recording.rows():
        lines = []
        for row in rows:
            now_ns, kind, task = row[:3]
            line: dict[str, Any] = {"ns": now_ns, "event": kind_name(kind), "task": task}
            if task >= 0:
                line["task_name"] = names.task(task)
            payload = namer.payload(row)
            line |= payload
            if "lock" in payload and payload["lock"] >= 0:
                line["lock_name"] = names.lock(payload["lock"])
            if "step" in payload:
                line["step_name"] = names.step(payload["step"])
            lines.append(ascii_line(line))
        lines.append(b"")
        yield first + len(rows), b"\n".join(lines)
    unused = namer.unused_details()
    if unused:
        yield len(log), ascii_line({"unused_details": unused}) + b"\n"
