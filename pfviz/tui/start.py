"""From what a person asked to see to the app on their terminal, and what is said when they left."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

from pfviz.config import theme_files
from pfviz.config.settings import Settings
from pfviz.report.source import Source
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.scenario.talk import Talk

from . import terminal
from .app import DEFAULT_THEME, LabApp, MatrixPlace
from .keymap import Keymap
from .opening import Opening
from .openings import spare_pauses
from .sources import entries, run_of

PATIENCE_S: Final = 0.3
"""What is opened so soon is there when the screen is: no word is lost on it."""


def why_unwearable(theme: str | None) -> str:
    """Why a theme cannot be worn, in one line; empty when it can."""
    try:
        theme_files.palette_of(theme or DEFAULT_THEME)
    except ScenarioError as error:
        return str(error)
    return ""


def run_app(
    source: Source | None = None,
    *,
    captures: Sequence[str] = (),
    compare: Sequence[str] = (),
    matrix: MatrixPlace | None = None,
    notes: Talk | None = None,
    stage: bool = False,
    theme: str | None = None,
    ascii_only: bool = False,
    fps: int | None = None,
    keymap: Keymap | None = None,
    settings: Settings | None = None,
) -> int:
    """Show the app until it is left; the exit code.

    Without a source the gallery opens, with the bundled and own scenarios and `captures` in it.
    `compare` names the modes to begin comparing in, `matrix` the cell to begin at; `stage` begins
    on the large screen for talks, as a talk does by itself; `notes` are those of a talk.
    A locale without UTF-8 means ASCII anyway.

    Raises:
        ScenarioError: the source's scenario cannot be built.
        CaptureError: its capture cannot be read.
    """
    is_shown = sys.stdout.isatty() or "PFVIZ_IN_BROWSER" in os.environ
    why = terminal.why_no_screen(os.environ, is_shown) or why_unwearable(theme)
    if why:
        sys.stderr.write(f"pfviz: {why}\n")
        return 2
    talk = None if source is None else source.talk
    opening = None
    if source is not None and talk is None:
        opening = Opening(f"Opening {printable(source.name)}", partial(run_of, source))
    soon = opening is not None and opening.wait(PATIENCE_S)
    app = LabApp(
        run=opening.result() if opening is not None and soon else None,
        opening=opening,
        entries=entries(captures) if talk is None and notes is None else (),
        talk=talk,
        notes=notes,
        stage=stage,
        compare=compare,
        matrix=matrix,
        theme=theme,
        ascii_only=ascii_only,
        fps=fps,
        keymap=keymap,
        play=source is None or source.shared is None or source.shared.moment is None,
    )
    app.settings = settings or app.settings
    app.stop = None if source is None or source.shared is None else source.shared.stop
    spare_pauses()
    app.run()
    return _left(app)


def _left(app: LabApp) -> int:
    """Say how to be there again; the exit code."""
    if app.failure is not None:
        raise app.failure
    if app.token_left and sys.stderr.isatty():
        sys.stderr.write(f"pfviz play {app.token_left}  # back to where you were\n")
    return app.return_code or 0
