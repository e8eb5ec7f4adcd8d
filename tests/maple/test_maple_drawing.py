"""Drawings of trees: whole when small, folded around the marks when large."""

from pfviz.mm.maple import MAX_INDEX, MapleTree, draw_tree, dump_tree
from pfviz.mm.maple.census import Census
from pfviz.mm.maple.compare import differences
from pfviz.mm.maple.dump import entries_of


def tree_of(entries: int) -> MapleTree:
    tree = MapleTree()
    for number in range(entries):
        tree.store(4096 * 3 * number, 4096 * (3 * number + 2) - 1, number + 1)
    return tree


def test_a_small_tree_is_drawn_slot_by_slot() -> None:
    tree = MapleTree()
    tree.store(5, 9, 1)
    tree.store(8192, 12287, 2)
    assert draw_tree(dump_tree(tree)) == [
        "height 1, 1 nodes",
        "leaf_64 0–max  5/16",
        "     0 0–4  ·",
        "     1 5–9  1",
        "     2 10–1fff  ·",
        "     3 2000–2fff  2",
        "     4 3000–max  ·",
    ]


def test_a_tree_without_nodes_is_drawn_too() -> None:
    assert draw_tree([0, None]) == ["no node: empty in the root pointer"]
    assert draw_tree([0, 7], {(): "why"}) == [
        "no node: entry 7 at index 0 in the root pointer   ◀ why"
    ]


def test_a_large_tree_is_folded_around_its_marks() -> None:
    dump = dump_tree(tree_of(2000))
    assert len(draw_tree(dump)) < 5
    path = (1, 3, 0)
    lines = draw_tree(dump, {path: "here"})
    assert len(lines) < 40
    assert sum("◀ here" in line for line in lines) == 1
    assert any("more" in line for line in lines)


def test_two_trees_that_differ_in_one_slot_are_marked_there_only() -> None:
    ours = tree_of(300)
    theirs = ours.dup()
    theirs.store(4096 * 3 * 77, 4096 * (3 * 77 + 2) - 1, "other")
    marks = differences(dump_tree(theirs), dump_tree(ours))
    assert len(marks) == 1
    ((path, text),) = marks.items()
    assert text.startswith("slot ")
    assert text.endswith(" 'other' recorded, 78 here")
    assert len(path) == ours.height - 1


def test_a_wrong_gap_is_marked_on_its_node() -> None:
    ours = tree_of(300)
    theirs = ours.dup()
    theirs.root.gaps[1] = 1
    theirs.root.gap_slot = 0
    assert differences(dump_tree(theirs), dump_tree(ours)) == {
        (): f"gap 1 1 recorded, 1000 here, gap slot 0 recorded, {ours.root.gap_slot} here"
    }
    assert differences(dump_tree(ours), dump_tree(ours.dup())) == {}


def test_a_census_counts_nodes_entries_and_fill() -> None:
    tree = tree_of(300)
    census = Census.of(dump_tree(tree))
    nodes = list(tree.nodes())
    assert census.nodes == len(nodes)
    assert census.leaves == sum(node.is_leaf for node in nodes) == sum(census.occupancy)
    assert census.entries == len(tree) == len(entries_of(dump_tree(tree))) == 300
    assert census.levels[0] == 1
    assert len(census.levels) == census.height == tree.height
    assert Census.of([0, None]).entries == 0


def test_no_entry_of_a_tree_reaches_the_terminal_raw() -> None:
    tree = MapleTree()
    tree.store(0, MAX_INDEX, "\x1b[31m")
    assert "\x1b" not in "".join(draw_tree(dump_tree(tree)))
