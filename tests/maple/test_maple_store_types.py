"""Each store type: when the kernel chooses it, what is replaced, how many nodes it reserves."""

from typing import Any

import pytest

from pfviz.mm.maple import MAX_INDEX, MapleTree, Write, dump_tree
from pfviz.mm.maple.write import STORE_TYPES
from pfviz.mm.presets import PRESETS
from tests.maple.edge_cases import (
    EDGE_CASES,
    a_leaf_borrows_from_its_left_cousin,
    a_null_that_widens_over_everything,
    leaves_of,
)


def full_leaf(*, rcu: bool = True, entries: int = 15) -> MapleTree:
    """One leaf: ranges of ten indices side by side from 0 on, then null up to the top."""
    tree = MapleTree(rcu=rcu)
    for number in range(entries):
        tree.store(10 * number, 10 * number + 9, number + 1)
    return tree


def two_leaves() -> MapleTree:
    tree = full_leaf()
    tree.store(150, 159, 16)
    assert tree.height == 2
    return tree


def planned(tree: MapleTree, first: int, last: int, entry: int | None) -> str:
    return tree.preallocate(first, last, entry).store_type


def test_the_store_type_follows_from_what_the_leaf_would_hold() -> None:
    tree = full_leaf()
    small = full_leaf(entries=3)
    wide = two_leaves()
    seen = {
        "store_root": planned(MapleTree(), 5, 9, 1),
        "new_root": planned(tree, 0, MAX_INDEX, 1),
        "exact_fit": planned(tree, 20, 29, 1),
        "append": planned(full_leaf(rcu=False, entries=8), 90, 99, 1),
        "slot_store": planned(tree, 20, 34, 1),
        "node_store": planned(small, 40, 49, 1),
        "split_store": planned(tree, 22, 25, 1),
        "rebalance": planned(wide, 10, 69, 1),
        "spanning_store": planned(wide, 30, 120, 1),
    }
    assert seen == {name: name for name in STORE_TYPES}


def test_rcu_moves_at_most_one_boundary_in_place() -> None:
    assert planned(full_leaf(rcu=True), 15, 34, 1) == "node_store"
    assert planned(full_leaf(rcu=False), 15, 34, 1) == "slot_store"


def test_a_null_that_ends_at_a_leafs_edge_spans() -> None:
    tree = two_leaves()
    edge = next(tree.nodes()).pivots[0]
    assert planned(tree, edge - 9, edge, None) == "spanning_store"
    assert planned(tree, edge - 9, edge, 5) == "exact_fit"


def test_in_place_kinds_replace_no_node() -> None:
    tree = full_leaf()
    for first, last in ((20, 29), (20, 34)):
        write = tree.store(first, last, "x")
        assert (write.born, write.dead, write.changed) == ((), (), [tree.root.id])


def test_a_node_store_replaces_the_leaf_under_rcu_only() -> None:
    tree = two_leaves()
    parent = tree.root
    leaf = parent.slots[0]
    assert tree.store(2, 4, "x").store_type == "node_store"
    write = tree.last_write
    assert write is not None
    assert write.dead == (leaf.id,)
    assert write.born == (parent.slots[0].id,)
    assert parent.id in write.changed
    tree.rcu = False
    write = tree.store(6, 7, "x")
    assert (write.store_type, write.born, write.dead) == ("node_store", (), ())


def test_a_split_of_the_root_leaf_grows_the_tree() -> None:
    tree = full_leaf()
    old = tree.root
    write = tree.store(22, 25, "x")
    assert write.store_type == "split_store"
    assert tree.height == 2
    assert write.dead == (old.id,)
    assert set(write.born) == {node.id for node in tree.nodes()}
    assert [act.name for act in write.rearrangements] == ["split", "final"]


def test_an_overfull_leaf_pushes_to_its_sibling_before_it_splits() -> None:
    tree = two_leaves()
    for number in range(16, 30):
        tree.store(10 * number, 10 * number + 9, number)
        if tree.last_write is not None and tree.last_write.rearrangements:
            break
    assert tree.last_write is not None
    assert [act.name for act in tree.last_write.rearrangements] == ["push_left", "final"]
    assert tree.height == 2


def test_a_spanning_store_over_everything_leaves_one_slot() -> None:
    tree = two_leaves()
    write = tree.store(0, MAX_INDEX, "all")
    assert write.store_type == "spanning_store"
    assert dump_tree(tree) == [1, ["L", 0, MAX_INDEX, [MAX_INDEX], ["all"]]]
    assert len(write.dead) == 3


@pytest.mark.parametrize("case", EDGE_CASES)
def test_a_store_at_an_edge_leaves_what_follows_by_hand(case: Any) -> None:
    tree, leaves = case()
    assert leaves_of(tree) == leaves
    tree.check()


def test_a_null_that_widens_over_everything_leaves_no_node() -> None:
    tree, _ = a_null_that_widens_over_everything()
    write = tree.last_write
    assert write is not None
    assert (write.first, write.end) == (0, MAX_INDEX)
    assert (dump_tree(tree), write.born, len(write.dead)) == ([0, None], (), 3)


def test_a_whole_leaf_comes_from_another_parent() -> None:
    tree, _ = a_leaf_borrows_from_its_left_cousin()
    write = tree.last_write
    assert write is not None
    acts = [(act.name, act.level, act.total) for act in write.rearrangements]
    assert acts[:3] == [("gather", 1, 3), ("borrow_prev", 1, 18), ("make2", 1, 18)]


@pytest.mark.parametrize("kernel", ["6.12", "7.2"])
def test_reserved_nodes_cover_what_is_born(kernel: str) -> None:
    tree = MapleTree()
    state = 12345
    born_by_type: dict[str, int] = {}
    exceeded = set()
    for _ in range(3000):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        first = state % 9000
        last = first + state // 9000 % (300 if state % 17 == 0 else 9)
        plan = tree.preallocate(first, last, None if state % 3 == 0 else state)
        reserved = tree.prealloc_count(plan, kernel)
        write: Write = tree.store_prealloc(plan)
        born_by_type[write.store_type] = max(born_by_type.get(write.store_type, 0), len(write.born))
        # Newer kernels stop a rebuild where nothing changes any more; this tree goes to the root.
        if kernel == "6.12" or write.store_type in ("split_store", "node_store"):
            assert len(write.born) <= reserved, write
        elif len(write.born) > reserved:
            exceeded.add(write.store_type)
        tree.free_all()
    assert exceeded <= {"rebalance", "spanning_store"}
    assert bool(exceeded) is (kernel == "7.2")
    assert born_by_type["split_store"] > 1
    assert born_by_type["spanning_store"] > 2


def test_reserved_nodes_follow_the_table_of_the_kernel() -> None:
    tree = two_leaves()
    for first, last, entry, old, new in (
        (2, 4, 1, 1, 1),  # node_store
        (10, 69, 1, 3, 5),  # rebalance: the root has room but cannot spare a child
        (30, 120, 1, 7, 7),  # spanning_store: stops at the root, where nothing is known yet
        (20, 29, 1, 0, 0),  # exact_fit
    ):
        plan = tree.preallocate(first, last, entry)
        counts = tree.prealloc_count(plan, "6.12"), tree.prealloc_count(plan, "7.2")
        assert counts == (old, new), plan.store_type


@pytest.mark.parametrize("kernel", [name for name in PRESETS if name != "6.0"])
def test_reserved_nodes_are_those_of_the_release(kernel: str) -> None:
    """Up to 6.5 preallocation knows no store types; since 6.16 it knows where room is."""
    early = kernel in ("6.1", "6.4", "6.5")
    late = kernel in ("6.17", "6.18", "7.2", "beyond")
    tree = two_leaves()
    for first, last, entry, then, since_6_6, since_6_16 in (
        (2, 4, 1, 7, 1, 1),  # node_store
        (10, 69, 1, 7, 3, 5),  # rebalance
        (30, 120, 1, 7, 7, 7),  # spanning_store
        (20, 29, 1, 7, 0, 0),  # exact_fit
        (0, MAX_INDEX, 1, 7, 7, 7),  # everything
    ):
        expected = then if early else since_6_16 if late else since_6_6
        plan = tree.preallocate(first, last, entry)
        assert tree.prealloc_count(plan, kernel) == expected, plan.store_type
        # A store that was not preallocated asks for what its type needs, in every release.
        plan = tree.preallocate(first, last, entry, "mas_store_gfp")
        assert tree.prealloc_count(plan, kernel) == (since_6_16 if late else since_6_6)
        assert tree.publish(tree.build(plan), kernel).prealloc == (
            since_6_16 if late else since_6_6
        )
        tree = two_leaves()


def test_a_plan_made_in_another_mode_is_made_anew() -> None:
    tree = full_leaf(rcu=False)
    plan = tree.build(tree.preallocate(15, 34, "x"))
    assert plan.store_type == "slot_store"
    tree.rcu = True
    with pytest.raises(AssertionError, match="RCU mode changed"):
        tree.publish(plan)
    old = tree.root
    write = tree.store_prealloc(plan)
    assert write.store_type == "node_store"
    assert old.is_dead, "a reader may still stand on the leaf"
    assert tree.walk(20) == "x"


@pytest.mark.parametrize("entries", [0, 1, 40])
def test_a_tree_without_gaps_has_no_gap_search(entries: int) -> None:
    tree = MapleTree(alloc=False)
    for number in range(entries):
        tree.store(3 * number, 3 * number, number)
    for search in (tree.empty_area, tree.empty_area_rev):
        with pytest.raises(ValueError, match="a tree without gaps has no gap search"):
            search(0, 1000, 1)


def test_a_split_reserves_for_fewer_levels_since_levels_with_room_are_known() -> None:
    tree = MapleTree()
    for number in range(400):
        tree.store(10 * number, 10 * number + 9, number)
    assert tree.height == 3
    for first in range(0, 4000, 10):
        plan = tree.preallocate(first + 2, first + 4, "x")
        if plan.store_type == "split_store":
            break
    assert plan.node is not None
    above = plan.node.parent
    assert above is not None
    expected = 3 if above.end < 9 else 5
    assert tree.prealloc_count(plan, "6.12") == 7
    assert tree.prealloc_count(plan, "7.2") == expected


def test_a_store_over_nearly_everything_shrinks_the_tree_where_nothing_can_be_borrowed() -> None:
    tree = MapleTree()
    for first in range(0, 5000, 4):
        tree.store(first, first + 1 + first % 3, first)
    assert tree.height == 4
    heights = set()
    for last in range(4001, 5000, 8):
        twin = tree.dup()
        twin.store(0, last, "wide")
        twin.check()
        assert next(twin.iter_range()) == (0, last, "wide")
        assert list(twin.iter_range(last + 1))[1:] == list(tree.iter_range(last + 1))[1:]
        heights.add(twin.height)
    assert heights == {1, 2, 3}
