"""Bulk loading leaves nodes nearly full, as fork did from 6.1 to 6.7."""

import pytest

from pfviz.mm.maple import MapleTree, bulk_store, expected_nodes


def test_bulk_loading_fills_leaves_that_plain_stores_leave_half_empty() -> None:
    ranges = [(20 * i, 20 * i + 9, i + 1) for i in range(400)]
    bulk = MapleTree(rcu=False)
    writes = bulk_store(bulk, ranges)
    bulk.check()
    assert len(writes) == 400
    shuffled = MapleTree(rcu=False)
    for first, last, entry in sorted(ranges, key=lambda found: found[2] * 7919 % 401):
        shuffled.store(first, last, entry)
    assert list(bulk.iter_range()) == list(shuffled.iter_range()) == ranges
    assert len(list(bulk.nodes())) < 0.85 * len(list(shuffled.nodes()))


def test_the_expected_entries_reserve_enough_nodes() -> None:
    for entries in (1, 5, 40, 400):
        for gap in (0, 10):
            tree = MapleTree(rcu=False)
            bulk_store(tree, [(20 * i, 20 * i + 19 - gap, i + 1) for i in range(entries)])
            assert len(list(tree.nodes())) <= expected_nodes(tree, entries)
    assert expected_nodes(MapleTree(), 100) == 15 + 2 + 3
    assert expected_nodes(MapleTree(alloc=False), 100) == 15 + 2 + 3


def test_ranges_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="must ascend: 5 to 9 follows 29"):
        bulk_store(MapleTree(), [(20, 29, 1), (5, 9, 2)])
