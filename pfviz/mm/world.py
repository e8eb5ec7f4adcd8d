"""Everything a run can change: address spaces, files, frames, TLBs, and the kernel's rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.mm.cross_call import CpuIrqs
from pfviz.mm.frames import Frames
from pfviz.mm.policy import Policy
from pfviz.mm.presets import Preset, mode_of, preset
from pfviz.mm.swap import Swap
from pfviz.mm.tlb import Tlbs, switch_mm_irqs_off
from pfviz.sim import event
from pfviz.sim.engine import Engine
from pfviz.sim.machine import Machine
from pfviz.sim.picker import Picker
from pfviz.sync.rcu import Rcu

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.hugetlb import HugetlbPool
    from pfviz.mm.page_cache import File
    from pfviz.mm.rules_watch import RuleWatch
    from pfviz.mm.thread import Thread
    from pfviz.mm.user_mutex import UserMutex
    from pfviz.mm.vma import Vma


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """One rule that did not hold, and when that was seen."""

    rule: str
    """Its number, I1 to I28."""
    text: str
    now_ns: int
    task: int


@dataclass(slots=True, eq=False)
class World:
    """The memory of a machine under one kernel (`preset`), one locking `mode` and one `policy`."""

    preset: Preset
    mode: str
    policy: Policy
    rcu: Rcu
    frames: Frames = None  # type: ignore[assignment]
    tlbs: Tlbs = None  # type: ignore[assignment]
    irqs: CpuIrqs = field(default_factory=CpuIrqs)
    mms: list[AddressSpace] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    swap: Swap = field(default_factory=Swap)
    vma_cache: list[Vma] = field(default_factory=list)
    """Freed VMAs that are handed out again without a grace period (type-safe slab, 6.15+)."""
    vmstat: dict[str, int] = field(default_factory=dict)
    broken: list[BrokenRule] = field(default_factory=list)
    """Rules that a step broke, each rule once (see `rules`)."""
    uffd_pollers: list[Thread] = field(default_factory=list)
    """Monitors that sleep because no fault is waiting."""
    watch: RuleWatch | None = None
    """Who checks rules at the very steps that can break them; None when nobody does."""
    hugetlb: HugetlbPool | None = None
    """The huge pages that are set aside; None when nobody asked for any."""
    huge_zero: bool = False
    """Whether the huge zero page was made: the first read of an untouched huge range does."""
    mutexes: dict[str, UserMutex] = field(default_factory=dict)
    """Locks of the programs, by name."""
    faults: int = 0
    """Page faults begun, over all threads; numbers them."""

    @property
    def has_vma_lock(self) -> bool:
        """Whether VMAs have locks: never in mode mmap_lock, nor on a kernel without them."""
        return self.mode != "mmap_lock" and self.preset.vma_lock != "none"

    @property
    def splits_mmap_lock(self) -> bool:
        """`beyond`: ranges, tree and VMAs have locks of their own instead of mmap_lock."""
        return self.preset.tree_lock == "own"

    @property
    def is_lockless(self) -> bool:
        """Whether faults first try without any lock."""
        return self.mode == "lockless"

    @property
    def mm_lock_seq(self) -> str:
        """How mm_lock_seq counts: "none", "int" or "seqcount" (always so in lockless mode)."""
        if self.splits_mmap_lock:
            return "none"
        if self.is_lockless:
            return "seqcount"
        return self.preset.mm_lock_seq if self.has_vma_lock else "none"

    @property
    def vma_free(self) -> str:
        """How VMAs are freed; a lockless reader needs a grace period whatever the kernel does."""
        if self.is_lockless:
            return "rcu"
        # The grace period belongs to CONFIG_PER_VMA_LOCK.
        by_rcu = self.preset.vma_free == "rcu" and not self.has_vma_lock
        return "immediate" if by_rcu else self.preset.vma_free

    @property
    def page_table_free(self) -> str:
        """What freed page tables wait for: "flush" (the interrupts of the TLB flush), "rcu", "ipi".

        A lockless reader needs a grace period (or, with "ipi", interrupts off) whatever the
        kernel does: a flush asks nobody to leave an RCU section.
        """
        if self.policy.page_table_free != "kernel":
            return self.policy.page_table_free
        return "rcu" if self.preset.page_tables_by_rcu or self.is_lockless else "flush"

    def count(self, name: str, by: int = 1) -> None:
        """Bump a counter of /proc/vmstat."""
        self.vmstat[name] = self.vmstat.get(name, 0) + by

    def break_rule(self, engine: Mm, rule: str, text: str) -> None:
        """Note that the step in work (or the state after it) broke a rule; each rule once."""
        if any(broken.rule == rule for broken in self.broken):
            return
        task = engine.task.id if engine.task is not None else event.NOBODY
        self.broken.append(BrokenRule(rule, text, engine.now_ns, task))
        if engine.logging:
            step = last_step(engine)
            engine.emit(event.RULE_BROKEN, engine.log.text(f"{rule}: {text}"), step)

    def mm_named(self, name: str) -> AddressSpace:
        """The address space called `name`; ValueError when there is none."""
        for mm in self.mms:
            if mm.name == name:
                return mm
        raise ValueError(f"no process {name!r} (known: {', '.join(m.name for m in self.mms)})")


def last_step(engine: Engine[Any]) -> int:
    """The index in `log.steps` of the step that ran last; -1 when none did."""
    log = engine.log
    for index in range(len(log) - 1, max(len(log) - 64, 0) - 1, -1):
        row = log.row(index)
        if row[1] == event.STEP:
            return row[3]
    return -1


Mm = Engine[World]
"""The engine that memory-management steps take."""


def new_engine(
    machine: Machine,
    kernel: str | Preset = "6.12",
    mode: str = "",
    policy: Policy | None = None,
    picker: Picker | None = None,
    logging: bool = True,
) -> Mm:
    """An engine with an empty world; ValueError for an unknown kernel or an impossible mode."""

    chosen = preset(kernel) if isinstance(kernel, str) else kernel
    world = World(chosen, mode_of(mode, chosen), policy or Policy(), Rcu())
    engine = Engine(world, machine, picker, logging)
    world.frames = Frames(engine)
    world.tlbs = Tlbs(len(machine.cpus))
    engine.on_switch = switch_mm_irqs_off
    engine.log.meta.update(kernel=chosen.name, mode=world.mode, machine=machine.name)
    return engine
