"""What the screen costs: CPU per frame against a bare widget, and the event loop's lag."""

from __future__ import annotations

from pfviz.tui.measure import frame_cost, loop_lag

from .measurement import Measurement, at_most, bound


def measure_screen() -> list[Measurement]:
    """Playing 64 threads at 200 x 60, without a terminal."""
    cost = frame_cost()
    bare = f"a bare widget repainting {cost.lines:.0f} lines"
    lag = loop_lag()
    return [
        at_most("CPU per frame, lab at 200 x 60", cost.lab_ms, "ms", cost.bare_ms, bare, 3),
        bound("event-loop lag while playing, p95", lag.p95_ms, "ms", 16),
        Measurement("event-loop lag while playing, max", lag.max_ms, "ms"),
        Measurement("frames while playing", lag.frames_per_s, "frames/s"),
    ]
