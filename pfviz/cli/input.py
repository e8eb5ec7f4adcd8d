"""What a verb reads: a file that is there, or a pipe, which is read as standard input is.

Looks at what kind of file a name means; what is in it, others read.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from pfviz.cli.output import Complaint, say
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.schema import Scenario

if TYPE_CHECKING:
    from pfviz.report.source import Source

STDIN: Final = "-"
PATIENCE_MS: Final = 500
"""Nothing is said about a pipe whose writer is this quick: `pfviz play <(zcat trace.txt.gz)`."""


def run_to_read(name: str, overrides: Overrides) -> Source:
    """What a verb is to run: a scenario, a capture or a token, with the options' changes.

    Over a token only options count that were typed: it says all that the environment could.
    """
    from pfviz.report.source import open_source
    from pfviz.scenario.token import is_token

    if not is_token(name):
        return open_source(name, overrides)
    source = open_source(name, _typed(overrides))
    if source.shared is not None and source.shared.note:
        say(f"pfviz: {source.shared.note}")
    return source


def _typed(overrides: Overrides) -> Overrides:
    """The changes whose options stand on the command line."""
    context = click.get_current_context()
    typed = {
        field: getattr(overrides, field)
        for option, field in (
            ("kernel", "kernel"), ("mode", "mode"), ("machine", "machine"), ("seed", "seed"),
            ("threads", "threads"), ("until", "until_ns"), ("without", "without"),
            ("policy", "policy"),
        )
        if context.get_parameter_source(option) is ParameterSource.COMMANDLINE
    }  # fmt: skip
    return Overrides(**typed)


def scenario_in(source: Source) -> Scenario:
    """The scenario of a source; Complaint for a capture or a talk, which nobody can run."""
    if source.scenario is None:
        what = "talk" if source.talk is not None else "capture"
        raise Complaint(f"{printable(source.name)}: is a {what}: pfviz play shows it", 2)
    return source.scenario


def file_to_read(name: str) -> str:
    """The file of a verb that takes nothing else; Complaint (exit code 3) when it is none.

    A pipe takes the place of standard input, and what is returned is "-".
    """
    if name != STDIN:
        path = Path(name)
        if path.is_dir():
            raise Complaint(f"{printable(name)}: is a folder, not a file", 3)
        if not path.exists():
            raise Complaint(f"{printable(name)}: there is no such file", 3)
    return piped(name)


def piped(name: str) -> str:
    """`name`, but "-" for a pipe, which then is standard input; says what is waited for.

    A pipe can be read once only and never be looked into first: files are opened twice.
    """
    if name == STDIN:
        if sys.stdin is not None and sys.stdin.isatty():
            say("pfviz: reading what you type; Ctrl-D ends it")
        return name
    try:
        if not stat.S_ISFIFO(Path(name).stat().st_mode):
            return name
    except (OSError, ValueError):
        return name  # It may be the name of a scenario; who opens it will say.
    try:
        # Opening it without O_NONBLOCK would sleep until somebody writes, before a word is said.
        pipe = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Complaint(f"{printable(name)}: cannot be read: {reason}", 3) from None
    if isinstance(getattr(sys.stdin, "name", None), int) and not sys.stdin.closed:
        raise Complaint(f"{printable(name)}: only one pipe can be read at a time", 2)
    _wait_for_data(pipe, name)
    os.set_blocking(pipe, True)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(pipe)), encoding="utf-8")
    return STDIN


def _wait_for_data(pipe: int, name: str) -> None:
    """Wait until there is something to read, or a writer has come and gone."""
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    if not waiting.poll(PATIENCE_MS):
        say(f"pfviz: waiting for data from {printable(name)}, a pipe; Ctrl-C ends it")
        waiting.poll()
