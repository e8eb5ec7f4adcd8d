"""A line to type into whose cursor stands still: nothing on this screen blinks."""

from __future__ import annotations

from typing import Any

from textual.widgets import Input


class LineInput(Input):
    """Textual's input, without the blinking."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.cursor_blink = False
