"""Recorded operations give the recorded trees, and a file that is not one is refused in a line."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm.maple.replay import replay_file
from pfviz.mm.maple.replay_report import render_reports
from pfviz.mm.maple.vector_line import VectorError

DATA = Path(__file__).parent.parent / "data" / "maple"
HEADER = {"k": "file", "format": "maple-oracle", "version": 1}
VECTOR = {"k": "vec", "id": "here", "alloc": True, "rcu": True}


def write_lines(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("name", ["teach", "random", "plain", "bulk", "real", "large"])
def test_every_recorded_vector_passes(name: str) -> None:
    report = replay_file(DATA / f"{name}.jsonl.gz")
    text = render_reports([report])
    assert report.passed > 0, "nothing was compared"
    assert report.failed == 0, text
    assert text.endswith(f"{report.passed} passed, 0 failed")


def test_a_wrong_recording_fails_with_both_trees_drawn(tmp_path: Path) -> None:
    leaf = ["L", 0, 2**64 - 1, [4, 9, 2**64 - 1], [None, 1, None]]
    op = {"k": "op", "i": 0, "op": ["store", 5, 8, 1], "r": 0, "wt": "store_root", "d": "0" * 16}
    path = write_lines(tmp_path / "one.jsonl", HEADER, VECTOR, op | {"tree": [1, leaf]})
    text = render_reports([replay_file(path)])
    assert "here fails at operation 0" in text
    assert "recorded:" in text
    assert "ours:" in text
    assert text.count("◀ pivot 1 9 recorded, 8 here") == 2
    assert text.endswith("0 passed, 1 failed")


def test_the_first_full_tree_after_a_wrong_digest_is_drawn(tmp_path: Path) -> None:
    leaf = ["L", 0, 2**64 - 1, [4, 9, 2**64 - 1], [None, 1, None]]
    first = {"k": "op", "i": 0, "op": ["store", 5, 8, 1], "r": 0, "d": "0" * 16}
    then = {"k": "op", "i": 1, "op": ["store", 5, 8, 2], "r": 0, "d": "0" * 16}
    path = write_lines(tmp_path / "two.jsonl", HEADER, VECTOR, first, then | {"tree": [1, leaf]})
    report = replay_file(path)
    failure = report.vectors[0].failure
    assert failure is not None
    assert (failure.index, failure.drawn_at) == (0, 1)
    assert "recorded after operation 1:" in render_reports([report])


def test_without_a_recorded_tree_ours_is_drawn_where_the_operation_began(tmp_path: Path) -> None:
    op = {"k": "op", "i": 0, "op": ["store", 5, 8, 1], "r": 0, "d": "0" * 16}
    path = write_lines(tmp_path / "digest.jsonl", HEADER, VECTOR, op)
    text = render_reports([replay_file(path)])
    assert "no full tree is recorded from here on; ours:" in text
    assert "leaf_64 0–max  3/16   ◀ the operation began here" in text


@pytest.mark.parametrize(
    ("key", "value"), [("r", -17), ("wt", "append"), ("al", 9), ("bo", 4), ("di", 4)]
)
def test_every_recorded_figure_is_compared(tmp_path: Path, key: str, value: Any) -> None:
    op = {"k": "op", "i": 0, "op": ["store", 5, 8, 1], key: value}
    path = write_lines(tmp_path / "figure.jsonl", HEADER, VECTOR, op)
    failure = replay_file(path).vectors[0].failure
    assert failure is not None
    assert failure.wrong[0].startswith(f"{key}: {value} recorded, ")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the file is empty"),
        (["nonsense"], ":1: not a JSON object"),
        ([{"k": "file", "format": "zip"}], ":1: not a file of maple vectors: format is 'zip'"),
        ([HEADER | {"version": 7}], ":1: format version 7 is not known"),
        ([HEADER], "the file holds no vector"),
        ([HEADER | {"vectors": 2}, VECTOR], "the file announces 2 vectors and holds 1"),
        ([HEADER, VECTOR | {"nops": 3}], "'here' announces 3 operations and ends after 0"),
        ([HEADER, VECTOR | {"nops": 1}, VECTOR], ":3: vector 'here' announces 1 operations"),
        ([HEADER, {"k": "op", "i": 0, "op": ["load", 1]}], ":2: a line of kind 'op' before any"),
        ([HEADER, {"k": "vec", "id": "x", "rcu": True}], ":2: key 'alloc' is missing"),
        ([HEADER, VECTOR, {"k": "op", "i": 0, "op": ["stroe", 1, 2, 3]}], "did you mean 'store'"),
        ([HEADER, VECTOR, {"k": "op", "i": 0, "op": ["load"]}], "'load' takes 1 operands, not 0"),
        ([HEADER, VECTOR, {"k": "op", "i": 0, "op": ["load", -1]}], "wrong operand -1 of 'load'"),
        ([HEADER, VECTOR, {"k": "op", "i": 0, "op": ["load", 2**64]}], "wrong operand 184467"),
        ([HEADER, VECTOR, {"k": "?"}], ":3: unknown kind of line '?'"),
        ([HEADER, VECTOR, {"k": "ck", "i": 0}], ":3: a checkpoint in a vector that is not"),
        (
            [HEADER, VECTOR | {"k": "gen", "gen": "spiral", "params": {}}],
            "unknown generator 'spiral'; known are asc, desc, shuf",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, lines: list[Any], message: str) -> None:
    path = write_lines(tmp_path / "bad.jsonl", *lines)
    with pytest.raises(VectorError) as refusal:
        replay_file(path)
    assert message in str(refusal.value)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_damaged_bytes_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"k":"file"}\n' * 5000)
    for name, data in (
        ("cut.gz", whole[: len(whole) // 2]),
        ("flipped.gz", whole[:20] + b"\xff\xff" + whole[22:]),
        ("binary", b"\x00\x9f\xff"),
        ("text", b"{'k': 1}\n"),
        ("deep", b"[" * 100_000),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(VectorError) as refusal:
            replay_file(path)
        assert "\n" not in str(refusal.value), name
    with pytest.raises(VectorError, match="No such file"):
        replay_file(tmp_path / "nowhere")


def test_no_escape_sequence_of_a_file_reaches_the_terminal(tmp_path: Path) -> None:
    op = {"k": "op", "i": 0, "op": ["load", 5], "r": "\x1b[2J"}
    path = write_lines(tmp_path / "esc.jsonl", HEADER, VECTOR | {"id": "\x1b[31mred"}, op)
    text = render_reports([replay_file(path)])
    assert "\x1b" not in text
    assert "red" in text
    path = write_lines(tmp_path / "esc2.jsonl", HEADER, VECTOR, {"k": "\x1b[2J"})
    with pytest.raises(VectorError) as refusal:
        replay_file(path)
    assert "\x1b" not in str(refusal.value)


def test_the_recorded_figures_of_a_stream_are_compared_at_its_checkpoints(tmp_path: Path) -> None:
    stream = VECTOR | {"k": "gen", "gen": "asc", "params": {"n": 40}}
    path = write_lines(tmp_path / "gen.jsonl", HEADER, stream, {"k": "ck", "i": 29, "entries": 31})
    failure = replay_file(path).vectors[0].failure
    assert failure is not None
    assert failure.wrong == ["entries: 31 recorded, 30 here"]
