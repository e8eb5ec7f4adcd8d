"""The share token of a moment, and being there again with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pfviz.report.share import log_check
from pfviz.report.source import Shared, open_source
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.token import Moment, decode
from pfviz.sim.event import ROW_BYTES, EventLog
from pfviz.tui.app import LabApp
from pfviz.tui.player import Player
from pfviz.tui.run import Run
from pfviz.tui.screens.compare import Compare
from pfviz.tui.screens.stage import Stage
from pfviz.tui.shared_moment import RUNS_DIFFERENTLY, errand_to, token_at
from pfviz.tui.sources import run_of
from pfviz.views.workload_position import WorkloadPosition

from .runs import RACE, capture, player
from .screen_text import lab_of, settle, text_of

SIZE = (120, 40)


def opened(token: str) -> LabApp:
    source = open_source(token)
    return LabApp(run=run_of(source), compare=source.modes, play=False)


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the race in it, to be in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "race.toml").write_text(RACE)
    return tmp_path / "race.toml"


async def test_a_token_of_a_changed_run_shows_the_same_screen_again(known: Path) -> None:
    app = LabApp(run=run_of(open_source("race.toml")), play=False)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("m", "f", "f")  # Another mode, and on to some fault.
        await settle(pilot)
        recipe = lab_of(app).player.run.recipe
        assert recipe is not None
        lab_of(app).set_policy(recipe, "merge", False)
        await settle(pilot)
        await pilot.press("escape", "right", "right")
        await settle(pilot)
        await pilot.press("c")
        await settle(pilot)
        await pilot.press("down" if "chosen" in text_of(app) else "up", "enter")
        await settle(pilot)
        await pilot.press("o", "right", "right", "right", "left")
        await settle(pilot)
        lab = lab_of(app)
        lab.player.now_ns += 1  # Paused between two events.
        lab.hush()
        lab.moved()
        await pilot.press("Y")
        word = lab.message.rpartition(" ")[2]
        assert app.clipboard == word
        lab.hush()
        lab.player.present = lab.player.index
        lab.moved()
        shown, index = text_of(app), lab.player.index
    assert lab.player.run.recipe is not None
    made = lab.player.run.recipe.overrides
    assert (made.mode, dict(made.policy)["merge"], bool(made.choices)) == ("lockless", False, True)
    again = opened(word)
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert lab_of(again).player.index == index
        while not lab_of(again).player.run.finished:
            await pilot.pause(0.05)
        lab_of(again).moved()
        assert text_of(again) == shown


async def test_a_token_of_a_comparison_opens_its_columns(known: Path) -> None:
    app = LabApp(run=run_of(open_source("race.toml")), play=False)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("equals_sign")
        await settle(pilot)
        await pilot.press("right", "right", "right", "Y")
        await settle(pilot)
        word = app.clipboard
        assert isinstance(app.screen, Compare)
        index = app.screen.race.leader.index
        app.exit()
    assert app.token_left == word
    again = opened(word)
    async with again.run_test(size=SIZE) as pilot:
        await settle(pilot)
        assert isinstance(again.screen, Compare)
        assert [recipe.mode for recipe in again.screen.recipes] == [
            "mmap_lock",
            "per-vma",
            "lockless",
        ]
        assert again.screen.race.leader.index == index


def arrived(run: Run) -> tuple[Player, str]:
    """A player that went where its run's token says, and what it said."""
    said: list[str] = []
    made = Player(run, said.append)
    assert run.shared is not None
    errand = errand_to(run.shared, made)
    assert errand is not None
    made.look_for(errand)
    while made.errand is not None:
        made.work(1.0)
    return made, " ".join(filter(None, said))


def test_a_changed_file_is_shown_at_the_same_place_in_its_workload(known: Path) -> None:
    made = player()
    made.go(made.run.timeline.nth(7, "operation"))
    word = token_at(made)
    known.write_text(RACE.replace("count = 2", "count = 3"))
    there, said = arrived(run_of(open_source(word)))
    assert said.startswith("Race has changed since this token was made. At the same place in the")
    assert WorkloadPosition.of(there) == WorkloadPosition.of(made)


def test_a_changed_caption_is_no_change(known: Path) -> None:
    word = token_at(player())
    known.write_text(RACE.replace("The first fault.", "Look, a fault.").replace("A race", "Races"))
    again = open_source(word)
    assert again.shared == Shared(decode(word).moment)
    assert again.path == str(known)  # It is watched, as a file that was opened by its name.


def test_an_option_on_top_of_a_token_keeps_the_place_in_the_workload(known: Path) -> None:
    made = player()
    made.go(made.run.timeline.nth(7, "operation"))
    there, said = arrived(run_of(open_source(token_at(made), Overrides(mode="mmap_lock"))))
    assert said == "At the same place in the workload: 7 operations done."
    assert there.run.log.meta["mode"] == "mmap_lock"


def test_a_pfviz_that_models_something_else_says_so(known: Path) -> None:
    made = player()
    made.go(made.run.timeline.nth(7, "operation"))
    run = run_of(open_source(token_at(made)))
    assert run.shared is not None
    moment = run.shared.moment
    assert moment is not None
    other = Moment(moment.events, 0, moment.operations, moment.faults, moment.check ^ 1)
    run.shared = Shared(other)
    there, said = arrived(run)
    assert said.startswith(RUNS_DIFFERENTLY)
    assert WorkloadPosition.of(there) == WorkloadPosition.of(made)


def test_a_recording_has_no_token() -> None:
    assert token_at(Player(capture())) == ""


async def test_a_talk_that_was_left_goes_on_at_the_stop_where_it_was() -> None:
    app = LabApp(talk=open_source("talk-3min").talk)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
        await pilot.pause(0.3)
        assert isinstance(app.screen, Stage)
        left = (app.screen.show.number, app.screen.show.act.at)
        app.exit()
    assert max(left) > 0
    assert decode(app.token_left).stop == left
    source = open_source(app.token_left)
    again = LabApp(talk=source.talk)
    assert source.shared is not None
    again.stop = source.shared.stop
    async with again.run_test(size=SIZE) as pilot:
        assert isinstance(again.screen, Stage)
        show = again.screen.show
        for _ in range(200):
            if (show.number, show.act.at) == left:
                break
            await pilot.pause(0.05)
        assert (show.number, show.act.at, show.act.heading) == (*left, False)


def test_the_check_of_a_moment_is_of_all_that_happened_until_then_and_of_nothing_later() -> None:
    log = player().run.log
    checks = [log_check(log, events) for events in range(60)]
    assert len(set(checks)) > 55
    other = EventLog(bytearray(log.rows))
    other.rows[30 * ROW_BYTES] ^= 1
    changed = [log_check(other, events) for events in range(60)]
    assert changed[:31] == checks[:31]
    assert all(one != was for one, was in zip(changed[31:], checks[31:], strict=True))
