"""What a run is made of: a scenario and the viewer's changes to it.

The same recipe gives the same events, so a run is thrown away and made again rather than changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final

from pfviz.mm import rules
from pfviz.mm.presets import PRESETS
from pfviz.scenario import policies
from pfviz.scenario.build import build_with
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import Overrides, kernel_of, mode_for, threads_of, until_ns_of
from pfviz.scenario.policies import BY_NAME, SWITCHES
from pfviz.scenario.schema import Cue, Layout, Question, Scenario
from pfviz.scenario.times import nanoseconds
from pfviz.sim.machine import FOREVER_NS

from .chooser import Chooser
from .run import Run

POLICY_CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    switch.name: tuple(switch.values)
    for switch in SWITCHES
    if switch.values and switch.name != "tree_in_place"
}
"""The policies that can be switched while watching, and what they can be."""

THREADS_AT_ONCE: Final = 128
VMAS_AT_ONCE: Final = 2_000
"""Worlds up to this size are built within 0.1 s."""

POLICY_MEANINGS: Final = {name: BY_NAME[name].meaning for name in POLICY_CHOICES}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A scenario with what was changed about it."""

    scenario: Scenario
    overrides: Overrides = field(default_factory=Overrides)

    @property
    def kernel(self) -> str:
        """The kernel preset by name."""
        return kernel_of(self.scenario, self.overrides)

    @property
    def mode(self) -> str:
        """The lock mode: `mmap_lock`, `per-vma` or `lockless`."""
        return mode_for(self.scenario, self.overrides)

    @property
    def seed(self) -> int:
        """The seed of the dice that decide among equals."""
        changed = self.overrides.seed
        return self.scenario.seed if changed is None else changed

    def with_changes(self, **changes: Any) -> Recipe:
        """The same run with other overrides; choices are kept only while they still mean it."""
        return replace(self, overrides=self.overrides.and_also(**{"choices": (), **changes}))

    def with_choice(self, number: int, choice: int) -> Recipe:
        """The same run up to a decision, and another task running there."""
        kept = tuple(one for one in self.overrides.choices if one[0] < number)
        return self.with_changes(choices=(*kept, (number, choice)))

    def modes(self) -> tuple[str, ...]:
        """The modes that this kernel can be run in, in their usual order."""
        return PRESETS[self.kernel].modes

    def policy(self) -> dict[str, Any]:
        """The switchable policies as they stand."""
        now = policies.said(self.scenario.policy, self.overrides.policy)
        return {name: now[name] for name in POLICY_CHOICES}

    def changed_policy(self) -> tuple[tuple[str, Any], ...]:
        """The switches that the viewer turned away from what the file says, in their order."""
        return policies.changed(self.scenario.policy, self.overrides.policy)

    def with_policy(self, name: str, value: Any) -> Recipe:
        """The same run under another policy."""
        others = tuple(pair for pair in self.overrides.policy if pair[0] != name)
        return self.with_changes(policy=(*others, (name, value)))

    @property
    def is_large(self) -> bool:
        """Whether a keypress should not wait until its world is built."""
        try:
            threads = sum(group.count for group in threads_of(self.scenario, self.overrides))
        except ScenarioError:
            return False
        return threads > THREADS_AT_ONCE or len(self.scenario.vma) > VMAS_AT_ONCE

    def begin(self) -> Run:
        """A run whose first stretch is computed; raises as `start` does."""
        run = self.start()
        run.prepare()
        return run

    def _cues(self) -> tuple[Cue, ...]:
        """The cues that are true under this kernel and mode."""
        return tuple(cue for cue in self.scenario.cue if cue.comes_in(self.kernel, self.mode))

    def _questions(self) -> tuple[Question, ...]:
        """The questions whose answers are right under this kernel and mode."""
        listed = self.scenario.question
        return tuple(one for one in listed if one.comes_in(self.kernel, self.mode))

    def start(self) -> Run:
        """A run at its very beginning.

        Raises:
            ScenarioError: the changes do not fit the scenario.
        """
        engine = build_with(self.scenario, self.overrides)
        engine.picker = chooser = Chooser(engine.picker, engine.log)
        rules.watch(engine)
        until_ns = until_ns_of(self.scenario, self.overrides)
        return Run(
            log=engine.log,
            title=self.scenario.title,
            story=" ".join(self.scenario.story.split()),
            engine=engine,
            recipe=self,
            until_ns=FOREVER_NS if until_ns is None else until_ns,
            wanted_speed_ns=_wanted_speed_ns(self.scenario),
            chooser=chooser,
            source_cues=self._cues(),
            questions=self._questions(),
            origin=len(engine.log),
        )


def _wanted_speed_ns(scenario: Scenario) -> int:
    """The speed that the author chose, 0 when the file says nothing."""
    wish = scenario.layout.speed
    return 0 if wish == Layout().speed else nanoseconds(wish)
