"""Frames and columns put together: exact sizes, words in the frame, no foreign escapes."""

from hypothesis import given
from hypothesis import strategies as st

from pfviz.views.composition import beside, framed, screen
from pfviz.views.glyphs import ASCII
from pfviz.views.rows import Rows, plain, row_width

CONTENT: Rows = ((("one", "text"), (" two", "strong")), (("宽wide", "text"),))


@given(st.integers(0, 40), st.integers(0, 12), st.text(max_size=30), st.text(max_size=30))
def test_a_frame_is_exactly_as_large_as_asked(width: int, height: int, title: str, foot: str
) -> None:  # fmt: skip
    rows = framed(CONTENT, width, height, title, foot)
    assert len(rows) == height
    assert all(row_width(row) == width for row in rows)
    assert all(text.isprintable() for row in rows for text, _ in row)


def test_title_and_foot_stand_in_the_frame_and_focus_changes_its_colour() -> None:
    rows = framed(CONTENT, 24, 4, "1 Threads", "5 threads", focused=True)
    assert plain(rows).splitlines() == [
        "╭─ 1 Threads ──────────╮",
        "│one two               │",
        "│宽wide                │",
        "╰────────── 5 threads ─╯",
    ]
    assert {style for _, style in rows[0]} == {"frame-focus", "title-focus"}


def test_in_ascii_nothing_but_ascii_is_left() -> None:
    rows = framed(CONTENT, 24, 4, "Größe · 5", "…", glyphs=ASCII)
    assert plain(rows).isascii()
    assert plain(rows).startswith("+- Gr??e - 5 ")


def test_columns_stand_beside_one_another_and_neighbours_of_one_style_become_one() -> None:
    both = beside([framed((), 4, 3), framed((), 5, 3)])
    assert plain(both).splitlines() == ["╭──╮╭───╮", "│  ││   │", "╰──╯╰───╯"]
    assert screen(both, 9, 3)[0] == (("╭──╮╭───╮", "frame"),)
