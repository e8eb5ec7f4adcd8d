"""The table of verbs, loaded one at a time, and how a verb ends: exit codes and one-line errors.

A verb's module is imported when the verb is used, so that `pfviz run` starts without a screen.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

import pfviz
from pfviz.cli.groups import Group
from pfviz.cli.output import explained
from pfviz.cli.usage import misuse

VERBS: Final[dict[str, tuple[str, str]]] = {
    # verb: (module, what it does)
    "demo": ("demo", "Watch a monitor stop the process that it watches, right now."),
    "play": ("play", "Play a scenario or a kernel capture on the screen."),
    "run": ("run", "Run a scenario without a screen and say what happened."),
    "compare": ("compare", "Run one workload under several lock modes or kernels."),
    "check": ("check", "Run scenarios and hold them to their expect lines."),
    "matrix": ("matrix", "Which lock serves which fault in which kernel, by running each."),
    "import": ("import_", "Turn something real into a scenario."),
    "export": ("export", "Write a run or a capture in a format that other tools open."),
    "notes": ("notes", "The speaker notes of a talk, in a second terminal or printed."),
    "trace": ("trace", "Say what a kernel capture counts up to."),
    "scenario": ("scenario", "List, show, write and validate scenarios."),
    "maple": ("maple", "Replay recorded operations on a maple tree."),
    "serve": ("serve", "Show pfviz on a web page, for this machine."),
    "bench": ("bench", "Measure how fast pfviz itself is."),
    "config": ("config", "Say which settings count, and where each comes from."),
    "doctor": ("doctor", "Look at this terminal and this installation."),
    "completion": ("completion", "Print the completion script of a shell."),
}

EXIT_CODES: Final = (
    (0, "fine"),
    (1, "an expectation failed, a rule is broken, or runs differ"),
    (2, "usage or configuration"),
    (3, "input unreadable"),
    (4, "search budget exhausted"),
    (130, "interrupted"),
)
BROKEN_PIPE: Final = 0
INTERRUPTED: Final = 130


class Verbs(Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command behind a verb, imported now."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"pfviz.cli.{VERBS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take `pfviz help play` for `pfviz play --help`."""
        if args[:1] == ["help"]:
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs that begin so, from the table, without importing them; then the options."""
        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in VERBS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter  # noqa: ARG002
    ) -> None:  # fmt: skip
        """List the verbs from the table, without importing them."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **named: Any) -> Any:
        """Run with click's own ending, but 130 for an interrupt and silence for a closed pipe."""
        try:
            return super().main(args, *rest, **named)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    def make_context(self, *args: Any, **named: Any) -> click.Context:
        """Read the words before the verb; what is wrong with them becomes one line."""
        try:
            return super().make_context(*args, **named)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise misuse(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; a user's mistake becomes one line on stderr and its exit code."""
        try:
            with explained():
                result = super().invoke(ctx)
                sys.stdout.flush()
                return result
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise misuse(
                error, f"{ctx.command_path} {ctx.invoked_subcommand or ''}".rstrip()
            ) from None
        except BrokenPipeError:
            # Whoever read us has seen enough; nothing more may be written at exit either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except (KeyboardInterrupt, EOFError):
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)


@click.group(
    cls=Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"Exit codes: {', '.join(f'{code} {text}' for code, text in EXIT_CODES)}.",
)
@click.version_option(pfviz.__version__, prog_name="pfviz")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A terminal laboratory for Linux page-fault locking.

    Without a verb the gallery of scenarios opens. Data goes to standard output, everything else to
    standard error; without a terminal nothing opens a screen.
    """
    if ctx.invoked_subcommand is None:
        from pfviz.cli.play import open_gallery

        open_gallery()
