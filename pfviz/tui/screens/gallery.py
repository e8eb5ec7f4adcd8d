"""The gallery: every scenario and capture by title, its story, and a small live preview.

Typing filters the list; enter plays. The preview is the scenario itself, already running.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.overrides import NO_CHANGES
from pfviz.scenario.talk_load import open_talk
from pfviz.tui import chrome, keys
from pfviz.tui.line_input import LineInput
from pfviz.tui.opening import Opening
from pfviz.tui.pane import Pane
from pfviz.tui.remembering import recent_entries
from pfviz.tui.run import Run
from pfviz.tui.screens.gallery_preview import GalleryPreview
from pfviz.tui.screens.playing import Paint
from pfviz.tui.shelves import MATRIX, MATRIX_ENTRY, arranged, in_order
from pfviz.tui.sources import Entry, entries, open_entry
from pfviz.tui.watch import LOOK_EVERY_S, Watch, own_files
from pfviz.views.rows import Rows, fit_rows, wrap

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

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
    ("type", "to filter"),
    ("play.enter", "play it"),
    ("matrix.open", "matrix"),
    ("↑/↓", "choose"),
    ("palette", "commands"),
    ("quit", "quit"),
    ("help", "help"),
)

TITLES_WIDTH_MIN: Final = 120
STORY_LINES_MAX: Final = 99
ROOM_BESIDE_STORY: Final = 17
"""Lines that everything but the story needs: lead, title, facts, preview, sentence, keys."""
STORY_LINES_MIN: Final = 3
MORE: Final = " … shift+↓"


class Gallery(GalleryPreview):
    """A list on the left; title, story and a running preview on the right."""

    KEYS_OF = keys.GALLERY
    BINDINGS = keys.bindings_of(keys.GALLERY)
    AUTO_FOCUS = "#filter"

    def __init__(self, entries: Sequence[Entry]) -> None:
        super().__init__()
        self.entries = in_order((*entries, MATRIX_ENTRY))
        self.shown = self.entries
        self._lines: list[Entry | None] = []
        """What stands on each line of the list; None is the name of a shelf."""
        self._story_top = 0
        self._named = False
        self._own = Watch(())

    def compose(self) -> ComposeResult:
        """Filter and list beside story and preview."""
        yield Static(Content.assemble((" pfviz ", "$brand-ink on $brand-ground"), f" {LEAD}"),
                     id="lead")  # fmt: skip
        with Horizontal(id="shelf"):
            with Vertical(id="list"):
                yield LineInput(placeholder="type to filter", id="filter")
                yield OptionList(id="titles")
            with Vertical(id="story"):
                yield Static("", id="title", markup=False)
                yield Static("", id="facts", markup=False)
                yield Pane(id="text")
                yield Pane(id="preview", title="Preview")
                yield Pane(id="way", title="Steps")
                yield Pane(id="sentence")
        yield Pane(id="hints")

    def on_mount(self) -> None:
        """Fill the list; begin with its first entry."""
        self.look = replace(self.look, glyphs=self.app.glyphs)
        self.dress()
        if self.app.settings.recent:
            self.entries = in_order((*recent_entries(self.entries), *self.entries))
        self.fill("")
        self.begin()
        self.set_interval(AGAIN_S, self._again)
        if self.app.settings.watch:
            self._own = Watch(own_files())
            self.set_interval(LOOK_EVERY_S, self.look_at_own)

    # The list

    def fill(self, words: str) -> None:
        """List the entries that match."""
        self.shown = tuple(entry for entry in self.entries if entry.matches(words))
        titles = self.query_one("#titles", OptionList)
        titles.clear_options()
        # Where whole titles have no room there are names; the title stands beside the list.
        self._named = TITLES_WIDTH_MIN > self.app.size.width >= STORY_WIDTH_MIN
        self._lines = []
        for shelf, stand in arranged(self.shown):
            titles.add_option(Option(Content.styled(shelf, "$accent bold"), disabled=True))
            titles.add_options(Option(self._line(entry)) for entry in stand)
            self._lines += [None, *stand]
        if self.shown:
            titles.highlighted = 1
        else:
            self._tell(None)

    def _line(self, entry: Entry) -> Content:
        mark = "! " if entry.error else "◉ " if entry.is_capture else "  "
        if self.app.glyphs.ascii_only:
            mark = mark.replace("◉", "*")
        return Content.assemble((mark, "$warning"), entry.name if self._named else entry.title)

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
            case "shift+down" | "shift+up":
                self._story_top += 1 if key.key == "shift+down" else -1
                self.moved()
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
        return self._lines[at] if at is not None and at < len(self._lines) else None

    def _known(self) -> tuple[Entry, ...]:
        """All entries but those that repeat one because it was played lately."""
        return tuple(entry for entry in self.entries if entry.recent is None)

    def look_at_own(self) -> None:
        """List a person's own scenarios anew when one of their files was saved, made or removed."""
        files = own_files()
        if not self.is_seen or (files == self._own.paths and not self._own.changed()):
            return
        if files != self._own.paths:
            self._own = Watch(files)
        others = [one for one in self._known() if one.is_capture or one.path == MATRIX]
        scenarios = [one for one in entries() if not one.is_capture]
        self._relist((*scenarios, *others))

    def _relist(self, known: Sequence[Entry]) -> None:
        """Other entries than before; the same one stays lit."""
        recent = recent_entries(known) if self.app.settings.recent else ()
        entries = in_order((*recent, *known))
        if entries == self.entries:
            return
        at = self.current()
        self.entries = entries
        self._previewed = ""
        self._refill()
        same = [number for number, one in enumerate(self._lines)
                if one is not None and at is not None
                and (one.path, one.recent is None) == (at.path, at.recent is None)]  # fmt: skip
        if same:
            self.query_one("#titles", OptionList).highlighted = same[0]

    # Story and preview

    def _tell(self, entry: Entry | None) -> None:
        self._problem = ""
        self._story_top = 0
        title = "Nothing matches" if entry is None else entry.title
        self.query_one("#title", Static).update(title)
        self.set_timer(PREVIEW_DELAY_S, self._preview)
        self._divide()
        self.moved()

    def _told(self) -> str:
        """What is said of the highlighted entry."""
        entry = self.current()
        if entry is None:
            return "Esc or backspace widens the filter."
        if entry.error:
            return f"Cannot be opened: {entry.error}"
        return self._problem or entry.story

    def _story_room(self) -> tuple[int, int]:
        """Cells and lines that a story can have."""
        width, height = self.app.size
        cells = self.query_one("#story").size.width - 2
        return max(cells, width // 3), max(height - ROOM_BESIDE_STORY, STORY_LINES_MIN)

    def _divide(self) -> None:
        """The story as high as it needs to be, as far as there is room."""
        cells, lines_max = self._story_room()
        lines = len(wrap(self._told(), cells, STORY_LINES_MAX))
        if self.panes:
            self.panes["text"].styles.height = min(lines, lines_max)
        super()._divide()

    def _paint_text(self) -> Rows:
        """The story, scrolled; where it goes on, an ellipsis says so."""
        width, height = self.panes["text"].size
        cells, _ = self._story_room()
        lines = wrap(self._told(), cells, STORY_LINES_MAX)
        self._story_top = max(0, min(self._story_top, len(lines) - height))
        left = lines[self._story_top :]
        if len(left) > height > 0:
            left = left[:height]
            left[-1] = wrap(left[-1], max(cells - len(MORE), 1), STORY_LINES_MAX)[0] + MORE
        rows = [((f" {line}", "text"),) for line in left]
        return fit_rows(rows, width, height, self.app.glyphs.ascii_only)

    def on_screen_resume(self) -> None:
        """Back from the lab: what was played stands on top, the preview goes on."""
        if self.panes:
            self._relist(self._known())
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
            "text": self._paint_text,
            "preview": self._paint_preview,
            "way": self._paint_way,
            "sentence": self._paint_sentence,
            "hints": self._paint_hints,
        }

    def paint_header(self) -> None:
        """The gallery has no header that changes."""

    def _paint_hints(self) -> Rows:
        if self.has_class("tiny"):
            return chrome.too_small(*self.app.size)
        return self._hints().rows

    def _hints(self) -> chrome.Chrome:
        hints = self.app.keymap.hints(HINTS, while_typing=True)
        return chrome.hints_of(hints, self.app.size.width)

    async def on_pane_pressed(self, pressed: Pane.Pressed) -> None:
        """A click on a hint does what it says."""
        if pressed.pane.id == "hints":
            action = self._hints().action_at(pressed.x, pressed.y)
            if action:
                await self.act(action)

    # Actions

    def action_open(self) -> None:
        """Play the highlighted entry."""
        entry = self.current()
        if entry is None:
            self.say("Nothing matches the filter.")
        elif entry.path == MATRIX:
            self.app.action_matrix()
            return
        elif entry.error:
            self.say(f"It cannot be opened: {entry.error}")
        elif entry.is_talk:
            self._stage(entry.path)
        else:
            opening = Opening(f"Opening {entry.title}", partial(open_entry, entry, NO_CHANGES))
            self.app.take(opening, self._enter, self._failed)
        self.moved()

    def _stage(self, path: str) -> None:
        """Give a talk."""
        from pfviz.tui.screens.stage import Stage
        from pfviz.tui.stage_show import Show

        try:
            talk = open_talk(path)
        except ScenarioError as error:
            self._failed(str(error))
        else:
            self.app.push_screen(Stage(Show(talk)))

    def _failed(self, why: str) -> None:
        self.say(why)
        self.moved()

    def _enter(self, run: Run) -> None:
        from pfviz.tui.screens.lab import Lab

        self.hush()
        begins = run.shared is None or run.shared.moment is None
        self.app.push_screen(Lab(run, play=begins))

    def go_back(self) -> None:
        """Clear the filter."""
        line = self.query_one("#filter", Input)
        if line.value:
            line.value = ""
        else:
            self.say("This is the gallery; ctrl+q quits.")
            self.moved()
