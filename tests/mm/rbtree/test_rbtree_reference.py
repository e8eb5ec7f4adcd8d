"""Random operations on the tree, against a sorted list; every invariant after each of them."""

import math
import pickle
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pfviz.mm.rbtree import RbTree, RbWrite

PAGES = 64
LENGTHS = st.integers(1, 12)
Range = tuple[int, int, int]
"""(start, end, guard) in pages."""


def words(tree: RbTree) -> dict[int, tuple[Any, ...]]:
    """What the tree stores in each node, its place in the list aside."""
    return {
        node.id: (node.start, node.end, node.color, node.parent, node.left, node.right,
                  node.subtree_gap)
        for node in tree
    }  # fmt: skip


class RangesInAList(RuleBasedStateMachine):
    """A sorted list of ranges does what the tree does, slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = RbTree()
        self.ranges: list[Range] = []

    def index_at(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, len(self.ranges) - 1))

    @rule(start=st.integers(0, PAGES - 1), pages=st.integers(1, 6), guard=st.sampled_from((0, 4)))
    def insert(self, start: int, pages: int, guard: int) -> None:
        end = start + pages
        if any(low < end and high > start for low, high, _ in self.ranges):
            with pytest.raises(ValueError, match="is taken"):
                self.tree.insert(start, end, None, guard)
            return
        before = words(self.tree)
        node, write = self.tree.insert(start, end, (start, end), guard)
        self.ranges = sorted([*self.ranges, (start, end, guard)])
        assert (write.function, write.node) == ("vma_rb_insert", node.id)
        self.compare_record(before, write)

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        start, _, _ = self.ranges.pop(self.index_at(data))
        before = words(self.tree)
        node = self.tree.find(start)
        assert node is not None
        write = self.tree.erase(node)
        assert node.id not in self.tree.nodes
        assert node.id not in write.touched
        self.compare_record(before, write)

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def resize(self, data: st.DataObject) -> None:
        index = self.index_at(data)
        old, end, guard = self.ranges[index]
        low = self.ranges[index - 1][1] if index else 0
        high = self.ranges[index + 1][0] if index + 1 < len(self.ranges) else end + 4
        start = data.draw(st.integers(low, high - 1))
        stop = data.draw(st.integers(start + 1, high))
        self.ranges[index] = start, stop, guard
        before = words(self.tree)
        node = self.tree.find(old)
        assert node is not None
        write = self.tree.resize(node, start, stop)
        assert not write.rotations
        assert not write.recolored
        self.compare_record(before, write)

    @precondition(lambda self: self.ranges)
    @rule(data=st.data())
    def refuse_to_touch_a_neighbour(self, data: st.DataObject) -> None:
        start, end, _ = self.ranges[self.index_at(data)]
        following = next((low for low, _, _ in self.ranges if low >= end), None)
        if following is not None:
            node = self.tree.find(start)
            assert node is not None
            with pytest.raises(ValueError, match="does not fit"):
                self.tree.resize(node, start, following + 1)

    def compare_record(self, before: dict[int, tuple[Any, ...]], write: RbWrite) -> None:
        """The record names every node that looks different now, and the new colours."""
        after = words(self.tree)
        changed = {node for node in after if after[node] != before.get(node)}
        assert changed <= set(write.touched)
        assert list(write.touched) == sorted(write.touched)
        painted = [
            node for node in sorted(after) if node in before and after[node][2] != before[node][2]
        ]
        assert list(write.recolored) == painted

    @rule(address=st.integers(0, PAGES + 8))
    def find(self, address: int) -> None:
        path: list[int] = []
        node = self.tree.find(address, path)
        expected = next((low for low, high, _ in self.ranges if high > address), None)
        assert (None if node is None else node.start) == expected
        assert path[:1] == [self.tree.root][: len(self.ranges)]
        assert len(path) <= 2 * math.log2(len(self.ranges) + 1)

    @rule(low=st.integers(0, PAGES), room=st.integers(0, PAGES), pages=LENGTHS)
    def search_gaps(self, low: int, room: int, pages: int) -> None:
        high = low + room
        ends = [0, *(end for _, end, _ in self.ranges)]
        # A guard reaches no further down than to the range below, as in vma_compute_gap.
        taken = [
            (max(start - guard, below), end)
            for (start, end, guard), below in zip(self.ranges, ends, strict=False)
        ]
        fits = [
            start
            for start in range(low, high - pages + 1)
            if all(start + pages <= first or start >= end for first, end in taken)
        ]
        top = self.tree.gap_topdown(low, high, pages)
        bottom = self.tree.gap_bottomup(low, high, pages)
        pairs = zip(self.ranges, ends, strict=False)
        if any(guard and start - guard < below for (start, _, guard), below in pairs):
            # A guard over the range below it hides gaps from the kernel's search, and from ours.
            assert top in (None, *fits)
            assert bottom in (None, *fits)
            return
        assert top == (max(fits) if fits else None)
        assert bottom == (min(fits) if fits else None)

    @invariant()
    def holds(self) -> None:
        self.tree.check()
        assert [(node.start, node.end, node.guard) for node in self.tree] == self.ranges
        assert self.tree.highest_end == (self.ranges[-1][1] if self.ranges else 0)


TestRangesInAList = RangesInAList.TestCase
TestRangesInAList.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


def test_a_tree_of_any_size_can_be_pickled() -> None:
    tree = RbTree()
    for number in range(20_000):
        tree.insert(2 * number, 2 * number + 1, number)
    copy: RbTree = pickle.loads(pickle.dumps(tree))
    copy.check()
    assert words(copy) == words(tree)
    assert len(path_to(copy, 39_998)) <= 2 * math.log2(20_001)


def path_to(tree: RbTree, address: int) -> list[int]:
    path: list[int] = []
    assert tree.find(address, path) is not None
    return path


def test_an_erased_id_never_comes_back() -> None:
    tree = RbTree()
    first, _ = tree.insert(1, 2, None)
    tree.erase(first)
    second, _ = tree.insert(1, 2, None)
    assert (first.id, second.id) == (1, 2)
