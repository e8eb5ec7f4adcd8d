"""`pfviz compare`: one workload under several modes, kernels or policies, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from pfviz.cli.input import run_to_read, scenario_in
from pfviz.cli.options import (
    KERNEL,
    MODE,
    SCENARIO,
    compared_options,
    data_options,
    overrides_of,
)
from pfviz.cli.output import leave, write_json, write_lines
from pfviz.cli.progress import progress
from pfviz.cli.run import verdict
from pfviz.mm.presets import PRESETS
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.schema import Scenario

if TYPE_CHECKING:
    from pfviz.report.run import Finished

MODES_COMPARED_MAX: Final = 3
"""So many runs stand side by side on the screen."""


@click.command("compare")
@click.argument("scenario", type=SCENARIO)
@click.option("--kernel", "kernels", type=KERNEL, multiple=True, help="May be given repeatedly.")
@click.option("--mode", "modes", type=MODE, multiple=True, help="May be given repeatedly.")
@compared_options
@data_options
def command(scenario: str, kernels: tuple[str, ...], modes: tuple[str, ...], **options: Any
) -> None:  # fmt: skip
    """Run SCENARIO under each lock mode (or each MODE and KERNEL given), side by side.

    With a policy of several values it runs each of them and says what the choice costs faults, and
    those whom they hold up.

    \b
    pfviz compare fault-storm --threads 32
    pfviz compare maps-vs-smaps --mode per-vma --kernel 6.12 --kernel 6.18
    pfviz compare file-io-wait --policy io_wait=restart,hold
    """
    from pfviz.report.text import comparison

    as_json, output = options.pop("as_json"), options.pop("output")
    asked: tuple[tuple[str, tuple[Any, ...]], ...] = tuple(options.pop("policy"))
    several = [(name, values) for name, values in asked if len(values) > 1]
    options["policy"] = tuple((name, values[0]) for name, values in asked if len(values) == 1)
    source = run_to_read(scenario, overrides_of(options))
    opened = scenario_in(source)
    # What a token says of kernel and mode counts where no option says otherwise; who ran where is
    # of one run only.
    base = source.overrides.and_also(kernel=None, mode=None, choices=())
    kernels = kernels or tuple(filter(None, (source.overrides.kernel,)))
    if several:
        if len(several) > 1:
            names = " and ".join(name for name, _ in several)
            raise click.UsageError(f"only one policy can be compared at a time, not {names}")
        modes = modes or tuple(filter(None, (source.overrides.mode,)))
        _compare_policies(opened, several[0], _asked(base, kernels, modes), as_json, output)
        return
    modes = modes or source.modes
    finished = _run_each(opened, _combinations(base, kernels or (opened.kernel,), modes))
    objects = [one.object for one in finished]
    if as_json:
        write_json(objects, output)
    else:
        write_lines(comparison(objects, opened.title, _token(finished)), output)
    leave(max(verdict(one) for one in finished))


def _run_each(opened: Scenario, settings: list[Overrides]) -> list[Finished]:
    """A run for each of the settings."""
    from pfviz.report.run import Runs

    runs, finished = Runs(opened), []
    with progress(f"running {opened.name}") as shown:
        for number, one in enumerate(settings):
            setting = f"{one.kernel or opened.kernel} {one.mode or ''}".rstrip()
            what = f"running {opened.name} on {setting} ({number + 1} of {len(settings)})"
            runs.told = shown.part(number, len(settings), what)
            finished.append(runs.finish(one, with_claims=False))
    return finished


def _token(runs: Sequence[Finished]) -> str:
    """The token of runs that differ in their modes alone; "" where the screen compares no such."""
    from pfviz.report.share import token_of

    first = runs[0]
    modes = tuple(one.object["mode"] for one in runs)
    if len(modes) > MODES_COMPARED_MAX or len({one.object["kernel"] for one in runs}) > 1:
        return ""
    return token_of(first.scenario, first.overrides, modes=modes)


def _compare_policies(
    opened: Scenario, policy: tuple[str, tuple[Any, ...]], runs: list[Overrides], as_json: bool,
    output: str,
) -> None:  # fmt: skip
    """Print what a choice costs; a rule that a value breaks is part of the answer, no failure."""
    from pfviz.report.policy_cost import policy_cost, table_of

    name, values = policy
    costs = []
    with progress(f"running {opened.name} with each {name}") as shown:
        for number, overrides in enumerate(runs):
            told = shown.part(number, len(runs))
            costs.append(policy_cost(opened, name, values, overrides, told=told))
    if as_json:
        write_json(costs, output)
        return
    lines = table_of(costs[0], opened.title)
    for cost in costs[1:]:
        lines += ["", *table_of(cost)]
    write_lines(lines, output)


def _asked(
    base: Overrides, kernels: tuple[str, ...], modes: tuple[str, ...]
) -> list[Overrides]:  # fmt: skip
    """The kernels and modes that somebody asked for; without any the scenario's own."""
    return [
        base.and_also(kernel=kernel, mode=mode)
        for kernel in kernels or (None,)
        for mode in modes or (None,)
    ]


def _combinations(
    base: Overrides, kernels: tuple[str, ...], modes: tuple[str, ...]
) -> list[Overrides]:
    """Every mode on every kernel; modes that nobody asked for only where the kernel has them."""
    return [
        base.and_also(kernel=kernel, mode=mode)
        for kernel in kernels
        for mode in modes or PRESETS[kernel].modes
    ]
