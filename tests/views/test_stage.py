"""The stage as painted text: exact sizes, what is left out first, questions, cards, the matrix."""

import pytest

from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.matrix import KERNELS
from pfviz.views.glyphs import ASCII, UNICODE
from pfviz.views.letters import lettering
from pfviz.views.rows import STYLES, Rows, plain, row_width
from pfviz.views.stage import StageMoment, paint
from pfviz.views.stage_matrix import StageMatrix
from pfviz.views.stage_question import Posed

SIZES = ((80, 24), (120, 40), (200, 60), (40, 12), (24, 6), (5, 2), (1, 1))
QUESTION = Posed("Who gets the lock next?", ("the reader", "the writer", "nobody"), right=2)
CODES = {(kind.id, kernel): "V>M" for kind in KINDS for kernel in KERNELS}
MATRIX = StageMatrix(tuple(kind.id for kind in KINDS), KERNELS, "file_read_miss", "6.7", CODES)
MOMENTS = {
    "card": StageMoment("A scene", card="Improving page-fault scalability", scenes=5),
    "question": StageMoment("A scene", asked=QUESTION),
    "matrix": StageMoment("A scene", "What the audience reads.", matrix=MATRIX),
    "words": StageMoment("A scene", "What the audience reads. " * 12, aside="scene 3"),
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", MOMENTS)
def test_every_moment_fills_any_screen_exactly(name: str, size: tuple[int, int]) -> None:
    for glyphs in (UNICODE, ASCII):
        rows = paint(MOMENTS[name], *size, glyphs)
        assert len(rows) == size[1]
        assert {row_width(row) for row in rows} == {size[0]}
        assert {style for row in rows for _, style in row} <= STYLES.keys()
        if glyphs is ASCII:
            assert plain(rows).isascii()


def lines_with(rows: Rows, style: str) -> list[str]:
    return ["".join(text for text, _ in row).strip() for row in rows
            if any(name == style for _, name in row)]  # fmt: skip


def test_a_caption_has_room_around_it_and_is_never_cut_while_there_is_any() -> None:
    long = " ".join(f"word{number}" for number in range(60))
    text = plain(paint(StageMoment("A scene", long), 80, 24))
    assert "word59" in text
    short = paint(StageMoment("A scene", "Short."), 80, 24)
    assert len(lines_with(short, "stage-edge")) == 5


def test_a_question_shows_no_answer_before_it_is_revealed() -> None:
    before = paint(StageMoment("A scene", asked=QUESTION), 80, 24)
    assert not lines_with(before, "stage-right")
    picked = Posed(QUESTION.ask, QUESTION.answers, 2, picked=1, revealed=True)
    after = paint(StageMoment("A scene", "Because.", asked=picked), 80, 24)
    assert lines_with(after, "stage-right") == ["✓ 2    the writer"]
    assert lines_with(after, "stage-wrong") == ["✗ 1    the reader"]
    assert lines_with(after, "stage-caption")[1] == "▌   Because."


def test_a_card_is_set_in_large_letters_or_spaced_where_they_do_not_fit() -> None:
    assert len(lettering("Improving page-fault scalability", 74, 20)) == 3 * 4 + 2
    assert lettering("Improving page-fault scalability", 30, 20) == []
    assert lettering("größer", 80, 20) == []
    without_halves = "".join(lettering("Locks", 80, 20, "█"))
    assert set(without_halves) == {" ", "█"}
    assert "g r ö ß e r" in plain(paint(StageMoment("", card="größer"), 80, 24))


def test_the_matrix_keeps_its_cell_in_sight_and_explains_it() -> None:
    text = plain(paint(MOMENTS["matrix"], 80, 24))
    assert "read that needs the disk, Linux 6.7" in text
    assert "started again under mmap_lock" in text
    assert " 6.7 " in text.splitlines()[3]


def test_the_bar_has_a_stretch_for_each_scene() -> None:
    bar = plain(paint(StageMoment("A", scene=2, scenes=4, stop=1, stops=2), 80, 24)).splitlines()[1]
    done, here, *ahead = bar.split()
    assert set(done) == {"━"}
    assert set(here) == {"━", "─"}
    assert len(ahead) == 2


def test_a_blank_screen_is_blank() -> None:
    assert plain(paint(StageMoment("A", "B", blank=True), 80, 24)).strip() == ""
