"""Runs on their way: the app hears keys meanwhile, and what is on its way can be given up."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from pfviz.report.source import Source
from pfviz.scenario.load import load
from pfviz.scenario.overrides import Overrides
from pfviz.sim.told import Told
from pfviz.trace.capture_file import CaptureError
from pfviz.tui.app import LabApp
from pfviz.tui.opening import GivenUpError, Opening
from pfviz.tui.recipe import Recipe
from pfviz.tui.run import Run
from pfviz.tui.screens.compare import Compare
from pfviz.tui.screens.gallery import Gallery
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.loading import Loading
from pfviz.tui.sources import Entry, run_of
from tests.tui.runs import CAPTURE
from tests.tui.screen_text import text_of

ENTRY = Entry("hello-fault", "Hello, fault", "One thread.", "hello-fault")


def slow(told: Told, until: threading.Event) -> Run:
    """A run that comes when the test lets it."""
    for number in range(10_000):
        told(min(number, 25), 100)
        if until.wait(0.002):
            break
    return Recipe(load("hello-fault")).begin()


async def test_a_slow_opening_shows_how_far_it_is_and_then_the_lab() -> None:
    may_end = threading.Event()
    app = LabApp(opening=Opening("Opening big.txt", lambda told: slow(told, may_end)))
    async with app.run_test(size=(80, 24)) as pilot:
        await asyncio.sleep(0.2)
        assert isinstance(app.screen, Loading)
        shown = text_of(app)
        assert "Opening big.txt" in shown
        assert " 25%" in shown
        assert "esc: stop" in shown
        may_end.set()
        while not isinstance(app.screen, Lab):
            await pilot.pause(0.02)


async def test_esc_gives_it_up_and_the_gallery_is_there() -> None:
    opening = Opening("Opening big.txt", lambda told: slow(told, threading.Event()))
    app = LabApp(entries=[ENTRY], opening=opening)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("escape")
        assert isinstance(app.screen, Gallery)
        assert opening.wait(5)
        with pytest.raises(GivenUpError):
            opening.result()


async def test_what_cannot_be_read_ends_the_app_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_text("nothing of a kernel\n" * 100)
    app = LabApp(opening=Opening("x", lambda told: run_of(Source(capture=str(path)), told)))
    async with app.run_test():
        await asyncio.sleep(0.1)
    assert isinstance(app.failure, CaptureError)


async def test_a_large_world_is_made_again_away_from_the_event_loop() -> None:
    run = Recipe(load("fault-storm"), Overrides(threads=130)).begin()
    app = LabApp(run=run, play=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lab = app.screen
        assert isinstance(lab, Lab)
        await pilot.press("m")
        for _ in range(200):
            if lab.player.run is not run:
                break
            await pilot.pause(0.02)
        assert lab.player.run.recipe is not None
        assert lab.player.run.recipe.mode != run.recipe.mode  # type: ignore[union-attr]
        await pilot.press("equals_sign")
        for _ in range(200):
            if isinstance(app.screen, Compare):
                break
            await pilot.pause(0.02)
        assert isinstance(app.screen, Compare)


def test_reading_a_capture_tells_how_far_it_is_and_stops_when_nobody_wants_it() -> None:
    heard: list[tuple[int, int]] = []
    run_of(Source(capture=str(CAPTURE)), lambda *far: heard.append(far))
    assert heard
    assert all(0 <= done <= total == CAPTURE.stat().st_size for done, total in heard)

    def never(_done: int, _total: int) -> None:
        raise GivenUpError

    began_s = time.perf_counter()
    with pytest.raises(GivenUpError):
        run_of(Source(capture=str(CAPTURE)), never)
    assert time.perf_counter() - began_s < 1.0


async def test_an_interrupt_goes_through_whatever_screen_is_in_front() -> None:
    opening = Opening("Opening big.txt", lambda told: slow(told, threading.Event()))
    app = LabApp(entries=[ENTRY], opening=opening)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert app.return_code == 130
    opening.give_up()
