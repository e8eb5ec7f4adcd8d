"""Configuration files: which there are, and what is in them, checked key by key.

Finds and reads; which of two files wins is decided elsewhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from pfviz.config.settings import NOT_SETTINGS, Settings, rebindings
from pfviz.places import config_home, expanded, user_home
from pfviz.scenario.documents import EMPTY, converted, read_text
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.positions import Path as TomlPath
from pfviz.scenario.positions import line_of, positions

CONFIG_FILE: Final = "config.toml"
PROJECT_FILE: Final = "pfviz.toml"
PYPROJECT: Final = "pyproject.toml"
REPOSITORY_MARKS: Final = (".git", ".hg", ".jj")
NAMED_BY: Final = "PFVIZ_CONFIG"


class _Tool(msgspec.Struct):
    pfviz: Settings


class _Project(msgspec.Struct):
    """A pyproject.toml, of which one table is ours."""

    tool: _Tool


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was read: what it sets, and on which line."""

    layer: str
    """`user` or `project`."""
    path: Path
    values: Mapping[str, Any]
    """Setting -> value; `keys` are apart."""
    keys: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, int] = field(default_factory=dict)
    """Setting, or `keys.ID` -> line."""


def user_path(environ: Mapping[str, str]) -> Path:
    """The person's own file, there or not: PFVIZ_CONFIG, else config.toml in its place."""
    named = environ.get(NAMED_BY, "")
    return expanded(named) if named else config_home() / CONFIG_FILE


def project_path(start: Path) -> Path | None:
    """The project's file: `pfviz.toml`, or a pyproject.toml with [tool.pfviz], the nearest one.

    Looked for from `start` up to the root of its repository. Outside of one, or in a home that is
    one, a folder above may be anybody's: then only `start` itself counts.
    """
    folders = [start, *start.parents]
    depth = next((n for n, one in enumerate(folders) if _is_repository(one)), 0)
    home = user_home()
    for folder in folders[: depth + 1]:
        if folder == home:
            return None
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
        if _has_table(folder / PYPROJECT):
            return folder / PYPROJECT
    return None


def user_file(environ: Mapping[str, str]) -> ConfigFile | None:
    """The person's own file, read; None when there is none.

    Raises ScenarioError (exit code 2): it cannot be read or used, or PFVIZ_CONFIG names none.
    """
    path = user_path(environ)
    if path.exists() or path.is_symlink():
        return read("user", path)
    if environ.get(NAMED_BY):
        raise ScenarioError(NAMED_BY, 0, f"{path}: there is no such file")
    return None


def project_file(start: Path) -> ConfigFile | None:
    """The project's file, read; None when there is none. Raises ScenarioError as `user_file`."""
    path = project_path(start)
    return None if path is None else read("project", path)


def read(layer: str, path: Path) -> ConfigFile:
    """Read and check a file; ScenarioError (exit code 2) with file, line, key and the nearest."""
    label = str(path)
    text = _text(path)
    at: TomlPath = ("tool", "pfviz") if path.name == PYPROJECT else ()
    _look_ahead(label, text, at)
    if not text:
        settings = Settings()
    elif at:
        settings = converted(text, label, _Project).tool.pfviz
    else:
        settings = converted(text, label, Settings)
    lines = positions(text)
    plain = _inside(tomllib.loads(text), at)
    where = {name: line_of(lines, (*at, name)) for name in plain if name != "keys"}
    for keys_path in lines:
        inner = keys_path[len(at) :]
        if keys_path[: len(at)] == at and inner[:1] == ("keys",) and len(inner) > 1:
            name = "keys." + ".".join(str(part) for part in inner[1:])
            where.setdefault(name, lines[keys_path])
    values = {name: getattr(settings, name) for name in plain if name != "keys"}
    return ConfigFile(layer, path, values, rebindings(settings.keys), where)


def _text(path: Path) -> str:
    """The text of the file; an empty one sets nothing, and is no mistake here."""
    try:
        return read_text(path)
    except ScenarioError as error:
        if error.reason == EMPTY:
            return ""
        # Said of configuration: that is exit code 2, whatever is wrong with it.
        reason = error.reason.replace("a scenario is", "a configuration is")
        raise ScenarioError(str(path), error.line, reason.replace("a scenario", "one")) from None


def _look_ahead(label: str, text: str, at: TomlPath) -> None:
    """Answer what can be answered better than by type: kernels and seeds, keys that are none."""
    try:
        plain = _inside(tomllib.loads(text), at)
    except (tomllib.TOMLDecodeError, RecursionError):
        return  # Told with its line by who converts it.
    for name, instead in NOT_SETTINGS.items():
        if name in plain:
            reason = (
                f"key \"{name}\" is a scenario's, not the viewer's: "
                f"no configuration changes what a run computes; say {instead}"
            )
            raise ScenarioError(label, line_of(positions(text), (*at, name)), reason)
    for where in _wrong_keys(plain.get("keys", {})):
        reason = f"{'.'.join(where)} should be a key in quotes, or a list of them"
        raise ScenarioError(label, line_of(positions(text), (*at, "keys", *where)), reason)


def _wrong_keys(table: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if not isinstance(table, dict):
        return
    for name, value in table.items():
        if isinstance(value, dict) and not where:
            yield from _wrong_keys(value, (name,))
        elif not isinstance(value, str) and not (
            isinstance(value, list) and all(isinstance(one, str) for one in value)
        ):
            yield (*where, name)


def _inside(plain: dict[str, Any], at: TomlPath) -> dict[str, Any]:
    for part in at:
        plain = plain.get(str(part), {})
    return plain


def _is_repository(folder: Path) -> bool:
    return any((folder / mark).exists() for mark in REPOSITORY_MARKS)


def _has_table(path: Path) -> bool:
    """Whether a pyproject.toml has our table; one that is not TOML is not ours to complain of."""
    try:
        return "pfviz" in tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError, AttributeError, RecursionError):
        return False
