"""`pfviz maple`: recorded operations replayed on a maple tree of ours."""

from __future__ import annotations

import click

from pfviz.cli.groups import Group
from pfviz.cli.output import Complaint, leave, write


@click.group("maple", cls=Group)
def command() -> None:
    """Replay recorded operations on a maple tree."""


@command.command("replay")
@click.argument("files", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE.")
def replay(files: tuple[str, ...], output: str) -> None:
    """Replay FILES (recorded from the kernel's own tree) and compare every node."""
    from pfviz.mm.maple.replay import replay_file
    from pfviz.mm.maple.replay_report import printable, render_reports
    from pfviz.mm.maple.vector_line import VectorError

    reports = []
    for path in files:
        try:
            reports.append(replay_file(path))
        except VectorError as error:
            raise Complaint(str(error), 3) from None
        except OSError as error:
            raise Complaint(f"{printable(path)}: {error.strerror or error}", 3) from None
    write(render_reports(reports).rstrip("\n") + "\n", output)
    leave(1 if any(report.failed for report in reports) else 0)
