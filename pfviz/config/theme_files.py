"""Themes by name: ours, and the person's own from `themes/NAME.toml`. No terminal.

base = "dark"            # any of ours

[colors]
mmap = "#ff8800"         # what is not named here is the base's
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pfviz.places import config_home
from pfviz.scenario.complaints import not_toml
from pfviz.scenario.documents import read_text
from pfviz.scenario.errors import ScenarioError, hint, printable
from pfviz.scenario.positions import line_of, positions
from pfviz.views.contrast import weak_spots
from pfviz.views.palettes import PALETTES, SHORT_NAMES, Palette

FOLDER: Final = "themes"
KEYS: Final = ("base", "colors")
_COLOR: Final = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class ThemeListing:
    """A theme that can be worn by name; `error` is set when its file is not right."""

    name: str
    palette: Palette | None
    path: str = ""
    """Empty for ours."""
    error: str = ""
    warnings: tuple[str, ...] = ()


def themes_folder() -> Path:
    """Where a person's own themes live: $XDG_CONFIG_HOME/pfviz/themes."""
    return config_home() / FOLDER


def palette_of(name: str) -> Palette:
    """The palette of a theme: an own one, or one of ours by its short or its whole name.

    Raises ScenarioError: there is none of that name, or its file is not right.
    """
    own = _own()
    if name in own:
        return read_theme(own[name])
    known = PALETTES.get(SHORT_NAMES.get(name, name))
    if known is None:
        raise ScenarioError("theme", 0, why_unknown(name))
    return known


def why_unknown(name: str) -> str:
    """What is wrong with a theme's name; empty when there is a theme of that name."""
    known = {*SHORT_NAMES, *_own()}
    if name in known or name in PALETTES:
        return ""
    return f'theme "{printable(name)}" is not known here{hint(name, known)}'


def theme_names() -> tuple[str, ...]:
    """The names that can be said: ours, then the person's own."""
    return (*SHORT_NAMES, *(name for name in sorted(_own()) if name not in SHORT_NAMES))


def listing() -> Iterator[ThemeListing]:
    """Every theme that has a name, the broken ones with what is wrong; an own one hides ours."""
    own = _own()
    for name in theme_names():
        path = own.get(name)
        if path is None:
            yield ThemeListing(name, PALETTES[SHORT_NAMES[name]])
            continue
        try:
            palette = read_theme(path)
        except ScenarioError as error:
            yield ThemeListing(name, None, str(path), str(error))
        else:
            yield ThemeListing(name, palette, str(path), "", tuple(warnings(palette)))


def read_theme(path: Path) -> Palette:
    """The palette that a file describes; its name is the file's.

    Raises ScenarioError: file, line, key and what could stand there.
    """
    label, text = str(path), _text(path)
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise not_toml(label, text, error) from None
    for key in said:
        if key not in KEYS:
            raise _wrong(label, text, (key,), f'key "{key}" is not known here{hint(key, KEYS)}')
    base = said.get("base", "dark")
    palette = PALETTES.get(SHORT_NAMES.get(str(base), str(base)))
    if palette is None:
        reason = f'base = "{base}" is not known here{hint(str(base), SHORT_NAMES)}'
        raise _wrong(label, text, ("base",), reason)
    colors = said.get("colors", {})
    if not isinstance(colors, dict):
        raise _wrong(label, text, ("colors",), "colors is a table: write [colors], then mmap = ...")
    known = Palette.color_names()
    for name, color in colors.items():
        at = ("colors", name)
        if name not in known:
            raise _wrong(label, text, at, f'key "{name}" is not known here{hint(name, known)}')
        if not isinstance(color, str) or not _COLOR.fullmatch(color):
            said_so = f'"{color}"' if isinstance(color, str) else str(color)
            reason = f'{name} = {said_so} is not a colour: write it as "#rrggbb"'
            raise _wrong(label, text, at, reason)
    changes: dict[str, Any] = {name: color.lower() for name, color in colors.items()}
    return replace(palette, name=path.stem, **changes)


def is_theme(path: Path) -> bool:
    """Whether a file is a theme: one of a folder `themes`, or one with `[colors]`."""
    if path.parent.name == FOLDER:
        return True
    try:
        return "colors" in tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False


def own_themes() -> tuple[Path, ...]:
    """The files of a person's own themes."""
    return tuple(_own().values())


def _text(path: Path) -> str:
    """The text of the file; an empty one is its base."""
    if path.is_file() and not path.read_bytes().strip():
        return ""
    try:
        return read_text(path)
    except ScenarioError as error:
        reason = error.reason.replace("a scenario is", "a theme is").replace("a scenario", "one")
        raise ScenarioError(str(path), error.line, reason) from None


def _wrong(label: str, text: str, at: tuple[str, ...], reason: str) -> ScenarioError:
    return ScenarioError(label, line_of(positions(text), at), reason)


def warnings(palette: Palette) -> Iterator[str]:
    """What can hardly be read in a palette."""
    for name, ratio, least in weak_spots(palette):
        yield f"{name} has a contrast of {ratio:.1f} to its ground: {least:g} can be read"


def _own() -> dict[str, Path]:
    folder = themes_folder()
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    return {path.stem: path for path in files}
