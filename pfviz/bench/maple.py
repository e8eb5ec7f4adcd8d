"""The maple tree against sortedcontainers doing the same range map: walks, stores, erases."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from time import process_time_ns
from typing import Any, Final

from pfviz.mm.maple import MapleTree
from pfviz.sim.rng import Rng

from .measurement import Measurement, at_least

ENTRIES: Final = (1_000, 100_000)
OPERATIONS: Final = 20_000
PAGES: Final = 4
"""Each entry covers four pages and is followed by a hole of four."""


class RangeMap:
    """What one would write with SortedDict: start -> (last, entry); looks up by bisection."""

    def __init__(self) -> None:
        sortedcontainers: Any = importlib.import_module("sortedcontainers")
        self._ranges = sortedcontainers.SortedDict()

    def store(self, first: int, last: int, entry: Any) -> None:
        """Put an entry over a range that is free."""
        self._ranges[first] = (last, entry)

    def walk(self, index: int) -> Any:
        """The entry over `index`, or None."""
        position = self._ranges.bisect_right(index) - 1
        if position < 0:
            return None
        last, entry = self._ranges.peekitem(position)[1]
        return entry if index <= last else None

    def erase(self, index: int) -> None:
        """Take the entry that begins at `index` away."""
        del self._ranges[index]


def measure_maple() -> list[Measurement]:
    """Rates of walks, stores and erases at each size, and how they change per tenfold entries."""
    found: list[Measurement] = []
    for entries in ENTRIES:
        own = _rates(MapleTree(), entries)
        try:
            peer = _rates(RangeMap(), entries)
        except ImportError:
            note = "sortedcontainers is not installed (pip install 'pfviz[dev]')"
            found += [
                Measurement(f"maple {name}, {entries:,} entries", rate, "ops/s", note=note)
                for name, rate in own.items()
            ]
            continue
        for name, aim in (("walks", 0.5), ("stores", 0.2), ("erases", 0.2)):
            title = f"maple {name}, {entries:,} entries"
            found.append(at_least(title, own[name], "ops/s", peer[name], "sortedcontainers", aim))
    return found


def _rates(tree: Any, entries: int) -> dict[str, float]:
    for number in range(entries):
        tree.store(number * 8, number * 8 + PAGES - 1, number + 1)
    dice = Rng(1)
    hits = [dice.below(entries) * 8 + 1 for _ in range(OPERATIONS)]
    victims = sorted({hit - 1 for hit in hits}, key=lambda start: (start * 7919) % 104_729)
    return {
        "walks": _rate(len(hits), lambda: [tree.walk(hit) for hit in hits]),
        "erases": _rate(len(victims), lambda: [tree.erase(start) for start in victims]),
        "stores": _rate(
            len(victims),
            lambda: [tree.store(start, start + PAGES - 1, start + 1) for start in victims],
        ),
    }


def _rate(operations: int, run: Callable[[], Any]) -> float:
    began_ns = process_time_ns()
    run()
    return operations * 1e9 / (process_time_ns() - began_ns)
