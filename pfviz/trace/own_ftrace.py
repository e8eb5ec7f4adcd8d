"""Reads the ftrace text that `pfviz export ftrace` writes: its `pfviz_` events hold everything.

The kernel's lines between them are for other readers and are passed over here.
"""

from __future__ import annotations

import json
import re
import struct
from itertools import chain
from typing import Any, Final

from pfviz.sim.event import ROW_BYTES, EventLog
from pfviz.trace.capture_file import LINE_CHARS_MAX, CaptureError, CaptureFile
from pfviz.trace.own_log import OwnLog

TRACER: Final = "# tracer: nop"
HEAD: Final = "# pfviz "
"""Comment lines that begin so hold the objects of the head."""
BEGIN: Final = f"{TRACER}\n{HEAD}"
"""How such a file begins."""
EVENT: Final = "pfviz_"
"""What stands before the name of an event of ours."""

NAMED: Final = "function:"
"""What stands before the name of a step's function, last in its line; only people read it."""

# Columns have fixed widths here, so that no task's name can be taken for what follows it.
_LINE: Final = re.compile(
    r".{16}-\d+ +\([ \d-]+\) \[\d+\] \S+ +(\d+)\.(\d{9}): pfviz_([\w\-]+): task=(-?\d+)(?: (.*))?"
)
_NUMBER: Final = re.compile(r"-?\d+(?= |$)")
_decode: Final = json.JSONDecoder().raw_decode


def read_own_ftrace(file: CaptureFile) -> EventLog | None:
    """Return the log that was exported; None when no event of ours is left in the file.

    CaptureError names a line that was damaged; a file that ends too early gives what is there.
    """
    own = OwnLog()
    wrong: CaptureError | None = None
    rows = 0
    for number, line in enumerate(chain.from_iterable(file.blocks(LINE_CHARS_MAX)), 1):
        if wrong is not None:
            raise wrong  # Only the last line may be half a line.
        rows = len(own.log)
        try:
            if line.startswith(HEAD):
                own.take_head(json.loads(line[len(HEAD) :]))
            elif EVENT in line and (found := _LINE.fullmatch(line)) is not None:
                _add(own, *found.groups())
        except (KeyError, TypeError, ValueError, struct.error) as error:
            reason = f"is no event of pfviz ({type(error).__name__}: {error})"
            wrong = CaptureError(file.name, number, reason)
    if wrong is not None and not (file.ends_midline and own.is_cut):
        raise wrong
    if file.ends_midline and own.is_cut:
        del own.log.rows[rows * ROW_BYTES :]  # Its last number may have lost digits.
    return own.finish() if len(own.log) or not own.rows_expected else None


def _add(own: OwnLog, seconds: str, fraction: str, name: str, task: str, args: str | None) -> None:
    payload = values((args or "").partition(f" {NAMED}")[0] if name == "step" else args or "")
    now_ns = payload.pop("ns", None)
    if now_ns is None:
        now_ns = int(seconds) * 1_000_000_000 + int(fraction)
    own.add(now_ns, name, int(task), payload)


def values(args: str) -> dict[str, Any]:
    """`key=value ...` as a dictionary: whole numbers, and JSON texts and arrays."""
    if '"' not in args and "[" not in args:
        pairs = (pair.partition("=") for pair in args.split())
        return {key: int(value) for key, _, value in pairs}
    found: dict[str, Any] = {}
    at = 0
    while at < len(args):
        key, equals, _ = args[at:].partition("=")
        if not equals:
            raise ValueError(f"{args[at:]!r} should be key=value")
        at += len(key) + 1
        number = _NUMBER.match(args, at)
        if number is not None:
            found[key], end = int(number[0]), number.end()
        else:
            found[key], end = _decode(args, at)
        at = end + 1
    return found
