"""munmap: detach under the write lock, downgrade, then free; what others can see meanwhile."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import PAGE_SIZE, Access, Compute, Munmap
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.sim import event
from tests.worlds import Scene, at, world


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    return scene


ORDER = {
    "6.1": ["downgraded", "lru_add_drain", "unmap_vmas", "unlink_anon", "flush", "free"],
    "6.12": ["vma_start_write", "detached", "downgraded", "lru_add_drain", "unmap_vmas",
             "unlink_anon", "flush", "free"],
    "6.18": ["__vma_start_write", "detached", "downgraded", "unmap_vmas", "unlink_anon", "flush",
             "free"],
}  # fmt: skip
NAMES = {
    "vma_start_write": "vma_start_write",
    "__vma_start_write": "__vma_start_write",
    "vma_mark_detached": "detached",
    "vms_complete_munmap_vmas": "downgraded",
    "lru_add_drain": "lru_add_drain",
    "zap_pte_range": "unmap_vmas",
    "unlink_anon_vmas": "unlink_anon",
    "tlb_finish_mmu": "flush",
    "remove_vma": "free",
}


@pytest.mark.parametrize("kernel", sorted(ORDER))
def test_the_order_is_the_recorded_one(kernel: str) -> None:
    """Order of calls as traced on 6.1.192, 6.12.117 and 6.18.15 (munmap of a VMA with pages)."""
    scene = world(kernel).vma("a", 8).touched("a")
    scene.thread("t", Munmap(at("a"), 8))
    names = [NAMES[name] for name in done(scene).functions() if name in NAMES]
    assert names == ORDER[kernel]
    assert len(scene.events(event.LOCK_DOWNGRADED)) == 1


def test_the_lock_is_downgraded_before_the_first_page_goes() -> None:
    scene = world("6.12").vma("a", 8).touched("a").vma("b", 1, "r")
    scene.thread("t", Munmap(at("a"), 8))
    kinds = [row[1] for row in done(scene).engine.log if row[2] >= 0]
    order = [event.VMA_DETACHED, event.TREE_NODE, event.LOCK_DOWNGRADED, event.PTE_CLEARED]
    assert order == sorted(order, key=kinds.index)
    assert kinds.index(event.PTE_CLEARED) < kinds.index(event.TLB_FLUSH)


def test_a_policy_can_keep_the_write_lock() -> None:
    scene = world("6.12", policy=Policy(downgrade=False)).vma("a", 8).touched("a")
    scene.thread("t", Munmap(at("a"), 8))
    assert done(scene).events(event.LOCK_DOWNGRADED) == []
    assert not scene.mm.mmap_lock.is_write_locked


def test_unmapping_the_middle_splits_twice() -> None:
    scene = world("6.18").vma("a", 8).touched("a")
    scene.thread("t", Munmap(at("a", 2), 3))
    done(scene)
    start = scene.named("a") >> 12
    assert scene.layout() == [(start, start + 2, "rw-p"), (start + 5, start + 8, "rw-p")]
    assert scene.functions().count("vm_area_dup") == 2
    assert scene.mm.page_tables.count_present(scene.named("a"), scene.named("a") + 0x8000) == 5


@pytest.mark.parametrize("kernel", [name for name in PRESETS if PRESETS[name].tree == "maple"])
def test_nodes_are_reserved_before_the_cuts_in_6_1_and_after_them_later(kernel: str) -> None:
    """As traced on 6.1.192: the slab is asked before mas_store_gfp, on 6.12.117 it is not."""
    scene = world(kernel).vma("a", 8).touched("a")
    scene.thread("t", Munmap(at("a", 2), 3))
    names = done(scene).functions()
    first_cut, last_cut = names.index("vm_area_dup"), len(names) - names[::-1].index("vm_area_dup")
    if kernel == "6.1":
        assert names.index("mas_preallocate") < first_cut
        assert last_cut < names.index("do_mas_align_munmap")
        assert "vma_iter_clear_gfp" not in names
    else:
        assert last_cut < names.index("vma_iter_clear_gfp")
        assert "mas_preallocate" not in names
    # The cuts changed the tree: it is as if the reservation had been made for it.
    scene.mm.tree.check()
    assert len(scene.layout()) == 2


def test_unmapping_nothing_is_no_error() -> None:
    scene = world("6.12").vma("a", 2)
    scene.thread("t", Munmap(at(0x10000), 4), Munmap(at("nobody"), 1))
    assert done(scene).results() == [0, 0]


def test_page_tables_that_a_neighbour_needs_stay() -> None:
    scene = world("6.12").vma("a", 4).vma("b", 4).touched("a").touched("b")
    scene.thread("t", Munmap(at("b"), 4))
    tables = scene.mm.page_tables
    before = tables.table_count
    done(scene)
    assert tables.table_count == before
    assert tables.count_present(scene.named("a"), scene.named("a") + 4 * PAGE_SIZE) == 4


def test_page_tables_are_freed_only_after_a_grace_period() -> None:
    scene = world("6.15").vma("a", 1024, start=0x7000_0000_0000).touched("a")
    table = scene.mm.page_tables.walk(scene.named("a"))
    scene.thread("t", Munmap(at("a"), 1024))
    assert table is not None
    scene.run(until_ns=1_000_000)
    assert (table.is_linked, table.is_freed) == (False, False)
    done(scene)
    assert table.is_freed
    assert scene.mm.page_tables.table_count == 0


@pytest.mark.parametrize(("kernel", "waits"), [("6.1", False), ("6.12", True), ("6.18", False)])
def test_a_vma_is_freed_as_its_kernel_does_it(kernel: str, waits: bool) -> None:
    scene = world(kernel).vma("a", 2)
    scene.thread("t", Munmap(at("a"), 2))
    done(scene)
    unlocked = scene.events(event.OP_END)[0]["now_ns"]
    freed = scene.events(event.VMA_FREED)[0]["now_ns"]
    assert (freed > unlocked + 1_000_000) is waits


def test_munmap_waits_for_the_fault_that_holds_the_vma() -> None:
    scene = world("6.18", zero=80_000).vma("a", 8).touched("a", 1)
    fault = scene.thread("fault", Access(at("a", 3), write=True))
    scene.thread("munmap", Munmap(at("a"), 8), cpu=1, after_ns=10_000)
    done(scene)
    assert scene.results(fault) == [0]
    sleeps = [found["why"] for found in scene.events(event.SLEEP)]
    assert "waits for the readers of a VMA" in sleeps
    assert scene.engine.world.frames.used == 0


def test_a_running_cpu_is_interrupted_to_flush_its_tlb() -> None:
    scene = world("6.12").vma("a", 8).touched("a")
    scene.thread("busy", Access(at("a"), write=True), Compute(200_000))
    scene.thread("munmap", Munmap(at("a"), 8), cpu=1, after_ns=20_000)
    done(scene)
    assert [found["target_cpu"] for found in scene.events(event.IPI)] == [0]


def test_without_waiting_for_readers_a_page_outlives_its_vma(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A writer that skips vma_start_write lets a fault map a page into a VMA that is gone."""
    from pfviz.mm.paths import munmap

    monkeypatch.setattr(munmap, "vma_start_write", lambda engine, thread, vma, then: then)
    monkeypatch.setattr(munmap, "vma_mark_detached", skip_detach)
    scene = world("6.12", zero=80_000).vma("a", 8).touched("a", 1)
    scene.vma("neighbour", 1, "r")  # keeps the page table alive
    scene.thread("fault", Access(at("a", 3), write=True))
    scene.thread("munmap", Munmap(at("a"), 8), cpu=1, after_ns=10_000)
    rules.run(scene.engine, every_steps=1)
    assert "I1" in {broken.rule for broken in scene.engine.world.broken}
    assert scene.events(event.RULE_BROKEN)


def skip_detach(engine: object, thread: object, vma: object, then: object) -> object:
    """Detach without a word to readers."""
    vma.detached = True  # type: ignore[attr-defined]
    return then


def test_draining_the_lru_batch_costs_only_when_there_is_one() -> None:
    def munmap_ns(lru_drain: int, writes: bool) -> int:
        scene = world("6.12", lru_drain=lru_drain).vma("a", 8).vma("b", 4, "r").touched("a", 1)
        touch = (Access(at("a", 1), write=True),) if writes else ()
        scene.thread("t", *touch, Munmap(at("b"), 4))
        scene.run()
        return int(scene.events(event.OP_END)[-1]["latency_ns"])

    assert munmap_ns(300, writes=False) == munmap_ns(0, writes=False)
    assert munmap_ns(300, writes=True) == munmap_ns(0, writes=True) + 300
