"""Rows: widths in cells, nothing that acts on a terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pfviz.sim.event import FIELDS
from pfviz.views import fold_locks, fold_memory, fold_tasks, fold_tree
from pfviz.views.fold import HANDLERS
from pfviz.views.rows import (
    cell_width,
    clean,
    clip,
    fit,
    fit_rows,
    pad,
    pad_left,
    plain,
    row_width,
    to_ascii,
    wrap,
)

anything = st.text(max_size=30)


@given(anything, st.integers(0, 40))
def test_padded_text_takes_exactly_its_cells(text: str, width: int) -> None:
    for padded in (pad(text, width), pad_left(text, width)):
        assert cell_width(padded) == width
        assert padded.isprintable()


@given(st.lists(st.tuples(anything, st.just("text")), max_size=5), st.integers(0, 60))
def test_a_fitted_row_takes_exactly_its_cells(cells: list[tuple[str, str]], width: int) -> None:
    for ascii_only in (False, True):
        row = fit(cells, width, ascii_only)
        assert row_width(row) == width
        text = "".join(text for text, _ in row)
        assert text.isprintable()
        assert not ascii_only or text.isascii()


@given(anything, st.integers(1, 30), st.integers(1, 4))
def test_wrapped_text_stays_within_its_box(text: str, width: int, lines_max: int) -> None:
    lines = wrap(text, width, lines_max)
    assert len(lines) <= lines_max
    assert all(cell_width(line) <= width for line in lines)


@given(anything)
def test_ascii_is_as_wide_as_what_it_stands_for(text: str) -> None:
    assert to_ascii(clean(text)).isascii()
    assert cell_width(to_ascii(clean(text))) == cell_width(clean(text))


def test_a_wide_character_is_never_cut_in_half() -> None:
    assert clip("界界界", 5) == "界界…"
    assert clip("界界界", 4) == "界…"
    assert pad("界", 1) == "…"
    assert plain([fit([("a界", "text")], 2)]) == "a…"
    assert row_width(fit([("a界", "text")], 2)) == 2


def test_escape_sequences_lose_their_escape() -> None:
    assert clean("\x1b[31mred\x07") == "\ufffd[31mred\ufffd"
    assert clean("left\u202eright") == "left\ufffdright"


def test_rows_that_do_not_fit_are_left_out_and_missing_ones_are_blank() -> None:
    rows = fit_rows([(("abc", "text"),)] * 3, 2, 2)
    assert plain(rows) == "a…\na…"
    assert [row_width(row) for row in fit_rows([], 3, 2)] == [3, 3]
    assert fit_rows([], -1, -1) == ()


def test_every_kind_of_event_is_folded_or_left_out_on_purpose() -> None:
    folded = set(fold_tasks.FOLDS) | set(fold_locks.FOLDS) | set(fold_memory.FOLDS)
    folded |= set(fold_tree.FOLDS)
    assert folded == set(FIELDS), "a new kind of event needs a fold, or a line here"
    assert len(HANDLERS) > max(FIELDS)
