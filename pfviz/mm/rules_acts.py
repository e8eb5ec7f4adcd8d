"""Rules that only an act can break, asked by the path that acts: locks given back, pages mapped.

`RuleWatch` is told through these; they change nothing and charge nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pfviz.mm.page_table import PRESENT, SPECIAL, PteTable, pfn_of
from pfviz.mm.paths.access_check import access_error
from pfviz.mm.rules_gaps import GapRules
from pfviz.mm.rules_locks import is_vma_written
from pfviz.mm.thread import Thread
from pfviz.sim.event import WRITE
from pfviz.sim.task import Task
from pfviz.sync.rwsem import mode_held

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm


class ActRules(GapRules):
    """Checks I5, I11, I15, I17, I19, I21, I27 and I28 as things happen."""

    def __init__(self) -> None:
        super().__init__()
        self.unfilled: set[int] = set()
        """Frames that a fault has taken and not yet filled."""
        self.downgraders: dict[Any, Task] = {}
        """Who holds an mmap_lock that he turned into a read lock."""

    # Pages

    def frame_taken(self, pfn: int) -> None:
        """A fault has taken a free page: what is in it is somebody else's."""
        self.unfilled.add(pfn)

    def frame_filled(self, pfn: int | None) -> None:
        """Its contents are there, or will be before it is mapped, under the folio's lock."""
        if pfn is not None:
            self.unfilled.discard(pfn)

    def entry_set(self, engine: Mm, address: int, old: int, pte: int) -> None:
        """I15 and I17: a page is filled before it is mapped, and maps where nothing is mapped."""
        if not pte & PRESENT or pte & SPECIAL:
            return
        if pfn_of(pte) in self.unfilled:
            engine.world.break_rule(engine, "I15", f"page {address:#x} is mapped before it is full")
        if old & PRESENT and pfn_of(old) != pfn_of(pte):
            text = f"page {address:#x} is replaced without being cleared"
            engine.world.break_rule(engine, "I17", text)

    def table_freed(self, engine: Mm, table: PteTable) -> None:
        """I5: a page table is given back empty, its lock free, and nobody walks in it."""
        if table.occupied or table.ptl.holder is not None:
            text = f"page table {table.base:#x} is freed while it is in use"
            engine.world.break_rule(engine, "I5", text)
        for task in engine.tasks:
            fault = getattr(task, "fault", None)
            if fault is None or fault.snapshot is None or fault.pmd is not table:
                continue
            if fault.snapshot.irqs_off or fault.snapshot.in_rcu:
                text = f"{task.name} walks in page table {table.base:#x}, which is freed"
                engine.world.break_rule(engine, "I5", text)

    # Locks

    def anon_vma_prepared(self, engine: Mm, thread: Thread) -> None:
        """I11: neighbours' anon_vmas are looked at under mmap_lock only."""
        if mode_held(thread.mm.mmap_lock, thread) is None:
            text = f"{thread.name} prepares an anon_vma without mmap_lock"
            engine.world.break_rule(engine, "I11", text)

    def anon_vma_dropped(self, engine: Mm, thread: Thread, vma: Vma) -> None:
        """I11: a VMA that can be found loses its anon_vma only to who has write-locked it.

        That is mmap_lock, the VMA's own lock (6.4+) and the lock of the anon_vmas' root; who takes
        apart a VMA that nobody can find any more needs the last alone.
        """
        missing = []
        if not vma.detached and mode_held(vma.mm.mmap_lock, thread) != WRITE:
            missing.append("mmap_lock")
        if not vma.detached and engine.world.has_vma_lock and not is_vma_written(engine, vma):
            missing.append("its VMA lock")
        if any(mode_held(one.rwsem, thread) != WRITE for one in vma.anon_vma_chain):
            missing.append("the anon_vma's lock")
        for lock in missing:
            text = f"{thread.name} takes the anon_vma of VMA {vma.id} away without {lock}"
            engine.world.break_rule(engine, "I11", text)

    def fault_unlocked(self, engine: Mm, thread: Thread) -> None:
        """I19: a handler that says the lock was given up (6.6+) holds none any more."""
        vma_held = any(vma.mm is thread.mm for vma in thread.vma_read_locks)
        if vma_held or mode_held(thread.mm.mmap_lock, thread) is not None:
            text = f"{thread.name} starts again with its fault lock held"
            engine.world.break_rule(engine, "I19", text)

    def downgraded(self, engine: Mm, task: Task, lock: Any) -> None:  # noqa: ARG002
        """A writer has become a reader."""
        self.downgraders[lock] = task

    def lock_taken(self, engine: Mm, task: Task, lock: Any, mode: int) -> None:
        """I27: between a downgrade and its unlock nobody writes."""
        reader = self.downgraders.get(lock)
        if mode == WRITE and reader is not None and reader is not task:
            text = f"{task.name} writes while {reader.name} holds the lock it downgraded"
            engine.world.break_rule(engine, "I27", text)

    # What is told to user space

    def signalled(self, engine: Mm, thread: Thread) -> None:
        """I21: who gets SIGSEGV is right: no VMA lets him touch the address just now."""
        fault = thread.in_flight
        vma = thread.mm.vma_at(fault.address)
        if vma is not None and not vma.detached and not access_error(fault, vma.vm_flags):
            text = f"{thread.name} gets SIGSEGV at {fault.address:#x}, which it may touch"
            engine.world.break_rule(engine, "I21", text)
