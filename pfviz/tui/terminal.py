"""What a terminal can show, read from its environment: how many colours, which marks, how often.

Nothing is asked of the terminal itself: answers come late over a slow link, or never. No Textual.
"""

from __future__ import annotations

import locale
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pfviz.config.settings import says_yes
from pfviz.views.glyphs import ASCII, CONSOLE, UNICODE, Glyphs

MONO: Final = "mono"
SIXTEEN: Final = "16"
MANY: Final = "256"
TRUE: Final = "true"
DEPTHS: Final = (MONO, SIXTEEN, MANY, TRUE)

FPS_DEFAULT: Final = 15
FPS_MAX: Final = 60

TRUE_TERMS: Final = (
    "alacritty", "contour", "foot", "ghostty", "iterm2", "kitty", "wezterm", "xterm-ghostty",
    "xterm-kitty",
)  # fmt: skip
"""Names of terminals that show true colours even where `COLORTERM` was lost, as over ssh."""
MONO_TERMS: Final = ("vt52", "vt100", "vt102", "vt220", "vt320", "vt420", "ansi-m", "cons25-m")
FORCED: Final = {"1": SIXTEEN, "2": MANY, "3": TRUE}
"""`FORCE_COLOR`, as most tools read it; any other value means sixteen colours at least."""
TEXTUAL_DEPTHS: Final = {"standard": SIXTEEN, "windows": SIXTEEN, "256": MANY, "truecolor": TRUE}


@dataclass(frozen=True, slots=True)
class Found:
    """Something found out about a terminal, and why it is believed."""

    value: str
    why: str


def color_depth(environ: Mapping[str, str], colors_known: int | None = None) -> Found:
    """How many colours to use: `mono`, `16`, `256` or `true`.

    `colors_known` is what the terminal database says of `TERM` (-1 for none, None for unknown).
    """
    if environ.get("NO_COLOR"):
        return Found(MONO, "NO_COLOR is set")
    wanted = TEXTUAL_DEPTHS.get(environ.get("TEXTUAL_COLOR_SYSTEM", "").lower())
    if wanted:
        return Found(wanted, "TEXTUAL_COLOR_SYSTEM says so")
    seen = _depth_of_term(environ, colors_known)
    force = environ.get("FORCE_COLOR", "")
    if force not in ("", "0", "false"):
        least = FORCED.get(force, SIXTEEN)
        if DEPTHS.index(least) > DEPTHS.index(seen.value):
            return Found(least, "FORCE_COLOR asks for it")
    return seen


def _depth_of_term(environ: Mapping[str, str], colors_known: int | None) -> Found:
    term = environ.get("TERM", "").lower()
    name, _, kind = term.rpartition("-")
    said = f"TERM is {term}"
    if term == "linux":
        return Found(SIXTEEN, "a Linux console has sixteen colours")
    if term in MONO_TERMS or kind in ("mono", "m"):
        return Found(MONO, f"{said}, which has no colours")
    if environ.get("STY") and term.startswith("screen"):
        # It passes COLORTERM on from outside, and garbles the true colours that it promises.
        return Found(MANY if kind == "256color" else SIXTEEN, f"{said}, inside screen")
    if environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return Found(TRUE, f"COLORTERM is {environ['COLORTERM']}")
    if kind == "direct" or term in TRUE_TERMS or environ.get("WT_SESSION"):
        return Found(TRUE, said if term else "this is Windows Terminal")
    if kind == "256color" or (name and kind == "256"):
        return Found(MANY, said)
    if kind == "16color":
        return Found(SIXTEEN, said)
    if colors_known is None:
        return Found(SIXTEEN, f"{said}, of which nothing more is known")
    if colors_known < 8:
        return Found(MONO, f"the terminal database knows no colours of {term}")
    return Found(MANY if colors_known >= 256 else SIXTEEN,
                 f"the terminal database says {colors_known} for {term}")  # fmt: skip


def depth_here(environ: Mapping[str, str]) -> str:
    """How many colours to use in the terminal that this process has."""
    return color_depth(environ, colors_of_database(environ.get("TERM", ""))).value


def is_old(environ: Mapping[str, str]) -> bool:
    """Whether a terminal knows what a VT220 knew, and not much more: a Linux console too."""
    return environ.get("TERM", "") in ("linux", *MONO_TERMS)


def colors_of_database(term: str) -> int | None:
    """How many colours the terminal database gives a TERM: -1 for none, None when not known."""
    try:
        import curses

        curses.setupterm(term, sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return curses.tigetnum("colors")
    except (ImportError, OSError, ValueError, curses.error):
        return None


def glyphs_of(environ: Mapping[str, str], ascii_only: bool = False) -> tuple[Glyphs, str]:
    """The marks to draw with, and why those."""
    if ascii_only:
        return ASCII, "--ascii, PFVIZ_ASCII or the configuration asks for it"
    if wants_ascii(environ):
        return ASCII, "the locale (LC_ALL, LC_CTYPE, LANG) is not UTF-8"
    if environ.get("TERM") == "linux":
        return CONSOLE, "TERM is linux: a console's font has 256 or 512 marks"
    return UNICODE, "the locale is UTF-8"


def frames_per_s(wanted: int | None, environ: Mapping[str, str]) -> tuple[int, int | None]:
    """(pictures a second while playing, the most repaints a second for whatever reason or None).

    Without a wish a key's answer is not held back; `TEXTUAL_FPS` caps both, as in all such apps.
    """
    said = environ.get("TEXTUAL_FPS", "")
    cap = int(said) if said.isdecimal() and int(said) > 0 else None
    most = min((fps for fps in (wanted, cap) if fps is not None), default=None)
    playing = FPS_DEFAULT if wanted is None else wanted
    return max(1, min(playing, most or FPS_MAX, FPS_MAX)), most and max(1, min(most, FPS_MAX))


def wants_ascii(environ: Mapping[str, str], encoding: str | None = None) -> bool:
    """Whether this terminal's locale cannot show more than ASCII.

    The variables are asked first: Python turns a C locale into UTF-8 for itself (PEP 538 and 540),
    which says nothing about the terminal. `encoding` is what counts when none of them is set.
    """
    if says_yes(environ.get("PFVIZ_ASCII", "")):
        return True
    coerced = environ.get("LANG") in ("C", "POSIX") and environ.get("LC_CTYPE") == "C.UTF-8"
    for name in ("LC_ALL", *(() if coerced else ("LC_CTYPE",)), "LANG"):
        if environ.get(name):
            return not _is_utf8(environ[name].partition(".")[2].partition("@")[0])
    preferred = locale.getpreferredencoding(do_setlocale=False)
    return not _is_utf8(preferred if encoding is None else encoding)


def _is_utf8(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") in ("utf8", "cp65001")


def why_no_screen(environ: Mapping[str, str], is_terminal: bool) -> str:
    """Why the app cannot be shown here, in one line; empty when it can."""
    if not is_terminal:
        return "this is not a terminal; use `pfviz run` for a summary, `--plain` for the sentences"
    if environ.get("TERM", "") in ("", "dumb", "unknown"):
        term = environ.get("TERM") or "not set"
        return f"TERM is {term}: this terminal cannot move its cursor; use --plain"
    return ""
