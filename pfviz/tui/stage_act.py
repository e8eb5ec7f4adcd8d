"""One scene on the stage: its runs, its stations, where it stands and where it is going.

It knows no screen and no clock. A scene that fails says so in `error` and shows what it has.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Final

from pfviz.scenario import talk
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.schema import Scenario
from pfviz.views.followed import Followed
from pfviz.views.speeds import FIRST_EVENTS, rung
from pfviz.views.stage import StageMoment
from pfviz.views.stage_cells import cells_of, code_of
from pfviz.views.stage_walk import (
    ASK,
    BEGIN,
    CARD,
    STOP,
    WHY,
    RunAt,
    Setting,
    Station,
    Stations,
    moment_at,
)

from .player import Player
from .race import BY_OPERATIONS, BY_TIME, Race
from .recipe import Recipe
from .run import Run

EVENTS_AHEAD: Final = 1_000_000
"""So far a scene's runs are computed before somebody is there."""


class Act:
    """A scene that is prepared in slices, and then gone through station by station."""

    def __init__(
        self, scene: talk.Scene, scenario: Scenario | None, scenes: int, run: Run | None = None
    ) -> None:
        """A scene of so many; `run` stands for its own where somebody plays one already."""
        self.scene = scene
        self.codes: dict[tuple[str, str], str] = {}
        self.setting = Setting(scene, scenario, scenes, self.codes)
        if run is not None and run.recipe is not None:
            recipe = run.recipe
            self.setting = replace(self.setting, kernel=recipe.kernel, mode=recipe.mode)
        self.error = ""
        """Why it cannot be shown, or not further; "" while it can."""
        self.race: Race | None = None
        self.at = 0
        self.heading = False
        """Whether it is on its way from station `at` to the next one."""
        self.picked: dict[int, int] = {}
        """The answer that was picked, by the number of the station that asks."""
        self._hurries = False
        self._wants_last = False
        self._followed = Followed()
        self._runs: list[Run] = [] if run is None else [run]
        self._recipes: list[Recipe] = []
        if run is None and scenario is not None:
            self._recipes = [Recipe(scenario, changes) for changes in scene.runs]
        self._cells = iter(cells_of(scene))
        self.stations = Stations(scene)

    # Preparing

    @property
    def must_be_built(self) -> bool:
        """Whether a world is to be built next, which cannot be done in slices."""
        return bool(self._recipes)

    @property
    def is_waited_for(self) -> bool:
        """Whether somebody wants to see what is not computed yet."""
        return not self.is_ready or self._hurries or self._wants_last

    @property
    def is_ready(self) -> bool:
        """Whether there is something to see where the scene begins."""
        return self.stations.has_begun

    def work(self, seconds: float) -> bool:
        """Compute for about so long; whether there is more to do."""
        if self.error:
            return False
        try:
            return self._work(seconds)
        except ScenarioError as error:
            self.error = error.reason
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
        return False

    def _work(self, seconds: float) -> bool:
        if self._recipes:  # Building a world cannot be cut into slices: one at a time.
            self._runs.append(self._recipes.pop(0).start())
            return True
        deadline = perf_counter() + seconds
        for place in self._cells:
            self.codes[place] = code_of(*place)
            if perf_counter() >= deadline:
                return True
        unfinished = [run for run in self._runs if not run.finished and self._wants_more(run)]
        if unfinished:
            # Compared runs advance together.
            min(unfinished, key=lambda run: len(run.timeline)).advance(seconds)
        if self.race is None and self._runs and not any(map(_is_young, self._runs)):
            self._begin()
        self._look()
        return bool(unfinished)

    def _wants_more(self, run: Run) -> bool:
        reached = self.leader.index if self.leader is not None else 0
        return len(run.timeline) < reached + EVENTS_AHEAD or self._hurries

    def _begin(self) -> None:
        """The runs have something to show: make their players."""
        players = [Player(run) for run in self._runs]
        self.race = Race(players)
        self.race.by = BY_TIME if self.scene.align == "time" else BY_OPERATIONS
        for player in players:
            player.heeds_stops = False
        run = self._runs[0]
        self.stations.watch(run.log, lambda: run.known_ns, run.origin)

    def _look(self) -> None:
        if self.race is not None:
            run = self.race.leader.run
            self.stations.extend(len(run.timeline) if run.finished else None)

    # Where it stands

    @property
    def leader(self) -> Player | None:
        """The player of its first run; None while there is none."""
        return None if self.race is None else self.race.leader

    @property
    def station(self) -> Station:
        """The station at which it stands, or which it has left last."""
        known = self.stations.known
        return known[min(self.at, len(known) - 1)] if known else Station(BEGIN)

    @property
    def target(self) -> Station | None:
        """The next station, as far as it is known."""
        known = self.stations.known
        return known[self.at + 1] if self.at + 1 < len(known) else None

    @property
    def is_over(self) -> bool:
        """Whether it stands at its last station."""
        return self.stations.is_complete and self.target is None

    def enter(self, at_end: bool = False) -> None:
        """Begin at its first station, or stand at its last one."""
        self.heading = self._hurries = False
        self.at, self._wants_last = 0, at_end
        self._place()
        self.settle()

    def go_on(self) -> bool:
        """To the next station, playing; at once if it is under way. False when it is over."""
        if self.heading or self._wants_last:
            self._hurries = True
        elif self.is_over:
            return False
        else:
            self._head()
        self.settle()
        return True

    def go_back(self) -> bool:
        """To the station before, at once; False at the first one."""
        if not self.heading:
            if self.at == 0:
                return False
            self.at -= 1
        self._hold()
        self._place()
        return True

    def stand_at(self, number: int) -> None:
        """At one of its stations, by its number from 0; the last one that is known at most."""
        self._hold()
        self.at = max(0, min(number, len(self.stations.known) - 1))
        self._place()

    def stand_between(self, index: int, now_ns: int, playing: bool) -> None:
        """At any position of its run, on the way from the last station before it or not."""
        known, leader = self.stations.known, self.leader
        if leader is None:
            return
        self._hold()
        self.at = max((at for at, one in enumerate(known) if one.position <= index), default=0)
        leader.go(index)
        leader.now_ns = max(now_ns, leader.now_ns)
        if playing and not self.is_over:
            self._head()

    def go_to_start(self) -> None:
        """To its first station; nothing was answered."""
        self.picked.clear()
        self.enter()

    def _head(self) -> None:
        self.heading = True
        leader = self.leader
        if leader is not None:
            first, last = self._position(self.station), self.target
            # It may stand further on, where a lab left it.
            if leader.index < first or (last is not None and leader.index >= last.position):
                leader.go(first)
            self._set_speed()
            leader.playing = True

    def _hold(self) -> None:
        self.heading = self._hurries = self._wants_last = False
        if self.leader is not None:
            self.leader.pause()

    def settle(self) -> bool:
        """See whether it has arrived, after a tick or some work; whether anything changed."""
        if self._wants_last and self.stations.is_complete:
            self._wants_last = False
            self.at = len(self.stations.known) - 1
            self._place()
            return True
        if not self.heading:
            return False
        target, leader = self.target, self.leader
        if target is None:
            if self.is_over:
                self._hold()
            return self.is_over
        if (
            leader is None
            or target.kind == BEGIN
            or self._hurries
            or leader.index >= target.position
        ):
            self.at += 1
            self._hold()
            self._place()
            if target.kind == BEGIN and not self.scene.say and not self.is_over:
                self._head()
            return True
        if not leader.playing and not leader.at_end:
            leader.playing = True
        self._set_speed()
        return False

    def _position(self, station: Station) -> int:
        leader = self.leader
        assert leader is not None
        return max(station.position, leader.run.origin)

    def _place(self) -> None:
        leader = self.leader
        if leader is not None:
            leader.go(self._position(self.station))
            self._set_speed()

    def _set_speed(self) -> None:
        leader, speed_ns = self.leader, self.scene.view(self._reached()).speed_ns
        if leader is not None and speed_ns:
            leader.rung = rung(speed_ns)

    def _reached(self) -> tuple[talk.Stop, ...]:
        """The stops that have been passed, with those on the way that only change the caption."""
        reached = self.station.reached
        if not self.heading or self.leader is None:
            return reached
        index = self.leader.index
        passed = (stop for position, stop in self.stations.quiet if position <= index)
        return (*reached, *(stop for stop in passed if stop not in reached))

    # Questions

    def pick(self, answer: int) -> bool:
        """Choose an answer of the question that is asked; False when there is no such one."""
        station = self.station
        if (
            station.kind != ASK
            or station.asked is None
            or not 1 <= answer <= len(station.asked.answers)
        ):
            return False
        self.picked[self.at] = answer
        return True

    # What is seen

    def moment(self, now_s: float) -> StageMoment:
        """What the stage shows; a thread is followed for some seconds of the viewer's clock."""
        station = self.station
        asks_at = self.at - 1 if station.kind == WHY else self.at
        picked = 0 if self.heading else self.picked.get(asks_at, 0)
        shown = station
        if self.heading and station.asked is not None:
            shown = replace(station, kind=STOP, asked=None)
        return moment_at(
            self.setting, shown, self.at, self.stations.count_in_all,
            self._runs_now(now_s) if station.kind != CARD else (), self._reached(), picked,
        )  # fmt: skip

    def _runs_now(self, now_s: float) -> tuple[RunAt, ...]:
        race = self.race
        if race is None or not self.is_ready:
            return ()
        race.align()
        followed = self._followed.at(race.leader.frame, now_s) if self.heading else -1
        speed_ns = race.leader.speed_ns
        return tuple(
            RunAt(one.run.timeline, one.index, one.now_ns, speed_ns, followed)
            for one in race.players
        )


def _is_young(run: Run) -> bool:
    return not run.finished and len(run.timeline) < run.origin + FIRST_EVENTS
