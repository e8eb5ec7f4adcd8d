"""Questions in the lab: asked while playing, answered by digits, never asked of who steps."""

from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from pfviz.report.source import open_scenario
from pfviz.tui.app import LabApp
from pfviz.tui.player import Player
from pfviz.tui.recipe import Recipe
from pfviz.tui.run import Run
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.question import QuestionPanel

from .screen_text import text_of

RACE = Path(__file__).parent.parent / "data" / "talks" / "race.toml"


def race() -> Run:
    run = Recipe(open_scenario(str(RACE))).start()
    while not run.finished:
        run.advance(1.0)
    return run


def lab_at_speed(pilot: Pilot[Any]) -> Lab:
    assert isinstance(pilot.app.screen, Lab)
    pilot.app.screen.player.rung = 13
    return pilot.app.screen


async def asked(pilot: Pilot[Any]) -> QuestionPanel:
    for _ in range(400):
        if isinstance(pilot.app.screen, QuestionPanel):
            await pilot.pause(0.02)
            return pilot.app.screen
        await pilot.pause(0.01)
    raise AssertionError(text_of(pilot.app))


async def ended(pilot: Pilot[Any], lab: Lab) -> None:
    for _ in range(400):
        if lab.player.at_end:
            await pilot.pause(0.05)
            return
        await pilot.pause(0.01)
    raise AssertionError("never ended")


async def test_playing_stops_and_asks_then_plays_on_and_tells_the_score() -> None:
    async with LabApp(run=race(), play=False, fps=30).run_test(size=(80, 24)) as pilot:
        lab = lab_at_speed(pilot)
        await pilot.press("space")
        panel = await asked(pilot)
        assert not lab.player.playing
        assert "What does the unmap need?" in text_of(pilot.app)
        assert "It takes a VMA" not in text_of(pilot.app)
        await pilot.press("1")
        await pilot.pause(0.02)
        assert (panel.picked, panel.revealed) == (1, True)
        assert "It takes a VMA out of the tree." in text_of(pilot.app)
        await pilot.press("space")
        await ended(pilot, lab)
        assert "1 of 1 answer right." in text_of(pilot.app)


async def test_esc_skips_and_what_was_skipped_has_no_score() -> None:
    async with LabApp(run=race(), play=False, fps=30).run_test(size=(80, 24)) as pilot:
        lab = lab_at_speed(pilot)
        await pilot.press("space")
        await asked(pilot)
        await pilot.press("escape")
        await ended(pilot, lab)
        assert "answer" not in text_of(pilot.app)
        assert not lab.answered


async def test_captions_off_means_no_questions() -> None:
    async with LabApp(run=race(), play=False, fps=30).run_test(size=(80, 24)) as pilot:
        lab = lab_at_speed(pilot)
        await pilot.press("C", "space")
        await ended(pilot, lab)
        assert isinstance(pilot.app.screen, Lab)


def test_only_playing_asks_and_only_who_asks() -> None:
    player = Player(race())
    player.rung = 13
    question = player.run.askings.found()[0].position
    player.go(question - 1)
    player.by("event", 1)
    assert player.index == question
    assert player.asked is None
    player.go(question - 1)
    player.playing = True
    assert player.tick(1.0)
    assert player.asked is None, "a preview, compare and the stage do not ask"
    player.asks = True
    player.go(question - 1)
    player.playing = True
    player.tick(1.0)
    assert (player.index, player.playing) == (question, False)
    assert player.asked is player.run.questions[0]


def test_a_question_that_is_not_true_here_is_not_asked() -> None:
    scenario = open_scenario("two-mallocs")
    assert Recipe(scenario).start().questions
    assert not Recipe(scenario).with_changes(mode="mmap_lock").start().questions
