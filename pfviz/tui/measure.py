"""What the screen costs: a frame of the lab against a bare widget, and the event loop's lag.

Run headless (no terminal is needed) by the bench verb; every figure is a plain number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import Final

from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pfviz.scenario.load import load
from pfviz.scenario.overrides import Overrides

from .app import LabApp
from .openings import spare_pauses
from .recipe import Recipe
from .run import Run
from .screens.lab import Lab

SIZE: Final = (200, 60)
THREADS: Final = 64
SCENARIO: Final = "fault-storm"
FRAMES: Final = 60
HEARTBEAT_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class FrameCost:
    """CPU per frame in ms, medians: ours, the bare widget's, and how many lines each repaints."""

    lab_ms: float
    bare_ms: float
    lines: float

    @property
    def ratio(self) -> float:
        """How many bare frames one of ours costs."""
        return self.lab_ms / self.bare_ms


@dataclass(frozen=True, slots=True)
class Lag:
    """How late the event loop comes back to a heartbeat while a run plays, in ms."""

    p50_ms: float
    p95_ms: float
    max_ms: float
    frames_per_s: float


def storm(threads: int = THREADS) -> Run:
    """A run with that many threads, at its beginning."""
    return Recipe(load(SCENARIO), Overrides(threads=threads)).start()


def frame_cost(frames: int = FRAMES) -> FrameCost:
    """CPU per frame of the lab at 200 x 60 with 64 threads, against a bare Line-API widget.

    Both repaint the same number of lines per frame, of the same width.
    """
    lab_ms, lines = asyncio.run(_lab_frames(frames))
    bare_ms = asyncio.run(_bare_frames(frames, round(lines)))
    return FrameCost(lab_ms, bare_ms, lines)


async def _lab_frames(frames: int) -> tuple[float, float]:
    """(median CPU ms, mean lines repainted) of frames that each play on by a 15th of a second."""
    app = LabApp(run=storm(), play=False)
    async with app.run_test(size=SIZE) as pilot:
        lab = await settled_lab(app, pilot.pause)
        costs: list[float] = []
        lines: list[int] = []
        player = lab.player
        for _ in range(frames):
            player.playing = True
            player.tick(1 / app.fps)
            before = sum(pane.repainted_lines for pane in lab.panes.values())
            began = process_time()
            lab.paint_now()
            lab._on_timer_update()  # The compositor's turn, without waiting for its timer.
            costs.append((process_time() - began) * 1e3)
            lines.append(sum(pane.repainted_lines for pane in lab.panes.values()) - before)
            await asyncio.sleep(0)
        player.pause()
    return median(costs), sum(lines) / len(lines)


async def settled_lab(app: LabApp, pause: Callable[[float], object]) -> Lab:
    """The lab once it computed far enough ahead that only painting is left to do."""
    await pause(0.3)  # type: ignore[misc]
    lab = app.screen
    assert isinstance(lab, Lab)
    for _ in range(400):
        if not lab.work(0.02):
            break
        await asyncio.sleep(0)
    lab.player.go(lab.player.run.timeline.next(lab.player.index, "fault"))
    lab.moved()
    await pause(0.2)  # type: ignore[misc]
    return lab


class _BareWidget(ScrollView):
    """A Line-API widget with as little of its own as can be: three segments a line."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_mount(self) -> None:
        self.virtual_size = Size(*SIZE)

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        text = f"{self.count + y:<{SIZE[0]}}"
        third = SIZE[0] // 3
        return Strip(
            [Segment(text[:third], style), Segment(text[third : 2 * third], style),
             Segment(text[2 * third :], style)],
            SIZE[0],
        )  # fmt: skip


class _BareApp(App[None]):
    def compose(self) -> ComposeResult:
        yield _BareWidget()


async def _bare_frames(frames: int, lines: int) -> float:
    """Median CPU ms of frames that repaint so many lines (more than the screen has: all of it)."""
    app = _BareApp()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(0.2)
        widget = app.query_one(_BareWidget)
        costs: list[float] = []
        for _ in range(frames):
            widget.count += 1
            began = process_time()
            widget.refresh_lines(0, min(lines, SIZE[1]))
            app.screen._on_timer_update()
            costs.append((process_time() - began) * 1e3)
            await asyncio.sleep(0)
    return median(costs)


def loop_lag(seconds: float = 6.0) -> Lag:
    """The event loop's lag while the lab plays 64 threads at 200 x 60, engine running ahead."""
    return asyncio.run(_loop_lag(seconds))


async def _loop_lag(seconds: float) -> Lag:
    app = LabApp(run=storm(), play=True)
    spare_pauses()  # As `run_app` does.
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(1.0)
        lab = app.screen
        assert isinstance(lab, Lab)
        frames = lab.frames
        late: list[float] = []
        began = perf_counter()
        while (now := perf_counter()) - began < seconds:
            await asyncio.sleep(HEARTBEAT_S)
            late.append(max(perf_counter() - now - HEARTBEAT_S, 0.0) * 1e3)
        took = perf_counter() - began
        frames = lab.frames - frames
    return Lag(median(late), quantiles(late, n=20)[-1], max(late), frames / took)
