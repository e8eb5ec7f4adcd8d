"""Runs that several tests of exports look at, each made once."""

from __future__ import annotations

from functools import lru_cache

from pfviz.report.recording import Recording, record
from pfviz.report.source import open_source
from pfviz.scenario.overrides import Overrides


@lru_cache(maxsize=4)
def recorded(name: str, until_ns: int | None = None, mode: str | None = None) -> Recording:
    """A scenario or a capture by name, to its end or to a time."""
    return record(open_source(name, Overrides(until_ns=until_ns, mode=mode)))


def written(pieces: object) -> bytes:
    """All bytes that a writer yields."""
    return b"".join(piece for _, piece in pieces)  # type: ignore[attr-defined]
