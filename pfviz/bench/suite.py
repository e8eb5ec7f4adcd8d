"""All benchmarks in one run, as text or JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from pfviz import __version__

from .capture import measure_capture
from .engine import measure_engine
from .measurement import Measurement
from .seeking import measure_seeking


def _measure_screen() -> list[Measurement]:
    from .screen import measure_screen  # Loads the terminal libraries: only when asked for.

    return measure_screen()


def _measure_bytes() -> Iterable[Measurement]:
    from .bytes import measure_bytes

    return measure_bytes()


def _measure_maple() -> Iterable[Measurement]:
    from .maple import measure_maple

    return measure_maple()


SUITE: Final[dict[str, Callable[[], Iterable[Measurement]]]] = {
    "engine": measure_engine,
    "seeking": measure_seeking,
    "capture": measure_capture,
    "maple": _measure_maple,
    "screen": _measure_screen,
    "bytes": _measure_bytes,
}


def measure(parts: tuple[str, ...]) -> Iterator[Measurement]:
    """Run the parts one after another, each figure as soon as it is there."""
    for part in parts or tuple(SUITE):
        yield from SUITE[part]()


def as_json(found: list[Measurement]) -> dict[str, Any]:
    """The figures as one object."""
    return {
        "schema": "pfviz.bench/1",
        "pfviz": __version__,
        "measurements": [measurement.as_json() for measurement in found],
    }


def as_line(measurement: Measurement) -> str:
    """One figure as a line of text."""
    line = f"{measurement.name:<44} {_short(measurement.value):>12} {measurement.unit:<9}"
    if measurement.ratio is not None:
        line += f" {measurement.ratio:6.2f} x {measurement.against_what}"
    if measurement.aim:
        line += f"   aim {measurement.aim}: {'ok' if measurement.holds else 'missed'}"
    if measurement.note:
        line += f"   ({measurement.note})"
    return line


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
