"""What an export is of: a finished log, and the scenario or capture that it came from.

Opens the source and lets it run to its end; it knows no file format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pfviz.report.run import run_to_end
from pfviz.report.share import log_check
from pfviz.report.source import Source
from pfviz.scenario.build import build_with
from pfviz.scenario.overrides import NO_CHANGES, Overrides, until_ns_of
from pfviz.scenario.schema import Cue, Scenario
from pfviz.sim.event import EventLog, Row
from pfviz.sim.told import Told, nobody

Piece = tuple[int, bytes]
"""What a writer yields: how many events are written by now, and the next bytes of the file."""

EVENTS_A_PIECE: Final = 4_000
"""So many events are written between two looks at who waits: some 20 ms of work."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A log that is complete, and what is known of where it came from."""

    log: EventLog
    name: str
    scenario: Scenario | None = None
    overrides: Overrides = NO_CHANGES
    position: int = -1
    """How many events the viewer had seen who asked for the export; -1 where nobody looked."""
    origin: int = 0
    """The position at which the run begins: what comes before sets the world up."""
    about: str = ""
    """What is known of a capture that ships with pfviz."""

    @property
    def cues(self) -> tuple[Cue, ...]:
        """The moments that the author of the scenario marked; none in a capture."""
        return self.scenario.cue if self.scenario is not None else ()

    def rows(self) -> Iterator[tuple[int, list[Row]]]:
        """Every event, a piece at a time: the number of the first one, and the rows."""
        for first in range(0, len(self.log), EVENTS_A_PIECE):
            yield first, list(self.log.between(first, first + EVENTS_A_PIECE))


def record(source: Source, told: Told = nobody) -> Recording:
    """Run a scenario to its end, or read a capture; `told` hears how far that has come."""
    if source.scenario is None:
        from pfviz.trace.read_log import read_log

        assert source.capture is not None
        log = read_log(source.capture, told=told)
        return Recording(log, source.name, origin=log.index_at(-1), about=source.title)
    engine = build_with(source.scenario, source.overrides)
    origin = len(engine.log)
    run_to_end(engine, until_ns_of(source.scenario, source.overrides), told=told)
    shared = source.shared.moment if source.shared is not None else None
    is_there = shared is not None and log_check(engine.log, shared.events) == shared.check
    position = shared.events if shared is not None and is_there else -1
    return Recording(
        engine.log, source.name, source.scenario, source.overrides, position, origin
    )  # fmt: skip
