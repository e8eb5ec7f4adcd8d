"""Where in a run the stops and questions of a scene come, found while its log grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pfviz.scenario.moments import Positions
from pfviz.scenario.talk import Asked, Scene, Stop
from pfviz.sim.event import EventLog

S = TypeVar("S", Stop, Asked)


@dataclass(frozen=True, slots=True)
class Reached(Generic[S]):
    """A stop or a question and where it comes: so many rows of the log are before it."""

    position: int
    number: int
    """Its index among those of the scene."""
    stop: S


class Stops(Generic[S]):
    """Finds where each of a scene's stops (or questions) comes in its first run."""

    def __init__(
        self, stops: Sequence[S], log: EventLog, known_ns: Callable[[], int],
        finished: Callable[[], bool],
    ) -> None:  # fmt: skip
        """`known_ns` says how far the run is computed, `finished` whether it is over."""
        self._stops: Sequence[S] = stops
        self._log = log
        self._finished = finished
        self._positions = Positions([(one.at_ns, one.when) for one in stops], log, known_ns)
        self._seen = (-1, False)
        self._found: tuple[Reached[S], ...] = ()

    def found(self) -> tuple[Reached[S], ...]:
        """Those that are known to come, in the order in which they do."""
        seen = (len(self._log), self._finished())
        if seen != self._seen:
            self._seen = seen
            end = seen[0] if seen[1] else None
            positions = self._positions.found()
            places = [
                Reached(position, number, stop)
                for number, stop in enumerate(self._stops)
                if (position := end if stop.is_end else positions[number]) is not None
            ]
            self._found = tuple(sorted(places, key=lambda place: (place.position, place.number)))
        return self._found


def begin_position(
    scene: Scene, log: EventLog, known_ns: Callable[[], int], finished: Callable[[], bool]
) -> int | None:
    """Where a scene begins: so many rows are before it; None while that is not known.

    A moment that never comes is the run's end.
    """
    if scene.begin_ns is None and not scene.begin_when:
        return 0
    found = Positions([(scene.begin_ns, scene.begin_when)], log, known_ns).found()[0]
    return len(log) if found is None and finished() else found
