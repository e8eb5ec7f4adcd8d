"""A node's memory: 256 bytes, with the end of the node where the kernel keeps it."""

from pfviz.mm.maple import MAX_INDEX, MapleTree
from pfviz.mm.maple.node import NODE_BYTES
from pfviz.mm.maple.raw import raw_words


def tree_of(entries: int) -> MapleTree:
    tree = MapleTree()
    for number in range(entries):
        tree.store(10 * number, 10 * number + 9, number)
    return tree


def test_a_leaf_with_room_keeps_its_end_in_the_last_slots_word() -> None:
    words = raw_words(tree_of(3).root)
    assert len(words) * 8 == NODE_BYTES
    assert [word.value for word in words[1:5]] == [9, 19, 29, MAX_INDEX]
    assert [word.value for word in words[16:20]] == [0, 1, 2, None]
    assert words[5] == ("pivot", 4, 0, False)
    assert words[-1] == ("meta", 0, (3, 0), True)


def test_a_full_leaf_stores_no_last_pivot_and_no_end() -> None:
    words = raw_words(tree_of(15).root)
    assert sum(word.field == "pivot" for word in words) == 15
    assert all(word.value != MAX_INDEX for word in words)
    assert words[-1] == ("slot", 15, None, True)


def test_an_arange_node_has_gaps_and_its_own_metadata() -> None:
    tree = tree_of(40)
    words = raw_words(tree.root)
    assert len(words) * 8 == NODE_BYTES - 8
    assert [word.value for word in words if word.field == "gap" and word.in_use] == tree.root.gaps
    assert words[-1].value == (tree.root.end, tree.root.gap_slot)
    assert words[0].value == (None, 0)
    leaf = tree.root.slots[1]
    assert raw_words(leaf)[0].value == (tree.root, 1)


def test_a_freed_node_has_no_words() -> None:
    tree = tree_of(3)
    node = tree.root
    tree.store(2, 4, "x")
    assert raw_words(node)[0].value == (node, 0), "a dead node points to itself"
    tree.free_all()
    assert raw_words(node) == []
