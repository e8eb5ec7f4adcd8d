"""A walk under RCU takes time: nodes may be replaced under it, and it notices."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import PROT_READ, Access, Mmap
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages
from tests.worlds import Scene, at, world


def tall(kernel: str, mode: str, **costs: int) -> Scene:
    """A tree of three levels: VMAs of one page with gaps between them."""
    made = world(kernel, mode, cpus=4, **costs)
    for index in range(100):
        made.vma(f"v{index}", 1, start=0x7000_0000_0000 + (index << 14))
    return made


@pytest.mark.parametrize(("kernel", "mode"), [("6.12", "per-vma"), ("6.18", "lockless")])
def test_a_walk_visits_one_node_a_step(kernel: str, mode: str) -> None:
    made = tall(kernel, mode)
    thread = made.thread("t", Access(at("v50")))
    made.run()
    walks = made.events(event.TREE_WALK, thread)
    height = made.mm.tree.maple.height
    assert height > 1
    times = [walk["now_ns"] for walk in walks[:height]]
    assert len(set(times)) == height


def test_a_node_that_died_under_a_walk_sends_it_back_to_the_root() -> None:
    restarted = 0
    for delay_ns in range(0, 4_000, 50):
        made = tall("6.12", "per-vma", walk_level=400)
        reader = made.thread("reader", Access(at("v50"), write=True), after_ns=delay_ns)
        low = 0x7000_0000_0000 + (50 << 14) + 0x2000
        made.thread("writer", Mmap(1, PROT_READ, at=at(low), flags=0x32), cpu=1)
        made.run()
        restarted += sum(walk["slot"] == -1 for walk in made.events(event.TREE_WALK, reader))
        check_pages(made)
        assert made.results(reader) == [0]
    assert restarted
