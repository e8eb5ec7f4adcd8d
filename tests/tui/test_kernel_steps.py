"""Stepping along the kernels while a scenario runs: what is said, and which mode it gets."""

import itertools

import pytest

from pfviz.mm.presets import MODES, PRESETS
from pfviz.report.source import Source, open_scenario
from pfviz.scenario.overrides import Overrides
from pfviz.tui import kernel_words
from pfviz.tui.app import LabApp
from pfviz.tui.sources import run_of

from .runs import race
from .screen_text import lab_of, settle, text_of


def flat(app: LabApp) -> str:
    """The screen's words, wherever lines were broken."""
    return " ".join(text_of(app).split())


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_one_key_goes_on_at_the_same_place_and_names_the_commit(
    size: tuple[int, int],
) -> None:
    app = LabApp(run=race(kernel="6.6"), play=False)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press("f", "f")
        await settle(pilot)
        done = lab_of(app).player.run.timeline.count(lab_of(app).player.index, "fault")
        await pilot.press("v")
        await settle(pilot)
        lab = lab_of(app)
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.kernel == "6.7"
        assert lab.player.run.timeline.count(lab.player.index, "fault") == done == 2
        assert "Now Linux 6.7: misses, copies and shared writes ask" in flat(app)
        assert "5d74b2ab2c15" in flat(app)
        assert "seed 1" in flat(app)
        await pilot.press("V")
        await settle(pilot)
        assert "Back to Linux 6.6. Undone: misses, copies" in flat(app)


async def test_a_fault_of_the_matrix_says_what_became_of_it() -> None:
    run = run_of(Source(open_scenario("file_read_miss"), Overrides(kernel="6.6")))
    app = LabApp(run=run, play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("v")
        await settle(pilot)
        assert "This fault was V>M and is V(io)>M." in flat(app)


async def test_from_the_end_of_a_fault_one_lands_where_the_kernels_part() -> None:
    run = run_of(Source(open_scenario("shared_write"), Overrides(kernel="6.6")))
    app = LabApp(run=run, play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("end")
        await settle(pilot)
        assert lab_of(app).player.at_end
        before = [cue.caption for cue in lab_of(app).player.run.cues.found()]
        await pilot.press("v")
        await settle(pilot)
        player = lab_of(app).player
        assert not player.at_end
        here = [cue for cue in player.run.cues.found() if cue.position == player.index]
        number = player.run.cues.found().index(here[0])
        assert before[:number] == [cue.caption for cue in player.run.cues.found()[:number]]
        assert before[number] != here[0].caption
        assert "[ and ] go along its moments." in flat(app)


async def test_a_mode_that_a_kernel_cannot_have_gives_way_and_says_why() -> None:
    app = LabApp(run=race(kernel="7.2", mode="mmap_lock"), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("v")
        await settle(pilot)
        recipe = lab_of(app).player.run.recipe
        assert recipe is not None
        assert (recipe.kernel, recipe.mode) == ("beyond", "per-vma")
        assert "Kernel beyond has no mmap_lock: per-VMA here." in flat(app)
        lab_of(app).action_set_mode("mmap_lock")
        await settle(pilot)
        assert "Kernel beyond has no mmap_lock; v, V and K choose another" in flat(app)
        await pilot.press("v")
        await settle(pilot)
        assert "the newest kernel that there is" in flat(app)


async def test_the_mode_that_was_asked_for_comes_back_where_it_can() -> None:
    app = LabApp(run=race(kernel="6.1", mode="lockless"), play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        lab_of(app).action_set_mode("lockless")
        await settle(pilot)
        for key, kernel, mode in (("V", "6.0", "mmap_lock"), ("v", "6.1", "lockless")):
            await pilot.press(key)
            await settle(pilot)
            recipe = lab_of(app).player.run.recipe
            assert recipe is not None
            assert (recipe.kernel, recipe.mode) == (kernel, mode)


@pytest.mark.parametrize("kernel", PRESETS)
def test_every_impossible_mode_has_its_reason(kernel: str) -> None:
    for mode in MODES:
        assert bool(kernel_words.why_not(mode, kernel)) == (mode not in PRESETS[kernel].modes)


def test_every_step_between_kernels_can_be_told() -> None:
    names = list(PRESETS)
    for before, after in itertools.pairwise(names):
        assert after in kernel_words.step_words(before, after)
        assert "(" in kernel_words.step_words(after, before)
