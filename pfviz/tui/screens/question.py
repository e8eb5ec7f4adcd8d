"""A question of a scenario, asked in a small panel over the lab: answers by digit, then the reason.

What becomes of the answer is the lab's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.screen import ModalScreen

from pfviz.scenario.schema import Question
from pfviz.tui import keys
from pfviz.tui.pane import Pane
from pfviz.views.glyphs import ASCII, UNICODE
from pfviz.views.rows import Row, Rows, fit_rows, wrap
from pfviz.views.stage_question import Posed, paint_question

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp

WIDTH_MAX = 84
MARGINS = 16


class QuestionPanel(ModalScreen[int]):
    """Asks; gives the number of the answer that was picked, 0 when none was."""

    app: LabApp
    KEYS_OF = keys.QUESTION
    BINDINGS = keys.bindings_of(keys.QUESTION)
    AUTO_FOCUS = "#question"

    def __init__(
        self, question: Question, styles: Mapping[str, Style], ascii_only: bool = False
    ) -> None:
        super().__init__()
        self.question = question
        self.picked = 0
        self.revealed = False
        self._styles = styles
        self._glyphs = ASCII if ascii_only else UNICODE

    def compose(self) -> ComposeResult:
        """One framed pane at the foot of the screen."""
        pane = Pane(id="question", title="A question", framed=True)
        pane.can_focus = True  # Its frame is lit as that of other small windows.
        yield pane

    def on_mount(self) -> None:
        """Ask."""
        self.query_one(Pane).dress(self._styles)
        self._show()

    def on_resize(self, _: events.Resize) -> None:
        """The same at another size."""
        self._show()

    def _show(self) -> None:
        pane = self.query_one(Pane)
        cells = self.app.size.width
        # As wide as the screen, or with room at both sides: no single letters of what is below.
        width = max(WIDTH_MAX if cells >= WIDTH_MAX + MARGINS else cells, 4)
        rows = self._rows(width - 4)[: max(self.app.size.height - 4, 1)]
        pane.styles.width, pane.styles.height = width, len(rows) + 2
        said = "{question.go}: go on" if self.revealed else "digit: answer · {question.skip}: skip"
        pane.entitle("A question", self.app.keymap.fill(said))
        pane.show(fit_rows(rows, width - 2, len(rows), self._glyphs.ascii_only))

    def _rows(self, width: int) -> Rows:
        asked = self.question
        posed = Posed(asked.ask, asked.answers, asked.right, self.picked, self.revealed)
        rows: list[Row] = list(paint_question(posed, width, 1 << 8, self._glyphs, spaced=False))
        if self.revealed:
            rows += [(), *(((f" {line}", "strong"),) for line in wrap(asked.why, width - 2, 6))]
        return ((), *rows, ())

    def on_key(self, key: events.Key) -> None:
        """A digit answers."""
        if key.character is not None and key.character.isdigit() and not self.revealed:
            key.stop()
            if 1 <= int(key.character) <= len(self.question.answers):
                self.picked = int(key.character)
                self.action_go()

    def on_pane_pressed(self, _: Pane.Pressed) -> None:
        """A click goes on."""
        self.action_go()

    def action_go(self) -> None:
        """Show the right answer; once it is shown, go on."""
        if self.revealed:
            self.dismiss(self.picked)
        else:
            self.revealed = True
            self._show()

    def action_skip(self) -> None:
        """Go on without an answer; one that was given counts."""
        self.dismiss(self.picked)
