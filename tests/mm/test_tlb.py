"""TLBs: what a CPU may use without asking, and how others make it forget."""

from __future__ import annotations

from pfviz.mm.address_space import AddressSpace, new_mm
from pfviz.mm.operations import (
    PROT_READ,
    PROT_WRITE,
    Access,
    Compute,
    Madvise,
    Mprotect,
    Munmap,
    OperationList,
)
from pfviz.mm.page_table import PAGE_SIZE, PRESENT, WRITABLE, pte_of
from pfviz.mm.paths.run import new_thread
from pfviz.mm.policy import Policy
from pfviz.mm.tlb import ENTRIES_MAX, FULL_FLUSH_PAGES, Tlb, switch_mm_irqs_off
from pfviz.sim import event
from pfviz.sim.task import Task
from tests.mm.fault_scenes import race
from tests.worlds import Scene, at, world

WRITE = Access(at("m"), write=True)


def test_a_translation_for_reading_does_not_let_a_write_through() -> None:
    tlb = Tlb(0)
    tlb.load(0x1000, pte_of(5, PRESENT))
    assert tlb.allows(0x1234, write=False)
    assert not tlb.allows(0x1234, write=True)
    tlb.load(0x1000, pte_of(5, PRESENT | WRITABLE))
    assert tlb.allows(0x1234, write=True)


def test_a_full_tlb_forgets_its_oldest_translation() -> None:
    tlb = Tlb(0)
    for page in range(ENTRIES_MAX + 1):
        tlb.load(page * PAGE_SIZE, pte_of(page + 1, PRESENT))
    assert not tlb.allows(0, write=False)
    assert tlb.allows(PAGE_SIZE, write=False)


def test_small_ranges_go_page_by_page_and_large_ones_take_everything() -> None:
    for pages, is_other_left in ((FULL_FLUSH_PAGES, True), (FULL_FLUSH_PAGES + 1, False)):
        tlb = Tlb(0)
        tlb.load(1 << 30, pte_of(1, PRESENT))
        tlb.load(0x1000, pte_of(2, PRESENT))
        tlb.drop(0, pages * PAGE_SIZE)
        assert not tlb.allows(0x1000, write=False)
        assert tlb.allows(1 << 30, write=False) == is_other_left


def test_a_cpu_that_missed_a_generation_drops_everything() -> None:
    made = race("6.12", "per-vma")
    made.thread("t", WRITE, Munmap(at("m", 4), 1), Munmap(at("m", 5), 1))
    made.run()
    tlb = made.engine.world.tlbs.of_cpu[0]
    assert tlb.gen == made.mm.page_tables.tlb_gen


def shootdown(pages_apart: int = 1, **costs: int) -> Scene:
    """CPU 1 uses a page (and computes on); CPU 0 drops it."""
    made = world("6.12", cpus=4, **costs).vma("m", 64).touched("m")
    made.thread("user", Access(at("m"), write=True, pages=4), Compute(60_000), cpu=1)
    made.thread("drop", Madvise(at("m"), 2, "dontneed"), after_ns=5_000)
    return made


def test_pages_are_freed_only_after_every_cpu_that_runs_the_mm_has_answered() -> None:
    made = shootdown()
    made.run(until_ns=6_000)
    assert made.engine.world.tlbs.of_cpu[1].allows(made.named("m"), write=True)
    made.run()
    assert not made.engine.world.tlbs.of_cpu[1].allows(made.named("m"), write=True)
    (flush,) = made.events(event.TLB_FLUSH)
    (ipi,) = made.events(event.IPI)
    assert (flush["cpus"], ipi["target_cpu"]) == (2, 1)


def test_an_idle_cpu_is_not_interrupted_and_looks_before_it_runs_the_mm_again() -> None:
    made = world("6.12", cpus=4).vma("m", 64).touched("m")
    made.thread("user", WRITE, cpu=1)
    made.thread("drop", Madvise(at("m"), 2, "dontneed"), after_ns=20_000)
    again = made.thread("again", WRITE, cpu=1, after_ns=60_000)
    made.run()
    assert not made.events(event.IPI)
    assert again.faults == 1  # it did not use what the TLB had kept


def test_a_cpu_with_interrupts_off_answers_late() -> None:
    """Page tables that are freed by interrupt wait for lockless walks (policy ipi)."""

    def waited(**costs: int) -> int:
        policy = Policy(page_table_free="ipi")
        made = race("6.12", "lockless", policy, handle_pte_fault=30_000, **costs)
        made.vma("n", 8).touched("n", 8)
        made.thread("walk", Access(at("m", 2), write=True))
        made.thread("drop", Madvise(at("n"), 8, "dontneed"), cpu=1, after_ns=300)
        made.run()
        return made.events(event.OP_END, made.engine.tasks[1])[0]["latency_ns"]

    assert waited() > 20_000


def test_copy_on_write_flushes_other_cpus_with_the_lock_held() -> None:
    made = world("6.12", cpus=4).vma("m", 8).touched("m", 1)
    made.thread("read", Access(at("m", 1)), Compute(60_000), cpu=1)
    made.thread("write", Access(at("m", 1), write=True), after_ns=5_000)
    made.run()
    reasons = [flush["reason"] for flush in made.events(event.TLB_FLUSH)]
    assert reasons == ["copy on write"]
    assert not made.engine.world.tlbs.of_cpu[1].entries.keys() & {(made.named("m") >> 12) + 1}


def test_relaxing_a_protection_needs_no_flush_of_what_was_never_there() -> None:
    made = world("6.12").vma("m", 8)
    made.thread("t", Mprotect(at("m"), 8, PROT_READ), Mprotect(at("m"), 8, PROT_READ | PROT_WRITE))
    made.run()
    assert not made.events(event.TLB_FLUSH)


def two_processes() -> tuple[Scene, AddressSpace]:
    """CPU 1 has run the first process, and then runs another one that only computes."""
    made = world("6.12", cpus=4).vma("m", 64).touched("m")
    other = new_mm(made.engine, "other")
    made.thread("user", WRITE, cpu=1)
    cpu = made.engine.machine.cpus[1]
    new_thread(made.engine, other, "else", cpu, OperationList((Compute(90_000),)), 120, 10_000)
    return made, other


def test_a_cpu_that_went_over_to_another_process_is_not_interrupted_for_the_first() -> None:
    made, other = two_processes()
    made.thread("drop", Madvise(at("m"), 2, "dontneed"), after_ns=40_000)
    made.run()
    assert not made.events(event.IPI)
    assert made.engine.world.tlbs.cpumask(other.id) == [1]


def test_a_thread_that_only_computes_is_interrupted_for_its_own_process() -> None:
    made = world("6.12", cpus=4).vma("m", 64).touched("m")
    made.thread("busy", Compute(90_000), cpu=2)
    made.thread("drop", Madvise(at("m"), 2, "dontneed"), after_ns=40_000)
    made.run()
    (ipi,) = made.events(event.IPI)
    assert ipi["target_cpu"] == 2


def test_a_task_without_memory_borrows_the_mm_that_is_loaded() -> None:
    made, _ = two_processes()
    made.run(until_ns=9_000)
    before = made.engine.world.tlbs.of_cpu[1].mm
    switch_mm_irqs_off(made.engine, made.engine.machine.cpus[1], Task(99, "kworker"))
    assert made.engine.world.tlbs.of_cpu[1].mm == before == made.mm.id
