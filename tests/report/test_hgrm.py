"""Percentile text, compared line by line with what HdrHistogram itself prints."""

from __future__ import annotations

import io
import re
import statistics

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from pfviz.report import hgrm
from pfviz.report.measure import Rows, latency
from pfviz.scenario.errors import ScenarioError
from pfviz.sim import event as ev
from tests.report.runs import recorded, written

SHORT_NS = 100_000


def numbers(text: str) -> list[tuple[float, float, int]]:
    """(value, percentile, count) of the lines between header and footer."""
    found = []
    for line in text.splitlines()[2:]:
        if not line.startswith("#"):
            value, percentile, count, *_ = line.split()
            found.append((float(value), float(percentile), int(count)))
    return found


def printed_by_hdr(values: list[int]) -> str:
    reference = HdrHistogram(1, 10**10, 3)
    for value in values:
        reference.record_value(value)
    out = io.BytesIO()
    reference.output_percentile_distribution(out, 1.0)
    return out.getvalue().decode()


def assert_same(values: list[int]) -> None:
    text = "\n".join(hgrm.lines(values))
    reference = printed_by_hdr(values)
    assert text.splitlines()[:2] == reference.splitlines()[:2]
    ours, theirs = numbers(text), numbers(reference)
    assert [one[1] for one in ours] == [one[1] for one in theirs]
    for (value, _, count), (bucket, _, counted) in zip(ours, theirs, strict=True):
        assert value <= bucket <= value * 1.001 + 1
        assert counted >= count  # A bucket may hold more than one value.


def test_faults_of_a_run_are_as_hdr_histogram_prints_them() -> None:
    found = hgrm.latencies(recorded("writer-convoy", SHORT_NS).log)
    assert set(found) >= {"faults", "vma_lock", "mmap", "waits"}
    for name in ("faults", "waits"):
        assert_same(found[name])


# Far enough apart that no two of them share a bucket.
@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from([1, 5, 70, 900, 4_000, 77_777, 10**9]), min_size=1, max_size=300))
def test_any_values_are_as_hdr_histogram_prints_them(values: list[int]) -> None:
    assert_same(values)


def test_the_middle_and_the_end_are_those_of_the_run() -> None:
    recording = recorded("writer-convoy", SHORT_NS)
    found = numbers(written(hgrm.pieces(recording)).decode())
    ended = latency(Rows(recording.log).of(ev.FAULT_END)[:, 4])
    assert next(value for value, percentile, _ in found if percentile >= 0.5) >= ended["p50"]
    assert found[-1][0] == ended["max"]


def test_what_did_not_happen_is_said_with_what_did() -> None:
    with pytest.raises(ScenarioError, match=r'"mmapp".*did you mean "mmap"'):
        written(hgrm.pieces(recorded("writer-convoy", SHORT_NS), of="mmapp"))


def test_ratio_mean_and_deviation_are_those_of_the_values() -> None:
    values = [3, 3, 5, 900, 70, 70, 70, 4_000]
    text = list(hgrm.lines(values))
    told = [line.split() for line in text[2:] if not line.startswith("#")]
    for _, percentile, _, *ratio in told[:-1]:
        assert float(ratio[0]) == pytest.approx(1 / (1 - float(percentile)), abs=0.006)
    assert told[-1] == ["4000.000", "1.000000000000", "8"]
    mean, deviation = map(float, re.findall(r"= +([0-9.]+)", text[-3]))
    assert mean == pytest.approx(statistics.fmean(values), abs=0.001)
    assert deviation == pytest.approx(statistics.pstdev(values), abs=0.001)
