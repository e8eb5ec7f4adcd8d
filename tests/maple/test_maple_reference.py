"""Random operations leave a valid tree that holds what a plain sorted list of ranges holds."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pfviz.mm.maple import (
    MAX_INDEX,
    ZERO_ENTRY,
    MapleTree,
    TaggedEntry,
    bulk_store,
    dump_tree,
)
from pfviz.mm.maple.node import is_zero_entry

SPACES = [63, 500, 5000]
KINDS = st.sampled_from(["entry", "entry", "entry", "null", "null", "tagged", "zero"])
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
    return sorted(kept, key=lambda found: found[0])


def free_ranges(ranges: Ranges) -> list[tuple[int, int]]:
    """What lies between the ranges of a sorted list, first and last index."""
    free = []
    start = 0
    for first, last, _ in ranges:
        if first > start:
            free.append((start, first - 1))
        start = last + 1
    if start <= MAX_INDEX:
        free.append((start, MAX_INDEX))
    return free


class AgainstASortedList(RuleBasedStateMachine):
    """The same stores in a maple tree and in a sorted list."""

    tree: MapleTree
    ranges: Ranges
    stored = 0
    space = SPACES[0]

    @initialize(
        alloc=st.booleans(),
        rcu=st.booleans(),
        space=st.sampled_from(SPACES),
        fill=st.sampled_from(["nothing", "stores", "bulk"]),
        ends=st.sampled_from([(), (0,), (MAX_INDEX,), (0, MAX_INDEX)]),
    )
    def make(self, alloc: bool, rcu: bool, space: int, fill: str, ends: tuple[int, ...]) -> None:
        self.tree = MapleTree(alloc=alloc, rcu=rcu)
        self.ranges = []
        self.space = space
        if fill == "bulk":
            self.load_in_bulk(2)
        for end in ends:
            self.put(end, end)
        if fill == "stores":
            for first in range(0, space, 4):
                self.put(first, first + 1 + first % 3)

    def put(self, first: int, last: int, kind: str = "entry") -> None:
        entry = self.entry(kind)
        self.tree.store(first, last, entry)
        self.ranges = overwrite(self.ranges, first, last, entry)

    def entry(self, kind: str) -> Any:
        self.stored += 1
        return {"null": None, "zero": ZERO_ENTRY, "tagged": TaggedEntry(-self.stored)}.get(
            kind, self.stored
        )

    @rule(where=st.floats(0, 1, exclude_max=True), length=st.integers(1, 9), kind=KINDS)
    def store(self, where: float, length: int, kind: str) -> None:
        first = int(where * self.space)
        self.put(first, first + length - 1, kind)

    @rule(where=st.floats(0, 1, exclude_max=True), share=st.floats(0, 1), kind=KINDS)
    def store_wide(self, where: float, share: float, kind: str) -> None:
        first = int(where * self.space)
        self.put(first, first + int(share * self.space), kind)

    @rule(length=st.integers(0, 9), at_top=st.booleans(), kind=KINDS)
    def store_at_an_end_of_all_indices(self, length: int, at_top: bool, kind: str) -> None:
        self.put(*(MAX_INDEX - length, MAX_INDEX) if at_top else (0, length), kind)

    @rule(where=st.floats(0, 1, exclude_max=True), kind=KINDS)
    def store_up_to_the_top(self, where: float, kind: str) -> None:
        self.put(int(where * self.space), MAX_INDEX, kind)

    @rule(
        where=st.floats(0, 1, exclude_max=True),
        length=st.integers(1, 60),
        kind=KINDS,
        between=st.booleans(),
    )
    def store_in_steps(self, where: float, length: int, kind: str, between: bool) -> None:
        """As the engine does: reserve, build in private, publish."""
        first = int(where * self.space)
        last = first + length - 1
        entry = self.entry(kind)
        plan = self.tree.preallocate(first, last, entry)
        if between:  # Somebody else stores before anything was built.
            self.put(first + 1, first + 3)
        before = dump_tree(self.tree)
        plan = self.tree.build(plan)
        assert dump_tree(self.tree) == before, "what is built is seen"
        reserved = self.tree.prealloc_count(plan)
        write = self.tree.publish(plan)
        assert len(write.born) <= reserved
        self.ranges = overwrite(self.ranges, first, last, entry)

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

    @rule(
        where=st.floats(0, 1, exclude_max=True),
        high=st.sampled_from(["space", "twice", "far", "last"]),
        size=st.sampled_from([1, 2, 5, 40, 4000, 1 << 40]),
    )
    @precondition(lambda self: self.tree.alloc)
    def search_gaps(self, where: float, high: str, size: int) -> None:
        low = int(where * self.space)
        space = self.space
        top = {"space": space, "twice": 2 * space, "far": 1 << 48, "last": MAX_INDEX - 1}[high]
        if top - low < size - 1:
            return
        fitting = [
            (max(first, low), min(last, top))
            for first, last in free_ranges(self.ranges)
            if min(last, top) - max(first, low) >= size - 1
        ]
        upwards = (fitting[0][0], fitting[0][0] + size - 1) if fitting else None
        downwards = (fitting[-1][1] - size + 1, fitting[-1][1]) if fitting else None
        assert self.tree.empty_area(low, top, size) == upwards
        if self.ranges or not self.tree.height:
            assert self.tree.empty_area_rev(low, top, size) == downwards
        else:
            # A leaf that is one null: its length, 2^64, reads as 0.
            assert self.tree.empty_area_rev(low, top, size) is None

    @rule(goes_on=st.booleans(), where=st.floats(0, 1, exclude_max=True))
    def dup(self, goes_on: bool, where: float) -> None:
        twin = self.tree.dup()
        twin.check()
        before = dump_tree(self.tree)
        assert dump_tree(twin) == before
        if goes_on:
            self.tree.destroy()
            self.tree = twin
            return
        twin.store(int(where * self.space), self.space, "of the copy")
        assert dump_tree(self.tree) == before

    @rule()
    @precondition(lambda self: self.stored % 5 == 0)
    def destroy(self) -> None:
        live = {node.id for node in self.tree.nodes()}
        self.tree.destroy()
        assert not self.tree
        if self.tree.rcu:
            assert live <= set(self.tree.dead)
        self.ranges = []

    @rule(step=st.integers(1, 5))
    @precondition(lambda self: not self.ranges and not self.tree.height)
    def load_in_bulk(self, step: int) -> None:
        entries: Ranges = []
        for first in range(0, self.space, 2 * step):
            self.stored += 1
            entries.append((first, first + step - 1, self.stored))
        bulk_store(self.tree, entries)
        self.ranges = entries

    @rule()
    @precondition(lambda self: self.stored % 3 == 0)
    def change_the_mode(self) -> None:
        self.tree.free_all()
        self.tree.rcu = not self.tree.rcu

    @rule()
    @precondition(lambda self: self.stored % 7 == 0)
    def end_every_grace_period(self) -> None:
        self.tree.free_all()

    @invariant()
    def the_tree_is_valid_and_holds_the_same(self) -> None:
        if hasattr(self, "tree"):
            self.tree.check()
            assert list(self.tree.iter_range()) == self.ranges
            assert self.tree.walk(0) == (
                self.ranges[0][2] if self.ranges and not self.ranges[0][0] else None
            )

    @invariant()
    def readers_do_not_see_zero_entries(self) -> None:
        if hasattr(self, "tree"):
            seen = next((r for r in self.ranges if not is_zero_entry(r[2])), None)
            assert self.tree.find(0) == seen
            if self.ranges:
                entry = self.tree.load(self.ranges[-1][0])
                assert (entry is None) is is_zero_entry(self.ranges[-1][2])


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
