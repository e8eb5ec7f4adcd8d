"""JSON Lines: what is written is read again as it was; damage is said with its line."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings

from pfviz.report import jsonl
from pfviz.report.recording import Recording
from pfviz.scenario.load import listing
from pfviz.sim.event import EventLog
from pfviz.trace.capture_file import CaptureError
from pfviz.trace.read_log import read_log
from tests.report.any_log import any_log
from tests.report.runs import recorded, written

SHORT_NS = 30_000


def read_again(log: EventLog, folder: Path) -> EventLog:
    path = folder / "log.jsonl"
    path.write_bytes(written(jsonl.pieces(Recording(log, "any"))))
    return read_log(path)


@pytest.mark.parametrize("name", [one.name for one in listing()])
def test_every_bundled_run_is_read_again_without_loss(name: str, tmp_path: Path) -> None:
    log = recorded(name, SHORT_NS).log
    again = read_again(log, tmp_path)
    assert again.digest() == log.digest()
    assert again.steps == log.steps
    assert again.meta == log.meta


@settings(max_examples=60, deadline=None)
@given(log=any_log())
def test_any_log_is_read_again_without_loss(
    log: EventLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = read_again(log, tmp_path_factory.mktemp("any"))
    assert bytes(again.rows) == bytes(log.rows)
    assert (again.texts, again.details) == (log.texts, log.details)


def test_an_event_is_an_object_with_names_beside_numbers() -> None:
    lines = written(jsonl.pieces(recorded("hello-fault"))).splitlines()
    found = [msgspec.json.decode(line) for line in lines]
    ended = next(one for one in found if one.get("event") == "fault_end")
    assert ended["kind"] == "anon_write_first"
    assert ended["task_name"] == "app"


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    lines = written(jsonl.pieces(recorded("hello-fault"))).splitlines()
    lines[80] = b'{"ns":1,"event":"lunch","task":0}'
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(CaptureError, match=r"bad\.jsonl:81: .*lunch"):
        read_log(path)


def test_a_file_that_ends_too_early_says_how_much_is_missing(tmp_path: Path) -> None:
    whole = written(jsonl.pieces(recorded("hello-fault")))
    path = tmp_path / "cut.jsonl"
    path.write_bytes(whole[: len(whole) * 9 // 10])
    log = read_log(path)
    assert log.meta["lossy"] == "yes"
    assert "are missing" in log.meta["losses"]
