"""What the doctor says of one thing: what it found, how bad that is, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FINE: Final = "fine"
NOTE: Final = "note"
WRONG: Final = "wrong"
MARKS: Final = {FINE: "ok  ", NOTE: "note", WRONG: "BAD "}


@dataclass(frozen=True, slots=True)
class Row:
    """One thing; `advice` says what to do about it, if anything."""

    what: str
    value: str
    state: str = FINE
    advice: str = ""


def row(what: str, value: object, advice: str = "", state: str = "") -> Row:
    """A row that is a note where it has advice, unless a state is given."""
    return Row(what, str(value), state or (NOTE if advice else FINE), advice)
