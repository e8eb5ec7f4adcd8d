"""`pfviz scenario`: list, show, new, validate, schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pfviz.cli.groups import Group
from pfviz.cli.options import SCENARIO, data_options
from pfviz.cli.output import (
    STDOUT,
    Complaint,
    beside,
    columns,
    leave,
    write,
    write_json,
    write_lines,
)
from pfviz.scenario.documents import read_text
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.scenario.names import own_folder
from pfviz.scenario.template import TEMPLATE


@click.group("scenario", cls=Group)
def command() -> None:
    """List, show, write and validate scenarios."""


@command.command("list")
@data_options
def list_(as_json: bool, output: str) -> None:
    """List every scenario that can be opened by name."""
    from pfviz.scenario.load import listing

    if as_json:
        known = [
            {"name": one.name, "title": one.title, "story": one.story, "path": one.path}
            for one in listing()
        ]
        write_json(known, output)
    else:
        write_lines(gallery_lines(columns() if output == STDOUT else None), output)


@command.command("show")
@click.argument("name", type=SCENARIO)
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE.")
def show(name: str, output: str) -> None:
    """Print the text of a scenario or a talk, to read it or to start from it."""
    from pfviz.scenario.load import find
    from pfviz.scenario.talk_load import is_talk, talk_named
    from pfviz.scenario.token import decode, is_token

    if is_talk(name):
        text = read_text(talk_named(name))
    else:
        text = read_text(find(decode(name).name if is_token(name) else name))
    write("".join(char if char.isprintable() or char in "\n\t" else "?" for char in text), output)


@command.command("new")
@click.argument("name")
@click.option("-o", "--output", default="", metavar="FILE", help="Where; - prints it.")
def new(name: str, output: str) -> None:
    """Write a scenario to start from, with every table explained."""
    stem = Path(name).name.removesuffix(".toml")
    if not stem or not stem.isprintable():
        raise Complaint(f'"{printable(name)}" is no name for a file', 2)
    text = TEMPLATE.replace("@TITLE@", stem.replace("-", " ").replace('"', "'").capitalize())
    if output == "-":
        write(text)
        return
    path = Path(output or (name if name.endswith(".toml") else f"{name}.toml"))
    if path.exists():
        raise Complaint(f"{printable(str(path))}: is already there", 2)
    write(text, str(path))
    click.echo(f"wrote {path}; try: pfviz play {path}", err=True)


@command.command("validate")
@click.argument("files", nargs=-1, required=True, type=SCENARIO)
@data_options
def validate(files: tuple[str, ...], as_json: bool, output: str) -> None:
    """Say what is wrong with FILES (scenarios or talks), without running them."""
    from pfviz.report.source import open_scenario
    from pfviz.scenario.talk_load import is_talk, open_talk

    found: list[dict[str, Any]] = []
    code = 0
    for name in files:
        try:
            open_talk(name) if is_talk(name) else open_scenario(name)
        except ScenarioError as error:
            code = max(code, error.exit_code)
            found.append({"path": name, "valid": False, "line": error.line, "error": str(error)})
        else:
            found.append({"path": name, "valid": True, "line": 0, "error": ""})
    if as_json:
        write_json(found, output)
    else:
        write_lines([one["error"] or f"{printable(one['path'])}: valid" for one in found], output)
    leave(code)


@command.command("schema")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE.")
@click.option("--talk", is_flag=True, help="That of talk files instead.")
def schema(output: str, talk: bool) -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from pfviz.scenario import talk_schema
    from pfviz.scenario.schema import json_schema

    write_json(talk_schema.json_schema() if talk else json_schema(), output)


def gallery_lines(width_max: int | None = None) -> list[str]:
    """The scenarios by name, with what each is about; a title too wide goes on under itself."""
    from pfviz.scenario.load import listing
    from pfviz.scenario.talk_load import talks

    known = listing()
    if not known:
        return [f"There are no scenarios: none is installed, and none is in {own_folder()}."]
    width = max(len(one.name) for one in known)
    lines: list[str] = []
    for one in known:
        title = printable(one.title) + (f"  (cannot be used: {one.error})" if one.error else "")
        lines += beside(f"{one.name:<{width}}  ", title, width_max)
    lines.append("")
    for talk in talks():
        length = f"a talk of {talk.minutes:g} minutes"
        said = f"cannot be used: {talk.error}" if talk.error else length
        title = f"{printable(talk.title)} ({said})"
        lines += beside(f"{printable(talk.name):<{width}}  ", title, width_max)
    last = "pfviz play NAME plays one, pfviz run NAME says what happens in it."
    return [*lines, "", *beside("", last, width_max)]
