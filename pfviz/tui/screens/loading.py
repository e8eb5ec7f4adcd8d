"""A small screen while a run is on its way: how far it is, and that esc gives it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pfviz.tui import keys
from pfviz.tui.opening import Opening
from pfviz.views import progress
from pfviz.views.rows import clean

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp

LOOK_EVERY_S: Final = 0.05
AROUND: Final = 6
"""Cells that the box takes of the screen's width beside its text."""


class Loading(ModalScreen[bool]):
    """Gives True when the opening has ended, False when somebody gave it up."""

    app: LabApp
    BINDINGS = keys.bindings_of(keys.LOADING)

    def __init__(self, opening: Opening[Any], ascii_only: bool) -> None:
        super().__init__()
        self.opening = opening
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        """A box with two lines."""
        with Vertical(id="choice") as box:
            box.border_title = "One moment"
            box.border_subtitle = self.app.keymap.fill("{loading.leave}: stop")
            yield Static(clean(self.opening.what), id="explain", markup=False)
            yield Static("", id="far", markup=False)

    def on_mount(self) -> None:
        """Look at it again and again."""
        self.set_interval(LOOK_EVERY_S, self.look)
        self.look()

    def look(self) -> None:
        """Show how far it is; leave when it is there."""
        opening = self.opening
        if opening.ended:
            self.dismiss(True)
            return
        width = max(self.app.size.width - AROUND, 10)
        said = progress.line("", opening.share, opening.done, opening.seconds, width,
                             unit="so far", ascii_only=self._ascii)  # fmt: skip
        waits = f"{opening.seconds:.0f} s so far"
        self.query_one("#far", Static).update(said if opening.done else waits)

    def action_leave(self) -> None:
        """Give it up."""
        self.opening.give_up()
        self.dismiss(False)
