"""brk: the heap grows by merging and shrinks like a small munmap."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.address_space import BRK_BASE
from pfviz.mm.operations import PAGE_SIZE, Access, Brk
from pfviz.sim import event
from tests.worlds import Scene, at, world


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def test_the_heap_is_made_once_and_then_grows() -> None:
    scene = world("6.12")
    scene.thread("t", Brk(4), Brk(4))
    done(scene)
    (heap,) = scene.mm.tree
    assert (heap.vm_start, heap.pages, heap.kind) == (BRK_BASE, 8, "heap")
    assert scene.mm.brk == BRK_BASE + 8 * PAGE_SIZE
    assert len(scene.events(event.VMA_NEW)) == 1
    assert scene.results() == [BRK_BASE + 4 * PAGE_SIZE, BRK_BASE + 8 * PAGE_SIZE]


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_a_shrinking_heap_downgrades_and_gives_its_pages_back(kernel: str) -> None:
    scene = world(kernel)
    scene.thread("t", Brk(8), Access(at(BRK_BASE), write=True, pages=8), Brk(-6))
    done(scene)
    (heap,) = scene.mm.tree
    assert heap.pages == 2
    assert scene.engine.world.frames.used == 2
    assert len(scene.events(event.LOCK_DOWNGRADED)) == 1


def test_the_first_heap_vma_is_stored_by_mas_store_gfp_which_only_6_1_traces() -> None:
    for kernel, traced in (("6.1", True), ("6.12", False)):
        scene = world(kernel).vma("wall", 1)
        scene.thread("t", Brk(4))
        names = done(scene).functions()
        assert "mas_store_gfp" in names
        told = [row["function"] for row in scene.events(event.MA_WRITE) if row["task"] >= 0]
        assert ("mas_store_gfp" in told) is traced
        assert "mas_store_prealloc" not in told


def test_6_0_links_the_heap_in_one_step_for_nothing_has_to_be_built() -> None:
    scene = world("6.0").vma("wall", 1)
    scene.thread("t", Brk(4))
    names = done(scene).functions()
    assert names[names.index("vm_area_alloc") + 1 :][:1] == ["vma_link"]
    assert "mas_store_gfp" not in names


def test_a_growing_heap_does_not_swallow_what_lies_above() -> None:
    scene = world("6.12").vma("wall", 1, start=BRK_BASE + 4 * PAGE_SIZE)
    scene.thread("t", Brk(4), Brk(1))
    done(scene)
    assert scene.results()[1] == -12
    assert scene.mm.brk == BRK_BASE + 4 * PAGE_SIZE
    assert len(scene.layout()) == 2, "brk merges with the VMA below only"


def test_a_break_below_the_start_changes_nothing() -> None:
    scene = world("6.12")
    scene.thread("t", Brk(-1), Brk(0))
    assert done(scene).results() == [BRK_BASE, BRK_BASE]


@pytest.mark.parametrize("kernel", ["6.4", "6.12", "6.18"])
def test_a_growing_heap_waits_for_the_faults_in_it(kernel: str) -> None:
    scene = world(kernel, zero=30_000)
    scene.thread("t", Brk(8), Access(at(BRK_BASE), write=True), Brk(4))
    grow = scene.thread("grow", Brk(4), cpu=1, after_ns=70_000)
    scene.thread("fault", Access(at(BRK_BASE, 2), write=True), cpu=0, after_ns=60_000)
    done(scene)
    assert scene.events(event.OP_END, grow)[0]["latency_ns"] > 10_000
