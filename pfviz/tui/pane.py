"""One pane for all views: draws styled rows with the Line API, repainting only rows that differ.

It knows no view: it is given rows of (text, style name) cells and a table from names to styles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from pfviz.views.composition import HEAVY, ROUND, edge
from pfviz.views.rows import Row, Rows, cell_width, clean, row_width

if TYPE_CHECKING:
    from textual import events


def changed_cells(old: Row, new: Row) -> int:
    """How many cells from the left hold all that differs in two rows of one width.

    Textual can leave out the right end of a line, not the left one.
    """
    same = 0
    for (old_text, old_style), (text, style) in zip(reversed(old), reversed(new), strict=False):
        if text != old_text or style != old_style:
            break
        same += cell_width(text)
    return row_width(new) - same


class Pane(Widget, inherit_bindings=False):
    """Rows of styled cells in a frame; `show` repaints only the lines that changed.

    The rows are clean (no control characters) and of one width, as `views.rows.fit` leaves them.
    Keys are the screen's: a pane has none of its own, so that an arrow always steps. Frame and
    lines are drawn here and not by Textual's styles, which takes twice as long per line.
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

    def __init__(
        self,
        *,
        id: str,  # noqa: A002
        number: int = 0,
        title: str = "",
        framed: bool = False,
        classes: str = "",
    ) -> None:
        """A pane with a number can have the focus; numbered and titled panes have a frame."""
        super().__init__(id=id, classes=classes)
        self.number = number
        self.framed = framed or bool(number or title)
        self.set_class(self.framed, "framed")
        self.can_focus = bool(number)
        self.rows: Rows = ()
        self.repainted_lines = 0
        """How many lines were ever asked to be painted again; measurements read it."""
        self._table: Mapping[str, Style] = {}
        self._dressed: dict[str, Style] = {}
        self._base: Style | None = None
        self._rows_width = 0
        self._title = self._foot = ""
        self._drawn: dict[int, Strip] = {}
        """Lines of the widget as they were drawn last, while `_drawn_for` stays the same."""
        self._drawn_for: tuple[object, ...] = ()
        self.entitle(title)

    # What it shows

    def entitle(self, title: str, foot: str = "") -> None:
        """Set the words in the frame; only the lines whose words change are painted again."""
        words = clean(f"{self.number} {title}" if self.number else title)
        below = clean(foot)
        if words != self._title:
            self._title = words
            self._stale((0,))
        if below != self._foot:
            self._foot = below
            self._stale((self.outer_size.height - 1,))

    def dress(self, table: Mapping[str, Style]) -> None:
        """Use another table of styles (a theme change)."""
        self._table = table
        self._base = None
        self.refresh()

    def show(self, rows: Rows) -> None:
        """Show these rows; lines that are the same as before are not painted again."""
        before, self.rows = self.rows, rows
        self._rows_width = row_width(rows[0]) if rows else 0
        if len(before) != len(rows):
            self.repainted_lines += self.outer_size.height
            self._drawn.clear()
            self.refresh()
            return
        edge = int(self.framed)
        regions: list[Region] = []
        for y, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new:
                self._drawn.pop(y + edge, None)
                self.repainted_lines += 1
                # Regions count from the content's corner.
                regions.append(Region(-edge, y, changed_cells(old, new) + edge, 1))
        if regions:
            self.refresh(*regions)

    def _stale(self, lines: Iterable[int]) -> None:
        """Lines of the widget (frame included) to be painted again from end to end."""
        width, edge = self.outer_size.width, int(self.framed)
        for y in lines:
            self._drawn.pop(y, None)
            self.repainted_lines += 1
            self.refresh(Region(-edge, y - edge, width, 1))

    # Drawing

    def notify_style_update(self) -> None:
        """The theme or a rule changed: look the style up again."""
        super().notify_style_update()
        self._base = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region of the widget."""
        width, height = self.outer_size
        if self._base is None:
            # Working it out walks the whole tree of widgets: once, not for each line.
            base = self._base = self.rich_style
            self._dressed = {name: base + style for name, style in self._table.items()}
            self._drawn.clear()
        drawn_for = (width, height, self.has_focus)
        if drawn_for != self._drawn_for:
            self._drawn_for = drawn_for
            self._drawn.clear()
        drawn = self._drawn
        strips: list[Strip] = []
        for y in crop.line_range:
            strip = drawn.get(y)
            if strip is None:
                strip = drawn[y] = self._draw(y, width, height)
            strips.append(strip)
        if crop.column_span != (0, width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def _draw(self, y: int, width: int, height: int) -> Strip:
        if not self.framed:
            strip = self._row(y, width)
        elif y in (0, height - 1):
            strip = self._edge(width, is_top=y == 0)
        else:
            style = self._style("frame-focus" if self.has_focus else "frame")
            side = Segment(self._box[3], style)
            strip = Strip([side, *self._row(y - 1, width - 2), side], width)
        for line_filter in self.app.get_line_filters():
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        return strip

    def _row(self, y: int, width: int) -> Strip:
        base = self._style("")
        if width <= 0 or not 0 <= y < len(self.rows):
            return Strip.blank(max(width, 0), base)
        dressed = self._dressed
        segments = [Segment(text, dressed.get(name, base)) for text, name in self.rows[y]]
        if self._rows_width == width:
            return Strip(segments, width)
        return Strip(segments).adjust_cell_length(width, base)

    def _edge(self, width: int, is_top: bool) -> Strip:
        """The frame's upper side with the title, or its lower one with the foot."""
        frame, label = "frame", "title" if is_top else "foot"
        if self.has_focus:
            frame, label = "frame-focus", "title-focus"
        words = self._title if is_top else self._foot
        row = edge(words, width, self._box, frame, label, is_top)
        return Strip([Segment(text, self._style(name)) for text, name in row], width)

    @property
    def _box(self) -> str:
        """The focus is seen without colour too."""
        return HEAVY if self.has_focus and self.app.no_color else ROUND

    def _style(self, name: str) -> Style:
        return self._dressed.get(name) or self._base or Style.null()

    # Mouse

    def on_click(self, click: events.Click) -> None:
        at = click.get_content_offset(self)
        if at is not None:
            self.post_message(self.Pressed(self, at.x, at.y))

    def on_mouse_scroll_down(self) -> None:
        self.post_message(self.Wheeled(self, 1))

    def on_mouse_scroll_up(self) -> None:
        self.post_message(self.Wheeled(self, -1))
