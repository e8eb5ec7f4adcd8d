"""`pfviz export cast`, `svg` and `html` as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import main

CAPTURE = Path(__file__).parent.parent / "data" / "traces" / "guest-6.1-stack" / "trace.txt.gz"


def export(*words: str) -> Result:
    return CliRunner().invoke(main, ["export", *words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "cue 99"), "its cues: 1,"),
        (("--at", "sometime"), "not a time"),
        (("--at", "1us", "--from", "2us"), "not both"),
        (("--from", "2us", "--to", "1us"), "comes before"),
        (("--size", "80"), "is not a size such as 80x24"),
        (("--size", "9x9"), "24x6 to 400x200"),
        (("--theme", "drak"), 'did you mean "dark"'),
        (("--compare", "mmap_lock"), "name two or three"),
        (("--compare", "mmap_lock,pervma"), 'did you mean "per-vma"'),
    ],
)
def test_a_wish_that_cannot_be_met_is_answered_in_one_line(
    words: tuple[str, ...], said: str
) -> None:
    wrong = export("svg", "hello-fault", *words)
    assert wrong.exit_code == 2
    assert said in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    assert not wrong.stdout


def test_a_picture_is_of_a_moment_unless_a_stretch_is_asked_for() -> None:
    still = export("svg", "hello-fault", "--size", "80x24")
    assert still.exit_code == 0
    assert "@keyframes" not in still.stdout
    words = ("--from", "start", "--to", "cue 1", "--fps", "3", "--size", "80x24")
    assert "@keyframes" in export("svg", "hello-fault", *words).stdout


def test_theme_and_ascii_are_heeded() -> None:
    made = export("svg", "hello-fault", "--theme", "light", "--ascii", "--size", "80x24")
    assert "#fbfaf6" in made.stdout
    assert made.stdout.isascii()


def test_a_capture_can_be_filmed() -> None:
    made = export("cast", str(CAPTURE), "--to", "20%", "--fps", "1", "--size", "80x24")
    assert made.exit_code == 0
    assert json.loads(made.stdout.splitlines()[0])["title"]


def test_a_talk_is_exported_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "talk.toml"
    path.write_text(
        'schema_version = 1\ntitle = "T"\nminutes = 1\n[[scene]]\ntitle = "Words"\nsay = "Said."\n'
    )
    made = export("cast", str(path), "--fps", "2")
    assert made.exit_code == 0
    assert [json.loads(line)[2] for line in made.stdout.splitlines() if ', "m", ' in line] == [
        "Words"
    ]
    assert "is of one run" in export("csv", str(path)).stderr
    assert "as it is" in export("html", str(path), "--mode", "lockless").stderr
