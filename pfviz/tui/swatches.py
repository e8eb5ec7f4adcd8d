"""Every theme's colours as a terminal shows them: a line each, for eyes to compare."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

from rich.console import Console
from rich.segment import Segment
from textual.strip import Strip

from pfviz.config.settings import says_yes
from pfviz.config.theme_files import listing
from pfviz.views.palettes import SIXTEEN as SIXTEEN_COLORS
from pfviz.views.palettes import Palette
from pfviz.views.rows import Row, pad
from pfviz.views.states import STATES

from . import terminal
from .themes import console_of, style_table

SHOWN = (4, 5, 6, 9, 10, 11, 12, 13, 1)
"""States: who guards a fault, spinning and waiting, the rest."""


def swatches(environ: Mapping[str, str]) -> Iterator[str]:
    """Lines of text with escape sequences, in the colours and marks of this terminal."""
    depth = terminal.depth_here(environ)
    glyphs, _ = terminal.glyphs_of(environ, says_yes(environ.get("PFVIZ_ASCII", "")))
    themes = [(one.name, one.palette) for one in listing() if one.palette is not None]
    if depth in (terminal.MONO, terminal.SIXTEEN):
        themes = [("all themes", SIXTEEN_COLORS)]
    console = console_of(Console(file=io.StringIO()), depth)
    for name, palette in themes:
        cells: list[tuple[str, str]] = [(f" {pad(name, 15)}", "text")]
        for number in SHOWN:
            state = STATES[number]
            cells += [(glyphs.of(state) * 3, state.style), (f" {state.letter} ", state.style)]
        cells += [(" text", "text"), (" dim", "dim"), (" faint ", "faint")]
        yield _line(tuple(cells), palette, console, depth != terminal.MONO)


def _line(row: Row, palette: Palette, console: Console, colors: bool) -> str:
    table = style_table(palette, colors)
    ground = f"on {palette.ground}" if colors else ""
    base = console.get_style(ground) if ground else None
    segments = [
        Segment(text, base + table[name] if base is not None else table[name]) for text, name in row
    ]
    return Strip(segments).render(console)
