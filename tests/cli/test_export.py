"""`pfviz export`: what it lists, refuses and leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import main
from pfviz.report import formats, jsonl


def export(*words: str) -> Result:
    return CliRunner().invoke(main, ["export", *words])


def test_alone_it_lists_every_format_and_what_opens_it() -> None:
    listed = export()
    assert listed.exit_code == 0
    for one in formats.FORMATS:
        assert one.name in listed.stdout
        assert one.opens.split(",")[0] in " ".join(listed.stdout.split())


def test_a_misspelt_format_is_answered_with_the_nearest() -> None:
    wrong = export("cvs", "hello-fault")
    assert wrong.exit_code == 2
    assert 'did you mean "csv"' in wrong.stderr


def test_run_options_reach_the_run() -> None:
    rows = list(csv.DictReader(export("csv", "hello-fault", "--kernel", "6.0").stdout.splitlines()))
    assert {row["regime"] for row in rows if row["event"] == "fault_end"} == {"mmap_lock"}


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text("before")

    def interrupted(_recording: object) -> object:
        yield 0, b"half"
        raise KeyboardInterrupt

    monkeypatch.setattr(jsonl, "pieces", interrupted)
    assert export("jsonl", "hello-fault", "-o", str(path)).exit_code == 130
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_file_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    wrong = export("csv", "hello-fault", "-o", str(tmp_path / "no" / "where.csv"))
    assert wrong.exit_code == 2
    assert wrong.stderr.count("\n") == 1
    assert "cannot be written: No such file" in wrong.stderr


@pytest.mark.parametrize("name", ["jsonl", "ftrace"])
def test_what_was_exported_can_be_played(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    assert export(name, "hello-fault", "-o", path).exit_code == 0
    told = CliRunner().invoke(main, ["play", path, "--plain"])
    asked = CliRunner().invoke(main, ["run", "hello-fault", "--plain"])
    assert told.exit_code == 0
    assert told.stdout == asked.stdout
