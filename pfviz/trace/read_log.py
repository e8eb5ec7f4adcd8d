"""Opens whatever holds events: a capture of a kernel, or a log that pfviz wrote as text.

It looks at how the file begins; what the lines mean, others know.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Final

from pfviz.sim.event import EventLog
from pfviz.sim.told import Told, nobody
from pfviz.trace import jsonl
from pfviz.trace.capture_file import CaptureFile
from pfviz.trace.infer import infer_log

_LINE_CHARS_MAX: Final = 1 << 26
"""A line of JSON may hold every text of a log."""


def read_log(
    path: str | Path, maps: str | Path | None = None, told: Told = nobody
) -> EventLog:  # fmt: skip
    """The log of a capture, an exported run, or standard input ("-").

    `maps` is as for `infer_log`; `told` hears how much of the file has been read.
    Raises CaptureError for files that cannot be used.
    """
    file = CaptureFile(path, told)
    if file.begin.startswith(jsonl.BEGIN.encode()):
        lines = chain.from_iterable(file.blocks(_LINE_CHARS_MAX))
        return jsonl.read_jsonl(lines, file.name)
    return infer_log(path, maps, file)
