"""A short list to choose from: who runs, which kernel, which policy, which breakpoint to drop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pfviz.tui import keys
from pfviz.views.rows import wrap

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp


WIDTH_MAX = 100
"""Cells of the box at most, as the stylesheet has it."""
AROUND = 5
"""Cells of frame, padding and scroll bar beside the options."""
ROOMY_LINES = 36
"""From so many lines on a long list need not be short for what is said below it."""


class Choice(ModalScreen[int]):
    """Lists options; gives the number of the chosen one, -1 when none was.

    Digits choose at once, so that a talk needs no arrows.
    """

    app: LabApp
    BINDINGS = [  # noqa: RUF012
        *keys.bindings_of(keys.LIST),
        *(Binding(str(digit), f"take({digit})", show=False) for digit in range(1, 10)),
    ]

    def __init__(
        self,
        title: str,
        explain: str,
        options: Sequence[tuple[str, str]],
        current: int = 0,
        abouts: Sequence[str] = (),
        tried: Callable[[int], None] | None = None,
    ) -> None:
        """`abouts` says of each option, while it is highlighted, what has no room beside it.

        `tried` is told which one is highlighted.
        """
        super().__init__()
        self.tried = tried
        self.abouts = abouts
        self.heading = title
        self.explain = explain
        self.options = options
        self.current = current

    def compose(self) -> ComposeResult:
        """A box of explanation and list."""
        with Vertical(id="choice") as box:
            box.border_title = self.heading
            said = "enter or digit: choose · {list.leave}: leave"
            box.border_subtitle = self.app.keymap.fill(said)
            yield Static(self.explain, id="explain", markup=False)
            yield OptionList(*self._listed(), id="options")
            if self.abouts:
                yield Static("", id="about", markup=False)

    def _listed(self) -> list[Option]:
        """Number, name and meaning in columns; a long meaning goes on under itself."""
        names = max((len(name) for name, _ in self.options), default=0)
        room = max(min(self.app.size.width, WIDTH_MAX) - AROUND - names - 4, 10)
        return [
            Option(
                Content.assemble(
                    (f"{number} " if number < 10 else "  ", "$dim"),
                    (f"{name:<{names}}", "bold"),
                    "  " + f"\n{' ' * (names + 4)}".join(wrap(meaning, room, 3)),
                )
            )
            for number, (name, meaning) in enumerate(self.options, start=1)
        ]

    def on_resize(self) -> None:
        """The same in another width."""
        options = self.query_one(OptionList)
        for number, option in enumerate(self._listed()):
            options.replace_option_prompt_at_index(number, option.prompt)
        self.call_after_refresh(options.scroll_to_highlight)

    def on_mount(self) -> None:
        """Begin at what is now."""
        self.set_class(bool(self.abouts), "telling")
        self.set_class(self.tried is not None, "trying")
        self.set_class(self.app.size.height >= ROOMY_LINES, "roomy")
        options = self.query_one(OptionList)
        options.highlighted = self.current if self.options else None
        options.focus()

    def on_option_list_option_highlighted(self, highlighted: OptionList.OptionHighlighted) -> None:
        """Say what the option is about, or show it."""
        if self.tried is not None:
            self.tried(highlighted.option_index)
        if self.abouts:
            self.query_one("#about", Static).update(self.abouts[highlighted.option_index])

    def on_option_list_option_selected(self, selected: OptionList.OptionSelected) -> None:
        """Leave with the chosen one."""
        self.dismiss(selected.option_index)

    def action_cursor(self, lines: int) -> None:
        """Move as the arrows do."""
        options = self.query_one(OptionList)
        options.action_cursor_down() if lines > 0 else options.action_cursor_up()

    def action_take(self, digit: int) -> None:
        """Leave with the option of that number."""
        if digit <= len(self.options):
            self.dismiss(digit - 1)

    def action_leave(self) -> None:
        """Leave with nothing chosen."""
        self.dismiss(-1)
