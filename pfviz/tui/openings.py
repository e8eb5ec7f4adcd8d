"""What an app does with openings: it shows that one is under way, and hands over what it gives."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType

from pfviz.config.settings import Settings
from pfviz.scenario.errors import ScenarioError
from pfviz.trace.capture_file import CaptureError

from .opening import Opening
from .screens.loading import Loading

if TYPE_CHECKING:
    from textual.await_complete import AwaitComplete

AT_ONCE_S: Final = 0.05
"""What is there so soon needs no screen that says it is coming; keys can wait that long."""

T = TypeVar("T")


@runtime_checkable
class Rememberable(Protocol):
    """A screen that has something to go on with another day."""

    def remember(self) -> None:
        """Remember it."""


class Openings(App[None]):
    """An app that makes runs away from its event loop."""

    # Small screens that ask something hide the app's own keys; an interrupt must go through.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "help_quit", show=False, priority=True, system=True)
    ]
    ascii_only = False
    settings = Settings(recent=False)
    """What the person set; nothing is remembered unless somebody said so."""
    under_way: Opening[Any] | None = None
    """What somebody waits for: one thing at a time."""

    def exit(self, *args: Any, **named: Any) -> None:
        """Leave, and remember what was played and where it was left."""
        for screen in self.screen_stack:
            if isinstance(screen, Rememberable):
                screen.remember()
        super().exit(*args, **named)

    def pop_screen(self) -> AwaitComplete:
        """One screen back; where it was left is known before the next one looks."""
        if isinstance(self.screen, Rememberable):
            self.screen.remember()
        return super().pop_screen()

    failure: Exception | None = None
    """Why the app ended before it had begun: what was to be opened cannot be."""

    def take_first(self, opening: Opening[T], then: Callable[[T], None]) -> None:
        """Show how far the opening is that the app was begun with; if it fails, the app ends."""

        def finish(ended: bool | None) -> None:
            if not ended:
                self.notify(f"{opening.what}: stopped.", markup=False)
                return
            try:
                made = opening.result()
            except (ScenarioError, CaptureError) as error:
                self.failure = error
                self.exit()
                return
            spare_pauses()
            then(made)

        self.push_screen(Loading(opening, self.ascii_only), finish)

    def take(
        self, opening: Opening[T], then: Callable[[T], None], failed: Callable[[str], None]
    ) -> None:
        """Call `then` with what is opened, or `failed` with why it cannot be; at once or later.

        When it was given up, `failed` is told so. An opening that was waited for is given up.
        """
        if self.under_way is not None and not self.under_way.ended:
            self.under_way.give_up()
        self.under_way = opening

        def finish(ended: bool | None) -> None:
            if not ended:
                failed(f"{opening.what}: stopped.")
                return
            try:
                made = opening.result()
            except (ScenarioError, CaptureError) as error:
                failed(str(error))
                return
            gc.freeze()  # It lives as long as the app: the collector need not look at it.
            then(made)

        if opening.wait(AT_ONCE_S):
            finish(True)
        else:
            self.push_screen(Loading(opening, self.ascii_only), finish)


def spare_pauses() -> None:
    """Let the garbage collector look at old objects seldom: in a large world it takes 0.1 s.

    What lives now lives as long as the app; what is thrown away while playing has no cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
