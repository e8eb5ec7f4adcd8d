"""Reads pfviz's own JSON Lines again: the same rows, texts, details and steps that were written.

A line that is not as it was written ends the reading with the line's number.
"""

from __future__ import annotations

import struct
from itertools import chain
from typing import Final

import msgspec

from pfviz.sim.event import EventLog
from pfviz.trace.capture_file import LINE_CHARS_MAX, CaptureError, CaptureFile
from pfviz.trace.own_log import OwnLog

BEGIN: Final = '{"pfviz":'
"""How the first line of such a file begins."""


def read_jsonl(file: CaptureFile) -> EventLog:
    """Return the log that the file holds; CaptureError names the line that is damaged.

    A file that ends too early gives what is there, and a loss in the log.
    """
    own = OwnLog()
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(chain.from_iterable(file.blocks(LINE_CHARS_MAX)), 1):
        if not line.strip():
            continue
        try:
            value = decode(line)
            if "event" in value:
                own.add(value["ns"], value["event"], value["task"], value)
            else:
                own.take_head(value)
        except msgspec.DecodeError:
            if number > 1 and own.is_cut:
                break  # A file that was cut off ends in the middle of a line.
            raise CaptureError(file.name, number, "is no JSON") from None
        except (KeyError, TypeError, ValueError, struct.error) as error:
            reason = f"is no event of pfviz ({type(error).__name__}: {error})"
            raise CaptureError(file.name, number, reason) from None
    return own.finish()
