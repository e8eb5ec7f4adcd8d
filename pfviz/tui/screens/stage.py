"""The stage: one large quiet screen for an audience, driven by a clicker.

 Two things go wrong                            Linux 6.12  ▐ mmap_lock ▌  310.076 µs
 ━━━━━━━━━ ━━━━━━━━━ ━━━━━───── ────────── ──────────
 one to three panes, compared runs, the matrix, a question or a title card
 ▌ the caption

What a key does depends on nothing but what is seen: next finishes what moves, else goes on. No key
that a clicker sends starts again, leaves, or shows anything but the talk.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Final

from pfviz.report.share import talk_token
from pfviz.scenario.errors import ScenarioError
from pfviz.tui import keys
from pfviz.tui.pane import Pane
from pfviz.tui.screens.playing import Paint
from pfviz.tui.screens.stage_manual import ManualLab, ManualMatrix
from pfviz.tui.screens.stage_reload import StageReload
from pfviz.tui.stage_link import StageLink
from pfviz.tui.stage_show import Show, alone
from pfviz.tui.stage_state import state_of
from pfviz.views.rows import Rows
from pfviz.views.stage import StageMoment, paint
from pfviz.views.stage_walk import ASK

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult

    from pfviz.tui.player import Player

DIGITS: Final = tuple("0123456789")
TYPED_S: Final = 4.0
"""So long a number waits for enter."""


class Stage(StageReload):
    """A talk, or one scenario, shown large."""

    KEYS_OF = keys.STAGE
    BINDINGS = keys.bindings_of(keys.STAGE)
    AUTO_FOCUS = ""

    def __init__(self, show: Show, *, over_lab: bool = False) -> None:
        """`over_lab`: it stands on a lab's run, and goes back to it."""
        super().__init__()
        self.show = show
        self.over_lab = over_lab
        self.LEAVE = "{quit} again quits pfviz." if over_lab else "{quit} again leaves the talk."
        """What is said before the app is left from here, or from what was opened from here."""
        self.blank = False
        self.waits_s: list[float] = []
        """How long each scene took from being asked for until it was there; measured."""
        self._asked_s = perf_counter()
        self._typed = ""
        self._typed_until = 0.0
        self._g_pressed = False
        self._seen: tuple[object, ...] = ()
        self._worn_before = ""
        """The theme to put on again in the lab below; "" where it is the same."""
        self.link = StageLink(self._obey)

    def compose(self) -> ComposeResult:
        """One pane is the whole screen."""
        yield Pane(id="stage")

    async def on_mount(self) -> None:
        """Begin."""
        self._wear_own()
        self.dress()
        self.begin()
        self.moved()
        if not self.over_lab:
            self.begin_to_watch()
            await self.link.open()
            self.tell()

    async def on_unmount(self) -> None:
        """Let the notes go."""
        await self.link.close()

    def on_resize(self, _: events.Resize) -> None:
        """The same moment at another size."""
        self.call_after_refresh(self.paint_now)

    @property
    def is_talk(self) -> bool:
        """Whether screens above it are left by the keys of a clicker."""
        return not self.over_lab

    def _wear_own(self) -> None:
        """Put on the theme that the settings want on stage, if they want another one."""
        own = self.app.settings.stage_theme
        if own and own != self.app.worn:
            before = self.app.worn
            with suppress(ScenarioError):  # Its file was changed: what is worn will do.
                self.app.wear(own)
                self._worn_before = before

    # Playing

    def players(self) -> tuple[Player, ...]:
        """The one that moves; compared runs are led by it."""
        leader = self.show.act.leader
        return () if leader is None else (leader,)

    def token(self) -> str:
        """That of the run, where it is a lab's; else that of the place in the talk."""
        if self.over_lab:
            return super().token() if self.players() else ""
        return talk_token(self.show.talk, self.show.number, self.show.act.at)

    def is_waited_for(self) -> bool:
        """Whether the scene is not there yet."""
        return self.show.act.is_waited_for

    def work(self, seconds: float) -> bool:
        """Compute the scene that is shown, then those around it."""
        more = self.show.work(seconds)
        self._noticed()
        return more

    def _tick(self) -> None:
        super()._tick()
        if self.show.act.settle():
            self._wind()
        self._noticed()

    def _noticed(self) -> None:
        """Something may have come or been reached: paint it, tell the notes."""
        act = self.show.act
        seen = (self.show.number, act.at, act.heading, act.is_ready, self.show.aside,
                len(act.codes), act.stations.is_complete)  # fmt: skip
        if seen == self._seen:
            return
        if act.is_ready and self._asked_s:
            self.waits_s.append(perf_counter() - self._asked_s)
            self._asked_s = 0.0
        self._seen = seen
        self._wind()
        self._to_paint.set()
        self.tell()

    def moved(self) -> None:
        """A key was pressed: see what came of it."""
        self.show.act.settle()
        if self.is_mounted:
            self._noticed()
        super().moved()

    def tell(self) -> None:
        """Tell the notes where the talk is."""
        above = self.app.screen is not self
        self.link.tell(state_of(self.show, self.blank, is_manual=above))

    def _obey(self, command: str) -> None:
        """What the notes ask for."""
        if self.app.screen is self:
            self.action_next() if command == "next" else self.action_previous()

    # Painting

    def paints(self) -> Mapping[str, Paint]:
        """The whole screen."""
        return {"stage": self._paint}

    def paint_header(self) -> None:
        """Nothing on the stage tells of the engine's work."""

    def _paint(self) -> Rows:
        width, height = self.app.size
        glyphs = self.app.glyphs
        try:
            return paint(self.moment(), width, height, glyphs)
        except Exception as error:  # An audience sees no traceback, whatever is wrong.
            scene = self.show.scene
            aside = f"This cannot be shown: {type(error).__name__}."
            moment = StageMoment(
                scene.title, scene.say, scene.number, len(self.show.talk.scenes), aside=aside
            )
            return paint(moment, width, height, glyphs)

    def moment(self) -> StageMoment:
        """What is seen now."""
        if self.blank:
            return StageMoment("", blank=True)
        typed = f"scene {self._typed}" if self._is_typing else ""
        aside = typed or self.message or self.show.aside or self.file_problem
        return replace(self.show.moment(perf_counter()), aside=aside)

    async def on_pane_pressed(self, _: Pane.Pressed) -> None:
        """A click is next."""
        self.action_next()

    # What keys do

    def _comes_back(self) -> bool:
        """Whether the screen was blank: then the key has done its work."""
        was_blank, self.blank = self.blank, False
        self.hush()
        self.app.stay()
        if was_blank:
            self.moved()
            self.tell()
        return was_blank

    def _going(self) -> None:
        self._typed = ""
        self._asked_s = perf_counter()

    def action_next(self) -> None:
        """Finish what moves, else go on to the next stop or scene."""
        if not self._comes_back():
            self._going()
            self.show.go_on()
            self.moved()

    def action_previous(self) -> None:
        """To the stop before, exactly as it was."""
        if not self._comes_back():
            self._going()
            self.show.go_back()
            self.moved()

    def action_blank(self) -> None:
        """Blank the screen, or bring it back."""
        if not self._comes_back():
            self.blank = True
            self.moved()
            self.tell()

    def action_talk(self) -> None:
        """Back to the talk where it was; never to its beginning by accident."""
        self._comes_back()

    def action_prefix_g(self) -> None:
        """`gg`: the second one goes to the beginning."""
        if self._g_pressed:
            self._g_pressed = False
            self.action_restart()
            return
        self._g_pressed = True
        self.set_timer(1.0, self._forget_g)

    def _forget_g(self) -> None:
        self._g_pressed = False

    def action_restart(self) -> None:
        """To the very beginning of the talk."""
        if not self._comes_back():
            self._going()
            self.show.restart()
            self.moved()

    @property
    def _is_typing(self) -> bool:
        return bool(self._typed) and perf_counter() < self._typed_until

    def on_key(self, key: events.Key) -> None:
        """A digit: an answer where a question is asked; else the number of a scene, for enter."""
        if key.key in DIGITS:
            key.stop()
            self._digit(int(key.key))

    def _digit(self, digit: int) -> None:
        if self._comes_back():
            return
        act = self.show.act
        if not self._is_typing and act.station.kind == ASK and not act.heading:
            if act.pick(digit):  # No scene's number begins by a slip of the finger.
                self.show.go_on()
                self.moved()
            return
        self._type(str(digit))

    def action_number(self) -> None:
        """Wait for the number of a scene, also where digits would pick an answer."""
        if not self._comes_back():
            self._type(" ")

    def _type(self, text: str) -> None:
        before = self._typed if self._is_typing else ""
        self._typed = (before + text)[-4:]
        self._typed_until = perf_counter() + TYPED_S
        self.set_timer(TYPED_S + 0.1, self._to_paint.set)
        self.moved()

    def action_enter(self) -> None:
        """Go to the scene whose number was typed; else next."""
        number = "".join(self._typed.split()) if self._is_typing else ""
        if not number:
            self.action_next()
            return
        self._going()
        self.show.go(int(number))
        self.moved()

    def go_back(self) -> None:
        """Take over by hand, or back to the lab that this stage stands on."""
        if self._comes_back():
            return
        self.action_manual()

    def action_manual(self) -> None:
        """The lab at this very moment; the talk waits where it is."""
        if self.over_lab:
            if self._worn_before and self.app.worn == self.app.settings.stage_theme:
                self.app.wear(self._worn_before)
            self.dismiss()
            return
        moment, act = self.show.moment(perf_counter()), self.show.act
        if act.leader is not None and moment.columns:
            self.app.push_screen(ManualLab(act.leader, moment))
        elif moment.matrix is not None:
            self.app.push_screen(ManualMatrix(moment.matrix.kind, moment.matrix.kernel))
        else:
            self.say("There is nothing to play here.")
            self.moved()
        self.tell()

    def on_screen_resume(self) -> None:
        """Back from the lab: the talk is where it was."""
        super().on_screen_resume()
        self.tell()


def stage_of(player: Player, playing: bool) -> Stage:
    """The stage of the run that somebody plays, where they are."""
    show = Show(alone(player.run), player.run)
    while not (show.act.is_ready or show.act.error):
        show.work(0.0)
    show.act.stand_between(player.index, player.now_ns, playing)
    if show.act.leader is not None:
        show.act.leader.rung = player.rung
    return Stage(show, over_lab=True)
