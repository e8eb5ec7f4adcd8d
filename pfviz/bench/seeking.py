"""How long it takes to show any moment of a run of a million events."""

from __future__ import annotations

from time import perf_counter_ns, process_time_ns
from typing import Final

from pfviz.report.source import open_scenario
from pfviz.scenario.build import build
from pfviz.sim.event import EventLog
from pfviz.sim.rng import Rng
from pfviz.stats.histogram import percentile
from pfviz.views.timeline import Timeline

from .measurement import Measurement, bound

EVENTS: Final = 1_000_000
SEEKS: Final = 200


def long_log(events: int = EVENTS) -> tuple[EventLog, float]:
    """A log of at least `events` events (threads that never end), and CPU ns per event it took."""
    engine = build(open_scenario("smaps-monitor"), threads=16, machine="server")
    began_ns = process_time_ns()
    while len(engine.log) < events and engine.run(steps_max=50_000):
        pass
    return engine.log, (process_time_ns() - began_ns) / len(engine.log)


def measure_seeking() -> list[Measurement]:
    """Folding speed, and p95 of seeking to random moments of a million events."""
    log, event_ns = long_log()
    began_ns = process_time_ns()
    timeline = Timeline(log)
    fold_ns = (process_time_ns() - began_ns) / len(log)
    dice = Rng(7)
    taken_ns: list[int] = []
    for _ in range(SEEKS):
        index = dice.below(len(timeline))
        began_ns = perf_counter_ns()
        timeline.at(index)
        taken_ns.append(perf_counter_ns() - began_ns)
    p95_ms = percentile(sorted(taken_ns), 0.95) / 1e6
    return [
        Measurement("simulate page faults", 1e9 / event_ns, "events/s"),
        Measurement("fold events into frames", 1e9 / fold_ns, "events/s"),
        bound(f"seek in {len(log):,} events, p95", p95_ms, "ms", 50),
    ]
