"""`pfviz maple`: recorded operations replayed on a maple tree of ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfviz.cli.input import file_to_read
from pfviz.cli.options import data_options
from pfviz.cli.output import Complaint, leave, say, write_json, write_lines
from pfviz.cli.progress import progress

if TYPE_CHECKING:
    from pfviz.mm.maple.replay_report import ReplayReport

STDIN = "-"


@click.group("maple")
def command() -> None:
    """Replay recorded operations on a maple tree."""


@command.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("--all", "draws_all", is_flag=True, help="Draw every failure, not only three a file.")
@data_options
def replay(files: tuple[str, ...], draws_all: bool, output: str, as_json: bool) -> None:
    """Replay FILES (recorded from the kernel's own tree) and compare every node.

    A file that cannot be read does not hide the verdicts on the others. - is standard input.
    """
    from pfviz.mm.maple.replay_report import FAILURES_DRAWN_MAX, report_lines, report_object

    reports: list[ReplayReport] = []
    refusals: list[tuple[str, str]] = []
    replayed = _replay_each(files, reports, refusals)
    if as_json:
        for _ in replayed:
            pass
        write_json(report_object(reports, refusals), output)
    else:
        drawn_max = None if draws_all else FAILURES_DRAWN_MAX
        write_lines(report_lines(replayed, drawn_max), output)
    if refusals:
        for _, refusal in refusals[:-1]:
            say(f"pfviz: {refusal}")
        raise Complaint(refusals[-1][1], 3)
    leave(1 if any(report.failed for report in reports) else 0)


def _replay_each(
    files: tuple[str, ...], reports: list[ReplayReport], refusals: list[tuple[str, str]]
) -> Iterator[ReplayReport]:
    """Yield a report per file as soon as it is there, and collect what could not be read."""
    from pfviz.mm.maple.replay import replay_file, replay_source
    from pfviz.mm.maple.vector_line import VectorError

    for number, name in enumerate(files):
        with progress("replaying") as shown:
            try:
                path = file_to_read(name)
                which = f" ({number + 1} of {len(files)})" if len(files) > 1 else ""
                shown.what = f"replaying {Path(path).name}{which}"
                if path == STDIN:
                    report = replay_source(sys.stdin.buffer, "standard input", shown)
                else:
                    report = replay_file(path, shown)
            except (VectorError, Complaint) as error:
                refusals.append((name, str(error)))
                continue
        reports.append(report)
        yield report
