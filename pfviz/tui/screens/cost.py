"""A small screen over the lab: what the policy that was chosen costs both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pfviz.scenario.policies import word
from pfviz.tui import cost_table
from pfviz.tui.cost_job import CostJob
from pfviz.tui.pane import Pane
from pfviz.views.rows import Row, fit_rows, wrap

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.app import ComposeResult

WIDTH_MAX: Final = 92
AROUND: Final = 6
"""Cells that the box takes of the screen's width beside its text."""


class Cost(ModalScreen[None]):
    """Shows a measurement, or that it is under way; esc leaves it, at work or not."""

    BINDINGS = [  # noqa: RUF012
        Binding("escape,enter,space,dollar_sign", "leave", "back", show=False),
    ]

    def __init__(
        self, job: CostJob, about: str, ascii_only: bool, styles: Mapping[str, Style]
    ) -> None:
        super().__init__()
        self.job = job
        self.about = about
        self._ascii = ascii_only
        self._table = styles

    def compose(self) -> ComposeResult:
        """What was chosen, and the table."""
        job = self.job
        with Vertical(id="choice") as box:
            box.border_title = f"{job.name}: {word(job.old)} → {word(job.new)}"
            box.border_subtitle = "esc: back to the run · $: this table again"
            yield Static(self.about, id="explain", markup=False)
            yield Pane(id="cost")

    def on_mount(self) -> None:
        """Look at the job again and again."""
        self.query_one(Pane).dress(self._table)
        self.set_interval(0.25, self.look)
        self.look()

    def on_resize(self, _: events.Resize) -> None:
        """The table as wide as there is room."""
        self.look()

    def look(self) -> None:
        """Show what is known by now."""
        pane = self.query_one(Pane)
        width = max(min(self.app.size.width - AROUND, WIDTH_MAX), 10)
        rows = self._rows(width)
        pane.styles.height = len(rows)
        pane.show(fit_rows(rows, width, len(rows), self._ascii))

    def _rows(self, width: int) -> list[Row]:
        job = self.job
        if job.cost is not None:
            return cost_table.rows(job.cost, width)
        if job.error:
            return [((line, "bad"),) for line in wrap(job.error, width, 3)]
        text = (
            f"Running the scenario to its end with either value, in the background: "
            f"{job.seconds:.0f} s so far. Esc goes on; the result is told when it is there."
        )
        return [((line, "dim"),) for line in wrap(text, width, 3)]

    def action_leave(self) -> None:
        """Back to the run."""
        self.dismiss()
