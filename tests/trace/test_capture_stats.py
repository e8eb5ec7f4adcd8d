"""Statistics of real captures equal those computed independently (their truth files)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pfviz.trace import capture_stats as module
from pfviz.trace.capture import Capture
from pfviz.trace.capture_stats import capture_stats, read_capture_stats

TRACES = Path(__file__).parents[1] / "data" / "traces"
TRUTH_OF = {
    "fe-bpftrace/out.txt.gz": "truth.json",
    "fe-perf/script.txt.gz": "truth.json",
    "fe-perf/script-ns-pidtid.txt.gz": "truth-ns.json",
    "fe-tracecmd/report.txt.gz": "truth-report.json",
    "fe-tracecmd/report-t.txt.gz": "truth-report-t.json",
    "fe-tracecmd/report-l.txt.gz": "truth-report.json",
    "fe-tracecmd/report-R.txt.gz": "truth-report.json",
    "fe-tracecmd/report-instance-prefix.txt.gz": "truth-report.json",
} | {
    f"{truth.parent.name}/trace.txt.gz": "truth.json"
    for truth in sorted(TRACES.glob("*/truth.json"))
    if not truth.parent.name.startswith("fe-")
}


def _truth(capture: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TRACES / capture).with_name(TRUTH_OF[capture]).read_text())
    return found


@pytest.mark.parametrize("capture", sorted(TRUTH_OF))
def test_statistics_equal_the_truth_file_key_for_key(capture: str) -> None:
    found = capture_stats(TRACES / capture)
    assert found == _truth(capture)
    assert list(found) == list(_truth(capture))


def test_counting_a_downgrade_as_an_acquire_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pairing rules matter: without the downgrade rule the figures must differ."""
    original = module.read_mmap_lock

    def forgetful(args: str) -> Any:
        lock = original(args)
        return lock and lock._replace(write=True)

    monkeypatch.setattr(module, "read_mmap_lock", forgetful)
    assert capture_stats(TRACES / "stack-t2/trace.txt.gz") != _truth("stack-t2/trace.txt.gz")


def test_nothing_in_a_whole_capture_is_skipped_or_damaged() -> None:
    for name in TRUTH_OF:
        capture = Capture(TRACES / name)
        read_capture_stats(capture)
        assert not capture.skipped, name


def _write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"            a-1     [000] .....     {line}\n" for line in lines))
    return path


def test_a_call_that_never_returned_and_a_hold_that_never_ended_are_counted(tmp_path: Path) -> None:
    capture = _write(
        tmp_path / "edge.txt",
        "1.000001: mmap_lock_start_locking: mm=00aa memcg_id=1 write=false",
        "1.000002: mmap_lock_acquire_returned: mm=00aa memcg_id=1 write=false success=true",
        "1.000003: mmap_lock_start_locking: mm=00bb memcg_id=1 write=true",
    )
    totals = capture_stats(capture)["totals"]
    assert totals["acquire_without_release_at_end"] == 1
    assert totals["start_without_acquire_at_end"] == 1


def test_two_nested_locks_of_fork_are_paired_by_mm(tmp_path: Path) -> None:
    capture = _write(
        tmp_path / "fork.txt",
        "1.000001: mmap_lock_start_locking: mm=00aa memcg_id=1 write=true",
        "1.000002: mmap_lock_acquire_returned: mm=00aa memcg_id=1 write=true success=true",
        "1.000003: mmap_lock_start_locking: mm=00bb memcg_id=1 write=true",
        "1.000003: mmap_lock_acquire_returned: mm=00bb memcg_id=1 write=true success=true",
        "1.000010: mmap_lock_released: mm=00aa memcg_id=1 write=true",
        "1.000012: mmap_lock_released: mm=00bb memcg_id=1 write=true",
    )
    found = capture_stats(capture)
    assert found["hold_us"]["write"] == {"n": 2, "p50": 8, "p99": 9, "max": 9, "sum": 17}
    assert "nested_same_mm" not in found["totals"]


def test_the_counter_clock_counts_in_its_own_units(tmp_path: Path) -> None:
    capture = _write(
        tmp_path / "counter.txt",
        "101: mmap_lock_start_locking: mm=00aa memcg_id=1 write=true",
        "105: mmap_lock_acquire_returned: mm=00aa memcg_id=1 write=true success=true",
    )
    found = capture_stats(capture)
    assert (found["first_us"], found["last_us"], found["wait_us"]["all"]["max"]) == (101, 105, 4)


def test_arguments_that_were_cut_off_are_skipped_and_said(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "cut.txt",
        "1.000001: mmap_lock_start_locking: mm=00aa memcg_id=1 write=true",
        "1.000002: mmap_lock_acquire_returned: mm=00aa memcg_id=1 wri",
    )
    capture = Capture(path)
    assert read_capture_stats(capture)["totals"]["start_locking"] == 1
    assert capture.skipped == {"arguments cut off or unknown": 1}
