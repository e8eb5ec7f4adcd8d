"""One pane for all views: draws styled rows with the Line API, repainting only rows that differ.

It knows no view: it is given rows of (text, style name) cells and a table from names to styles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pfviz.views.rows import Rows, clean

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events


class Pane(ScrollView, inherit_bindings=False, can_focus=True):
    """Rows of styled cells; `show` repaints only the lines that changed.

    Keys are the screen's: a pane has none of its own, so that an arrow always steps.
    """

    class Pressed(Message):
        """A row was clicked: `x`, `y` count cells and rows from the content's corner."""

        def __init__(self, pane: Pane, x: int, y: int) -> None:
            super().__init__()
            self.pane, self.x, self.y = pane, x, y

    class Wheeled(Message):
        """The mouse wheel turned over a pane: so many rows down (up when negative)."""

        def __init__(self, pane: Pane, rows: int) -> None:
            super().__init__()
            self.pane, self.rows = pane, rows

    def __init__(self, *, id: str, number: int = 0, title: str = "", classes: str = "") -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self.number = number
        self.rows: Rows = ()
        self.repainted_lines = 0
        """How many lines were ever asked to be painted again; measurements read it."""
        self._table: Mapping[str, Style] = {}
        self._dressed: dict[str, Style] = {}
        self._base: Style | None = None
        self._words = self._below = ""
        self.can_focus = bool(number)
        if title:
            self.entitle(title)

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Set the words in the border; nothing is repainted when they stay the same."""
        words, below = clean(f"{self.number} {title}" if self.number else title), clean(subtitle)
        if words != self._words:
            self._words = words
            self.border_title = words.replace("[", r"\[")
        if below != self._below:
            self._below = below
            self.border_subtitle = below.replace("[", r"\[")

    def dress(self, table: Mapping[str, Style]) -> None:
        """Use another table of styles (a theme change)."""
        self._table = table
        self._base = None
        self.refresh()

    def show(self, rows: Rows) -> None:
        """Show these rows; lines that are the same as before are not painted again."""
        before, self.rows = self.rows, rows
        if len(before) != len(rows):
            self.repainted_lines += self.size.height
            self.virtual_size = Size(self.size.width, len(rows))
            self.refresh()
            return
        changed = [y for y, (old, new) in enumerate(zip(before, rows, strict=True)) if old != new]
        if changed:
            self.repainted_lines += len(changed)
            self.refresh(*self._regions(changed))

    def _regions(self, lines: list[int]) -> list[Region]:
        """Neighbouring lines as one region each: the compositor works per region."""
        top, width = self.scroll_offset.y, self.size.width
        regions: list[Region] = []
        first = last = lines[0]
        for y in [*lines[1:], -1]:
            if y == last + 1:
                last = y
                continue
            regions.append(Region(0, first - top, width, last - first + 1))
            first = last = y
        return regions

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if base != self._base:
            self._base = base
            self._dressed = {name: base + style for name, style in self._table.items()}
        y += self.scroll_offset.y
        if y >= len(self.rows):
            return Strip.blank(width, base)
        dressed = self._dressed
        segments = [
            Segment(clean(text), dressed.get(name, base)) for text, name in self.rows[y] if text
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def reveal(self, y: int) -> None:
        """Scroll as little as possible so that row `y` is seen."""
        top, height = self.scroll_offset.y, self.size.height
        if y < top:
            self.scroll_to(y=y, animate=False)
        elif height and y >= top + height:
            self.scroll_to(y=y - height + 1, animate=False)

    def on_click(self, click: events.Click) -> None:
        at = click.get_content_offset(self)
        if at is not None:
            self.post_message(self.Pressed(self, at.x, at.y + self.scroll_offset.y))

    def on_mouse_scroll_down(self) -> None:
        self.post_message(self.Wheeled(self, 1))

    def on_mouse_scroll_up(self) -> None:
        self.post_message(self.Wheeled(self, -1))
