"""Copies: the duplicate fork makes, pickles, deep copies, and the identity of a world."""

import copy
import pickle

from pfviz.mm.maple import MapleTree, MaState, dump_tree
from pfviz.sim.fingerprint import fingerprint


def busy_tree() -> MapleTree:
    tree = MapleTree()
    for number in range(200):
        tree.store(30 * number, 30 * number + 19, number)
    tree.clear(600, 900)
    assert tree.dead
    return tree


def test_a_duplicate_has_the_same_nodes_and_none_of_the_originals() -> None:
    tree = busy_tree()
    twin = tree.dup()
    twin.check()
    assert dump_tree(twin) == dump_tree(tree)
    assert not set(map(id, twin.nodes())) & set(map(id, tree.nodes()))
    assert next(node.id for node in twin.nodes()) == 1
    before = dump_tree(tree)
    twin.store(0, 3000, "x")
    assert dump_tree(tree) == before


def test_a_duplicate_of_a_tree_without_nodes_keeps_the_root_entry() -> None:
    tree = MapleTree()
    assert dump_tree(tree.dup()) == [0, None]
    tree.store(0, 0, "zero")
    assert dump_tree(tree.dup()) == [0, "zero"]


def test_pickled_and_deep_copied_trees_go_on_alike() -> None:
    tree = busy_tree()
    reader = MaState(45)
    tree.walk_step(reader)
    for twin, mas in (
        pickle.loads(pickle.dumps((tree, reader))),
        copy.deepcopy((tree, reader)),
    ):
        twin.check()
        assert set(twin.dead) == set(tree.dead)
        assert mas.node is twin.root
        assert fingerprint(twin) == fingerprint(tree)
        twin.store(45, 47, "new")
        twin.check()
        assert fingerprint(twin) != fingerprint(tree)


def test_a_large_tree_pickles_without_deep_recursion() -> None:
    tree = MapleTree()
    for number in range(3000):
        tree.store(30 * number, 30 * number + 19, number)
    assert len(tree.dead) > 3000
    assert dump_tree(pickle.loads(pickle.dumps(tree))) == dump_tree(tree)


def test_node_ids_come_from_the_tree_alone() -> None:
    first, second = busy_tree(), busy_tree()
    assert [node.id for node in first.nodes()] == [node.id for node in second.nodes()]
    assert fingerprint(first) == fingerprint(second)


def test_destroying_a_tree_kills_every_node() -> None:
    tree = busy_tree()
    tree.free_all()
    ids = {node.id for node in tree.nodes()}
    tree.destroy()
    assert set(tree.dead) == ids
    assert dump_tree(tree) == [0, None]
    tree.check()
