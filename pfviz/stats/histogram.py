"""Ranks and log-scale histograms of durations; knows numbers, not where they come from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

# Each octave is cut into this many buckets, so a bucket is at most 1/8 of its values wide.
BUCKETS_PER_OCTAVE = 8
_SHIFT = BUCKETS_PER_OCTAVE.bit_length() - 1


def percentile(ordered: Sequence[int], rank: float) -> int:
    """Return the value at nearest rank: `ordered[ceil(rank * n) - 1]`, rank 0 being the smallest.

    `ordered` is ascending and not empty; nothing is interpolated, so every result occurred.
    """
    assert ordered, "no value has no percentile"
    assert 0.0 <= rank <= 1.0
    return ordered[max(math.ceil(rank * len(ordered)) - 1, 0)]


def summarise(values: Iterable[int]) -> dict[str, int] | None:
    """Return n, p50, p90, p99, p999, max, mean (rounded) and total; None when there is no value."""
    ordered = sorted(values)
    if not ordered:
        return None
    total = sum(ordered)
    return {
        "n": len(ordered),
        "p50": percentile(ordered, 0.5),
        "p90": percentile(ordered, 0.9),
        "p99": percentile(ordered, 0.99),
        "p999": percentile(ordered, 0.999),
        "max": ordered[-1],
        "mean": (2 * total + len(ordered)) // (2 * len(ordered)),
        "total": total,
    }


@dataclass(slots=True)
class Histogram:
    """How many values fell into each log-scale bucket; adding and taking back are exact opposites.

    Values below BUCKETS_PER_OCTAVE have a bucket each; `percentile` is good to 1/8 of the value.
    """

    counts: dict[int, int] = field(default_factory=dict)
    n: int = 0
    total: int = 0

    def add(self, value: int, times: int = 1) -> None:
        """Count `value`; negative `times` takes it back (the view goes backwards)."""
        bucket = bucket_of(value)
        left = self.counts.get(bucket, 0) + times
        assert left >= 0, "more was taken back than was added"
        if left:
            self.counts[bucket] = left
        else:
            self.counts.pop(bucket, None)
        self.n += times
        self.total += value * times

    def merge(self, other: Histogram) -> None:
        """Add every value of `other`."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.n += other.n
        self.total += other.total

    def percentile(self, rank: float) -> int | None:
        """Return the upper edge of the bucket that holds the nearest rank; None when empty."""
        if not self.n:
            return None
        wanted = max(math.ceil(rank * self.n), 1)
        for bucket in sorted(self.counts):
            wanted -= self.counts[bucket]
            if wanted <= 0:
                return bucket_range(bucket)[1] - 1
        return None

    def octaves(self) -> Mapping[int, int]:
        """Return counts by power of two: octave k holds values of k bits (0 only the value 0)."""
        found: dict[int, int] = {}
        for bucket in sorted(self.counts):
            octave = bucket_range(bucket)[0].bit_length()
            found[octave] = found.get(octave, 0) + self.counts[bucket]
        return found


def bucket_of(value: int) -> int:
    """Return the number of the bucket `value` falls into; buckets are ordered as values are."""
    assert value >= 0, "a duration is never negative"
    octave = max(value.bit_length() - 1 - _SHIFT, 0)
    return (octave << _SHIFT) + (value >> octave)


def bucket_range(bucket: int) -> tuple[int, int]:
    """Return the smallest value of the bucket and the first one beyond it."""
    octave = max((bucket >> _SHIFT) - 1, 0)
    base = bucket - (octave << _SHIFT)
    return base << octave, (base + 1) << octave
