"""How fast a kernel capture is read."""

from __future__ import annotations

from time import process_time_ns

from pfviz.trace.capture import Capture
from pfviz.trace.infer import infer_log
from pfviz.trace.samples import samples

from .measurement import Measurement, best_of


def measure_capture() -> list[Measurement]:
    """Lines per second: splitting lines alone, and the whole way to an event log."""
    largest = max(samples(), key=lambda sample: sample.path.stat().st_size)

    def read_ns() -> float:
        capture = Capture(largest.path)
        began_ns = process_time_ns()
        for _ in capture.records():
            pass
        return (process_time_ns() - began_ns) / capture.lines

    lines = Capture(largest.path)
    for _ in lines.records():
        pass

    def import_ns() -> float:
        began_ns = process_time_ns()
        infer_log(largest.path)
        return (process_time_ns() - began_ns) / lines.lines

    note = f"{largest.name}, {lines.lines:,} lines"
    return [
        Measurement("read a capture", 1e9 / best_of(3, read_ns), "lines/s", note=note),
        Measurement("import a capture", 1e9 / best_of(3, import_ns), "lines/s", note=note),
    ]
