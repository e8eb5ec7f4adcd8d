"""A capture as text: what it says is missing, and the words for what was inferred."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from pfviz.report import capture
from pfviz.trace.capture import Capture
from pfviz.trace.capture_stats import capture_stats
from pfviz.trace.infer import infer_log
from pfviz.trace.shortcomings import events_lost, losses
from pfviz.views.counters import entries
from pfviz.views.fold import HANDLERS
from pfviz.views.frame import Frame

TRACES = Path(__file__).parents[1] / "data" / "traces"


def _cut_off(folder: Path) -> Path:
    whole = (TRACES / "malloc-t2/trace.txt.gz").read_bytes()
    cut = folder / "cut.txt.gz"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    return cut


def _played(path: Path) -> Frame:
    log = infer_log(path)
    frame = Frame(log)
    for now_ns, kind, task, *rest in log:
        HANDLERS[kind](frame, now_ns, task, *rest)
    return frame


def test_a_truncated_gzip_is_called_truncated_everywhere(tmp_path: Path) -> None:
    cut = _cut_off(tmp_path)
    found = capture.stats(str(cut))
    assert found["truncated"] == "the gzip data end too early"
    assert found["lossy"]
    text = capture.summary(str(cut))[1]
    assert text.startswith("LOSSY: TRUNCATED: the gzip data end too early, ")
    read = len(list(Capture(cut).records())) - 1  # The last one is the mark of the end.
    assert f"{read:,} of 3,076 events were read" in text
    told = list(capture.event_lines(str(cut)))
    assert told[0] == f"-- {text}"
    assert told[-1].endswith("-- the capture ends here: the gzip data end too early")


def test_a_whole_capture_has_no_such_key_and_no_warning() -> None:
    whole = TRACES / "malloc-t2/trace.txt.gz"
    assert "truncated" not in capture_stats(whole)
    assert capture.summary(str(whole))[1] == "nothing was lost"
    assert not next(capture.event_lines(str(whole))).startswith("--")


def test_overwritten_events_and_marks_are_both_said(tmp_path: Path) -> None:
    lossy = TRACES / "var-lost-overwrite/trace.txt.gz"
    text = capture.summary(str(lossy))[1]
    assert "75,767 events were overwritten (3,674 of 79,441 are left)" in text
    assert "1 mark where the buffer of a CPU starts late" in text
    frame = _played(lossy)
    assert ("events lost", "75,767", "bad") in entries(frame)
    assert frame.log.meta["lost_events"] == str(frame.lost) == "75767"
    unpacked = gzip.decompress(lossy.read_bytes()).decode()
    full = unpacked.replace("3674/79441", "3674/3674")
    (tmp_path / "full.txt").write_text(full)
    assert "overwritten" not in capture.summary(str(tmp_path / "full.txt"))[1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((0, 0, None, "", 9), ""),
        ((0, 0, (5, 5), "", 9), ""),
        ((1234, 0, None, "", 9), "1,234 events are marked as lost"),
        ((0, 2, None, "", 9), "2 marks where the buffer of a CPU starts late"),
        ((0, 0, None, "cut", 9), "TRUNCATED: cut, 9 events were read"),
    ],
)
def test_every_source_of_a_loss_has_its_words(
    given: tuple[int, int, tuple[int, int] | None, str, int], said: str
) -> None:
    assert losses(*given) == said


def test_events_lost_adds_marks_and_what_was_overwritten() -> None:
    assert events_lost(3, (5, 9)) == 7
    assert events_lost(3, None) == 3


@pytest.mark.parametrize("name", ["fe-tracecmd/report.txt.gz", "fe-perf/script.txt.gz"])
def test_the_counters_pane_and_the_statistics_agree_on_faults_with_mmap_lock(name: str) -> None:
    counters = {what: value for what, value, _ in entries(_played(TRACES / name))}
    found = capture_stats(TRACES / name)["totals"]["faults_with_mmap_lock"]
    assert counters["faults_with_mmap_lock"] == str(found)
    parts = ("  anon_vma trylock", "  from kernel mode", "  fell back")
    assert all(part in counters for part in parts)
    assert sum(int(counters.get(part, "0")) for part in parts) == found


def test_a_fault_outside_every_known_vma_says_that_the_vma_is_unknown() -> None:
    told = "\n".join(capture.event_lines(str(TRACES / "fe-tracecmd/report.txt.gz")))
    assert "(write in unknown vma)" in told
    assert "unknown write" not in told
