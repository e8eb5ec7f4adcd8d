"""A talk on the stage: which scene, the ones around it prepared ahead, what next and back mean.

Knows no screen: it is told of keys and time, and gives the moment to paint. What cannot be shown
is left out with a quiet word, and the talk goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pfviz.report.source import open_scenario
from pfviz.scenario import talk_load
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.talk import Scene, Stop, Talk
from pfviz.views.stage import StageMoment

from .run import Run
from .stage_act import Act

KEPT_MAX: Final = 8
"""So many scenes are kept as they were played, so that going back is instant."""
AHEAD: Final = (1, -1, 2)
"""Which scenes are prepared besides the one that is shown, in this order."""


def alone(run: Run) -> Talk:
    """A run as a talk of one scene: the cues and questions of its scenario are the stops."""
    recipe = run.recipe
    if recipe is None:  # A capture has no moments of its own, only its end.
        scene = Scene(1, run.title, False, (), 0.0, run.story, "", run.title, stops=(Stop(""),))
        return Talk(run.title, "", run.title, run.story, (), 0.0, (scene,), {})
    scenario = recipe.scenario
    scene = talk_load.alone(scenario, recipe.overrides)
    scenarios = {scene.scenario: scenario}
    return Talk(scenario.name, "", run.title, run.story, (), 0.0, (scene,), scenarios)


class Show:
    """Where a talk is."""

    def __init__(self, talk: Talk, run: Run | None = None) -> None:
        """A talk, at its beginning; `run` stands for the run of its only scene."""
        self.talk = talk
        self.number = 0
        """The scene that is shown, from 0."""
        self.aside = ""
        """A quiet word to the speaker."""
        self._run = run
        self._wanted: int | None = None
        """The stop to begin at, until the scene is known so far."""
        self._acts: dict[int, Act] = {}
        self._left_out: set[Act] = set()
        self.act = self._act_of(0)
        self.enter(0)

    @property
    def scene(self) -> Scene:
        """The scene that is shown."""
        return self.talk.scenes[self.number]

    def _act_of(self, number: int) -> Act:
        if number not in self._acts:
            scene = self.talk.scenes[number]
            act = self._acts[number] = self._made(scene)
            for far in sorted(self._acts, key=lambda one: -abs(one - number))[:-KEPT_MAX]:
                del self._acts[far]
            return act
        return self._acts[number]

    def _made(self, scene: Scene) -> Act:
        scenes = len(self.talk.scenes)
        if self._run is not None:
            recipe = self._run.recipe
            return Act(scene, None if recipe is None else recipe.scenario, scenes, self._run)
        why = ""
        scenario = self.talk.scenarios.get(scene.scenario)
        if scenario is not None and scenario.maps:
            try:  # What the talk has read is without the VMAs of its maps file.
                scenario = open_scenario(scene.scenario)
            except ScenarioError as error:
                why = error.reason
        act = Act(scene, scenario, scenes)
        act.error = why
        return act

    def begin_at(self, scene: int, stop: int) -> None:
        """To a stop of a scene, both from 0, as soon as it is known where that is."""
        self.enter(min(scene, len(self.talk.scenes) - 1))
        self._wanted = stop

    def renew(self, talk: Talk) -> None:
        """The talk was written anew: what is the same in it stays as it was played.

        Another scene in the place of the one that is shown begins at the same stop.
        """
        old, scene, act = self.talk, self.scene, self.act
        same = [index for index, one in enumerate(talk.scenes) if one.title == scene.title]
        nearest = min(same, key=lambda index: abs(index - self.number), default=self.number)
        self.talk, self.aside = talk, ""
        self._acts = {
            number: kept for number, kept in self._acts.items() if _is_same(old, talk, number)
        }
        self._left_out &= set(self._acts.values())
        number = min(nearest, len(talk.scenes) - 1)
        if self._acts.get(number) is not act:
            self.begin_at(number, act.at)

    def _seek(self) -> None:
        if self._wanted is None or self.act.error:
            return
        stations = self.act.stations
        if len(stations.known) > self._wanted or stations.is_complete:
            self.act.stand_at(self._wanted)
            self._wanted = None

    def work(self, seconds: float) -> bool:
        """Compute for about so long, the scene that is shown first; whether there is more to do."""
        for step in (0, *AHEAD):
            number = self.number + step
            if not 0 <= number < len(self.talk.scenes):
                continue
            act = self._act_of(number)
            if act is not self.act and act.must_be_built and self.act.heading:
                continue  # What moves must not stutter.
            more = act.work(seconds)
            if act is self.act:
                self._seek()
                act.settle()
                if act.error and act not in self._left_out:
                    self._leave_out(1)
                    return True
            if more:
                return True
        return False

    # Going

    def enter(self, number: int, at_end: bool = False) -> None:
        """To a scene; one that cannot be shown is left out in the same direction."""
        direction = -1 if at_end else 1
        if not 0 <= number < len(self.talk.scenes):
            self.aside = "This is the end." if direction > 0 else "This is the beginning."
            return
        self.act._hold()
        self.number = number
        self.act = self._act_of(number)
        self.act.enter(at_end)
        if self.act.error:
            self._leave_out(direction)

    def _leave_out(self, direction: int) -> None:
        """Say that the scene cannot be shown, and go on to the next one."""
        number, why = self.number, self.act.error
        self._left_out.add(self.act)
        ahead = 0 <= number + direction < len(self.talk.scenes)
        if ahead:
            self.enter(number + direction, at_end=direction < 0)
        self.aside = f"Scene {number + 1} is left out: {why}" if ahead else why

    def go_on(self) -> None:
        """Finish what is under way, else to the next stop or the next scene."""
        self.aside, self._wanted = "", None
        if not self.act.go_on():
            self.enter(self.number + 1)

    def go_back(self) -> None:
        """To the stop before, in whatever scene."""
        self.aside, self._wanted = "", None
        if not self.act.go_back():
            self.enter(self.number - 1, at_end=True)

    def go(self, number: int) -> None:
        """To a scene by its number from 1; in a talk of one scene, to one of its stops."""
        self.aside, self._wanted = "", None
        count = len(self.talk.scenes)
        if count == 1:
            self.act.stand_at(number - 1)
        elif 1 <= number <= count:
            self.enter(number - 1)
        else:
            self.aside = f"There are {count} scenes."

    def restart(self) -> None:
        """To the very beginning."""
        self.aside, self._wanted = "", None
        self.act.go_to_start()
        self.enter(0)

    def moment(self, now_s: float) -> StageMoment:
        """What is to be seen now."""
        return self.act.moment(now_s)


def _is_same(old: Talk, new: Talk, number: int) -> bool:
    """Whether a scene, from 0, shows the same in both talks; its share of the time may differ."""
    if len(old.scenes) != len(new.scenes):
        return False  # Each shows how many there are.
    was, now = old.scenes[number], new.scenes[number]
    before, scenario = old.scenarios.get(was.scenario), new.scenarios.get(now.scenario)
    if scenario is not None and scenario.maps:
        return False  # Its VMAs stand in a file of their own.
    return replace(was, minutes=0.0) == replace(now, minutes=0.0) and before == scenario
