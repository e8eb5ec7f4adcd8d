"""The running preview of the gallery: the highlighted scenario, already playing.

A run is built away from the event loop, when the cursor has rested for a moment.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Final

from textual import work
from textual.widgets import Static

from pfviz.scenario.errors import ScenarioError
from pfviz.trace.capture_file import CaptureError
from pfviz.tui.player import Player
from pfviz.tui.run import Run
from pfviz.tui.screens.playing import PlayingScreen
from pfviz.tui.shelves import MATRIX
from pfviz.tui.sources import Entry, open_entry
from pfviz.views import painters
from pfviz.views.bars import MODE_TITLES
from pfviz.views.cues import Caption
from pfviz.views.followed import Followed
from pfviz.views.look import Look, message
from pfviz.views.numbers import clock
from pfviz.views.painters import Scene, playing_span
from pfviz.views.rows import Rows
from pfviz.views.sentence import paint_sentence

CAPTURE_PREVIEW_BYTES_MAX: Final = 1 << 20
ROOM_AROUND_PREVIEW: Final = 18
"""Lines that lead, title, story, sentence and keys take at most."""
ROOM_AROUND_SHORT: Final = 12
WAY_LINES_MIN: Final = 7


def facts(player: Player) -> str:
    """What a preview runs on, in a line."""
    recipe, engine = player.run.recipe, player.run.engine
    if recipe is None or engine is None:
        return f"recorded on Linux {player.run.log.meta.get('kernel', '')}"
    threads, cpus = len(player.frame.people()), len(engine.machine.cpus)
    return (
        f"Linux {recipe.kernel} · {MODE_TITLES[recipe.mode]} · {threads} "
        f"thread{'s' if threads != 1 else ''} · {cpus} CPU{'s' if cpus != 1 else ''}"
    )


class GalleryPreview(PlayingScreen):
    """What of the gallery plays."""

    def __init__(self) -> None:
        super().__init__()
        self.look = Look()
        self.player: Player | None = None
        self.followed = Followed()
        self._previewed = ""
        self._problem = ""
        """Why the highlighted entry could not be opened."""

    def current(self) -> Entry | None:
        """The highlighted entry."""
        raise NotImplementedError

    def players(self) -> tuple[Player, ...]:
        """The preview's player, once there is one."""
        return () if self.player is None else (self.player,)

    def token(self) -> str:
        """None: a preview is no place to come back to."""
        return ""

    def _preview(self) -> None:
        entry = self.current()
        path = entry.path if entry is not None and not entry.error else ""
        if path == MATRIX or (entry is not None and entry.is_talk):
            path = ""
        if path == self._previewed or not self.is_seen:
            return
        self._previewed = path
        self.player = None
        self.followed = Followed()
        self.query_one("#facts", Static).update("")
        if entry is not None and path and not self._too_large(entry):
            self._load(entry)
        self._divide()
        self.moved()

    @staticmethod
    def _too_large(entry: Entry) -> bool:
        """Whether reading a capture just to preview it would take too long."""
        return entry.is_capture and Path(entry.path).stat().st_size > CAPTURE_PREVIEW_BYTES_MAX

    @work(thread=True, exclusive=True, group="preview")
    def _load(self, entry: Entry) -> None:
        """Build a preview's run away from the event loop: the list must scroll on."""
        try:
            run = open_entry(entry)
        except (ScenarioError, CaptureError) as error:
            self.app.call_from_thread(self._unpreviewed, entry, str(error))
        else:
            self.app.call_from_thread(self._loaded, entry, run)

    def _unpreviewed(self, entry: Entry, why: str) -> None:
        if entry == self.current():
            self._problem = f"Cannot be opened: {why}"
            self.moved()

    def _loaded(self, entry: Entry, run: Run) -> None:
        if entry != self.current() or not self.is_seen:
            self._previewed = ""
            return
        self.player = Player(run)
        self.player.heeds_stops = False
        self.player.playing = True
        self.query_one("#facts", Static).update(facts(self.player))
        self._divide()
        self.moved()

    def _again(self) -> None:
        """A preview that has ended begins again."""
        if self.player is not None and self.player.at_end and self.is_seen:
            self.player.go_start()
            self.player.present = self.player.index
            self.player.playing = True
            self.moved()

    def _divide(self) -> None:
        """Lanes as high as there are threads, the rest for the steps; none without a preview."""
        around = ROOM_AROUND_SHORT if self.has_class("short") else ROOM_AROUND_PREVIEW
        room = self.app.size.height - around
        threads = 0 if self.player is None else len(self.player.frame.people())
        preview, way = self.panes["preview"], self.panes["way"]
        way.display = self.player is not None and room - threads - 6 >= WAY_LINES_MIN
        preview.styles.height = max(threads + 6, 7) if way.display else "1fr"

    def _scene(self) -> Scene | None:
        if self.player is None:
            return None
        frame = self.player.frame
        frame.now_ns = max(frame.now_ns, self.player.now_ns)
        look = replace(
            self.look,
            selected=self.followed.at(frame, perf_counter()),
            span_ns=playing_span(frame, self.look, self.player.speed_ns),
        )
        return Scene(frame, self.player.run.timeline, look)

    def _paint_preview(self) -> Rows:
        pane, scene = self.panes["preview"], self._scene()
        width, height = pane.size
        if scene is None:
            self.entitle("preview", "Preview")
            entry = self.current()
            text = "Enter opens it." if entry is not None and not entry.error else ""
            if entry is not None and entry.path == MATRIX:
                key = self.app.keymap.spelled_of("matrix.open", while_typing=True)
                text = f"Enter opens it; {key} does from everywhere."
            return message(text, width, height, self.look)
        assert self.player is not None
        self.entitle("preview", f"Preview · {self.player.speed_text()}", clock(self.player.now_ns))
        return painters.paint("threads", scene, width, height)

    def _paint_way(self) -> Rows:
        scene = self._scene()
        width, height = self.panes["way"].size
        if scene is None or height <= 0:
            return ()
        # A capture has no steps to show, but locks.
        view = "locks" if self.player is not None and self.player.run.is_capture else "steps"
        self.entitle("way", *painters.VIEWS[view].words(scene, height))
        return painters.paint(view, scene, width, height)

    def _paint_sentence(self) -> Rows:
        width, height = self.panes["sentence"].size
        scene = self._scene()
        if scene is None:
            return message(self.message, width, height, self.look)
        return paint_sentence(scene, self.message, Caption(), width, height)
