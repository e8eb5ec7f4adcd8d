"""The lab and the matrix taken over from the stage, with all their keys.

They work on players of their own, so that the talk is where it was whatever is done here. The app
knows the way back.
"""

from __future__ import annotations

from pfviz.tui.player import Player
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.views.stage import StageMoment


class ManualLab(Lab):
    """The lab at the moment that the stage shows."""

    asks_questions = False  # They would come unasked, in front of the audience.

    def __init__(self, player: Player, moment: StageMoment) -> None:
        """A lab on a player's run, where it is, looking at what the stage looked at."""
        super().__init__(player.run)
        own = self.player
        own.go(player.index)
        own.now_ns, own.rung = max(own.now_ns, player.now_ns), player.rung
        self.pane_name, self.zoomed = moment.panes[0], False

    def go_back(self) -> None:
        """Esc is the way back, too, whatever is under way here."""
        self.dismiss()


class ManualMatrix(Matrix):
    """The matrix at the cell that the stage shows."""
