"""fork: what is copied under which locks, and what goes wrong when faults are not kept out."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import Access, Compute, Exit, Fork, OperationList, Sleep
from pfviz.mm.page_table import PRESENT, WRITABLE
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.worlds import Scene, at, world

CHILD = OperationList((Sleep(1_000_000), Exit()))


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


def two_vmas(kernel: str) -> Scene:
    """A parent with one touched VMA and one without an anon_vma."""
    return world(kernel, cpus=4).vma("a", 8).touched("a").vma("untouched", 8, "r")


@pytest.mark.parametrize("kernel", ["6.1", "6.4", "6.12", "6.18"])
def test_the_child_gets_the_same_vmas_and_shares_the_pages(kernel: str) -> None:
    scene = two_vmas(kernel)
    scene.thread("t", Fork(OperationList((Sleep(1_000_000),)), child_cpu=1))
    done(scene)
    parent, child = scene.engine.world.mms
    assert [(v.vm_start, v.vm_end, v.perms) for v in child.tree] == [
        (v.vm_start, v.vm_end, v.perms) for v in parent.tree
    ]
    assert all(vma.mm is child for vma in child.tree)
    child.tree.maple.check()
    address = scene.named("a")
    for mm in (parent, child):
        assert mm.page_tables.pte(address) & (PRESENT | WRITABLE) == PRESENT
    assert scene.engine.world.frames.used == 8


def test_the_order_is_the_recorded_one() -> None:
    """As traced on 6.12.117: two VMA locks per VMA, anon_vma twice, child first unlocked."""
    scene = world("6.12", cpus=4).vma("a", 8).touched("a")
    thread = scene.thread("t", Fork(CHILD, child_cpu=1))
    names = done(scene).functions(thread)
    wanted = ["vma_start_write", "vm_area_dup", "anon_vma_clone", "anon_vma_fork",
              "vma_iter_bulk_store", "copy_page_range", "flush_tlb_mm", "mmap_write_unlock",
              "wake_up_new_task"]  # fmt: skip
    assert [name for name in names if name in wanted] == [
        "vma_start_write", "vm_area_dup", "anon_vma_clone", "anon_vma_fork", "vma_start_write",
        "vma_iter_bulk_store", "copy_page_range", "flush_tlb_mm", "mmap_write_unlock",
        "wake_up_new_task",
    ]  # fmt: skip
    released = [one["lock"] for one in scene.events(event.LOCK_RELEASED, thread)]
    parent, child = (mm.mmap_lock.id for mm in scene.engine.world.mms)
    assert [lock for lock in released if lock in (parent, child)] == [child, parent]


def forked(kernel: str, count: int) -> Scene:
    """A parent with so many VMAs, gaps between them, and its child, which is still there."""
    scene = world(kernel, cpus=4)
    for number in range(count):
        scene.vma(f"v{number}", 1, "r", start=0x7000_0000_0000 + (number << 14))
    scene.thread("t", Fork(OperationList((Sleep(1_000_000),)), child_cpu=1))
    return done(scene)


@pytest.mark.parametrize("kernel", [name for name in PRESETS if PRESETS[name].tree == "maple"])
def test_the_childs_tree_is_filled_as_its_kernel_does_it(kernel: str) -> None:
    """One store per VMA, bulk-built until 6.7; since 6.8 into a copy of the parent's nodes."""
    scene = forked(kernel, 40)
    parent, child = scene.engine.world.mms
    stores = [row["type"] for row in scene.events(event.TREE_STORE) if row["mm"] == child.id]
    names = scene.functions()
    assert len(stores) == 40
    if PRESETS[kernel].fork_tree == "mt_dup":
        assert (names.count("__mt_dup"), names.count("mas_expected_entries")) == (1, 0)
        assert names.index("__mt_dup") < names.index("vma_iter_bulk_store")
        assert set(stores) == {"exact_fit"}
        assert child.tree.maple.height == parent.tree.maple.height
    else:
        assert (names.count("__mt_dup"), names.count("mas_expected_entries")) == (0, 1)
        assert names.index("mas_expected_entries") < names.index("mas_store")
        assert stores.count("split_store") == names.count("mas_split") > 1
        assert stores[0] == "store_root"
        assert stores.count("append") > 20, "with nobody walking, a leaf with room is extended"
    child.tree.check()


@pytest.mark.parametrize("kernel", ["6.1", "6.4", "6.7"])
def test_a_split_in_the_childs_tree_is_built_before_it_is_published(kernel: str) -> None:
    scene = forked(kernel, 40)
    child = scene.engine.world.mms[1]
    told = [row for row in scene.events(event.TREE_STORE) if row["mm"] == child.id]
    rows = scene.engine.log
    built = {row[3]: row[0] for row in rows if row[1] == event.TREE_NODE_BUILT}
    splits = [row for row in told if row["type"] == "split_store"]
    assert splits
    for row in splits:
        assert all(built[node] < row["now_ns"] for node in row["acts"][2])


def test_reserving_for_fork_costs_as_many_nodes_as_gaps_could_need() -> None:
    """mas_expected_entries: (2 * 40 + 1) slots in leaves of 14, inner nodes of 8, three spare."""
    scene = forked("6.1", 40)
    steps = [row for row in scene.engine.log if row[1] == event.STEP and row[3] >= 0]
    names = [scene.engine.log.steps[row[3]].function for row in steps]
    at_step = names.index("mas_expected_entries")
    node_ns = scene.engine.machine.costs["ma_node"]
    assert steps[at_step + 1][0] - steps[at_step][0] == (6 + 1 + 3) * node_ns


def test_vmas_without_pages_of_their_own_are_not_copied_page_by_page() -> None:
    scene = world("6.12").vma("a", 8, "r")
    file = scene.file("lib.so", 8, present=8)
    scene.file_vma("lib", file, 8)
    scene.thread("t", Access(at("lib"), pages=8), Fork(CHILD))
    done(scene)
    assert "copy_present_ptes" not in scene.functions()


def test_both_sides_copy_on_write_after_fork() -> None:
    scene = world("6.18", cpus=4).vma("a", 2).touched("a")
    write = Access(at("a"), write=True)
    child = OperationList((Sleep(50_000), write))
    scene.thread("t", Fork(child, child_cpu=1), write)
    done(scene)
    kinds = sorted(found["kind"] for found in scene.events(event.FAULT_END))
    assert kinds == ["anon_reuse", "cow_after_fork"]
    parent, child_mm = scene.engine.world.mms
    address = scene.named("a")
    assert parent.page_tables.pte(address) != child_mm.page_tables.pte(address)


def test_faults_fall_back_while_fork_holds_their_vma() -> None:
    scene = world("6.12", cpus=4, copy_pte=5_000).vma("a", 64).touched("a", 60)
    scene.thread("fork", Fork(CHILD, child_cpu=3))
    scene.thread("fault", Compute(30_000), Access(at("a", 62), write=True), cpu=1)
    done(scene)
    falls = scene.events(event.FAULT_FALLBACK)
    assert falls
    assert falls[0]["counter"] == "vma_lock_abort"


@pytest.mark.parametrize(("kernel", "breaks"), [("6.4", True), ("6.12", False), ("6.18", False)])
def test_6_4_0_lets_faults_run_in_vmas_that_fork_copies(kernel: str, breaks: bool) -> None:
    """Linux 6.4.0 to 6.4.2 did not lock the parent's VMAs: random corruption of memory."""
    scene = world(kernel, cpus=4, copy_pte=5_000, exception_entry=100).vma("a", 64)
    scene.touched("a", 60)
    scene.thread("fork", Fork(CHILD, child_cpu=3))
    scene.thread("fault", Compute(30_000), Access(at("a", 0), write=True, pages=64), cpu=1)
    rules.run(scene.engine, every_steps=1)
    assert ("F1" in {broken.rule for broken in scene.engine.world.broken}) is breaks


def test_skipping_the_vma_lock_in_fork_breaks_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    from pfviz.mm.paths import fork

    monkeypatch.setattr(fork, "vma_start_write", lambda engine, thread, vma, then: then)
    scene = world("6.18", cpus=4, copy_pte=5_000).vma("a", 64).touched("a", 60)
    scene.thread("fork", Fork(CHILD, child_cpu=3))
    scene.thread("fault", Compute(30_000), Access(at("a", 0), write=True, pages=64), cpu=1)
    rules.run(scene.engine, every_steps=1)
    assert "F1" in {broken.rule for broken in scene.engine.world.broken}


def test_exit_of_the_child_gives_everything_back() -> None:
    scene = world("6.12", cpus=4).vma("a", 8).touched("a")
    scene.thread("t", Fork(OperationList((Access(at("a"), write=True), Exit())), child_cpu=1))
    done(scene)
    _, child = scene.engine.world.mms
    assert child.exited
    assert len(child.tree) == 0
    assert child.page_tables.table_count == 0
    assert scene.engine.world.frames.used == 8
