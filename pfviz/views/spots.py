"""A place in a run as a person writes it: `412`, `12.4us`, `50%`, `cue 2`, `end`.

Read here once, for the prompt of the lab and for the options of exports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pfviz.scenario.errors import hint
from pfviz.scenario.times import nanoseconds

from .timeline import CUE, EVENT, FAULT, HANDOVER, OPERATION, STEP

TIME: Final = "time"
SHARE: Final = "share"
MARK: Final = "mark"
START: Final = "start"
END: Final = "end"
PLAIN_NUMBER: Final = "number"
"""A number alone: of the unit that the run is stepped through by."""

GRAINS: Final = {
    "step": STEP, "event": EVENT, "e": EVENT, "fault": FAULT, "op": OPERATION,
    "operation": OPERATION, "hand-over": HANDOVER, "handover": HANDOVER, CUE: CUE, MARK: MARK,
}  # fmt: skip
COUNTED: Final = re.compile(r"([a-z-]+)\s*([0-9][0-9_,]*)")


@dataclass(frozen=True, slots=True)
class Spot:
    """What was written: a kind of place, and its number (ns of a time, thousandths of a share)."""

    kind: str
    number: int = 0
    words: str = ""


def parse_spot(text: str) -> Spot:
    """The place that the text names.

    Raises:
        ValueError: it names no place.
    """
    words = text.strip().lower()
    if words in (START, END):
        return Spot(words, 0, words)
    if words.endswith("%"):
        return _share(words)
    plain = words.replace(",", "").replace("_", "")
    if plain.isdigit():
        return Spot(PLAIN_NUMBER, int(plain), words)
    match = COUNTED.fullmatch(words)
    if match is None:
        return Spot(TIME, nanoseconds(words), words)
    name, number = match[1], int(match[2].replace(",", "").replace("_", ""))
    if name not in GRAINS:
        known = [*(grain for grain in GRAINS if grain != "e"), START, END]
        raise ValueError(f'"{name}" is not a place{hint(name, known)}')
    return Spot(GRAINS[name], number, words)


def _share(words: str) -> Spot:
    try:
        share = float(words[:-1]) / 100
    except ValueError:
        raise ValueError(f'"{words}" is not a share such as 50%') from None
    if not 0 <= share <= 1:
        raise ValueError("a share lies between 0% and 100%")
    return Spot(SHARE, round(share * 1000), words)
