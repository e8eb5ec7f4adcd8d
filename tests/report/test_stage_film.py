"""Films of the stage: captions are read, compared runs stand in step, whole talks go through."""

from __future__ import annotations

import pytest

from pfviz.report.camera import Size
from pfviz.report.film import Film
from pfviz.report.reel import SECOND_US, reading_us
from pfviz.report.shoot import STAGE, Wish, compared_film, film_of, talk_film
from pfviz.report.stage_film import THINK_US
from pfviz.scenario import talk_load
from pfviz.views.rows import plain
from tests.report.runs import recorded

SIZE = Size(100, 30)
TALK = """
schema_version = 1
title = "A talk"
minutes = 1

[[scene]]
title = "First"
card = true
say = "It begins."
scenario = "hello-fault"

[[scene.stop]]
when = "step lock_vma_under_rcu"
say = "It has found its VMA."
pause = false

[[scene.stop]]
when = "fault_end"
say = "The fault is over."

[[scene.question]]
when = "fault_end"
ask = "Which lock was it?"
answers = ["none", "that of the VMA"]
right = 2
why = "Linux 6.12 has one per VMA."

[[scene]]
title = "A word at the end"
"""


def texts(film: Film) -> list[tuple[int, str]]:
    return [(at_us, plain(rows)) for at_us, rows in film.pictures()]


@pytest.fixture(scope="module")
def talk() -> Film:
    return talk_film(talk_load.parse(TALK, "talk.toml"), Wish(size=SIZE, fps=4))


def test_every_caption_of_a_talk_is_a_marker_and_is_seen_until_it_is_read(talk: Film) -> None:
    captions = [mark.caption for mark in talk.marks]
    assert captions == [
        "First", "It begins.", "It has found its VMA.", "The fault is over.",
        "Which lock was it?", "Linux 6.12 has one per VMA.", "A word at the end",
    ]  # fmt: skip
    seen = texts(talk)
    for mark in talk.marks[1:6]:
        times = [at_us for at_us, text in seen if mark.caption in " ".join(text.split())]
        assert times[0] == mark.at_us, mark.caption
        if mark.caption != "It has found its VMA.":  # That one does not stop the film.
            after = min((us for us, _ in seen if us > times[-1]), default=talk.lasts_us)
            assert after - times[0] >= reading_us(mark.caption)


def test_a_question_stands_before_it_is_answered(talk: Film) -> None:
    asked, answered = talk.marks[4], talk.marks[5]
    assert answered.at_us - asked.at_us >= THINK_US


def test_times_only_go_on(talk: Film) -> None:
    times = [at_us for at_us, _ in texts(talk)]
    assert times == sorted(set(times))
    assert talk.lasts_us > times[-1]


def test_compared_runs_at_the_same_time_say_who_has_done_more() -> None:
    names = ("mmap_lock", "per-vma")
    runs = [recorded("fault-storm", 20_000, mode) for mode in names]
    wish = Wish(size=SIZE, is_still=True, at="20us")
    ((_, still),) = texts(compared_film(runs, names, wish))
    assert "Faults done in the same time: mmap_lock" in still
    assert "×)." in still
    wish = Wish(size=SIZE, is_still=True, at="20us", align="work")
    ((_, still),) = texts(compared_film(runs, names, wish))
    assert "× as fast as mmap_lock" in still


def test_a_run_on_the_stage_is_a_scene_of_its_own() -> None:
    run = recorded("hello-fault")
    wish = Wish(size=SIZE, fps=2, layout=STAGE, begin="cue 1", end="cue 2")
    film = film_of(run, wish)
    seen = texts(film)
    assert "Hello, fault" in seen[0][1]
    assert 3 * SECOND_US < film.lasts_us < 60 * SECOND_US
    ((_, still),) = texts(film_of(run, Wish(size=SIZE, layout=STAGE, is_still=True, at="cue 2")))
    caption = film.marks[-3].caption  # Then a question is asked and answered.
    assert caption in still
    assert any(caption in text for _, text in seen)


@pytest.mark.parametrize("align", ["work", "time"])
def test_a_talk_says_itself_how_its_compared_runs_are_lined_up(align: str) -> None:
    text = TALK.split("[[scene]]")[0] + (
        '[[scene]]\ntitle = "Two"\nscenario = "fault-storm"\nthreads = 4\n'
        f'compare = ["per-vma", "mmap_lock"]\nalign = "{align}"\n'
        '[[scene.stop]]\nat = "20us"\nsay = "Here."\n'
    )
    film = talk_film(talk_load.parse(text, "talk.toml"), Wish(size=SIZE, fps=1))
    last = texts(film)[-1][1]
    assert ("as fast as" in last) == (align == "work")
