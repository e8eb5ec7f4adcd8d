"""A picture of the screen as SVG: a file here, or a download where the screen is a web page."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pfviz.places import state_home

if TYPE_CHECKING:
    from textual.app import App


def save_screenshot(app: App[Any]) -> str:
    """Save the screen in this folder or else in pfviz's own; what to tell the person."""
    # Without this some viewers drop the blanks beside coloured words.
    svg = app.export_screenshot(title=app.TITLE).replace("<text ", '<text xml:space="preserve" ')
    if app.is_web:
        app.deliver_text(StringIO(svg), save_filename="pfviz.svg")
        return "Your browser saves pfviz.svg."
    try:
        path = _write(svg, Path.cwd())
    except OSError:
        try:
            path = _write(svg, state_home())
        except OSError as error:
            return f"The screenshot could not be saved: {error.strerror or error}."
    return f"Saved {path}."


def _write(svg: str, folder: Path) -> Path:
    """Write to the first free name `pfviz-1.svg`, `pfviz-2.svg`, ... of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"pfviz-{number}.svg").exists():
        number += 1
    path.write_text(svg, encoding="utf-8")
    return path
