"""The help page, made from the key table, the prompts' examples and the glossary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from pfviz.scenario.fault_code import CODES
from pfviz.tui import breakpoints, glossary, go_to, keys, tree_place

if TYPE_CHECKING:
    from textual.app import ComposeResult
from rich.table import Table
from rich.text import Text

HEAD_CELLS: Final = 22


class Help(Screen[None]):
    """How to read the screen, every key, what can be typed, what the words mean."""

    KEYS_OF = "help"
    BINDINGS = [  # noqa: RUF012
        Binding("j,down", "scroll(1)", "down", show=False),
        Binding("k,up", "scroll(-1)", "up", show=False),
        Binding("space,pagedown", "scroll(15)", "page down", show=False),
        Binding("pageup", "scroll(-15)", "page up", show=False),
    ]

    def compose(self) -> ComposeResult:
        """One long page."""
        with VerticalScroll(id="help") as page:
            page.border_title = "Help"
            page.border_subtitle = "↑/↓ scroll · esc: back"
            for number, (title, block) in enumerate(self._blocks()):
                yield Static(Content.styled(title, "$accent bold"), classes="heading")
                yield Static(block, classes="block", id=f"block{number}")

    def on_mount(self) -> None:
        """Keys scroll at once."""
        self.query_one("#help").focus()

    def _blocks(self) -> Iterator[tuple[str, Table]]:
        yield "How to read the screen", _pairs(glossary.READING)
        for group in keys.GROUPS:
            yield f"Keys: {group.lower()}", _pairs(keys.listed(group))
        yield "What : (go to) understands", _pairs(go_to.EXAMPLES)
        yield "What A (go to in the tree) understands", _pairs(tree_place.EXAMPLES)
        yield "What b (break on) understands", _pairs(breakpoints.EXAMPLES)
        yield "Codes of the matrix", _pairs(CODES.items())
        yield "Words", _pairs(glossary.WORDS)

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def _pairs(listed: Iterable[tuple[str, str]]) -> Table:
    """Bold heads and their texts, the texts indented as a column."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(width=HEAD_CELLS, style="bold")
    table.add_column(ratio=1)
    for head, text in listed:
        table.add_row(Text(head), Text(text))
    return table
