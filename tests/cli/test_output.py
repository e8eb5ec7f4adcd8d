"""Text beside text, on terminals of any width."""

from __future__ import annotations

import pytest

from pfviz.cli import output
from pfviz.cli.output import beside
from pfviz.cli.scenario import gallery_lines
from pfviz.scenario.load import listing
from pfviz.scenario.talk_load import talks
from pfviz.views.rows import cell_width

TITLE = "A monitor reads smaps, and the process stops"


def test_text_that_fits_is_one_line() -> None:
    assert beside("name  ", TITLE, 80) == [f"name  {TITLE}"]
    assert beside("name  ", TITLE, None) == [f"name  {TITLE}"]


def test_text_that_does_not_fit_goes_on_under_itself() -> None:
    assert beside("name  ", TITLE, 30) == [
        "name  A monitor reads smaps,",
        "      and the process stops",
    ]


def test_where_there_is_hardly_room_beside_it_goes_below() -> None:
    assert beside("smaps-monitor  ", TITLE, 26) == [
        "smaps-monitor",
        "  A monitor reads smaps,",
        "  and the process stops",
    ]


@pytest.mark.parametrize("width", [1, 8, 17, 24, 33, 40, 60, 80, 200])
def test_no_title_is_wider_than_the_terminal(width: int) -> None:
    names = {one.name for one in (*listing(), *talks())}
    titles = [line for line in gallery_lines(width) if line.strip() not in names]
    assert max(map(cell_width, titles)) <= max(width, len("pfviz"))


def test_the_words_of_a_title_are_all_there_on_a_narrow_terminal() -> None:
    words = " ".join(gallery_lines(34)).split()
    assert words == " ".join(gallery_lines()).split()


def test_what_is_no_terminal_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert output.columns() is None
