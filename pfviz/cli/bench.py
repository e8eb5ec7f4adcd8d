"""`pfviz bench`: how fast pfviz itself is, as ratios that do not depend on the machine."""

from __future__ import annotations

import click

from pfviz.cli.output import leave


@click.command("bench", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Measure how fast pfviz itself is."""
    from pfviz.report import bench

    leave(int(bench.main(list(arguments)) or 0))
