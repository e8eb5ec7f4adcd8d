"""Ranks are values that occurred; buckets are ordered, narrow and reversible."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pfviz.stats.histogram import Histogram, bucket_of, bucket_range, percentile, summarise

DURATIONS = st.lists(st.integers(0, 1 << 50), min_size=1, max_size=200)


def test_a_percentile_is_the_nearest_rank_and_never_interpolates() -> None:
    assert percentile([10, 20], 0.5) == 10
    assert percentile([10, 20, 30], 0.5) == 20
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([7], 0.0) == percentile([7], 1.0) == 7


@given(DURATIONS, st.floats(0.001, 1.0))
def test_a_percentile_is_one_of_the_values(values: list[int], rank: float) -> None:
    values.sort()
    assert percentile(values, rank) == values[math.ceil(rank * len(values)) - 1]


def test_a_summary_of_nothing_is_nothing() -> None:
    assert summarise([]) is None
    assert summarise([1, 2, 4]) == {
        "n": 3,
        "p50": 2,
        "p90": 4,
        "p99": 4,
        "p999": 4,
        "max": 4,
        "mean": 2,
        "total": 7,
    }


@given(st.integers(0, 1 << 62))
def test_a_value_lies_in_its_bucket_which_is_an_eighth_wide(value: int) -> None:
    low, high = bucket_range(bucket_of(value))
    assert low <= value < high
    assert high - low <= max(value // 8, 1)


@given(st.integers(0, 5000))
def test_buckets_follow_one_another_without_a_gap(bucket: int) -> None:
    if bucket < 400:
        assert bucket_range(bucket)[1] == bucket_range(bucket + 1)[0]


@given(DURATIONS, DURATIONS)
def test_taking_values_back_leaves_the_histogram_as_it_was(
    kept: list[int], gone: list[int]
) -> None:
    expected = Histogram()
    for value in kept:
        expected.add(value)
    found = Histogram()
    for value in kept + gone:
        found.add(value)
    for value in gone:
        found.add(value, -1)
    assert found == expected


@given(DURATIONS)
def test_a_histogram_percentile_is_an_eighth_above_the_true_one_at_most(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for rank in (0.5, 0.99, 1.0):
        true = percentile(sorted(values), rank)
        found = histogram.percentile(rank)
        assert found is not None
        assert true <= found <= true + true // 8


def test_histograms_merge_and_group_by_octave() -> None:
    left, right = Histogram(), Histogram()
    left.add(100)
    right.add(120)
    right.add(0)
    left.merge(right)
    assert (left.n, left.total) == (3, 220)
    assert left.octaves() == {0: 1, 7: 2}
    assert Histogram().percentile(0.5) is None
