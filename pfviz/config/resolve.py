"""Which value of a setting counts, and where it comes from.

Flag over environment over project file over user file over default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from pfviz.config import theme_files
from pfviz.config.files import ConfigFile, project_file, user_file
from pfviz.config.settings import FALSE, TRUE, Settings, names, rebindings, variable
from pfviz.scenario import complaints
from pfviz.scenario.errors import ScenarioError

LAYERS: Final = ("default", "user", "project", "environment", "flag")
"""The weakest first."""
DIGITS_MAX: Final = 18
"""Of a number in a variable; none needs more."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was said."""

    layer: str
    """One of `LAYERS`."""
    where: str = ""
    """A file, a variable or a flag."""
    line: int = 0

    def __str__(self) -> str:
        """`config.toml:3`, `PFVIZ_THEME`, `--theme` or `default`."""
        return (f"{self.where}:{self.line}" if self.line else self.where) or self.layer

    def mistake(self, reason: str) -> ScenarioError:
        """An error that points here."""
        return ScenarioError(self.where or self.layer, self.line, reason)


DEFAULT: Final = Origin("default")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that count, and where each was said."""

    settings: Settings
    origins: Mapping[str, Origin]
    """Setting, or `keys.ID` -> where; every setting is there."""
    files: tuple[ConfigFile, ...] = ()

    def rebindings(self) -> dict[str, tuple[str, ...]]:
        """Binding id -> its keys, of all ids that were given other keys."""
        return rebindings(self.settings.keys)


def resolve(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Resolved:
    """Read what there is, and settle every setting; flags that are None were not given.

    Raises ScenarioError (exit code 2): a file or a variable that cannot be used.
    """
    environ = os.environ if environ is None else environ
    found = [user_file(environ), project_file(_here() if folder is None else folder)]
    files = tuple(one for one in found if one is not None)
    values: dict[str, Any] = {name: getattr(Settings(), name) for name in names()}
    origins = dict.fromkeys(names(), DEFAULT)
    keys: dict[str, tuple[str, ...]] = {}
    for file in files:
        values |= file.values
        keys |= file.keys
        for name, line in file.lines.items():
            if name in file.values or name.removeprefix("keys.") in file.keys:
                origins[name] = Origin(file.layer, str(file.path), line)
    for name, value in _from_environment(environ):
        origin = Origin("environment", variable(name))
        if name == "keys":
            keys |= value
            origins |= {f"keys.{one}": origin for one in value}
        else:
            values[name], origins[name] = value, origin
    for name, value in (flags or {}).items():
        if value is not None:
            said = f"--no-{name}" if value is False else f"--{name}"
            values[name], origins[name] = value, Origin("flag", said)
    values["keys"] = {one: list(keys[one]) for one in sorted(keys)}
    resolved = Resolved(Settings(**values), origins, files)
    _check_theme(resolved)
    return resolved


def _here() -> Path:
    try:
        return Path.cwd()
    except OSError:  # The folder was removed under us.
        return Path("/")


def _check_theme(resolved: Resolved) -> None:
    for name in ("theme", "stage_theme"):
        theme = getattr(resolved.settings, name)
        why = theme_files.why_unknown(theme)
        if why and (theme or name == "theme"):
            raise resolved.origins[name].mistake(why)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """(setting, value) of every variable that says something; an empty one says nothing."""
    for name in names():
        text = environ.get(variable(name), "").strip()
        if text:
            yield name, _value(name, text)


def _value(name: str, text: str) -> Any:
    """What a variable says, of the setting's type."""
    kind = type(getattr(Settings(), name))
    value: Any = text
    if kind is dict:
        return _keys(name, text)
    if kind is bool:
        if text.casefold() not in (*TRUE, *FALSE):
            raise ScenarioError(variable(name), 0, f'"{text}" is neither 1 (yes) nor 0 (no)')
        value = text.casefold() in TRUE
    elif kind is int:
        if not (text.isdecimal() and len(text) <= DIGITS_MAX):
            raise ScenarioError(variable(name), 0, f'"{text[:20]}" is not a whole number')
        value = int(text)
    try:
        return getattr(msgspec.convert({name: value}, Settings), name)
    except msgspec.ValidationError as error:
        wrong = complaints.not_valid("", "", {name: value}, str(error), Settings)
        raise ScenarioError(variable(name), 0, wrong.reason) from None


def _keys(name: str, text: str) -> dict[str, tuple[str, ...]]:
    """`play.toggle=p step.forward=l step.forward=right`: id -> keys."""
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split():
        binding, sign, key = part.partition("=")
        if not (binding and sign):
            raise ScenarioError(variable(name), 0, f'"{part}" is not ID=KEY, as play.toggle=p is')
        found[binding] = (*found.get(binding, ()), key) if key else ()
    return found
