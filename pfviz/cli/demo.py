"""`pfviz demo`: something to watch at once."""

from __future__ import annotations

from typing import Any, Final

import click

from pfviz.cli.options import data_options, overrides_of, run_options, screen_options, steps_option
from pfviz.cli.output import leave
from pfviz.cli.play import show

DEMO: Final = "smaps-monitor"


@click.command("demo")
@run_options
@screen_options
@steps_option
@data_options
def command(**options: Any) -> None:
    """Watch a monitor that reads smaps bring a process to a halt."""
    from pfviz.report.source import Source, open_scenario

    overrides = overrides_of(options)
    leave(show(Source(open_scenario(DEMO), overrides), **options))
