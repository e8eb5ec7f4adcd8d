"""Latency on a log scale: one histogram per regime or per mode, over the same axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from pfviz.stats.histogram import Histogram, bucket_range

from .frame import Frame
from .look import DEFAULT, Look, absent, message
from .numbers import count, duration
from .rows import Cell, Row, Rows, cell_width, fit_rows, pad
from .states import REGIME_NAMES, REGIME_STYLES

Series = tuple[str, str, Histogram, int]
"""(label, style, durations in ns, the largest of them)."""

TALL_MAX: Final = 12
UNDER_TALL: Final = 5
"""From so many rows on a series has its numbers under it..."""
BARS_MIN: Final = 40
"""... if beside them the bars had less room than this."""
"""Rows of one histogram at most."""
_TICKS: Final = tuple(
    (10**power, label)
    for power, label in enumerate(
        ("1n", "10n", "100n", "1µ", "10µ", "100µ", "1m", "10m", "100m", "1s", "10s", "100s")
    )
)


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """Fault latency by the regime under which the faults ended."""
    if why := absent(frame, "latency"):
        return message(why, width, height, look)
    shown = series_of(frame)
    if not shown:
        return message("no fault has ended yet", width, height, look)
    return paint_series(shown, width, height, look)


def series_of(frame: Frame) -> list[Series]:
    """The regimes under which any fault ended, the fastest first."""
    order = (1, 0, 2)
    return [
        (
            REGIME_NAMES[regime],
            REGIME_STYLES[regime],
            frame.fault_latency[regime],
            frame.fault_ns_max[regime],
        )
        for regime in order
        if frame.fault_latency[regime].n
    ]


def series_of_all(frame: Frame, label: str, style: str) -> Series:
    """All faults of a run as one series, whatever their regime: for comparing modes."""
    merged = Histogram()
    for histogram in frame.fault_latency:
        merged.merge(histogram)
    return (label, style, merged, max(frame.fault_ns_max))


def summary(frame: Frame) -> str:
    """The pane's foot: how many faults the histograms hold."""
    total = sum(histogram.n for histogram in frame.fault_latency)
    return f"{count(total)} fault{'s' if total != 1 else ''}"


def paint_series(shown: Sequence[Series], width: int, height: int, look: Look = DEFAULT) -> Rows:
    """Histograms laid over each other on one log axis, each with p50, p99 and max."""
    full = [series for series in shown if series[2].n]
    if not full:
        return message("nothing was measured yet", width, height, look)
    full = full[: max(height, 1)]
    axis_rows = 1 if height > len(full) else 0
    tall = max(min((height - axis_rows) // len(full), TALL_MAX), 1)
    label = min(max(cell_width(name) for name, *_ in full), 10 if width < 50 else 16) + 1
    numbers = _numbers_width(width)
    if numbers and tall >= UNDER_TALL and width - label - numbers < BARS_MIN:
        numbers = 0  # A high pane has rows for the numbers; the bars need its width.
    under = numbers == 0 and tall >= 2
    bars = max(width - label - (numbers + 1 if numbers else 0), 0)
    low, high = _range(full)
    rows: list[Row] = []
    peak_rows = tall - 1 if under else tall
    for name, style, histogram, largest in full:
        columns = _columns(histogram, low, high, bars)
        block = _bars(columns, peak_rows, style, look)
        for index, drawn in enumerate(block):
            is_last = index == len(block) - 1
            head = pad(name, label - 1) + " " if is_last else " " * label
            tail = (
                [(" ", "text"), *_quantiles(histogram, largest, numbers)]
                if numbers and is_last
                else []
            )
            rows.append(((head, style), drawn, *tail))
        if under:
            rows.append(((" " * label, "text"), *_quantiles(histogram, largest, bars)))
    if axis_rows and bars:
        rows.append(((" " * label, "dim"), (_axis(low, high, bars), "dim")))
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def _numbers_width(width: int) -> int:
    if width >= 96:
        return 54
    if width >= 66:
        return 39
    return 26 if width >= 46 else 0


def _quantiles(histogram: Histogram, largest: int, width: int) -> list[Cell]:
    """p50 and p99, with the maximum and the count where they fit."""
    cells: list[Cell] = []
    # A bucket's upper edge may lie beyond the largest value in it.
    wanted = [
        ("p50", min(histogram.percentile(0.5) or 0, largest)),
        ("p99", min(histogram.percentile(0.99) or 0, largest)),
    ]
    if width >= 39:
        wanted.append(("max", largest))
    for word, value in wanted:
        cells.append((f"{word} ", "dim"))
        cells.append((f"{duration(value):<8} ", "number"))
    if width >= 54:
        cells.append((f"n {count(histogram.n)}", "dim"))
    return cells


def _range(shown: Sequence[Series]) -> tuple[float, float]:
    """The decades that hold every value, at least two, as powers of ten."""
    low = min(bucket_range(min(series[2].counts))[0] for series in shown)
    high = max(bucket_range(max(series[2].counts))[1] for series in shown)
    first = math.floor(math.log10(max(low, 1)) * 2) / 2
    last = math.ceil(math.log10(max(high, 2)) * 2) / 2
    if last - first < 2:
        first, last = max(first - 0.5, 0.0), max(first - 0.5, 0.0) + 2
    return first, last


def _columns(histogram: Histogram, low: float, high: float, width: int) -> list[float]:
    """Counts by column; a bucket wider than a column is spread over those it covers."""
    columns = [0.0] * width
    if not width:
        return columns
    scale = width / (high - low)
    for bucket, number in histogram.counts.items():
        begin, stop = bucket_range(bucket)
        first = (math.log10(max(begin, 1)) - low) * scale
        last = max((math.log10(max(stop, 1)) - low) * scale, first + 1e-9)
        columns_from = min(max(int(first), 0), width - 1)
        columns_to = min(max(math.ceil(last) - 1, columns_from), width - 1)
        share = number / (columns_to - columns_from + 1)
        for column in range(columns_from, columns_to + 1):
            columns[column] += share
    return columns


def _bars(columns: list[float], rows: int, style: str, look: Look) -> list[Cell]:
    """Vertical bars in `rows` rows, on a square-root scale so that a rare tail can be seen."""
    glyphs = look.glyphs.bars
    steps = len(glyphs) - 1
    peak = max(columns, default=0.0)
    heights = [
        0 if not value else max(round(math.sqrt(value / peak) * steps * rows), 1)
        for value in columns
    ]
    drawn: list[Cell] = []
    for row in range(rows - 1, -1, -1):
        text = "".join(glyphs[min(max(tall - row * steps, 0), steps)] for tall in heights)
        drawn.append((text, style))
    return drawn


def _axis(low: float, high: float, width: int) -> str:
    """Powers of ten at their columns."""
    line = [" "] * width
    taken = -1
    for power, (_, label) in enumerate(_TICKS):
        if not low <= power <= high:
            continue
        column = min(int((power - low) * width / (high - low)), width - len(label))
        if column <= taken or column < 0:
            continue
        line[column : column + len(label)] = label
        taken = column + len(label)
    return "".join(line)
