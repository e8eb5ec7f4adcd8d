"""How long work says how far it has come: a callback. It knows no clock, no terminal, no bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

Told = Callable[[int, int], None]
"""Called with (done, total) now and then, in any unit; total 0: nobody knows how much there is."""
SCALE: Final = 10_000
"""How finely parts of a whole are told."""


def nobody(done: int, total: int) -> None:
    """Nobody wants to know."""
    del done, total


def part(told: Told, number: int, of: int) -> Told:
    """What hears of part `number` (from 0) of so many, and tells it as a share of the whole."""

    def heard(done: int, total: int) -> None:
        inner = min(done, total) * SCALE // total if total > 0 else 0
        told(number * SCALE + inner, of * SCALE)

    return heard
