"""Groups of commands that answer a misspelt one with the nearest."""

from __future__ import annotations

import click

from pfviz.scenario.errors import hint, printable


class Group(click.Group):
    """A group whose unknown commands are usage errors with a way out."""

    noun = "verb"
    """What its commands are called."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that was asked for, or an error with the nearest one."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise click.UsageError(
                f'"{printable(name)}" is not a {self.noun}{hint(name, known)}', ctx
            )
        return super().resolve_command(ctx, args)
