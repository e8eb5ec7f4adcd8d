"""Readers walk without a lock: a dead node sends them back to the root, freed memory is noticed."""

from pfviz.mm.maple import MAX_INDEX, MapleTree, MaState, walk_load, walk_scan


def tree_of(entries: int, *, rcu: bool = True) -> MapleTree:
    tree = MapleTree(rcu=rcu)
    for number in range(entries):
        tree.store(10 * number, 10 * number + 9, number)
    tree.free_all()
    return tree


def finish(tree: MapleTree, mas: MaState) -> MaState:
    while not tree.walk_step(mas):
        pass
    return mas


def test_a_walk_stands_on_one_node_of_each_level_in_turn() -> None:
    tree = tree_of(100)
    mas = MaState(123)
    stood = []
    while not tree.walk_step(mas):
        assert mas.node is not None
        stood.append((mas.node.type_name, mas.depth))
        assert mas.min <= 123 <= mas.max
        assert (mas.node.min, mas.node.max) == (mas.min, mas.max)
    kinds = ["maple_arange_64"] * (tree.height - 1) + ["maple_leaf_64"]
    assert stood == [(kind, depth) for depth, kind in enumerate(kinds)]
    assert (mas.status, mas.entry, mas.index, mas.last) == ("found", 12, 120, 129)


def test_a_walk_of_a_tree_without_nodes_ends_at_once() -> None:
    tree = MapleTree()
    mas = finish(tree, MaState(7))
    assert (mas.status, mas.index, mas.last) == ("none", 0, MAX_INDEX)
    tree.store(0, 0, "zero")
    mas = finish(tree, MaState(7))
    assert (mas.status, mas.index, mas.last) == ("none", 1, MAX_INDEX)
    mas = finish(tree, MaState(0))
    assert (mas.status, mas.entry) == ("root", "zero")


def test_a_reader_on_a_leaf_that_died_restarts_from_the_root() -> None:
    tree = tree_of(100)
    mas = MaState(123)
    for _ in range(tree.height):
        assert not tree.walk_step(mas)
    leaf = mas.node
    assert leaf is not None
    assert leaf.is_leaf
    write = tree.store(122, 125, "new")
    assert leaf.id in write.dead
    assert leaf.is_dead
    assert leaf.id in tree.dead
    assert not tree.walk_step(mas), "the slot of a dead node must not be trusted"
    assert (mas.restarts, mas.node, mas.status) == (1, None, "start")
    assert finish(tree, mas).entry == "new"


def test_a_reader_above_a_concurrent_split_finds_the_new_leaf_without_restarting() -> None:
    tree = tree_of(100)
    mas = MaState(123)
    while not (mas.node is not None and mas.depth == tree.height - 2):
        assert not tree.walk_step(mas)
    assert tree.store(122, 124, "new").store_type in ("split_store", "node_store")
    if not mas.node.is_dead:
        assert finish(tree, mas).entry == "new"
        assert mas.restarts == 0
    else:
        assert finish(tree, mas).restarts == 1


def test_every_reader_sees_the_old_or_the_new_entry_wherever_it_stands() -> None:
    for steps in range(6):
        for first, last in ((120, 129), (122, 124), (118, 124), (60, 400)):
            tree = tree_of(100)
            mas = MaState(123)
            for _ in range(steps):
                tree.walk_step(mas)
            seen_early = mas.entry if mas.is_done else None
            tree.store(first, last, "new")
            finish(tree, mas)
            assert mas.entry == (seen_early if seen_early is not None else "new")
            assert mas.entry in (12, "new")


def test_a_reader_in_a_dead_node_after_its_grace_period_reads_freed_memory() -> None:
    tree = tree_of(100)
    mas = MaState(123)
    for _ in range(tree.height):
        tree.walk_step(mas)
    assert mas.node is not None
    dead = mas.node.id
    assert dead in tree.store(122, 125, "new").dead
    tree.free(dead)
    assert dead not in tree.dead
    assert tree.walk_step(mas)
    assert mas.status == "freed"


def test_without_rcu_a_replaced_node_is_freed_under_its_reader() -> None:
    tree = tree_of(100, rcu=False)
    mas = MaState(123)
    for _ in range(tree.height):
        tree.walk_step(mas)
    tree.store(60, 400, "wide")
    assert not tree.dead
    assert finish(tree, mas).status == "freed"


def test_a_leaf_changed_in_place_between_scan_and_load_gives_a_wrong_entry() -> None:
    """What RCU mode prevents: the slot chosen by old pivots is loaded from new slots."""
    wrong = []
    for rcu in (True, False):
        tree = tree_of(6, rcu=rcu)
        mas = MaState(43)
        tree.walk_step(mas)
        walk_scan(mas)
        assert tree.store(2, 4, "new").store_type == "node_store"
        walk_load(tree, mas)
        finish(tree, mas)
        wrong.append(mas.entry != 4)
        assert mas.restarts == (1 if rcu else 0)
    assert wrong == [False, True]


def test_nothing_built_is_seen_before_it_is_published() -> None:
    tree = tree_of(100)
    before = list(tree.iter_range())
    nodes = [node.id for node in tree.nodes()]
    plan = tree.build(tree.preallocate(122, 402, "new"))
    assert plan.graft is not None
    assert plan.graft.born
    tree.check()
    assert list(tree.iter_range()) == before
    assert [node.id for node in tree.nodes()] == nodes
    assert finish(tree, MaState(123)).entry == 12
    write = tree.publish(plan)
    tree.check()
    assert finish(tree, MaState(123)).entry == "new"
    assert set(write.dead) == {node.id for node in plan.graft.dead} == set(tree.dead)


def test_a_plan_made_before_another_store_is_made_anew() -> None:
    tree = tree_of(15)
    plan = tree.preallocate(22, 24, "late")
    assert plan.store_type == "split_store"
    tree.store(0, 119, "early")
    write = tree.store_prealloc(plan)
    assert write.store_type == "node_store"
    tree.check()
    assert tree.walk(23) == "late"
