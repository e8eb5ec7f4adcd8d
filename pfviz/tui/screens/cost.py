"""A small screen over the lab: what the policy that was chosen costs both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pfviz.scenario.policies import word
from pfviz.tui import cost_table, keys
from pfviz.tui.cost_job import CostJob
from pfviz.tui.pane import Pane
from pfviz.views.rows import Row, fit_rows, wrap

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp

WIDTH_MAX: Final = 92
AROUND: Final = 6
"""Cells that the box takes of the screen's width beside its text."""
BOX_PERCENT: Final = 90
"""Of the screen's height, as `#choice` in theme.tcss."""
FRAME: Final = 3
"""Lines that frame and margin take of them."""


class Cost(ModalScreen[None]):
    """Shows a measurement, or that it is under way; esc leaves it, at work or not."""

    app: LabApp
    BINDINGS = keys.bindings_of(keys.COST)

    def __init__(
        self, job: CostJob, about: str, ascii_only: bool, styles: Mapping[str, Style]
    ) -> None:
        super().__init__()
        self.job = job
        self.about = about
        self._ascii = ascii_only
        self._table = styles
        self._top = 0
        """The first row of those shown, where not all have room."""

    def compose(self) -> ComposeResult:
        """What was chosen, and the table."""
        job = self.job
        with Vertical(id="choice") as box:
            box.border_title = f"{job.name}: {word(job.old)} → {word(job.new)}"
            said = "{cost.leave}: back to the run · {policy.cost}: this table again"
            box.border_subtitle = self.app.keymap.fill(said)
            yield Static(self.about, id="explain", markup=False)
            yield Pane(id="cost")

    def on_mount(self) -> None:
        """Look at the job again and again."""
        self.query_one(Pane).dress(self._table)
        self.set_interval(0.25, self.look)
        self.look()
        self.call_after_refresh(self.look)  # Now it is known how much room the words leave.

    def on_resize(self, _: events.Resize) -> None:
        """The table as wide as there is room."""
        self.look()

    def look(self) -> None:
        """Show what is known by now."""
        pane = self.query_one(Pane)
        width = max(min(self.app.size.width - AROUND, WIDTH_MAX), 10)
        rows = self._rows(width)
        shown = self._in_room(rows)
        pane.styles.height = len(shown)
        pane.show(fit_rows(shown, width, len(shown), self._ascii))

    def _in_room(self, rows: list[Row]) -> list[Row]:
        """As many rows as have room, and below them that there are more."""
        box = self.app.size.height * BOX_PERCENT // 100 - FRAME
        room = max(box - self.query_one("#explain").outer_size.height, 2)
        if len(rows) <= room:
            self._top = 0
            return rows
        room -= 1
        self._top = max(0, min(self._top, len(rows) - room))
        above, below = self._top, len(rows) - room - self._top
        more: Row = ((hidden_lines(above, below), "accent"),)
        return [*rows[self._top : self._top + room], more]

    def _rows(self, width: int) -> list[Row]:
        job = self.job
        if job.cost is not None:
            return cost_table.rows(job.cost, width)
        if job.error:
            return [((line, "bad"),) for line in wrap(job.error, width, 3)]
        text = (
            f"Running the scenario to its end with either value, in the background: "
            f"{job.seconds:.0f} s so far. "
            "Leaving this does not stop it; the result is told when it is there."
        )
        return [((line, "dim"),) for line in wrap(text, width, 3)]

    def action_scroll_rows(self, rows: int) -> None:
        """Show what is further down, or up."""
        self._top = max(self._top + rows, 0)
        self.look()

    def on_pane_wheeled(self, wheeled: Pane.Wheeled) -> None:
        """The wheel does as the arrows do."""
        self.action_scroll_rows(wheeled.rows)

    def action_leave(self) -> None:
        """Back to the run."""
        self.dismiss()


def hidden_lines(above: int, below: int) -> str:
    """How many lines have no room, and how they are reached."""
    parts = [
        f"{number} more {'line' if number == 1 else 'lines'} {where}"
        for number, where in ((above, "above"), (below, "below"))
        if number
    ]
    return f"{', '.join(parts)}: arrow keys"
