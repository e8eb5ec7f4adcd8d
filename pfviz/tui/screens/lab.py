"""The lab: header, seven panes, the sentence of the moment and the keys, for one run.

pfviz  A monitor reads smaps      kernel 6.12  mmap_lock ▐per-VMA▌ lockless
▶ playing  1.213 ms  1 s = 20 µs  step 41,208  ━━━━━━━━●──────────────  4 ms
╭ 1 Threads ───────────────╮╭ 2 Lock wait queues ────────╮
╭ 3 Address space ─────────╮╭ 4 Maple tree ──────────────╮
╭ 5 Fault latency ╮╭ 6 Steps ──────────╮╭ 7 Counters ─────╮
T3 waits: smaps (T9) has held mmap_lock for read for 1.21 ms …
space play   ←/→ step   [ ] cue   m mode   = compare   ? help
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

from textual.containers import Container, Horizontal
from textual.widgets import Static

from pfviz.scenario.schema import Layout
from pfviz.tui import chrome, keys
from pfviz.tui.pane import Pane
from pfviz.tui.player import Player
from pfviz.tui.recent import remember
from pfviz.tui.remembering import recent_of
from pfviz.tui.screens.lab_reload import LabReload
from pfviz.tui.screens.playing import Paint
from pfviz.views import painters
from pfviz.views.followed import Followed
from pfviz.views.layout import GRID, PANES, Needs, Plan, plan
from pfviz.views.look import Look, shown_mm
from pfviz.views.painters import VIEWS, Scene, playing_span
from pfviz.views.rows import Rows, cell_width, pad_name
from pfviz.views.sentence import paint_sentence

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.run import Run

TITLES: Final = tuple((name, VIEWS[name].tab) for name in PANES)
FRAME_CELLS: Final = 2
"""What a pane's border takes of its width and height."""


class Lab(LabReload):
    """Seven panes over one run."""

    BINDINGS = keys.bindings_of(keys.LAB)
    AUTO_FOCUS = ""

    def __init__(self, run: Run, *, play: bool = False) -> None:
        super().__init__()
        self.player = Player(run, self.say)
        self.player.playing = play
        self.look = Look()
        self.followed = Followed()
        self.tops: dict[str, int] = {}
        layout = Layout() if run.recipe is None else run.recipe.scenario.layout
        self.pane_name = layout.focus or "threads"
        self.zoomed = layout.maximise
        self.plan = Plan("tiny", (), 0, 0, 0, 0)
        self._divided = False
        self._header = self._tabs = self._hints = chrome.Chrome(())

    def compose(self) -> ComposeResult:
        """The bars and, row by row, the panes of the grid."""
        yield Pane(id="header")
        yield Pane(id="tabs")
        with Container(id="grid"):
            for number, row in enumerate(GRID):
                with Horizontal(id=f"row{number}", classes="row"):
                    for name, _ in row:
                        title = VIEWS[name].name
                        yield Pane(id=name, number=PANES.index(name) + 1, title=title)
        yield Pane(id="sentence")
        yield Pane(id="hints")
        yield Static("", id="file-problem", markup=False)

    def on_mount(self) -> None:
        """Dress the panes and begin."""
        self.look = replace(self.look, glyphs=self.app.glyphs)
        self.captions = self.app.settings.captions
        self.dress()
        self.divide()
        self.begin()
        self.focus_pane(self.pane_name)
        self.begin_shared()
        self.begin_to_watch()
        self.remember()
        self.moved()

    def remember(self) -> None:
        """Remember what is played, and the place."""
        one = recent_of(self.player) if self.app.settings.recent else None
        if one is not None:
            remember(one)

    def players(self) -> tuple[Player, ...]:
        """The one player of the lab."""
        return (self.player,)

    # Layout

    def on_resize(self, _: events.Resize) -> None:
        """Divide the screen anew; a storm of these is answered once per refresh."""
        self.divide()
        self.call_after_refresh(self.paint_now)

    def divide(self) -> None:
        """Give every pane its place for the screen's size, the focus and the zoom."""
        width, height = self.app.size
        new = plan(width, height, self.pane_name, self.zoomed, self._needs())
        if new == self.plan and self._divided:
            return
        self.plan, self._divided = new, True
        places = {name: cells for _, row in new.rows for name, cells in row}
        heights = {name: lines for lines, row in new.rows for name, _ in row}
        with self.app.batch_update():
            for number, grid_row in enumerate(GRID):
                shown = [name for name, _ in grid_row if name in places]
                holder = self.query_one(f"#row{number}")
                holder.display = bool(shown)
                # Stacked panes of one grid row stand below one another.
                stacked = new.kind != "wide"
                holder.styles.layout = "vertical" if stacked else "horizontal"
                lines = [heights[name] for name in shown]
                holder.styles.height = sum(lines) if stacked else max(lines, default=0)
                for name, _ in grid_row:
                    pane = self.panes[name]
                    pane.display = name in places
                    if name in places:
                        pane.styles.width = places[name]
                        pane.styles.height = heights[name]
            for bar, bar_lines in (
                ("header", new.header_lines),
                ("tabs", new.tab_lines),
                ("sentence", new.sentence_lines),
                ("hints", new.hint_lines),
            ):
                pane = self.panes[bar]
                tiny = new.kind == "tiny" and bar == "sentence"
                pane.display = bool(bar_lines) or tiny
                pane.styles.height = height if tiny else bar_lines

    def _needs(self) -> Needs:
        """What there is to show at the cursor; asked seldom, so that panes do not jump."""
        frame = self.player.frame
        mm = frame.mms.get(shown_mm(frame, self.look))
        if mm is None:
            return Needs(len(frame.people()))
        alive = sum(1 for node in mm.nodes.values() if node.dead_ns < 0)
        return Needs(len(frame.people()), len(mm.vmas), alive)

    def inner_size(self, name: str) -> tuple[int, int]:
        """The room inside a pane's border, from the plan (the layout may not have settled)."""
        for lines, row in self.plan.rows:
            for pane, cells in row:
                if pane == name:
                    return cells - FRAME_CELLS, lines - FRAME_CELLS
        return 0, 0

    # Painting

    def scene(self, name: str = "") -> Scene:
        """The moment at the cursor as a pane sees it."""
        frame = self.player.frame
        # Between two events time goes on: waits grow, lanes move.
        frame.now_ns = max(frame.now_ns, self.player.now_ns)
        look = replace(self.look, top=self.tops.get(name, -1), lane_lines=self.plan.lane_lines)
        if look.selected < 0 and self.player.playing:
            look = replace(look, selected=self.followed.at(frame, perf_counter()))
        if not look.span_ns and self.lanes_follow_play:
            look = replace(look, span_ns=playing_span(frame, look, self.player.speed_ns))
        return Scene(frame, self.player.run.timeline, look)

    def scene_look(self) -> Look:
        """How the tree pane is looked at now."""
        return self.scene("tree").look

    def paints(self) -> Mapping[str, Paint]:
        """Everything that is seen now."""
        if self.plan.kind == "tiny":
            return {"sentence": self._paint_tiny}
        bars: dict[str, Paint] = {"header": self._paint_header, "sentence": self._paint_sentence}
        if self.plan.hint_lines:
            bars["hints"] = self._paint_hints
        if self.plan.tab_lines:
            bars["tabs"] = self._paint_tabs
        panes = {name: partial(self._paint_pane, name) for name in self.plan.visible}
        return {**panes, **bars}

    def _paint_pane(self, name: str) -> Rows:
        width, height = self.inner_size(name)
        scene = self.scene(name)
        self.entitle(name, *VIEWS[name].words(scene, height))
        return painters.paint(name, scene, width, height)

    def _paint_header(self) -> Rows:
        self._header = chrome.header(self.player, self.app.size.width, self.plan.header_lines)
        return self._header.rows

    def paint_header(self) -> None:
        """The seek bar's end while the engine computes ahead."""
        if self.plan.header_lines and self.is_seen:
            self.panes["header"].show(self._paint_header())

    def _paint_sentence(self) -> Rows:
        caption = self.caption()
        return paint_sentence(
            self.scene(), self.message, caption, self.app.size.width, self.plan.sentence_lines
        )

    def _paint_tabs(self) -> Rows:
        self._tabs = chrome.tabs(TITLES, self.plan.visible, self.pane_name, self.app.size.width)
        return self._tabs.rows

    def _paint_hints(self) -> Rows:
        self._hints = chrome.hints(self.app.keymap.of(keys.LAB), self.app.size.width)
        return self._hints.rows

    def _paint_tiny(self) -> Rows:
        return chrome.too_small(*self.app.size)

    # Mouse and focus

    def focus_pane(self, name: str) -> None:
        """Make a pane the one that keys act on; bring it on the screen."""
        self.pane_name = name
        self.divide()
        pane = self.panes[name]
        if pane.display:
            pane.focus(scroll_visible=False)

    async def on_pane_pressed(self, pressed: Pane.Pressed) -> None:
        """A click: on a bar it is the action there, on a pane it focuses and may select."""
        bars = {"header": self._header, "tabs": self._tabs, "hints": self._hints}
        name = pressed.pane.id or ""
        if name in bars:
            action = bars[name].action_at(pressed.x, pressed.y)
            if action:
                await self.act(action)
        elif name in PANES:
            self.focus_pane(name)
            if name == "threads":
                self.select_row(pressed.y)
            self.moved()

    def on_pane_wheeled(self, wheeled: Pane.Wheeled) -> None:
        """The wheel scrolls the pane under it."""
        name = wheeled.pane.id or ""
        if name in PANES:
            self.scroll_pane(name, wheeled.rows)

    def thread_at(self, y: int) -> int:
        """The thread whose lane stands in a row of the thread pane; -1 when none does."""
        rows = self.panes["threads"].rows
        if not 0 <= y < len(rows) or not rows[y]:
            return -1
        while y > 0 and rows[y] and len(rows[y]) > 1 and not rows[y][0][0].strip():
            y -= 1  # The lower rows of a high lane have no name.
        label = rows[y][0][0] if rows[y] else ""
        frame = self.player.frame
        for task in frame.people():
            if pad_name(frame.label(task.id), cell_width(label)) == label:
                return task.id
        return -1
