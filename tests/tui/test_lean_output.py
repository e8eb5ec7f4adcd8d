"""The same picture in fewer bytes: a terminal shows exactly what it would have shown."""

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from pfviz.tui.lean_output import lean, without_newer

COLORS = ["#ff0000", "#00ff00", "bright_red", "blue", "color(99)", None]


def shown(data: str) -> list[tuple[object, ...]]:
    """What a terminal of 40 x 3 shows: letters, colours and weights of every cell."""
    screen = pyte.Screen(40, 3)
    pyte.Stream(screen).feed(data)
    found: list[tuple[object, ...]] = []
    for y in range(3):
        for x in range(40):
            cell = screen.buffer[y][x]
            flags = (cell.reverse, cell.underscore, cell.strikethrough)
            # The colour of a blank's letter cannot be seen, nor its weight.
            seen = (cell.fg, cell.bold, cell.italics) if cell.data.strip() or any(flags) else ()
            found.append((cell.data, cell.bg, flags, seen))
    return found


styles = st.builds(
    Style, color=st.sampled_from(COLORS), bgcolor=st.sampled_from(COLORS), bold=st.booleans(),
    reverse=st.booleans(), strike=st.booleans(), underline=st.booleans(), italic=st.booleans(),
)  # fmt: skip
pieces = st.lists(st.tuples(st.sampled_from(["ab", "  ", "█", "x y", " "]), styles), max_size=12)


@given(pieces)
def test_a_terminal_shows_the_same(made: list[tuple[str, Style]]) -> None:
    console = Console(color_system="truecolor", force_terminal=True, _environ={})
    strip = Strip([Segment(text, style) for text, style in made])
    data = f"\x1b[2;3H{strip.render(console)}\x1b[1;1Hend"
    assert shown(lean(data)) == shown(data)
    assert len(lean(data)) <= len(data)


def test_neighbours_share_their_ground_and_blanks_have_no_colour() -> None:
    one, other = "\x1b[38;2;1;2;3;48;2;9;9;9m", "\x1b[38;2;7;7;7;48;2;9;9;9m"
    data = f"{one}a\x1b[0m{other}  \x1b[0m{one}b\x1b[0m{other}c\x1b[0m"
    assert lean(data) == f"{one}a  b\x1b[38;2;7;7;7mc\x1b[0m"


def test_where_there_are_no_colours_none_are_said() -> None:
    data = "\x1b[39;49ma\x1b[0m\x1b[1;39;49mb\x1b[0m\x1b[39;49mc\x1b[0m"
    assert lean(data) == "a\x1b[1mb\x1b[0mc"


@pytest.mark.parametrize(
    "data", ["", "plain", "\x1b[?1049h", "\x1b[1mx\x1b[53my\x1b[0m\x1b[1mz", "\x1b[38;9mx\x1b[0my"]
)
def test_what_it_does_not_know_passes_as_it_is(data: str) -> None:
    assert lean(data) == data


def test_an_old_terminal_gets_nothing_it_might_show_as_letters() -> None:
    data = "\x1b[?1049h\x1b[>25u\x1b[?2026$p\x1b]22;default\x07\x1b[2;3Hx\x1b[<u"
    assert without_newer(data) == "\x1b[?1049h\x1b[2;3Hx"
