"""What a benchmark says: a value, what it is compared with, the aim, and whether it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure; `ratio` is `value` over `against`, `aim` the bound that it should keep."""

    name: str
    value: float
    unit: str
    against: float | None = None
    against_what: str = ""
    ratio: float | None = None
    aim: str = ""
    holds: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values, figures with four significant digits."""
        return {
            key: float(f"{value:.4g}") if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


def at_least(
    name: str, value: float, unit: str, floor: float, what: str, aim: float
) -> Measurement:
    """A rate that should be at least `aim` times that of a peer."""
    ratio = value / floor
    return Measurement(name, value, unit, floor, what, ratio, f">= {aim:g}", ratio >= aim)


def at_most(name: str, value: float, unit: str, floor: float, what: str, aim: float) -> Measurement:
    """A cost that should be at most `aim` times that of a floor."""
    ratio = value / floor
    return Measurement(name, value, unit, floor, what, ratio, f"<= {aim:g}", ratio <= aim)


def bound(name: str, value: float, unit: str, most: float) -> Measurement:
    """A figure with an absolute aim: reported, never asserted in a test."""
    return Measurement(name, value, unit, aim=f"<= {most:g} {unit}", holds=value <= most)


def best_of(rounds: int, measure: Callable[[], float]) -> float:
    """The least of several measurements: what the machine can do when left alone."""
    return min(measure() for _ in range(rounds))
