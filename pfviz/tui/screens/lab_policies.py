"""Policies of a running scenario: which there are, choosing one, and what the choice costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual import work as worker

from pfviz.scenario.policies import word
from pfviz.tui import cost_table
from pfviz.tui.cost_job import CostJob
from pfviz.tui.policy_words import about, changes
from pfviz.tui.recipe import POLICY_CHOICES, Recipe
from pfviz.tui.screens.cost import Cost
from pfviz.tui.screens.lab_changes import LabChanges

if TYPE_CHECKING:
    from pfviz.tui.player import Player


class LabPolicies(LabChanges):
    """Actions around policies."""

    job: CostJob | None = None
    """The measurement of the policy that was chosen last."""

    def action_policy(self) -> None:
        """Choose another policy."""
        recipe = self._recipe()
        if recipe is None:
            return
        now = recipe.policy()
        options = [
            (name, value)
            for name, values in POLICY_CHOICES.items()
            for value in values
            if value != now[name]
        ]

        def choose(number: int | None) -> None:
            if number is not None and number >= 0:
                self.set_policy(recipe, *options[number])

        self.choose(
            "Policy",
            "What this kernel does → what it could do. Choosing one starts the run again at the "
            "same place, and measures what it costs both sides.",
            changes(options, now),
            0,
            choose,
            abouts=[about(name) for name, _ in options],
        )

    def set_policy(self, recipe: Recipe, name: str, value: Any) -> None:
        """Go on under another policy, and measure what it costs."""
        old = recipe.policy()[name]
        before: Player = self.player
        self._remake(
            recipe.with_policy(name, value),
            f"{name} is now {word(value)}, started again with the same seed {recipe.seed}.",
        )
        if self.player is before:  # It could not be built; why has been said.
            return
        if self.job is not None:
            self.job.cancel()
        self.job = CostJob(recipe, name, old, value)
        self._measure(self.job)
        self.action_cost()

    def action_cost(self) -> None:
        """What the last choice of policy costs."""
        if self.job is None:
            self.say(
                "No policy was chosen yet: {policy.choose} chooses one, and measures what it costs."
            )
            self.moved()
            return
        job, ascii_only = self.job, self.app.glyphs.ascii_only
        self.app.push_screen(Cost(job, about(job.name), ascii_only, self.app.styles_by_name))

    @worker(exclusive=True, group="cost")
    async def _measure(self, job: CostJob) -> None:
        """Wait for the measurement; tell its result if nobody looks at the table."""
        await job.run()
        if job is not self.job or isinstance(self.app.screen, Cost):
            return
        if job.error:
            self.say(job.error)
        elif job.cost is not None:
            self.say(f"Measured: {cost_table.in_short(job.cost)} {{policy.cost}} shows the table.")
        self.moved()
