"""Random operations leave a valid tree that holds what a plain sorted list of ranges holds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pfviz.mm.maple import MAX_INDEX, MapleTree

SPACES = [63, 500, 5000]
Ranges = list[tuple[int, int, Any]]


def overwrite(ranges: Ranges, first: int, last: int, entry: Any) -> Ranges:
    """Store into a sorted list of disjoint ranges: what stays is cut, nothing is joined."""
    kept: Ranges = []
    for start, end, old in ranges:
        if end < first or start > last:
            kept.append((start, end, old))
            continue
        if start < first:
            kept.append((start, first - 1, old))
        if end > last:
            kept.append((last + 1, end, old))
    if entry is not None:
        kept.append((first, last, entry))
    return sorted(kept)


class AgainstASortedList(RuleBasedStateMachine):
    """The same stores in a maple tree and in a sorted list."""

    tree: MapleTree
    ranges: Ranges
    stored = 0
    space = SPACES[0]

    @initialize(
        alloc=st.booleans(), rcu=st.booleans(), space=st.sampled_from(SPACES), full=st.booleans()
    )
    def make(self, alloc: bool, rcu: bool, space: int, full: bool) -> None:
        self.tree = MapleTree(alloc=alloc, rcu=rcu)
        self.ranges = []
        self.space = space
        if full:
            for first in range(0, space, 4):
                self.put(first, first + 1 + first % 3)

    def put(self, first: int, last: int, *, null: bool = False) -> None:
        self.stored += 1
        entry = None if null else self.stored
        self.tree.store(first, last, entry)
        self.ranges = overwrite(self.ranges, first, last, entry)

    @rule(where=st.floats(0, 1, exclude_max=True), length=st.integers(1, 9), null=st.booleans())
    def store(self, where: float, length: int, null: bool) -> None:
        first = int(where * self.space)
        self.put(first, first + length - 1, null=null)

    @rule(where=st.floats(0, 1, exclude_max=True), share=st.floats(0, 1), null=st.booleans())
    def store_wide(self, where: float, share: float, null: bool) -> None:
        first = int(where * self.space)
        self.put(first, first + int(share * self.space), null=null)

    @rule(where=st.floats(0, 1, exclude_max=True), times=st.integers(1, 12))
    def erase(self, where: float, times: int) -> None:
        for index in range(int(where * self.space), int(where * self.space) + 4 * times, 4):
            first, last, entry = self.tree.range_at(index)
            assert self.tree.erase(index) == entry
            if entry is not None:
                self.ranges = overwrite(self.ranges, first, last, None)

    @rule(where=st.floats(0, 1, exclude_max=True), length=st.integers(1, 9))
    def insert(self, where: float, length: int) -> None:
        first = int(where * self.space)
        last = first + length - 1
        taken = any(start <= last and end >= first for start, end, _ in self.ranges)
        self.stored += 1
        assert self.tree.insert(first, last, self.stored) is not taken
        if not taken:
            self.ranges = overwrite(self.ranges, first, last, self.stored)

    @rule()
    @precondition(lambda self: self.stored % 7 == 0)
    def end_every_grace_period(self) -> None:
        self.tree.free_all()

    @invariant()
    def the_tree_is_valid_and_holds_the_same(self) -> None:
        if hasattr(self, "tree"):
            self.tree.check()
            assert list(self.tree.iter_range()) == self.ranges


TestAgainstASortedList = AgainstASortedList.TestCase
TestAgainstASortedList.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def build(ranges: list[tuple[int, int]]) -> tuple[MapleTree, Ranges]:
    tree = MapleTree()
    kept: Ranges = []
    for number, (first, length) in enumerate(ranges):
        tree.store(first, first + length, number)
        kept = overwrite(kept, first, first + length, number)
    return tree, kept


RANGES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12)), max_size=90)


@settings(max_examples=60, deadline=None)
@given(ranges=RANGES, index=st.integers(0, 420), limit=st.integers(0, 420))
def test_lookups_agree_with_the_sorted_list(
    ranges: list[tuple[int, int]], index: int, limit: int
) -> None:
    tree, kept = build(ranges)
    covering = next((r for r in kept if r[0] <= index <= r[1]), None)
    assert tree.walk(index) == (covering[2] if covering else None)
    assert tree.find(index) == next((r for r in kept if r[1] >= index), None)
    after = [r for r in kept if r[0] > index and r[0] <= limit]
    before = [r for r in kept if r[1] < index and r[1] >= limit]
    assert tree.next(index, limit) == (after[0] if after else None)
    assert tree.prev(index, limit) == (before[-1] if before else None)
    low, high = min(index, limit), max(index, limit)
    touched = [r for r in kept if r[0] <= high and r[1] >= low]
    assert list(tree.iter_range(low, high)) == touched
    assert list(tree.iter_range_rev(high, low)) == touched[::-1]
    first, last, entry = tree.range_at(index)
    assert first <= index <= last
    assert entry == tree.walk(index)


@settings(max_examples=80, deadline=None)
@given(
    ranges=RANGES,
    window=st.tuples(st.integers(0, 420), st.integers(0, 420)),
    size=st.integers(1, 40),
)
def test_gap_searches_find_the_lowest_and_the_highest_free_range(
    ranges: list[tuple[int, int]], window: tuple[int, int], size: int
) -> None:
    tree, kept = build([(first + 1, length) for first, length in ranges])
    low, high = min(window), max(window)
    if high - low < size - 1:
        with pytest.raises(ValueError, match="no range of"):
            tree.empty_area(low, high, size)
        with pytest.raises(ValueError, match="no range of"):
            tree.empty_area_rev(low, high, size)
        return
    # A null range ends at a leaf's border only where an entry begins, so leaves hide no room.
    free = [
        first
        for first in range(low, high - size + 2)
        if all(start > first + size - 1 or end < first for start, end, _ in kept)
    ]
    expected = ((free[0], free[0] + size - 1), (free[-1], free[-1] + size - 1)) if free else None
    assert tree.empty_area(low, high, size) == (expected[0] if expected else None)
    assert tree.empty_area_rev(low, high, size) == (expected[1] if expected else None)


def test_a_range_that_is_none_is_refused() -> None:
    tree = MapleTree()
    for first, last in ((5, 4), (-1, 3), (0, MAX_INDEX + 1)):
        with pytest.raises(ValueError, match="not a range of indices"):
            tree.store(first, last, 1)
        with pytest.raises(ValueError, match="not a range of indices"):
            tree.preallocate(first, last, 1)
