"""Page faults of a capture: no event marks their end or their lock, so both are inferred here.

Rules: FP 12 (patterns verified on 6.18). What follows a page_fault event of a thread until its
next event from user mode belongs to the fault; without any such event the VMA lock was enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from pfviz.sim import event as ev
from pfviz.sim.event import signed
from pfviz.trace.infer_vmas import Range
from pfviz.trace.late_rows import LateRows

MMAP_LOCK, VMA_LOCK, UNKNOWN = 0, 1, -1
MAJOR, RETRIED, INFERRED_END, PGMAJFAULT, TOOK_MMAP_LOCK = 1, 4, 8, 16, 32
"""Bits of FAULT_END.flags. Two are a capture's own. INFERRED_END: nothing told when it ended;
TOOK_MMAP_LOCK: it took the mmap_lock for reading or tried to, if only for an anon_vma."""

PRESENT, WRITE, USER, EXEC = 0x1, 0x2, 0x4, 0x10
"""error_code bits (arch/x86/include/asm/trap_pf.h)."""

_NEVER = 1 << 62
# Without any traced fault to compare with, a fault that left no further event is taken to last
# this long: a minor fault takes about half a microsecond on today's machines (FP 11).
_USUAL_NS = 500
# A bare trylock for anon_vma is over within this; a fault under mmap_lock can be as short.
_ANON_VMA_NS = 2_000
# From the fault to its first lock call: longer than this it slept in between.
_PROMPT_NS = 8_000
# One fault in so many without any mmap_lock event: the kernel has VMA locks.
_VMA_LOCK_SHARE = 50


@dataclass(slots=True, eq=False)
class OpenFault:
    """A fault between its page_fault event and the thread's next event from user mode."""

    number: int
    row: int
    tid: int
    began_ns: int
    address: int
    error_code: int
    from_kernel: bool
    mm: int
    vma: Range | None
    last_ns: int
    last_row: int
    is_prepared: bool = False
    is_fresh: bool = False
    ended_exactly: bool = False
    start_row: int = -1
    start_ns: int = 0
    reads: int = 0
    failed: int = 0
    write_locked: bool = False
    found_vma: bool = False
    read_ns: int = 0
    waited: bool = False
    file: bool = False
    io: bool = False
    slept: str = ""
    slept_before_lock: bool = False
    was_killed: bool = False
    next_ns: int = _NEVER
    next_row: int = _NEVER

    def inside(self, now_ns: int, row: int) -> None:
        """Something at `row` still belonged to the fault."""
        self.last_ns, self.last_row = now_ns, row
        self.ended_exactly = False

    def sleeps(self, now_ns: int, row: int, state: str) -> None:
        """The thread went to sleep in the fault, without a lock to wait for."""
        self.inside(now_ns, row)
        self.slept = state[0]
        self.slept_before_lock |= not self.reads

    def lock_begins(self, now_ns: int, row: int) -> None:
        """A lock call on the mmap_lock began."""
        self.inside(now_ns, row)
        if self.start_row < 0:
            self.start_row, self.start_ns = row, now_ns

    def lock_failed(self, now_ns: int, row: int) -> None:
        """mmap_read_trylock found a writer, or the wait was killed."""
        self.inside(now_ns, row)
        self.failed += 1

    def locked(self, now_ns: int, row: int, write: bool, waited: bool) -> None:
        """The mmap_lock was taken."""
        self.inside(now_ns, row)
        self.reads += not write
        self.write_locked |= write
        self.waited |= waited

    def unlocked(self, now_ns: int, row: int, hold_ns: int) -> None:
        """The mmap_lock was released: what a fault under it does last."""
        self.inside(now_ns, row)
        self.read_ns = hold_ns
        self.ended_exactly = True

    @property
    def vma_kind(self) -> str:
        """What the VMA maps, "" when it is not known."""
        return self.vma.kind if self.vma is not None else ""

    @property
    def makes_anon_vma(self) -> bool:
        """Whether this fault gives its VMA an anon_vma: a write to private memory (FP 3.9)."""
        private = self.vma is not None and self.vma.perms[3] == "p"
        return private and bool(self.error_code & WRITE)

    @property
    def waited_before_lock(self) -> bool:
        """Whether it did something slow before it took the mmap_lock: I/O, or userfaultfd."""
        return self.slept_before_lock or (
            self.start_row >= 0 and self.start_ns - self.began_ns > _PROMPT_NS
        )

    def killed(self) -> None:
        """It never came back: the locks since were those of its end, not of the fault."""
        self.was_killed = True
        self.last_ns, self.last_row, self.start_row = self.began_ns, self.row, -1
        self.reads = self.failed = 0
        self.write_locked = self.waited = self.ended_exactly = False

    def closes(self, now_ns: int, row: int) -> None:
        """The thread is back in user mode (or was, by the event at `row`)."""
        self.next_ns, self.next_row = now_ns, row


class Faults:
    """Every fault of a capture; `finish` says what became of them, in late rows."""

    def __init__(self, rows: LateRows) -> None:
        self._rows = rows
        self.closed: list[OpenFault] = []
        self.count = 0

    def open(
        self, tid: int, address: int, error_code: int, from_kernel: bool, mm: int, vma: Range | None
    ) -> OpenFault:
        """Log the beginning of a fault."""
        rows = self._rows
        row = rows.add(ev.FAULT_BEGIN, tid, signed(address), error_code, self.count, mm)
        fault = OpenFault(
            self.count, row, tid, rows.now_ns, address, error_code, from_kernel, mm, vma,
            rows.now_ns, row,
        )  # fmt: skip
        self.count += 1
        return fault

    def close(self, fault: OpenFault) -> None:
        """The next row proves that the fault is over."""
        fault.closes(self._rows.now_ns, self._rows.count)
        self.closed.append(fault)

    def finish(self, knows_locks: bool, knows_tree: bool, still_open: list[OpenFault]) -> None:
        """Say under which lock each fault was handled and when it ended.

        `knows_locks`, `knows_tree`: whether mmap_lock and maple tree events were traced at all.
        """
        faults = sorted([*self.closed, *still_open], key=lambda fault: fault.number)
        has_vma_locks = knows_locks and _has_vma_locks(self.closed)
        usual_ns = _usual_ns(self.closed)
        ended = [fault for fault in faults if fault.next_row < _NEVER or fault.ended_exactly]
        ends_ns = [_end_ns(fault, usual_ns) for fault in ended]
        count = self._rows.count
        places = self._rows.place_at(
            ends_ns,
            [fault.last_row + 1 for fault in ended],
            [max(min(fault.next_row, count), fault.last_row + 1) for fault in ended],
        )
        place_of = {f.number: (p, ns) for f, p, ns in zip(ended, places, ends_ns, strict=True)}
        for fault in faults:
            regime = _regime(fault, knows_locks, knows_tree, has_vma_locks)
            self._tell_path(fault, regime, has_vma_locks)
            if fault.number in place_of:
                self._tell_end(fault, regime, *place_of[fault.number])

    def _tell_path(self, fault: OpenFault, regime: int, has_vma_locks: bool) -> None:
        rows, text = self._rows, self._rows.log.text
        falls_back = regime == MMAP_LOCK and has_vma_locks and not fault.from_kernel
        first = VMA_LOCK if falls_back else regime
        began = (fault.row + 1, fault.began_ns, ev.FAULT_PATH, fault.tid)
        rows.add_late(*began, first, 1, fault.number, 0)
        if falls_back:
            place, now_ns = fault.start_row, fault.last_ns
            cause, counter = text(_cause(fault)), text(_counter(fault))
            rows.add_late(
                place, now_ns, ev.FAULT_FALLBACK, fault.tid, cause, VMA_LOCK, MMAP_LOCK, counter
            )
            rows.add_late(place, now_ns, ev.FAULT_PATH, fault.tid, MMAP_LOCK, 2, fault.number, 0)

    def _tell_end(self, fault: OpenFault, regime: int, place: int, end_ns: int) -> None:
        rows = self._rows
        major = fault.io or (fault.slept == "D" and fault.file)
        flags = (MAJOR if major else 0) | (PGMAJFAULT if fault.io else 0)
        flags |= RETRIED if regime == MMAP_LOCK and fault.waited_before_lock else 0
        flags |= 0 if fault.ended_exactly else INFERRED_END
        flags |= TOOK_MMAP_LOCK if fault.reads or fault.failed else 0
        kind = rows.log.text(_kind(fault))
        latency_ns = end_ns - fault.began_ns
        rows.add_late(place, end_ns, ev.FAULT_END, fault.tid, kind, latency_ns, regime, flags)
        if not fault.error_code & PRESENT:
            # The access that faulted went on afterwards, so its page was there.
            page = signed(fault.address & ~0xFFF)
            bits = 1 if fault.error_code & WRITE else 0
            bits |= 8 if fault.vma_kind == "file" else 0
            rows.add_late(place, end_ns, ev.PTE_SET, fault.tid, page, 1, bits, fault.mm)


def _has_vma_locks(faults: list[OpenFault]) -> bool:
    """Whether the kernel handles faults without mmap_lock: before 6.4 none is.

    A fault that slept before it took the mmap_lock had begun under a VMA lock as well. A few
    without a lock event say nothing: events may be lost at the edges of a capture.
    """
    user = [fault for fault in faults if not (fault.from_kernel or fault.was_killed)]
    without = sum(fault.start_row < 0 or fault.slept_before_lock for fault in user)
    return without > 0 and without * _VMA_LOCK_SHARE >= len(user)


def _usual_ns(faults: list[OpenFault]) -> int:
    """The median time from a fault that left no event to the thread's next event."""
    gaps = sorted(f.next_ns - f.began_ns for f in faults if f.last_row == f.row)
    return gaps[(len(gaps) - 1) // 2] if gaps else _USUAL_NS


def _end_ns(fault: OpenFault, usual_ns: int) -> int:
    if fault.ended_exactly:
        return fault.last_ns
    return min(fault.next_ns, fault.last_ns + usual_ns)


def _regime(fault: OpenFault, knows_locks: bool, knows_tree: bool, has_vma_locks: bool) -> int:
    if not knows_locks:
        return UNKNOWN
    if fault.from_kernel or not has_vma_locks:
        return MMAP_LOCK
    if fault.start_row < 0:
        return VMA_LOCK
    if fault.write_locked or fault.failed or fault.slept_before_lock or fault.waited:
        return MMAP_LOCK
    if knows_tree:
        return MMAP_LOCK if fault.found_vma else VMA_LOCK
    writes = bool(fault.error_code & WRITE)
    if fault.is_prepared or not writes or (fault.vma is not None and not fault.makes_anon_vma):
        return MMAP_LOCK  # It needed no anon_vma.
    if fault.is_fresh:
        return VMA_LOCK
    quick = not fault.waited_before_lock and fault.read_ns <= _ANON_VMA_NS
    return VMA_LOCK if quick else MMAP_LOCK


def _cause(fault: OpenFault) -> str:
    if fault.write_locked:
        return "no VMA at the address: the stack grows"
    if fault.waited_before_lock or fault.io:
        return "dropped the VMA lock for I/O" if fault.file else "waited for userfaultfd or I/O"
    if fault.failed:
        return "mmap_lock was taken; what broke off the VMA lock was not traced"
    return "what broke off the VMA lock was not traced"


def _counter(fault: OpenFault) -> str:
    return "vma_lock_retry" if fault.waited_before_lock or fault.io else "vma_lock_abort"


def _kind(fault: OpenFault) -> str:
    """Name the fault as the simulator would, as far as error code and VMA tell.

    A VMA is unknown (`write_in_unknown_vma`) that neither a maps copy nor a system call has shown.
    What the page table held is not known: a write to a present page may copy it, or find that
    nobody else has it (`anon_cow_or_reuse`).
    """
    writes, present = fault.error_code & WRITE, fault.error_code & PRESENT
    if fault.write_locked:
        return "stack_growth"
    if not fault.file and not fault.vma_kind:
        access = "write" if writes else "read"
        return f"{access}_in_unknown_vma{'_present' if present else ''}"
    if fault.file or fault.vma_kind == "file":
        if writes:
            shared = fault.vma is not None and fault.vma.perms[3] == "s"
            return "shared_write" if shared else "file_cow"
        missed = fault.io or fault.waited_before_lock
        return "file_read_miss" if missed else "file_read_hit"
    if not writes:
        return "anon_read_present" if present else "anon_read_zero"
    return "anon_cow_or_reuse" if present else "anon_write"
