"""Huge pages: which locks a fault takes, who must split one and how, what races leave behind."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.operations import (
    MADV_HUGEPAGE,
    MADV_NOHUGEPAGE,
    Access,
    Exit,
    Fork,
    GetUserPages,
    Madvise,
    Mmap,
    Mprotect,
    Mremap,
    Munmap,
    Operation,
    OperationList,
    ReadProc,
    Sleep,
)
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import FILE, SPECIAL, WRITABLE
from pfviz.mm.paths import huge_anon
from pfviz.mm.policy import Policy
from pfviz.mm.presets import PRESETS
from pfviz.mm.vma import VM_HUGEPAGE, VM_SHARED
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, fallbacks, kinds
from tests.worlds import Scene, at, world

BASE = 0x7F00_0000_0000
HUGE = 512
WORLDS = [(kernel, mode) for kernel in PRESETS for mode in PRESETS[kernel].modes]
KERNELS = [name for name in PRESETS if name != "beyond"]
WRITE = Access(at("m", 3), write=True)
READ = Access(at("m", 3))


def advised(kernel: str = "6.12", mode: str = "", thp: str = "madvise", cpus: int = 4) -> Scene:
    """Four huge pages' worth of advised memory at "m", untouched."""
    made = world(kernel, mode, cpus=cpus, policy=Policy(thp=thp))
    return made.vma("m", 4 * HUGE, start=BASE, flags=VM_HUGEPAGE)


def run(made: Scene, every_steps: int = 10) -> Scene:
    """To the end, with all rules asked; nobody is left behind, every page is counted."""
    rules.run(made.engine, steps_max=200_000, every_steps=every_steps)
    assert made.engine.world.broken == []
    assert all(task.state == "done" for task in made.engine.tasks)
    check_pages(made)
    return made


def count(made: Scene, name: str) -> int:
    return made.engine.world.vmstat.get(name, 0)


# Which locks


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
@pytest.mark.parametrize("access", [READ, WRITE], ids=["read", "write"])
def test_one_fault_maps_512_pages(kernel: str, mode: str, access: Access) -> None:
    made = advised(kernel, mode)
    made.thread("t", access, Access(at("m"), pages=HUGE))
    run(made)
    assert kinds(made) == ["thp_write" if access.write else "thp_read_zero"]
    assert made.mm.page_tables.rss_anon == (HUGE if access.write else 0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("access", [READ, WRITE], ids=["read", "write"])
def test_even_a_read_needs_an_anon_vma(kernel: str, access: Access) -> None:
    made = advised(kernel)
    made.thread("t", access)
    run(made)
    assert made.mm.vma_at(BASE).anon_vma is not None  # type: ignore[union-attr]
    tried = "__vmf_anon_prepare" in made.functions()
    assert tried == (KERNELS.index(kernel) >= KERNELS.index("6.10"))
    early = kernel in ("6.4", "6.5", "6.6", "6.7", "6.8", "6.9")
    assert fallbacks(made) == (["no anon_vma yet"] if early else [])


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_the_entry_is_set_under_the_lock_of_its_table_alone(kernel: str) -> None:
    made = advised(kernel)
    thread = made.thread("t", WRITE)
    run(made)
    names = {new["lock"]: new["name"] for new in made.events(event.LOCK_NEW)}
    taken = [names.get(e["lock"], "") for e in made.events(event.LOCK_ACQUIRED, thread)]
    assert len([name for name in taken if name.startswith("pmd lock")]) == 1
    assert not [name for name in taken if name.startswith("ptl ")]


def test_small_pages_take_512_locks_where_a_huge_one_takes_one() -> None:
    locks = {}
    for thp in ("never", "madvise"):
        made = advised(thp=thp)
        made.thread("t", Access(at("m"), True, HUGE))
        run(made, every_steps=500)
        locks[thp] = len(made.events(event.FAULT_END))
    assert locks == {"never": HUGE, "madvise": 1}


@pytest.mark.parametrize(
    ("thp", "advice", "huge"),
    [("always", None, True), ("always", MADV_NOHUGEPAGE, False), ("madvise", None, False),
     ("madvise", MADV_HUGEPAGE, True), ("never", MADV_HUGEPAGE, False)],
)  # fmt: skip
def test_who_may_have_huge_pages(thp: str, advice: str | None, huge: bool) -> None:
    made = world("6.12", policy=Policy(thp=thp)).vma("m", 2 * HUGE, start=BASE)
    said = [Madvise(at("m"), 2 * HUGE, advice)] if advice else []
    made.thread("t", *said, WRITE)
    run(made)
    assert bool(made.mm.page_tables.huge) == huge


def test_a_range_that_sticks_out_of_its_vma_gets_small_pages() -> None:
    made = world("6.12", policy=Policy(thp="always")).vma("m", HUGE, start=BASE + 4096)
    made.thread("t", WRITE, Access(at("m", HUGE - 1), write=True))
    run(made)
    assert kinds(made) == ["anon_write_first", "anon_write"]


@pytest.mark.parametrize(
    ("kernel", "pages", "aligned"),
    [("6.6", HUGE, False), ("6.7", HUGE, True), ("6.7", HUGE + 1, True), ("6.7", HUGE - 1, False),
     ("6.12", HUGE, True), ("6.12", HUGE + 1, False), ("6.18", 2 * HUGE, True)],
)  # fmt: skip
def test_large_mappings_begin_where_a_huge_page_can(kernel: str, pages: int, aligned: bool) -> None:
    made = world(kernel, policy=Policy(thp="always"))
    made.thread("t", Mmap(5), Mmap(pages, slot="s"), Access(at("s"), write=True))
    run(made)
    assert (made.results()[1] % (HUGE << 12) == 0) == aligned
    assert bool(made.mm.page_tables.huge) == aligned


# Writes to what is mapped


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("6.1", "zero_page_cow"),
        ("6.12", "zero_page_cow"),
        ("6.15", "thp_write"),
        ("6.18", "thp_write"),
    ],
)
def test_a_write_to_the_huge_zero_page(kernel: str, kind: str) -> None:
    made = advised(kernel)
    made.thread("t", READ, WRITE)
    run(made)
    assert kinds(made) == ["thp_read_zero", kind]
    assert made.mm.page_tables.rss_anon == (HUGE if kind == "thp_write" else 1)


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
def test_a_shared_huge_page_is_split_and_one_page_of_it_copied(kernel: str, mode: str) -> None:
    made = advised(kernel, mode)
    child = OperationList((Access(at("m", 9), True), Sleep(1_000_000), Exit()))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(100_000), WRITE)
    run(made)
    assert kinds(made).count("cow_after_fork") == 2
    assert count(made, "thp_split_pmd") == 2
    assert made.mm.page_tables.rss_anon == HUGE


def test_the_last_sharer_takes_the_huge_page_over_as_a_whole() -> None:
    made = advised()
    made.thread("t", WRITE, Fork(OperationList((Exit(),)), child_cpu=1), Sleep(9_000_000), WRITE)
    run(made)
    assert kinds(made) == ["thp_write", "thp_reuse"]
    assert count(made, "thp_split_pmd") == 0


def test_fork_write_protects_one_entry_for_512_pages() -> None:
    made = advised()
    child = OperationList((Access(at("m"), pages=HUGE), Sleep(1_000_000)))
    made.thread("t", WRITE, Fork(child, child_cpu=1), Sleep(10_000))
    run(made)
    assert kinds(made) == ["thp_write"], "the child reads what it shares without a fault"
    huge = made.mm.page_tables.huge_at(BASE)
    assert huge is not None
    assert not huge.value & WRITABLE


# Splits


@pytest.mark.parametrize("kernel", ["6.0", "6.1", "6.12", "6.18"])
@pytest.mark.parametrize(
    ("operation", "left"),
    [
        (Munmap(at("m", 10), 5), HUGE - 5),
        (Madvise(at("m", 10), 5, "dontneed"), HUGE - 5),
        (Mprotect(at("m", 10), 5, 1), HUGE),
        (Mremap(at("m", 10), 5, 5, to=at("m", 4 * HUGE + 64)), HUGE),
        (Madvise(at("m", 10), 5, "sequential"), HUGE),
    ],
    ids=["munmap", "dontneed", "mprotect", "mremap", "sequential"],
)
def test_a_change_of_a_part_splits(kernel: str, operation: Operation, left: int) -> None:
    made = advised(kernel)
    made.thread("t", WRITE, operation)
    run(made)
    assert made.results()[-1] >= 0
    assert count(made, "thp_split_pmd") == 1
    assert made.mm.page_tables.rss_anon == left


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
@pytest.mark.parametrize(
    ("operation", "left"),
    [
        (Munmap(at("m"), HUGE), 0),
        (Madvise(at("m"), HUGE, "dontneed"), 0),
        (Mprotect(at("m"), HUGE, 1), HUGE),
        (Mremap(at("m"), HUGE, HUGE, to=at("m", 8 * HUGE)), HUGE),
    ],
    ids=["munmap", "dontneed", "mprotect", "mremap"],
)
def test_a_change_of_the_whole_does_not(kernel: str, operation: Operation, left: int) -> None:
    made = advised(kernel)
    made.thread("t", WRITE, operation)
    run(made)
    assert count(made, "thp_split_pmd") == 0
    assert made.mm.page_tables.rss_anon == left
    assert len(made.mm.page_tables.huge) == bool(left)


def test_a_split_flushes_every_cpu_before_the_small_entries_are_there() -> None:
    made = advised()
    made.thread("u", WRITE, Access(at("m"), True), Sleep(200_000), WRITE, cpu=1)
    made.thread("t", Sleep(100_000), Madvise(at("m", 10), 5, "dontneed"))
    run(made)
    thread = made.engine.tasks[1]
    calls = made.functions(thread)  # type: ignore[arg-type]
    assert calls.index("pmdp_invalidate") < calls.index("__split_huge_pmd_locked")
    reasons = [flush["reason"] for flush in made.events(event.TLB_FLUSH)]
    assert reasons[0] == "huge page split"


# Races


@pytest.mark.parametrize(("kernel", "mode"), WORLDS)
def test_of_two_threads_in_one_range_one_maps_it(kernel: str, mode: str) -> None:
    made = advised(kernel, mode)
    made.thread("a", WRITE)
    made.thread("b", Access(at("m", 400), True), cpu=1)
    run(made, every_steps=1)
    assert made.mm.page_tables.rss_anon == HUGE
    assert len(made.mm.page_tables.huge) == 1


def test_who_does_not_look_again_under_the_lock_maps_it_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Broken on purpose: the race above must be one."""
    monkeypatch.setattr(huge_anon, "_is_free", lambda engine, thread: True)
    made = advised()
    made.thread("a", WRITE)
    made.thread("b", Access(at("m", 400), True), cpu=1)
    with pytest.raises(AssertionError, match="two huge pages"):
        run(made)


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
@pytest.mark.parametrize("after_ns", [2_000, 20_000, 60_000, 66_000, 70_000])
def test_a_munmap_during_the_fault_leaves_nothing(kernel: str, after_ns: int) -> None:
    made = advised(kernel)
    made.thread("a", WRITE)
    made.thread("b", Munmap(at("m"), 4 * HUGE), cpu=1, after_ns=after_ns)
    run(made, every_steps=1)
    assert made.mm.page_tables.rss_anon == 0
    assert not made.mm.page_tables.huge
    assert not made.engine.world.frames.used


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "6.18"])
def test_fork_and_a_write_beside_it(kernel: str) -> None:
    for after_ns in range(60_000, 140_000, 8_000):
        made = advised(kernel)
        child = OperationList((Access(at("m", 5), True), Exit()))
        made.thread("a", WRITE, Fork(child, child_cpu=2), WRITE)
        made.thread("b", Access(at("m", 5), True), cpu=1, after_ns=after_ns)
        run(made, every_steps=3)


# Who else looks


@pytest.mark.parametrize("kernel", ["6.1", "6.12", "7.2"])
def test_smaps_counts_a_huge_page_under_the_lock_of_its_entry(kernel: str) -> None:
    made = advised(kernel)
    made.thread("t", WRITE, ReadProc("smaps"))
    run(made)
    assert "smaps_pmd_entry" in made.functions()
    assert "smaps_pte_range" not in made.functions()


@pytest.mark.parametrize("fast", [True, False], ids=["fast", "slow"])
def test_pages_of_a_huge_page_are_taken_and_let_go(fast: bool) -> None:
    made = advised()
    take = GetUserPages(at("m", 500), 40, write=True, pin=True, fast=fast)
    made.thread("t", WRITE, take, Access(at("m"), True, HUGE))
    run(made)
    assert made.results()[1] == 40
    assert kinds(made)[0] == "thp_write"


def test_a_tlb_holds_one_entry_for_a_huge_page() -> None:
    made = advised(cpus=1)
    made.thread("t", WRITE, Access(at("m"), True, HUGE))
    run(made)
    tlb = made.engine.world.tlbs.of_cpu[0]
    assert (len(tlb.entries), len(tlb.huge)) == (0, 1)


# A huge page of a file's device


def dax(kernel: str, *operations: Operation, perms: str = "rw", flags: int = VM_SHARED) -> Scene:
    made = world(kernel, cpus=2)
    file = new_file(made.engine, "pmem", 4 * HUGE, 0, "dax")
    made.file_vma("m", file, 4 * HUGE, perms, flags=flags, start=BASE)
    made.thread("t", *operations)
    return run(made)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_file_on_persistent_memory_is_mapped_2_mebibytes_at_once(kernel: str) -> None:
    made = dax(kernel, READ, WRITE, Access(at("m"), True, HUGE))
    assert kinds(made) == ["dax", "dax"]
    huge = made.mm.page_tables.huge_at(BASE)
    assert huge is not None
    assert huge.value & FILE
    assert huge.value & SPECIAL
    assert made.mm.page_tables.rss_file == 0


def test_what_cuts_such_a_page_just_unmaps_it() -> None:
    made = dax("6.12", WRITE, Munmap(at("m", 7), 1), Access(at("m", 8), True))
    assert not made.mm.page_tables.huge
    assert made.mm.page_tables.pte(BASE + 8 * 4096) & WRITABLE
