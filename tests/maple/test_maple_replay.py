"""Recorded operations give the recorded trees, and a failure shows both of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from pfviz.mm.maple import compare, operations, split
from pfviz.mm.maple.dump import digest
from pfviz.mm.maple.replay import replay_file
from pfviz.mm.maple.replay_report import (
    Failure,
    ReplayReport,
    VectorResult,
    render_reports,
    report_object,
)
from tests.maple.recording import generated, header, recorded, write_lines
from tests.maple.swap import swap_source

DATA = Path(__file__).parent.parent / "data" / "maple"
LEAF = ["L", 0, 2**64 - 1, [4, 9, 2**64 - 1], [None, 1, None]]
STORE = ["store", 5, 8, 1]


def failure_of(report: ReplayReport) -> Failure:
    failure = report.vectors[0].failure
    assert failure is not None
    return failure


def replay(tmp_path: Path, *lines: Any) -> ReplayReport:
    return replay_file(write_lines(tmp_path / "one.jsonl", header(), *lines))


@pytest.mark.parametrize("name", ["teach", "random", "plain", "bulk", "real", "large"])
def test_every_recorded_vector_passes(name: str) -> None:
    report = replay_file(DATA / f"{name}.jsonl.gz")
    text = render_reports([report])
    assert report.passed > 0, "nothing was compared"
    assert report.failed == 0, text
    assert text.endswith(f"{report.passed} passed, 0 failed")


def test_a_wrong_recording_fails_with_both_trees_drawn(tmp_path: Path) -> None:
    vector, op, end = recorded(STORE)
    text = render_reports(
        [replay(tmp_path, vector, op | {"d": "0" * 16, "tree": [1, LEAF]}, end)]
    )  # fmt: skip
    assert "here fails at operation 0" in text
    assert "recorded:" in text
    assert "ours:" in text
    assert text.count("◀ pivot 1 9 recorded, 8 here") == 2
    assert text.endswith("0 passed, 1 failed")


def test_the_first_full_tree_after_a_wrong_digest_is_drawn(tmp_path: Path) -> None:
    vector, first, then, end = recorded(STORE, ["store", 5, 8, 2])
    lines = (first | {"d": "0" * 16}, then | {"d": "0" * 16, "tree": [1, LEAF]})
    report = replay(tmp_path, vector, *lines, end)
    assert (failure_of(report).index, failure_of(report).drawn_at) == (0, 1)
    assert "recorded after operation 1:" in render_reports([report])


def test_a_later_tree_that_is_ours_does_not_hide_the_failure(tmp_path: Path) -> None:
    vector, first, then, end = recorded(STORE, ["destroy"])
    report = replay(tmp_path, vector, first | {"d": "0" * 16}, then | {"tree": [0, None]}, end)
    text = render_reports([report])
    assert "equal" not in text
    assert "no full tree is recorded from here on that differs from ours" in text
    assert "leaf_64 0–max  3/16   ◀ the operation began here" in text


def test_a_recorded_tree_that_is_ours_under_another_digest_is_not_called_equal(
    tmp_path: Path,
) -> None:
    vector, op, end = recorded(STORE)
    ours = [1, ["L", 0, 2**64 - 1, [4, 8, 2**64 - 1], [None, 1, None]]]
    assert digest(ours)[:16] == op["d"]
    text = render_reports([replay(tmp_path, vector, op | {"d": "0" * 16, "tree": ours}, end)])
    assert "the recorded tree is ours; its recorded digest, 0000000000000000, is of another" in text
    assert "are equal" not in text
    text = render_reports([replay(tmp_path, vector, op | {"r": 7, "tree": ours}, end)])
    assert "the trees are equal" in text


def test_without_a_recorded_tree_ours_is_drawn_where_the_operation_began(tmp_path: Path) -> None:
    vector, op, end = recorded(STORE)
    text = render_reports([replay(tmp_path, vector, op | {"d": "0" * 16}, end)])
    assert "no full tree is recorded from here on" in text
    assert "leaf_64 0–max  3/16   ◀ the operation began here" in text


@pytest.mark.parametrize(
    ("key", "value"),
    [("r", -17), ("wt", "append"), ("al", 9), ("bo", 4), ("di", 4), ("h", 2), ("n", 7), ("nl", 7)],
)
def test_every_recorded_figure_is_compared(tmp_path: Path, key: str, value: Any) -> None:
    vector, op, end = recorded(STORE)
    if key == "r":  # An error has no store type.
        del op["wt"]
    failure = failure_of(replay(tmp_path, vector, op | {key: value}, end))
    assert failure.wrong[0].startswith(f"{key}: {value} recorded, ")


def test_a_store_type_of_ours_that_is_not_recorded_is_a_failure(tmp_path: Path) -> None:
    vector, op, end = recorded(STORE)
    del op["wt"]
    failure = failure_of(replay(tmp_path, vector, op | {"r": -17}, end))
    assert "wt: none recorded, store_root here" in failure.wrong


@pytest.mark.parametrize("key", ["h", "n", "nl", "entries", "lv", "occ", "hf", "hs", "he"])
def test_every_figure_of_an_end_and_of_a_checkpoint_is_compared(tmp_path: Path, key: str) -> None:
    for *lines, end in (recorded(STORE), generated("asc", {"n": 40}, 9, 39)):
        at = end if key in end else lines[1]
        other = {int: 77, list: [77], str: "0" * 64}[type(at[key])]
        spoilt = [line | {key: other} if line is at else line for line in (*lines, end)]
        failure = failure_of(replay(tmp_path, *spoilt))
        assert any(key in text.split(":")[0] for text in failure.wrong)
        assert failure.index == (0 if at is end else 9)


def test_a_failure_of_the_lower_bounds_alone_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every node but the first of its level says one more than its parent does."""
    swap_source(monkeypatch, split.build_node, "[start - 1] + 1", "[start - 1] + 2")
    report = replay_file(DATA / "teach.jsonl.gz")
    text = render_reports([report], None)
    assert report.failed > 5
    assert "are equal" not in text
    assert text.count("recorded:") == text.count("ours:") > 5
    assert "◀ bounds " in text


def test_nothing_but_equal_trees_is_called_equal() -> None:
    left, right = (["L", low, 9, [low, 9], [None, 1]] for low in (0, 3))
    assert compare.differences([1, left], [1, right])
    inner: list[Any] = ["A", 0, 9, [4, 9], [["L", 0, 4, [4], [1]], left], [0, 0], 0]
    other = [*inner[:4], [inner[4][0], right], *inner[5:]]
    assert list(compare.differences([2, inner], [2, other])) == [(1,)]
    moved = [*inner[:3], [3, 9], [["L", 0, 3, [3], [1]], left], *inner[5:]]
    assert list(compare.differences([2, inner], [2, moved])) == [()], "the parent says it all"


def stop_at(monkeypatch: pytest.MonkeyPatch, word: str, error: Exception) -> None:
    def stop(*_: Any) -> None:
        raise error

    monkeypatch.setitem(operations._ACTS, word, stop)


def test_an_error_of_ours_is_drawn_as_far_as_the_tree_can_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vector, first, then, end = recorded(STORE, ["destroy"])
    stop_at(monkeypatch, "destroy", AssertionError())
    report = replay(tmp_path, vector, first, then | {"tree": [0, None]}, end)
    text = render_reports([report])
    assert failure_of(report).index == 1
    (wrong,) = failure_of(report).wrong
    name, place = wrong.removeprefix("stopped by ").split(" at ")
    assert name == "AssertionError"
    assert place.rsplit(":", 1)[0].endswith("test_maple_replay.py")
    assert place.rsplit(":", 1)[1].isdigit()
    assert "recorded:\n      no node: empty in the root pointer" in text
    assert "ours:" in text
    assert "1 5–8  1" in text


def test_an_error_of_ours_names_the_file_and_what_was_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vector, first, then, end = recorded(STORE, ["load", 5])
    monkeypatch.setitem(operations._ACTS, "load", lambda bench, _: bench.tree.find(None))
    (wrong,) = failure_of(replay(tmp_path, vector, first, then, end)).wrong
    place, said = wrong.removeprefix("stopped by TypeError at ").split(": ")
    assert place.startswith("pfviz/mm/maple/walk.py:")
    assert "NoneType" in said


def test_a_tree_that_is_broken_is_drawn_in_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ops = [["store", 10 * n, 10 * n + 9, n + 1] for n in range(40)]
    lines = recorded(*ops, ["store", 2, 4, 99])

    def breaks(bench: operations.Bench, *_: int) -> None:
        bench.tree.root.slots[1] = None
        raise ValueError("broken")

    real = operations._ACTS["store"]
    monkeypatch.setitem(
        operations._ACTS, "store", lambda bench, *op: (breaks if op[2] == 99 else real)(bench, *op)
    )
    text = render_reports([replay(tmp_path, *lines)])
    assert "here fails at operation 40" in text
    assert ": broken" in text
    assert "arange_64 0–max" in text
    assert "leaf_64 150–299  1/16" in text, "what took the place of the lost leaf"


def test_all_failures_are_drawn_on_demand() -> None:
    vectors = [
        VectorResult(f"v{number}", failure=Failure(0, STORE, ["r: 1 recorded, 2 here"], [1, LEAF]))
        for number in range(5)
    ]
    report = ReplayReport("some/where.jsonl", vectors)
    assert "not drawn: v3, v4" in render_reports([report])
    text = render_reports([report], None)
    assert "not drawn" not in text
    assert text.count("ours:") == 5


def test_json_keeps_the_path_as_given_and_lists_what_was_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "one.jsonl", header(), *recorded(STORE))
    found = report_object([replay_file(path)], [("bad", "bad: the file is empty")])
    assert found["files"][0]["file"] == str(path)
    assert found["refused"] == [{"file": "bad", "error": "bad: the file is empty"}]
    json.dumps(found)


def test_no_escape_sequence_of_a_file_reaches_the_terminal(tmp_path: Path) -> None:
    vector, op, end = recorded(["load", 5], name="\x1b[31mred")
    text = render_reports([replay(tmp_path, vector, op | {"r": "\x1b[2J"}, end)])
    assert "\x1b" not in text
    assert "red" in text
