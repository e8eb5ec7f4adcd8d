"""The speaker's second terminal: what to say now, what comes next, how late it is.

It follows the stage where one runs on this machine, and turns it; without one it is paged by hand.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import localtime, monotonic, strftime
from typing import TYPE_CHECKING, Any, Final

from textual.screen import Screen

from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.talk_load import open_talk
from pfviz.tui import keys
from pfviz.tui.notes_pages import Pages
from pfviz.tui.pane import Pane
from pfviz.tui.screens.stage_reload import files_of_talk, problem_of
from pfviz.tui.stage_link import NEXT, PREVIOUS, RESTART_CLOCK, Heard, StageFollower
from pfviz.tui.watch import LOOK_EVERY_S, Watch
from pfviz.views.notes import paint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult

    from pfviz.scenario.talk import Talk
    from pfviz.tui.app import LabApp

EVERY_S: Final = 0.5
SAID_S: Final = 4.0
KEYS: Final = "{notes.next} next · {notes.previous} back · {notes.clock} clock · {quit} quit"


class Notes(Screen[None]):
    """The notes of one talk."""

    app: LabApp
    KEYS_OF = keys.NOTES
    BINDINGS = keys.bindings_of(keys.NOTES)
    AUTO_FOCUS = ""

    def __init__(self, talk: Talk) -> None:
        super().__init__()
        self.pages = Pages(talk)
        self.follower = StageFollower(self.hear)
        self.why = "looking for a stage"
        """Why no stage is followed; "" while one is."""
        self._began_s: float | None = None
        self._was_lost = False
        """Whether the stage that was followed has gone without taking its leave."""
        self._message, self._said_s = "", -SAID_S
        self._following: asyncio.Task[None] | None = None
        self._watch: Watch | None = None
        self.file_problem = ""
        """What is wrong with the talk's file since it was saved; "" when all is well."""

    def compose(self) -> ComposeResult:
        """One pane is the whole screen."""
        yield Pane(id="notes")

    def on_mount(self) -> None:
        """Begin to follow, and to look at the clock."""
        self.dress()
        self._following = asyncio.create_task(self.follower.follow())
        if self.app.settings.watch and self.pages.talk.path:
            self._watch = Watch(files_of_talk(self.pages.talk))
            self.set_interval(LOOK_EVERY_S, self.look_at_files)
        self.set_interval(EVERY_S, self.paint_now)
        self.call_after_refresh(self.paint_now)

    def on_unmount(self) -> None:
        """Follow no more."""
        if self._following is not None:
            self._following.cancel()

    def on_resize(self, _: events.Resize) -> None:
        """The same page at another size."""
        self.call_after_refresh(self.paint_now)

    def dress(self) -> None:
        """Give the pane the theme's styles."""
        self.query_one(Pane).dress(self.app.styles_by_name)

    def look_at_files(self) -> None:
        """Read the talk again when it was saved; while it is wrong, the old pages stay."""
        if self._watch is None or not self._watch.changed():
            return
        try:
            talk = open_talk(self.pages.talk.path)
        except ScenarioError as error:
            self.file_problem = problem_of(error)
        else:
            self.file_problem = ""
            self.pages = self.pages.renewed(talk)
            self._watch = Watch(files_of_talk(talk))
        self.paint_now()

    # The stage

    def hear(self, heard: Heard) -> None:
        """The stage has told where it is, or is lost: then the notes are paged by hand."""
        if heard.state is None:
            if not self.why:
                self.pages.turn(0)
            self._was_lost = (self._was_lost or not self.why) and not heard.has_left
            self.why = heard.why
        elif not self.pages.is_of_talk(heard.state):
            self.why = "the stage shows another talk"
        else:
            self.why = ""
            self.pages.follow(heard.state)
            self._set_clock(heard.state)
        self.paint_now()

    def _set_clock(self, state: Mapping[str, Any]) -> None:
        """Show the stage's time; one that died and is there again is told how late it is."""
        was_lost, self._was_lost = self._was_lost, False
        elapsed = state.get("elapsed_s")
        if state.get("began") and isinstance(elapsed, int | float):
            self._began_s = monotonic() - elapsed
        elif was_lost and self._began_s is not None:
            self.follower.ask(RESTART_CLOCK, elapsed_s=self.elapsed_s)
        elif not state.get("began"):
            self._began_s = None

    @property
    def elapsed_s(self) -> float:
        """How long the talk has been going on."""
        return 0.0 if self._began_s is None else monotonic() - self._began_s

    # Painting

    def paint_now(self) -> None:
        """Show the page as it is now."""
        if not self.is_mounted:
            return
        width, height = self.app.size
        moment = self.pages.moment()
        message = self._message if monotonic() - self._said_s < SAID_S else ""
        by_hand = f"{self.why}: paged by hand" if self.why else ""
        moment = replace(
            moment,
            elapsed_s=self.elapsed_s,
            began=self._began_s is not None,
            behind_s=self.pages.behind_s(self.elapsed_s),
            clock=strftime("%H:%M:%S", localtime()),
            said=message or self.file_problem or by_hand or moment.said,
            is_warning=moment.is_warning or bool(self.file_problem),
            keys=self.app.keymap.fill(KEYS),
        )
        self.query_one(Pane).show(paint(moment, width, height, self.app.glyphs))

    def say(self, text: str) -> None:
        """Say something in the last line, for a while."""
        self._message, self._said_s = self.app.keymap.fill(text), monotonic()
        self.paint_now()

    # What keys do

    def action_next(self) -> None:
        """On to the next stop: the stage goes there and tells; without one, the next page."""
        self._turn(NEXT, 1)

    def action_previous(self) -> None:
        """Back to the stop before."""
        self._turn(PREVIOUS, -1)

    def _turn(self, command: str, pages: int) -> None:
        if not self.why and self.follower.ask(command):
            return
        if self._began_s is None and pages > 0:
            self._began_s = monotonic()
        self.pages.turn(pages)
        self.paint_now()

    def action_clock(self) -> None:
        """The talk begins now."""
        if self.why or not self.follower.ask(RESTART_CLOCK):
            self._began_s = monotonic()
        self.say("The clock runs from now on.")
