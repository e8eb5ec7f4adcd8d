"""`pfviz run`: a scenario to its end without a screen; a summary, JSON, or the story in lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pfviz.cli.input import run_to_read, scenario_in
from pfviz.cli.options import SCENARIO, data_options, overrides_of, run_options, steps_option
from pfviz.cli.output import leave, say, write_json, write_lines
from pfviz.cli.progress import progress

if TYPE_CHECKING:
    from pfviz.report.run import Finished


@click.command("run")
@click.argument("scenario", type=SCENARIO)
@run_options
@click.option("--plain", is_flag=True, help="Tell it in sentences to be read aloud.")
@steps_option
@click.option("--rules", is_flag=True, help="Ask every rule after every step, and list them.")
@data_options
def command(scenario: str, plain: bool, steps: bool, rules: bool, **options: Any) -> None:
    """Run SCENARIO (a name, a file or -) to its end and say what happened.

    \b
    pfviz run smaps-monitor --plain                   what happens, told in sentences
    pfviz run hello-fault --steps                     one fault, step by step
    pfviz run smaps-monitor --without smaps --json    the same without the monitor
    pfviz run fork-vs-faults --kernel 6.4 --rules     what Linux 6.4.0 broke, and when
    """
    from pfviz.report.run import EVERY_STEP, RULES_EVERY_STEPS, Runs

    as_json, output = options.pop("as_json"), options.pop("output")
    source = run_to_read(scenario, overrides_of(options))
    opened = scenario_in(source)
    with progress(f"running {opened.name}", "steps") as told:
        runs = Runs(opened, EVERY_STEP if rules else RULES_EVERY_STEPS, told)
        finished = runs.finish(source.overrides)
    if as_json:
        write_json(finished.object, output)
    elif plain or steps:
        tell(finished, steps, output)
    else:
        from pfviz.report.text import summary

        write_lines(summary(finished.object, opened.title), output)
    leave(verdict(finished))


def tell(finished: Finished, steps: bool, output: str) -> None:
    """Print a run as sentences to be read aloud, or step by step."""
    from pfviz.report.text import again

    if steps:
        from pfviz.views.narrator import plain_lines

        write_lines(plain_lines(finished.log), output)
    else:
        from pfviz.report.story import scenario_story

        write_lines(scenario_story(finished), output)
    say(again(finished.object))


def verdict(finished: Finished) -> int:
    """The exit code of a run; says on standard error what was wrong with it."""
    for name in finished.stuck:
        say(f"pfviz: {name} would sleep for ever")
    for one in finished.object["expect"]:
        if not one["holds"]:
            say(f"pfviz: expectation failed: {one['text']}")
    broken = len(finished.unclaimed_rules)
    if broken:
        say(f"pfviz: {broken} broken rule{'s' * (broken != 1)}")
    return 0 if finished.is_fine else 1
