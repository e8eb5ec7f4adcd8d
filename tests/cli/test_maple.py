"""`pfviz maple replay`: verdicts on stdout, damage on stderr, and exit codes that differ."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pfviz.cli import cli
from tests.maple.recording import header, recorded, write_lines

DATA = Path(__file__).parent.parent / "data" / "maple"
LEAF = ["L", 0, 2**64 - 1, [4, 9, 2**64 - 1], [None, 1, None]]


def replay(*words: str, text: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ("maple", "replay", *words), input=text, catch_exceptions=False)


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    lines = [header(5)]
    for name in ("here", "b", "c", "d", "e"):
        vector, op, end = recorded(["store", 5, 8, 1], name=name)
        lines += [vector, op | {"d": "0" * 16, "tree": [1, LEAF]}, end]
    return str(write_lines(tmp_path / "wrong.jsonl", *lines))


@pytest.fixture
def cut(tmp_path: Path) -> str:
    path = tmp_path / "cut.jsonl.gz"
    whole = (DATA / "plain.jsonl.gz").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return str(path)


def test_vectors_that_all_pass_are_counted_over_all_files() -> None:
    done = replay(str(DATA / "plain.jsonl.gz"), str(DATA / "bulk.jsonl.gz"))
    assert done.exit_code == 0
    *files, total = done.stdout.splitlines()
    counts = [int(line.split(": ")[1].split()[0]) for line in files]
    assert [line.split(": ")[0] for line in files] == [
        str(DATA / "plain.jsonl.gz"), str(DATA / "bulk.jsonl.gz")
    ]  # fmt: skip
    assert len(counts) == 2
    assert total == f"{sum(counts)} passed, 0 failed"
    assert not done.stderr


def test_a_failure_draws_both_trees_with_the_difference_marked(wrong: str) -> None:
    done = replay(wrong)
    assert done.exit_code == 1
    assert "here fails at operation 0" in done.stdout
    theirs, ours = done.stdout.split("recorded:\n")[1].split("ours:\n")
    for drawn, range_ in ((theirs, "5–9  1"), (ours, "5–8  1")):
        assert "◀ pivot 1 9 recorded, 8 here" in drawn
        assert range_ in drawn
    assert done.stdout.endswith("0 passed, 5 failed\n")


def test_all_draws_every_failure(wrong: str) -> None:
    done = replay(wrong)
    assert done.stdout.count("recorded:\n") == 3
    assert "not drawn: d, e" in done.stdout
    done = replay("--all", wrong)
    assert done.stdout.count("recorded:\n") == 5
    assert "not drawn" not in done.stdout


def test_a_number_of_thousands_of_digits_does_not_end_the_run(wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "digits.jsonl"
    path.write_text('{"k": ' + "9" * 6000 + "}\n")
    done = replay(str(path), wrong)
    assert done.exit_code == 3
    assert done.stdout.endswith("0 passed, 5 failed\n")
    assert done.stderr == f"pfviz: {path}:1: not JSON that can be read: a number is too long\n"


def test_a_damaged_file_does_not_hide_the_verdicts_on_the_others(wrong: str, cut: str) -> None:
    done = replay(cut, wrong, "/nowhere", str(DATA / "plain.jsonl.gz"))
    assert done.exit_code == 3
    assert "here fails at operation 0" in done.stdout
    assert done.stdout.splitlines()[-1].endswith(" passed, 5 failed")
    assert done.stderr.splitlines() == [
        f"pfviz: {cut}: the gzip stream is cut off or damaged",
        "pfviz: /nowhere: there is no such file",
    ]


def test_a_file_cut_between_two_lines_is_noticed(tmp_path: Path) -> None:
    lines = gzip.decompress((DATA / "plain.jsonl.gz").read_bytes()).splitlines(keepends=True)
    path = tmp_path / "short.jsonl"
    path.write_bytes(b"".join(lines[:20]))
    done = replay(str(path))
    assert done.exit_code == 3
    assert "announces" in done.stderr


@pytest.mark.parametrize("zipped", [True, False])
def test_standard_input_is_a_file_like_any_other(zipped: bool) -> None:
    data = (DATA / "plain.jsonl.gz").read_bytes()
    done = replay("-", text=data if zipped else gzip.decompress(data))
    assert done.exit_code == 0
    assert done.stdout.startswith("standard input: ")
    assert done.stdout.endswith(" passed, 0 failed\n")


def test_json_holds_the_counts_and_the_failures(wrong: str, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    done = replay("--json", "-o", str(out), wrong, "/nowhere")
    assert done.exit_code == 3
    assert not done.stdout
    found = json.loads(out.read_text())
    assert (found["passed"], found["failed"]) == (0, 5)
    assert found["files"][0]["file"] == wrong
    assert found["refused"] == [{"file": "/nowhere", "error": "/nowhere: there is no such file"}]
    failure = found["files"][0]["failures"][0]
    assert (failure["vector"], failure["operation"]) == ("here", 0)
    assert failure["op"] == ["store", 5, 8, 1]
    assert failure["wrong"][0].startswith("d: 0000000000000000 recorded, ")


def test_no_file_named_is_a_mistake_of_usage() -> None:
    done = replay()
    assert done.exit_code == 2
    assert "FILES" in done.stderr
