"""What was played last, and where it was left: a short list in one file, newest first.

The file is nobody's treasure: a damaged one is as good as none, and where none can be written,
nothing is said. What it remembers is opened elsewhere.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pfviz.places import state_home
from pfviz.report.share import content_check
from pfviz.report.source import Shared, Source, capture_named, open_scenario
from pfviz.report.whole_file import whole_file
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.load import find
from pfviz.scenario.talk_load import open_talk
from pfviz.scenario.token import Moment, decode

KEPT_MAX: Final = 20
SHOWN_MAX: Final = 5
BYTES_MAX: Final = 1 << 20
"""A file larger than this is not ours."""
SCENARIO: Final = "scenario"
CAPTURE: Final = "capture"
TALK: Final = "talk"


class Recent(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """Something that was played."""

    source: str
    """The name under which it is known here, or the path of its file."""
    title: str
    kind: str = SCENARIO
    token: str = ""
    """Of a scenario: how it was changed and where it was left."""
    events: int = -1
    """Of a capture: how many events had been seen; -1 is its beginning."""
    check: int = 0
    """16 bits of those events: whether it is still the same file."""
    about: str = ""
    """What is said of it beside its title: kernel, mode and time."""


class _File(msgspec.Struct):
    schema: str = "pfviz.recent/1"
    recent: list[Recent] = []


def recent_file() -> Path:
    """Where the list is kept: $XDG_STATE_HOME/pfviz/recent.json."""
    return state_home() / "recent.json"


def recents() -> tuple[Recent, ...]:
    """What was played, newest first; what is not there any more is left out."""
    return tuple(one for one in _read() if _is_there(one))


def remember(one: Recent) -> None:
    """Put something on top of the list; it is not there twice. Says nothing when it cannot."""
    path = recent_file()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        others = [other for other in _read() if other.source != one.source]
        path.touch(mode=0o600)  # What somebody looks at is nobody else's business.
        with whole_file(path) as file:
            text = msgspec.json.encode(_File(recent=[one, *others[: KEPT_MAX - 1]]))
            file.write(msgspec.json.format(text, indent=1) + b"\n")


def forget() -> None:
    """Remember nothing any more."""
    with suppress(OSError):
        recent_file().unlink()


def reopened(one: Recent) -> Source:
    """What to play to go on where it was left.

    Raises:
        ScenarioError: its file cannot be used any more.
    """
    if one.kind == TALK:
        return Source(talk=open_talk(one.source))
    if one.kind == CAPTURE:
        sample = capture_named(one.source)
        path = one.source if sample is None else str(sample.path)
        shared = Shared(Moment(one.events, check=one.check)) if one.events >= 0 else None
        return Source(capture=path, title=sample.title if sample else "", shared=shared)
    scenario = open_scenario(one.source)
    path = str(find(one.source).absolute())
    try:
        token = decode(one.token)
    except ScenarioError:
        return Source(scenario, path=path)
    shared = Shared(token.moment, token.modes, content_check(scenario) == token.content)
    return Source(scenario, token.overrides, shared=shared, path=path)


def _read() -> list[Recent]:
    try:
        path = recent_file()
        if path.stat().st_size > BYTES_MAX:
            return []
        return msgspec.json.decode(path.read_bytes(), type=_File).recent[:KEPT_MAX]
    except (OSError, msgspec.MsgspecError, RecursionError):
        return []


def _is_there(one: Recent) -> bool:
    try:
        return _has_file(one)
    except (OSError, ScenarioError):
        return False


def _has_file(one: Recent) -> bool:
    if one.kind == CAPTURE:
        return Path(one.source).is_file() or capture_named(one.source) is not None
    if "/" in one.source:
        return Path(one.source).is_file()
    find(one.source)
    return True
