"""Keymaps by name: those that ship, and a person's own in keymaps/ of the configuration.

A keymap gives other keys to some bindings; it does not know which bindings there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from pfviz.config.settings import KeyWords, rebindings
from pfviz.places import config_home
from pfviz.scenario.documents import converted, read_text
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.positions import positions

DEFAULT: Final = "default"


class KeymapFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A keymap as its file has it."""

    title: Annotated[str, Meta(description="For whom it is, in one line.")] = ""
    keys: Annotated[
        dict[str, KeyWords | dict[str, KeyWords]],
        Meta(description="Binding id -> its keys; what is not named keeps the default ones."),
    ] = {}


@dataclass(frozen=True, slots=True)
class NamedKeymap:
    """A keymap that was read."""

    name: str
    title: str
    path: Path
    keys: Mapping[str, tuple[str, ...]]
    lines: Mapping[str, int]
    """Binding id -> line of the file."""


def own_folder() -> Path:
    """Where a person's own keymaps are."""
    return config_home() / "keymaps"


def shipped_folder() -> Path:
    """Where the keymaps are that ship with pfviz."""
    return Path(str(resources.files("pfviz.config"))) / "keymaps"


def keymap_names() -> tuple[str, ...]:
    """The names of all keymaps, `default` first."""
    found = {path.stem for folder in (shipped_folder(), own_folder())
             for path in folder.glob("*.toml")}  # fmt: skip
    return (DEFAULT, *sorted(found - {DEFAULT}))


def keymap_path(name: str) -> Path | None:
    """The file of a keymap, a person's own before one that ships; None when there is none."""
    if name not in keymap_names():  # A name, never a way out of the folder.
        return None
    for folder in (own_folder(), shipped_folder()):
        path = folder / f"{name}.toml"
        if path.is_file():
            return path
    return None


def why_unknown(name: str) -> str:
    """What is wrong with a keymap's name; empty when nothing is."""
    if keymap_path(name) is not None:
        return ""
    return f'keymap "{name}" is not known here{hint(name, keymap_names())}'


def keymap_named(name: str) -> NamedKeymap:
    """Read a keymap.

    Raises ScenarioError (exit code 2): there is none of that name, or its file cannot be used.
    """
    path = keymap_path(name)
    if path is None:
        raise ScenarioError(name, 0, why_unknown(name))
    return read_keymap(path)


def read_keymap(path: Path) -> NamedKeymap:
    """Read the keymap of a file; ScenarioError (exit code 2) when it cannot be used."""
    label = str(path)
    try:
        text = read_text(path)
        file = converted(text, label, KeymapFile)
    except ScenarioError as error:
        raise ScenarioError(label, error.line, error.reason) from None
    found = {".".join(map(str, at[1:])): line for at, line in positions(text).items()
             if at[:1] == ("keys",) and len(at) > 1}  # fmt: skip
    return NamedKeymap(path.stem, file.title, path, rebindings(file.keys), found)
