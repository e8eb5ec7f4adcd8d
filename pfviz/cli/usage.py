"""A verb that was called wrongly, answered in one line: the verb, the parameter, a way out.

click says the same in four lines; it refuses to know what the verbs do.
"""

from __future__ import annotations

from typing import Final

import click

from pfviz.cli.output import Complaint
from pfviz.scenario.errors import hint, printable

USAGE: Final = 2
_WAYS_OUT: Final = ("did you mean", "the nearest is", "it is one of")


class Misuse(Complaint):
    """Words on the command line that cannot be meant so."""

    def __init__(self, verb: str, reason: str) -> None:
        super().__init__(reason, USAGE)
        self.verb = verb

    def show(self, file: object = None) -> None:  # noqa: ARG002
        """Print it in one line that begins with the verb."""
        click.echo(f"{self.verb}: {self.message}", err=True)


def misuse(error: click.UsageError, verb: str = "pfviz") -> Misuse:
    """What click found wrong, in one line; `--help` is named where nothing better is known.

    `verb` is said where click does not know whose option it was.
    """
    if error.ctx is not None:
        verb = error.ctx.command_path
    reason = printable(" ".join(_reason(error).split())).rstrip(".")
    if not any(words in reason for words in _WAYS_OUT):
        reason += f"; see {verb} --help"
    return Misuse(verb, reason)


def _reason(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f'"{error.option_name}" is no option{_option_hint(error)}'
    if isinstance(error, click.MissingParameter):
        return f"{_parameter(error)} is missing"
    if isinstance(error, click.BadParameter):
        name = _parameter(error)
        return f"{name}: {_mistake(error)}" if name else error.message
    if isinstance(error, click.BadOptionUsage):
        return f"{error.option_name} must have a value"
    text = error.format_message()
    return text[:1].lower() + text[1:] if text.startswith("Got ") else text


def _mistake(error: click.BadParameter) -> str:
    """What is wrong with the value of a parameter."""
    kind = error.param.type if error.param is not None else None
    if isinstance(kind, click.IntRange):
        value = error.message.partition(" is not ")[0].strip("'")
        return f'"{value}" is not a whole number from {kind.min} to {kind.max}'
    return error.message


def _option_hint(error: click.NoSuchOption) -> str:
    """`; did you mean "--kernel"?`, and nothing when no option is near."""
    if error.ctx is None:
        return ""
    known = [name for param in error.ctx.command.params for name in param.opts if name[:2] == "--"]
    said = hint(error.option_name, known)
    return said if "did you mean" in said else ""


def _parameter(error: click.BadParameter) -> str:
    """The parameter as it is written on the command line: `--kernel`, `SCENARIO`."""
    if error.param is None:
        return str(error.param_hint or "")
    if isinstance(error.param, click.Option):
        return max(error.param.opts, key=len)
    return error.param.make_metavar(error.ctx or click.Context(click.Command(None))).strip("[].")
