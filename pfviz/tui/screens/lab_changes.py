"""What changes the run itself: mode, kernel, policy, seed, who runs. The run is made again.

A new run starts from the same seed and goes to the same place in the workload, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from pfviz.mm.presets import PRESETS
from pfviz.report.source import Shared
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_kinds import BY_ID
from pfviz.tui import kernel_words
from pfviz.tui.opening import Opening
from pfviz.tui.player import Errand, Player
from pfviz.tui.recipe import Recipe
from pfviz.tui.screens.compare import Compare
from pfviz.tui.screens.lab_actions import LabActions
from pfviz.views.bars import MODE_TITLES
from pfviz.views.workload_position import WorkloadPosition

if TYPE_CHECKING:
    from pfviz.tui.chooser import Decision
    from pfviz.tui.run import Run

T = TypeVar("T")

RECORDED = "This is a recording of a real kernel: what happened cannot be changed."


class LabChanges(LabActions):
    """Actions that replace the run by another one."""

    wished_mode = ""
    """The mode that somebody asked for: it comes back with the next kernel that has it."""

    def _recipe(self) -> Recipe | None:
        recipe = self.player.run.recipe
        if recipe is None:
            self.say(RECORDED)
            self.moved()
        return recipe

    def _remake(self, recipe: Recipe, why: str, position: int | None = None,
                moments: list[str] | None = None,
                failed: Callable[[str], None] | None = None) -> None:  # fmt: skip
        """Run another recipe and go on at the same place in the workload (or at `position`).

        With the captions of this run's `moments`, it goes to the first one that is another.
        """

        def remade(run: Run) -> None:
            self._go_on(run, why, position, moments)

        self._make(recipe, f"Making {recipe.scenario.title} again", Recipe.begin, remade, failed)

    def _make(
        self, recipe: Recipe, what: str, make: Callable[[Recipe], T], then: Callable[[T], None],
        failed: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        """Make something of a recipe, at once when it is small; say why when it cannot be."""
        failed = failed or self._not_made
        if recipe.is_large:
            opening = Opening(what, lambda _: make(recipe))
            self.app.take(opening, then, failed)
            return
        try:
            made = make(recipe)
        except ScenarioError as error:
            failed(error.reason)
            return
        then(made)

    def _not_made(self, why: str) -> None:
        self.say(why)
        self.moved()

    def _go_on(
        self, run: Run, why: str, position: int | None, moments: list[str] | None
    ) -> None:  # fmt: skip
        before = self.player
        place = WorkloadPosition.of(before)
        player = Player(run, self.say)
        player.rung, player.unit = before.rung, before.unit
        for point in before.marks.breakpoints:
            player.marks.add_breakpoint(point.text)
        self.player = player
        self.divide()
        if position is not None:
            errand = Errand("the same step", lambda: _if_known(player, position), why)
        elif moments is not None:
            errand = Errand("its end", lambda: _parting(player, moments), why)
        else:
            errand = Errand("the same place in the workload", lambda: place.find(player),
                            f"{why} {place.words()}")  # fmt: skip
        errand.play_on = before.playing
        player.look_for(errand)
        self.moved()

    def action_mode(self) -> None:
        """The next mode that this kernel can have."""
        recipe = self._recipe()
        if recipe is not None:
            modes = recipe.modes()
            self.action_set_mode(modes[(modes.index(recipe.mode) + 1) % len(modes)])

    def action_set_mode(self, mode: str) -> None:
        """Run in this mode."""
        recipe = self._recipe()
        if recipe is None:
            return
        why_not = kernel_words.why_not(mode, recipe.kernel)
        if why_not:
            self.say(
                f"{why_not}; {{kernel.newer}}, {{kernel.older}} and {{kernel.choose}} choose "
                "another kernel."
            )
            self.moved()
            return
        self.wished_mode = mode
        self._remake(
            recipe.with_changes(mode=mode),
            f"Now {MODE_TITLES[mode]}, started again with the same seed {recipe.seed}.",
        )

    def action_kernel(self) -> None:
        """Choose another kernel."""
        recipe = self._recipe()
        if recipe is None:
            return
        names = list(PRESETS)

        def choose(number: int | None) -> None:
            if number is not None and number >= 0 and names[number] != recipe.kernel:
                self._go_kernel(recipe, names[number])

        self.choose(
            "Kernel",
            "The same scenario on another release. Each one takes its own locks.",
            [(name, preset.title) for name, preset in PRESETS.items()],
            names.index(recipe.kernel),
            choose,
        )

    def action_kernel_step(self, direction: int) -> None:
        """The next newer or older kernel."""
        recipe = self._recipe()
        if recipe is None:
            return
        names = list(PRESETS)
        number = names.index(recipe.kernel) + direction
        if 0 <= number < len(names):
            self._go_kernel(recipe, names[number])
            return
        last = "newest" if direction > 0 else "oldest"
        name = kernel_words.name_of(recipe.kernel)
        self.say(f"{name[:1].upper()}{name[1:]} is the {last} kernel that there is.")
        self.moved()

    def _go_kernel(self, recipe: Recipe, name: str) -> None:
        """Run on another kernel; the mode that was asked for stays where that kernel has it."""
        wish = self.wished_mode or recipe.overrides.mode
        mode = wish if wish in PRESETS[name].modes else None
        changed = recipe.with_changes(kernel=name, mode=mode)
        said = [kernel_words.step_words(recipe.kernel, name)]
        if changed.mode != recipe.mode:
            why_not = kernel_words.why_not(recipe.mode, name)
            own = MODE_TITLES[changed.mode]
            said.append(f"{why_not}: {own} here." if why_not else f"Its mode: {own}.")
        said.append(kernel_words.cell_words(recipe.scenario.name, recipe.kernel, name))
        said.append(f"Started again, seed {recipe.seed}.")
        player = self.player
        moments: list[str] | None = None
        if player.at_end and recipe.scenario.name in BY_ID:
            # At the end of a single fault both kernels look the same: show where they part.
            moments = [cue.caption for cue in player.run.cues.found()]
            said.append("[ and ] go along its moments.")
        self._remake(changed, " ".join(filter(None, said)), moments=moments)

    def action_compare(self) -> None:
        """The same workload in every mode that this kernel can have."""
        recipe = self._recipe()
        if recipe is not None:
            self.open_compare(recipe.modes())

    def open_compare(self, modes: Sequence[str], shared: Shared | None = None) -> None:
        """Compare the run in these modes, three at most, here or at a shared moment."""
        recipe = self._recipe()
        if recipe is None:
            return
        was_playing = self.player.playing
        self.player.pause()
        place = WorkloadPosition.of(self.player)

        def begun(recipe: Recipe) -> list[Run]:
            return [recipe.with_changes(mode=mode).begin() for mode in modes[:3]]

        def compare(runs: list[Run]) -> None:
            screen = Compare(runs, place, was_playing)
            screen.race.leader.run.shared = shared
            self.app.push_screen(screen)

        self._make(recipe, f"Comparing {recipe.scenario.title}", begun, compare)

    def action_restart(self) -> None:
        """The same run from its start."""
        self.hush()
        self.player.go_start()
        self.player.present = self.player.index
        self.say("Started again: the same seed gives the same run.")
        self.moved()

    def action_reseed(self) -> None:
        """The next seed, from the start."""
        recipe = self._recipe()
        if recipe is not None:
            seed = recipe.seed + 1
            why = f"Seed {seed}: other choices among threads that could run at the same moment."
            self._remake(recipe.with_changes(seed=seed), why, position=0)

    def action_choose(self) -> None:
        """Go to the next decision and ask who runs."""
        self.hush()
        if self._recipe() is not None:
            self.player.next_decision(self._ask_who)
            self.moved()

    def _ask_who(self, decision: Decision) -> None:
        recipe = self.player.run.recipe
        assert recipe is not None

        def choose(number: int | None) -> None:
            if number is None or number < 0:
                return
            name = decision.names[number]
            if number == decision.chosen:
                self.say(f"{name} runs first, as it did.")
                self.moved()
                return
            self._remake(
                recipe.with_choice(decision.number, number),
                f"{name} runs first now; everything before is as it was.",
                position=decision.position,
            )

        self.moved()
        self.choose(
            "Who runs?",
            "These could all take their next step at this very moment. The dice chose the one "
            "that is marked; another choice starts a different run from here.",
            [(name, "chosen by the dice" if number == decision.chosen else "")
             for number, name in enumerate(decision.names)],
            decision.chosen,
            choose,
        )  # fmt: skip

    def action_break_list(self) -> None:
        """List the breakpoints; the chosen one goes."""
        points = self.player.marks.breakpoints
        if not points:
            self.say("There are no breakpoints yet: {break.add} sets one.")
            self.moved()
            return

        def drop(number: int | None) -> None:
            if number is not None and number >= 0:
                self.say(f"No longer: {points.pop(number).meaning}.")
            self.moved()

        self.choose(
            "Breakpoints",
            "Play stops when one of these comes true. Choosing one removes it.",
            [(point.text, f"{point.meaning}; {len(point.index)} times so far") for point in points],
            0,
            drop,
        )


def _parting(player: Player, moments: list[str]) -> int | None:
    """Where a finished run first comes to a moment that the other run did not have there."""
    if not player.run.finished:
        return None
    for number, cue in enumerate(player.run.cues.found()):
        if moments[number : number + 1] != [cue.caption]:
            return cue.position
    return len(player.run.timeline)


def _if_known(player: Player, position: int) -> int | None:
    return position if position <= len(player.run.timeline) else None
