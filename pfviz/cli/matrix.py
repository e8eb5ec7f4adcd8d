"""`pfviz matrix`: which lock serves which fault in which kernel, found by running each of them."""

from __future__ import annotations

import click

from pfviz.cli.options import KERNEL, Word, data_options
from pfviz.cli.output import columns, write_json, write_lines
from pfviz.report import matrix as report
from pfviz.scenario.fault_kinds import BY_ID

KIND = Word("kind", tuple(BY_ID))


@click.command("matrix")
@click.option("--kernel", "kernels", type=KERNEL, multiple=True, help="May be given repeatedly.")
@click.option("--kind", "kinds", type=KIND, multiple=True, help="May be given repeatedly.")
@click.option("--plain", is_flag=True, help="A line for each cell, its columns parted by tabs.")
@data_options
def command(
    kernels: tuple[str, ...], kinds: tuple[str, ...], plain: bool, as_json: bool, output: str
) -> None:
    """Run every kind of fault under every kernel: which lock served it, and who sent it back.

    \b
    pfviz matrix                                 all of it
    pfviz matrix --kernel 6.7                    one kernel, and what it changed
    pfviz matrix --kind file_read_miss           one fault through all kernels
    pfviz play file_read_miss --kernel 6.7       that fault on the screen
    """
    if as_json:
        write_json(report.matrix_object(kinds, kernels), output)
    elif plain:
        write_lines(report.plain_lines(kinds, kernels), output)
    else:
        width = columns() if output == "-" else None
        write_lines(_text(kernels, kinds, width), output)


def _text(kernels: tuple[str, ...], kinds: tuple[str, ...], width: int | None) -> list[str]:
    if len(kinds) == 1:
        return report.kind_lines(kinds[0], kernels, width)
    if kernels:
        lines: list[str] = []
        for kernel in kernels:
            lines += [*report.kernel_lines(kernel, kinds, width), ""]
        return lines[:-1]
    return report.table_lines(width, kinds)
