"""512 MiB of resident memory: small in our memory, quick to fork, free and copy."""

from __future__ import annotations

import pickle

from pfviz.mm.operations import Exit, Fork, Munmap, OperationList
from pfviz.mm.policy import Policy
from pfviz.sim import event
from tests.worlds import at, world

PAGES = 512 * 256


def test_half_a_gibibyte_is_forked_unmapped_and_given_back() -> None:
    scene = world("6.12", cpus=4).vma("big", PAGES).touched("big")
    assert len(pickle.dumps(scene.engine)) < 8 << 20
    child = OperationList((Exit(),))
    scene.thread("t", Fork(child, child_cpu=1), Munmap(at("big"), PAGES))
    scene.run()
    assert scene.engine.world.frames.used == 0
    took = {one["op"]: one["latency_ns"] for one in scene.events(event.OP_END)}
    assert 5_000_000 < took["fork"] < 10_000_000, "about 50 ns for each page"
    assert 2_000_000 < took["munmap"] < 10_000_000


def test_page_tables_can_be_freed_by_interrupt_instead_of_a_grace_period() -> None:
    policy = Policy(page_table_free="ipi")
    scene = world("6.12", cpus=2, policy=policy).vma("big", 2048, start=0x7000_0000_0000)
    scene.touched("big")
    table = scene.mm.page_tables.walk(scene.named("big"))
    thread = scene.thread("t", Munmap(at("big"), 2048))
    scene.run(until_ns=1_000_000)
    assert scene.results(thread) == [0]
    assert table is not None
    assert table.is_freed
