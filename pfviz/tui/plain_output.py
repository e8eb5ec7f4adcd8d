"""Output for plain terminals: look-alikes for what a Linux console or an ASCII terminal lacks.

Filters work on finished lines, so that Textual's own widgets are covered too.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

from pfviz.views.glyphs import CONSOLE_FONT, CONSOLE_LOOK_ALIKES
from pfviz.views.rows import char_width, to_ascii

if TYPE_CHECKING:
    from textual.color import Color


class AsciiFilter(LineFilter):
    """Writes nothing but ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Replace the text of each segment, keeping its width."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


@lru_cache(maxsize=8192)
def console_only(text: str) -> str:
    """The text with a look-alike for every character that a console's font lacks."""
    if text.isascii():
        return text
    text = text.translate(CONSOLE_LOOK_ALIKES)
    return "".join(
        char if char.isascii() or char in CONSOLE_FONT else "?" * char_width(char) for char in text
    )


class ConsoleFilter(LineFilter):
    """Writes nothing but what the fonts of Linux consoles have."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Replace the text of each segment, keeping its width."""
        return [Segment(console_only(text), style, control) for text, style, control in segments]
