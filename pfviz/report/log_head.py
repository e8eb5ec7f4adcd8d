"""What stands before the events in pfviz's own text formats: facts of the run, steps, texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pfviz.sim.event import EventLog, StepInfo
from pfviz.trace.own_log import SCHEMA

TEXTS_A_LINE: Final = 100


def head_objects(log: EventLog) -> Iterator[dict[str, Any]]:
    """The objects, in order; `pfviz.trace.own_log.OwnLog` takes them back."""
    yield {"pfviz": SCHEMA, "rows": len(log), "meta": dict(log.meta)}
    for number, step in enumerate(log.steps):
        yield {"step_number": number, **_plain(step)}
    for first in range(0, len(log.texts), TEXTS_A_LINE):
        yield {"texts": log.texts[first : first + TEXTS_A_LINE]}


def _plain(step: StepInfo) -> dict[str, str]:
    return {name: getattr(step, name) for name in ("name", "function", "source", "story", "cost")}
