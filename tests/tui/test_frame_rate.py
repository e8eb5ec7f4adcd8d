"""A cap on repaints holds for keys that are held down, too."""

import asyncio
from time import perf_counter

import pytest
from textual import screen

from pfviz.tui import frame_rate
from pfviz.tui.app import LabApp
from pfviz.tui.written import CountingDriver
from tests.tui.runs import race

HELD_S = 0.8


class Repaints(CountingDriver):
    """Counts pictures: each is one write that places the cursor."""

    count = 0

    def write(self, data: str) -> None:
        self.count += "H\x1b[" in data


async def repaints_per_s(monkeypatch: pytest.MonkeyPatch, cap: int) -> float:
    monkeypatch.setattr(screen, "UPDATE_PERIOD", screen.UPDATE_PERIOD)  # Put back afterwards.
    frame_rate.cap_repaints(cap)
    app = LabApp(run=race(), play=False)
    app.driver_class = Repaints
    found = 0.0

    async def hold_a_key(pilot: object) -> None:
        nonlocal found
        await asyncio.sleep(0.4)
        driver = app._driver
        assert isinstance(driver, Repaints)
        before, began = driver.count, perf_counter()
        while perf_counter() - began < HELD_S:
            await app.screen.run_action("step(1)")
            await asyncio.sleep(0.01)
        found = (driver.count - before) / (perf_counter() - began)
        app.exit()

    await app.run_async(size=(100, 30), auto_pilot=hold_a_key)  # type: ignore[arg-type]
    return found


async def test_a_held_key_repaints_no_more_often_than_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capped = await repaints_per_s(monkeypatch, 5)
    assert 0 < capped <= 5 + 2 / HELD_S
    assert capped < await repaints_per_s(monkeypatch, 60)
