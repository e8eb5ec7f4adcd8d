"""A line to type into at the foot of the screen, with examples of what can be typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pfviz.tui import breakpoints, go_to, keys, tree_place
from pfviz.tui.line_input import LineInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.app import LabApp


@dataclass(frozen=True, slots=True)
class Question:
    """What a prompt asks, and what could be answered."""

    title: str
    placeholder: str
    examples: tuple[tuple[str, str], ...]


GO_PROMPT: Final = Question("Go to", "412 or 12.4us or 50% or cue 2", go_to.EXAMPLES)
BREAK_PROMPT: Final = Question("Stop when", "lock mmap_lock waits", breakpoints.EXAMPLES)
TREE_PROMPT: Final = Question("Go to in the tree", "7f1040000000 or heap", tree_place.EXAMPLES)
FIND_PROMPT: Final = Question(
    "Find", "T3 waits",
    (
        ("vma_start_write", "a step, by its kernel function"),
        ("T3 fault", "events of a thread; every word must match"),
        ("mmap_lock waits", "waits for a lock"),
        ("fallback", "faults that left their fast path"),
        ("0x7f1040000000", "an address"),
    ),
)  # fmt: skip


class Prompt(ModalScreen[str]):
    """Asks for one line; gives it, or nothing when it was left."""

    app: LabApp
    BINDINGS = keys.bindings_of(keys.PROMPT)

    def __init__(self, question: Question, check: Callable[[str], str], text: str = "") -> None:
        """`check` says what is wrong with a line, or nothing; a wrong line can be mended."""
        super().__init__()
        self.question = question
        self.check = check
        self.text = text
        self.early: list[events.Key] = []

    async def on_mount(self) -> None:
        """Take what was typed already."""
        for key in self.early:
            await self.type_ahead(key)
        self.early.clear()

    def compose(self) -> ComposeResult:
        """A box of title, line, examples."""
        width = max(len(example) for example, _ in self.question.examples)
        with Vertical(id="prompt") as box:
            box.border_title = self.question.title
            box.border_subtitle = self.app.keymap.fill("enter: do it · {prompt.leave}: leave")
            yield LineInput(self.text, placeholder=self.question.placeholder, id="line")
            yield Static("", id="problem", markup=False)
            for example, meaning in self.question.examples:
                yield Static(
                    Content.assemble((f"{example:<{width}}", "bold"), (f"  {meaning}", "$dim")),
                    classes="example",
                )

    async def type_ahead(self, key: events.Key) -> None:
        """Take a key that was typed before the line was ready: who types fast loses nothing."""
        if not self.is_mounted:
            self.early.append(key)
            return
        line = self.query_one("#line", Input)
        if key.character is not None and key.is_printable:
            line.insert_text_at_cursor(key.character)
            key.stop()
        elif key.key == "enter":
            key.stop()
            await line.action_submit()

    def on_input_changed(self) -> None:
        """A complaint is about the line as it was."""
        self.query_one("#problem", Static).update("")

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        """Leave with a good line; stay with a bad one and say what is wrong."""
        problem = self.check(submitted.value)
        if problem:
            self.query_one("#problem", Static).update(self.app.keymap.fill(problem))
        else:
            self.dismiss(submitted.value)

    def action_leave(self) -> None:
        """Leave with nothing."""
        self.dismiss("")
