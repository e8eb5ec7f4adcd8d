"""The bars around the panes: exact widths, clickable zones, no escape from a foreign name."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pfviz.tui import chrome, keys
from pfviz.tui.player import Player
from pfviz.views.bars import SEEK
from pfviz.views.layout import PANES
from pfviz.views.rows import row_width
from pfviz.views.speeds import LADDER_NS

from .runs import capture, player

MADE = player()


def text(row: tuple[tuple[str, str], ...]) -> str:
    return "".join(cell for cell, _ in row)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.sampled_from([1, 2]))
def test_every_bar_is_as_wide_as_the_screen(width: int, lines: int) -> None:
    bars = [
        chrome.header(MADE, width, lines),
        chrome.hints(keys.keys_of(keys.LAB), width),
        chrome.tabs([(pane, pane) for pane in PANES], PANES, "threads", width),
    ]
    for bar in bars:
        assert all(row_width(row) == width for row in bar.rows)


def test_the_mode_switch_is_where_its_zone_is() -> None:
    bar = chrome.header(MADE, 120, 2)
    at = text(bar.rows[0]).index("lockless")
    assert bar.action_at(at, 0) == "set_mode('lockless')"
    assert bar.action_at(text(bar.rows[0]).index("per-VMA"), 0) == "mode"
    assert bar.action_at(119, 0) == ""


def test_the_seek_bar_knows_its_column() -> None:
    bar = chrome.header(MADE, 120, 2)
    zone = next(zone for zone in bar.zones if zone.action == SEEK)
    assert bar.action_at(zone.first, 1) == f"seek(0, {zone.last - zone.first})"
    assert bar.action_at(zone.last - 1, 1).startswith(f"seek({zone.last - zone.first - 1},")


def test_the_cursor_moves_along_the_seek_bar() -> None:
    made = player()
    before = text(chrome.header(made, 120, 2).rows[1]).index("●")
    made.go_end()
    after = text(chrome.header(made, 120, 2).rows[1]).index("●")
    assert after > before + 35


def test_the_past_is_named() -> None:
    made = player()
    made.go_end()
    assert "PAST" not in text(chrome.header(made, 120, 2).rows[1])
    made.go_start()
    assert "PAST" in text(chrome.header(made, 120, 2).rows[1])


def test_a_foreign_title_cannot_act_on_the_terminal() -> None:
    made = player()
    made.run.title = "\x1b[2Jgone\x07"
    for lines in (1, 2):
        for row in chrome.header(made, 100, lines).rows:
            assert text(row).isprintable()


def test_the_warning_of_lost_events_outlives_title_and_tracer() -> None:
    made = Player(capture())
    made.run.log.meta["lossy"] = "yes"
    made.run.title = "a-folder-with-a-very-long-name/trace.txt.gz"
    for width, words in ((120, "some events are missing"), (80, "some events are missing"),
                         (40, "lossy"), (24, "lossy")):  # fmt: skip
        for lines in (1, 2) if width < 60 else (2,):
            said = text(chrome.header(made, width, lines).rows[0])
            assert words in said, (width, said)
    assert "a-folder" in text(chrome.header(made, 40, 2).rows[0])
    made.run.log.meta["lossy"] = "no"
    assert "missing" not in text(chrome.header(made, 80, 2).rows[0])


def test_the_seek_bar_says_that_it_counts_events_and_its_marks_keep_their_places() -> None:
    made = player()
    bars = set()
    while not made.run.finished:
        bars.add(made.bar_events)
        made.run.advance(0.0005)
    assert all(str(bar).rstrip("0") in ("1", "2", "5") for bar in bars)
    assert f" {made.bar_events:,} events" in text(chrome.header(made, 120, 2).rows[1])
    assert made.bar_events == len(made.run.timeline) - made.run.origin


def test_the_header_does_not_jump_when_the_speed_changes() -> None:
    made = player()
    places = set()
    for rung in range(len(LADDER_NS)):
        made.rung = rung
        places.add(text(chrome.header(made, 120, 2).rows[1]).index("step"))
    assert len(places) == 1


def test_a_tiny_terminal_says_that_it_is_too_small_as_far_as_that_fits() -> None:
    assert "".join(text(row) for row in chrome.too_small(1, 24)) == "toosmall"
    assert text(chrome.too_small(9, 1)[0]) == "too small"
    assert text(chrome.too_small(3, 2)[0]) == "too"
    assert "24 x 6" in " ".join(text(row) for row in chrome.too_small(20, 4))
    assert chrome.too_small(1, 1)[0][0][0] == "t"


def test_quit_is_hinted_at_on_an_ordinary_screen() -> None:
    for width in (80, 120, 200):
        assert " q  quit" in text(chrome.hints(keys.keys_of(keys.LAB), width).rows[0])


def test_help_is_hinted_at_however_narrow() -> None:
    assert "help" in text(chrome.hints(keys.keys_of(keys.LAB), 24).rows[0])
