"""What is believed of a terminal from its environment."""

import pytest

from pfviz.tui.terminal import (
    FPS_DEFAULT,
    color_depth,
    frames_per_s,
    glyphs_of,
    wants_ascii,
    why_no_screen,
)
from pfviz.views.glyphs import ASCII, CONSOLE, CONSOLE_FONT, UNICODE
from pfviz.views.states import STATES


@pytest.mark.parametrize(
    ("environ", "database", "depth"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, 256, "true"),
        ({"TERM": "xterm-256color"}, 256, "256"),
        ({"TERM": "tmux-256color"}, None, "256"),
        ({"TERM": "tmux-256color", "COLORTERM": "truecolor", "TMUX": "x"}, 256, "true"),
        ({"TERM": "xterm-kitty"}, None, "true"),
        ({"TERM": "xterm-direct"}, 1 << 24, "true"),
        ({"TERM": "xterm"}, 8, "16"),
        ({"TERM": "xterm-16color"}, 16, "16"),
        ({"TERM": "rxvt-unicode"}, 88, "16"),
        ({"TERM": "st-something"}, 256, "256"),
        ({"TERM": "linux", "COLORTERM": "truecolor"}, 8, "16"),
        ({"TERM": "vt100", "COLORTERM": "truecolor"}, -1, "mono"),
        ({"TERM": "xterm-mono"}, -1, "mono"),
        ({"TERM": "wy50"}, -1, "mono"),
        ({"TERM": "unheard-of"}, None, "16"),
        ({"TERM": "screen", "STY": "1.pts", "COLORTERM": "truecolor"}, 8, "16"),
        ({"TERM": "screen.xterm-256color", "STY": "1", "COLORTERM": "truecolor"}, 256, "256"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1", "FORCE_COLOR": "3"}, 256, "mono"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, 256, "256"),
        ({"TERM": "vt100", "FORCE_COLOR": "1"}, -1, "16"),
        ({"TERM": "xterm", "FORCE_COLOR": "3"}, 8, "true"),
        ({"TERM": "xterm-256color", "TEXTUAL_COLOR_SYSTEM": "standard"}, 256, "16"),
    ],
)
def test_the_environment_says_how_many_colours(
    environ: dict[str, str], database: int | None, depth: str
) -> None:
    found = color_depth(environ, database)
    assert found.value == depth
    assert found.why


def test_a_linux_console_and_an_ascii_locale_have_their_own_marks() -> None:
    utf8 = {"LC_ALL": "C.UTF-8"}
    assert glyphs_of({**utf8, "TERM": "xterm"})[0] is UNICODE
    assert glyphs_of({**utf8, "TERM": "linux"})[0] is CONSOLE
    assert glyphs_of({"LC_ALL": "C", "TERM": "linux"})[0] is ASCII
    assert glyphs_of(utf8, ascii_only=True)[0] is ASCII


@pytest.mark.parametrize("glyphs", [UNICODE, CONSOLE, ASCII], ids=["unicode", "console", "ascii"])
def test_states_are_told_apart_by_their_marks_alone(glyphs: object) -> None:
    marks = [glyphs.of(state) for state in STATES]  # type: ignore[attr-defined]
    seen = [mark for mark in marks if mark != " "]
    assert len(set(seen)) == len(seen)
    assert all(len(mark) == 1 for mark in marks)


def test_the_console_has_every_mark_of_its_set() -> None:
    names = [name for name in CONSOLE.__slots__ if isinstance(getattr(CONSOLE, name), str)]
    marks = {char for name in names for char in getattr(CONSOLE, name)}
    marks |= {CONSOLE.of(state) for state in STATES}
    assert {char for char in marks if not char.isascii()} <= CONSOLE_FONT


def test_a_wished_frame_rate_caps_every_repaint_and_textuals_own_cap_counts() -> None:
    assert frames_per_s(None, {}) == (FPS_DEFAULT, None)
    assert frames_per_s(30, {}) == (30, 30)
    assert frames_per_s(30, {"TEXTUAL_FPS": "10"}) == (10, 10)
    assert frames_per_s(None, {"TEXTUAL_FPS": "10"}) == (10, 10)
    assert frames_per_s(None, {"TEXTUAL_FPS": "40"}) == (FPS_DEFAULT, 40)
    assert frames_per_s(None, {"TEXTUAL_FPS": "none"}) == (FPS_DEFAULT, None)


def test_the_locale_decides_about_ascii() -> None:
    assert wants_ascii({"LC_ALL": "C"})
    assert wants_ascii({"LANG": "de_DE.ISO-8859-1"})
    assert wants_ascii({"LANG": "C", "LC_CTYPE": "C.UTF-8"})
    assert not wants_ascii({"LANG": "en_US.UTF-8"})
    assert not wants_ascii({"LC_ALL": "C.utf8", "LANG": "C"})
    assert wants_ascii({}, encoding="ANSI_X3.4-1968")
    assert not wants_ascii({}, encoding="UTF-8")
    assert wants_ascii({"PFVIZ_ASCII": "1", "LANG": "en_US.UTF-8"})


def test_a_dumb_terminal_gets_a_reason() -> None:
    assert "TERM is dumb" in why_no_screen({"TERM": "dumb"}, is_terminal=True)
    assert "not a terminal" in why_no_screen({"TERM": "xterm"}, is_terminal=False)
    assert why_no_screen({"TERM": "xterm-256color"}, is_terminal=True) == ""
