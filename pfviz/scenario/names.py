"""Which scenarios have a name, and where their files are; reads no more of them than a title."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from pfviz.places import data_home

_TITLE: Final = re.compile(r'^title = "([^"\\]*)"', re.M)
_NAME: Final = re.compile(r'^name = "([^"\\]*)"', re.M)


def bundled() -> tuple[Path, ...]:
    """The scenarios that ship with pfviz, sorted by name."""
    folder = Path(str(resources.files("pfviz.bundled")))
    return tuple(sorted(folder.glob("*.toml")))


def kinds_folder() -> Path:
    """Where the scenarios of the matrix are, one for each kind of fault (`fault_kinds`)."""
    return Path(str(resources.files("pfviz.scenario"))) / "kinds"


def own_folder() -> Path:
    """Where a user's own scenarios live: $XDG_DATA_HOME/pfviz/scenarios."""
    return data_home() / "scenarios"


def named() -> Iterator[Path]:
    """The files of all scenarios that have a name, a person's own before those that ship."""
    seen: set[str] = set()
    folder = own_folder()
    own = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    for path in (*own, *bundled()):
        if path.stem not in seen:
            seen.add(path.stem)
            yield path


def talk_folders() -> tuple[Path, Path]:
    """Where talks are: a person's own ($XDG_DATA_HOME/pfviz/talks), and those that ship."""
    return data_home() / "talks", Path(str(resources.files("pfviz.bundled"))) / "talks"


def titles() -> Iterator[tuple[str, str]]:
    """(name, title) of scenarios and talks, at once and unchecked: for lists that cannot wait."""
    for path in named():
        yield path.stem, _said(path, _TITLE)
    for folder in talk_folders():
        for path in sorted(folder.glob("*.toml")):
            yield _said(path, _NAME) or path.stem, _said(path, _TITLE)


def _said(path: Path, pattern: re.Pattern[str]) -> str:
    try:
        found = pattern.search(path.read_text("utf-8", "replace"))
    except OSError:
        return ""
    return found[1] if found else ""
