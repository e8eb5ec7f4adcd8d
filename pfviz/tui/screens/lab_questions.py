"""Questions in the lab: playing stops at one, it is asked in a panel, and play goes on.

Only playing asks: whoever steps or goes back over a question is not asked.
"""

from __future__ import annotations

from pfviz.scenario.schema import Question
from pfviz.tui.screens.lab_tree import LabTree
from pfviz.tui.screens.question import QuestionPanel


class LabQuestions(LabTree):
    """Asks what the scenario asks, and keeps the score."""

    asks_questions = True

    def __init__(self) -> None:
        super().__init__()
        self.answered: dict[str, bool] = {}
        """Question -> whether its last answer was right; those without an answer are not here."""

    def _tick(self) -> None:
        player = self.player
        player.asks = self.asks_questions and self.captions and self.app.settings.questions
        was_playing = player.playing
        super()._tick()
        if player.asked is not None:
            asked, player.asked = player.asked, None
            self._ask_question(asked)
        elif was_playing and not player.playing and player.at_end and self.answered:
            self.say(f"{self.score()} {self.message}")

    def score(self) -> str:
        """How many answers were right, in words."""
        right, count = sum(self.answered.values()), len(self.answered)
        return f"{right} of {count} answer{'s' if count > 1 else ''} right."

    def _ask_question(self, question: Question) -> None:
        self.hush()
        self.moved()
        if self.app.screen is not self:
            return

        def answered(picked: int | None) -> None:
            if picked:
                self.answered[question.ask] = picked == question.right
            self.player.playing = True
            self.moved()

        styles, ascii_only = self.app.styles_by_name, self.app.glyphs.ascii_only
        self.app.push_screen(QuestionPanel(question, styles, ascii_only), answered)
