"""Terminals without UTF-8, without colour, without a cursor."""

from rich.segment import Segment
from textual.color import Color

from pfviz.tui.plain_output import AsciiFilter, ascii_only, wants_ascii, why_no_screen
from pfviz.views.rows import cell_width


def test_frames_blocks_and_arrows_have_look_alikes() -> None:
    assert ascii_only("╭─ 1 ─╮│█▓│●▶‖") == "+- 1 -+|##|*>="
    assert ascii_only("µs · …") == "us - ~"


def test_nothing_changes_its_width() -> None:
    for text in ("日本 VMA", "╭─╮", "é", "plain"):
        assert len(ascii_only(text)) == cell_width(text)


def test_the_filter_leaves_styles_alone() -> None:
    segment = Segment("━", None)
    assert AsciiFilter().apply([segment], Color(0, 0, 0)) == [Segment("-", None)]


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
