"""A store builds its nodes in one step and publishes them in another; in place it would not do."""

from __future__ import annotations

import pytest

from pfviz.mm.address_space import BRK_BASE
from pfviz.mm.maple import MaState
from pfviz.mm.operations import PAGE_SIZE, PROT_READ, Access, Brk, Mmap, Munmap, Operation
from pfviz.mm.paths import brk, munmap, stack
from pfviz.mm.paths.tree_store import BUILDERS
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim import event
from tests.worlds import Scene, at, world

LOW = 0x7000_0000_0000
STACK = 0x7F00_0000_0000
BUILDS = {build.__name__ for build in BUILDERS.values()}
MAPLE = [name for name, preset in PRESETS.items() if preset.tree == "maple"]

WRITERS: dict[str, tuple[Operation, int]] = {
    "brk": (Brk(4), BRK_BASE),
    "stack": (Access(at("stack", -1), write=True), STACK - PAGE_SIZE),
    "munmap": (Munmap(at("v3"), 1), LOW + (3 << 14)),
}
"""What changes the tree, and an address at which it reads otherwise afterwards."""


def crowded(
    count: int = 30, policy: Policy | None = None, kernel: str = "6.12", **costs: int
) -> Scene:
    """VMAs of one page with gaps between them; from the ninth on the tree has two levels."""
    made = world(kernel, policy=policy, cpus=4, **costs)
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
    assert broken_rules(5, Policy(tree_in_place=True)) == {"T1"}, "slots move under the reader"
    assert "I3" in broken_rules(30, Policy(tree_in_place=True)), "a split gives the leaf back"
    assert not broken_rules(5, Policy()) | broken_rules(30, Policy())


def test_what_is_replaced_before_the_run_is_not_left_for_readers() -> None:
    made = crowded()
    assert made.mm.tree.dead_nodes == 0
    assert not made.events(event.RCU_CALLBACK)


def writing(name: str, kernel: str, **costs: int) -> tuple[Scene, Thread, int]:
    """A crowded world with one writer in it, and the address where that shows."""
    operation, address = WRITERS[name]
    made = crowded(kernel=kernel, **costs)
    made.vma("stack", 4, start=STACK, flags=VM_GROWSDOWN, kind="stack").touched("stack")
    # It closes the gap to another stack: one slot less, which takes a new leaf.
    made.vma("below", 1, start=STACK - 2 * PAGE_SIZE, flags=VM_GROWSDOWN)
    return made, made.thread("writer", operation), address


def run_until(made: Scene, kind: int, writer: Thread) -> None:
    """Go on until the writer's first event of a kind is told."""
    while not made.events(kind, writer):
        assert made.engine.step(), "it never comes"


@pytest.mark.parametrize("kernel", MAPLE)
@pytest.mark.parametrize("name", WRITERS)
def test_a_walk_between_build_and_publication_sees_the_old_tree(name: str, kernel: str) -> None:
    made, writer, address = writing(name, kernel)
    tree = made.mm.tree.maple
    before = tree.walk(address)
    run_until(made, event.TREE_NODE_BUILT, writer)
    assert not made.events(event.TREE_STORE, writer)
    whole, halfway = MaState(address), MaState(address)
    while not tree.walk_step(whole):
        pass
    assert (whole.entry, whole.restarts) == (before, 0)
    while halfway.node is None or not halfway.node.is_leaf:
        assert not tree.walk_step(halfway)
    run_until(made, event.TREE_STORE, writer)
    while not tree.walk_step(halfway):
        pass
    assert halfway.restarts == 1, "the node where it stood is dead"
    assert halfway.entry is not before
    assert (halfway.entry is None) == (name == "munmap")


@pytest.mark.parametrize("kernel", MAPLE)
@pytest.mark.parametrize("name", WRITERS)
def test_reserving_building_and_publishing_are_steps_of_their_own(name: str, kernel: str) -> None:
    made, writer, _ = writing(name, kernel)
    made.run()
    rows = [row for row in made.engine.log if row[2] == writer.id]
    kinds = [row[1] for row in rows]
    built, stored = kinds.index(event.TREE_NODE_BUILT), kinds.index(event.TREE_STORE)
    steps = [made.engine.log.steps[row[3]].function for row in rows if row[1] == event.STEP]
    builder = next(index for index, name in enumerate(steps) if name in BUILDS)
    assert built < kinds.index(event.STEP, built) < stored
    publisher = {"brk": "mas_store_gfp", "stack": "mas_store_prealloc"}
    publisher["munmap"] = PRESETS[kernel].unmap_store
    assert steps[builder + 1] == publisher[name]
    reserver = {"brk": "mas_store_gfp", "stack": "expand_downwards", "munmap": "vma_iter_clear_gfp"}
    if PRESETS[kernel].unmap_store == "mas_store_prealloc":
        reserver["munmap"] = "mas_preallocate"
    assert reserver[name] in steps[:builder]


@pytest.mark.parametrize("name", WRITERS)
def test_what_publishes_in_the_step_that_plans_leaves_no_room_for_a_reader(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (brk, stack, munmap):
        monkeypatch.setattr(path, "build_store", lambda thread, tree, plan, then: then)
    made, writer, _ = writing(name, "6.12")
    made.run()
    assert made.events(event.TREE_STORE, writer)
    assert not made.events(event.TREE_NODE_BUILT, writer)


def looked_up_between(name: str, kernel: str) -> list[str]:
    """Why faults gave up the VMA lock whose whole walk fell between build and publication."""
    causes = []
    for delay_ns in range(0, 12_000, 500):
        made, writer, address = writing(name, kernel, ma_node=2_000)
        reader = made.thread("reader", Access(at(address)), cpu=1, after_ns=delay_ns)
        made.run()
        (built, *_) = made.events(event.TREE_NODE_BUILT, writer)
        (stored, *_) = made.events(event.TREE_STORE, writer)
        falls = made.events(event.FAULT_FALLBACK, reader)
        walks = [walk["now_ns"] for walk in made.events(event.TREE_WALK, reader)]
        if falls and built["now_ns"] < walks[0] < falls[0]["now_ns"] < stored["now_ns"]:
            causes.append(falls[0]["cause"])
    return causes


@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_a_fault_beside_an_unpublished_store_finds_what_was_there(kernel: str) -> None:
    assert set(looked_up_between("brk", kernel)) == {"no VMA at the address"}
    assert "no VMA at the address" not in looked_up_between("munmap", kernel)
