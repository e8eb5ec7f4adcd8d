"""`pfviz matrix`: which lock serves which fault in which kernel, found by running each of them."""

from __future__ import annotations

from typing import Any

import click

from pfviz.cli.options import KERNEL, PolicySwitch, Word, data_options
from pfviz.cli.output import columns, write_json, write_lines
from pfviz.report import matrix as report
from pfviz.scenario.fault_kinds import BY_ID

KIND = Word("kind", tuple(BY_ID))


@click.command("matrix")
@click.option("--kernel", "kernels", type=KERNEL, multiple=True, help="May be given repeatedly.")
@click.option("--kind", "kinds", type=KIND, multiple=True, help="May be given repeatedly.")
@click.option(
    "--policy",
    "policies",
    type=PolicySwitch(),
    multiple=True,
    help="Turn a switch of [policy]: restart_lock=vma.",
)
@click.option("--plain", is_flag=True, help="A line for each cell, its columns parted by tabs.")
@data_options
def command(
    kernels: tuple[str, ...], kinds: tuple[str, ...], policies: tuple[tuple[str, Any], ...],
    plain: bool, as_json: bool, output: str,
) -> None:  # fmt: skip
    """Run every kind of fault under every kernel: which lock served it, and who sent it back.

    \b
    pfviz matrix                                 all of it
    pfviz matrix --kernel 6.7                    one kernel, and what it changed
    pfviz matrix --kind file_read_miss           one fault through all kernels
    pfviz matrix --policy restart_lock=vma       all of it, with a policy turned
    pfviz play file_read_miss --kernel 6.7       that fault on the screen
    """
    policy = tuple(sorted(dict(policies).items()))
    width = columns() if output == "-" else None
    asked = report.Asked(kinds, kernels, policy, width)
    if as_json:
        write_json(report.matrix_object(asked), output)
    elif plain:
        write_lines(report.plain_lines(asked), output)
    else:
        write_lines(_text(asked), output)


def _text(asked: report.Asked) -> list[str]:
    if len(asked.kinds) == 1:
        return report.kind_lines(asked.kinds[0], asked)
    if len(asked.kernels) == 1:
        return report.kernel_lines(asked.kernels[0], asked)
    return report.table_lines(asked)
