"""Makes share tokens of runs, and tells whether what a token is about is still the same here.

`pfviz.scenario.token` knows how a token is written, `pfviz.report.source` opens one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

import msgspec

from pfviz.scenario.overrides import NO_CHANGES, Overrides
from pfviz.scenario.schema import Scenario
from pfviz.scenario.talk import Talk
from pfviz.scenario.token import Moment, Token, encode
from pfviz.sim.event import ROW_BYTES, EventLog

TOLD: Final = frozenset(
    ("name", "title", "story", "sources", "cue", "question", "expect", "layout", "schema_version")
)
"""What a scenario says to people: the run is the same without it."""


def token_of(
    scenario: Scenario,
    overrides: Overrides = NO_CHANGES,
    moment: Moment | None = None,
    modes: Sequence[str] = (),
) -> str:
    """The token of a run, at a moment of it or as a whole."""
    token = Token(scenario.name, content_check(scenario), overrides, moment, tuple(modes))
    return encode(token)


def talk_token(talk: Talk, scene: int, stop: int) -> str:
    """The token of a place in a talk, its scene and stop counted from 0."""
    return encode(Token(talk.name, talk_check(talk), stop=(scene, stop)))


def talk_check(talk: Talk) -> int:
    """16 bits of what a talk shows, in which order."""
    return _short(repr(talk.scenes).encode())


def content_check(scenario: Scenario) -> int:
    """16 bits of a scenario's world: all of the file that makes a difference to the run."""
    world = {
        name: value for name, value in _said(scenario).items() if name not in TOLD
    }  # fmt: skip
    return _short(repr(world).encode())


def log_check(log: EventLog, events: int) -> int:
    """16 bits of the first so many events of a log."""
    return _short(log.rows[: events * ROW_BYTES])


def _short(data: bytes | bytearray) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=2).digest(), "big")


def _said(table: msgspec.Struct) -> dict[str, Any]:
    """A table's keys that are not as they are when left out: new keys change no old file."""
    found: dict[str, Any] = {"": type(table).__name__}
    for name, default in _defaults(type(table)):
        value = getattr(table, name)
        if value != default or type(value) is not type(default):
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return _said(value)
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return value


@cache
def _defaults(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))
