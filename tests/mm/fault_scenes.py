"""One small world per kind of page fault, and the ways tests look at the fault that it takes."""

from __future__ import annotations

from collections.abc import Callable

from pfviz.mm.operations import Access, Exit, Fork, OperationList, Sleep
from pfviz.mm.page_cache import new_file
from pfviz.mm.page_table import (
    FILE,
    OCCUPIED,
    PAGE_SIZE,
    PRESENT,
    SPECIAL,
    WRITABLE,
    is_pte_marker,
    pfn_of,
)
from pfviz.mm.paths import entry
from pfviz.mm.policy import Policy
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_GROWSDOWN, VM_RAND_READ, VM_SHARED, VM_WRITE
from pfviz.mm.world import Mm
from pfviz.sim import event
from pfviz.sim.task import Step, step
from tests.worlds import Scene, at, world

READ = Access(at("m"))
WRITE = Access(at("m"), write=True)


def scene(kind: str, kernel: str = "6.12", mode: str = "", **costs: int) -> tuple[Scene, Thread]:
    """A world in which thread "t" takes a fault of `kind` as its last one."""
    made = world(kernel, mode, cpus=4, **costs)
    thread = SCENES[kind](made)
    # Page tables are there, as in any process that has run for a while.
    for vma in made.mm.tree:
        made.mm.page_tables.table_for(made.engine, vma.vm_start)
        made.mm.page_tables.table_for(made.engine, vma.vm_start - PAGE_SIZE)
    return made, thread


def _anon(*operations: Access, touched: int = 0) -> Callable[[Scene], Thread]:
    def build(made: Scene) -> Thread:
        made.vma("m", 64)
        if touched:
            made.touched("m", 1)
        return made.thread("t", *operations)

    return build


def _file(present: int, access: Access, perms: str = "r", flags: int = 0,
          driver: bool = False) -> Callable[[Scene], Thread]:  # fmt: skip
    def build(made: Scene) -> Thread:
        file = new_file(made.engine, "data", 64, present, driver=driver)
        made.file_vma("m", file, 64, perms, flags=flags, start=0x7F00_0000_0000)
        return made.thread("t", access)

    return build


def _after_fork(made: Scene) -> Thread:
    made.vma("m", 64).touched("m", 1)
    child = OperationList((Sleep(1_000_000),))
    return made.thread("t", Fork(child, child_cpu=1), WRITE)


def _reuse(made: Scene) -> Thread:
    made.vma("m", 64).touched("m", 1)
    return made.thread("t", Fork(OperationList((Exit(),)), child_cpu=1), Sleep(10_000_000), WRITE)


def _stack(made: Scene) -> Thread:
    made.vma("m", 16, flags=VM_GROWSDOWN, kind="stack").touched("m", 1)
    return made.thread("t", Access(at("m", -1), write=True))


def _kernel_mode(made: Scene) -> Thread:
    made.vma("m", 64).touched("m", 1)
    thread = made.thread("t")
    thread.step = copy_to_user
    return thread


@step("lib/test.c")
def copy_to_user(engine: Mm, thread: Thread) -> Step:
    """The kernel itself writes to user memory."""
    address = thread.mm.slots["m"] + PAGE_SIZE
    return entry.touch(engine, thread, address, True, copied, user=False)


@step("lib/test.c")
def copied(engine: Mm, thread: Thread) -> None:
    """Done."""
    engine.end()


SCENES: dict[str, Callable[[Scene], Thread]] = {
    "anon_read_zero": _anon(READ),
    "anon_write_first": _anon(WRITE),
    "anon_write": _anon(Access(at("m", 1), write=True), touched=1),
    "zero_page_cow": _anon(Access(at("m", 1)), Access(at("m", 1), write=True), touched=1),
    "cow_after_fork": _after_fork,
    "anon_reuse": _reuse,
    "file_read_hit": _file(64, READ),
    "file_read_miss": _file(0, READ),
    "file_read_miss_random": _file(0, READ, flags=VM_RAND_READ),
    "file_cow": _file(64, WRITE, "rw"),
    "shared_write": _file(64, WRITE, "rw", VM_SHARED),
    "driver": _file(0, READ, driver=True),
    "stack_growth": _stack,
    "segv_access": _file(64, WRITE, "r"),
    "segv_unmapped": _anon(Access(at("m", 64), write=True)),
    "kernel_mode": _kernel_mode,
}


def fault_rows(made: Scene, thread: Thread, number: int = -1) -> list[tuple[int, ...]]:
    """The rows of one fault of a thread (the last one), from the exception to its return."""
    rows = [row for row in made.engine.log if row[2] == thread.id]
    begins = [i for i, row in enumerate(rows) if row[1] == event.FAULT_BEGIN]
    first = begins[number]
    last = next(i for i in range(first, len(rows)) if rows[i][1] == event.FAULT_END)
    return rows[first : last + 2]


def functions_of(made: Scene, thread: Thread) -> list[str]:
    """The kernel functions of the thread's last fault; a run of one function counts once."""
    log = made.engine.log
    names: list[str] = []
    for row in fault_rows(made, thread):
        if row[1] == event.STEP:
            name = log.steps[row[3]].function
            if not names or names[-1] != name:
                names.append(name)
    return names


def fallbacks(made: Scene) -> list[str]:
    """The causes of all fallbacks, in order."""
    return [fall["cause"] for fall in made.events(event.FAULT_FALLBACK)]


def kinds(made: Scene) -> list[str]:
    """The kinds of all faults, in order of their ends."""
    return [end["kind"] for end in made.events(event.FAULT_END)]


def check_pages(made: Scene) -> None:
    """What must hold of every page at rest: I1, I6, I17, I23, I24 of the invariants."""
    frames = made.engine.world.frames
    mapped: dict[int, int] = {}
    for mm in made.engine.world.mms:
        anon = file = 0
        for table in mm.page_tables.tables(0, 1 << 47):
            for slot, pte in enumerate(table.ptes):
                if not pte or is_pte_marker(pte):
                    continue
                address = table.base + slot * PAGE_SIZE
                vma = mm.vma_at(address)
                assert vma is not None, f"I1: a page at {address:#x} outlives its VMA"
                assert pte & OCCUPIED
                assert vma.vm_flags & VM_WRITE or not pte & WRITABLE, "I6: writable in a r/o VMA"
                if pte & SPECIAL:
                    continue
                if pte & FILE:
                    file += 1
                else:
                    anon += 1
                    mapped[pfn_of(pte)] = mapped.get(pfn_of(pte), 0) + 1
                    assert not pte & WRITABLE or frames.is_exclusive(pfn_of(pte))
        for huge in mm.page_tables.huge.values():
            vma = mm.vma_at(huge.base)
            assert vma is not None
            assert huge.end <= vma.vm_end, f"I1: a huge page at {huge.base:#x} outlives its VMA"
            assert vma.vm_flags & VM_WRITE or not huge.value & WRITABLE, "I6"
            if huge.value & SPECIAL or huge.hugetlb:
                continue
            anon += 512
            for pfn in range(pfn_of(huge.value), pfn_of(huge.value) + 512):
                mapped[pfn] = mapped.get(pfn, 0) + 1
                assert not huge.value & WRITABLE or frames.is_exclusive(pfn)
        assert (anon, file) == (mm.page_tables.rss_anon, mm.page_tables.rss_file), "I23: rss"
        assert sum(t.occupied for t in mm.page_tables.tables(0, 1 << 47)) == sum(
            len(t.ptes) - t.ptes.count(0) for t in mm.page_tables.tables(0, 1 << 47)
        )
    assert len(mapped) == frames.used, "I24: a page was leaked"
    for pfn, count in mapped.items():
        assert frames.mapcount[pfn] == count, "I17: a page is mapped more often than counted"
        assert frames.refcount[pfn] == count


def race(kernel: str, mode: str, policy: Policy | None = None, **costs: int) -> Scene:
    """Eight pages at "m", written long ago but one, on a machine of four CPUs."""
    made = world(kernel, mode, cpus=4, policy=policy, **costs)
    return made.vma("m", 8).touched("m", 1)


__all__ = ["PRESENT", "Mm", "check_pages", "fallbacks", "functions_of", "kinds", "race", "scene"]
