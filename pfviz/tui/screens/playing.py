"""What lab and compare share: the clock that plays, the engine's turns, painting spread over turns.

The event loop must stay free for keys: the engine computes in slices of a few milliseconds, and the
panes of a frame are painted one per turn and then shown all at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

from textual.screen import Screen

from pfviz.tui.pane import Pane
from pfviz.tui.shared_moment import errand_to, token_at
from pfviz.views.rows import Rows

if TYPE_CHECKING:
    from textual.timer import Timer

    from pfviz.tui.app import LabApp
    from pfviz.tui.player import Player

SLICE_S: Final = 0.004
"""How long the engine may hold the event loop at a time."""
REST_S: Final = 0.004
"""How long it leaves the loop alone afterwards, unless somebody waits for it."""
TICK_MAX_S: Final = 0.25
"""After a stall (a suspended terminal) play does not leap ahead by more than this."""
HEADER_EVERY_S: Final = 0.5
MESSAGE_S: Final = 6.0

Paint = Callable[[], Rows]


class PlayingScreen(Screen[None]):
    """A screen on which one or more players play."""

    app: LabApp

    def __init__(self) -> None:
        super().__init__()
        self.message = ""
        self._message_until = 0.0
        self._ticker: Timer | None = None
        self._ticking = False
        self._ticked_s = 0.0
        self._to_compute = asyncio.Event()
        self._to_paint = asyncio.Event()
        self._painting = False
        self.panes: dict[str, Pane] = {}
        """All panes of the screen by id, kept: a query for each of them in each frame is slow."""
        self._words: dict[str, tuple[str, str]] = {}
        self.frames = 0
        """How many frames were painted so far; measurements and tests read it."""

    # What a screen of this kind provides

    def players(self) -> tuple[Player, ...]:
        """Everybody who plays here."""
        raise NotImplementedError

    def work(self, seconds: float) -> bool:
        """Compute ahead for at most so long; whether more is to be computed soon."""
        return any(player.work(seconds) for player in self.players())

    def is_waited_for(self) -> bool:
        """Whether somebody waits for what is being computed."""
        return any(player.errand for player in self.players())

    def paints(self) -> Mapping[str, Paint]:
        """Pane id -> how to paint it now, for all panes that are seen."""
        raise NotImplementedError

    def paint_header(self) -> None:
        """Show the header alone: what changes while the engine computes ahead."""
        raise NotImplementedError

    def token(self) -> str:
        """The share token of what is seen; "" when that is a recording."""
        return token_at(self.players()[0])

    # Running

    def begin_shared(self) -> None:
        """Go where a share token says, and stay there."""
        player = self.players()[0]
        if player.run.shared is None:
            return
        errand = errand_to(player.run.shared, player)
        if errand is not None:
            player.look_for(errand)

    def action_share(self) -> None:
        """The share token of this moment to the clipboard, and on the screen."""
        word = self.token()
        if word:
            self.app.copy_to_clipboard(word)
            self.say(f"Copied, as far as this terminal allows it: pfviz play {word}")
        else:
            self.say("A recording has no share token: give its file away.")
        self.moved()

    def dress(self) -> None:
        """Find the panes, and give them the theme's styles."""
        self.panes = {pane.id or "": pane for pane in self.query(Pane)}
        for pane in self.panes.values():
            pane.dress(self.app.styles_by_name)

    def begin(self) -> None:
        """Start the clock and the two workers, once mounted."""
        self._ticker = self.set_interval(1 / self.app.fps, self._tick, pause=True)
        self.run_worker(self._compute_loop(), name="compute", exit_on_error=True)
        self.run_worker(self._paint_loop(), name="paint", exit_on_error=True)
        self.compute()

    async def act(self, action: str) -> None:
        """Do what a click asks for: an action of this screen, or else of the app."""
        name = action.partition("(")[0]
        await self.run_action(action if hasattr(self, f"action_{name}") else f"app.{action}")

    def compute(self) -> None:
        """Let the engines compute ahead again."""
        self._to_compute.set()

    def moved(self) -> None:
        """Somebody moved a cursor by a key: paint at once, compute ahead again."""
        self._wind()
        self.paint_now()
        self.compute()

    def _wind(self) -> None:
        """Let the clock run exactly while somebody plays."""
        playing = any(player.playing for player in self.players())
        if self._ticker is None or playing == self._ticking:
            return
        self._ticking = playing
        if playing:
            self._ticked_s = perf_counter()
            self._ticker.resume()
        else:
            self._ticker.pause()

    def say(self, text: str) -> None:
        """Show a line of the app itself where the narrator speaks, for some seconds.

        `{quit}` in it becomes the key that quits, and so for every binding.
        """
        if text:
            self.message = self.app.keymap.fill(text)
            self._message_until = perf_counter() + MESSAGE_S
            self.set_timer(MESSAGE_S + 0.1, self._forget)

    def key_of(self, name: str) -> str:
        """The key of a binding, as a person reads it."""
        return self.app.keymap.spelled_of(name)

    def hush(self) -> None:
        """Take the app's own line away: a key was pressed."""
        self.message = ""

    def _forget(self) -> None:
        if self.message and perf_counter() >= self._message_until:
            self.message = ""
            self._to_paint.set()

    def _tick(self) -> None:
        if self._painting:  # All panes of a frame show the same moment; this time is not lost.
            return
        now_s = perf_counter()
        if not self.is_seen:
            self._ticked_s = now_s
            return
        wall_s = min(now_s - self._ticked_s, TICK_MAX_S)
        self._ticked_s = now_s
        moved = [player.tick(wall_s) for player in self.players()]
        if any(moved):
            self._to_paint.set()
        if not any(player.playing for player in self.players()):
            self._wind()
            self._to_paint.set()
        self.compute()

    async def _compute_loop(self) -> None:
        header_s = 0.0
        while True:
            await self._to_compute.wait()
            before = self._marks()
            waited_for = self.is_waited_for()
            more = self.work(SLICE_S)
            now_s = perf_counter()
            if self._marks() != before:
                self._wind()
                self._to_paint.set()
            elif now_s - header_s > HEADER_EVERY_S or not more:
                header_s = now_s
                self.paint_header()
            if not more:
                self._to_compute.clear()
            await asyncio.sleep(0 if waited_for else REST_S)

    def _marks(self) -> list[tuple[int, bool]]:
        return [(player.index, player.errand is None) for player in self.players()]

    # Painting

    async def _paint_loop(self) -> None:
        while True:
            await self._to_paint.wait()
            self._to_paint.clear()
            if not self.is_seen or not self.is_attached:
                continue
            painted: dict[str, Rows] = {}
            paints = self.paints()
            positions, frames = self._marks(), self.frames
            self._painting = True
            try:
                for name, paint in paints.items():
                    painted[name] = paint()
                    await asyncio.sleep(0)
            finally:
                self._painting = False
            # Else a key came in between, and has painted already.
            if self._marks() == positions and self.frames == frames:
                self._show(painted)
            else:
                self._words.clear()

    @property
    def is_seen(self) -> bool:
        """Whether this is the screen, or shines through one that asks something.

        Textual's `is_current` is true of whatever lies next below, seen or not.
        """
        above = self.app.screen
        return above is self or (above.is_modal and self.app.screen_stack[-2] is self)

    def on_screen_resume(self) -> None:
        """Back from another screen: show how things are now."""
        self._ticked_s = perf_counter()
        self._to_paint.set()

    def paint_now(self) -> None:
        """Paint everything in this turn."""
        if self.is_mounted:
            self._show({name: paint() for name, paint in self.paints().items()})

    def entitle(self, name: str, title: str, foot: str = "") -> None:
        """Set the words in a pane's frame, to be shown together with the rows of all panes."""
        self._words[name] = title, foot

    def _show(self, painted: Mapping[str, Rows]) -> None:
        self.frames += 1
        with self.app.batch_update():
            for name, (title, foot) in self._words.items():
                self.panes[name].entitle(title, foot)
            self._words.clear()
            for name, rows in painted.items():
                self.panes[name].show(rows)
