"""What is watched is what is reported: a run on the screen has the events of a headless one."""

import pytest

from pfviz.report.run import Runs
from pfviz.report.source import open_scenario
from pfviz.scenario.overrides import Overrides
from pfviz.sim.event import RULE_BROKEN
from pfviz.tui.recipe import Recipe


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("hello-fault", Overrides()),
        ("two-mallocs", Overrides(mode="mmap_lock")),
        ("fork-vs-faults", Overrides(kernel="6.4")),  # which breaks a rule, as 6.4.0 did
    ],
)
def test_the_screen_and_the_report_see_the_same_events(name: str, overrides: Overrides) -> None:
    scenario = open_scenario(name)
    headless = Runs(scenario).finish(overrides).log
    run = Recipe(scenario, overrides).start()
    while not run.finished:
        run.advance(0.01)
    assert run.log.digest() == headless.digest()
    if overrides.kernel == "6.4":
        assert any(row[1] == RULE_BROKEN for row in run.log)
