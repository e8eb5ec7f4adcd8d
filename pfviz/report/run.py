"""Runs a scenario to its end, headless, and keeps what other runs of it are compared with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.mm import rules
from pfviz.mm.world import World
from pfviz.report import json
from pfviz.report.work import work_done
from pfviz.scenario import expectations, figures, policies
from pfviz.scenario.build import build_with
from pfviz.scenario.errors import ScenarioError, hint
from pfviz.scenario.expectations import Asked, ExpectationError
from pfviz.scenario.moments import Moments
from pfviz.scenario.overrides import NO_CHANGES, Overrides, mode_for, until_ns_of
from pfviz.scenario.schema import MODES, Expect, Scenario
from pfviz.sim.engine import Engine
from pfviz.sim.event import EventLog
from pfviz.sim.machine import FOREVER_NS
from pfviz.sim.told import Told, nobody

_CHANGES = ("kernel", "machine", "mode", "seed", "threads")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended, with its JSON object."""

    scenario: Scenario
    overrides: Overrides
    log: EventLog
    object: dict[str, Any]

    @property
    def is_fine(self) -> bool:
        """No claim failed, no rule was broken unexpectedly, nobody was left asleep for ever."""
        claims_hold = all(one["holds"] for one in self.object["expect"])
        return claims_hold and not self.unclaimed_rules and not self.stuck

    @property
    def unclaimed_rules(self) -> list[dict[str, Any]]:
        """Rules that were broken though no claim speaks of them (some kernels had bugs)."""
        claims = self.object["expect"]
        if any("broken_rules" in one["text"] for one in claims):
            return []
        broken: list[dict[str, Any]] = self.object["broken_rules"]
        return broken

    @property
    def stuck(self) -> tuple[str, ...]:
        """Threads that would sleep for ever, though no claim speaks of `unfinished`.

        Nobody is stuck in a run that is ended by time.
        """
        if until_ns_of(self.scenario, self.overrides) is not None:
            return ()
        if any("unfinished" in one["text"] for one in self.object["expect"]):
            return ()
        return tuple(one["task"] for one in self.object["unfinished"])


RULES_EVERY_STEPS: Final = 256
"""How often the rules that look at the whole world are asked; the others watch every step."""
EVERY_STEP: Final = 1


TOLD_EVERY_STEPS: Final = 16 * RULES_EVERY_STEPS


def run_to_end(
    engine: Engine[World], until_ns: int | None, rules_every_steps: int = RULES_EVERY_STEPS,
    told: Told = nobody,
) -> None:  # fmt: skip
    """Run every step there is, up to `until_ns` when it is given, and watch the rules.

    `rules_every_steps` is how often the whole world is looked at; 0 watches no rules at all. `told`
    hears how much of the work is done, or how many steps when nobody knows how long it will be.
    """
    end_ns = FOREVER_NS if until_ns is None else until_ns
    ran = TOLD_EVERY_STEPS
    while ran == TOLD_EVERY_STEPS:
        if rules_every_steps:
            ran = rules.run(engine, end_ns, TOLD_EVERY_STEPS, every_steps=rules_every_steps)
        else:
            ran = engine.run(end_ns, TOLD_EVERY_STEPS)
        told(*work_done(engine, until_ns))


@dataclass(slots=True)
class Runs:
    """All runs of one scenario that were asked for, each made once."""

    scenario: Scenario
    rules_every_steps: int = RULES_EVERY_STEPS
    told: Told = nobody
    """Hears how far the run that is being made has come."""
    _objects: dict[Overrides, dict[str, Any]] = field(default_factory=dict)

    def finish(self, overrides: Overrides = NO_CHANGES, with_claims: bool = True) -> Finished:
        """Run under `overrides`; the object has the claims that are made for such a run."""
        log = self._log(overrides, self.rules_every_steps)
        run = json.run_object(log, self.scenario, overrides)
        self._objects[overrides] = run
        if with_claims:
            run["expect"] = self._claims(run, log, overrides)
        if self.rules_every_steps == EVERY_STEP:
            run["rules"] = _verdicts(run)
        return Finished(self.scenario, overrides, log, run)

    def judge(self, text: str, overrides: Overrides = NO_CHANGES) -> bool:
        """Whether an expression of `[[expect]]` holds for a run, claimed by the scenario or not."""
        log = self._log(overrides, self.rules_every_steps)
        run = json.run_object(log, self.scenario, overrides)
        return expectations.holds(text, self._asked(run, log, overrides))

    def object(self, overrides: Overrides) -> dict[str, Any]:
        """The object of a run to compare with: without claims, its rules not watched."""
        if overrides not in self._objects:
            log = self._log(overrides, 0)
            self._objects[overrides] = json.run_object(log, self.scenario, overrides)
        return self._objects[overrides]

    def _log(self, overrides: Overrides, rules_every_steps: int) -> EventLog:
        engine = build_with(self.scenario, overrides)
        until_ns = until_ns_of(self.scenario, overrides)
        run_to_end(engine, until_ns, rules_every_steps, self.told)
        return engine.log

    def _claims(
        self, run: dict[str, Any], log: EventLog, overrides: Overrides
    ) -> list[dict[str, Any]]:
        claims = [one for one in self.scenario.expect if self._is_claimed(one, run, overrides)]
        return [_judged(one, self._asked(run, log, overrides)) for one in claims]

    def _asked(self, run: dict[str, Any], log: EventLog, overrides: Overrides) -> Asked:
        return Asked(run, _Compare(self, overrides), _Happened(log), _FirstNs(log))

    def _is_claimed(self, one: Expect, run: dict[str, Any], overrides: Overrides) -> bool:
        if not overrides.keeps_promises_of(self.scenario):
            return False
        kernels = one.kernels or (self.scenario.kernel,)
        if run["kernel"] not in kernels:
            return False
        if one.modes:
            return run["mode"] in one.modes
        own = mode_for(self.scenario, Overrides(kernel=overrides.kernel))
        return bool(run["mode"] == own)


def _verdicts(run: dict[str, Any]) -> list[dict[str, Any]]:
    """Each rule that was asked, and whether it held throughout."""
    broken = {one["rule"].partition(":")[0] for one in run["broken_rules"]}
    return [
        {"rule": number, "text": text, "holds": number not in broken}
        for number, text in rules.sentences().items()
    ]


def _judged(one: Expect, asked: Asked) -> dict[str, Any]:
    try:
        verdict: dict[str, Any] = {"text": one.that, "holds": expectations.holds(one.that, asked)}
        if found := figures.compared(one.that, asked):
            verdict["compared"] = [figures.plain(figure) for figure in found]
    except (ExpectationError, ScenarioError) as error:
        verdict = {"text": one.that, "holds": False, "error": str(error)}
    return verdict | ({"because": one.because} if one.because else {})


@dataclass(frozen=True, slots=True)
class _Compare:
    """`compare(mode, kernel=..., without=..., threads=..., policy switch=...)`."""

    runs: Runs
    overrides: Overrides

    def __call__(self, mode: str | None = None, **changes: Any) -> dict[str, Any]:
        known = (*_CHANGES, "without", *policies.NAMES)
        if mode is not None:
            changes["mode"] = mode
        if changes.get("mode", MODES[0]) not in MODES:
            wrong = str(changes["mode"])
            raise ExpectationError(f'mode "{wrong}" is not known here{hint(wrong, MODES)}')
        plain: dict[str, Any] = {"choices": ()}  # They are of one run, not of another.
        policy = dict(self.overrides.policy)
        for name, value in changes.items():
            if name not in known:
                raise ExpectationError(f"compare takes no {name}={hint(name, known)}")
            if name == "without":
                plain["without"] = (*self.overrides.without, str(value))
            elif name in _CHANGES:
                plain[name] = value
            else:
                policy[name] = value
        plain["policy"] = tuple(sorted(policy.items()))
        return self.runs.object(self.overrides.and_also(**plain))


@dataclass(frozen=True, slots=True)
class _Happened:
    log: EventLog

    def __call__(self, text: str) -> int:
        moments = Moments((text,))
        moments.extend(self.log)
        return moments.counts[0]


@dataclass(frozen=True, slots=True)
class _FirstNs:
    log: EventLog

    def __call__(self, text: str) -> int:
        moments = Moments((text,))
        moments.extend(self.log)
        found = moments.found[0]
        return -1 if found is None else self.log.row(found)[0]
