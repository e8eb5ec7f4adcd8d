"""Output for plain terminals: ASCII instead of all other characters, and when not to start at all.

Filters work on finished lines, so that Textual's own widgets are covered too.
"""

from __future__ import annotations

import locale
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from textual.filter import LineFilter

from pfviz.views.rows import to_ascii

if TYPE_CHECKING:
    from textual.color import Color

LOOK_ALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝", "+"),
        **dict.fromkeys("─━═╌┄┈▁▔▂", "-"),
        **dict.fromkeys("│┃║▏▎▍▌▐▕▊", "|"),
        **dict.fromkeys("▃▄▅▆▇█▓", "#"),
        **dict.fromkeys("▒░▚▞", ":"),
        **dict.fromkeys("●◆♦◇◉", "*"),
        **dict.fromkeys("▶▸❯›", ">"),
        **dict.fromkeys("◀◂‹", "<"),
        **dict.fromkeys("▲△↑", "^"),
        **dict.fromkeys("▼▽↓", "v"),
        "‖": "=",
        "≠": "!",
        "✓": "x",
        "✔": "x",
        "•": "*",
        "\xa0": " ",
    }
)


@lru_cache(maxsize=8192)
def ascii_only(text: str) -> str:
    """The text with a look-alike for every character that is not ASCII, cell for cell."""
    return text if text.isascii() else to_ascii(text.translate(LOOK_ALIKES))


class AsciiFilter(LineFilter):
    """Writes nothing but ASCII."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """Replace the text of each segment, keeping its width."""
        return [Segment(ascii_only(text), style, control) for text, style, control in segments]


def wants_ascii(environ: Mapping[str, str], encoding: str | None = None) -> bool:
    """Whether this terminal's locale cannot show more than ASCII.

    The variables are asked first: Python turns a C locale into UTF-8 for itself (PEP 538 and 540),
    which says nothing about the terminal. `encoding` is what counts when none of them is set.
    """
    if environ.get("PFVIZ_ASCII", "") not in ("", "0"):
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
