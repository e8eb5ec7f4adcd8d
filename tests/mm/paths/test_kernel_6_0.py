"""Linux 6.0 from end to end: every path under mmap_lock, the red-black tree in its own steps."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    Access,
    Brk,
    Exit,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    OperationList,
    ReadProc,
)
from pfviz.mm.rb_vma_tree import RbVmaTree
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim import event
from tests.worlds import Scene, at, world

FIXED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED


def done(scene: Scene) -> Scene:
    """Run to the end with every rule checked after every step."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    scene.mm.tree.check()
    return scene


def in_order(names: list[str], wanted: list[str]) -> bool:
    rest = iter(names)
    return all(name in rest for name in wanted)


def test_a_fault_asks_the_vmacache_before_the_tree() -> None:
    scene = world("6.0").vma("heap", 8)
    scene.thread("t", Access(at("heap"), write=True, pages=2))
    names = done(scene).functions()
    assert in_order(
        names,
        ["lock_mm_and_find_vma", "vmacache_find", "find_vma", "access_error", "mmap_read_unlock",
         "lock_mm_and_find_vma", "vmacache_find", "access_error", "mmap_read_unlock"],
    )  # fmt: skip
    assert names.count("find_vma") == 1, "the second fault hits"
    assert {row["regime"] for row in scene.events(event.FAULT_END)} == {0}


def test_an_unmap_makes_the_next_fault_walk_again() -> None:
    scene = world("6.0").vma("heap", 8).vma("other", 1, "r")
    scene.thread("t", Access(at("heap")), Munmap(at("other"), 1), Access(at("heap", 1)))
    assert done(scene).functions().count("find_vma") == 2
    told = [row["what"] for row in scene.events(event.VMACACHE)]
    assert told == ["miss", "update", "invalidate", "flush", "miss", "update"]


def test_mmap_links_the_new_vma() -> None:
    scene = world("6.0").vma("heap", 8)
    scene.thread("t", Mmap(4, prot=1, slot="new"), Access(at("new")))
    names = done(scene).functions()
    assert in_order(names, ["__get_unmapped_area", "vm_area_alloc", "vma_link", "__mmap_complete"])
    (write,) = [row for row in scene.events(event.TREE_WRITE) if row["task"] >= 0]
    assert write["function"] == "vma_rb_insert"


def test_a_mapping_that_merges_moves_a_gap_and_no_node() -> None:
    scene = world("6.0").vma("heap", 8)
    scene.thread("t", Mmap(4))
    assert "__vma_adjust" in done(scene).functions()
    assert [pages[1] - pages[0] for pages in scene.layout()] == [12]
    writes = [row["function"] for row in scene.events(event.TREE_WRITE) if row["task"] >= 0]
    assert writes == ["vma_gap_update"]


def test_munmap_of_the_middle_cuts_twice_and_the_old_vma_stays_below() -> None:
    scene = world("6.0").vma("heap", 8).touched("heap", 4)
    heap = scene.vmas["heap"]
    scene.thread("t", Munmap(at("heap", 2), 3))
    names = done(scene).functions()
    assert in_order(names, ["__vma_adjust", "__vma_adjust", "detach_vmas_to_be_unmapped"])
    low, high = scene.mm.tree
    assert (low, low.pages, high.pages) == (heap, 2, 3)
    assert len(scene.events(event.LOCK_DOWNGRADED)) == 1
    writes = [row["function"] for row in scene.events(event.TREE_WRITE) if row["task"] >= 0]
    assert writes == ["vma_gap_update", "vma_rb_insert"] * 2 + ["vma_rb_erase"]


@pytest.mark.parametrize(("kernel", "downgrades"), [("6.0", 0), ("6.1", 0), ("6.12", 1)])
def test_munmap_right_below_a_stack_keeps_the_write_lock(kernel: str, downgrades: int) -> None:
    """Until 6.4: the stack might grow into the range under the read lock."""
    scene = world(kernel).vma("stack", 4, flags=VM_GROWSDOWN).vma("below", 4, "r")
    scene.thread("t", Munmap(at("below"), 4))
    assert len(done(scene).events(event.LOCK_DOWNGRADED)) == downgrades
    assert not scene.mm.mmap_lock.held


def test_a_stack_grows_under_the_read_lock_and_only_gaps_change() -> None:
    scene = world("6.0").vma("stack", 4, flags=VM_GROWSDOWN).touched("stack")
    thread = scene.thread("t", Access(at("stack", -3), write=True))
    done(scene)
    assert scene.layout()[0][1] - scene.layout()[0][0] == 7
    assert not [row for row in scene.events(event.LOCK_ACQUIRED, thread)
                if row["lock"] == scene.mm.mmap_lock.id and row["mode"] == event.WRITE]  # fmt: skip
    writes = [row["function"] for row in scene.events(event.TREE_WRITE, thread)]
    assert writes == ["vma_gap_update"]


def test_a_store_without_the_write_lock_breaks_a_rule() -> None:
    scene = world("6.0").vma("heap", 8)
    thread = scene.thread("t", Access(at("heap")))
    scene.engine.task = thread
    scene.mm.tree.store(scene.engine, scene.named("heap"), scene.named("heap") + 0x8000, None, "")
    scene.engine.task = None
    assert [broken.rule for broken in scene.engine.world.broken] == ["I9"]


def test_fork_builds_the_childs_tree_in_ascending_order() -> None:
    scene = world("6.0")
    for number in range(12):
        scene.vma(f"v{number}", 2, "r" if number % 2 else "rw")
    scene.thread("t", Fork(OperationList((Access(at("v3")), Exit()))), Access(at("v0"), write=True))
    names = done(scene).functions()
    assert in_order(names, ["dup_mmap", "__vma_link_rb", "copy_page_range", "flush_tlb_mm"])
    parent, child = scene.engine.world.mms
    assert child.exited
    assert len(child.tree) == 0
    inserted = [row["index"] for row in scene.events(event.TREE_WRITE) if row["mm"] == child.id]
    assert inserted == [vma.vm_start for vma in parent.tree]
    roots = [
        (row["node"], row["height"])
        for row in scene.events(event.TREE_ROOT)
        if row["mm"] == child.id
    ]
    assert roots == [(1, 1), (2, 1), (2, 2), (4, 2), (4, 3), (-1, 0)], "it grows to the right"


def test_a_child_begins_with_an_empty_vmacache() -> None:
    scene = world("6.0").vma("heap", 4)
    scene.thread("t", Access(at("heap")), Fork(OperationList((Access(at("heap", 1)), Exit()))))
    child = done(scene).engine.world.mms[1]
    told = [row["what"] for row in scene.events(event.VMACACHE) if row["mm"] == child.id]
    assert told == ["miss", "update"]


def test_reading_maps_follows_the_list() -> None:
    scene = world("6.0")
    for number in range(6):
        scene.vma(f"v{number}", 2, "r" if number % 2 else "rw")
    thread = scene.thread("reader", ReadProc("maps"))
    done(scene)
    firsts = {row["index"] for row in scene.events(event.TREE_WALK, thread)}
    assert len(firsts) <= 2, "it walks to the first VMA only; vm_next leads to the others"
    assert scene.results(thread)[-1] >= 0


def test_everything_else_works_and_leaves_nothing_behind() -> None:
    scene = world("6.0").vma("a", 16).touched("a", 8)
    scene.file_vma("f", scene.file("lib.so", 8), 4)
    scene.thread(
        "t",
        Mprotect(at("a", 4), 4, 1), Access(at("a", 4)), Mprotect(at("a", 4), 4, 3),
        Mmap(4, at=at("a", 8), flags=FIXED, prot=1), Madvise(at("a"), 4, "dontneed"),
        Brk(8), Brk(-4), ReadProc("smaps"), Munmap(at("a"), 16), Exit(),
    )  # fmt: skip
    done(scene)
    assert isinstance(scene.mm.tree, RbVmaTree)
    assert scene.mm.exited
    assert len(scene.mm.tree) == 0


def test_a_world_of_6_0_can_be_copied_in_the_middle() -> None:
    scene = world("6.0").vma("a", 16)
    scene.thread("t", Access(at("a"), write=True, pages=8), Munmap(at("a", 2), 2))
    scene.engine.run(steps_max=60)
    twin = scene.engine.copy(with_log=True)
    scene.run()
    twin.run()
    assert twin.log.digest() == scene.engine.log.digest()
