"""The maple tree against sortedcontainers doing the same range map, in the same run.

Walks, stores and erases at each size, what tenfold entries cost, and the memory of an entry. As
in timeit, Python's collector of cycles rests meanwhile: neither side makes any that stay.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from math import log10
from time import process_time_ns
from typing import Any, Final

from pfviz.mm.maple import MapleTree, bulk_store
from pfviz.sim.rng import Rng

from .footprint import bytes_held
from .measurement import Measurement, at_least
from .range_map import RangeMap

SIZES: Final = (1_000, 100_000, 1_000_000)
WALKS: Final = 20_000
ROUNDS: Final = 8
BATCH_MAX: Final = 1_000
"""Slots changed and put back in a round, at most a tenth of all."""
BASE: Final = 0x7F00_0000_0000
PAGE: Final = 4096
STRIDE: Final = 8 * PAGE
LENGTH: Final = 4 * PAGE
"""Each entry covers four pages and is followed by a hole of four."""
SHIFT: Final = 2 * PAGE
ENTRY: Final = "vma"
ACTS: Final = ("walks", "stores", "erases")
AIMS: Final = {"walks": 0.5, "stores": 0.2, "erases": 0.2}
PEER: Final = "sortedcontainers"

Ranges = list[tuple[int, int, str]]
Rates = dict[str, float]


class Contestant:
    """A range map under the clock: CPU time and operations so far, by kind."""

    def __init__(self, ranges: Any, settle: Callable[[], None]) -> None:
        self.ranges = ranges
        self.settle = settle
        self.spent_ns = dict.fromkeys(ACTS, 0)
        self.done = dict.fromkeys(ACTS, 0)

    def walk(self, indices: Sequence[int]) -> None:
        walk = self.ranges.walk
        began_ns = process_time_ns()
        for index in indices:
            walk(index)
        self._count("walks", began_ns, len(indices))

    def store(self, ranges: Ranges) -> None:
        store = self.ranges.store
        began_ns = process_time_ns()
        for first, last, entry in ranges:
            store(first, last, entry)
        self.settle()
        self._count("stores", began_ns, len(ranges))

    def erase(self, indices: Sequence[int]) -> None:
        erase = self.ranges.erase
        began_ns = process_time_ns()
        for index in indices:
            erase(index)
        self.settle()
        self._count("erases", began_ns, len(indices))

    def rates(self) -> Rates:
        """Operations per second of CPU time."""
        return {act: self.done[act] * 1e9 / self.spent_ns[act] for act in ACTS}

    def _count(self, act: str, began_ns: int, operations: int) -> None:
        self.spent_ns[act] += process_time_ns() - began_ns
        self.done[act] += operations


def measure_maple() -> Iterator[Measurement]:
    """Rates at each size beside the peer's, then growth per tenfold entries."""
    rates: dict[int, list[Rates]] = {}
    for entries in SIZES:
        contestants = measured(entries)
        rates[entries] = [contestant.rates() for contestant in contestants]
        yield from _rates(entries, rates[entries])
        yield _memory(entries, contestants)
    yield from _growth(rates)


def measured(entries: int) -> list[Contestant]:
    """The contestants after their run at one size."""
    collects = gc.isenabled()
    gc.disable()
    try:
        contestants = enter(entries)
        compete(contestants, entries)
    finally:
        if collects:
            gc.enable()
    return contestants


def enter(entries: int) -> list[Contestant]:
    """A maple tree and, if it is installed, its peer, both filled with the same ranges."""
    tree = MapleTree(rcu=False)  # Nobody reads it yet.
    for start in range(0, entries, 1_000):
        bulk_store(tree, layout(range(start, min(start + 1_000, entries))))
    tree.rcu = True
    contestants = [Contestant(tree, tree.free_all)]
    with suppress(ImportError):
        contestants.append(Contestant(RangeMap(layout(range(entries))), lambda: None))
    return contestants


def layout(slots: Sequence[int], shift: int = 0) -> Ranges:
    """The range of each slot, shifted upwards into its hole."""
    firsts = [BASE + slot * STRIDE + shift for slot in slots]
    return [(first, first + LENGTH - 1, ENTRY) for first in firsts]


def compete(contestants: list[Contestant], entries: int) -> None:
    """Let all do the same operations in turns; every round ends with what it began with.

    Entries are erased and stored again, overwritten in half by a store that lies across, erased
    again and restored over what was left: stores into holes, that cut, and that cover.
    """
    dice = Rng(1)
    batch = min(entries // 10, BATCH_MAX)
    for _ in range(ROUNDS * BATCH_MAX // batch):
        slots = list(dict.fromkeys(dice.below(entries) for _ in range(batch)))
        hits = [BASE + dice.below(entries) * STRIDE + 1 for _ in range(WALKS * batch // 8_000)]
        whole = layout(slots)
        across = layout(slots, SHIFT)
        for contestant in contestants:
            contestant.walk(hits)
            contestant.erase([first for first, _, _ in whole])
            contestant.store(whole)
            contestant.store(across)
            contestant.erase([first for first, _, _ in across])
            contestant.store(whole)


def _rates(entries: int, rates: list[Rates]) -> Iterator[Measurement]:
    own = rates[0]
    for act in ACTS:
        name = f"maple {act}, {entries:,} entries"
        if len(rates) > 1:
            yield at_least(name, own[act], "ops/s", rates[1][act], PEER, AIMS[act])
        else:
            yield Measurement(name, own[act], "ops/s", note=f"{PEER} is not installed")


def _memory(entries: int, contestants: list[Contestant]) -> Measurement:
    held = [bytes_held(contestant.ranges) / entries for contestant in contestants]
    name = f"maple memory per entry, {entries:,} entries"
    if len(held) < 2:
        return Measurement(name, held[0], "bytes")
    return Measurement(name, held[0], "bytes", held[1], PEER, held[0] / held[1])


def _growth(rates: dict[int, list[Rates]]) -> Iterator[Measurement]:
    """How many times as long an operation takes per tenfold entries, between sizes."""
    sizes = list(rates)
    for small, large in pairwise(sizes):
        for act in ACTS:
            times = [
                (before[act] / after[act]) ** (1 / log10(large / small))
                for before, after in zip(rates[small], rates[large], strict=True)
            ]
            name = f"maple {act}, time per tenfold from {small:,}"
            if len(times) > 1:
                yield Measurement(name, times[0], "times", times[1], PEER, times[0] / times[1])
            else:
                yield Measurement(name, times[0], "times")
