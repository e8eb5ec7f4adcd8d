"""Latencies as HdrHistogram's percentile text (.hgrm), for its plotters: exact, in nanoseconds.

The log holds every latency, so nothing is put into buckets; the lines are those HdrHistogram prints
with five steps per half distance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Final

from pfviz.report.fault_table import WAITED
from pfviz.report.measure import REGIMES
from pfviz.report.recording import Piece, Recording
from pfviz.scenario.errors import ScenarioError, hint, printable
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog

FAULTS: Final = "faults"
WAITS: Final = "waits"
STEPS_PER_HALF: Final = 5


def pieces(recording: Recording, of: str = FAULTS) -> Iterator[Piece]:
    """The text for one kind of latency; ScenarioError names those that this run has."""
    found = latencies(recording.log)
    if of not in found:
        known = hint(of, found) if found else ": nothing has ended in it"
        reason = printable(f'--of: "{of}" has no latency in this run{known}')
        raise ScenarioError(recording.name, 0, reason, exit_code=2)
    yield 0, b""
    yield len(recording.log), "".join(f"{line}\n" for line in lines(found[of])).encode()


def latencies(log: EventLog) -> dict[str, list[int]]:
    """All latencies by what they are of: faults, each lock they ended under, each operation, waits.

    A time that a capture does not know is left out.
    """
    found: dict[str, list[int]] = {FAULTS: [], WAITS: []}
    for _, kind, _, a, b, c, _ in log:
        if kind == ev.FAULT_END and b >= 0:
            found[FAULTS].append(b)
            if 0 <= c < len(REGIMES):
                found.setdefault(REGIMES[c], []).append(b)
        elif kind == ev.OP_END and b >= 0:
            found.setdefault(log.texts[a], []).append(b)
        elif kind in WAITED and c >= 0:
            found[WAITS].append(c)
    return {name: values for name, values in found.items() if values}


def lines(values: list[int]) -> Iterator[str]:
    """The percentile distribution of some values (at least one)."""
    counts = sorted(Counter(values).items())
    total = len(values)
    yield f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}"
    yield ""
    below = 0
    percentile = 0.0
    for value, count in counts:
        below += count
        while 100.0 * below / total >= percentile and percentile < 100.0:
            ratio = 1 / (1 - percentile / 100)
            yield f"{value:12.3f} {percentile / 100:2.12f} {below:10} {ratio:14.2f}"
            percentile = _next(percentile)
            if below == total:
                break
    largest = counts[-1][0]
    yield f"{largest:12.3f} {1.0:2.12f} {total:10}"
    mean = sum(values) / total
    deviation = math.sqrt(sum(count * (value - mean) ** 2 for value, count in counts) / total)
    yield f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]"
    yield f"#[Max     = {largest:12.3f}, Total count    = {total:12}]"
    yield f"#[Buckets = {len(counts):12}, SubBuckets     = {1:12}]"


def _next(percentile: float) -> float:
    """The next percentile to report: the nearer to 100, the smaller the step."""
    half_distance = math.pow(2, math.log(100 / (100.0 - percentile)) / math.log(2) + 1)
    return percentile + 100.0 / (STEPS_PER_HALF * half_distance)
