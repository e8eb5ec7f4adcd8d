"""The lab and the matrix taken over from the stage: all their keys, and those that lead back.

They work on players of their own, so that the talk is where it was whatever is done here.
"""

from __future__ import annotations

from textual.binding import Binding

from pfviz.tui.player import Player
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.views.stage import StageMoment

BACK = Binding("pagedown,f5,shift+f5,f17,S", "back_to_talk", "back to the talk", show=False)


class ManualLab(Lab):
    """The lab at the moment that the stage shows."""

    BINDINGS = [BACK]  # noqa: RUF012
    asks_questions = False  # They would come unasked, in front of the audience.

    def __init__(self, player: Player, moment: StageMoment) -> None:
        """A lab on a player's run, where it is, looking at what the stage looked at."""
        super().__init__(player.run)
        own = self.player
        own.go(player.index)
        own.now_ns, own.rung = max(own.now_ns, player.now_ns), player.rung
        self.pane_name, self.zoomed = moment.panes[0], False

    def action_back_to_talk(self) -> None:
        """The talk, where it was."""
        self.dismiss()

    def go_back(self) -> None:
        """Esc is the way back, too, whatever is under way here."""
        self.dismiss()


class ManualMatrix(Matrix):
    """The matrix at the cell that the stage shows."""

    BINDINGS = [BACK]  # noqa: RUF012

    def action_back_to_talk(self) -> None:
        """The talk, where it was."""
        self.dismiss()
