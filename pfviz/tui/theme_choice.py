"""The chooser of themes: each is worn while it is highlighted, the old one again after esc."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pfviz.config import theme_files
from pfviz.scenario.errors import ScenarioError

from . import terminal
from .screens.choice import Choice

if TYPE_CHECKING:
    from .app import LabApp

MEANINGS: Final = {
    "dark": "calm, for a desk",
    "light": "for bright rooms and paper",
    "contrast": "as much contrast as can be, on black",
    "contrast-light": "as much contrast as can be, on white",
    "projector": "for a beamer: bold, on white, nothing grey",
}


def theme_choice(app: LabApp) -> tuple[Choice, Callable[[int | None], None]]:
    """The screen that lets a person choose, and what to do with the answer."""
    listed = [one for one in theme_files.listing() if one.palette is not None]
    names = [one.name for one in listed]
    worn = app.worn
    explain = "Colours of the screen. Own ones are files in " + str(theme_files.themes_folder())
    if app.depth in (terminal.MONO, terminal.SIXTEEN):
        explain = "This terminal has too few colours to tell themes apart: all look the same here."

    def wear(name: str) -> None:
        try:
            app.wear(name)
        except ScenarioError as error:  # The file was changed while it was looked at.
            app.report(str(error))

    def answered(number: int | None) -> None:
        wear(worn if number is None or number < 0 else names[number])

    options = [(name, MEANINGS.get(name, listed[at].path)) for at, name in enumerate(names)]
    current = names.index(worn) if worn in names else 0
    choice = Choice("Theme", explain, options, current, tried=lambda number: wear(names[number]))
    return choice, answered
