"""`pfviz import`: something real becomes a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pfviz.cli.groups import Group
from pfviz.cli.input import file_to_read
from pfviz.cli.options import KERNEL, ParamType
from pfviz.cli.output import Complaint, say, write
from pfviz.cli.progress import quiet_option
from pfviz.scenario import from_maps
from pfviz.scenario.errors import printable
from pfviz.scenario.write import to_toml


class MixOption(ParamType):
    """KIND=SHARE,...: what the made-up faults are."""

    name = "kind=share,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, int]:
        """Shares by kind, or an error with the nearest one."""
        try:
            return from_maps.parse_mix(str(value))
        except ValueError as error:
            self.fail(printable(str(error)), param, ctx)


@click.group("import", cls=Group)
def command() -> None:
    """Turn something real into a scenario."""


@command.command("maps")
@click.argument("source", metavar="PID|FILE")
@click.option("-o", "--output", default="-", metavar="FILE", help="Write to FILE.")
@click.option(
    "--mix",
    type=MixOption(),
    default=None,
    help="Shares of anon-write, anon-read, file-read, stack-write.",
)
@click.option("--threads", type=click.IntRange(1, 256), default=4, show_default=True)
@click.option(
    "--accesses",
    type=click.IntRange(1, 10_000),
    default=24,
    show_default=True,
    help="Memory accesses of each thread.",
)
@click.option("--writer/--no-writer", default=True, help="A thread that maps and unmaps.")
@click.option("--monitor", is_flag=True, help="A process that reads smaps.")
@click.option("--kernel", type=KERNEL, default="6.12", show_default=True)
@click.option("--seed", type=click.IntRange(0, (1 << 63) - 1), default=1, show_default=True)
@quiet_option
def maps(source: str, output: str, mix: dict[str, int] | None, **options: Any) -> None:
    """Make a scenario of the memory map of a process (a PID, `self`) or of a copy of one (a FILE).

    The VMAs are the real ones. What the threads do in them is a mix of faults you can choose.
    """
    from pfviz.trace.maps import read_maps

    if not source.isdigit() and source not in ("self", "-") and not Path(source).exists():
        reason = "is neither the number of a process nor a file with a copy of its maps"
        raise Complaint(f"{printable(source)}: {reason}", 3)
    named = source.isdigit() or source == "self"
    found = read_maps(source if named else file_to_read(source))
    what = found.comm or (f"process {source}" if source.isdigit() else Path(source).name)
    name = Path(output).name.removesuffix(".toml") if output != "-" else ""
    try:
        scenario = from_maps.scenario_from_maps(
            found.vmas, f"The address space of {printable(what)[:80]}", name,
            mix=mix or from_maps.MIX, **options,
        )  # fmt: skip
    except ValueError as error:
        raise Complaint(f"{printable(source)}: {error}", 2) from None
    write(to_toml(scenario, f"Made by `pfviz import maps {printable(source)}`."), output)
    say(f"{len(scenario.vma)} VMAs, {len(scenario.file)} files")
