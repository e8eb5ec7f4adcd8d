"""Look-alikes, for terminals that lack most marks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color

import pfviz
from pfviz.tui.plain_output import AsciiFilter, ConsoleFilter, console_only
from pfviz.views.glyphs import UNICODE
from pfviz.views.rows import cell_width, to_ascii
from pfviz.views.states import STATES


def test_frames_blocks_and_arrows_have_look_alikes() -> None:
    assert to_ascii("╭─ 1 ─╮│█▓│●▶‖") == "+- 1 -+|##|*>="
    assert to_ascii("µs · …") == "us - ~"


def test_nothing_changes_its_width() -> None:
    for text in ("日本 VMA", "╭─╮", "é", "plain"):
        assert len(to_ascii(text)) == cell_width(text)


def test_the_filter_leaves_styles_alone() -> None:
    segment = Segment("━", None)
    assert AsciiFilter().apply([segment], Color(0, 0, 0)) == [Segment("-", None)]


def test_a_console_gets_only_what_its_font_has() -> None:
    assert console_only("╭─ 1 ─╮│█▓│●▶‖…") == "┌─ 1 ─┐│██│•▶║~"
    assert console_only("日") == "??"
    segment = Segment("━", None)
    assert ConsoleFilter().apply([segment], Color(0, 0, 0)) == [Segment("═", None)]


@pytest.mark.parametrize("look_alike", [console_only, to_ascii])
def test_all_that_the_app_draws_has_a_look_alike(look_alike: Callable[[str], str]) -> None:
    """Every mark in the sources of the views and the screen, but those of other languages."""
    marks = {char for name in UNICODE.__slots__ for char in str(getattr(UNICODE, name))}
    marks |= {state.glyph for state in STATES}
    for folder in ("views", "tui"):
        for file in Path(pfviz.__file__).parent.joinpath(folder).rglob("*.py"):
            if file.name not in ("glyphs.py", "states.py"):  # They list other sets too.
                marks |= set(file.read_text("utf-8"))
    marks = {char for char in marks if not char.isascii()}
    assert {char for char in marks - set("日本é") if look_alike(char) == "?"} == set()
