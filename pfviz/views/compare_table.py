"""Runs side by side as a table: what each has done by now, the best of each row marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pfviz.stats.histogram import Histogram

from .compare import Divergence
from .frame import Frame
from .look import DEFAULT, Look
from .numbers import clock, count, duration
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, pad, pad_left

Run = tuple[str, str, Frame]
"""(label, style, frame)."""
Measure = tuple[str, Callable[[Frame], int], Callable[[int], str], int]
"""(name, value, value as text, +1 when more is better, -1 when less is, 0 when neither)."""


def paint(
    runs: Sequence[Run],
    width: int,
    height: int,
    look: Look = DEFAULT,
    divergence: Divergence | None = None,
) -> Rows:
    """A column per run, a row per measure; the first divergence underneath."""
    name = min(20, max(width // 3, 6))
    column = max((width - name) // max(len(runs), 1), 1)
    column = min(column, 18)
    head: list[Cell] = [(" " * name, "dim")]
    for label, style, _ in runs:
        # On its own ground only as far as it goes: three in a row are three, in grey too.
        label = f" {clip(label, column - 2)} "
        head += [(" " * (column - cell_width(label)), "dim"), (label, style)]
    rows: list[Row] = [tuple(head)]
    for measure in MEASURES:
        values = [measure[1](frame) for _, _, frame in runs]
        if any(values) or measure[0] == "faults":
            rows.append(_row(measure, values, name, column, look))
    foot = divergence_row(divergence, runs, width) if divergence is not None else ()
    if foot and len(rows) >= height:
        rows = rows[: max(height - 1, 0)]
    if foot:
        rows.append(foot)
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def _row(measure: Measure, values: list[int], name: int, column: int, look: Look) -> Row:
    label, _, show, better = measure
    best = (max(values) if better > 0 else min(values)) if better and len(set(values)) > 1 else None
    row: list[Cell] = [(pad(label, name), "dim")]
    for value in values:
        is_best = best is not None and value == best
        mark = look.glyphs.arrow_right if is_best else " "
        row.append((pad_left(f"{mark} {show(value)} ", column), "good" if is_best else "number"))
    return tuple(row)


def divergence_row(divergence: Divergence, runs: Sequence[Run], width: int) -> Row:
    """The first divergence in words: which operation, and what each run does there."""
    frame = runs[0][2]
    who = frame.label(divergence.task)
    text = (
        f"first divergence: {who} {divergence.name} #{divergence.number + 1}: "
        f"{divergence.first} / {divergence.second}"
    )
    return ((clip(text, width), "accent"),)


def _all_faults(frame: Frame) -> Histogram:
    merged = Histogram()
    for histogram in frame.fault_latency:
        merged.merge(histogram)
    return merged


def _rank(rank: float) -> Callable[[Frame], int]:
    def value(frame: Frame) -> int:
        return min(_all_faults(frame).percentile(rank) or 0, max(frame.fault_ns_max))

    return value


def _throughput(frame: Frame) -> int:
    """Until the last step, as in the object of a run: what RCU frees long after is no work."""
    faults = frame.counters.get("pgfault", 0)
    until_ns = max((task.step_ns for task in frame.tasks.values()), default=0)
    return faults * 1_000_000_000 // until_ns if until_ns else 0


def _waited(frame: Frame) -> int:
    return sum(lock.wait_ns_total for lock in frame.locks.values())


MEASURES: tuple[Measure, ...] = (
    ("time", lambda frame: frame.now_ns, clock, 0),
    ("operations", lambda f: sum(task.ops_done for task in f.tasks.values()), count, 0),
    ("faults", lambda frame: frame.counters.get("pgfault", 0), count, 0),
    ("faults per s", _throughput, count, 1),
    ("p50", _rank(0.5), duration, -1),
    ("p99", _rank(0.99), duration, -1),
    ("max", lambda frame: max(frame.fault_ns_max), duration, -1),
    ("under VMA lock", lambda frame: frame.fault_latency[1].n, count, 0),
    ("under mmap_lock", lambda frame: frame.fault_latency[0].n, count, 0),
    ("lockless", lambda frame: frame.fault_latency[2].n, count, 0),
    ("fallbacks", lambda frame: sum(frame.fallbacks.values()), count, -1),
    ("time in queues", _waited, duration, -1),
    ("lines moved", lambda frame: frame.line_moves_total, count, -1),
    ("TLB IPIs", lambda frame: frame.ipis, count, -1),
    ("broken rules", lambda frame: len(frame.broken), count, -1),
)
