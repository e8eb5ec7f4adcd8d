"""`pfviz compare`: one workload under several modes or kernels, side by side."""

from __future__ import annotations

from typing import Any

import click

from pfviz.cli.options import KERNEL, MODE, SCENARIO, data_options, overrides_of, world_options
from pfviz.cli.output import leave, write_json, write_lines
from pfviz.cli.run import verdict
from pfviz.mm.presets import PRESETS
from pfviz.report.run import Runs
from pfviz.report.source import open_scenario
from pfviz.report.text import comparison
from pfviz.scenario.overrides import Overrides


@click.command("compare")
@click.argument("scenario", type=SCENARIO)
@click.option("--kernel", "kernels", type=KERNEL, multiple=True, help="May be given repeatedly.")
@click.option("--mode", "modes", type=MODE, multiple=True, help="May be given repeatedly.")
@world_options
@data_options
def command(scenario: str, kernels: tuple[str, ...], modes: tuple[str, ...], **options: Any
) -> None:  # fmt: skip
    """Run SCENARIO under each lock mode (or each MODE and KERNEL given), side by side.

    \b
    pfviz compare fault-storm --threads 32
    pfviz compare maps-vs-smaps --mode per-vma --kernel 6.12 --kernel 6.18
    """
    as_json, output = options.pop("as_json"), options.pop("output")
    opened = open_scenario(scenario)
    base = overrides_of(options)
    runs = Runs(opened)
    finished = [
        runs.finish(one, with_claims=False)
        for one in _combinations(base, kernels or (opened.kernel,), modes)
    ]
    objects = [one.object for one in finished]
    if as_json:
        write_json(objects, output)
    else:
        write_lines(comparison(objects, opened.title), output)
    leave(max(verdict(one) for one in finished))


def _combinations(
    base: Overrides, kernels: tuple[str, ...], modes: tuple[str, ...]
) -> list[Overrides]:
    """Every mode on every kernel; modes that nobody asked for only where the kernel has them."""
    return [
        base.and_also(kernel=kernel, mode=mode)
        for kernel in kernels
        for mode in modes or PRESETS[kernel].modes
    ]
