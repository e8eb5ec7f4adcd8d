"""How many nodes a store into the VMA tree reserves, as the preset's kernel counts them."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PAGE_SIZE
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_READ
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim import event
from tests.worlds import Scene, world

BASE = 0x7F00_0000_0000
COUNT = 80
WORST_CASE = ("6.1", "6.4", "6.5")
BY_HEIGHT = ("6.6", "6.7", "6.8", "6.9", "6.10", "6.12", "6.15")
BY_ROOM = ("6.17", "6.18", "7.2", "beyond")


def tree_of(scene: Scene) -> VmaTree:
    tree = scene.mm.tree
    assert isinstance(tree, VmaTree)
    return tree


def reserved(kernel: str, pages: tuple[int, int]) -> tuple[str, int, int]:
    """Store over so many pages of a tree of three levels.

    Returns the store type, the nodes that prealloc charges, and those in the event.
    """
    scene = world(kernel)
    for number in range(COUNT):
        scene.vma(f"v{number}", 3, start=BASE + 4 * number * PAGE_SIZE)
    tree, engine = tree_of(scene), scene.engine
    assert tree.maple.height == 3
    start, end = (BASE + page * PAGE_SIZE for page in pages)
    vma = vm_area_alloc(engine, scene.mm, start, end, VM_READ, name="new")
    engine.extra_ns = 0
    plan = tree.prealloc(engine, start, end, vma)
    costs = engine.machine.costs
    charged, rest = divmod(engine.extra_ns - costs["ma_store"], costs["ma_node"])
    assert rest == 0
    tree.store_prealloc(engine, plan)
    stores = scene.events(event.TREE_STORE)
    _, told, *_ = stores[-1]["acts"]
    return plan.store_type, charged, told


def test_every_preset_with_a_maple_tree_is_here() -> None:
    assert sorted((*WORST_CASE, *BY_HEIGHT, *BY_ROOM, "6.0")) == sorted(PRESETS)


@pytest.mark.parametrize("kernel", WORST_CASE + BY_HEIGHT + BY_ROOM)
def test_a_store_reserves_what_its_kernel_counts(kernel: str) -> None:
    cases = (
        ((4, 7), "exact_fit", 10, 0, 0),
        ((1, 2), "split_store", 10, 7, 3),
        ((2, 200), "spanning_store", 10, 10, 10),
    )
    for pages, store_type, worst_case, by_height, by_room in cases:
        expected = by_height
        if kernel in WORST_CASE:
            expected = worst_case
        elif kernel in BY_ROOM:
            expected = by_room
        assert reserved(kernel, pages) == (store_type, expected, expected)
