"""How much the screen writes to a terminal while it plays, against painting it all over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pfviz.tui.written import FPS, Written, written_while_playing

from .measurement import Measurement, at_most

SIZES: Final = ((120, 40), (200, 60))


def measure_bytes() -> Iterator[Measurement]:
    """Playing 16 threads that all fault, 30 pictures a second, in true colours."""
    for size in SIZES:
        yield from _figures(written_while_playing(size))


def _figures(found: Written) -> Iterator[Measurement]:
    at = f"{found.width} x {found.height}"
    ours, whole = _mean(found.ours), _mean(found.whole)
    plain = _mean(found.unthrifty)
    yield at_most(f"bytes per picture, {at}", ours, "bytes", whole, "the whole screen", 0.6)
    yield at_most(f"bytes per whole screen, {at}", whole, "bytes", plain, "as Textual has it", 0.75)
    yield at_most(
        f"bytes when only the clock moves, {at}", _mean(found.clock), "bytes", whole,
        "the whole screen", 0.02,
    )  # fmt: skip
    yield Measurement(f"to the terminal at {FPS}/s, {at}", ours * FPS / 1024, "KiB/s")


def _mean(figures: list[int]) -> float:
    return sum(figures) / len(figures)
