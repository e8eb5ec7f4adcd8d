"""ftrace text: pfviz reads it again without loss, and others read what a kernel would print."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from pfviz.report import ftrace
from pfviz.report.measure import Rows
from pfviz.report.recording import Recording
from pfviz.scenario.load import listing
from pfviz.sim import event as ev
from pfviz.sim.event import WRITE, EventLog
from pfviz.trace.capture import Capture
from pfviz.trace.capture_file import CaptureError
from pfviz.trace.capture_stats import capture_stats
from pfviz.trace.infer import infer_log
from pfviz.trace.read_log import read_log
from tests.report.any_log import any_log
from tests.report.runs import recorded, written

SHORT_NS = 30_000
LONGER_NS = 300_000
CAPTURES = Path(__file__).parent.parent.parent / "pfviz" / "trace" / "recorded"


def exported(recording: Recording, folder: Path) -> Path:
    path = folder / "trace.txt"
    path.write_bytes(written(ftrace.pieces(recording)))
    return path


def plain(recording: Recording, folder: Path) -> Path:
    """What is left when every line of pfviz's own is taken out."""
    path = exported(recording, folder)
    lines = [line for line in path.read_text("ascii").split("\n") if "pfviz" not in line]
    path.write_text("\n".join(lines))
    return path


@pytest.mark.parametrize("name", [one.name for one in listing()])
def test_every_bundled_run_is_read_again_without_loss(name: str, tmp_path: Path) -> None:
    log = recorded(name, SHORT_NS).log
    again = read_log(exported(recorded(name, SHORT_NS), tmp_path))
    assert again.digest() == log.digest()
    assert again.steps == log.steps
    assert again.meta == log.meta


@settings(max_examples=60, deadline=None)
@given(log=any_log())
def test_any_log_is_read_again_without_loss(
    log: EventLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    again = read_log(exported(Recording(log, "any"), tmp_path_factory.mktemp("any")))
    if len(log):
        assert bytes(again.rows) == bytes(log.rows)
        assert (again.texts, again.details) == (log.texts, log.details)
        assert (again.steps, again.meta) == (log.steps, log.meta)


@pytest.mark.parametrize("name", ["race-t3", "redis-bgsave"])
def test_a_real_capture_comes_back_as_the_log_that_it_was(name: str, tmp_path: Path) -> None:
    recording = recorded(name)
    again = read_log(exported(recording, tmp_path))
    assert again.digest() == recording.log.digest()
    assert again.meta == recording.log.meta


@pytest.mark.parametrize("name", ["writer-convoy", "per-vma-on-off", "stack-growth"])
def test_the_kernels_lines_alone_count_up_to_the_same(name: str, tmp_path: Path) -> None:
    recording = recorded(name, LONGER_NS)
    log = recording.log
    path = plain(recording, tmp_path)
    stats: dict[str, Any] = capture_stats(path)
    rows = Rows(log)
    kinds = {row[3]: log.texts[row[4]] for row in rows.of(ev.LOCK_NEW).tolist()}
    taken = [row for row in rows.of(ev.LOCK_ACQUIRED).tolist() if kinds[row[3]] == "mmap_lock"]
    totals = stats["totals"]
    assert stats["faults"] == len(rows.of(ev.FAULT_BEGIN))
    assert totals.get("acquired_read", 0) == sum(row[4] != WRITE for row in taken)
    assert totals.get("acquired_write", 0) == sum(row[4] == WRITE for row in taken)
    inferred = Rows(infer_log(path))
    assert len(inferred.of(ev.FAULT_BEGIN)) == len(rows.of(ev.FAULT_BEGIN))


def shape(text: str) -> str:
    """An event's text without its numbers and names."""
    text = re.sub(r"comm=.*? (?=\w+=)", "comm=C ", text)
    text = re.sub(r"\b0x[0-9a-f]+|\b[0-9a-f]{16}\b", "X", text)
    text = re.sub(r"(flags|state|write|success|dead)=[\w|]+", r"\1=W", text)
    text = re.sub(r"reason:[\w ]+", "reason:R ", text)
    text = re.sub(r"clone_flags=[0-9a-f]+|ino[ =][0-9a-f]+", "H", text)
    return re.sub(r"-?\d+", "N", text).replace("ip=X", "ip=I")


def test_what_stands_there_is_what_kernels_print(tmp_path: Path) -> None:
    """Every shape of a kernel's line is one that a real capture has, and none is skipped."""
    real: dict[str, set[str]] = {}
    for path in sorted(CAPTURES.glob("*/trace.txt.gz")):
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        for line in text.split("\n")[:15_000]:
            _, _, event = line.partition(": ")
            real.setdefault(event.partition(":")[0], set()).add(shape(event))
    compared = set()
    for name in ("fork-vs-faults", "race-t3"):
        path = plain(recorded(name, None if name == "race-t3" else LONGER_NS), tmp_path)
        capture = Capture(path)
        assert sum(1 for _ in capture.records()) > 500
        assert not capture.skipped
        for line in path.read_text().split("\n"):
            _, _, event = line.partition(": ")
            kind = event.partition(":")[0]
            if not line.startswith("#") and kind in real and not kind.startswith("sys_"):
                ip = re.sub(r"ip=\S+", "ip=I", shape(event))
                assert ip in {re.sub(r"ip=\S+", "ip=I", one) for one in real[kind]}, line
                compared.add(kind)
    assert len(compared) >= 10, compared


def test_a_file_that_ends_too_early_says_how_much_is_missing(tmp_path: Path) -> None:
    path = exported(recorded("hello-fault"), tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    log = read_log(path)
    assert log.meta["lossy"] == "yes"
    assert "are missing" in log.meta["losses"]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = exported(recorded("hello-fault"), tmp_path)
    lines = path.read_text().split("\n")
    number = next(n for n, line in enumerate(lines) if "pfviz_lock_acquired" in line)
    lines[number] = lines[number].replace("mode=", "mood=")
    path.write_text("\n".join(lines))
    with pytest.raises(CaptureError, match=rf"trace\.txt:{number + 1}: .*mode"):
        read_log(path)
