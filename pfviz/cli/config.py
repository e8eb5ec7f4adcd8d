"""`pfviz config`: where the configuration is, what counts, and whether it can be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from pfviz import places
from pfviz.cli.groups import Group
from pfviz.cli.options import KeymapName, Word, data_options, look_options
from pfviz.cli.output import Complaint, beside, columns, leave, say, write, write_json, write_lines
from pfviz.config import keymap_files, theme_files
from pfviz.config.files import project_path, read, user_path
from pfviz.config.resolve import Resolved, resolve
from pfviz.config.sample import sample
from pfviz.config.settings import json_schema, names
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.views.palettes import Palette

PLACES: Final = ("config", "project", "keymaps", "themes", "scenarios", "state", "cache")


@click.group("config", cls=Group)
def command() -> None:
    """Say where the configuration is, what counts and where from; check it; write one."""


@command.command("path")
@click.argument("place", type=Word("place", (*PLACES, "all")), default="config")
@data_options
def path(place: str, as_json: bool, output: str) -> None:
    """Print where something is, there or not: config, keymaps, themes, scenarios, ...

    \b
    $EDITOR "$(pfviz config path)"        your configuration file
    pfviz config path all                 every place
    """
    known = _places()
    if as_json:
        write_json({name: known[name] for name in _asked(place)}, output)
    elif place == "all":
        write_lines([f"{name:<10} {known[name] or '-'}" for name in PLACES], output)
    elif not known[place]:
        raise Complaint("no pfviz.toml, and no [tool.pfviz], is here or above in the project", 2)
    else:
        write_lines([known[place]], output)


def _asked(place: str) -> tuple[str, ...]:
    return PLACES if place == "all" else (place,)


def _places() -> dict[str, str]:
    project = project_path(Path.cwd())
    return {
        "config": str(user_path(os.environ)),
        "project": "" if project is None else str(project),
        "keymaps": str(keymap_files.own_folder()),
        "themes": str(theme_files.themes_folder()),
        "scenarios": str(places.data_home() / "scenarios"),
        "state": str(places.state_home()),
        "cache": str(places.cache_home()),
    }


@command.command("show")
@look_options
@data_options
def show(as_json: bool, output: str, **flags: Any) -> None:
    """Print every setting that counts and where it comes from."""
    resolved = resolve({"ascii": flags.pop("ascii_only"), **flags})
    rows = _rows(resolved)
    if as_json:
        write_json({"files": [str(file.path) for file in resolved.files], "settings": rows}, output)
        return
    words = [msgspec.json.encode(row["value"]).decode() for row in rows]
    name_width = max(len(row["name"]) for row in rows)
    width = max(map(len, words))
    write_lines(
        [f"{row['name']:<{name_width}}  {word:<{width}}  {printable(row['from'])}"
         for row, word in zip(rows, words, strict=True)],
        output,
    )  # fmt: skip


def _rows(resolved: Resolved) -> list[dict[str, Any]]:
    """Name, value and origin of every setting, and of every key that was given another binding."""
    keys = resolved.rebindings()
    listed = [(name, getattr(resolved.settings, name)) for name in names() if name != "keys"]
    listed += [(f"keys.{name}", list(words)) for name, words in keys.items()]
    return [
        {"name": name, "value": value, "layer": resolved.origins[name].layer,
         "from": str(resolved.origins[name])}
        for name, value in listed
    ]  # fmt: skip


@command.command("validate")
@click.argument("files", nargs=-1, type=click.Path())
@data_options
def validate(files: tuple[str, ...], as_json: bool, output: str) -> None:
    """Say whether FILES can be used; without any, whether all that counts here can."""
    found: list[dict[str, Any]] = []
    for name in files or ("",):
        try:
            said = _checked(name)
        except ScenarioError as error:
            found.append({"path": name or error.source, "valid": False, "line": error.line,
                          "error": str(error)})  # fmt: skip
        else:
            found += [{"path": one, "valid": True, "line": 0, "error": ""} for one in said]
    if as_json:
        write_json(found, output)
    else:
        write_lines([one["error"] or f"{printable(one['path'])}: valid" for one in found], output)
    leave(0 if all(one["valid"] for one in found) else 2)


def _checked(name: str) -> list[str]:
    """What was looked at and is in order; ScenarioError for the first thing that is not."""
    from pfviz.tui.keymap import keymap_of

    if name:
        if not Path(name).is_file():
            raise ScenarioError(name, 0, "there is no such file")
        if theme_files.is_theme(Path(name)):
            _warn(name, theme_files.read_theme(Path(name)))
            return [name]
        resolved = resolve(environ={"PFVIZ_CONFIG": name}, folder=Path("/"))
        read("user", Path(name))
        keymap_of(resolved)
        return [name]
    resolved = resolve()
    keymap = keymap_of(resolved)
    files = [str(file.path) for file in resolved.files]
    for path in theme_files.own_themes():
        _warn(str(path), theme_files.read_theme(path))
        files.append(str(path))
    return [*files, f"keymap {keymap.name}"] if files else [f"defaults, keymap {keymap.name}"]


def _warn(name: str, palette: Palette) -> None:
    """Say which colours of a theme can hardly be read; it can be worn all the same."""
    for said in theme_files.warnings(palette):
        say(f"{printable(name)}: {said}")


@command.command("schema")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE.")
def schema(output: str) -> None:
    """Print the JSON Schema of configuration files, for editors."""
    write_json(json_schema(), output)


@command.command("init")
@click.option("-o", "--output", default="", metavar="FILE", help="Where; - prints it.")
def init(output: str) -> None:
    """Write a configuration file that changes nothing, with every setting explained."""
    if output == "-":
        write(sample())
        return
    place = places.expanded(output) if output else user_path(os.environ)
    if place.exists() or place.is_symlink():
        raise Complaint(f"{printable(str(place))}: is already there", 2)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Complaint(f"{place.parent}: cannot be made: {error.strerror}", 2) from None
    write(sample(), str(place))
    say(f"wrote {place}; pfviz config show says what counts")


@command.command("keys")
@click.option("--keymap", type=KeymapName(), help="Of this keymap, not of the one in use.")
@click.option("--toml", is_flag=True, help="As a keymap file to start from.")
@data_options
def keys(keymap: str | None, toml: bool, as_json: bool, output: str) -> None:
    """List what every key does, by the id that gives it another key."""
    from pfviz.tui import key_list
    from pfviz.tui.keymap import keymap_of

    made = keymap_of(resolve({"keymap": keymap}))
    if as_json:
        write_json(key_list.objects(made), output)
    elif toml:
        write(key_list.toml(made), output)
    else:
        width = columns() if output == "-" else None
        lines = [line for head, text in key_list.pairs(made) for line in beside(head, text, width)]
        write_lines(lines, output)
