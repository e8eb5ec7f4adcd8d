"""Reads pfviz's own JSON Lines again: the same rows, texts, details and steps that were written.

A line that is not as it was written ends the reading with the line's number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pfviz.sim.event import EventLog, StepInfo
from pfviz.trace.capture_file import CaptureError
from pfviz.trace.named_rows import RowReader, kind_of

SCHEMA: Final = "events/1"
BEGIN: Final = '{"pfviz":'
"""How the first line of such a file begins."""


def read_jsonl(lines: Iterable[str], source: str) -> EventLog:
    """Return the log that the lines hold; CaptureError names the line that is damaged.

    A file that ends too early gives what is there, and a loss in the log.
    """
    log = EventLog()
    reader = RowReader(log)
    expected = 0
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = decode(line)
            if "event" in value:
                reader.add(value["ns"], kind_of(value["event"]), value["task"], value)
            else:
                expected = _take_head(reader, value, expected)
        except msgspec.DecodeError:
            if number > 1 and len(log) < expected:
                break  # A file that was cut off ends in the middle of a line.
            raise CaptureError(source, number, "is no JSON") from None
        except (KeyError, TypeError, ValueError, struct.error) as error:
            reason = f"is no event of pfviz ({type(error).__name__}: {error})"
            raise CaptureError(source, number, reason) from None
    log = reader.finish()
    if len(log) < expected:
        note_cut(log, expected)
    return log


def note_cut(log: EventLog, expected: int) -> None:
    """Say in the log that it ends too early: so many rows were written."""
    from pfviz.sim.event import LOSS, NOBODY

    missing = expected - len(log)
    last_ns = log.row(len(log) - 1)[0] if len(log) else 0
    text = f"the file ends here: {missing} of {expected} events are missing"
    log.append(last_ns, LOSS, NOBODY, -1, missing, log.text(text))
    log.meta |= {"lossy": "yes", "losses": text}


def _take_head(reader: RowReader, value: dict[str, Any], expected: int) -> int:
    """Take a line that is no event; the number of rows that are to come."""
    log = reader.log
    if "pfviz" in value:
        if value["pfviz"] != SCHEMA:
            raise ValueError(f"{value['pfviz']!r} is not {SCHEMA}, which this pfviz reads")
        log.meta.update(value["meta"])
        return int(value["rows"])
    if "step_number" in value:
        del value["step_number"]
        log.steps.append(StepInfo(**value))
    elif "texts" in value:
        for text in value["texts"]:
            log.text(text)
    elif "unused_details" in value:
        for number, detail in value["unused_details"]:
            reader.put_detail(number, detail)
    else:
        raise KeyError("event")
    return expected
