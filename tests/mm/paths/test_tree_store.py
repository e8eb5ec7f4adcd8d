"""A store builds its nodes in one step and publishes them in another; in place it would not do."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PROT_READ, Access, Mmap, Munmap
from pfviz.mm.policy import Policy
from pfviz.sim import event
from tests.worlds import Scene, at, world

LOW = 0x7000_0000_0000


def crowded(count: int = 30, policy: Policy | None = None) -> Scene:
    """VMAs of one page with gaps between them; from the ninth on the tree has two levels."""
    made = world("6.12", policy=policy, cpus=4)
    for index in range(count):
        made.vma(f"v{index}", 1, start=LOW + (index << 14)).touched(f"v{index}", 0)
    return made


@pytest.mark.parametrize(("count", "builder"), [(5, "mas_wr_node_store"), (30, "mas_split")])
def test_new_nodes_are_built_before_they_are_published(count: int, builder: str) -> None:
    made = crowded(count)
    writer = made.thread("writer", Mmap(1, PROT_READ, at=at(LOW + 0x2000), flags=0x32))
    made.run()
    rows = [row for row in made.engine.log if row[2] == writer.id]
    built = [row for row in rows if row[1] == event.TREE_NODE_BUILT]
    (store,) = made.events(event.TREE_STORE, writer)
    detail = store["acts"]
    assert {row[3] for row in built} == set(detail[2])
    assert all(row[0] < store["now_ns"] for row in built)
    assert builder in made.functions(writer)


def test_a_store_says_which_node_took_whose_place() -> None:
    made = crowded()
    writer = made.thread("writer", Munmap(at("v2"), 40))
    made.run()
    stores = [found["acts"] for found in made.events(event.TREE_STORE, writer)]
    for _, _, born, dead, _, replaced, _ in stores:
        assert [old for old, _ in replaced] == list(dead)
        assert {new for _, heirs in replaced for new in heirs} <= set(born)
    assert any(len(dead) > 1 for _, _, _, dead, *_ in stores)


def broken_rules(count: int, policy: Policy) -> set[str]:
    """What a reader and a writer in one leaf break, over all the ways in which they can meet."""
    found: set[str] = set()
    for delay_ns in range(0, 2_400, 20):
        made = crowded(count, policy)
        made.thread("reader", Access(at("v4"), write=True), after_ns=delay_ns)
        hole = at(LOW + 0x2000)
        made.thread("writer", Mmap(1, PROT_READ, at=hole, flags=0x32), Munmap(hole, 1), cpu=1)
        made.run()
        found |= {broken.rule for broken in made.engine.world.broken}
    return found


def test_nodes_changed_in_place_would_mislead_readers() -> None:
    assert broken_rules(5, Policy(tree_in_place=True)) == {"I4"}, "slots move under the reader"
    assert "I3" in broken_rules(30, Policy(tree_in_place=True)), "a split gives the leaf back"
    assert not broken_rules(5, Policy()) | broken_rules(30, Policy())


def test_what_is_replaced_before_the_run_is_not_left_for_readers() -> None:
    made = crowded()
    assert made.mm.tree.dead_nodes == 0
    assert not made.events(event.RCU_CALLBACK)
