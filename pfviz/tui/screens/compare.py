"""Compare: the same workload in two or three lock modes side by side.

pfviz  Fault storm   lined up by operations · 41 done
╭ mmap_lock · 18.2 µs ──────╮╭ per-VMA · 6.1 µs · 3.0x ──╮╭ lockless · 5.9 µs ───╮
│ lanes                     ││ lanes                     ││ lanes                │
╭ Lock wait queues ─────────╮╭ ──────────────────────────╮╭ ─────────────────────╮
╭ Fault latency, laid over one another ───────────────────────────────────────────╮
First divergence: T1, operation 1 (access): lock_mm_and_find_vma | lock_vma_under_rcu
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.containers import Container, Horizontal, Vertical

from pfviz.tui import chrome, keys
from pfviz.tui.pane import Pane
from pfviz.tui.player import Errand, Player
from pfviz.tui.race import BY_OPERATIONS, BY_TIME, Race
from pfviz.tui.screens.playing import Paint, PlayingScreen
from pfviz.tui.shared_moment import token_at
from pfviz.views import compare_table, latency, painters, threads
from pfviz.views.bars import MODE_TITLES
from pfviz.views.look import Look
from pfviz.views.numbers import clock, count, counted, duration
from pfviz.views.painters import Scene, playing_span, stretched
from pfviz.views.rows import Cell, Row, Rows, fit_rows, row_width
from pfviz.views.timeline import FAULT, OPERATION
from pfviz.views.workload_position import WorkloadPosition

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.run import Run

ROOMY: Final = 110
"""From this width on, sentences need not be short."""
LANE_LINES: Final = 3
"""Lanes are at most so high."""
COLUMN_MIN: Final = 38
"""Narrower columns are stacked instead."""
LATENCY_STYLES: Final = {
    "mmap_lock": "fault-mmap", "per-vma": "fault-vma", "lockless": "fault-lockless",
}  # fmt: skip


class Compare(PlayingScreen):
    """One column per mode; the first one leads."""

    KEYS_OF = keys.COMPARE
    BINDINGS = keys.bindings_of(keys.COMPARE)
    AUTO_FOCUS = ""

    def __init__(
        self, runs: Sequence[Run], place: WorkloadPosition | None = None, play: bool = True
    ) -> None:
        """Compare from a place in the workload on, playing or not."""
        super().__init__()
        self.recipes = tuple(run.recipe for run in runs if run.recipe is not None)
        self._place, self._play = place, play
        self.race = Race([Player(run, self.say) for run in runs])
        self.look = Look()
        self._g_pressed = False
        self._header = self._hints = chrome.Chrome(())

    def compose(self) -> ComposeResult:
        """Columns of lanes and locks over the common latency."""
        yield Pane(id="header")
        with Container(id="columns"):
            for number in range(len(self.recipes)):
                with Vertical(classes="column"):
                    yield Pane(id=f"lanes{number}", framed=True, classes="lanes")
                    yield Pane(id=f"board{number}", title="Lock wait queues", classes="board")
        with Horizontal(id="together"):
            yield Pane(id="measures", title="So far")
            yield Pane(id="laid", title="Fault latency, one mode a line")
        yield Pane(id="sentence")
        yield Pane(id="hints")

    def on_mount(self) -> None:
        """Dress the panes and begin at the start."""
        self.look = replace(self.look, glyphs=self.app.glyphs)
        self.dress()
        self._divide()
        self.begin()
        place, leader = self._place, self.race.leader
        if leader.run.shared is not None and leader.run.shared.moment is not None:
            self.begin_shared()
        elif place is not None and place != WorkloadPosition.of(leader):
            errand = Errand("the same place in the workload", lambda: place.find(leader),
                            place.words())  # fmt: skip
            errand.play_on = self._play
            leader.look_for(errand)
        else:
            leader.playing = self._play
        self.moved()

    def players(self) -> tuple[Player, ...]:
        """The leader alone plays; the others are led."""
        return self.race.players

    def work(self, seconds: float) -> bool:
        """Compute ahead for everybody."""
        return self.race.work(seconds)

    def on_resize(self, _: events.Resize) -> None:
        """Columns beside or below one another."""
        self._divide()
        self.call_after_refresh(self.paint_now)

    def _divide(self) -> None:
        width, height = self.app.size
        stacked = width < COLUMN_MIN * len(self.recipes)
        self.query_one("#columns").styles.layout = "vertical" if stacked else "horizontal"
        self.set_class(stacked or height < 36, "crowded")
        self.set_class(height < 26 or (stacked and height < 40), "low")
        self.set_class(height < 12 or width < 24, "tiny")

    def paint_header(self) -> None:
        """The seek bar's end while the engines compute ahead."""
        self.panes["header"].show(self._paint_header())

    def moved(self) -> None:
        """Lead the followers to where the leader went."""
        self.race.align()
        super().moved()

    def token(self) -> str:
        """The share token of all columns."""
        return token_at(self.race.leader, [recipe.mode for recipe in self.recipes])

    # Painting

    def paints(self) -> Mapping[str, Paint]:
        """All columns at the same place."""
        self.race.align()
        paints: dict[str, Paint] = {"header": self._paint_header}
        for number in range(len(self.recipes)):
            paints[f"lanes{number}"] = partial(self._paint_lanes, number)
            paints[f"board{number}"] = partial(self._paint_board, number)
        paints["measures"] = self._paint_measures
        paints["laid"] = self._paint_latency
        paints["sentence"] = self._paint_sentence
        paints["hints"] = self._paint_hints
        return paints

    def scene(self, number: int) -> Scene:
        """The moment of one column; all lanes show the same length of time."""
        player = self.race.players[number]
        frame = player.frame
        frame.now_ns = max(frame.now_ns, player.now_ns)
        look = self.look
        if not look.span_ns:
            spans = [
                playing_span(one.frame, look, self.race.leader.speed_ns)
                if self.race.leader.playing
                else threads.span_of(one.frame, look)
                for one in self.race.players
            ]
            look = replace(look, span_ns=max(spans))
            frame = player.frame
        height = min(self.room(f"lanes{one}")[1] for one in range(len(self.recipes)))
        people = self._people(threads.rows_for_threads(frame, height))
        look = replace(look, people=people, lane_lines=LANE_LINES)
        return Scene(frame, player.run.timeline, look)

    def _people(self, room: int) -> tuple[int, ...]:
        """The threads that every column shows: the same ones, so that rows stand in step."""
        frames = [player.frame for player in self.race.players]
        return threads.chosen_for_all(frames, room)

    def room(self, name: str) -> tuple[int, int]:
        """Cells inside a pane, none when it is not seen."""
        pane = self.panes[name]
        return pane.size if pane.display else (0, 0)

    def _paint_lanes(self, number: int) -> Rows:
        name = f"lanes{number}"
        player, scene = self.race.players[number], self.scene(number)
        width, height = self.room(name)
        hidden = len(scene.frame.people()) - threads.rows_for_threads(scene.frame, height)
        more = f" · +{hidden} thread{'s' if hidden > 1 else ''}" if hidden > 0 and height else ""
        operations = player.run.timeline.count(player.index, OPERATION)
        faults = player.run.timeline.count(player.index, FAULT)
        ops = "operations" if width >= 44 else "ops"
        self.entitle(
            name,
            f"{MODE_TITLES[self.recipes[number].mode]} · {clock(player.now_ns)}",
            f"{count(operations)} {ops} · {counted(faults, 'fault')}{more}",
        )
        return painters.paint("threads", scene, width, height)

    def _paint_board(self, number: int) -> Rows:
        return painters.paint("locks", self.scene(number), *self.room(f"board{number}"))

    def _paint_latency(self) -> Rows:
        width, height = self.room("laid")
        series = [
            latency.series_of_all(
                player.frame, MODE_TITLES[recipe.mode], LATENCY_STYLES[recipe.mode]
            )
            for player, recipe in zip(self.race.players, self.recipes, strict=True)
        ]
        return latency.paint_series(series, width, height, self.look) if height > 0 else ()

    def _paint_measures(self) -> Rows:
        width, height = self.room("measures")
        runs = [
            (MODE_TITLES[recipe.mode], f"mode-{recipe.mode}", self.scene(number).frame)
            for number, recipe in enumerate(self.recipes)
        ]
        return compare_table.paint(runs, width, height, self.look) if height > 0 else ()

    def _paint_header(self) -> Rows:
        how = "by operations" if self.race.by == BY_OPERATIONS else "by time"
        self._header = chrome.header(self.race.leader, self.app.size.width, 2, f"compare {how}")
        return self._header.rows

    def _paint_sentence(self) -> Rows:
        width, height = self.room("sentence")
        if self.has_class("tiny"):
            return chrome.too_small(*self.app.size)
        rows: list[Row] = []
        if self.message:
            rows.append(((self.message, "say-text"),))
        rows += [self._told_times(), *self._told_divergence(width)]
        return fit_rows(rows, width, height, self.look.glyphs.ascii_only)

    def _told_times(self) -> Row:
        """How long each mode took to get as far as the leader is."""
        cells: list[Cell] = []
        if self.race.by == BY_TIME:
            cells.append(("In the same time: ", "strong"))
            for player, recipe in zip(self.race.players, self.recipes, strict=True):
                done = player.run.timeline.count(player.index, FAULT)
                cells += [(f" {MODE_TITLES[recipe.mode]} ", f"mode-{recipe.mode}"),
                          (f" {counted(done, 'fault')}  ", "text")]  # fmt: skip
            return tuple(cells)
        first_ns = max(self.race.leader.now_ns, 1)
        words = " as fast" if self.app.size.width >= ROOMY else ""
        for player, recipe in zip(self.race.players, self.recipes, strict=True):
            faster = ""
            if player is not self.race.leader and player.now_ns > 0:
                faster = f" ({first_ns / player.now_ns:.2f}x{words})"
            cells += [(f" {MODE_TITLES[recipe.mode]} ", f"mode-{recipe.mode}"),
                      (f" {duration(player.now_ns)}{faster}  ", "text")]  # fmt: skip
        lead = "To get here: "
        if len(lead) + row_width(tuple(cells)) > self.app.size.width:
            cells = [(f"{text.rstrip()} ", style) for text, style in cells]
            short = len("So far: ") + row_width(tuple(cells)) - 1
            lead = "So far: " if short <= self.app.size.width else "So far:"
        return ((lead, "strong"), *cells)

    def _told_divergence(self, width: int) -> tuple[Row, ...]:
        """Where the runs first part, in one row or, on narrow screens, in two."""
        parted = self.race.first_divergence()
        if parted is None:
            return ((("So far all of them do the same.", "dim"),),)
        who = self.race.leader.frame.label(parted.task)
        where: Row = (
            ("First divergence: ", "strong"),
            (f"{who}, operation {parted.number + 1} ({parted.name}): ", "text"),
        )
        cells: list[Cell] = []
        for recipe, what in zip(self.recipes, (parted.first, parted.second), strict=False):
            cells += [(f" {MODE_TITLES[recipe.mode]} ", f"mode-{recipe.mode}"),
                      (f" {what}  ", "text")]  # fmt: skip
        cells.append(("D goes there", "dim"))
        if row_width((*where, *cells)) <= width:
            return ((*where, *cells),)
        return where, tuple(cells)

    def _paint_hints(self) -> Rows:
        self._hints = chrome.hints(self.app.keymap.of(keys.COMPARE), self.app.size.width)
        return self._hints.rows

    async def on_pane_pressed(self, pressed: Pane.Pressed) -> None:
        """A click on a bar does what stands there."""
        bars = {"header": self._header, "hints": self._hints}
        action = bars.get(pressed.pane.id or "", chrome.Chrome(())).action_at(pressed.x, pressed.y)
        if action:
            await self.act(action)

    # Actions

    def action_play(self) -> None:
        """Play or pause all of them."""
        self.hush()
        self.race.leader.toggle()
        self.moved()

    def action_step(self, direction: int) -> None:
        """One of the chosen unit, by the leader."""
        self.action_by(self.race.leader.unit, direction)

    def action_by(self, unit: str, direction: int) -> None:
        """To the leader's next or previous stop."""
        self.hush()
        self.race.leader.by(unit, direction)
        self.moved()

    def action_unit(self) -> None:
        """The next unit for the arrows."""
        self.say(f"The arrows now go by {self.race.leader.next_unit()}.")
        self.moved()

    def action_speed(self, rungs: int) -> None:
        """Slower or faster."""
        self.hush()
        self.race.leader.faster(rungs)
        self.moved()

    def action_go_start(self) -> None:
        """All of them to the start."""
        self.hush()
        self.race.leader.go_start()
        self.moved()

    def action_prefix_g(self) -> None:
        """`gg`: the second one goes to the start."""
        if self._g_pressed:
            self.action_go_start()
        self._g_pressed = not self._g_pressed

    def action_go_end(self) -> None:
        """The leader to the present, then to its end."""
        self.hush()
        self.race.leader.go_end()
        self.moved()

    def action_seek(self, column: int, width: int) -> None:
        """To a place on the leader's seek bar."""
        self.race.leader.go_along_bar(column, width)
        self.moved()

    def action_window(self, direction: int) -> None:
        """More or less time in the lanes."""
        span = threads.span_of(self.race.leader.frame, self.look)
        self.look = replace(self.look, span_ns=stretched(span, direction))
        self.moved()

    def action_align(self) -> None:
        """By operations, or by time."""
        by_time = self.race.by == BY_OPERATIONS
        self.race.by = BY_TIME if by_time else BY_OPERATIONS
        self.say("All at the same simulated time: see who has done more." if by_time
                 else "All at the same operation: see who took longer to get here.")  # fmt: skip
        self.moved()

    def action_divergence(self) -> None:
        """To where the first two modes part."""
        parted = self.race.first_divergence()
        if parted is None:
            self.say("As far as both runs are known, they do the same.")
        else:
            self.hush()
            self.race.leader.go(parted.index_first)
        self.moved()

    def action_compare(self) -> None:
        """Back to the lab."""
        self.dismiss()

    def go_back(self) -> None:
        """Stop looking for something, or back to the lab."""
        if self.race.leader.errand is not None:
            self.race.leader.pause()
            self.moved()
        else:
            self.dismiss()
