"""The speaker's notes as they are painted: what to say and how late it is, at every size."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pfviz.scenario.talk import Asked
from pfviz.views.glyphs import ASCII
from pfviz.views.notes import NotesMoment, paint, told_time
from pfviz.views.rows import plain, row_width

ASKED = Asked("Why?", ("because", "for no reason"), 1, "That is how it is.")
MOMENT = NotesMoment(
    title="A talk",
    scene=3,
    scenes=5,
    scene_title="The third scene",
    place="2 of 4",
    share=0.5,
    caption="What they read",
    note="What to say",
    following="What they will read",
    coming=ASKED,
    elapsed_s=245,
    began=True,
    minutes=20,
    behind_s=30,
    clock="14:05:12",
    said="following the stage",
    keys="q quit",
)


def painted(moment: NotesMoment, width: int = 80, height: int = 24) -> str:
    rows = paint(moment, width, height)
    assert len(rows) == height
    assert all(row_width(row) == width for row in rows)
    return plain(rows)


def test_a_speaker_sees_words_time_and_what_comes_next() -> None:
    text = painted(MOMENT)
    first = text.splitlines()[0]
    assert first.split() == ["4:05", "of", "20:00", "0:30", "behind", "A", "talk", "14:05:12"]
    for words in ("3 of 5", "The third scene", "2 of 4", "What they read", "What to say",
                  "question soon Why?", "What they will read", "following the stage"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("behind_s", "said"),
    [(0, "on time"), (9, "on time"), (75, "1:15 behind"), (-61, "1:01 ahead")],
)
def test_being_late_is_said_beyond_a_few_seconds(behind_s: float, said: str) -> None:
    assert told_time(replace(MOMENT, behind_s=behind_s)) == said
    assert told_time(replace(MOMENT, behind_s=behind_s, began=False)) == "not begun"


def test_the_right_answer_is_marked_for_the_speaker_alone() -> None:
    text = painted(replace(MOMENT, asked=ASKED, coming=None))
    assert "1 right: because" in text
    assert "2 for no reason" in text
    assert "That is how it is." in text


def test_what_to_say_and_what_comes_next_stay_on_a_small_screen() -> None:
    long = replace(MOMENT, note="word " * 30, asked=ASKED)
    text = painted(long, 60, 12)
    assert "What they read" in text
    assert "What they will read" in text
    for width, height in ((40, 10), (20, 6), (10, 3), (1, 1), (200, 60)):
        painted(long, width, height)


def test_a_large_screen_shows_what_comes_after_the_next_caption() -> None:
    moment = replace(MOMENT, later=(("", "after that"), ("scene 4", "another scene")))
    assert re.search(r"then +after that\n+ +scene 4 +another scene", painted(moment, 80, 30))
    assert "after that" not in painted(moment, 80, 8)


def test_ascii_terminals_get_ascii() -> None:
    assert plain(paint(MOMENT, 80, 24, ASCII)).isascii()
