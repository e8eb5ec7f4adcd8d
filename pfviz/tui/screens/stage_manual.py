"""The lab and the matrix taken over from the stage: all their keys, and those that lead back.

They work on players of their own, so that the talk is where it was whatever is done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.binding import Binding, BindingsMap

from pfviz.tui.player import Player
from pfviz.tui.screens.lab import Lab
from pfviz.tui.screens.matrix import Matrix
from pfviz.tui.screens.playing import PlayingScreen
from pfviz.views.stage import StageMoment

if TYPE_CHECKING:
    from textual.dom import DOMNode

BACK: Final = Binding("", "back_to_talk", "back to the talk", show=False)
BACK_KEYS: Final = ("pagedown", "f5", "shift+f5", "f17", "S")


class Taken(PlayingScreen):
    """A screen that was taken over: keys of a clicker lead back, whatever a keymap does with them.

    A keymap lays other bindings over those of a screen, without a word over these, too.
    """

    @property
    def _binding_chain(self) -> list[tuple[DOMNode, BindingsMap]]:
        chain = super()._binding_chain
        for node, bindings in chain:
            if node is self:
                bindings.key_to_bindings |= {key: [BACK.with_key(key)] for key in BACK_KEYS}
        return chain

    def action_back_to_talk(self) -> None:
        """The talk, where it was."""
        self.dismiss()


class ManualLab(Taken, Lab):
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


class ManualMatrix(Taken, Matrix):
    """The matrix at the cell that the stage shows."""
