"""All that is known at one moment of a run or capture: tasks, locks, memory, counters.

Plain mutable records that `fold` fills from events; they know no row of text. A frame that is still
folding belongs to whoever folds it: `Frame.copy` gives one away.
"""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.sim.event import NOBODY, WRITE, EventLog
from pfviz.stats.histogram import Histogram

from . import states
from .memory_state import FileState, MmState, VmaState

PATH_MAX: Final = 256
"""Steps of the current fault or operation that are kept; older ones go in halves."""

Hold = tuple[int, int]
"""(mode, since_ns) of a holder, a waiter or a spinner."""


def _array() -> array[int]:
    return array("q")


@dataclass(slots=True)
class FaultState:
    """The page fault that a task is in, or was in last (`end_ns` >= 0)."""

    address: int
    error_code: int
    number: int
    mm: int
    began_ns: int
    regime: int = -1
    attempt: int = 0
    fallbacks: list[tuple[str, int, int]] = field(default_factory=list)
    """(cause, from regime, to regime), in order."""
    end_ns: int = -1
    kind: str = ""
    flags: int = 0


@dataclass(slots=True)
class TaskState:
    """One thread: where it stands, what it waits for and the way it came."""

    id: int
    name: str = ""
    cpu: int = -1
    prio: int = 120
    mm: int = -1
    state: int = states.NEW
    since_ns: int = 0
    """When `state` began."""
    on_cpu: bool = True
    unstarted: bool = False
    """It was announced to run on a CPU and no CPU has run it yet."""
    off_cpu_since_ns: int = -1
    preempted: bool = False
    asleep: bool = False
    asleep_why: str = ""
    asleep_lock: int = -1
    ended: bool = False
    io: bool = False
    rcu_depth: int = 0
    # The step
    step: int = -1
    step_ns: int = 0
    step_cost_ns: int = 0
    steps: int = 0
    # The operation
    op: str = ""
    op_index: int = -1
    op_address: int = 0
    op_length: int = 0
    op_began_ns: int = -1
    ops_done: int = 0
    # The fault
    fault: FaultState | None = None
    faults_done: int = 0
    # Locks
    waits_lock: int = -1
    waits_mode: int = 0
    waits_since_ns: int = -1
    waits_unannounced: bool = False
    """It sleeps for a lock that has no queue (the readers of a refcounted VMA lock, 6.15+)."""
    spins_lock: int = -1
    spins_since_ns: int = -1
    holds: dict[int, Hold] = field(default_factory=dict)
    # The last tree node it looked at
    walk_node: int = -1
    walk_index: int = 0
    walk_slot: int = -1
    walk_at: int = -1
    """The node on which it stands now: the child whose pointer it has just loaded, or the leaf."""
    walk_ns: int = -1
    # The path of the current fault or operation
    path_ns: array[int] = field(default_factory=_array)
    path_codes: array[int] = field(default_factory=_array)
    """Step index, or `~text index` of the cause of a fallback; as long as `path_ns`."""

    @property
    def in_fault(self) -> bool:
        """Whether a fault is in flight."""
        return self.fault is not None and self.fault.end_ns < 0


RANGE_LOCK: Final = "range_lock"
"""The kind of the lock on ranges that `beyond` has in the place of mmap_lock."""


@dataclass(slots=True)
class LockState:
    """One lock: who has it, who wants it, and what its words say."""

    id: int
    kind: str = "rwsem"
    name: str = ""
    owner: int = -1
    """The VMA of a `vma_lock`, the mm of an `mmap_lock`, else -1."""
    holders: dict[int, Hold] = field(default_factory=dict)
    waiters: dict[int, Hold] = field(default_factory=dict)
    """In queue order."""
    spinners: dict[int, Hold] = field(default_factory=dict)
    word: int = 0
    has_word: bool = False
    owner_task: int = -1
    sequence: int = -1
    handoff: bool = False
    handoff_ns: int = -1
    downgraded_ns: int = -1
    touched_ns: int = -1
    """When anything last happened to it."""
    reads: int = 0
    writes: int = 0
    failed: int = 0
    contended: int = 0
    waiters_max: int = 0
    wait_ns_total: int = 0
    wait_ns_max: int = 0
    hold_ns_max: int = 0

    @property
    def writer(self) -> int:
        """The task that holds it for write, or -1."""
        for task, (mode, _) in self.holders.items():
            if mode == WRITE:
                return task
        return -1

    @property
    def busy(self) -> bool:
        """Whether anybody holds it, waits or spins."""
        return bool(self.holders or self.waiters or self.spinners)


class Tasks(dict[int, TaskState]):
    """Tasks by id; captures name tasks that were never announced, so looking one up makes it."""

    def __missing__(self, key: int) -> TaskState:
        task = self[key] = TaskState(key, f"task{key}" if key >= 0 else "nobody")
        return task


class Locks(dict[int, LockState]):
    """Locks by id, made when first heard of."""

    def __missing__(self, key: int) -> LockState:
        lock = self[key] = LockState(key, name=f"lock {key}")
        return lock


class Vmas(dict[int, VmaState]):
    """VMAs by id, made when first heard of."""

    def __missing__(self, key: int) -> VmaState:
        vma = self[key] = VmaState(key)
        return vma


class Mms(dict[int, MmState]):
    """Address spaces by id, made when first heard of."""

    def __missing__(self, key: int) -> MmState:
        mm = self[key] = MmState(key)
        return mm


class Files(dict[int, FileState]):
    """Files by id, made when first heard of."""

    def __missing__(self, key: int) -> FileState:
        file = self[key] = FileState(key, f"file {key}")
        return file


Watch = Callable[[int, TaskState], None]
"""Told (now_ns, task) whenever a task's state, lock or regime changed."""


@dataclass(slots=True)
class Frame:
    """Everything known after the first `index` events of `log`."""

    log: EventLog = field(compare=False, repr=False)
    watch: Watch | None = field(default=None, compare=False, repr=False)
    index: int = 0
    now_ns: int = 0
    steps: int = 0
    step_task: int = NOBODY
    """The task of the last step; its `step` is the frame's."""
    event_task: int = NOBODY
    """The task of the last event, for captures, which have no steps."""
    tasks: Tasks = field(default_factory=Tasks)
    names: dict[str, int] = field(default_factory=dict)
    """Task name -> how many tasks have it."""
    locks: Locks = field(default_factory=Locks)
    mms: Mms = field(default_factory=Mms)
    vmas: Vmas = field(default_factory=Vmas)
    files: Files = field(default_factory=Files)
    cpus: dict[int, int] = field(default_factory=dict)
    """CPU -> the task it runs, -1 when idle."""
    irqs_off: dict[int, int] = field(default_factory=dict)
    """CPU with interrupts off -> since_ns."""
    waiting: dict[int, int] = field(default_factory=dict)
    """Task -> since_ns of every sleeping waiter, the longest first."""
    counters: dict[str, int] = field(default_factory=dict)
    """/proc/vmstat names."""
    fallbacks: dict[str, int] = field(default_factory=dict)
    """Cause -> how often."""
    faults_by_kind: dict[str, int] = field(default_factory=dict)
    fault_latency: tuple[Histogram, Histogram, Histogram] = field(
        default_factory=lambda: (Histogram(), Histogram(), Histogram())
    )
    """By the regime under which the fault ended."""
    fault_ns_max: list[int] = field(default_factory=lambda: [0, 0, 0])
    op_latency: dict[str, Histogram] = field(default_factory=dict)
    wait_latency: Histogram = field(default_factory=Histogram)
    line_moves: dict[int, int] = field(default_factory=dict)
    """Cache line -> transfers."""
    line_names: dict[int, str] = field(default_factory=dict)
    line_moves_total: int = 0
    line_ns_total: int = 0
    tlb_flushes: int = 0
    ipis: int = 0
    switches: int = 0
    handovers: int = 0
    rcu_pending: int = 0
    """Callbacks that wait; while there are any, a grace period is in progress."""
    rcu_grace_periods: int = 0
    rcu_sections: dict[int, int] = field(default_factory=dict)
    """Task inside an RCU read section -> the section's number."""
    rcu_sections_begun: int = 0
    broken: list[tuple[int, str, int, int]] = field(default_factory=list)
    """(now_ns, rule, step index, task)."""
    lost: int = 0
    losses: list[tuple[int, int, int, str]] = field(default_factory=list)
    """(now_ns, cpu, count, text) of the last few gaps in a capture."""
    note: str = ""
    cue: int = -1
    note_ns: int = -1

    def copy(self) -> Frame:
        """An independent frame of the same moment."""
        return thaw(freeze(self), self.log)

    def label(self, task: int) -> str:
        """A task's name, with its id as the kernel writes it (`app-1234`) when several share it."""
        if task not in self.tasks or task < 0:
            return "nobody"
        name = self.tasks[task].name
        return name if self.names.get(name, 0) < 2 else f"{name}-{task}"

    def people(self) -> list[TaskState]:
        """Every real task in order of its id."""
        return [self.tasks[task] for task in sorted(self.tasks) if task >= 0]

    def vma_at(self, mm: int, address: int) -> VmaState | None:
        """The attached VMA that holds an address, or None."""
        if mm in self.mms:
            for vma in self.mms[mm].vmas.values():
                if vma.start <= address < vma.end and vma.detached_ns < 0:
                    return vma
        return None

    def is_only_mm(self, mm: int) -> bool:
        """Whether no other address space has VMAs: then its name need not be said."""
        return not any(state.vmas for number, state in self.mms.items() if number != mm)

    def splits_mmap_lock(self, mm: int) -> bool:
        """Whether parts of an address space have locks of their own, as in `beyond`."""
        lock = self.mms[mm].mmap_lock if mm in self.mms else -1
        return lock in self.locks and self.locks[lock].kind == RANGE_LOCK

    def vma_sequence(self, vma: VmaState) -> int:
        """`vm_lock_seq` of a VMA, -1 when unknown."""
        lock = self.locks.get(vma.lock)
        if lock is not None and lock.sequence >= 0:
            return lock.sequence
        return vma.lock_sequence

    def is_written(self, vma: VmaState) -> bool:
        """Whether a writer has marked the VMA: its sequence number equals the address space's.

        Where each VMA is unlocked by itself (`beyond`), an odd number says so.
        """
        sequence = self.vma_sequence(vma)
        if self.splits_mmap_lock(vma.mm):
            return sequence >= 0 and sequence % 2 == 1
        return sequence >= 0 and sequence == self.mm_sequence(vma.mm)

    def mm_sequence(self, mm: int) -> int:
        """`mm_lock_seq` of an address space, -1 when unknown."""
        lock = self.mms[mm].mmap_lock if mm in self.mms else -1
        return self.locks[lock].sequence if lock in self.locks else -1


Fold = Callable[[Frame, int, int, int, int, int, int], None]
"""Changes a frame by one event: (frame, now_ns, task, a, b, c, d)."""


def freeze(frame: Frame) -> bytes:
    """A frame as bytes, without its log."""
    log, watch = frame.log, frame.watch
    frame.log, frame.watch = _NO_LOG, None
    try:
        return pickle.dumps(frame, pickle.HIGHEST_PROTOCOL)
    finally:
        frame.log, frame.watch = log, watch


def thaw(frozen: bytes, log: EventLog) -> Frame:
    """The frame that `freeze` kept, reading its texts in `log` again."""
    frame: Any = pickle.loads(frozen)
    frame.log = log
    assert isinstance(frame, Frame)
    return frame


_NO_LOG: Final[Any] = None
