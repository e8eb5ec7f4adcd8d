"""`pfviz play`, and the gallery: the screen where there is one, the same as text elsewhere."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pfviz.cli.input import run_to_read
from pfviz.cli.options import (
    SCENARIO,
    data_options,
    overrides_of,
    run_options,
    screen_options,
    steps_option,
)
from pfviz.cli.output import STDOUT, beside, columns, leave, say, write_json, write_lines
from pfviz.cli.progress import progress, reading
from pfviz.cli.screen import screen_words
from pfviz.mm.presets import preset
from pfviz.scenario.errors import printable
from pfviz.scenario.overrides import NO_CHANGES, Overrides, kernel_of

if TYPE_CHECKING:
    from pfviz.report.source import Source
    from pfviz.scenario.talk import Talk

MATRIX: Final = "matrix"
"""What is no scenario but has a name: the matrix of faults and kernels."""


@click.command("play")
@click.argument("source", type=SCENARIO, required=False)
@click.option("--last", is_flag=True, help="Go on with what was played last, where it was left.")
@click.option("--recent", is_flag=True, help="List what was played lately.")
@click.option("--compare", is_flag=True, help="Begin with the lock modes side by side.")
@click.option("--stage", is_flag=True, help="Begin on the large, quiet screen for talks.")
@run_options
@screen_options
@steps_option
@data_options
def command(source: str | None, last: bool, recent: bool, **options: Any) -> None:
    """Play SOURCE: a scenario (a name, a file or -), a capture (a file or -), a talk, or a token.

    Without a terminal, or with --json or -o, nothing is opened: the summary is printed; --plain
    tells what happens in sentences, --steps step by step.

    \b
    pfviz play two-mallocs --compare      the lock modes side by side
    zcat trace.txt.gz | pfviz play -      a capture from standard input
    pfviz play pf1:hello-fault:km8g1za5   where the sender of a share token was
    pfviz play talk                       a talk: driven by a clicker, or by PgUp and PgDn
    pfviz play two-mallocs --stage        one scenario on the same large, quiet screen
    pfviz play --last                     what was played last, where it was left
    pfviz play matrix                     which lock serves which fault, in every kernel
    """
    overrides = overrides_of(options)
    if last or recent:
        if source is not None:
            raise click.UsageError("--last and --recent take no SOURCE")
        from pfviz.cli.recent import last_played, list_recent

        leave(show(last_played(), **options) if last else list_recent(**options))
    if source is None:
        raise click.UsageError("SOURCE is missing")
    if source == MATRIX and not Path(source).exists():
        leave(_show_matrix(overrides, **options))
    opened = run_to_read(source, overrides)
    if opened.talk is not None and overrides != NO_CHANGES:
        say("pfviz: the scenes of a talk say what is changed: --kernel, --mode and the like do not")
    if opened.capture is not None and overrides != NO_CHANGES:
        say("pfviz: a capture has happened: --kernel, --mode and the like change nothing")
    leave(show(opened, **options))


def _show_matrix(
    overrides: Overrides, plain: bool, as_json: bool, output: str, compare: bool, stage: bool,
    steps: bool, **screen: Any,
) -> int:  # fmt: skip
    """The matrix on the screen, or as `pfviz matrix` tells it."""
    from pfviz.cli.matrix import show_matrix

    del compare, stage
    plain = plain or steps
    kernels = (overrides.kernel,) if overrides.kernel else ()
    return show_matrix(kernels, (), overrides.policy, plain, as_json, output, True, **screen)


def show(
    source: Source, plain: bool = False, as_json: bool = False, output: str = "-",
    compare: bool = False, stage: bool = False, steps: bool = False, **screen: Any,
) -> int:  # fmt: skip
    """Show a source on the screen if there is one; else tell it. The exit code."""
    if not (plain or steps or as_json or output != "-") and has_screen():
        words = screen_words(**screen, stage=stage or source.talk is not None)
        from pfviz.tui.start import run_app

        modes = _modes(source) if compare else source.modes
        with _terminal_as_input(source) as shown:
            return int(run_app(shown, compare=modes, stage=stage, **words) or 0)
    if source.talk is not None:
        return tell_talk(source.talk, as_json, output)
    if source.capture is not None:
        return tell_capture(source.capture, plain, as_json, output, steps)
    return tell_scenario(source, plain, as_json, output, steps)


def _modes(source: Source) -> tuple[str, ...]:
    """The modes that the source's kernel can have; none for a capture."""
    if source.scenario is None:
        return ()
    kernel = preset(kernel_of(source.scenario, source.overrides))
    return kernel.modes


def open_gallery() -> None:
    """The gallery of scenarios; without a terminal, their list."""
    if has_screen():
        words = screen_words()
        from pfviz.tui.start import run_app

        code = run_app(None, **words)
        sys.exit(int(code or 0))
    from pfviz.cli.scenario import gallery_lines
    from pfviz.trace.samples import samples

    width = columns()
    recorded = [
        line
        for one in samples()
        for line in beside(f"{one.name}  ", f"{one.title} (recorded, Linux {one.kernel})", width)
    ]
    write_lines([*gallery_lines(width), "", *recorded])


def in_browser() -> bool:
    """Whether `pfviz serve` started this, for a visitor's browser to show."""
    return "PFVIZ_IN_BROWSER" in os.environ


def has_screen() -> bool:
    """Whether standard output is a terminal that can show a screen, or a browser's page."""
    if in_browser():
        return True
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "")


def tell_scenario(
    source: Source, plain: bool, as_json: bool, output: str, steps: bool = False
) -> int:  # fmt: skip
    """Run a scenario to its end and print its story, its JSON or a summary."""
    from pfviz.cli.run import tell, verdict
    from pfviz.report.run import Runs

    assert source.scenario is not None
    with progress(f"running {source.scenario.name}", "steps") as told:
        finished = Runs(source.scenario, told=told).finish(source.overrides)
    if as_json:
        write_json(finished.object, output)
    elif plain or steps:
        tell(finished, steps, output)
    else:
        from pfviz.report.text import summary

        write_lines(summary(finished.object, source.scenario.title), output)
    return verdict(finished)


def tell_talk(talk: Talk, as_json: bool, output: str) -> int:
    """Print a talk with its notes."""
    from pfviz.report import talk_text

    if as_json:
        write_json(talk_text.plain(talk), output)
    else:
        write_lines((printable(line) for line in talk_text.lines(talk)), output)
    return 0


def tell_capture(
    path: str, plain: bool, as_json: bool, output: str, steps: bool = False
) -> int:  # fmt: skip
    """Print a capture in sentences, event by event, or what it counts up to."""
    from pfviz.report import capture

    with progress(reading(path), "lines") as told:
        if as_json:
            write_json(capture.figures(path, told), output)
        elif steps:
            write_lines(capture.event_lines(path, told), output)
        elif plain:
            write_lines(capture.story(path, told), output)
        else:
            write_lines(capture.tell(path, told), output)
    return 0


def _captured(path: str) -> Source:
    from pfviz.report.source import Source

    return Source(capture=path)


@contextmanager
def _terminal_as_input(source: Source) -> Iterator[Source]:
    """Give standard input back to the keyboard when the source came through it."""
    if sys.stdin.isatty() or in_browser():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="pfviz-") as folder:
        if source.capture == STDOUT:
            copy = Path(folder, "stdin")
            copy.write_bytes(sys.stdin.buffer.read())
            source = _captured(str(copy))
        with suppress(OSError):  # Without a terminal to read from, it can still be looked at.
            terminal = os.open("/dev/tty", os.O_RDONLY)
            os.dup2(terminal, 0)
            os.close(terminal)
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        yield source
