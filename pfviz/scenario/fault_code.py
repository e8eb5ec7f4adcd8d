"""What became of one page fault, read from the events of its run: its code in the matrix, and why.

M: under mmap_lock from the start. V: under the VMA lock. V>M: begun there and given up by the
handler; V(io)>M: having got as far as the device (the lock is dropped just before a file's read is
submitted, and just after one from swap). T: under the VMA lock with mmap_lock tried for a moment.
X: there is no VMA lock. L: without any lock (no kernel yet). It refuses to know kernels and paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pfviz.mm.thread import LOCKLESS, VMA_LOCK
from pfviz.sim import event
from pfviz.sim.event import EventLog, Row

CODES: Final = {
    "X": "under mmap_lock: this kernel has no VMA locks",
    "M": "under mmap_lock: the VMA lock was refused (vma_lock_abort) or not even tried",
    "V": "under the VMA lock alone (vma_lock_success)",
    "T": "under the VMA lock, mmap_lock tried for a moment inside",
    "V>M": "begun under the VMA lock, started again under mmap_lock (vma_lock_retry)",
    "V(io)>M": "the same, after the attempt under the VMA lock had got as far as the device",
    "V(io)>V": "the same, but started again under the VMA lock (restart_lock = vma)",
    "L": "without any lock; L>... falls back to what follows",
    "(read)": "the stack grows with mmap_lock held for reading",
    "(write)": "the stack grows with mmap_lock held for writing",
    "mmap read": "no fault of the CPU: mmap_lock held for reading",
    "mmap write": "the same with mmap_lock held for writing",
    "never": "the fault never ends: it waits for somebody who waits for its lock",
}
"""The codes and what they say."""

_IN_ITS_PLACE: Final = {"range_lock": "mmap_lock"}
"""Locks that stand in the place of another: in `beyond` ranges are locked, not whole processes."""
_ARCH: Final = "do_user_addr_fault"
_GIVING_BACK: Final = (_ARCH, "vma_end_read", "vma_refcount_put")
_FOR_ITS_CALLER: Final = {"release_fault_lock": "handle_userfault"}
"""Who gives the lock back for another function that has decided so."""


@dataclass(slots=True)
class Fallback:
    """One attempt given up: under what, where to, and by whose check."""

    from_regime: int
    to_regime: int
    cause: str
    counter: str
    check: str = ""
    """The kernel function whose check sent the fault back."""
    io_begun: bool = False


@dataclass(slots=True)
class Story:
    """A fault, or an operation that takes none, of one task."""

    regimes: list[int] = field(default_factory=list)
    fallbacks: list[Fallback] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    """The kernel functions of its steps, in order; a run of one function counts once."""
    kind: str = ""
    """FAULT_END's kind."""
    flags: int = 0
    begun_ns: int = -1
    ended_ns: int = -1
    nested: str = ""
    """The function that tried mmap_lock while the VMA was locked."""
    grew_stack: bool = False
    wrote_mmap_lock: bool = False
    io_begun: bool = False
    """Whether the attempt that ended it got as far as a device."""
    mapped_under: int = -1
    """Without a fault: how mmap_lock was held when an entry was set; -1 is not at all."""


def read_fault(log: EventLog, task: int) -> Story:
    """The first fault of a task; without one, what its operations did under mmap_lock."""
    reader = _Reader(log, task)
    for row in log:
        if reader.take(row):
            break
    return reader.story


def code_of(story: Story, has_vma_lock: bool) -> str:
    """The code of the matrix; "" when the task did nothing that has one."""
    if not story.regimes and story.kind == "":
        return {0: "mmap read", 1: "mmap write"}.get(story.mapped_under, "")
    if story.ended_ns < 0:
        return "never"
    prefix = ""
    falls = list(story.fallbacks)
    if falls and falls[0].from_regime == LOCKLESS and falls[0].counter:
        falls.pop(0)
        prefix = "L>"
    elif story.regimes == [LOCKLESS]:
        return "L"
    ways = {fall.from_regime: fall for fall in falls}
    code = _under_locks(story, ways.get(VMA_LOCK), bool(falls), has_vma_lock)
    if story.grew_stack:
        code += "(write)" if story.wrote_mmap_lock else "(read)"
    return prefix + code


def _under_locks(story: Story, given_up: Fallback | None, fell: bool, has_vma_lock: bool) -> str:
    if given_up is not None and VMA_LOCK in story.regimes:
        if given_up.counter == "vma_lock_abort":
            return "M"
        to = "V" if given_up.to_regime == VMA_LOCK else "M"
        return f"V(io)>{to}" if given_up.io_begun else f"V>{to}"
    if VMA_LOCK in story.regimes:
        return "T" if story.nested else "V"
    return "M" if fell or has_vma_lock else "X"


class _Reader:
    """Folds rows: the events of a step come before the STEP row that names its function."""

    def __init__(self, log: EventLog, task: int) -> None:
        self.log = log
        self.task = task
        self.story = Story()
        self.locks: dict[int, str] = {}
        self.held: dict[str, int] = {}
        self.in_fault = False
        self.is_over = False
        self.last_functions: list[str] = []
        self.released = ""
        """The function that gave the VMA lock back in this attempt."""
        self.new_fallbacks: list[tuple[Fallback, bool]] = []
        self.new_release = self.new_nested = False

    def take(self, row: Row) -> bool:
        """Take one row; whether the story has ended with it."""
        kind = row[1]
        if kind == event.LOCK_NEW:
            kind_text = self.log.texts[row[4]]
            self.locks[row[3]] = _IN_ITS_PLACE.get(kind_text, kind_text)
        if row[2] != self.task:
            return False
        if kind == event.STEP:
            return self._step(row)
        if kind == event.FAULT_BEGIN:
            self.in_fault = True
            self.story.begun_ns = row[0]
            self.story.functions.clear()
        elif kind in (event.LOCK_ACQUIRED, event.LOCK_RELEASED, event.LOCK_DOWNGRADED):
            self._lock(kind, row)
        elif kind == event.PTE_SET and not self.in_fault and "mmap_lock" in self.held:
            self.story.mapped_under = self.held["mmap_lock"]
        elif self.in_fault:
            self._fault(kind, row)
        return False

    def _fault(self, kind: int, row: Row) -> None:
        story = self.story
        if kind == event.FAULT_PATH:
            story.regimes.append(row[3])
            story.io_begun = False
            self.released = ""
        elif kind == event.FAULT_FALLBACK:
            cause, counter = self.log.texts[row[3]], self.log.texts[row[6]]
            fall = Fallback(row[4], row[5], cause, counter, self.released, story.io_begun)
            story.fallbacks.append(fall)
            self.new_fallbacks.append((fall, bool(story.regimes)))
        elif kind == event.IO_BEGIN:
            story.io_begun = True
        elif kind == event.VMA_CHANGED and self.log.texts[row[6]] == "stack growth":
            story.grew_stack = True
        elif kind == event.FAULT_END:
            story.kind, story.flags = self.log.texts[row[3]], row[6]
            story.ended_ns = row[0]
            self.is_over = True

    def _lock(self, kind: int, row: Row) -> None:
        lock = self.locks.get(row[3], "")
        if kind == event.LOCK_RELEASED:
            self.held.pop(lock, None)
            self.new_release |= lock == "vma_lock"
            return
        mode = row[4] if kind == event.LOCK_ACQUIRED else 0
        self.held[lock] = mode
        if lock != "mmap_lock" or not self.in_fault:
            return
        self.story.wrote_mmap_lock |= mode == event.WRITE
        self.new_nested |= self.story.regimes[-1:] == [VMA_LOCK]

    def _step(self, row: Row) -> bool:
        function = self.log.steps[row[3]].function
        for fall, had_begun in self.new_fallbacks:
            fall.check = self._check(fall, function) if had_begun else function
        if self.new_release and not self.new_fallbacks:
            self.released = function
        if self.new_nested:
            self.story.nested = function
        self.new_fallbacks, self.new_release, self.new_nested = [], False, False
        if self.in_fault or not self.is_over:
            if not self.story.functions or self.story.functions[-1] != function:
                self.story.functions.append(function)
            self.last_functions.append(function)
        return self.is_over

    def _check(self, fall: Fallback, function: str) -> str:
        """Whose check it was: who gave the VMA lock back, or who refused it just before."""
        if fall.from_regime == VMA_LOCK and self.new_release and function == _ARCH:
            return function  # access_error, seen by the exception's own code
        if fall.check and fall.check not in _GIVING_BACK:
            return _FOR_ITS_CALLER.get(fall.check, fall.check)
        before = [one for one in self.last_functions if one not in _GIVING_BACK]
        return before[-1] if before else function
