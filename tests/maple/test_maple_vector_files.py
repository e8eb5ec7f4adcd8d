"""A file that is cut off, or is no vector file, is refused in one line and not passed."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm.maple import replay, stream, vector_line
from pfviz.mm.maple.replay import replay_file
from pfviz.mm.maple.stream import (
    BASE,
    GENERATORS,
    OPERATIONS_MAX,
    PAGE,
    bad_parameter,
    generate_ops,
)
from pfviz.mm.maple.vector_line import VectorError
from tests.maple.recording import generated, header, recorded, write_lines

DATA = Path(__file__).parent.parent / "data" / "maple"
OPS = (["store", 5, 8, 1], ["load", 6], ["walk", 6], ["next", 6, 99])
MIX = {"n": 9, "seed": 1, "space": 9, "store": 80, "erase": 9, "clear": 9}
SAW = {"n": 5, "seed": 1, "rounds": 1, "keep": 2}


def refusal(tmp_path: Path, *lines: Any) -> str:
    path = write_lines(tmp_path / "bad.jsonl", *lines)
    with pytest.raises(VectorError) as error:
        replay_file(path)
    text = str(error.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < 400 + len(str(path))
    return text


def without(line: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != key}


def test_the_vectors_that_are_spoilt_below_pass_as_they_are(tmp_path: Path) -> None:
    for lines in (
        recorded(*OPS),
        recorded(["bulk", 2, [[1, 2, 3], [5, 6, 4]]]),
        recorded(alloc=False),
        generated("mix", MIX, 3, 8),
        generated("saw", SAW, 6),
    ):
        report = replay_file(write_lines(tmp_path / "good.jsonl", header(), *lines))
        assert (report.passed, report.failed) == (1, 0)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the file is empty"),
        (["nonsense"], ":1: not a JSON object"),
        ([{"k": "file", "format": "zip"}], ":1: not a file of maple vectors: format is 'zip'"),
        ([header() | {"version": 7}], ":1: format version 7 is not known"),
        ([header() | {"vectors": "x"}], ":1: key 'vectors' is 'x', not a number"),
        ([without(header(), "vectors")], ":1: key 'vectors' is missing; here are k, format"),
        ([header(0)], "the file holds no vector"),
        ([header(2), *recorded(*OPS)], "the file announces 2 vectors and holds 1"),
        ([header(), *recorded(*OPS)[1:]], ":2: a line of kind 'op' before any"),
        ([header(), header()], ":2: a second line of kind 'file'"),
        ([header(), {"k": "?"}], ":2: unknown kind of line '?'"),
        ([header(2), *recorded(*OPS), *recorded(*OPS)], ":8: a second vector 'here'"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, lines: list[Any], message: str) -> None:
    assert message in refusal(tmp_path, *lines)


def spoil(at: int, /, **fields: Any) -> Callable[[list[Any]], list[Any]]:
    """Change fields of one line; a field of Ellipsis is taken away."""

    def change(lines: list[Any]) -> list[Any]:
        line = lines[at] | fields
        lines[at] = {key: value for key, value in line.items() if value is not ...}
        return lines

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(0, nops=6), "'here' announces 6 operations and it ends after 4"),
        (spoil(0, nops=2), ":5: operation 2, but vector 'here' announces 2"),
        (spoil(0, nops=0), ":3: operation 0, but vector 'here' announces 0"),
        (spoil(0, nops="three"), ":2: key 'nops' is 'three', not a number"),
        (spoil(0, nops=True), ":2: key 'nops' is True, not a number"),
        (spoil(0, nops=-1), ":2: key 'nops' is -1, not a count"),
        (spoil(0, nops=...), ":2: key 'nops' is missing"),
        (spoil(0, alloc=...), ":2: key 'alloc' is missing"),
        (spoil(0, id=5), ":2: key 'id' is 5, not a string"),
        (lambda lines: lines[:-1], "vector 'here' has no line of kind 'end'"),
        (lambda lines: lines[:3], "announces 4 operations and it ends after 2"),
        (lambda lines: [*lines, lines[-1]], ":8: a line of kind 'end' after the end"),
        (lambda lines: [*lines, lines[1]], ":8: a line of kind 'op' after the end"),
        (lambda lines: [lines[0], *lines[2:]], ":3: operation 1 where operation 0 was due"),
        (spoil(2, i=77), ":4: operation 77 where operation 1 was due"),
        (spoil(2, i=True), ":4: key 'i' is True, not a number"),
        (spoil(1, r=...), ":3: key 'r' is missing"),
        (spoil(1, d=...), ":3: key 'd' is missing"),
        (spoil(1, d=5), ":3: key 'd' is 5, not a digest of 16 hex digits"),
        (spoil(1, d=None), ":3: key 'd' is None, not a digest"),
        (spoil(1, d="0" * 15), "not a digest"),
        (spoil(1, wt=...), ":3: key 'wt' is missing"),
        (spoil(1, al=...), ":3: key 'al' is missing"),
        (spoil(1, nl=...), ":3: key 'nl' is missing"),
        (spoil(1, ev="boo"), ":3: key 'ev' is 'boo', not a list"),
        (spoil(1, tree="abc", d="0" * 16), ":3: key 'tree' is not the dump of a tree"),
        (spoil(1, tree=[2, None], d="0" * 16), ":3: key 'tree' is not the dump of a tree"),
        (spoil(3, at=...), ":5: key 'at' is missing"),
        (spoil(4, st=...), ":6: key 'st' is missing"),
        (spoil(5, id="other"), ":7: the end of 'other' in vector 'here'"),
        (spoil(5, id=...), ":7: key 'id' is missing"),
        (spoil(5, hf=...), ":7: key 'hf' is missing"),
        (spoil(5, occ=...), ":7: key 'occ' is missing"),
        (spoil(5, hf="zz"), ":7: key 'hf' is 'zz', not a digest of 64 hex digits"),
        (spoil(1, op=["stroe", 1, 2, 3]), "unknown operation 'stroe'; did you mean 'store'?"),
        (spoil(1, op=["load"]), "'load' takes 1 operands, not 0"),
        (spoil(1, op=["load", -1]), "wrong operand -1 of 'load'"),
        (spoil(1, op=["load", 2**64]), "wrong operand 184467"),
        (spoil(1, op=["store", 1, 2, 10**4000]), "wrong operand 10000"),
        (spoil(1, op=["bulk", 1, [[9, 6, 1]]]), "'bulk' has a range from 9 to 6"),
        (spoil(1, op=["bulk", 1, [[-9, 6, 1]]]), "'bulk' has a range from -9 to 6"),
        (spoil(1, op=["bulk", 2, [[5, 6, 1], [6, 7, 2]]]), "must ascend: 6 follows 6"),
        (spoil(1, k="ck"), ":3: key 'entries' is missing"),
    ],
)
def test_a_vector_that_is_cut_off_or_holds_nothing_to_compare_is_refused(
    tmp_path: Path, change: Callable[[list[Any]], list[Any]], message: str
) -> None:
    assert message in refusal(tmp_path, header(), *change(recorded(*OPS)))


def test_a_checkpoint_has_no_place_among_operations(tmp_path: Path) -> None:
    vector, *ops, end = recorded(*OPS)
    checkpoint = without(end, "id") | {"k": "ck", "i": 0}
    message = ":3: a checkpoint in vector 'here', which is not generated"
    assert message in refusal(tmp_path, header(), vector, checkpoint, *ops, end)


@pytest.mark.parametrize("word", ["area", "rarea", "alloc", "ralloc"])
def test_a_gap_search_in_a_tree_without_gaps_is_refused(tmp_path: Path, word: str) -> None:
    vector, op, end = recorded(["load", 1])
    operands = [0, 9, 1, *([7] if "alloc" in word else [])]
    figures = {"h": 0, "n": 0, "nl": 0, "d": "0" * 16}
    lines = (vector | {"alloc": False}, op | figures | {"op": [word, *operands]}, end)
    message = f"{word!r} in vector 'here', whose tree keeps no gaps"
    assert message in refusal(tmp_path, header(), *lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (spoil(0, nops=20), "announces 20 operations and the last checkpoint is after 9"),
        (spoil(0, nops=8), ":4: a checkpoint at 8, but vector 'here' announces 8"),
        (spoil(0, nops=10**9), ":2: key 'nops' is 1000000000, more than 10,000,000"),
        (lambda lines: lines[:-2] + lines[-1:], "the last checkpoint is after 4"),
        (lambda lines: [lines[0], lines[-1]], "the last checkpoint is after 0"),
        (lambda lines: [lines[0] | {"nops": 0}, lines[-1]], "nothing is recorded of"),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], "a checkpoint at 3 after one"),
        (spoil(1, i=-9), ":3: key 'i' is -9, not a count"),
        (spoil(1, hf=...), ":3: key 'hf' is missing"),
        (lambda lines: [lines[0], recorded(*OPS)[1], *lines[1:]], ":3: an operation in vector"),
        (spoil(3, id="other"), "the end of 'other' in vector 'here'"),
        (spoil(3, hf="0" * 64), ":5: key 'h' is missing"),
        (spoil(0, params=MIX | {"n": 5}), ":4: checkpoint at 8, but the stream ends at 4"),
    ],
)
def test_a_generated_vector_is_as_long_as_it_says(
    tmp_path: Path, change: Callable[[list[Any]], list[Any]], message: str
) -> None:
    assert message in refusal(tmp_path, header(), *change(generated("mix", MIX, 3, 8)))


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("spiral", {}, "unknown generator 'spiral'; known are asc, desc, shuf"),
        ("asc", {}, "generator 'asc' needs a parameter 'n'"),
        ("mix", {"n": 9}, "generator 'mix' needs a parameter 'seed'"),
        ("mix", {**without(MIX, "space"), "spaec": 9}, "'space'; did you mean 'spaec'?"),
        ("mix", MIX | {"space": 0}, "parameter 'space' of generator 'mix' is 0, not between 1"),
        ("mix", MIX | {"space": 2**60}, "parameter 'space' of generator 'mix' is 1152"),
        ("saw", SAW | {"keep": 0}, "parameter 'keep' of generator 'saw' is 0, not between 1"),
        ("saw", SAW | {"n": 9999, "rounds": 9999}, "n times rounds may be 10,000,000"),
        ("asc", {"n": 0}, "parameter 'n' of generator 'asc' is 0, not between 1 and"),
        ("asc", {"n": True}, "parameter 'n' of generator 'asc' is True, not a whole number"),
        ("desc", {"n": 10**19}, "parameter 'n' of generator 'desc' is 1000"),
        ("shuf", {"n": 10**13, "seed": 1}, "parameter 'n' of generator 'shuf' is 1000"),
        ("guard", {"n": 9, "seed": -1}, "parameter 'seed' of generator 'guard' is -1"),
    ],
)
def test_bad_parameters_of_a_generator_are_a_mistake_of_the_file(
    tmp_path: Path, name: str, params: dict[str, Any], message: str
) -> None:
    first, *rest = generated("mix", MIX, 3, 8)
    found = refusal(tmp_path, header(), first | {"gen": name, "params": params}, *rest)
    assert ":2: " in found
    assert message in found


def test_no_stream_within_the_bounds_leaves_the_addresses() -> None:
    space = stream._BOUNDS["space"][1]
    wide = {"n": 3000, "seed": 1, "rounds": 1, "keep": 2, "space": space}
    wide |= {"store": 0, "erase": 0, "clear": 0}
    for name in GENERATORS:
        assert bad_parameter(name, wide) is None
        assert all(0 <= index < 2**64 for op in generate_ops(name, wide) for index in op[1:3])
    # The lowest stack and the highest page of the longest streams.
    assert BASE - OPERATIONS_MAX * 65 * PAGE > 0
    assert BASE + (3 * OPERATIONS_MAX + 8 * OPERATIONS_MAX) * PAGE < 2**64
    assert BASE + (space - 1 + 400) * PAGE <= 2**64 < BASE + (space + 402) * PAGE


def test_damaged_bytes_are_refused_in_one_line(tmp_path: Path) -> None:
    whole = gzip.compress(b'{"k":"file"}\n' * 5000)
    vectors = (DATA / "plain.jsonl.gz").read_bytes()
    first = json.dumps(header()).encode() + b"\n"
    for name, data, message in (
        ("cut.gz", vectors[: len(vectors) // 2], "cut off or damaged"),
        ("flipped.gz", whole[:20] + b"\xff\xff" + whole[22:], "cut off or damaged"),
        ("binary", b"\x00\x9f\xff", "not text in UTF-8"),
        ("text", b"{'k': 1}\n", ":1: not JSON"),
        ("deep", b"[" * 100_000, ":1: not JSON that can be read: nested too deep"),
        ("digits", first + b'{"i": ' + b"9" * 6000 + b"}\n", ":2: not JSON that can be read: a"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(VectorError) as error:
            replay_file(path)
        assert "\n" not in str(error.value), name
        assert message in str(error.value), name
    with pytest.raises(VectorError, match="No such file"):
        replay_file(tmp_path / "nowhere")


def test_no_escape_sequence_of_a_file_is_in_its_refusal(tmp_path: Path) -> None:
    assert "\x1b" not in refusal(tmp_path, header(), {"k": "\x1b[2J"})
    assert "\x1b" not in refusal(tmp_path, header(), *recorded(name="\x1b[31m")[:1])


def test_without_the_check_of_the_end_a_file_that_is_cut_off_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(replay, "_check_ended", lambda _: None)
    monkeypatch.setattr(vector_line, "_check_outcome", lambda _: None)
    path = write_lines(tmp_path / "cut.jsonl", header(), *recorded(*OPS)[:2])
    assert replay_file(path).failed == 0
