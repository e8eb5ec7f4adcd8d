"""What the lab's keys do; an action that is impossible says why where the narrator speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from pfviz.tui import go_to, keys
from pfviz.tui.player import Player
from pfviz.tui.screens.choice import Choice
from pfviz.tui.screens.playing import PlayingScreen
from pfviz.tui.screens.prompt import BREAK_PROMPT, FIND_PROMPT, GO_PROMPT, Prompt, Question
from pfviz.views import narrator, threads
from pfviz.views.cues import Caption, told_at
from pfviz.views.layout import PANES
from pfviz.views.lock_words import lock_name
from pfviz.views.look import Look, selected_task
from pfviz.views.painters import stretched
from pfviz.views.timeline import EVENT, STEP

LEAVE: Final = "{back} again leaves this run for the PLACE; {quit} quits pfviz."


class LabActions(PlayingScreen):
    """Actions on one player and how it is looked at."""

    player: Player
    look: Look
    tops: dict[str, int]
    pane_name: str
    zoomed: bool

    def focus_pane(self, name: str) -> None:
        """Make a pane the one that keys act on."""
        raise NotImplementedError

    def divide(self) -> None:
        """Give every pane its place anew."""
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.captions = True
        self.lanes_follow_play = True
        """Whether the lanes are as long as playing asks for; single steps want them closer."""
        self._followed: list[int] = []
        self._g_pressed = False

    # Play

    def action_play(self) -> None:
        """Play or pause."""
        self.hush()
        self.player.toggle()
        self.lanes_follow_play = True
        self.moved()

    def action_step(self, direction: int) -> None:
        """One of the chosen unit forwards or back."""
        self.action_by(self.player.unit, direction)

    def action_by(self, unit: str, direction: int) -> None:
        """To the next or previous step, event, fault, hand-over or cue."""
        self.hush()
        self.player.by(unit, direction)
        if unit in (STEP, EVENT):
            self.lanes_follow_play = False
        if unit == "cue" and self.player.errand is None:
            self._show_cue()
        self.moved()

    def _show_cue(self) -> None:
        for place in self.player.run.cues.found():
            if place.position == self.player.index and place.focus:
                self.focus_pane(place.focus)

    def action_unit(self) -> None:
        """The next unit for the arrows."""
        self.say(f"The arrows now go by {self.player.next_unit()}.")
        self.moved()

    def action_speed(self, rungs: int) -> None:
        """Slower or faster."""
        self.hush()
        self.player.faster(rungs)
        self.moved()

    # Move

    def action_go_start(self) -> None:
        """To the start."""
        self.hush()
        self.player.go_start()
        self.moved()

    def action_prefix_g(self) -> None:
        """`gg`: the second one goes to the start."""
        if self._g_pressed:
            self._g_pressed = False
            self.action_go_start()
            return
        self._g_pressed = True
        self.set_timer(1.0, self._forget_g)

    def _forget_g(self) -> None:
        self._g_pressed = False

    def action_go_end(self) -> None:
        """To the present, then to the end."""
        self.hush()
        self.player.go_end()
        self.moved()

    def action_seek(self, column: int, width: int) -> None:
        """To a place on the seek bar."""
        self.hush()
        self.player.go_along_bar(column, width)
        self.moved()

    def action_go_to(self) -> None:
        """Ask for a place and go there."""

        def go(text: str) -> None:
            if text.strip() in go_to.QUIT:
                self.app.exit()
            else:
                self.player.look_for(go_to.errand_to(text, self.player))

        self._ask(GO_PROMPT, go)

    def action_search(self) -> None:
        """Ask for words and go to the first hit."""
        self._ask(FIND_PROMPT, self.player.search, self.player.marks.query)

    def action_found(self, direction: int) -> None:
        """To the next or previous hit."""
        self.hush()
        self.player.found(direction)
        self.moved()

    def action_break_add(self) -> None:
        """Ask for a condition to stop at."""

        def add(text: str) -> None:
            meaning = self.player.marks.add_breakpoint(text)
            self.say(f"Play will stop when {meaning}. {{break.list}} lists the breakpoints.")

        self._ask(BREAK_PROMPT, add, play_on=True)

    def _ask(
        self,
        question: Question,
        act: Callable[[str], object],
        text: str = "",
        play_on: bool = False,
    ) -> None:
        """Prompt for a line; `act` raises ValueError to say what is wrong with it."""
        was_playing = self.player.playing

        def check(line: str) -> str:
            try:
                act(line)
            except ValueError as error:
                return str(error)
            return ""

        self.hush()
        self.player.pause()
        self.moved()

        def left(_: str | None) -> None:
            self.player.playing = self.player.playing or (play_on and was_playing)
            self.moved()

        self.app.push_screen(Prompt(question, check, text), left)

    def choose(
        self,
        title: str,
        explain: str,
        options: Sequence[tuple[str, str]],
        current: int,
        act: Callable[[int | None], None],
        abouts: Sequence[str] = (),
    ) -> None:
        """Show a list; `act` gets the number of the chosen option, -1 for none."""
        was_playing = self.player.playing
        self.player.pause()
        self.moved()

        def left(number: int | None) -> None:
            self.player.playing = was_playing
            act(number)
            self.moved()

        self.app.push_screen(Choice(title, explain, options, current, abouts), left)

    # Look

    def action_pane(self, number: int) -> None:
        """Focus a pane by its number."""
        if number > len(PANES):
            self.say(f"There are {len(PANES)} panes.")
        else:
            self.focus_pane(PANES[number - 1])
        self.moved()

    def action_pane_next(self, direction: int) -> None:
        """Focus the next or previous pane."""
        self.focus_pane(PANES[(PANES.index(self.pane_name) + direction) % len(PANES)])
        self.moved()

    def action_zoom(self) -> None:
        """Give the focused pane the whole screen, or give it back."""
        self.zoomed = not self.zoomed
        self.focus_pane(self.pane_name)
        self.moved()

    def action_row(self, direction: int) -> None:
        """Select the next thread, or scroll another pane."""
        if self.pane_name == "threads":
            ids = [task.id for task in self.player.frame.people()]
            if ids:
                chosen = selected_task(self.player.frame, self.look)
                at = ids.index(chosen) if chosen in ids else -1
                self._select(ids[max(0, min(at + direction, len(ids) - 1))])
        else:
            self.tops[self.pane_name] = max(0, self.tops.get(self.pane_name, 0) + direction)
        self.moved()

    def scroll_pane(self, name: str, rows: int) -> None:
        """Scroll a pane's items (the mouse wheel)."""
        self.tops[name] = max(0, self.tops.get(name, 0) + rows)
        self.moved()

    def select_row(self, y: int) -> None:
        """Select the thread that stands in a row of the thread pane."""
        task = self.thread_at(y)
        if task >= 0:
            self._select(task)

    def thread_at(self, y: int) -> int:
        """The thread that stands in a row of the thread pane; -1 when none does."""
        raise NotImplementedError

    def _select(self, task: int) -> None:
        self.look = replace(self.look, selected=task)
        self._followed.clear()

    def action_window(self, direction: int) -> None:
        """More or less time in the lanes."""
        span = threads.span_of(self.player.frame, self.look)
        self.look = replace(self.look, span_ns=stretched(span, direction))
        self.moved()

    def action_captions(self) -> None:
        """Captions on or off."""
        self.captions = not self.captions
        self.say("Captions of cues are " + ("on." if self.captions else "off."))
        self.moved()

    def caption(self) -> Caption:
        """The caption of the cue that was reached last; the story while a run begins."""
        run, index = self.player.run, self.player.index
        if not self.captions:
            return Caption()
        player = self.player
        place, is_past, begins = told_at(
            run.cues, run.timeline, index, player.now_ns, run.origin,
            player.speed_ns if player.playing else 0,
        )  # fmt: skip
        if place is not None:
            waits = place.pause and index == place.position and not player.playing
            more = f" ({self.key_of('play.toggle')} goes on)" if waits else ""
            return Caption(place.caption + more, is_past)
        return Caption(run.story if begins else "")

    def action_follow_owner(self) -> None:
        """From the selected thread to the one that holds what it waits for."""
        self.hush()
        frame = self.player.frame
        here = selected_task(frame, self.look)
        if here < 0:
            self.say("There is no thread yet.")
            return
        task = frame.tasks[here]
        lock = task.waits_lock if task.waits_lock >= 0 else task.spins_lock
        name = frame.label(here)
        if lock < 0:
            self.say(f"{name} waits for no lock at this moment.")
        elif not frame.locks[lock].holders:
            self.say(f"{lock_name(frame, lock)} is free: {name} is about to get it.")
        else:
            owner = next(iter(frame.locks[lock].holders))
            followed = [*self._followed, here]
            self._select(owner)
            self._followed = followed
            self.say(f"{name} waits for {lock_name(frame, lock)}; {frame.label(owner)} holds it.")
        self.moved()

    def action_back_from_owner(self) -> None:
        """Back to the thread that was followed from."""
        self.hush()
        if not self._followed:
            self.say("No thread was followed yet: {owner.follow} goes to a lock's holder.")
        else:
            *rest, back = self._followed
            self._select(back)
            self._followed = rest
        self.moved()

    def action_mark(self) -> None:
        """A bookmark here, or none any more."""
        self.player.toggle_bookmark()
        self.moved()

    def action_next_mark(self) -> None:
        """To the next bookmark."""
        self.hush()
        self.player.next_bookmark()
        self.moved()

    def go_back(self) -> None:
        """Out of what is under way: a search, a message, a maximised pane; the lab at last."""
        place = getattr(self.app.screen_stack[-2], "KEYS_OF", keys.GALLERY)
        leave = self.app.keymap.fill(LEAVE.replace("PLACE", place))
        if self.message == leave:
            self.app.leave_screen()
            return
        if self.player.errand is not None:
            self.player.pause()
            self.say("No longer looking.")
        elif self.player.marks.hits is not None:
            self.player.search("")
            self.hush()
        elif self.message:
            self.hush()
        elif self.zoomed:
            self.zoomed = False
            self.focus_pane(self.pane_name)
        elif self.look.selected >= 0:
            self._select(-1)
        else:
            self.say(leave)
        self.moved()

    # Take away

    def action_copy(self) -> None:
        """The sentence of the moment to the clipboard."""
        cells = narrator.sentence(self.player.frame, self.look)
        text = "".join(text for text, _ in cells).strip()
        self.app.copy_to_clipboard(f"{text} ({self.player.where()})")
        self.say("The sentence is in the clipboard, as far as this terminal allows it (OSC 52).")
        self.moved()

    def action_stage(self) -> None:
        """This run on the stage, from here; back from there at the place reached."""
        from pfviz.tui.screens.stage import stage_of

        player = self.player
        was_playing = player.playing
        player.pause()
        self.hush()
        stage = stage_of(player, was_playing)

        def back(_: None) -> None:
            leader = stage.show.act.leader
            if leader is not None:
                player.go(leader.index)
                player.now_ns = max(player.now_ns, leader.now_ns)
                player.rung = leader.rung
            self.moved()

        self.app.push_screen(stage, back)
