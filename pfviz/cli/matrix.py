"""`pfviz matrix`: which lock serves which fault in which kernel, found by running each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pfviz.cli.options import KERNEL, PolicySwitch, Word, data_options, look_options
from pfviz.cli.output import columns, leave, write_json, write_lines
from pfviz.cli.play import has_screen
from pfviz.cli.progress import progress
from pfviz.cli.screen import screen_words
from pfviz.scenario.errors import nearest, printable

if TYPE_CHECKING:
    from pfviz.report.matrix import Asked
    from pfviz.scenario.matrix import Policies


class KindName(Word):
    """The id of a kind of fault, or what its row is called."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id, or an error with the nearest one and with who knows them all."""
        from pfviz.scenario.fault_kinds import BY_ID, KINDS

        text = str(value)
        ids = {kind.title.casefold(): kind.id for kind in KINDS} | {name: name for name in BY_ID}
        if text.casefold() not in ids:
            near = nearest(text, BY_ID) or nearest(text, ids)
            known = "it is one of those that pfviz matrix --plain lists"
            meant = f'did you mean "{ids[near]}"?' if near else known
            self.fail(f'"{printable(text)}" is not known here; {meant}', param, ctx)
        return ids[text.casefold()]


def _ids() -> tuple[str, ...]:
    from pfviz.scenario.fault_kinds import BY_ID

    return tuple(BY_ID)


KIND = KindName("kind", _ids)


@click.command("matrix")
@click.option("--kernel", "kernels", type=KERNEL, multiple=True, help="May be given repeatedly.")
@click.option("--kind", "kinds", type=KIND, multiple=True,
              help="An id or the title of a row. May be given repeatedly.")  # fmt: skip
@click.option(
    "--policy",
    "policies",
    type=PolicySwitch(),
    multiple=True,
    help="Turn a switch of [policy]: restart_lock=vma.",
)
@click.option("--plain", is_flag=True, help="A line for each cell, its columns parted by tabs.")
@click.option("--tui", is_flag=True, help="Show it on the screen, where cells can be played.")
@look_options
@data_options
def command(
    kernels: tuple[str, ...], kinds: tuple[str, ...], policies: tuple[tuple[str, Any], ...],
    plain: bool, tui: bool, as_json: bool, output: str, **look: Any,
) -> None:  # fmt: skip
    """Run every kind of fault under every kernel: which lock served it, and who sent it back.

    \b
    pfviz matrix                                 all of it
    pfviz matrix --tui                           all of it, on the screen
    pfviz matrix --kernel 6.7                    one kernel, and what it changed
    pfviz matrix --kind file_read_miss           one fault through all kernels
    pfviz matrix --policy restart_lock=vma       all of it, with a policy turned
    pfviz play file_read_miss --kernel 6.7       that fault on the screen
    """
    policy = tuple(sorted(dict(policies).items()))
    leave(show_matrix(kernels, kinds, policy, plain, as_json, output, tui, **look))


def show_matrix(
    kernels: tuple[str, ...], kinds: tuple[str, ...], policy: Policies,
    plain: bool, as_json: bool, output: str, on_screen: bool, **look: Any,
) -> int:  # fmt: skip
    """Print the matrix, or show it if there is a screen and it is wanted there; the exit code."""
    if on_screen and not (plain or as_json or output != "-") and has_screen():
        words = screen_words(**look)
        from pfviz.tui.start import run_app

        first = "".join(kinds[:1]), "".join(kernels[:1]), policy
        return int(run_app(matrix=first, **words) or 0)
    from pfviz.report import matrix as report

    width = columns() if output == "-" else None
    asked = report.Asked(kinds, kernels, policy, width)
    with progress("running every fault under every kernel") as told:
        report.find(asked, told)
    if as_json:
        write_json(report.matrix_object(asked), output)
    elif plain:
        write_lines(report.plain_lines(asked), output)
    else:
        write_lines(_text(asked), output)
    return 0


def _text(asked: Asked) -> list[str]:
    from pfviz.report import matrix as report

    if len(asked.kinds) == 1:
        return report.kind_lines(asked.kinds[0], asked)
    if len(asked.kernels) == 1:
        return report.kernel_lines(asked.kernels[0], asked)
    return report.table_lines(asked)
