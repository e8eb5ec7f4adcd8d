"""What stands on the screen of a running app, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.tui.screens.lab import Lab

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot


def text_of(app: App[Any]) -> str:
    """The lines of the screen, as a person would read them."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def lab_of(app: App[Any]) -> Lab:
    """The lab, when it is the screen."""
    assert isinstance(app.screen, Lab), app.screen
    return app.screen


async def settle(pilot: Pilot[Any]) -> None:
    """Wait until what was asked for is there: the engine computed, the screen painted."""
    for _ in range(200):
        await pilot.pause(0.02)
        players = getattr(pilot.app.screen, "players", tuple)()
        if not any(player.errand for player in players):
            break
    await pilot.pause(0.05)
