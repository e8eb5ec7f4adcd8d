"""`pfviz export`: what it lists, refuses and leaves behind."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
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
    told = CliRunner().invoke(main, ["play", path, "--steps"])
    asked = CliRunner().invoke(main, ["run", "hello-fault", "--steps"])
    assert told.exit_code == 0
    assert told.stdout == asked.stdout


@pytest.mark.parametrize("name", ["jsonl", "ftrace"])
def test_what_was_exported_is_summed_up_as_the_run_was(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / "run")
    assert export(name, "stack-growth", "-o", path).exit_code == 0
    told = CliRunner().invoke(main, ["play", path, "--json"])
    asked = CliRunner().invoke(main, ["run", "stack-growth", "--json"])
    figures, whole = json.loads(told.stdout), json.loads(asked.stdout)
    assert figures["digest"] == whole["digest"]
    assert {key: whole[key] for key in figures} | {"seed": "1"} == figures
    text = CliRunner().invoke(main, ["play", path]).stdout
    assert f"digest {whole['digest'][:12]}" in text


def test_the_kernels_lines_alone_are_a_capture(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert export("ftrace", "stack-growth", "-o", str(path)).exit_code == 0
    lines = path.read_text().split("\n")
    path.write_text("\n".join(line for line in lines if "pfviz_" not in line))
    told = CliRunner().invoke(main, ["play", str(path)])
    assert told.exit_code == 0
    assert told.stdout.startswith("capture ")


def test_a_capture_as_json_lines_is_summed_up_too(tmp_path: Path) -> None:
    path = str(tmp_path / "capture.jsonl")
    assert export("jsonl", "race-t3", "-o", path).exit_code == 0
    told = CliRunner().invoke(main, ["play", path])
    assert "1,345 faults" in told.stdout


def test_statistics_of_kernel_lines_point_to_play(tmp_path: Path) -> None:
    path = str(tmp_path / "run.jsonl")
    assert export("jsonl", "hello-fault", "-o", path).exit_code == 0
    wrong = CliRunner().invoke(main, ["trace", "stats", path])
    assert wrong.exit_code == 3
    assert "`pfviz play` reads that" in wrong.stderr


def test_a_missing_package_is_said_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats.importlib.util, "find_spec", lambda _name: None)
    wrong = export("perfetto", "hello-fault")
    assert wrong.exit_code == 2
    assert "pip install 'pfviz[perfetto]'" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    assert "needs pfviz[parquet]" in export().stdout


@pytest.mark.terminal
def test_a_terminal_is_spared_binary_data() -> None:
    asked = pexpect.spawn(
        sys.executable, ["-m", "pfviz", "export", "perfetto", "hello-fault"], encoding="utf-8"
    )
    asked.expect(pexpect.EOF, timeout=30)
    asked.close()
    assert asked.exitstatus == 2
    assert "name a file with -o FILE" in (asked.before or "")


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_holds_every_cell_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    assert export("csv", "stack-growth", "--table", "faults", "-o", str(path)).exit_code == 0
    (tmp_path / "again").mkdir()
    home = f"-env:UserInstallation=file://{tmp_path}/office"
    subprocess.run(
        ["soffice", home, "--headless", "--convert-to", "csv",
         "--outdir", tmp_path / "again", path], check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    assert list(csv.reader((tmp_path / "again" / "run.csv").open())) == list(
        csv.reader(path.open())
    )


def test_of_a_compared_run_it_is_said_which_is_exported() -> None:
    words = ("export", "hgrm", "pf1:two-mallocs:sadra44c0c1g0082a100")
    said = CliRunner().invoke(main, words).stderr
    assert said == (
        "pfviz: the token compares mmap_lock and per-vma and lockless; "
        "this is mmap_lock, and --mode takes another\n"
    )
    assert not CliRunner().invoke(main, [*words, "--mode", "per-vma"]).stderr
