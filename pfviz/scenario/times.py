"""Times as people write them, and nanoseconds as the engine counts them."""

from __future__ import annotations

import re
from typing import Final

PATTERN: Final = r"^[0-9][0-9_]*(\.[0-9]+)? ?(ns|us|µs|ms|s)$"
_UNITS: Final = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIME: Final = re.compile(r"([0-9][0-9_]*)(?:\.([0-9]+))? ?(ns|us|µs|ms|s)")


def nanoseconds(text: str) -> int:
    """The whole number of nanoseconds in "20us", "1.5 ms", "3s"; ValueError for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f'not a time: "{text}" (write it with a unit: "20us", "1.5ms", "3s")')
    whole, fraction, unit = match.groups()
    ns = int(whole.replace("_", "")) * _UNITS[unit]
    if fraction:
        ns += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
    return ns
