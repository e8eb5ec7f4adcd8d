"""Faults in files: the page table is made when it is needed, and counters count what they say."""

from __future__ import annotations

import pytest

from pfviz.mm.operations import Access
from pfviz.mm.page_cache import new_file
from pfviz.mm.paths.filemap import do_sync_mmap_readahead
from pfviz.mm.presets import PRESETS
from pfviz.report.measure import Rows, vmstat
from pfviz.sim import event
from tests.mm.fault_scenes import kinds
from tests.worlds import Scene, at, world

KERNELS = [name for name in PRESETS if name not in ("6.0", "beyond")]


def mapped(kernel: str, mode: str = "", present: int = 64, perms: str = "r") -> Scene:
    made = world(kernel, mode)
    file = new_file(made.engine, "data", 64, present)
    return made.file_vma("m", file, 64, perms, start=0x7F00_0000_0000)


def tables_linked(made: Scene) -> list[int]:
    """The times at which PTE tables were installed."""
    return [
        one["now_ns"] for one in made.events(event.PAGE_TABLE) if one["level"] == 1
    ]  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_page_table_is_installed_only_when_something_is_mapped(kernel: str) -> None:
    made = mapped(kernel, "mmap_lock", present=0)
    thread = made.thread("t", Access(at("m")))
    made.run()
    (read,) = made.events(event.IO_END)
    (linked,) = tables_linked(made)
    assert linked > read["now_ns"]
    locks = {one["lock"]: one["name"] for one in made.events(event.LOCK_NEW)}
    pmd = [
        one["now_ns"]
        for one in made.events(event.LOCK_ACQUIRED, thread)
        if locks.get(one["lock"], "").startswith("pmd lock")
    ]
    assert pmd
    assert min(pmd) > read["now_ns"]


def test_a_file_fault_with_no_page_table_goes_through_do_fault_once() -> None:
    made = mapped("6.12")
    thread = made.thread("t", Access(at("m")))
    made.run()
    functions = made.functions(thread)
    assert functions.count("do_fault") == 1
    assert functions.index("pte_alloc_one") < functions.index("pmd_install")


def test_a_private_write_asks_for_its_table_before_the_page_is_locked() -> None:
    made = mapped("6.12", perms="rw")
    thread = made.thread("t", Access(at("m"), write=True))
    made.run()
    functions = made.functions(thread)
    assert functions.index("pte_alloc_one") < functions.index("filemap_fault")
    assert functions.index("filemap_fault") < functions.index("pmd_install")
    assert made.mm.page_tables.table_count == 1


def test_of_two_threads_that_bring_a_page_table_one_gives_its_own_back() -> None:
    made = mapped("6.12")
    made.thread("a", Access(at("m")), cpu=0)
    made.thread("b", Access(at("m")), cpu=1)
    made.run()
    assert made.mm.page_tables.table_count == 1
    assert made.functions().count("pte_alloc_one") >= 1


def test_no_step_tells_of_a_page_that_was_not_asked_for_or_did_not_come() -> None:
    hit = mapped("6.12")
    thread = hit.thread("t", Access(at("m")))
    hit.run()
    assert "filemap_fault" not in hit.functions(thread)
    told = {step.story for step in steps_of(hit, "do_read_fault")}
    assert not any(story.startswith("Ask the file") for story in told)
    missed = mapped("6.12", present=0, perms="rw")
    missed.thread("t", Access(at("m"), write=True))
    missed.run()
    copies = [step for step in steps_of(missed, "do_cow_fault") if "Copy the" in step.story]
    assert len(copies) == 1, "the first round came back without a page"


def steps_of(made: Scene, function: str) -> list[event.StepInfo]:
    log = made.engine.log
    rows = [log.steps[row[3]] for row in log if row[1] == event.STEP and row[3] >= 0]
    return [step for step in rows if step.function == function]


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
def test_a_page_two_threads_wait_for_is_one_pgmajfault(mode: str) -> None:
    made = mapped("6.12", mode, present=0)
    made.thread("a", Access(at("m")), cpu=0)
    made.thread("b", Access(at("m")), cpu=1, after_ns=8_000)
    made.run()
    assert len(made.events(event.IO_BEGIN)) == 1
    assert made.engine.world.vmstat["pgmajfault"] == 1
    assert vmstat(Rows(made.engine.log))["pgmajfault"] == 1
    major = [end["flags"] & 1 for end in made.events(event.FAULT_END)]
    # maj_flt also counts who only waited for the page and tried again under mmap_lock.
    assert sum(major) == (2 if mode == "mmap_lock" else 1)


@pytest.mark.parametrize("mode", ["mmap_lock", "per-vma", "lockless"])
@pytest.mark.parametrize("kernel", ["6.4", "6.12"])
def test_an_access_that_is_refused_is_no_pgfault(kernel: str, mode: str) -> None:
    made = mapped(kernel, mode)
    made.thread("t", Access(at("m")), Access(at("m"), write=True), Access(at("m", 64)))
    made.run()
    assert kinds(made) == ["file_read_hit", "segv_access", "segv_unmapped"]
    assert made.engine.world.vmstat["pgfault"] == 1
    assert vmstat(Rows(made.engine.log))["pgfault"] == 1


@pytest.mark.parametrize(("kernel", "reads"), [("6.4", 1), ("6.12", 0), ("6.18", 0)])
def test_a_page_that_somebody_mapped_and_that_left_the_file_since_is_no_miss(
    kernel: str, reads: int
) -> None:
    """Since 6.10: with an entry in place there is nothing to read."""
    made = mapped(kernel, "mmap_lock", present=0, perms="rw")
    thread = made.thread("t", Access(at("m")))
    while thread.step is not do_sync_mmap_readahead:
        made.engine.step()
    made.touched("m", 1)  # another thread's private copy
    made.run()
    assert len(made.events(event.IO_BEGIN)) == reads
    assert made.engine.world.vmstat.get("pgmajfault", 0) == reads
    assert not made.engine.world.broken


def test_truncation_is_kept_out_while_pages_are_read_ahead_and_while_one_is_looked_up() -> None:
    made = mapped("6.12", present=0)
    made.thread("t", Access(at("m")))
    made.run()
    names = {one["lock"]: one["name"] for one in made.events(event.LOCK_NEW)}
    taken = [names[one["lock"]] for one in made.events(event.LOCK_ACQUIRED)]
    assert taken.count("invalidate_lock data") == 2
