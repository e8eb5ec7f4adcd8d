"""The help page, made from the key table, the prompts' examples and the glossary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from pfviz.scenario.fault_code import CODES
from pfviz.tui import breakpoints, glossary, go_to, keys, tree_place

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp
    from pfviz.tui.keymap import Keymap
from rich.table import Table
from rich.text import Text

HEAD_CELLS: Final = 24
EXAMPLES: Final = {
    "go.to": go_to.EXAMPLES, "tree.address": tree_place.EXAMPLES,
    "break.add": breakpoints.EXAMPLES,
}  # fmt: skip
"""What can be typed after a key, by its binding."""
MATRIX_CODES: Final = "Codes of the matrix"
AT: Final = {keys.MATRIX: MATRIX_CODES, keys.STAGE: "Keys: on stage"}
"""Where the page opens for a screen."""


class Help(Screen[None]):
    """How to read the screen, every key, what can be typed, what the words mean."""

    app: LabApp
    KEYS_OF = keys.HELP
    BINDINGS = keys.bindings_of(keys.HELP)

    def __init__(self, at: str = "") -> None:
        """Open at the part of this title, else at the top."""
        super().__init__()
        self.at = at

    def compose(self) -> ComposeResult:
        """One long page."""
        with VerticalScroll(id="help") as page:
            page.border_title = "Help"
            said = f"↑/↓ scroll · keymap {self.app.keymap.name} · {{back}}: back"
            page.border_subtitle = self.app.keymap.fill(said)
            for number, (title, block) in enumerate(self._blocks()):
                yield Static(
                    Content.styled(title, "$accent bold"), classes="heading", id=f"heading{number}"
                )
                yield Static(block, classes="block", id=f"block{number}")

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one("#help").focus()
        titles = [title for title, _ in self._blocks()]
        if self.at in titles:
            self.call_after_refresh(self._go_to, titles.index(self.at))

    def _go_to(self, number: int) -> None:
        heading = self.query_one(f"#heading{number}")
        self.query_one("#help").scroll_to_widget(heading, animate=False, top=True)

    def _blocks(self) -> Iterator[tuple[str, Table]]:
        keymap = self.app.keymap
        yield "How to read the screen", _pairs(glossary.READING, keymap)
        for group in keys.GROUPS:
            yield f"Keys: {group.lower()}", _pairs(keymap.listed(group), keymap)
        for name, examples in EXAMPLES.items():
            said = keymap.spelled_of(name)
            yield f"What {said} ({keymap.by_id[name].label}) understands", _pairs(examples, keymap)
        yield MATRIX_CODES, _pairs(CODES.items(), keymap)
        yield "Words", _pairs(glossary.WORDS, keymap)

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def _pairs(listed: Iterable[tuple[str, str]], keymap: Keymap) -> Table:
    """Bold heads and their texts, the texts indented as a column; bindings become their keys."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=HEAD_CELLS, style="bold")
    table.add_column(ratio=1)
    for head, text in listed:
        table.add_row(Text(keymap.fill(head)), Text(keymap.fill(text)))
    return table
