"""Rules at the very steps that can break them: a lock asked for, taken, given back, a page set.

A rule may be broken for a few steps only: who looks every so often misses that. `RuleWatch` is told
by locks and paths what they do (`engine.watch`, `world.watch`); it charges nothing, changes
nothing, and knows no more of them than `rules_locks` and `rules_pages` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pfviz.mm import rules_locks, rules_pages
from pfviz.mm.rules_acts import ActRules
from pfviz.mm.thread import Thread
from pfviz.mm.vma import VM_WRITE, Vma
from pfviz.sim.event import READ, SPIN, WRITE
from pfviz.sim.task import Task
from pfviz.sync.rwsem import mode_held
from pfviz.sync.seqcount import SeqCount

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.swap import AnonFolio, SwapArea
    from pfviz.mm.tlb import Tlb
    from pfviz.mm.world import Mm

LOCK_ORDER: Final = {
    "range_lock": -1, "mmap_lock": 0, "rwsem": 1, "folio": 2, "vma_lock": 3, "i_mmap": 4,
    "anon_vma": 5, "ptl": 6, "zone": 7, "spinlock": 8,
}  # fmt: skip
"""Who asks for a lock may hold only those left of it (mm/rmap.c, process_addrs.rst).

By kind. Just an "rwsem" are a file's invalidate_lock, a driver's object lock, the map_changing_lock
of a userfaultfd, and the mutexes and VMA locks of hugetlb: all of them lie between mmap_lock and
the page lock, and which of them is outside which is not asked.
"""


class RuleWatch(ActRules):
    """Checks I6, I7, I8, I14, I18, I20 and F1 as things happen."""

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[Task, list[Any]] = {}
        """The locks that each task holds, in order; VMAs that are held for reading left out."""
        self.changed: dict[int, list[Vma]] = {}
        """By mm: VMAs that forbid writing and were changed in the write section in work."""
        self.counts: dict[int, int] = {}
        """By mm: its mm_lock_seq when it was last seen."""
        self.sections: dict[int, int] = {}
        """By mm that is write-locked: its mm_lock_seq when the writer got the lock."""

    # Locks (engine.watch)

    def asked(self, engine: Mm, task: Task, lock: Any, mode: int) -> None:
        """I18: no sleeping lock in an atomic or RCU section, none against the order."""
        if mode != SPIN:
            if task.preempt_count:
                text = f"{task.name} asks for {lock.name} in an atomic section"
                self._broke(engine, "I18", text)
            if engine.world.rcu.is_reading(task):
                self._broke(engine, "I18", f"{task.name} asks for {lock.name} in an RCU section")
            is_of_mm = lock.kind in rules_locks.LOCKS_OF_MM
            if is_of_mm and isinstance(task, Thread) and task.vmas_held:
                held = next(iter(task.vmas_held)).id
                text = f"{task.name} asks for {lock.kind} while it holds VMA {held}"
                self._broke(engine, "I18", text)
        place = LOCK_ORDER[lock.kind]
        for other in self.held.get(task, ()):
            if LOCK_ORDER[other.kind] > place:
                text = f"{task.name} asks for {lock.name} with {other.name} held: wrong order"
                self._broke(engine, "I18", text)

    def took(self, engine: Mm, task: Task, lock: Any, mode: int) -> None:
        """I20: when a writer gets mmap_lock, mm_lock_seq is even; its next step makes it odd.

        Where it only counts (6.4 to 6.12.0), what it has come to is what the writer must change.
        """
        if lock.kind == "vma_lock" and mode == READ:
            return
        held = self.held.get(task)
        if held is None:
            self.held[task] = [lock]
        else:
            held.append(lock)
        if lock.kind == "mmap_lock":
            self.lock_taken(engine, task, lock, mode)
            if mode == WRITE:
                self._sequence_is_even(engine, lock.owner)
                self._section_begins(engine, lock.owner)

    def gave(self, engine: Mm, task: Task, lock: Any, mode: int) -> None:
        """I20 and I6: a writer leaves mm_lock_seq even, and no page writable that may not be."""
        held = self.held.get(task)
        if held is not None and lock in held:
            held.remove(lock)
        if mode == READ and self.downgraders.get(lock) is task:
            del self.downgraders[lock]
        if lock.kind == "mmap_lock" and mode == WRITE:
            self._sequence_is_even(engine, lock.owner)
            self._section_has_counted(engine, lock.owner)
            for vma in self.changed.pop(lock.owner, ()):
                if not vma.detached and not vma.vm_flags & VM_WRITE:
                    for text in rules_pages.writable_pages_of(vma):
                        self._broke(engine, "I6", text)

    def counted(self, engine: Mm, sequence: SeqCount) -> None:
        """I20: mm_lock_seq changes only for who has mmap_lock for writing, and only grows.

        In `beyond` it counts stores to the tree: what must be held there is the lock of the tree.
        """
        mm = next((one for one in engine.world.mms if one.mm_lock_seq is sequence), None)
        task = engine.task
        if mm is None or task is None:
            return
        if mm.tree_lock is not None:
            may_change = mm.tree_lock.holder is task
        else:
            may_change = mode_held(mm.mmap_lock, task) == WRITE
        if not may_change:
            text = f"{task.name} changes mm_lock_seq of {mm.name} without mmap_lock for writing"
            self._broke(engine, "I20", text)
        if sequence.value <= self.counts.get(mm.id, -1):
            self._broke(engine, "I20", f"mm_lock_seq of {mm.name} goes back")
        self.counts[mm.id] = sequence.value

    def slept(self, engine: Mm, task: Task) -> None:
        """I18: nobody goes to sleep inside RCU, nor closes a circle of waiting."""
        if isinstance(task, Thread):
            if engine.world.rcu.is_reading(task):
                self._broke(engine, "I18", f"{task.name} sleeps in an RCU section")
            circle = rules_locks.circle_of(engine, task)
            if circle:
                text = f"a circle of waiting: {rules_locks.told(circle)}"
                self._broke(engine, "I18", text)

    # VMAs (world.watch)

    def vma_read_locked(self, engine: Mm, thread: Thread, vma: Vma) -> None:
        """I8 and F1: a reader has got a VMA."""
        if rules_locks.is_vma_written(engine, vma):
            text = f"{thread.name} holds VMA {vma.id} for reading while it is write-locked"
            self._broke(engine, "I8", text)
        self._fork_is_not_in(engine, thread, vma)

    def vma_write_locked(self, engine: Mm, vma: Vma) -> None:
        """I8: a writer has marked a VMA."""
        for thread in rules_locks.threads_of(engine):
            if vma in thread.vmas_held:
                text = f"{thread.name} holds VMA {vma.id} for reading while it is write-locked"
                self._broke(engine, "I8", text)

    def vma_let_go(self, engine: Mm, thread: Thread, vma: Vma, fields: tuple[int, ...]) -> None:
        """I7: a reader gives a VMA back, which is as it was when it got it."""
        if vma.stable_fields != fields:
            text = f"VMA {vma.id} changed while {thread.name} held it for reading"
            self._broke(engine, "I7", text)

    def vma_changed(self, engine: Mm, vma: Vma) -> None:
        """I7: a VMA has changed; nobody may hold it for reading."""
        for thread in rules_locks.threads_of(engine):
            fields = thread.vmas_held.get(vma)
            if fields is not None:
                self.vma_let_go(engine, thread, vma, fields)
        if not vma.vm_flags & VM_WRITE:
            known = self.changed.setdefault(vma.mm.id, [])
            if vma not in known:
                known.append(vma)

    def vma_copied(self, engine: Mm, forker: Thread, vma: Vma) -> None:
        """F1: fork has copied pages of a VMA; no fault may be in it."""
        for thread in rules_locks.threads_of(engine):
            if vma in thread.vmas_held:
                text = rules_locks.fault_in_a_copy(thread, vma, forker)
                self._broke(engine, "F1", text)

    def lockless_commits(self, engine: Mm, thread: Thread, vma: Vma | None) -> None:
        """F1: a lockless fault has seen that nothing changed, and will set its entry."""
        if vma is not None:
            self._fork_is_not_in(engine, thread, vma)

    # Pages (world.watch)

    def page_set_writable(self, engine: Mm, mm_id: int, address: int) -> None:
        """I6: an entry was set that lets its page be written."""
        mm = next((one for one in engine.world.mms if one.id == mm_id), None)
        if mm is None or rules_locks.is_written(mm):
            return
        vma = mm.vma_at(address)
        if vma is not None and not vma.vm_flags & VM_WRITE:
            text = f"page {address & -4096:#x} is writable in a VMA {vma.perms}"
            self._broke(engine, "I6", text)

    def swapped_in(
        self, engine: Mm, thread: Thread, folio: AnonFolio, area: SwapArea, slot: int
    ) -> None:
        """I16: an entry that points to a slot is going to point to a page."""
        if folio.generation != area.generations.get(slot):
            text = f"{thread.name} maps an old copy of slot {slot} of {area.name}"
            self._broke(engine, "I16", text)

    def wrote_through_tlb(self, engine: Mm, tlb: Tlb, mm: AddressSpace, address: int) -> None:
        """I14: a CPU wrote a page through its TLB; the page table must allow it."""
        if rules_pages.is_stale(tlb, mm, address & -4096, tlb.entry(address)):
            text = f"CPU {tlb.cpu} wrote page {address & -4096:#x} through a stale TLB entry"
            self._broke(engine, "I14", text)

    # Inside

    def _fork_is_not_in(self, engine: Mm, thread: Thread, vma: Vma) -> None:
        forker = rules_locks.forker_of(vma.mm)
        if forker is not None and forker is not thread and rules_locks.copied_by(forker, vma):
            text = rules_locks.fault_in_a_copy(thread, vma, forker)
            self._broke(engine, "F1", text)

    def _sequence_is_even(self, engine: Mm, mm_id: int) -> None:
        mm = next((one for one in engine.world.mms if one.id == mm_id), None)
        if mm is not None and engine.world.mm_lock_seq == "seqcount" and mm.mm_lock_seq.is_written:
            self._broke(engine, "I20", f"mm_lock_seq of {mm.name} is odd, but nobody writes")

    def _section_begins(self, engine: Mm, mm_id: int) -> None:
        mm = next((one for one in engine.world.mms if one.id == mm_id), None)
        if mm is not None and engine.world.mm_lock_seq != "none":
            if mm.mm_lock_seq.value < self.counts.get(mm.id, 0):
                self._broke(engine, "I20", f"mm_lock_seq of {mm.name} goes back")
            self.sections[mm.id] = self.counts[mm.id] = mm.mm_lock_seq.value

    def _section_has_counted(self, engine: Mm, mm_id: int) -> None:
        began = self.sections.pop(mm_id, None)
        mm = next((one for one in engine.world.mms if one.id == mm_id), None)
        if mm is not None and mm.mm_lock_seq.value == began:
            text = f"mm_lock_seq of {mm.name} is as before its writer: VMAs stay write-locked"
            self._broke(engine, "I20", text)

    def _broke(self, engine: Mm, rule: str, text: str) -> None:
        engine.world.break_rule(engine, rule, text)
