"""`pfviz doctor`: what this terminal can show and whether this installation is whole."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from typing import Any, Final

import click

import pfviz
from pfviz.cli.options import data_options
from pfviz.cli.output import leave, write_json, write_lines
from pfviz.scenario.names import own_folder

NEEDS: Final = ("textual", "rich", "numpy", "click", "msgspec")
COLUMNS_MIN, LINES_MIN = 80, 24


@click.command("doctor")
@data_options
def command(as_json: bool, output: str) -> None:
    """Look at this terminal and this installation, and say what to do about what is wrong."""
    found = [*_installation(), *_terminal()]
    if as_json:
        write_json(found, output)
    else:
        width = max(len(one["what"]) for one in found)
        marks = {"fine": "ok  ", "note": "note", "wrong": "BAD "}
        lines = [
            f"{marks[one['state']]}  {one['what']:<{width}}  {one['value']}"
            + (f"  -> {one['advice']}" if one["advice"] else "")
            for one in found
        ]
        write_lines(lines, output)
    leave(1 if any(one["state"] == "wrong" for one in found) else 0)


def _row(what: str, value: object, state: str = "fine", advice: str = "") -> dict[str, Any]:
    return {"what": what, "value": str(value), "state": state, "advice": advice}


def _installation() -> list[dict[str, Any]]:
    rows = [_row("pfviz", pfviz.__version__)]
    is_old = sys.version_info < (3, 11)
    rows.append(
        _row("python", platform.python_version(), "wrong" if is_old else "fine",
             "3.11 or newer is needed" if is_old else "")
    )  # fmt: skip
    for name in NEEDS:
        try:
            rows.append(_row(name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            rows.append(_row(name, "missing", "wrong", f"pip install {name}"))
    from pfviz.scenario.load import listing

    known = listing()
    broken = [one.name for one in known if one.error]
    advice = f"pfviz scenario validate {' '.join(broken)}" if broken else ""
    if not known:
        advice = "the installation is not whole: install pfviz again"
    state = "wrong" if broken or not known else "fine"
    rows.append(_row("scenarios", f"{len(known)}, own ones in {own_folder()}", state, advice))
    return rows


def _terminal() -> list[dict[str, Any]]:
    size = shutil.get_terminal_size()
    is_small = size.columns < COLUMNS_MIN or size.lines < LINES_MIN
    term = os.environ.get("TERM", "")
    encoding = sys.stdout.encoding or "none"
    colours = os.environ.get("COLORTERM", "") or ("256" if "256" in term else "16 or fewer")
    has_utf8 = encoding.lower().replace("-", "") == "utf8"
    rows = [
        _row("terminal", "yes" if sys.stdout.isatty() else "no (output goes elsewhere)", "fine"),
        _row("TERM", term or "not set", "note" if term in ("", "dumb") else "fine",
             "no screen can be shown: text is printed instead" if term in ("", "dumb") else ""),
        _row("size", f"{size.columns} x {size.lines}", "note" if is_small else "fine",
             f"{COLUMNS_MIN} x {LINES_MIN} shows more" if is_small else ""),
        _row("colours", colours),
        _row("encoding", encoding, "fine" if has_utf8 else "note",
             "" if has_utf8 else "ASCII glyphs are used; set a UTF-8 locale for better ones"),
    ]  # fmt: skip
    others = ("NO_COLOR", "FORCE_COLOR", "TMUX", "SSH_CONNECTION")
    return rows + [_row(name, "set") for name in others if os.environ.get(name)]
