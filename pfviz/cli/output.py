"""Where a verb's data goes, and how a user's mistake is told: one line, no traceback."""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from pfviz.cli.progress import make_room
from pfviz.report.whole_file import whole_file
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.views.rows import beside as beside
from pfviz.views.rows import to_ascii

STDOUT = "-"


class Complaint(click.ClickException):
    """A mistake in the user's files or words."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = exit_code

    def show(self, file: object = None) -> None:  # noqa: ARG002
        """Print it the way compilers do, for editors to find the line."""
        click.echo(f"pfviz: {self.message}", err=True)


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors of scenarios and captures into complaints with their exit codes."""
    try:
        yield
    except ScenarioError as error:
        raise Complaint(str(error), error.exit_code) from None
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        # CaptureError, without importing the trace layer for verbs that do not need it.
        code = getattr(error, "exit_code", None)
        if isinstance(code, int):
            raise Complaint(printable(str(error)), code) from None
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            name = printable(str(error.filename))
            raise Complaint(f"{name[:60]}...: no file has so long a name", 3) from None
        raise


def write(text: str, path: str = STDOUT, flush: bool = True) -> None:
    """Write data to a file, or to standard output in whatever encoding that has."""
    if path == STDOUT:
        make_room()
        stream = sys.stdout
        if (stream.encoding or "utf-8").lower().replace("-", "") != "utf8":
            text = to_ascii(text)
        stream.write(text)
        if flush:
            stream.flush()
        return
    try:
        with whole_file(Path(path)) as file:
            file.write(text.encode())
    except OSError as error:
        raise Complaint(f"{path}: cannot be written: {error.strerror}", 2) from None


def write_json(value: object, path: str = STDOUT) -> None:
    """Write JSON."""
    from pfviz.report.json import encode  # Not needed by those who only ask for words to complete.

    write(encode(value), path)


def write_lines(lines: Iterable[str], path: str = STDOUT) -> None:
    """Write lines of text, as they come when they go to standard output."""
    if path == STDOUT:
        for line in lines:
            write(f"{line}\n", flush=False)
        sys.stdout.flush()
    else:
        write("".join(f"{line}\n" for line in lines), path)


def columns() -> int | None:
    """How wide standard output is; None when it is no terminal, where nothing need fit."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def leave(code: int) -> NoReturn:
    """End the verb with an exit code."""
    raise click.exceptions.Exit(code)


def say(text: str) -> None:
    """Tell the person something that is not data."""
    make_room()
    click.echo(text, err=True)
