"""The stage as a speaker drives it: clicker keys only, and what they must never do."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from pfviz.scenario.talk import Talk
from pfviz.scenario.talk_load import open_talk
from pfviz.tui.app import LabApp
from pfviz.tui.keymap import laid_over
from pfviz.tui.screens.help import Help
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.tui.screens.stage import Stage
from pfviz.tui.stage_link import Heard, StageFollower
from pfviz.views.rows import plain

from . import runs
from .screen_text import text_of

SMALL = Path(__file__).parent.parent / "data" / "talks" / "small.toml"


@pytest.fixture(scope="module")
def talk() -> Talk:
    return open_talk(str(SMALL))


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def app_of(talk: Talk) -> LabApp:
    return LabApp(talk=talk, fps=30)


def stage_of(pilot: Pilot[Any]) -> Stage:
    assert isinstance(pilot.app.screen, Stage), pilot.app.screen
    return pilot.app.screen


def caption(pilot: Pilot[Any]) -> str:
    """What the audience reads in the band, or as a question."""
    moment = stage_of(pilot).moment()
    return moment.asked.ask if moment.asked and not moment.caption else moment.caption


async def until(pilot: Pilot[Any], holds: Callable[[], bool], what: str = "") -> None:
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError(what or text_of(pilot.app))


async def prepared(pilot: Pilot[Any]) -> None:
    """Wait until everything that is computed ahead is there."""
    stage = stage_of(pilot)
    await until(pilot, lambda: not stage.show.work(0.01), "never prepared")


async def press(pilot: Pilot[Any], key: str, times: int = 1) -> None:
    for _ in range(times):
        await pilot.press(key)
    await pilot.pause(0.02)


async def to_scene(pilot: Pilot[Any], number: int) -> None:
    await pilot.press(*str(number), "enter")
    stage = stage_of(pilot)
    await until(pilot, lambda: stage.show.scene.number == number and stage.show.act.is_ready)


CAPTIONS = [
    "Welcome.",
    "Two threads and an unmapper.",
    "The first fault comes.",
    "What does the unmap need?",
    "It takes a VMA out of the tree.",
    "And once more.",
    "Side by side.",
    "Ten faults each.",
    "Which lock serves which fault.",
    "Before, there was one lock.",
]


async def test_a_clicker_goes_through_the_whole_talk_and_back(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        stage = stage_of(pilot)
        await prepared(pilot)
        forwards, places = [], []

        async def note() -> None:
            await prepared(pilot)
            leader = stage.show.act.leader
            forwards.append(caption(pilot))
            places.append((stage.show.number, stage.show.act.at, leader and leader.index))

        await note()
        while len(forwards) < 30 and not stage.show.aside:
            await press(pilot, "pagedown")
            if stage.show.act.heading:  # The second press finishes at once what moves.
                await press(pilot, "pagedown")
                assert not stage.show.act.heading
            await note()
        assert forwards[:-1] == CAPTIONS
        assert "This is the end." in text_of(pilot.app)
        backwards = []
        for _ in CAPTIONS:
            leader = stage.show.act.leader
            backwards.append((stage.show.number, stage.show.act.at, leader and leader.index))
            await press(pilot, "pageup")
            await prepared(pilot)
        assert backwards == places[-2::-1]


async def test_it_plays_to_the_next_stop_by_itself_and_stands_there(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        stage = stage_of(pilot)
        await press(pilot, "space")
        await until(pilot, lambda: caption(pilot) == "The first fault comes.")
        leader = stage.show.act.leader
        assert leader is not None
        assert not leader.playing
        stop = leader.index
        assert stop == stage.show.act.station.position
        await pilot.pause(0.2)
        assert leader.index == stop
        await press(pilot, "right")
        await until(pilot, lambda: caption(pilot) == "Now the memory goes.")
        assert stage.show.act.heading, "this stop only changes the caption"
        assert stage.moment().focus == "locks"
        assert leader.speed_ns == 1_000


async def test_a_blank_screen_comes_back_by_any_clicker_key_and_nothing_moves(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        before = text_of(pilot.app)
        for blank in ("b", "full_stop"):
            for back in ("pagedown", "pageup", "f5", "f17", "b", "full_stop", "escape", "space"):
                await press(pilot, blank)
                assert not text_of(pilot.app).strip()
                await press(pilot, back)
                assert text_of(pilot.app) == before, (blank, back)


async def test_no_clicker_key_restarts_or_leaves(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 3)
        before = text_of(pilot.app)
        for key in ("f5", "f17", "shift+f5"):
            await press(pilot, key)
            assert text_of(pilot.app) == before
            assert stage_of(pilot).show.number == 2
        await press(pilot, "q")
        assert "q again leaves the talk" in text_of(pilot.app)
        assert pilot.app.is_running
        await press(pilot, "pageup")
        await press(pilot, "q")
        assert pilot.app.is_running
        await press(pilot, "g", 2)
        assert caption(pilot) == "Welcome."


async def test_resizing_in_the_middle_shows_the_same_moment(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        await press(pilot, "pagedown", 2)
        stage = stage_of(pilot)
        place = (stage.show.number, stage.show.act.at)
        for size in ((200, 60), (40, 12), (120, 40), (10, 3), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: len(stage.panes["stage"].rows) == size[1])
            assert (stage.show.number, stage.show.act.at) == place
            if size[0] >= 40:
                assert "The first fault comes." in plain(stage.panes["stage"].rows)


async def test_a_keymap_takes_no_key_of_the_clicker_from_the_way_back(talk: Talk) -> None:
    keymap = laid_over(
        {"cue.next": ["]", "pagedown", "ctrl+f"], "mark.set": ["S"], "stage.open": []}
    )
    app = LabApp(talk=talk, fps=30, keymap=keymap)
    async with app.run_test(size=(120, 40)) as pilot:
        await to_scene(pilot, 2)
        await press(pilot, "pagedown", 2)
        for back in ("pagedown", "f5", "S"):
            await press(pilot, "escape")
            assert isinstance(pilot.app.screen, Lab)
            await press(pilot, back)
            assert isinstance(pilot.app.screen, Stage), back


async def test_taking_over_is_silent_and_the_talk_waits_where_it_was(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(120, 40)) as pilot:
        await to_scene(pilot, 2)
        await press(pilot, "pagedown", 2)
        stage = stage_of(pilot)
        leader = stage.show.act.leader
        assert leader is not None
        before, index = text_of(pilot.app), leader.index
        for back in ("pagedown", "f5", "escape", "S"):
            await press(pilot, "escape")
            lab = pilot.app.screen
            assert isinstance(lab, Lab)
            assert (lab.player.index, lab.message) == (index, "")
            await press(pilot, "right", 3)
            await press(pilot, "m")
            await press(pilot, "z")
            assert lab.player.run is not leader.run
            await press(pilot, back)
            assert stage_of(pilot) is stage
            assert (leader.index, text_of(pilot.app)) == (index, before)


async def test_the_matrix_is_taken_over_as_the_matrix(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 4)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, Matrix)
        await press(pilot, "f5")
        assert caption(pilot) == "Which lock serves which fault."


@pytest.mark.parametrize("above", ["enter", "question_mark", "enter question_mark", "T"])
async def test_a_clicker_leads_back_from_whatever_was_opened_above_the_talk(
    talk: Talk, above: str
) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 4)
        await press(pilot, "escape")
        taken = pilot.app.screen
        for key in above.split():
            await press(pilot, key)
        assert pilot.app.screen is not taken
        if isinstance(pilot.app.screen, Lab):  # A cell that is played: next is the talk's next.
            await press(pilot, "pagedown")
            assert isinstance(pilot.app.screen, Stage)
            return
        await press(pilot, "f5")
        assert caption(pilot) == "Which lock serves which fault."


async def test_a_digit_picks_an_answer_and_shows_which_is_right(talk: Talk) -> None:
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        await prepared(pilot)
        await press(pilot, "pagedown", 4)
        assert caption(pilot) == "What does the unmap need?"
        assert "It takes a VMA" not in text_of(pilot.app)
        await press(pilot, "9")
        await press(pilot, "0")
        assert caption(pilot) == "What does the unmap need?", "there is no answer 9"
        await press(pilot, "2")
        shown = text_of(pilot.app)
        assert "✗ 2    nothing" in shown
        assert "✓ 1    mmap_lock for writing" in shown
        assert "It takes a VMA out of the tree." in shown
        await press(pilot, "pageup")
        assert "✗" not in text_of(pilot.app)
        await press(
            pilot,
            "colon",
        )
        await press(pilot, "1")
        await press(pilot, "enter")
        assert caption(pilot) == "Welcome.", "after : digits are the number of a scene"


async def test_a_scene_that_fails_is_left_out_with_a_quiet_line(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pfviz.tui.recipe import Recipe

    start = Recipe.start

    def broken(self: Recipe) -> Any:
        if self.overrides.mode:
            raise ZeroDivisionError("the engine has stumbled")
        return start(self)

    monkeypatch.setattr(Recipe, "start", broken)
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        await press(pilot, "3")
        await press(pilot, "enter")
        await until(pilot, lambda: stage_of(pilot).show.scene.number == 4)
        assert "Scene 3 is left out" in text_of(pilot.app)
        await press(pilot, "pageup")
        await until(pilot, lambda: stage_of(pilot).show.scene.number == 2)
        assert caption(pilot) == "And once more."


async def test_what_cannot_be_painted_is_no_traceback(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a painter has stumbled")

    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        await to_scene(pilot, 2)
        monkeypatch.setattr("pfviz.views.stage.paint_panes", broken)
        await press(pilot, "pagedown", 2)
        assert "This cannot be shown: KeyError." in text_of(pilot.app)
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, Help)


async def test_the_lab_goes_on_stage_and_back_to_the_same_place() -> None:
    async with LabApp(run=runs.race(), play=False).run_test(size=(80, 24)) as pilot:
        lab = pilot.app.screen
        assert isinstance(lab, Lab)
        await press(pilot, "right", 5)
        index = lab.player.index
        await press(pilot, "S")
        leader = stage_of(pilot).show.act.leader
        assert leader is not None
        assert leader.index == index
        await press(pilot, "escape")
        assert pilot.app.screen is lab
        assert lab.player.index == index
        await press(pilot, "S")
        await press(pilot, "pagedown", 2)
        assert caption(pilot) == "The first fault."
        index = leader.index if (leader := stage_of(pilot).show.act.leader) else -1
        await press(pilot, "S")
        assert lab.player.index == index


async def test_keys_typed_before_the_stage_is_there_are_the_stages() -> None:
    async with LabApp(run=runs.race(), stage=True).run_test(size=(80, 24)) as pilot:
        await pilot.press("b")
        assert not text_of(pilot.app).strip(), "b blanks here; in the lab it would ask"
        await press(pilot, "pagedown")
        assert "Two threads touch a block" in caption(pilot)
        await press(pilot, "S")
        assert isinstance(pilot.app.screen, Lab)


async def test_a_click_is_next_and_the_notes_can_ask_for_it_too(talk: Talk) -> None:
    heard: list[Heard] = []
    follower = StageFollower(heard.append)
    async with app_of(talk).run_test(size=(80, 24)) as pilot:
        following = asyncio.create_task(follower.follow())
        await until(pilot, lambda: bool(heard) and heard[-1].state is not None)
        await pilot.click("#stage")
        assert caption(pilot) == "Two threads and an unmapper."
        await until(pilot, lambda: (heard[-1].state or {}).get("note") == "Breathe.")
        follower.ask("next")
        await until(pilot, lambda: caption(pilot) == "The first fault comes.")
        follower.ask("previous")
        await until(pilot, lambda: caption(pilot) == "Two threads and an unmapper.")
        told = heard[-1].state or {}
        assert (told["caption"], told["next"]) == (
            "Two threads and an unmapper.", "The first fault comes.",
        )  # fmt: skip
        await press(pilot, "b")
        await until(pilot, lambda: (heard[-1].state or {}).get("blank") is True)
        await press(pilot, "b")
        await press(pilot, "escape")
        await until(pilot, lambda: (heard[-1].state or {}).get("manual") is True)
        for _ in range(3):
            follower.ask("next")
            await pilot.pause(0.05)
        assert isinstance(pilot.app.screen, Lab), "the speaker's hands are on it"
        await press(pilot, "f5")
        assert caption(pilot) == "Two threads and an unmapper."
        following.cancel()
