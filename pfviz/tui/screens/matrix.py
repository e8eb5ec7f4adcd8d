"""The matrix: every kind of fault in every kernel, found by running each; a cell can be played.

pfviz  Which lock serves which fault in which kernel      Linux 6.7 · 690 cells, each by a run
╭ Faults and kernels ──────────────────────────────────────────────╮
│ Fault                     6.4    6.5    6.6     6.7      6.8     │
│ read that needs the disk  M      M      V>M   ◆ V(io)>M  V(io)>M │
╰──────────────────────────────────────────────────────────────────╯
╭ read that needs the disk · Linux 6.7 ──╮╭ From 6.6 to 6.7 ───────╮
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from textual import work as worker
from textual.containers import Horizontal

from pfviz.report.source import Source, open_scenario
from pfviz.scenario import policies
from pfviz.scenario.errors import ScenarioError
from pfviz.scenario.fault_kinds import BY_ID, KINDS, scenario_of
from pfviz.scenario.matrix import KERNELS, Policies
from pfviz.scenario.overrides import Overrides
from pfviz.scenario.schema import Policy, Scenario
from pfviz.tui import at_work, chrome, keys, matrix_grid, matrix_words
from pfviz.tui.cell_store import ALL, CellStore
from pfviz.tui.kernel_words import name_of
from pfviz.tui.matrix_grid import Place
from pfviz.tui.pane import Pane
from pfviz.tui.policy_words import about, changes
from pfviz.tui.recipe import POLICY_CHOICES
from pfviz.tui.screens.choice import Choice
from pfviz.tui.screens.playing import Paint, PlayingScreen
from pfviz.tui.sources import run_of
from pfviz.views import fault_codes
from pfviz.views.glyphs import UNICODE
from pfviz.views.rows import Cell, Row, Rows, fit, fit_rows, row_width

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.player import Player
    from pfviz.tui.run import Run

TWO_PANES_WIDTH: Final = 100
LEGEND_ROOM: Final = 60, 9
"""From so many columns and rows of cells on, one row tells what the codes say."""
HINTS: Final = (
    ("back", "back"),
    ("matrix.play", "play"),
    ("matrix.newer", "kernel"),
    ("matrix.next_changed", "next ◆"),
    ("matrix.at_work", "at work"),
    ("matrix.down", "fault"),
    ("quit", "quit pfviz"),
    ("policy.choose", "policy"),
    ("help", "codes"),
)
"""(binding, what it does), the last two before all others."""
TITLE: Final = "Which lock serves which fault in which kernel"


class Matrix(PlayingScreen):
    """A grid of cells, below it what the cursor's cell means and what its kernel changed."""

    KEYS_OF = keys.MATRIX
    BINDINGS = keys.bindings_of(keys.MATRIX)
    AUTO_FOCUS = ""

    def __init__(self, kind: str = "", kernel: str = "", policy: Policies = ()) -> None:
        """Begin at a cell, policies turned."""
        super().__init__()
        self.store = CellStore(policy)
        self.place = Place(kind or KINDS[0].id, kernel or KERNELS[0])
        if self.place.column:
            self.place.before = KERNELS[self.place.column - 1]
        self.shows_change = False
        """Whether the pane about the kernels stands in the place of the cell's, where both have
        no room."""
        self.tops = {"why": 0, "change": 0}
        self._hints = chrome.Chrome(())
        self._known = 0

    def compose(self) -> ComposeResult:
        """The grid over two panes of words."""
        yield Pane(id="header")
        yield Pane(id="cells", title="Faults and kernels")
        with Horizontal(id="told"):
            yield Pane(id="why", title="The cell")
            yield Pane(id="change", title="From kernel to kernel")
        yield Pane(id="hints")

    def on_mount(self) -> None:
        """Dress the panes and begin to compute."""
        self.dress()
        self._divide()
        self._want()
        self.begin()
        self.moved()

    def players(self) -> tuple[Player, ...]:
        """Nobody plays here."""
        return ()

    def work(self, seconds: float) -> bool:
        """Run more faults; the grid is painted as they become known."""
        more = self.store.work(seconds)
        if not more:
            self._to_paint.set()
        return more

    def go_to(self, kind: str, kernel: str) -> None:
        """Put the cursor on a cell."""
        self.place.go_kernel(KERNELS.index(kernel))
        if kind in BY_ID:
            self.place.kind = kind
        self._want()

    def _want(self) -> None:
        self.tops = {"why": 0, "change": 0}
        self.store.want(self.place.kind, self._asked_kernel())
        self.compute()

    def _asked_kernel(self) -> str:
        """The kernel whose release is asked about: the newer one of those compared."""
        before, here = self.place.before, self.place.kernel
        newer_before = before and KERNELS.index(before) > self.place.column
        known = (self.place.kind, here) in self.store.causes
        return before if newer_before and known else here

    # Layout

    def on_resize(self, _: events.Resize) -> None:
        """Both panes of words beside one another, or one of them."""
        self._divide()
        self.call_after_refresh(self.paint_now)

    def _divide(self) -> None:
        width, height = self.app.size
        self.set_class(width < 24 or height < 10, "tiny")
        if not self.panes:
            return
        both = width >= TWO_PANES_WIDTH
        self.panes["why"].display = both or not self.shows_change
        self.panes["change"].display = both or self.shows_change
        self.query_one("#told").styles.height = max(6, min(height * 2 // 5, 15))

    # Painting

    def paints(self) -> Mapping[str, Paint]:
        """All panes that are seen."""
        if self.has_class("tiny"):
            return {"hints": lambda: chrome.too_small(*self.app.size)}
        return {
            "header": self._paint_header,
            "cells": self._paint_cells,
            "why": self._paint_why,
            "change": self._paint_change,
            "hints": self._paint_hints,
        }

    def paint_header(self) -> None:
        """Cells have become known: the grid shows them."""
        self._to_paint.set()

    @property
    def _ascii(self) -> bool:
        return self.app.glyphs.ascii_only

    def _paint_header(self) -> Rows:
        width = self.app.size.width
        known, count = len(self.store.cells), len(ALL)
        progress = f"{count} cells, each by a run" if known == count else f"{known} of {count} run"
        turned = ", ".join(f"{name} = {policies.word(value)}" for name, value in self.store.policy)
        tail: list[Cell] = [(f"  {progress} ", "dim" if known == count else "accent")]
        if turned:
            tail.insert(0, (f"  {turned} ", "say"))
        room = width - row_width(tuple(tail)) - 8
        head: list[Cell] = [(" pfviz ", "brand"), (f" {TITLE}", "strong")]
        if len(TITLE) > room:
            head[1] = (" Faults and kernels", "strong")
        return (fit([*head, *tail], width, self._ascii),)

    def _paint_cells(self) -> Rows:
        width, height = self.panes["cells"].size
        glyphs = self.app.glyphs if self._ascii else UNICODE
        legend = self._has_legend()
        rows = matrix_grid.paint(self.store, self.place, width, height - legend, glyphs)
        if legend:
            told = fault_codes.legend(width, self.place.is_short)
            rows = (*rows, fit(told, width, self._ascii))
        foot = "◆ differs from " + self.place.before if self.place.before else ""
        if self.store.policy:
            foot = " · ".join(filter(None, (foot, "+ made another by the policies")))
        if self._ascii:
            foot = foot.replace("◆", "*")
        self.entitle("cells", f"Faults and kernels · {BY_ID[self.place.kind].group}", foot)
        return rows

    def _has_legend(self) -> bool:
        """Whether the last row of the cells' pane tells what the codes say."""
        width, height = self.panes["cells"].size
        return width >= LEGEND_ROOM[0] and height >= LEGEND_ROOM[1]

    def _paint_why(self) -> Rows:
        pane = self.panes["why"]
        kind, kernel = self.place.kind, self.place.kernel
        width, height = pane.size if pane.display else (0, 0)
        both = self.panes["change"].display
        way = [] if both else matrix_words.way_line(self.store, self.place.before, kernel, width)
        rows = matrix_words.cell_rows(self.store, kind, kernel, max(width, 1), way)
        foot = "" if both else self.key_of("matrix.words") + ": what this kernel changed"
        title = f"{BY_ID[kind].title} · {name_of(kernel)}"
        return self._scrolled("why", title, foot, rows, width, height)

    def _paint_change(self) -> Rows:
        pane = self.panes["change"]
        width, height = pane.size if pane.display else (0, 0)
        place = self.place
        rows = matrix_words.way_rows(
            self.store, place.before, place.kernel, place.kind, max(width, 1)
        )
        foot = "" if self.panes["why"].display else self.key_of("matrix.words") + ": the cell"
        title = matrix_words.way_title(place.before, place.kernel)
        return self._scrolled("change", title, foot, rows, width, height)

    def _scrolled(self, name: str, title: str, foot: str, rows: list[Row],
                  width: int, height: int) -> Rows:  # fmt: skip
        """As many rows as fit, from where the pane is scrolled to; how many there are more."""
        top = self.tops[name] = max(0, min(self.tops[name], len(rows) - height))
        hidden = len(rows) - top - height
        if hidden > 0 and height > 0:
            more = f"{hidden} more line{'s' * (hidden != 1)}: {self.key_of('matrix.scroll_down')}"
            foot = " · ".join(filter(None, (more, foot)))
        elif top:
            foot = " · ".join(filter(None, (self.key_of("matrix.scroll_up") + ": up", foot)))
        self.entitle(name, title, foot)
        return fit_rows(rows[top:], width, height, self._ascii)

    def _paint_hints(self) -> Rows:
        width = self.app.size.width
        if self.message:
            return (fit([(f" {self.message}", "say-text")], width, self._ascii),)
        self._hints = chrome.hints_of(self.app.keymap.hints(HINTS), width)
        return self._hints.rows

    # Mouse

    async def on_pane_pressed(self, pressed: Pane.Pressed) -> None:
        """A click goes to a cell; on the cell where the cursor is it plays it."""
        name = pressed.pane.id or ""
        if name == "hints":
            action = self._hints.action_at(pressed.x, pressed.y)
            if action:
                await self.act(action)
        elif name == "cells":
            if self._has_legend() and pressed.y == pressed.pane.size.height - 1:
                return
            found = self.place.at(pressed.x, pressed.y)
            if found is None:
                return
            kind, kernel = found[0], found[1] or self.place.kernel
            if (kind, kernel) == (self.place.kind, self.place.kernel):
                self.action_play_cell()
            else:
                self.go_to(kind, kernel)
                self.moved()

    def on_pane_wheeled(self, wheeled: Pane.Wheeled) -> None:
        """The wheel moves along the rows, or scrolls words."""
        name = wheeled.pane.id or ""
        if name == "cells":
            self.action_cell(wheeled.rows, 0)
        elif name in self.tops:
            self.tops[name] += wheeled.rows
            self.moved()

    # Actions

    def action_cell(self, kinds: int, kernels: int) -> None:
        """So many kinds down, so many kernels on."""
        self.hush()
        before = self.place.kind, self.place.kernel
        self.place.go(kinds, kernels)
        if (self.place.kind, self.place.kernel) == before and kernels:
            last = "newest" if kernels > 0 else "oldest"
            self.say(f"This is the {last} kernel that there is.")
        self._want()
        self.moved()

    def action_changed(self, direction: int) -> None:
        """To the next or previous fault that differs between the two kernels."""
        self.hush()
        place = self.place
        changed = self.store.changed(place.before, place.kernel) if place.before else ()
        if not changed:
            self.say("No fault is known to differ; {matrix.newer} goes to another kernel.")
            self.moved()
            return
        order = [kind.id for kind in KINDS]
        here = order.index(place.kind)
        ahead = sorted(changed, key=lambda kind: (order.index(kind) - here - 1) % len(order))
        behind = sorted(changed, key=lambda kind: (here - 1 - order.index(kind)) % len(order))
        place.kind = (ahead if direction > 0 else behind)[0]
        self._want()
        self.moved()

    def action_kernel_end(self, number: int) -> None:
        """To the oldest or the newest kernel."""
        self.hush()
        self.place.go_kernel(number if number >= 0 else len(KERNELS) + number)
        self._want()
        self.moved()

    def action_words(self) -> None:
        """The other pane of words, where only one has room."""
        self.shows_change = not self.shows_change
        self._divide()
        self.call_after_refresh(self.paint_now)

    def action_scroll_words(self, rows: int) -> None:
        """Scroll what is said of the cell and its kernel."""
        for name in self.tops:
            self.tops[name] += rows
        self.moved()

    def action_policy(self) -> None:
        """Turn a switch; the cells are run anew, and those that it changes are marked."""
        now = policies.said(Policy(), self.store.policy)
        options = [
            (name, value)
            for name, values in POLICY_CHOICES.items()
            for value in values
            if value != now[name]
        ]

        def choose(number: int | None) -> None:
            if number is None or number < 0:
                return
            name, value = options[number]
            turned = {**dict(self.store.policy), name: value}
            kept = {one: is_now for one, is_now in turned.items() if is_now != _own(one)}
            self.store = CellStore(tuple(sorted(kept.items())))
            self._want()
            self.moved()

        listed = changes(options, now)
        explain = "What kernels do → what they could do. All cells are run anew; + differs."
        abouts = [about(name) for name, _ in options]
        self.app.push_screen(Choice("Policy", explain, listed, 0, abouts), choose)

    def action_play_cell(self) -> None:
        """Play this fault in this kernel."""
        kind, kernel = self.place.kind, self.place.kernel
        if BY_ID[kind].missing:
            self.say(f"It cannot be played yet: {BY_ID[kind].missing} is missing in the model.")
        else:
            self.say(f"Opening {BY_ID[kind].title} in {name_of(kernel)} …")
            self._open(partial(scenario_of, kind), kernel)
        self.moved()

    def action_at_work(self) -> None:
        """Play the scenario in which this fault meets others, in this kernel."""
        kind, kernel = self.place.kind, self.place.kernel
        name = at_work.SCENARIOS.get(kind)
        if name is None:
            self.say("No scenario is about this fault alone; {matrix.play} plays the fault itself.")
        else:
            self.say(f"Opening {at_work.title_of(kind)} in {name_of(kernel)} …")
            self._open(partial(open_scenario, name), kernel)
        self.moved()

    @worker(thread=True, exclusive=True, group="open")
    def _open(self, scenario: Callable[[], Scenario], kernel: str) -> None:
        """Build the run away from the event loop."""
        try:
            overrides = Overrides(kernel=kernel, policy=self.store.policy)
            run = run_of(Source(scenario(), overrides))
        except ScenarioError as error:
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


def _own(name: str) -> object:
    """What a switch is in a kernel as released."""
    return policies.said(Policy())[name]
