"""How far a stack may grow: its limit, and the gap that guards it from what lies below."""

from __future__ import annotations

import pytest

from pfviz.mm.maple import WritePlan
from pfviz.mm.operations import PAGE_SIZE, Access
from pfviz.mm.paths.stack import RLIMIT_STACK
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import STACK_GUARD_GAP, VM_GROWSDOWN, Vma
from pfviz.mm.vma_tree import VmaTree
from pfviz.mm.world import Mm
from pfviz.sim import event
from tests.mm.fault_scenes import kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
MAPLE = [name for name, preset in PRESETS.items() if preset.tree == "maple"]
GUARD_PAGES = STACK_GUARD_GAP // PAGE_SIZE


def below_the_stack(kernel: str, pages: int, wall: int = 0) -> Scene:
    """A write so many pages below a stack of four; something mapped `wall` pages below it."""
    scene = world(kernel).vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    scene.touched("stack")
    if wall:
        scene.vma("wall", 1, start=BASE - (wall + 1) * PAGE_SIZE)
    scene.thread("t", Access(at("stack", -pages), write=True))
    return scene.run()


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_stack_keeps_256_pages_between_itself_and_what_lies_below(kernel: str) -> None:
    free = below_the_stack(kernel, pages=4, wall=GUARD_PAGES + 4)
    assert kinds(free) == ["stack_growth"]
    assert free.vmas["stack"].pages == 8
    near = below_the_stack(kernel, pages=5, wall=GUARD_PAGES + 4)
    assert kinds(near) == ["segv_unmapped"]
    assert near.vmas["stack"].pages == 4


@pytest.mark.parametrize("kernel", PRESETS)
def test_a_stack_grows_up_to_its_limit_and_no_further(kernel: str) -> None:
    most = RLIMIT_STACK // PAGE_SIZE
    assert kinds(below_the_stack(kernel, pages=most - 4)) == ["stack_growth"]
    beyond = below_the_stack(kernel, pages=most - 3)
    assert kinds(beyond) == ["segv_unmapped"]
    assert beyond.vmas["stack"].pages == 4


@pytest.mark.parametrize("kernel", PRESETS)
def test_the_page_table_lock_is_taken_by_growers_until_6_17(kernel: str) -> None:
    scene = below_the_stack(kernel, pages=1)
    lock = scene.mm.page_tables.page_table_lock.id
    grown = next(one["now_ns"] for one in scene.events(event.VMA_CHANGED)
                 if one["why"] == "stack growth")  # fmt: skip
    taken = [one["now_ns"] for one in scene.events(event.LOCK_ACQUIRED) if one["lock"] == lock]
    freed = [one["now_ns"] for one in scene.events(event.LOCK_RELEASED) if one["lock"] == lock]
    held = any(began <= grown <= ended for began, ended in zip(taken, freed, strict=True))
    assert held == (kernel not in ("6.18", "7.2", "beyond"))


@pytest.mark.parametrize("kernel", MAPLE)
def test_the_tree_shows_the_growth_after_vm_start_and_under_the_anon_vma_lock(kernel: str) -> None:
    scene = below_the_stack(kernel, pages=1)
    anon_vma = scene.vmas["stack"].anon_vma
    assert anon_vma is not None
    rows = [row for row in scene.engine.log if row[2] == scene.events(event.TREE_STORE)[-1]["task"]]
    told = [row[1] for row in rows if row[1] in (event.VMA_CHANGED, event.TREE_NODE_BUILT,
            event.TREE_STORE) or (row[1] in (event.LOCK_ACQUIRED, event.LOCK_RELEASED)
                                  and row[3] == anon_vma.rwsem.id)]  # fmt: skip
    assert told[-5:] == [
        event.LOCK_ACQUIRED, event.VMA_CHANGED, event.TREE_NODE_BUILT, event.TREE_STORE,
        event.LOCK_RELEASED,
    ]  # fmt: skip


@pytest.mark.parametrize("kernel", ["6.0", "6.1", "6.4", "6.18"])
def test_who_finds_the_stack_grown_by_another_stores_nothing(kernel: str) -> None:
    scene = world(kernel, cpus=4).vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    scene.touched("stack")
    for cpu in range(3):
        scene.thread(f"t{cpu}", Access(at("stack", -1), write=True), cpu=cpu)
    scene.run()
    assert scene.vmas["stack"].pages == 5
    kind = event.TREE_WRITE if kernel == "6.0" else event.TREE_STORE
    assert len([row for row in scene.events(kind) if row["task"] >= 0]) == 1
    assert scene.mm.page_tables.page_table_lock.holder is None


@pytest.mark.parametrize("kernel", MAPLE)
def test_tree_nodes_are_reserved_before_a_spinlock_is_held(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    plain = VmaTree.prealloc

    def watched(tree: VmaTree, engine: Mm, start: int, end: int, vma: Vma | None) -> WritePlan:
        assert engine.task is not None
        held.append(engine.task.preempt_count)
        return plain(tree, engine, start, end, vma)

    monkeypatch.setattr(VmaTree, "prealloc", watched)
    assert kinds(below_the_stack(kernel, pages=1)) == ["stack_growth"]
    assert held == [0]


@pytest.mark.parametrize("perms", ["", "rw"])
def test_the_gap_guards_from_memory_that_can_be_touched(perms: str) -> None:
    scene = world("6.12").vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    scene.touched("stack").vma("below", 1, perms, start=BASE - 4 * PAGE_SIZE)
    scene.thread("t", Access(at("stack", -1), write=True))
    assert kinds(scene.run()) == (["segv_unmapped"] if perms else ["stack_growth"])


def test_two_stacks_need_no_gap_between_them() -> None:
    scene = world("6.12").vma("stack", 4, start=BASE, flags=VM_GROWSDOWN, kind="stack")
    scene.touched("stack").vma("below", 1, start=BASE - 4 * PAGE_SIZE, flags=VM_GROWSDOWN)
    scene.thread("t", Access(at("stack", -1), write=True))
    assert kinds(scene.run()) == ["stack_growth"]
