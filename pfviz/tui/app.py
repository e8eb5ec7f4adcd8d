"""The Textual application: themes, glyphs, keys of every screen, and where it begins.

pfviz            gallery ──enter──▸ lab ──=──▸ compare
pfviz play NAME            lab ──esc──▸ gallery
E, F2, pfviz matrix --tui  matrix ──enter──▸ lab
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.app import SystemCommand
from textual.binding import Binding
from textual.filter import LineFilter, NoColor

from pfviz.config import theme_files
from pfviz.scenario.fault_kinds import BY_ID
from pfviz.scenario.matrix import Policies
from pfviz.scenario.talk import Talk
from pfviz.views import palettes

from . import keys, terminal, themes
from .key_words import spelled
from .keymap import Keymap
from .lean_output import lean_driver
from .opening import Opening
from .openings import Openings
from .plain_output import AsciiFilter, ConsoleFilter
from .recent import TALK, Recent, remember
from .run import Run
from .screens.playing import PlayingScreen
from .screens.prompt import Prompt
from .screenshot import save_screenshot
from .sources import Entry
from .theme_choice import theme_choice

if TYPE_CHECKING:
    from rich.style import Style
    from textual import events
    from textual.binding import BindingType
    from textual.driver import Driver
    from textual.screen import Screen

DEFAULT_THEME: Final = "dark"
LEAVE_S: Final = 6.0
"""So long a talk waits for the second `q`."""
INTERRUPTED: Final = 130
"""What a shell shows for a program that SIGINT ended."""
ALONE_EVERY_S: Final = 2.0
APP_KEYS: Final = tuple(key for key in keys.KEYS if keys.EVERYWHERE in key.screens)
BACK_TO_TALK: Final = (
    Binding("f5,shift+f5,f17", "back_to_talk", show=False, priority=True),
    Binding("pagedown,S", "back_to_talk('played')", show=False, priority=True),
)
"""Keys of a clicker lead back to a talk from wherever the speaker has gone, whatever a keymap or a
small screen does with them; where nothing plays, PgDn and S are the screen's own."""


MatrixPlace = tuple[str, str, Policies]
"""Where the matrix begins: a kind, a kernel ("" is the first), and the policies turned."""


class LabApp(Openings):
    """The app around the screens."""

    TITLE = "pfviz"
    CSS_PATH = "theme.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings(APP_KEYS), *BACK_TO_TALK]

    def __init__(
        self,
        *,
        run: Run | None = None,
        entries: Sequence[Entry] = (),
        compare: Sequence[str] = (),
        matrix: MatrixPlace | None = None,
        talk: Talk | None = None,
        notes: Talk | None = None,
        stage: bool = False,
        theme: str | None = None,
        ascii_only: bool = False,
        fps: int | None = None,
        keymap: Keymap | None = None,
        play: bool = True,
        depth: str = "",
        opening: Opening[Run] | None = None,
    ) -> None:
        """`fps` is how often play shows a picture; `depth` is one of `terminal.DEPTHS`."""
        super().__init__()
        self.first_run = run
        self.first_opening = opening
        self.entries = tuple(entries)
        self.compare_modes = tuple(compare)
        self.matrix = matrix
        self.talk, self.notes, self.on_stage = talk, notes, stage
        self.fps, self.repaints_per_s = terminal.frames_per_s(fps, os.environ)
        self.glyphs, _ = terminal.glyphs_of(os.environ, ascii_only)
        self.play_at_once = play
        self._leave_asked_s = -LEAVE_S
        self.stop: tuple[int, int] | None = None
        """Scene and stop of the talk to begin at; None is its beginning."""
        self.token_left = ""
        """The share token of what was played when the app was left; "" when nothing was."""
        self.depth = depth or terminal.depth_here(os.environ)
        self.no_color = self.depth == terminal.MONO
        self.console = themes.console_of(self.console, self.depth)
        self.palettes: dict[str, palettes.Palette] = {}
        self.styles_by_name: Mapping[str, Style] = {}
        self.worn = ""
        """The name of the theme, as it would be said on the command line."""
        self.wear(theme or DEFAULT_THEME)
        self.keymap = keymap or Keymap()
        self.set_keymap(self.keymap.changes())
        self._plain: tuple[LineFilter, ...] = (
            *((NoColor(),) if self.no_color else ()),
            *((AsciiFilter(),) if self.glyphs.ascii_only else ()),
            *((ConsoleFilter(),) if self.glyphs.is_console else ()),
        )

    def get_driver_class(self) -> type[Driver]:
        """What writes to this terminal, in as few bytes as will do."""
        return lean_driver(super().get_driver_class(), terminal.is_old(os.environ))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Ours alone, for terminals without colour or UTF-8; none for all others.

        Textual's own one turns the terminal's sixteen colours into true ones, line by line; our
        themes use none of those. Without colour, Textual would leave shades of grey; we leave
        weight and reverse instead.
        """
        return self._plain

    def wear(self, name: str) -> None:
        """Put a theme on, ours or the person's own, in the colours that this terminal has.

        Raises:
            ScenarioError: there is no such theme, or its file is not right.
        """
        palette = theme_files.palette_of(name)
        self.worn = name
        shown = palette if self.depth != terminal.SIXTEEN else palettes.SIXTEEN
        if palette != self.palettes.get(palette.name):
            self.palettes[palette.name] = palette
            self.register_theme(themes.textual_theme(replace(shown, name=palette.name)))
        self.set_class(shown.weight == "heavy", "heavy")
        self.theme = palette.name
        self.styles_by_name = themes.style_table(shown, colors=not self.no_color)
        for screen in self.screen_stack if self.is_running else ():
            dress = getattr(screen, "dress", None)
            if dress is not None:
                dress()

    def on_mount(self) -> None:
        """Open the first screen."""
        from .screens.gallery import Gallery
        from .screens.matrix import Matrix

        if self.is_web:
            self.set_interval(ALONE_EVERY_S, partial(self._leave_if_alone, os.getppid()))
        if self.entries:
            self.push_screen(Gallery(self.entries))
        if self.first_run is not None:
            self._enter_lab(self.first_run)
        elif self.first_opening is not None:
            self.take_first(self.first_opening, self._enter_lab)
        if self.matrix is not None:
            self.push_screen(Matrix(*self.matrix))
        if self.talk is not None:
            from .screens.stage import Stage
            from .stage_show import Show

            show = Show(self.talk)
            if self.stop is not None:
                show.begin_at(*self.stop)
            self.push_screen(Stage(show))
            if self.settings.recent:
                path = str(Path(self.talk.path).absolute())
                remember(Recent(path, self.talk.title, TALK, about="a talk"))
        if self.notes is not None:
            from .screens.notes import Notes

            self.push_screen(Notes(self.notes))

    def _leave_if_alone(self, server: int) -> None:
        """Leave when the server is gone without a word: nobody would end this process."""
        if os.getppid() != server:
            self.exit()

    def exit(self, *args: Any, **named: Any) -> None:
        """Leave, and remember where."""
        played = [one for one in self.screen_stack if isinstance(one, PlayingScreen)]
        self.token_left = played[-1].token() if played and not self.token_left else self.token_left
        super().exit(*args, **named)

    def _enter_lab(self, run: Run) -> None:
        from .screens.lab import Lab

        lab = Lab(run, play=self.play_at_once and not self.on_stage)
        self.push_screen(lab)
        if self.compare_modes:
            self.call_after_refresh(self._compare_at_once)
        elif self.on_stage:
            lab.action_stage()  # Before any key that was typed early gets to the lab.

    def _compare_at_once(self) -> None:
        from .screens.lab import Lab

        if isinstance(self.screen, Lab):
            self.screen.open_compare(self.compare_modes, self.screen.player.run.shared)

    async def on_key(self, key: events.Key) -> None:
        """Give keys to a prompt that opened while they were on their way: type-ahead works."""
        if isinstance(self.screen, Prompt) and (key.is_printable or key.key == "enter"):
            key.prevent_default()
            await self.screen.type_ahead(key)

    # Actions of every screen

    def action_theme(self) -> None:
        """Choose a theme; each is worn while it is highlighted."""
        if not self.screen.is_modal:
            self.push_screen(*theme_choice(self))

    def action_help(self) -> None:
        """The help page, or back from it."""
        from .screens.help import AT, Help

        if isinstance(self.screen, Help):
            self.pop_screen()
        elif not self.screen.is_modal:
            self.push_screen(Help(AT.get(getattr(self.screen, "KEYS_OF", ""), "")))

    def action_matrix(self) -> None:
        """The matrix at the kernel (and the fault) that is played, or back from it."""
        from .screens.lab import Lab
        from .screens.matrix import Matrix

        screen = self.screen
        if isinstance(screen, Matrix):
            self.leave_screen()
            return
        if screen.is_modal:
            return
        recipe = screen.player.run.recipe if isinstance(screen, Lab) else None
        kind, kernel = ("", "") if recipe is None else (recipe.scenario.name, recipe.kernel)
        below = [one for one in self.screen_stack if isinstance(one, Matrix)]
        if not below:
            self.push_screen(Matrix(kind if kind in BY_ID else "", kernel))
            return
        while self.screen is not below[0]:
            self.pop_screen()
        if kernel:
            below[0].go_to(kind, kernel)
            below[0].moved()

    def _talk_below(self) -> Screen[Any] | None:
        """The talk's stage, when another screen is above it."""
        below = self.screen_stack[:-1]
        return next((one for one in below if getattr(one, "is_talk", False)), None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action is to be had here: there is no way back without a talk."""
        if action == "back_to_talk":
            is_played = isinstance(self.screen, PlayingScreen)
            return self._talk_below() is not None and (is_played or not parameters)
        return super().check_action(action, parameters)

    def action_back_to_talk(self, _: str = "") -> None:
        """The talk, where it was, whatever screens were opened above it."""
        stage = self._talk_below()
        while stage is not None and self.screen is not stage:
            self.pop_screen()

    async def action_quit(self) -> None:
        """Quit; during a talk only when it was asked for twice, wherever the speaker has gone."""
        leave = next((one.LEAVE for one in self.screen_stack if hasattr(one, "LEAVE")), "")
        asked_s, self._leave_asked_s = self._leave_asked_s, perf_counter()
        if leave and self._leave_asked_s - asked_s > LEAVE_S:
            self.report(leave)
        else:
            await super().action_quit()

    def stay(self) -> None:
        """Something else was asked for: the next `q` is a first one again."""
        self._leave_asked_s = -LEAVE_S

    def action_help_quit(self) -> None:
        """Ctrl-C leaves, as everywhere else; the exit code says that it was an interrupt."""
        self.exit(return_code=INTERRUPTED)

    def action_shot(self) -> None:
        """Save the screen as SVG, in the current directory or else in pfviz's state directory."""
        self.report(save_screenshot(self))

    async def action_back(self) -> None:
        """Out of what the screen is in, or one screen back."""
        go_back = getattr(self.screen, "go_back", self.leave_screen)
        go_back()

    def leave_screen(self) -> None:
        """Back to the screen before this one; the first one stays."""
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.report("This is the first screen; {quit} quits.")

    def report(self, text: str) -> None:
        """Say something where the current screen says such things."""
        say = getattr(self.screen, "say", None)
        if say is None:
            self.notify(self.keymap.fill(text), markup=False)
        else:
            say(text)
            moved = getattr(self.screen, "moved", None)
            if moved is not None:
                moved()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of this screen, by its label, from the one table of keys."""
        name = getattr(screen, "KEYS_OF", keys.LAB)
        for key in self.keymap.of(name):
            if key.id in keys.NO_COMMANDS:
                continue
            label = f"{key.label}  ({spelled(key.keys)})"
            where = self if keys.EVERYWHERE in key.screens else screen
            yield SystemCommand(
                label, self.keymap.fill(key.help), partial(self.run_action, key.action, where)
            )
