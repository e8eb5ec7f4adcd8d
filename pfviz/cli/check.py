"""`pfviz check`: scenarios held to their own expect lines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfviz.cli.input import run_to_read, scenario_in
from pfviz.cli.options import SCENARIO, data_options
from pfviz.cli.output import leave, say, write_json, write_lines
from pfviz.cli.progress import progress
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.scenario.names import bundled
from pfviz.scenario.overrides import NO_CHANGES
from pfviz.sim.told import Told

if TYPE_CHECKING:
    from pfviz.report.check import Verdict
    from pfviz.report.talk_check import TalkVerdict


@click.command("check")
@click.argument("files", nargs=-1, type=SCENARIO)
@click.option("--seed", type=click.IntRange(0, (1 << 63) - 1), help="Another seed.")
@data_options
def command(files: tuple[str, ...], seed: int | None, **options: Any) -> None:
    """Run each of FILES (all scenarios that ship when none is given) and check what it expects.

    A claim that names kernels or modes is checked under each of them. Of a talk every scene is
    run: each stop must come, in the order in which it is written.
    """
    verdicts: list[Verdict | TalkVerdict] = []
    errors: list[ScenarioError] = []
    names = files or tuple(str(path) for path in bundled())
    with progress("checking") as shown:
        for number, name in enumerate(names):
            which = f" ({number + 1} of {len(names)})" if len(names) > 1 else ""
            told = shown.part(number, len(names), f"checking {Path(name).stem}{which}")
            try:
                verdicts.append(_checked(name, seed, told))
            except ScenarioError as error:
                errors.append(error)
    if options["as_json"]:
        write_json([one.plain() for one in verdicts], options["output"])
    else:
        lines = [line for one in verdicts for line in one.lines()]
        failed = sum(not one.holds for one in verdicts)
        if len(verdicts) > 1:
            from pfviz.report.check import Verdict as Single

            what = "scenarios" if all(isinstance(one, Single) for one in verdicts) else "files"
            lines.append(f"{len(verdicts) - failed} of {len(verdicts)} {what} are as they claim")
        write_lines(lines, options["output"])
    for wrong in errors:
        say(f"pfviz: {wrong}")
    if errors:
        leave(max(wrong.exit_code for wrong in errors))
    leave(0 if all(one.holds for one in verdicts) else 1)


def _checked(name: str, seed: int | None, told: Told) -> Verdict | TalkVerdict:
    from pfviz.report.check import check
    from pfviz.report.source import open_scenario
    from pfviz.report.talk_check import check_talk
    from pfviz.scenario.load import find
    from pfviz.scenario.talk_load import is_talk, open_talk
    from pfviz.scenario.token import is_token

    if is_token(name):
        # Its seed counts: for which kernels and modes they are made, claims say themselves.
        source = run_to_read(name, NO_CHANGES)
        if source.talk is not None:
            return check_talk(source.talk, told)
        own = source.overrides.seed
        return check(scenario_in(source), source.name, own if seed is None else seed, told)
    if not is_talk(name):
        return check(open_scenario(name), str(find(name)), seed, told)
    if seed is not None:
        say(f"pfviz: {printable(name)} is a talk: its scenes say their seeds, --seed does not")
    return check_talk(open_talk(name), told)
