"""Faults without locks: every abort by name, every race survived, obligations of writers held."""

from __future__ import annotations

import pytest

from pfviz.mm import mmap_lock
from pfviz.mm.operations import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    Access,
    Fork,
    Madvise,
    Mmap,
    Mprotect,
    Munmap,
    OperationList,
    Sleep,
)
from pfviz.mm.page_cache import folio_unlock, new_file
from pfviz.mm.page_table import PRESENT, WRITABLE
from pfviz.mm.paths import attempt, lockless_commit
from pfviz.mm.policy import Policy
from pfviz.sim import event
from tests.mm.fault_scenes import check_pages, fallbacks, kinds, race, scene
from tests.worlds import Scene, at, world

KERNELS = ["6.1", "6.12", "6.18"]
SCOPES = ["mm_seq", "vma_seq"]
SLOW = 20_000


def lockless(kernel: str = "6.12", policy: Policy | None = None, **costs: int) -> Scene:
    return race(kernel, "lockless", policy, **costs)


def crossing(made: Scene, operation, delay_ns: int, page: int = 2, write: bool = True) -> Scene:
    """A fault on CPU 0 and a writer on CPU 1 that begins `delay_ns` later (or earlier)."""
    made.thread("fault", Access(at("m", page), write=write), after_ns=max(0, -delay_ns))
    made.thread("writer", operation, cpu=1, after_ns=max(0, delay_ns))
    return made.run()


@pytest.mark.parametrize("kernel", KERNELS)
def test_an_uncontended_fault_takes_only_the_page_table_lock(kernel: str) -> None:
    made = lockless(kernel)
    thread = made.thread("t", Access(at("m", 2), write=True))
    made.run()
    taken = {lock["lock"] for lock in made.events(event.LOCK_ACQUIRED, thread)}
    names = {new["lock"]: new["name"] for new in made.events(event.LOCK_NEW)}
    assert all(names[lock].startswith(("ptl", "zone")) for lock in taken)
    assert made.engine.world.vmstat["lockless_success"] == 1
    check_pages(made)


CAUSES = {
    "segv_unmapped": "no VMA at the address",
    "anon_write_first": "no anon_vma yet",
    "file_cow": "no anon_vma yet",
    "file_read_miss": "I/O needed",
    "driver": "driver without map_pages",
    "shared_write": "the filesystem must be asked first",
    "segv_access": "access not permitted: let a lock decide",
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", CAUSES)
def test_what_needs_more_than_a_glance_goes_down_the_ladder(kind: str, kernel: str) -> None:
    made, _ = scene(kind, kernel, "lockless")
    assert fallbacks(made.run())[0] == CAUSES[kind]
    assert made.engine.world.vmstat["lockless_abort"] == 1
    check_pages(made)


def test_a_missing_page_table_is_made_further_down() -> None:
    made = world("6.12", "lockless").vma("m", 8)
    made.thread("t", Access(at("m")))
    assert fallbacks(made.run()) == ["no page table yet"]


def test_a_page_that_somebody_locked_is_left_alone() -> None:
    made = world("6.12", "lockless")
    file = new_file(made.engine, "data", 8, 8)
    made.file_vma("m", file, 8)
    made.mm.page_tables.table_for(made.engine, made.named("m"))
    folio = file.folio(made.engine, 0)
    assert folio is not None
    folio.locked_by = 99
    made.engine.alarm(50_000, lambda engine, found: folio_unlock(engine, found), folio)
    made.thread("t", Access(at("m")))
    made.run()
    assert fallbacks(made)[0] == "page locked by somebody else"
    check_pages(made)


@pytest.mark.parametrize("scope", SCOPES)
def test_every_race_with_mprotect_ends_in_a_named_abort_or_a_clean_page(scope: str) -> None:
    policy = Policy(lockless_scope=scope)
    seen: set[str] = set()
    for delay_ns in range(-2_000, 2_000, 12):
        made = lockless(policy=policy)
        made = crossing(made, Mprotect(at("m"), 8, PROT_READ | PROT_WRITE | 4), delay_ns)
        seen.update(fallbacks(made))
        check_pages(made)
    expected = {attempt.SEQ_ODD, attempt.SEQ1, attempt.SEQ2}
    assert expected <= seen, seen


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("kernel", ["6.12", "6.18"])
def test_every_race_with_munmap_leaves_no_page_behind(kernel: str, scope: str) -> None:
    seen: set[str] = set()
    for delay_ns in range(-3_000, 2_000, 25):
        made = lockless(kernel, Policy(lockless_scope=scope))
        crossing(made, Munmap(at("m"), 8), delay_ns)
        seen.update(fallbacks(made))
        check_pages(made)
        assert set(kinds(made)) <= {"anon_write", "segv_unmapped"}
    assert {attempt.NO_VMA, attempt.SEQ1} <= seen


def test_a_read_protected_while_a_fault_runs_never_gets_a_writable_page() -> None:
    for delay_ns in range(-1_500, 2_500, 20):
        made = lockless()
        crossing(made, Mprotect(at("m"), 8, PROT_READ), delay_ns)
        pte = made.mm.page_tables.pte(made.named("m") + 2 * 4096)
        assert not pte & WRITABLE or not pte & PRESENT
        check_pages(made)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_fork_and_faults_share_no_page_by_accident(scope: str) -> None:
    for delay_ns in range(-1_000, 40_000, 900):
        made = lockless("6.18", Policy(lockless_scope=scope))
        child = OperationList((Sleep(100_000),))
        made.thread("fault", Access(at("m"), write=True, pages=8), after_ns=max(0, delay_ns))
        made.thread("fork", Fork(child, child_cpu=2), cpu=1, after_ns=max(0, -delay_ns))
        made.run()
        check_pages(made)


def test_a_mapping_replaced_under_a_fault_is_noticed() -> None:
    seen: set[str] = set()
    flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED
    for delay_ns in range(-2_000, 2_000, 40):
        made = lockless()
        crossing(made, Mmap(8, PROT_READ | PROT_WRITE, flags, at=at("m")), delay_ns)
        seen.update(fallbacks(made))
        check_pages(made)
    assert {attempt.SEQ_ODD, attempt.SEQ1} <= seen


def test_two_faults_on_one_page_keep_one_page() -> None:
    made = lockless()
    for cpu in range(3):
        made.thread(f"t{cpu}", Access(at("m", 2), write=True), cpu=cpu)
    made.run()
    check_pages(made)
    assert made.engine.world.frames.used == 2  # the page of old, and one more


def test_a_busy_page_table_is_not_spun_for() -> None:
    made = lockless(map=SLOW)  # the holder keeps the lock for long
    made.thread("first", Access(at("m", 2), write=True))
    second = made.thread("second", Access(at("m", 3), write=True), cpu=1, after_ns=100)
    made.run()
    assert attempt.PTL_BUSY in fallbacks(made)
    assert made.events(event.SPIN_BEGIN, second)  # one rung down it may spin
    check_pages(made)


def test_attempts_are_bounded_and_counted() -> None:
    made = lockless(policy=Policy(lockless_attempts_max=3), map=SLOW)
    made.thread("first", Access(at("m", 2), write=True))
    made.thread("second", Access(at("m", 3), write=True), cpu=1, after_ns=100)
    made.run()
    assert fallbacks(made) == [attempt.PTL_BUSY] * 3
    assert made.engine.world.vmstat["lockless_attempt"] == 4


def test_the_ladder_can_skip_the_vma_lock() -> None:
    made = world("6.12", "lockless", policy=Policy(lockless_fallback="mmap_lock")).vma("m", 8)
    made.thread("t", Access(at("m"), write=True))
    made.run()
    falls = made.events(event.FAULT_FALLBACK)
    assert [(fall["from_regime"], fall["to_regime"]) for fall in falls] == [(2, 0)]


@pytest.mark.parametrize("free", ["kernel", "rcu", "ipi"])
@pytest.mark.parametrize("snapshot", ["copy", "rcu_ref"])
def test_every_policy_survives_an_unmapping_neighbour(free: str, snapshot: str) -> None:
    policy = Policy(page_table_free=free, lockless_snapshot=snapshot)
    for delay_ns in range(-2_000, 2_000, 160):
        made = lockless(policy=policy)
        crossing(made, Munmap(at("m"), 8), delay_ns)
        check_pages(made)
        assert all(not cpu.irqs_off for cpu in made.engine.machine.cpus)
        assert not made.engine.world.rcu.sections


def test_interrupts_are_off_while_tables_are_walked_if_they_are_freed_by_ipi() -> None:
    made = lockless(policy=Policy(page_table_free="ipi"))
    made.thread("t", Access(at("m", 2), write=True))
    made.run()
    assert [irq["enabled"] for irq in made.events(event.IRQ)] == [0, 1, 0, 1]


def test_dontneed_beside_faults_drops_pages_but_no_vma() -> None:
    for delay_ns in range(-2_000, 2_000, 80):
        made = lockless("6.18")
        crossing(made, Madvise(at("m"), 8, "dontneed"), delay_ns)
        check_pages(made)


# Broken on purpose


def test_without_the_second_look_a_page_outlives_its_vma(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SEQ1 and SEQ2 the obligations of writers are found broken at once."""
    monkeypatch.setattr(lockless_commit, "sequence_holds", lambda engine, thread: True)
    with pytest.raises(AssertionError, match=r"W1|W3|I1"):
        cross_at_many_delays("6.12", Munmap(at("m"), 8))


def test_without_pte_same_the_loser_leaks_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockless_commit, "recheck_pte", lockless_commit.commit_rmap)
    made = lockless()
    for cpu in range(2):
        made.thread(f"t{cpu}", Access(at("m", 2), write=True), cpu=cpu, after_ns=cpu * 100)
    made.run()
    with pytest.raises(AssertionError, match=r"I23|I24"):
        check_pages(made)


def test_a_writer_that_hides_from_the_sequence_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """W1: an mprotect that never makes the sequence odd is seen by the fault that it crosses."""

    def lock_quietly(engine, thread, mm, then):
        return down_write(engine, thread, mm.mmap_lock, then)  # noqa: F821

    monkeypatch.setattr(mmap_lock, "vma_end_write_all", lambda engine, mm: None)
    monkeypatch.setattr(mmap_lock.mmap_write_lock, "__code__", lock_quietly.__code__)
    with pytest.raises(AssertionError, match="W1"):
        cross_at_many_delays("6.1", Mprotect(at("m"), 8, PROT_READ))


def cross_at_many_delays(kernel: str, operation) -> None:
    for delay_ns in range(-2_000, 2_000, 20):
        made = lockless(kernel)
        crossing(made, operation, delay_ns)
        check_pages(made)
