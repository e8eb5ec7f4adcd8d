"""The gallery: every scenario and capture by title, its story, and a small live preview.

Typing filters the list; enter plays. The preview is the scenario itself, already running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Final

from textual import events, work
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pfviz.scenario.errors import ScenarioError
from pfviz.trace.capture_file import CaptureError
from pfviz.tui import chrome, keys, painters
from pfviz.tui.followed import Followed
from pfviz.tui.painters import Scene, playing_span
from pfviz.tui.pane import Pane
from pfviz.tui.player import Player
from pfviz.tui.recipe import MODE_TITLES
from pfviz.tui.run import Run
from pfviz.tui.screens.playing import Paint, PlayingScreen
from pfviz.tui.sentence import paint_sentence
from pfviz.tui.sources import Entry, open_entry
from pfviz.views.look import Look, message
from pfviz.views.numbers import clock
from pfviz.views.rows import Rows

if TYPE_CHECKING:
    from textual.app import ComposeResult

CAPTURE_PREVIEW_BYTES_MAX: Final = 1 << 20
AGAIN_S: Final = 3.0
PREVIEW_DELAY_S: Final = 0.25
"""A preview starts when the cursor has rested so long: scrolling must not build worlds."""
STORY_WIDTH_MIN: Final = 70
"""On narrower screens the list has the screen to itself."""
LEAD: Final = (
    "What happens when threads fault on one address space at once? "
    "pfviz runs Linux page faults step by step: who holds which lock, who waits, and why."
)
HINTS: Final = (
    ("type", "to filter", ""),
    ("↑/↓", "choose", ""),
    ("enter", "play it", "open"),
    ("F2", "every fault, every kernel", "matrix"),
    ("ctrl+p", "commands", "command_palette"),
    ("ctrl+q", "quit", "quit"),
    ("F1", "help", "help"),
)


ROOM_AROUND_PREVIEW: Final = 18
"""Lines that lead, title, story, sentence and keys take at most."""
ROOM_AROUND_SHORT: Final = 12
WAY_LINES_MIN: Final = 7
TITLES_WIDTH_MIN: Final = 120


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


class Gallery(PlayingScreen):
    """A list on the left; title, story and a running preview on the right."""

    KEYS_OF = keys.GALLERY
    BINDINGS = keys.bindings(key for key in keys.KEYS if keys.GALLERY in key.screens)
    AUTO_FOCUS = "#filter"

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = tuple(entries)
        self.shown = self.entries
        self.look = Look()
        self.player: Player | None = None
        self.followed = Followed()
        self._previewed = ""
        self._named = False

    def compose(self) -> ComposeResult:
        """Filter and list beside story and preview."""
        yield Static(Content.assemble((" pfviz ", "$background on $accent bold"), f" {LEAD}"),
                     id="lead")  # fmt: skip
        with Horizontal(id="shelf"):
            with Vertical(id="list"):
                yield Input(placeholder="type to filter", id="filter")
                yield OptionList(id="titles")
            with Vertical(id="story"):
                yield Static("", id="title", markup=False)
                yield Static("", id="facts", markup=False)
                yield Static("", id="text", markup=False)
                yield Pane(id="preview", title="Preview")
                yield Pane(id="way", title="Steps")
                yield Pane(id="sentence")
        yield Pane(id="hints")

    def on_mount(self) -> None:
        """Fill the list; begin with its first entry."""
        self.look = replace(self.look, glyphs=self.app.glyphs)
        self.dress()
        self.fill("")
        self.begin()
        self.set_interval(AGAIN_S, self._again)

    def players(self) -> tuple[Player, ...]:
        """The preview's player, once there is one."""
        return () if self.player is None else (self.player,)

    # The list

    def fill(self, words: str) -> None:
        """List the entries that match."""
        self.shown = tuple(entry for entry in self.entries if entry.matches(words))
        titles = self.query_one("#titles", OptionList)
        titles.clear_options()
        # Where whole titles have no room there are names; the title stands beside the list.
        self._named = TITLES_WIDTH_MIN > self.app.size.width >= STORY_WIDTH_MIN
        titles.add_options(
            Option(
                Content.assemble(
                    ("! " if entry.error else "◉ " if entry.is_capture else "  ", "$warning"),
                    entry.name if self._named else entry.title,
                )
            )
            for entry in self.shown
        )
        if self.shown:
            titles.highlighted = 0
        else:
            self._tell(None)

    def _refill(self) -> None:
        """The same list anew, the same entry lit."""
        titles = self.query_one("#titles", OptionList)
        at = titles.highlighted
        self.fill(self.query_one("#filter", Input).value)
        titles.highlighted = at

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Filter while typing."""
        self.fill(changed.value)

    def on_input_submitted(self) -> None:
        """Enter in the filter plays the highlighted entry."""
        self.action_open()

    def on_key(self, key: events.Key) -> None:
        """Arrows move the list although the filter has the focus."""
        titles = self.query_one("#titles", OptionList)
        match key.key:
            case "down":
                titles.action_cursor_down()
            case "up":
                titles.action_cursor_up()
            case "pagedown":
                titles.action_page_down()  # type: ignore[no-untyped-call]
            case "pageup":
                titles.action_page_up()  # type: ignore[no-untyped-call]
            case _:
                return
        key.stop()
        key.prevent_default()

    def on_option_list_option_highlighted(self, _: OptionList.OptionHighlighted) -> None:
        """Another entry: its story now, its preview in a moment."""
        self._tell(self.current())

    def on_option_list_option_selected(self) -> None:
        """A click or enter on an entry plays it."""
        self.action_open()

    def current(self) -> Entry | None:
        """The highlighted entry."""
        at = self.query_one("#titles", OptionList).highlighted
        return self.shown[at] if at is not None and at < len(self.shown) else None

    # Story and preview

    def _tell(self, entry: Entry | None) -> None:
        title, text = self.query_one("#title", Static), self.query_one("#text", Static)
        if entry is None:
            title.update("Nothing matches")
            text.update("Esc or backspace widens the filter.")
        else:
            title.update(entry.title)
            text.update(f"Cannot be opened: {entry.error}" if entry.error else entry.story)
        self.set_timer(PREVIEW_DELAY_S, self._preview)

    def _preview(self) -> None:
        entry = self.current()
        path = entry.path if entry is not None and not entry.error else ""
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
            self.query_one("#text", Static).update(f"Cannot be opened: {why}")

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

    def on_screen_resume(self) -> None:
        """Back from the lab: the preview goes on."""
        if self.player is not None:
            self.player.playing = True
            self.moved()

    def on_screen_suspend(self) -> None:
        """Nobody looks: the preview rests."""
        if self.player is not None:
            self.player.pause()

    def on_resize(self, _: events.Resize) -> None:
        """Narrow screens have no room for the story."""
        self.set_class(self.app.size.width < STORY_WIDTH_MIN, "narrow")
        self.set_class(self.app.size.height < 30, "short")
        self.set_class(self.app.size.height < 16, "low")
        self.set_class(self.app.size.width < 20 or self.app.size.height < 6, "tiny")
        if self.panes:
            self._divide()
            if self._named != (TITLES_WIDTH_MIN > self.app.size.width >= STORY_WIDTH_MIN):
                self._refill()
        self.call_after_refresh(self.paint_now)

    def paints(self) -> Mapping[str, Paint]:
        """Preview, its sentence, and the keys."""
        return {
            "preview": self._paint_preview,
            "way": self._paint_way,
            "sentence": self._paint_sentence,
            "hints": self._paint_hints,
        }

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
        return paint_sentence(scene, self.message, "", width, height)

    def paint_header(self) -> None:
        """The gallery has no header that changes."""

    def _paint_hints(self) -> Rows:
        if self.has_class("tiny"):
            return chrome.too_small(*self.app.size)
        return chrome.hints_of(HINTS, self.app.size.width).rows

    async def on_pane_pressed(self, pressed: Pane.Pressed) -> None:
        """A click on a hint does what it says."""
        if pressed.pane.id == "hints":
            bar = chrome.hints_of(HINTS, self.app.size.width)
            action = bar.action_at(pressed.x, pressed.y)
            if action:
                await self.act(action)

    # Actions

    def action_open(self) -> None:
        """Play the highlighted entry."""
        entry = self.current()
        if entry is None:
            self.say("Nothing matches the filter.")
        elif entry.error:
            self.say(f"It cannot be opened: {entry.error}")
        else:
            self.say(f"Opening {entry.title} …")
            self._open(entry)
        self.moved()

    @work(thread=True, exclusive=True, group="open")
    def _open(self, entry: Entry) -> None:
        """Read and build away from the event loop: a capture can take seconds."""
        try:
            run = open_entry(entry)
        except (ScenarioError, CaptureError) as error:
            self.app.call_from_thread(self._failed, str(error))
        else:
            self.app.call_from_thread(self._enter, run)

    def _failed(self, why: str) -> None:
        self.say(why)
        self.moved()

    def _enter(self, run: Run) -> None:
        from pfviz.tui.screens.lab import Lab

        self.hush()
        self.app.push_screen(Lab(run, play=True))

    def go_back(self) -> None:
        """Clear the filter."""
        line = self.query_one("#filter", Input)
        if line.value:
            line.value = ""
        else:
            self.say("This is the gallery; ctrl+q quits.")
            self.moved()
