"""What the screen writes to a terminal: bytes for each picture, and for one painted all over.

The app runs with a driver that counts instead of writing, so no terminal is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from textual._compositor import LayoutUpdate
from textual.drivers.headless_driver import HeadlessDriver

from . import terminal
from .app import LabApp
from .lean_output import lean
from .measure import settled_lab, storm
from .openings import spare_pauses
from .screens.lab import Lab

FPS: Final = 30
PICTURES: Final = 90
THREADS: Final = 16
CLOCK_NS: Final = 1_000


@dataclass(slots=True)
class Written:
    """Bytes of each picture: as the app writes it, and if it were painted all over."""

    width: int
    height: int
    ours: list[int] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    clock: list[int] = field(default_factory=list)
    """Of pictures in which the clock alone went on."""
    unthrifty: list[int] = field(default_factory=list)
    """Of whole pictures with every escape sequence that Textual makes."""


class CountingDriver(HeadlessDriver):
    """Counts what would go to a terminal."""

    bytes_written = 0
    """What came so far, as `lean_output` would pass it on."""

    @property
    def is_headless(self) -> bool:
        """Textual writes nothing to drivers that say yes."""
        return False

    def write(self, data: str) -> None:
        """Count it."""
        self.bytes_written += len(lean(data).encode())

    def flush(self) -> None:
        """Nothing is held back."""


def written_while_playing(
    size: tuple[int, int], pictures: int = PICTURES, depth: str = terminal.TRUE
) -> Written:
    """Bytes that the lab writes at a size while it plays at 30 pictures a second."""
    return asyncio.run(_written(size, pictures, depth))


async def _written(size: tuple[int, int], pictures: int, depth: str) -> Written:
    app = LabApp(run=storm(THREADS), play=False, depth=depth)
    app.driver_class = CountingDriver
    found = Written(*size)

    async def pilot(control: object) -> None:
        pause = control.pause  # type: ignore[attr-defined]
        lab = await settled_lab(app, pause)
        await _picture(app, lab, pause, Written(*size))  # What opening the screen left to do.
        for _ in range(pictures):
            await _picture(app, lab, pause, found)
        app.exit()

    spare_pauses()
    await app.run_async(size=size, auto_pilot=pilot)
    return found


async def _picture(
    app: LabApp, lab: Lab, pause: Callable[[], Awaitable[None]], found: Written
) -> None:
    """Play on by one picture; note what that wrote, and what all of it would have been."""
    driver, player = app._driver, lab.player
    assert isinstance(driver, CountingDriver)

    async def bytes_shown() -> int:
        await pause()  # Panes tell the compositor what changed when they have nothing else to do.
        lab._on_timer_update()
        written, driver.bytes_written = driver.bytes_written, 0
        return written

    player.playing = True
    player.tick(1 / FPS)
    player.playing = False
    lab.paint_now()
    found.ours.append(await bytes_shown())
    whole = lab._compositor.render_full_update()
    assert isinstance(whole, LayoutUpdate)
    data = whole.render_segments(app.console)
    found.unthrifty.append(len(data.encode()))
    found.whole.append(len(lean(data).encode()))
    player.now_ns += CLOCK_NS
    lab.paint_header()
    found.clock.append(await bytes_shown())
    player.now_ns -= CLOCK_NS
