"""The trace events of a store are those recorded on Linux 6.12, in the kernel's order."""

import pytest

from pfviz.mm.maple import MAX_INDEX, MapleTree, TraceEvent, Write


def vma_tree(entries: int) -> MapleTree:
    tree = MapleTree()
    for number in range(entries):
        tree.store(10 * number, 10 * number + 9, number + 1)
    return tree


def stored(tree: MapleTree, first: int, last: int, entry: object) -> Write:
    return tree.store_prealloc(tree.preallocate(first, last, entry))


def names(write: Write, kernel: str = "6.12") -> list[str]:
    return [f"{line.event} {line.fn}" for line in write.trace(kernel)]


# As in the recordings of mprotect (a split), of a growing heap, of an unmapping and of fork.
@pytest.mark.parametrize(
    ("first", "last", "entry", "expected"),
    [
        (20, 29, "x", ["ma_write mas_store_prealloc"]),
        (20, 34, "x", ["ma_write mas_store_prealloc", "ma_write mas_wr_slot_store"]),
        (20, 44, "x", ["ma_write mas_store_prealloc", "ma_write mas_wr_node_store"]),
        (
            22,
            25,
            "x",
            [
                "ma_write mas_store_prealloc",
                "ma_write mas_wr_bnode",
                "ma_op mas_split",
            ],
        ),
    ],
)
def test_a_leafs_stores_emit_what_was_recorded(
    first: int, last: int, entry: object, expected: list[str]
) -> None:
    assert names(stored(vma_tree(15), first, last, entry)) == expected


def test_a_span_is_noticed_while_preallocating() -> None:
    write = stored(vma_tree(30), 22, 250, "x")
    assert names(write) == [
        "ma_write mas_is_span_wr",
        "ma_write mas_store_prealloc",
        "ma_op mas_wr_spanning_store",
    ]
    assert write.trace()[0].piv == write.r_max
    assert names(vma_tree(30).clear(22, 250)) == [
        "ma_write mas_is_span_wr",
        "ma_op mas_wr_spanning_store",
    ]


def test_a_rebalance_goes_through_the_big_node() -> None:
    tree = vma_tree(16)
    write = stored(tree, 10, 69, "x")
    assert write.store_type == "rebalance"
    assert names(write)[1:] == ["ma_write mas_wr_bnode", "ma_op mas_rebalance"]
    assert names(write, "7.2")[1:] == ["ma_op mas_wr_rebalance"]


def test_a_node_store_shows_the_old_leaf_and_then_the_new_one() -> None:
    tree = vma_tree(6)
    old = tree.root
    write = stored(tree, 12, 14, "x")
    asked, done = write.trace()
    assert asked == TraceEvent(
        "ma_write", "mas_store_prealloc", 0, MAX_INDEX, 12, 14, old.id, 0, "x"
    )
    assert (done.fn, done.node_id) == ("mas_wr_node_store", tree.root.id)
    assert done.node_id != asked.node_id


def test_preallocation_has_widened_a_null_before_it_is_stored() -> None:
    """Recorded at exec: clearing the old end of the stack shows a range up to the maximum."""
    tree = vma_tree(6)
    write = stored(tree, 50, 59, None)
    assert [(line.index, line.last) for line in write.trace()] == [(50, MAX_INDEX)] * 2


def test_callers_that_emit_nothing_leave_only_the_store() -> None:
    tree = vma_tree(15)
    assert names(tree.clear(22, 25)) == ["ma_write mas_wr_bnode", "ma_op mas_split"]
    write = tree.clear(52, 55, via="mas_store_gfp")
    assert names(write, "6.1")[0] == "ma_write mas_store_gfp"
    tree = vma_tree(6)
    tree.erase(25)
    assert tree.last_write is not None
    assert names(tree.last_write)[0] == "ma_op mtree_erase"
    assert tree.last_write.trace()[0].node_id == 0


@pytest.mark.parametrize("index", [25, 29, 59])
def test_erase_announces_itself_before_it_knows_the_range(index: int) -> None:
    """The trace point stands before the walk: it shows the index twice and no node."""
    tree = vma_tree(30 if index == 29 else 6)
    assert tree.erase(index) == index // 10 + 1
    write = tree.last_write
    assert write is not None
    assert (write.index, write.last) == (index // 10 * 10, index // 10 * 10 + 9)
    announced, *done = write.trace()
    assert announced == TraceEvent("ma_op", "mtree_erase", 0, MAX_INDEX, index, index, 0)
    assert all(line.index <= write.first for line in done)
    assert tree.clear(0, 9).asked is None
    single = MapleTree()
    single.store(0, 0, "root")
    single.erase(0)
    assert single.last_write is not None
    assert single.last_write.trace()[0].fn == "mtree_erase"
