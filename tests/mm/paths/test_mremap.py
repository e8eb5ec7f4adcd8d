"""mremap: shorter, longer in place, elsewhere: which locks, which order, what becomes of pages."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import PAGE_SIZE, Access, Compute, Fork, Mremap, OperationList
from pfviz.mm.page_table import PRESENT, TABLE_SPAN, pfn_of
from pfviz.mm.paths import move_page_tables
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_SHARED
from pfviz.sim import event
from pfviz.sim.task import Step
from tests.worlds import Scene, at, world

ALIGNED = 0x7000_0000_0000
KERNELS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]


def done(scene: Scene) -> Scene:
    """Run to the end without breaking a rule."""
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    scene.mm.tree.check()
    return scene


def apart(kernel: str, mode: str = "", pages: int = 8, touched: int = 8) -> Scene:
    """One anonymous VMA "m", with free room on both sides."""
    scene = world(kernel, mode, cpus=4)
    scene.vma("m", pages, start=ALIGNED + 100 * PAGE_SIZE)
    return scene.touched("m", touched) if touched else scene


def frames_at(scene: Scene, start: int, pages: int) -> list[int]:
    """The frames mapped from an address on; 0 for none."""
    ptes = [scene.mm.page_tables.pte(start + page * PAGE_SIZE) for page in range(pages)]
    return [pfn_of(pte) if pte & PRESENT else 0 for pte in ptes]


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_a_move_takes_the_pages_along(kernel: str, mode: str) -> None:
    scene = apart(kernel, mode)
    before = frames_at(scene, scene.named("m"), 8)
    to = ALIGNED + 4096 * PAGE_SIZE
    thread = scene.thread(
        "t", Mremap(at("m"), 8, 12, to=at(to), slot="n"), Access(at("n"), write=True, pages=12)
    )
    done(scene)
    assert scene.results() == [to, 0]
    assert scene.layout() == [(to >> 12, (to >> 12) + 12, "rw-p")]
    assert frames_at(scene, to, 8) == before
    assert thread.faults == 4  # only what is new


@pytest.mark.parametrize("kernel", PRESETS)
def test_growth_in_place_keeps_the_address(kernel: str) -> None:
    scene = apart(kernel)
    scene.thread("t", Mremap(at("m"), 8, 20))
    done(scene)
    start = scene.named("m")
    assert scene.results() == [start]
    assert scene.layout() == [(start >> 12, (start >> 12) + 20, "rw-p")]


def test_growth_that_closes_a_gap_swallows_the_neighbour() -> None:
    scene = world("6.12").vma("m", 8, start=ALIGNED)
    scene.vma("n", 4, start=ALIGNED + 12 * PAGE_SIZE)
    scene.thread("t", Mremap(at("m"), 8, 12))
    done(scene)
    assert scene.layout() == [(ALIGNED >> 12, (ALIGNED >> 12) + 16, "rw-p")]


def test_without_room_it_moves_if_it_may() -> None:
    for maymove, result in ((False, -12), (True, None)):
        scene = world("6.12").vma("m", 8, start=ALIGNED).touched("m")
        scene.vma("wall", 1, "r", start=ALIGNED + 8 * PAGE_SIZE)
        scene.thread("t", Mremap(at("m"), 8, 9, maymove=maymove))
        (got,) = done(scene).results()
        assert got == result or (maymove and got not in (ALIGNED, -12))


@pytest.mark.parametrize("kernel", PRESETS)
def test_shrinking_unmaps_the_tail_like_munmap(kernel: str) -> None:
    scene = apart(kernel)
    scene.thread("t", Mremap(at("m"), 8, 3))
    done(scene)
    start = scene.named("m")
    assert scene.layout() == [(start >> 12, (start >> 12) + 3, "rw-p")]
    assert frames_at(scene, start, 8)[3:] == [0] * 5
    assert scene.events(event.LOCK_DOWNGRADED)


def test_a_move_is_never_downgraded() -> None:
    scene = apart("6.12")
    scene.thread("t", Mremap(at("m"), 8, 8, to=at(ALIGNED)))
    assert not done(scene).events(event.LOCK_DOWNGRADED)


@pytest.mark.parametrize("kernel", ["6.4", "6.12", "6.18"])
def test_the_old_vma_is_write_locked_before_it_is_copied(kernel: str) -> None:
    scene = apart(kernel)
    scene.thread("t", Mremap(at("m"), 8, 8, to=at(ALIGNED)))
    names = done(scene).functions()
    locked = names.index("__is_vma_write_locked")
    assert names.index("move_vma") < locked < names.index("copy_vma")
    assert names.index("copy_vma") < names.index("move_page_tables")


def test_both_page_table_locks_are_held_when_the_flush_is_sent() -> None:
    scene = apart("6.12")
    far = ALIGNED + 10 * TABLE_SPAN
    scene.thread("other", Access(at("m"), write=True), Compute(40_000), cpu=1)
    scene.thread("t", Mremap(at("m"), 8, 8, to=at(far)), after_ns=10_000)
    done(scene)
    tables = {
        one["lock"]: one["name"]
        for one in scene.events(event.LOCK_NEW)
        if one["name"].startswith("ptl ")
    }
    held: list[str] = []
    at_flush: list[list[str]] = []
    for row in scene.engine.log:
        if row[1] == event.LOCK_ACQUIRED and row[3] in tables:
            held.append(tables[row[3]])
        elif row[1] == event.LOCK_RELEASED and row[3] in tables:
            held.remove(tables[row[3]])
        elif row[1] == event.TLB_FLUSH:
            at_flush.append(list(held))
    assert at_flush[0] == [f"ptl {ALIGNED:#x}", f"ptl {far:#x}"]
    assert scene.events(event.IPI)


def test_a_page_written_through_a_stale_tlb_entry_would_break_a_rule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who moved entries without a flush would let another CPU write at the old address."""

    def no_flush(*arguments: object) -> Step:
        then: Step = arguments[5]  # type: ignore[assignment]
        return then

    monkeypatch.setattr(move_page_tables, "flush_tlb_range", no_flush)
    scene = apart("6.12")
    stale = OperationList((Access(at("m"), write=True), Compute(4_000)), repeat=6)
    scene.thread("other", *stale.operations, cpu=1, repeat=6)
    scene.thread("t", Mremap(at("m"), 8, 8, to=at(ALIGNED)), after_ns=6_000)
    rules.run(scene.engine, every_steps=1)
    assert "I14" in {broken.rule for broken in scene.engine.world.broken}


@pytest.mark.parametrize("kernel", ["6.0", "6.1", "6.12", "6.18"])
def test_where_both_sides_are_aligned_a_table_moves_by_its_pmd_entry(kernel: str) -> None:
    scene = world(kernel, cpus=4).vma("m", 1024, start=ALIGNED).touched("m")
    before = frames_at(scene, ALIGNED, 1024)
    to = ALIGNED + 8 * TABLE_SPAN
    scene.thread("t", Mremap(at("m"), 1024, 1024, to=at(to)), Access(at(to), True, 1024))
    done(scene)
    assert frames_at(scene, to, 1024) == before
    names = scene.functions()
    assert "move_normal_pmd" in names
    assert "move_ptes" not in names
    assert names.index("take_rmap_locks") < names.index("move_normal_pmd")
    assert not scene.mm.page_tables.walk(ALIGNED)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_a_file_mapping_moves_with_its_offset(kernel: str) -> None:
    scene = world(kernel, cpus=4)
    file = scene.file("data", 64, present=64)
    scene.file_vma("m", file, 16, "rw", flags=VM_SHARED, start=ALIGNED)
    to = ALIGNED + 512 * PAGE_SIZE
    scene.thread(
        "t",
        Access(at("m"), write=True, pages=16),
        Mremap(at("m", 4), 4, 4, to=at(to)),
        Access(at(to), pages=4),
    )
    done(scene)
    offsets = [(vma.vm_start - ALIGNED >> 12, vma.pages, vma.vm_pgoff) for vma in scene.mm.tree]
    assert offsets == [(0, 4, 0), (8, 8, 8), (512, 4, 4)]
    assert len(file.vmas) == 3


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_dontunmap_leaves_an_empty_vma_that_has_lost_its_anon_vma(kernel: str, mode: str) -> None:
    scene = apart(kernel, mode)
    scene.thread(
        "t", Mremap(at("m"), 8, 8, to=at(ALIGNED), dontunmap=True), Access(at("m"), True, 2)
    )
    start = scene.named("m")
    done(scene)
    assert scene.results() == [ALIGNED, 0]
    assert [vma.pages for vma in scene.mm.tree] == [8, 8]
    told = [one["vma"] for one in scene.events(event.VMA_CHANGED) if one["why"] == "anon_vma"]
    assert (told[0][0], told[0][6]) == (start, False)
    assert frames_at(scene, start, 8)[2:] == [0] * 6


def test_a_vma_that_is_moved_beside_its_own_kind_becomes_part_of_it() -> None:
    """Untouched memory takes the offset of its new place, so a neighbour can grow over it."""
    scene = world("6.12").vma("n", 8, start=ALIGNED).vma("m", 8, start=ALIGNED + 64 * PAGE_SIZE)
    scene.thread("t", Mremap(at("m"), 8, 8, to=at("n", 8)))
    done(scene)
    assert scene.layout() == [(ALIGNED >> 12, (ALIGNED >> 12) + 16, "rw-p")]


def test_touched_memory_keeps_its_offset_and_stays_apart() -> None:
    scene = world("6.12").vma("n", 8, start=ALIGNED).vma("m", 8, start=ALIGNED + 64 * PAGE_SIZE)
    scene.touched("m").thread("t", Mremap(at("m"), 8, 8, to=at("n", 8)))
    assert len(done(scene).layout()) == 2


def test_moving_onto_itself_is_refused_and_a_hole_is_a_fault() -> None:
    scene = apart("6.12")
    scene.thread(
        "t", Mremap(at("m"), 8, 8, to=at("m", 4)), Mremap(at(ALIGNED), 8, 9), Mremap(at("m"), 9, 12)
    )
    assert done(scene).results() == [-22, -14, -14]


@pytest.mark.parametrize("kernel", ["6.12", "6.18", "7.2"])
def test_since_6_17_nothing_is_unmapped_for_a_move_that_cannot_be(kernel: str) -> None:
    """Up to 6.16 what lay at the new place was gone by the time the old range was checked."""
    scene = apart(kernel).vma("victim", 8, start=ALIGNED)
    scene.thread("t", Mremap(at("m"), 9, 9, to=at("victim")))
    done(scene)
    survives = PRESETS[kernel].mremap_checks == "early"
    assert (ALIGNED >> 12 in [start for start, _, _ in scene.layout()]) == survives


@pytest.mark.parametrize(("kernel", "mode"), KERNELS)
def test_faults_race_with_moves_and_lose_no_page(kernel: str, mode: str) -> None:
    scene = apart(kernel, mode, pages=16, touched=0)
    there, back = at(ALIGNED), at("m")
    moves = (Mremap(back, 16, 16, to=there), Mremap(there, 16, 16, to=back))
    for number in range(2):
        scene.thread(f"f{number}", Access(at("m"), write=True, pages=16), repeat=20, cpu=number)
    scene.thread("t", *moves, repeat=10, cpu=2, after_ns=3_000)
    if kernel != "6.4":  # Its fork does not keep faults out.
        scene.thread("fork", Fork(OperationList(())), cpu=3, after_ns=20_000)
    done(scene)


def test_without_merging_a_vma_still_grows() -> None:
    scene = world("6.12", policy=Policy(merge=False)).vma("m", 8, start=ALIGNED)
    scene.thread("t", Mremap(at("m"), 8, 12))
    assert done(scene).results() == [ALIGNED]
