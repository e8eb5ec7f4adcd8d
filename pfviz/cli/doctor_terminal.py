"""What the doctor says of a terminal: size and kind, colours, marks. Asks the environment only."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from pfviz.cli.doctor_row import WRONG, Row, row
from pfviz.scenario.errors import ScenarioError, printable
from pfviz.tui.terminal import (
    MANY,
    MONO,
    SIXTEEN,
    color_depth,
    colors_of_database,
    frames_per_s,
    glyphs_of,
    why_no_screen,
)
from pfviz.views.glyphs import Glyphs
from pfviz.views.states import STATES

COLUMNS_MIN, LINES_MIN = 80, 24
ESCAPE_MS_MAX: Final = 50
"""Longer, and esc seems not to work."""
TMUX_WAIT_S: Final = 1.0
VARIABLES: Final = (
    "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS",
    "TEXTUAL_ANIMATIONS", "TERM_PROGRAM",
)  # fmt: skip


def terminal(environ: Mapping[str, str]) -> list[Row]:
    """Whether a screen can be shown here, how large, through what."""
    is_terminal = sys.stdout.isatty()
    term = environ.get("TERM", "")
    no_screen = why_no_screen(environ, True)
    rows = [row("terminal", "yes" if is_terminal else "no: output goes elsewhere")]
    known = None if no_screen else colors_of_database(term)
    if no_screen:
        rows.append(row("TERM", printable(term) or "not set", no_screen))
    elif known is None:
        rows.append(row("TERM", printable(term), "the terminal database does not know it; "
                        "TERM=xterm-256color suits most terminals"))  # fmt: skip
    else:
        rows.append(row("TERM", printable(term)))
    size = shutil.get_terminal_size()
    is_small = size.columns < COLUMNS_MIN or size.lines < LINES_MIN
    more = f"{COLUMNS_MIN} x {LINES_MIN} shows more, 120 x 40 shows seven panes"
    rows.append(row("size", f"{size.columns} x {size.lines}", more if is_small else ""))
    rows += _through(environ, term)
    fps, cap = frames_per_s(None, environ)
    said = f"{fps} a second while playing"
    rows.append(row("pictures", said + (f", {cap} at most (TEXTUAL_FPS)" if cap else "")))
    rows += [row(name, printable(environ[name])) for name in VARIABLES if name in environ]
    return rows


def _through(environ: Mapping[str, str], term: str) -> list[Row]:
    """What stands between us and the eyes: multiplexers, ssh, a console."""
    rows: list[Row] = []
    if environ.get("TMUX"):
        advice = ""
        if term.partition("-")[0] not in ("tmux", "screen") or term == "screen":
            advice = 'in ~/.tmux.conf: set -g default-terminal "tmux-256color"'
        elif environ.get("COLORTERM", "") not in ("truecolor", "24bit"):
            advice = (
                'for true colours, in ~/.tmux.conf: set -as terminal-features ",*:RGB", '
                "and COLORTERM=truecolor"
            )
        rows.append(row("tmux", "yes", advice))
        waits_ms = _tmux_escape_ms()
        if waits_ms is not None and waits_ms > ESCAPE_MS_MAX:
            rows.append(row("tmux esc", f"held back {waits_ms} ms",
                            "in ~/.tmux.conf: set -sg escape-time 10"))  # fmt: skip
    elif environ.get("STY"):
        rows.append(row("screen", "yes", "" if "256color" in term else
                        "in ~/.screenrc: term screen-256color"))  # fmt: skip
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        rows.append(row("ssh", "yes", "on a slow link: --fps 5; ssh does not pass COLORTERM on "
                        "unless SendEnv and AcceptEnv say so"))  # fmt: skip
    if term == "linux":
        rows.append(row("console", "yes", "16 colours and a font of few marks: pfviz keeps to "
                        "them; a terminal with a desktop shows more"))  # fmt: skip
    return rows


def _tmux_escape_ms() -> int | None:
    """How long tmux waits after an escape; None when it does not say."""
    try:
        said = subprocess.run(
            ["tmux", "show-options", "-sv", "escape-time"],
            capture_output=True, text=True, timeout=TMUX_WAIT_S, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return int(said) if said.isdecimal() else None


def colours(environ: Mapping[str, str]) -> list[Row]:
    """How many colours are used and why, and the theme."""
    found = color_depth(environ, colors_of_database(environ.get("TERM", "")))
    words = {
        MONO: ("none: weight and reverse instead", ""),
        SIXTEEN: ("16: all themes look alike", "if this terminal has more: TERM=xterm-256color"),
        MANY: ("256", "if this terminal has true colours: COLORTERM=truecolor"),
    }
    value, advice = words.get(found.value, ("true colours", ""))
    rows = [row("colours", f"{value} ({found.why})", advice)]
    return [*rows, *_themes()]


def _themes() -> list[Row]:
    from pfviz.config.theme_files import listing

    names: list[str] = []
    rows: list[Row] = []
    for one in listing():
        names.append(one.name)
        if one.error:
            rows.append(row(f"theme {one.name}", one.error, "mend the file", WRONG))
        else:
            rows += [row(f"theme {one.name}", said, one.path) for said in one.warnings]
    return [row("themes", ", ".join(names)), *rows]


def marks(environ: Mapping[str, str]) -> list[Row]:
    """Which set of marks is used and why, and the marks themselves, to be looked at."""
    glyphs, why = glyphs_here(environ)
    name = "ASCII" if glyphs.ascii_only else "console" if glyphs.is_console else "Unicode"
    advice = ""
    if glyphs.ascii_only and "locale" in why:
        advice = "for better ones a UTF-8 locale: LC_ALL=C.UTF-8"
    encoding = sys.stdout.encoding or "none"
    return [
        row("encoding", encoding),
        row("set", f"{name} ({why})", advice),
        row("states", state_sample(glyphs)),
        row("font", "cannot be asked: look whether the marks below are whole", ""),
    ]


def glyphs_here(environ: Mapping[str, str]) -> tuple[Glyphs, str]:
    """The marks that a screen would be drawn with here, and why."""
    try:
        from pfviz.config.resolve import resolve

        asked = resolve().settings.ascii
    except ScenarioError:  # Told where the configuration is looked at.
        asked = False
    return glyphs_of(environ, asked)


def state_sample(glyphs: Glyphs) -> str:
    """Every state's mark with its letter."""
    return " ".join(
        f"{state.letter}{glyphs.of(state) * 2}" for state in STATES if state.letter.strip()
    )
