"""`pfviz trace`: what a kernel capture counts up to."""

from __future__ import annotations

import click

from pfviz.cli.groups import Group
from pfviz.cli.input import file_to_read
from pfviz.cli.options import data_options
from pfviz.cli.output import write_json, write_lines
from pfviz.cli.progress import progress, reading


@click.group("trace", cls=Group)
def command() -> None:
    """Say what a kernel capture counts up to."""


@command.command("stats")
@click.argument("capture", metavar="FILE")
@data_options
def stats(capture: str, as_json: bool, output: str) -> None:
    """Print waits, holds, faults and losses of a capture (ftrace text, perf script, bpftrace)."""
    from pfviz.report import capture as report
    from pfviz.report.source import capture_named

    if capture_named(capture) is None:
        capture = file_to_read(capture)
    with progress(reading(capture), "lines") as told:
        if as_json:
            write_json(report.stats(capture, told), output)
        else:
            write_lines(report.summary(capture, told), output)
