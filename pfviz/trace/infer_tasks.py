"""The threads and address spaces of a capture: who they are, what each is in the middle of, and
which CPU runs whom. Knows sched_switch where it was traced, and who was seen where, where not.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pfviz.sim import event as ev
from pfviz.sim.event import ASLEEP, ENDED, NOBODY, STILL_RUNNABLE
from pfviz.trace.capture import Capture
from pfviz.trace.fields import Switch
from pfviz.trace.infer_faults import OpenFault
from pfviz.trace.infer_vmas import RangeMap
from pfviz.trace.late_rows import LateRows

Hold = tuple[int, int]  # (since_ns, mode)


@dataclass(slots=True, eq=False)
class Mm:
    """One address space; `pointer` is what the kernel printed for it, "" while not yet seen."""

    id: int
    lock: int
    vmas: RangeMap
    pointer: str = ""
    process: int = 0
    name_text: int = 0
    holders: dict[int, Hold] = field(default_factory=dict)
    is_gone: bool = False
    ended_by_exec: bool = False


@dataclass(slots=True, eq=False)
class Wait:
    """A lock call on an mmap_lock that has not returned yet."""

    mm: Mm
    row: int
    since_ns: int
    mode: int
    blocked: bool
    queued: bool = False


@dataclass(slots=True, eq=False)
class Operation:
    """A system call a thread is in."""

    name: str
    index: int
    since_ns: int
    arguments: dict[str, int]
    new_mms: list[Mm] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Io:
    """A read that a thread issued during a fault."""

    file: int
    index: int
    count: int
    since_ns: int


@dataclass(slots=True, eq=False)
class Thread:
    """One thread and what it is in the middle of."""

    tid: int
    tgid: int
    name_text: int
    mm: Mm | None = None
    operation: Operation | None = None
    operations: int = 0
    fault: OpenFault | None = None
    waits: dict[int, Wait] = field(default_factory=dict)
    """By lock."""
    holds: dict[int, Mm] = field(default_factory=dict)
    """By lock; `Mm.holders` says since when."""
    contended: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Printed lock -> (lock, mode, since_ns)."""
    io: Io | None = None
    last_file: tuple[int, int] | None = None
    """(file, page index) of the last page cache event in a fault."""
    exiting: bool = False
    """sched_process_exit was seen; on 6.18 the mm is taken down only after it."""
    ended: bool = False


class Tasks:
    """Announces threads, and tells the log which CPU runs whom."""

    def __init__(self, rows: LateRows, capture: Capture) -> None:
        self.threads: dict[int, Thread] = {}
        self.running: dict[int, int] = {}  # CPU -> tid
        self._rows = rows
        self._capture = capture
        self._woken: set[int] = set()

    def announce(self, tid: int, cpu: int, mm: Mm | None = None, tgid: int = 0) -> Thread:
        """Return the thread, telling the log of it when it is new."""
        thread = self.threads.get(tid)
        return self.begin(tid, cpu, mm, tgid) if thread is None else thread

    def begin(self, tid: int, cpu: int, mm: Mm | None, tgid: int) -> Thread:
        """A new thread; its id may have been another's before."""
        before = self.threads.get(tid)
        if before is not None:
            self.end(before)
        # The name may change until the end of the capture: its text is filled in by `finish`.
        texts = self._rows.log.texts
        texts.append("")
        known = self._capture.tasks.get(tid, ("", 0))[1]
        thread = self.threads[tid] = Thread(tid, tgid or known, len(texts) - 1, mm)
        self._rows.add(ev.TASK_NEW, tid, thread.name_text, cpu, 120, mm.id if mm else -1)
        return thread

    def seen(self, thread: Thread, cpu: int) -> None:
        """Note that `cpu` ran the thread just now, whoever it ran before."""
        tid = thread.tid
        for other, running in self.running.items():
            if running == tid:
                self.running[other] = NOBODY
                self._rows.add(ev.SCHED_SWITCH, NOBODY, other, NOBODY, STILL_RUNNABLE, 0)
        before = self.threads.get(self.running.get(cpu, NOBODY))
        state = ASLEEP if before is not None and before.waits else STILL_RUNNABLE
        if before is not None and before.exiting:
            self.end(before)
            state = ENDED
        self.running[cpu] = tid
        self._rows.add(
            ev.SCHED_SWITCH, before.tid if before is not None else NOBODY, cpu, tid, state, 0
        )

    def switch(self, cpu: int, switch: Switch) -> None:
        """Read a sched_switch; tasks that do nothing else in the capture count as nobody."""
        before = self.threads.get(switch.prev_tid)
        after = self.threads.get(switch.next_tid)
        state = _state(switch.prev_state)
        if before is not None:
            if state == ASLEEP:
                self._put_to_sleep(before, switch.prev_state)
            elif before.exiting and state == ENDED:
                self.end(before)
        if after is not None and after.fault is not None and after.fault.slept:
            after.fault.inside(self._rows.now_ns, self._rows.count)
        prev = before.tid if before is not None else NOBODY
        running = after.tid if after is not None else NOBODY
        if prev != running or self.running.get(cpu) != running:
            self._rows.add(ev.SCHED_SWITCH, prev, cpu, running, state, 0)
        self.running[cpu] = running
        self._woken.discard(switch.next_tid)

    def wake(self, tid: int, cpu: int, waker: int) -> None:
        """Read sched_waking or the sched_wakeup after it; the first one counts."""
        if tid in self.threads and tid not in self._woken:
            self._woken.add(tid)
            self._rows.add(ev.SCHED_WAKEUP, tid, cpu, waker if waker in self.threads else NOBODY)

    def end(self, thread: Thread) -> None:
        """The thread is gone."""
        if not thread.ended:
            thread.ended = True
            self._rows.add(ev.TASK_END, thread.tid)

    def finish(self) -> None:
        """End who was exiting, and fill in the names as the capture knew them last."""
        for thread in self.threads.values():
            if thread.exiting:
                self.end(thread)
            name = self._capture.tasks.get(thread.tid, ("", 0))[0]
            self._rows.log.texts[thread.name_text] = name or f"task {thread.tid}"

    def _put_to_sleep(self, thread: Thread, state: str) -> None:
        rows = self._rows
        lock = -1
        if thread.waits:
            wait = next(reversed(thread.waits.values()))
            lock, why = wait.mm.lock, "waits for mmap_lock"
        elif thread.contended:
            lock, why = next(reversed(thread.contended.values()))[0], "waits for a lock"
        elif thread.fault is not None:
            thread.fault.sleeps(rows.now_ns, rows.count, state)
            if thread.io is not None or thread.fault.file:
                why = "I/O"
            else:
                why = "userfaultfd, or I/O that was not traced"
        elif thread.operation is not None:
            why = f"in {thread.operation.name}"
        else:
            why = "sleeps"
        rows.add(ev.SLEEP, thread.tid, rows.log.text(why), lock)


def _state(prev_state: str) -> int:
    """Read prev_state: letters as `R+` or `D`, or trace-cmd's raw bits (0 runs, 1 S, 2 D)."""
    if prev_state.startswith(("R", "P")) or prev_state in ("0", "256"):
        return STILL_RUNNABLE
    if prev_state.startswith(("X", "Z")) or prev_state in ("16", "32", "64", "128"):
        return ENDED
    return ASLEEP
