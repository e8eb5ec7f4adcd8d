"""What goes to the terminal: a few lines where a few lines changed."""

import pytest

from pfviz.tui.pane import changed_cells
from pfviz.tui.written import Written, written_while_playing


@pytest.fixture(scope="module")
def written() -> Written:
    return written_while_playing((120, 40), pictures=12)


def test_a_picture_is_a_part_of_the_screen_and_a_clock_a_part_of_a_line(written: Written) -> None:
    whole = sum(written.whole)
    assert 0 < sum(written.ours) < 0.7 * whole
    assert 0 < sum(written.clock) < 0.02 * whole


def test_escape_sequences_are_said_once(written: Written) -> None:
    assert sum(written.whole) < 0.75 * sum(written.unthrifty)


def test_only_what_differs_is_painted_again() -> None:
    old = (("T1 ", "task"), ("running", "text"), ("   ", "text"))
    assert changed_cells(old, old) == 0
    assert changed_cells(old, (("T2 ", "task"), *old[1:])) == 3
    assert changed_cells(old, (old[0], ("waiting", "text"), old[2])) == 10
    assert changed_cells(old, (*old[:2], ("   ", "dim"))) == 13
    assert changed_cells((("日本", "text"), ("x", "text")), (("日木", "text"), ("x", "text"))) == 4
