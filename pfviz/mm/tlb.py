"""What each CPU's TLB holds, page by page, and the shootdown that empties it elsewhere.

A flush bumps the mm's generation, interrupts the CPUs that run the mm and waits for their answers;
a CPU with interrupts off answers late. Knows nothing of locks: callers decide what they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.mm.cross_call import smp_call_function_many
from pfviz.mm.page_table import (
    PAGE_SHIFT,
    TABLE_SHIFT,
    WRITABLE,
    PageTable,
    PteTable,
)
from pfviz.sim import event
from pfviz.sim.engine import Engine
from pfviz.sim.machine import Cpu
from pfviz.sim.task import Step, Task

ENTRIES_MAX: Final = 1536
"""Second-level TLB entries of a current x86-64 core; the oldest makes room."""
FULL_FLUSH_PAGES: Final = 33
"""tlb_single_page_flush_ceiling: above it the whole mm is flushed at once."""


@dataclass(slots=True, eq=False)
class Tlb:
    """The translations that one CPU may use without looking at the page tables."""

    cpu: int
    mm: int = -1
    """The mm loaded on this CPU; it stays loaded while the CPU idles (lazy TLB)."""
    gen: int = 0
    """The mm's tlb_gen up to which this CPU has flushed."""
    entries: dict[int, int] = field(default_factory=dict)
    """Virtual page number -> page-table entry as it was when it was loaded."""
    huge: dict[int, int] = field(default_factory=dict)
    """The same for pages of 2 MiB, by address >> 21."""

    def switch(self, page_table: PageTable) -> None:
        """Load an mm at a task switch (switch_mm_irqs_off): outdated translations go.

        Between two switches nothing but an interrupt empties the TLB: a running thread goes on
        using what it holds until the flush reaches it.
        """
        if self.mm != page_table.mm:
            self.flush()
            self.mm = page_table.mm
        elif self.gen < page_table.tlb_gen:
            self.flush()
        self.gen = page_table.tlb_gen

    def allows(self, address: int, write: bool) -> bool:
        """Whether an access hits: the page tables are then not looked at."""
        entry = self.entries.get(address >> PAGE_SHIFT)
        if entry is None and self.huge:
            entry = self.huge.get(address >> TABLE_SHIFT)
        return entry is not None and (not write or entry & WRITABLE != 0)

    def entry(self, address: int) -> int:
        """What it holds for an address; 0 for nothing."""
        return self.entries.get(address >> PAGE_SHIFT) or self.huge.get(address >> TABLE_SHIFT, 0)

    def load(self, address: int, pte: int) -> None:
        """Remember a translation that the hardware walked to."""
        entries = self.entries
        page = address >> PAGE_SHIFT
        if page not in entries and len(entries) >= ENTRIES_MAX:
            del entries[next(iter(entries))]
        entries[page] = pte

    def load_huge(self, address: int, pmd: int) -> None:
        """Remember the translation of a huge page; it takes one entry of the same TLB."""
        if len(self.huge) + len(self.entries) >= ENTRIES_MAX:
            oldest = self.huge if self.huge else self.entries
            del oldest[next(iter(oldest))]
        self.huge[address >> TABLE_SHIFT] = pmd

    def flush(self) -> None:
        """Forget all translations."""
        self.entries.clear()
        self.huge.clear()

    def drop(self, start: int, end: int, stride_shift: int = PAGE_SHIFT) -> None:
        """Forget the translations of a range (invlpg), or all of them when it is large."""
        if (end - start) >> stride_shift > FULL_FLUSH_PAGES:
            self.flush()
            return
        if self.huge:
            for index in range(start >> TABLE_SHIFT, -(-end >> TABLE_SHIFT)):
                self.huge.pop(index, None)
        if stride_shift == PAGE_SHIFT:
            for page in range(start >> PAGE_SHIFT, end >> PAGE_SHIFT):
                self.entries.pop(page, None)


class Tlbs:
    """The TLBs of all CPUs (`world.tlbs`)."""

    __slots__ = ("of_cpu",)

    def __init__(self, cpus: int) -> None:
        self.of_cpu = [Tlb(cpu) for cpu in range(cpus)]

    def cpumask(self, mm: int) -> list[int]:
        """mm_cpumask: the CPUs that have an mm loaded."""
        return [tlb.cpu for tlb in self.of_cpu if tlb.mm == mm]


def switch_mm_irqs_off(engine: Engine[Any], cpu: Cpu, task: Task) -> None:
    """A CPU goes over to a task: it loads the task's mm; one without an mm borrows what is there.

    This is `engine.on_switch`: from here on the CPU is in mm_cpumask of this mm and of no other.
    """
    mm = getattr(task, "mm", None)
    if mm is not None:
        engine.world.tlbs.of_cpu[cpu.id].switch(mm.page_tables)


@dataclass(slots=True, eq=False)
class TlbFlush:
    """What every CPU of an mm is to drop from its TLB (flush_tlb_info)."""

    page_table: PageTable
    start: int
    end: int
    gen: int
    stride_shift: int = PAGE_SHIFT
    """How far apart the translations are: 2 MiB when only huge pages were mapped."""


@dataclass(slots=True, eq=False)
class MmuGather:
    """Pages and tables that were taken out and may be freed once no TLB knows them (mmu_gather)."""

    page_table: PageTable
    start: int = 1 << 62
    end: int = 0
    pages: int = 0
    """Translations removed or changed; none means that no flush is due."""
    huge: int = 0
    """How many of them were of huge pages; when all were, the flush goes in steps of 2 MiB."""
    frames: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    """First frames of huge pages that go as a whole."""
    pool: list[int] = field(default_factory=list)
    """First frames of huge pages that go back to the hugetlb pool."""
    tables: list[PteTable] = field(default_factory=list)
    nested: bool = False
    keeps_guards: bool = False
    """Whether guard markers stay: they go with their VMA only, not by MADV_DONTNEED."""

    def add_range(self, start: int, end: int) -> None:
        """Extend the range that is to be flushed."""
        self.start = min(self.start, start)
        self.end = max(self.end, end)

    @property
    def stride_shift(self) -> int:
        """tlb_get_unmap_shift: how far apart what changed is."""
        return TABLE_SHIFT if self.huge and self.huge == self.pages else PAGE_SHIFT


def tlb_gather(page_table: PageTable) -> MmuGather:
    """Begin to collect (tlb_gather_mmu): others see that a flush is pending."""
    page_table.flush_pending += 1
    return MmuGather(page_table, nested=page_table.flush_pending > 1)


def flush_tlb_range(
    engine: Engine[Any],
    task: Task,
    page_table: PageTable,
    start: int,
    end: int,
    then: Step,
    reason: str,
    freed_tables: bool = False,
    stride_shift: int = PAGE_SHIFT,
) -> Step:
    """Flush a range of an mm on every CPU that may know it (flush_tlb_mm_range), then go on.

    May be called with spinlocks held: the waiting CPU spins with its interrupts on.
    """
    machine, tlbs = engine.machine, engine.world.tlbs
    page_table.tlb_gen_line.write(engine)
    page_table.tlb_gen += 1
    page_table.flushes += 1
    here = engine.cpu.id
    mine = tlbs.of_cpu[here]
    if mine.mm == page_table.mm:
        if mine.gen < page_table.tlb_gen - 1:
            mine.flush()  # It was idle during a flush: only a full one is safe.
        else:
            mine.drop(start, end, stride_shift)
        mine.gen = page_table.tlb_gen
        pages = (end - start) >> stride_shift
        if pages > FULL_FLUSH_PAGES:
            engine.cost("tlb_local_full")
        else:
            engine.charge(machine.costs["tlb_local_page"] * pages)
    targets = [
        cpu
        for cpu in tlbs.cpumask(page_table.mm)
        # An idle CPU is in lazy TLB mode: it compares generations before it runs the mm again.
        if cpu != here and (machine.cpus[cpu].current is not None or freed_tables)
    ]
    if engine.logging:
        pages = (end - start) >> PAGE_SHIFT
        engine.emit(
            event.TLB_FLUSH, engine.log.text(reason), pages, len(targets) + 1, page_table.mm
        )
    if not targets:
        return then
    flush = TlbFlush(page_table, start, end, page_table.tlb_gen, stride_shift)
    return smp_call_function_many(
        engine, task, targets, _flush_tlb_func, "flush_tlb_func", flush, then
    )


def _flush_tlb_func(engine: Engine[Any], cpu: int, flush: TlbFlush) -> None:
    """Another CPU takes the interrupt: it drops the range."""
    tlb: Tlb = engine.world.tlbs.of_cpu[cpu]
    if tlb.mm != flush.page_table.mm:
        return
    if tlb.gen < flush.gen - 1:
        tlb.flush()  # It missed a generation: only a full flush is safe.
    else:
        tlb.drop(flush.start, flush.end, flush.stride_shift)
    tlb.gen = max(tlb.gen, flush.gen)


def tlb_remove_table_sync_one(engine: Engine[Any], task: Task, then: Step) -> Step:
    """Interrupt every other CPU for nothing but its answer, then go on with `then`.

    Who answers has interrupts on: whatever walk of page tables ran there without locks is over.
    """
    others = [cpu.id for cpu in engine.machine.cpus if cpu.id != engine.cpu.id]
    if not others:
        return then
    name = "tlb_remove_table_smp_sync"
    return smp_call_function_many(engine, task, others, _smp_sync, name, None, then)


def _smp_sync(engine: Engine[Any], cpu: int, nothing: None) -> None:
    """Another CPU takes the interrupt: that it does is all."""
