"""Talks are held to what they promise: the two that ship, and some that promise too much."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pfviz.report import talk_text
from pfviz.report.talk_check import TalkVerdict, check_scene, check_talk
from pfviz.scenario import talk_load
from pfviz.scenario.fault_kinds import KINDS
from pfviz.scenario.matrix import cell
from pfviz.scenario.talk import Talk

FOLDER = Path(__file__).parents[2] / "scenarios" / "talks"
PATHS = sorted(FOLDER.glob("*.toml"))
LONG = FOLDER / "improving-page-fault-scalability.toml"


@pytest.fixture(scope="module")
def verdicts() -> dict[str, TalkVerdict]:
    return {path.stem: check_talk(talk_load.open_talk(str(path))) for path in PATHS}


def captions(talk: Talk) -> list[str]:
    return [one.say for scene in talk.scenes for one in (scene, *scene.stops)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_stop_of_the_talks_that_ship_comes_in_the_order_written(
    path: Path, verdicts: dict[str, TalkVerdict]
) -> None:
    verdict = verdicts[path.stem]
    assert [problem for scene in verdict.scenes for problem in scene.problems] == []
    assert verdict.holds


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_talk_takes_about_as_long_as_it_says(
    path: Path, verdicts: dict[str, TalkVerdict]
) -> None:
    verdict = verdicts[path.stem]
    planned_s = verdict.talk.minutes * 60
    assert 0.8 * planned_s < verdict.seconds <= planned_s
    assert sum(scene.minutes for scene in verdict.talk.scenes) == pytest.approx(planned_s / 60)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_captions_can_be_read_from_the_last_row(
    path: Path, verdicts: dict[str, TalkVerdict]
) -> None:
    assert all(captions(talk_load.open_talk(str(path))))
    assert [told for scene in verdicts[path.stem].scenes for told in scene.advice] == []


def test_a_caption_that_is_too_long_is_said_but_is_no_failure() -> None:
    text = PATHS[-1].read_text(encoding="utf-8")
    caption = "The same work: right it takes half the time."
    assert caption in text
    (first, *_) = talk_load.parse(text.replace(caption, "x" * 141), "t.toml").scenes[1:2]
    verdict = check_scene(first)
    assert (verdict.problems, len(verdict.advice)) == ((), 1)
    assert verdict.advice[0].startswith("141 characters are more than the 140")
    told = "\n".join(TalkVerdict(talk_load.open_talk(str(PATHS[-1])), (verdict,)).lines())
    assert told.startswith("ok ")
    assert "141 characters" in told


def test_the_long_talk_follows_the_article_from_its_first_topic_to_its_last(
    verdicts: dict[str, TalkVerdict],
) -> None:
    scenes = verdicts[LONG.stem].scenes
    shown = [topic for one in scenes for topic in one.scene.topics if one.stops]
    in_order = [f"A{number}" for number in range(1, 19)]
    assert list(dict.fromkeys(shown)) == in_order
    assert shown == sorted(shown, key=in_order.index), "no topic comes back"


def test_the_audience_is_asked_a_few_times() -> None:
    asked = talk_load.open_talk(str(LONG)).questions()
    assert 2 <= len(asked) <= 4
    assert all(one.why for one in asked)


def test_what_the_captions_count_in_the_matrix_is_what_it_shows() -> None:
    served = {
        kernel: sum(cell(kind.id, kernel).code in ("V", "T") for kind in KINDS)
        for kernel in ("6.1", "6.4", "6.6", "6.7", "6.10", "7.2")
    }
    assert served == {"6.1": 0, "6.4": 8, "6.6": 16, "6.7": 22, "6.10": 31, "7.2": 31}
    assert len(KINDS) == 46
    text = " ".join(captions(talk_load.open_talk(str(LONG)))).lower()
    for word in ("forty-six rows", "eight are served", "thirty-one"):
        assert word in text


def made(stops: str, scene: str = "") -> list[str]:
    """The problems of a talk with one scene, the storm of four threads."""
    text = f'schema_version = 1\ntitle = "t"\n[[scene]]\ntitle = "s"\n{scene}{stops}'
    talk = talk_load.parse(text, "/nowhere/t.toml")
    return list(check_talk(talk).scenes[0].problems)


STORM = 'scenario = "fault-storm"\nthreads = 4\n'


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ('[[scene.stop]]\nwhen = "io_begin"\n',
         ["stop 1 at io_begin never comes (io_begin happens 0 times)"]),
        ('[[scene.stop]]\nwhen = "page_fault_user #999"\n',
         ["stop 1 at page_fault_user #999 never comes (it happens 192 times)"]),
        ('[[scene.stop]]\nat = "1s"\n', ["stop 1 at 1.00 s never comes: the run is over"]),
        ('[[scene.stop]]\nwhen = "page_fault_user #9"\n[[scene.stop]]\nwhen = "page_fault_user"\n',
         ["stop 2 at page_fault_user comes before stop 1"]),
        ('[[scene.stop]]\nat = "9us"\n[[scene.stop]]\nat = "9us"\n',
         ["stop 2 at 9.00 µs comes at the same moment as stop 1"]),
        ('thread = "app11"\n[[scene.stop]]\nat = "9us"\n',
         ['thread "app11" is not in this run; did you mean "app1"?']),
        ('[[scene.question]]\nask = "why?"\nanswers = ["a", "b"]\nright = 1\nwhy = "so"\n'
         'when = "io_end"\n', ["the question at io_end never comes: why?"]),
        ('from = "io_begin"\n[[scene.stop]]\nat = "9us"\n',
         ["the moment at which the scene begins never comes"]),
        ('from = "20us"\n[[scene.stop]]\nat = "9us"\n',
         ["stop 1 at 9.00 µs comes before the scene's beginning"]),
    ],
)  # fmt: skip
def test_what_will_not_come_is_told_before_the_talk(stops: str, said: list[str]) -> None:
    problems = made(stops, STORM)
    assert len(problems) == len(said)
    for problem, wanted in zip(problems, said, strict=True):
        assert problem.startswith(wanted)


def test_a_talk_is_printed_with_its_notes_and_the_right_answers() -> None:
    text = "\n".join(talk_text.lines(talk_load.open_talk(str(LONG))))
    assert "Improving page-fault scalability (20 minutes)" in text
    assert re.search(r"^  > And the monitor loses its CPU", text, re.M)
    assert re.search(r"^    2\* every reader writes the lock's word", text, re.M)
    assert max(len(line) for line in text.splitlines()) <= 90
