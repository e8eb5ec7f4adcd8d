"""Opens whatever holds events: a capture of a kernel, or a log that pfviz wrote as text.

It looks at how the file begins; what the lines mean, others know.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from pfviz.sim.event import EventLog
from pfviz.sim.told import Told, nobody
from pfviz.trace import jsonl, own_ftrace
from pfviz.trace.capture_file import CaptureError, CaptureFile
from pfviz.trace.infer import infer_log


def read_log(
    path: str | Path, maps: str | Path | None = None, told: Told = nobody
) -> EventLog:  # fmt: skip
    """The log of a capture, an exported run, or standard input ("-").

    `maps` is as for `infer_log`; `told` hears how much of the file has been read.
    Raises CaptureError for files that cannot be used.
    """
    file = CaptureFile(path, told)
    if file.begin.startswith(jsonl.BEGIN.encode()):
        return jsonl.read_jsonl(file)
    if _is_own_ftrace(file.begin):
        log = own_ftrace.read_own_ftrace(file)
        if log is not None:
            return log
        if str(path) == "-":
            reason = f"no pfviz event is left; take the lines with {own_ftrace.HEAD.strip()!r} out"
            raise CaptureError(file.name, 0, reason)
        file = CaptureFile(path)  # Somebody left only the kernel's lines.
    return infer_log(path, maps, file)


def recorded_log(path: str | Path, told: Told = nobody) -> EventLog | None:
    """The log that pfviz exported to a file; None when the file holds kernel lines to count.

    Those of an exported capture are the capture's own. Standard input is left as it was then.
    """
    if str(path) == "-":
        stream = sys.stdin.buffer
        begin = stream.peek(_LOOK_BYTES) if hasattr(stream, "peek") else b""
    else:
        begin = CaptureFile(path).begin
    of_capture = b'"front_end":' in begin[:_LOOK_BYTES]
    if begin.startswith(jsonl.BEGIN.encode()) or (_is_own_ftrace(begin) and not of_capture):
        log = read_log(path, told=told)
        return None if "front_end" in log.meta and not of_capture else log
    return None


def _is_own_ftrace(begin: bytes) -> bool:
    return begin.startswith(own_ftrace.BEGIN.encode())


_LOOK_BYTES: Final = 4096
