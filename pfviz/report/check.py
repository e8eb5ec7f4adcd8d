"""A scenario held to its claims: run under every kernel and mode that one of them names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pfviz.mm.presets import PRESETS
from pfviz.report.run import Finished, Runs
from pfviz.report.text import claim
from pfviz.scenario.overrides import Overrides, mode_for
from pfviz.scenario.schema import Scenario
from pfviz.sim.told import Told, nobody, part


@dataclass(frozen=True, slots=True)
class Verdict:
    """What checking one scenario found."""

    name: str
    path: str
    runs: tuple[Finished, ...] = field(repr=False)

    @property
    def holds(self) -> bool:
        """Whether every claim held in every run, and nothing else was wrong."""
        return all(run.is_fine for run in self.runs) and any(
            run.object["expect"] for run in self.runs
        )

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.name,
            "path": self.path,
            "holds": self.holds,
            "runs": [
                {
                    key: run.object[key]
                    for key in ("kernel", "mode", "seed", "digest", "expect", "broken_rules")
                }
                for run in self.runs
            ],
        }

    def lines(self) -> Iterator[str]:
        """As text: a line when all is well, else a line for each thing that is not."""
        claims = [one for run in self.runs for one in run.object["expect"]]
        held = sum(one["holds"] for one in claims)
        mark = "ok    " if self.holds else "FAILED"
        yield f"{mark}  {self.name}: {held} of {len(claims)} expectations hold"
        for run in self.runs:
            where = f"{run.object['kernel']} {run.object['mode']}"
            for one in run.object["expect"]:
                if not one["holds"]:
                    yield f"        {where}: {claim(one)}"
            for broken in run.unclaimed_rules[:5]:
                yield f"        {where}: broken rule at {broken['at_ns']} ns: {broken['rule']}"
            for name in run.stuck:
                yield f"        {where}: {name} would sleep for ever"


def check(
    scenario: Scenario, path: str, seed: int | None = None, told: Told = nobody
) -> Verdict:  # fmt: skip
    """Run a scenario as often as its claims ask for."""
    runs = Runs(scenario)
    settings = _settings(scenario, seed)
    finished = []
    for number, one in enumerate(settings):
        runs.told = part(told, number, len(settings))
        finished.append(runs.finish(one))
    return Verdict(scenario.name, path, tuple(finished))


def _settings(scenario: Scenario, seed: int | None) -> list[Overrides]:
    """The kernels and modes that claims are made for, each pair once, possible ones only."""
    settings: dict[tuple[str, str], Overrides] = {}
    for one in scenario.expect:
        for kernel in one.kernels or (scenario.kernel,):
            own = mode_for(scenario, Overrides(kernel=kernel))
            for mode in one.modes or (own,):
                if mode in PRESETS[kernel].modes:
                    change = Overrides(
                        kernel=None if kernel == scenario.kernel else kernel,
                        mode=None if mode == own else mode,
                        seed=seed,
                    )
                    settings.setdefault((kernel, mode), change)
    return list(settings.values()) or [Overrides(seed=seed)]
