"""What a kernel would print of an event: its tracepoints in its own format, where it has them.

Pointers are numbers made of ids, stable within a file; what the log does not know (flags, ip, most
arguments of system calls) is left out or 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from pfviz.mm.presets import PRESETS
from pfviz.report.names import Names
from pfviz.sim import event as ev
from pfviz.sim.event import ASLEEP, ENDED, NOBODY, READ, WRITE, EventLog, Row, unsigned

Line = tuple[int, str]
"""Whose line it is, and the text after the time."""

COMM_CHARS: Final = 15
"""TASK_COMM_LEN without its end."""

_MM, _LOCK, _NODE, _VMA = (
    0xFFFF888100000000,
    0xFFFF888200000000,
    0xFFFF888300000000,
    0xFFFF888400000000,
)
_MMAP_LOCK_OFFSET = 0xB8  # of mmap_lock in struct mm_struct, x86-64 6.18
_PAGE = 4096
_USER = 4
_CLONE_THREAD, _CLONE_PROCESS = "3d0f00", "1200000"
_SPINNING = ("ptl", "spinlock", "zone")

# Operation -> system call, and what the kernel calls its address and its length.
_CALLS: Final = {
    "brk": ("brk", "brk", ""),
    "exec": ("execve", "", ""),
    "exit": ("exit", "", ""),
    "fork": ("clone", "", ""),
    "madvise": ("madvise", "start", "len_in"),
    "mincore": ("mincore", "start", "len"),
    "mlock": ("mlock", "start", "len"),
    "mmap": ("mmap", "addr", "len"),
    "mprotect": ("mprotect", "start", "len"),
    "mremap": ("mremap", "addr", "old_len"),
    "munlock": ("munlock", "start", "len"),
    "munmap": ("munmap", "addr", "len"),
}
_OTHER_CALLS: Final = ("clone", "clone3", "vfork", "execve", "exit_group")
_NO_RETURN: Final = ("exit", "exit_group")
_FLUSHES: Final = (
    # enum tlb_flush_reason
    "flush on task switch", "remote shootdown", "local shootdown", "local MM shootdown",
    "remote IPI send", "remote wrong CPU",
)  # fmt: skip
_FILEMAP: Final = {
    "looked up": "mm_filemap_fault",
    "mapped around": "mm_filemap_map_pages",
    "added": "mm_filemap_add_to_page_cache",
    "removed": "mm_filemap_delete_from_page_cache",
}
_INTERRUPTIBLE: Final = ("sleeps", "mutex ", "polls for faults", "waits for the userfaultfd")
"""Why a thread sleeps whom a signal would wake: prev_state is S, not D."""


class KernelLines:
    """Lines of one log: `note` every row in order, then ask for its `lines`."""

    def __init__(self, log: EventLog, names: Names) -> None:
        self._log = log
        self._names = names
        self._cpus: dict[int, int] = {}
        self._mm_of_task: dict[int, int] = {}
        self._mm_of_lock: dict[int, int] = {}
        self._first_of_mm: dict[int, int] = {}
        self._parent_mm: dict[int, int] = {}
        self._alive: dict[int, int] = {}
        self._comms: dict[int, str] = {}
        self._asleep_as: dict[int, str] = {}
        known = PRESETS.get(log.meta.get("kernel", ""))
        self._counts_readers = known is not None and known.vma_lock == "refcount"

    def place(self, task: int) -> str:
        """The columns TASK-PID (TGID) [CPU] FLAGS of a thread."""
        if task < 0:
            return f"{'<idle>':>16}-{0:<7} (-------) [{0:03}] ....."
        tid, tgid = self._names.tid(task), self._names.tid(self._process(task))
        cpu = max(self._cpus.get(task, 0), 0)
        return f"{self.comm(task):>16}-{tid:<7} ({tgid:7}) [{cpu:03}] ....."

    def comm(self, task: int) -> str:
        """The name of a thread as a kernel could have it: 15 characters, all of them plain."""
        if task < 0:
            return "swapper/0"
        found = self._comms.get(task)
        if found is None:
            name = "".join(c if " " <= c <= "~" else "?" for c in self._names.task(task))
            found = self._comms[task] = name[:COMM_CHARS].strip() or "<...>"
        return found

    def _process(self, task: int) -> int:
        return self._first_of_mm.get(self._mm_of_task.get(task, -1), task)

    def note(self, row: Row) -> None:
        """Remember who runs where and what belongs to whom."""
        _, kind, task, a, b, _, d = row
        if kind == ev.STEP and d >= 0:
            self._cpus[task] = d
        elif kind == ev.SCHED_SWITCH and b >= 0:
            self._cpus[b] = a
        elif kind == ev.SLEEP:
            self._asleep_as[task] = "S" if self._text(a).startswith(_INTERRUPTIBLE) else "D"
        elif kind == ev.TASK_NEW:
            if b >= 0:
                self._cpus[task] = b
            if task not in self._mm_of_task:
                self._mm_of_task[task] = d
                self._alive[d] = self._alive.get(d, 0) + 1
        elif kind == ev.LOCK_NEW and self._names.lock_kind(a) == "mmap_lock":
            self._mm_of_lock[a] = d
        elif kind == ev.MM_NEW:
            self._parent_mm[a] = b
            self._mm_of_lock[row[5]] = a

    def lines(self, row: Row) -> Iterable[Line]:
        """What the kernel would print of the event; mostly nothing."""
        printing = _PRINTING.get(row[1])
        return printing(self, row) if printing is not None else ()

    # Tasks

    def task_new(self, row: Row) -> Iterable[Line]:
        task, mm = row[2], row[6]
        parent, flags = self._first_of_mm.get(mm), _CLONE_THREAD
        if parent is None:
            self._first_of_mm[mm] = task
            parent, flags = self._first_of_mm.get(self._parent_mm.get(mm, -1)), _CLONE_PROCESS
        if parent is not None and parent != task:
            tid, comm = self._names.tid(task), self.comm(task)
            yield parent, f"task_newtask: pid={tid} comm={comm} clone_flags={flags} oom_score_adj=0"

    def task_end(self, row: Row) -> Iterable[Line]:
        task = row[2]
        mm = self._mm_of_task.get(task, -1)
        self._alive[mm] = self._alive.get(mm, 1) - 1
        dead = "false" if self._alive[mm] else "true"
        said = f"comm={self.comm(task)} pid={self._names.tid(task)} prio=120 group_dead={dead}"
        yield task, f"sched_process_exit: {said}"

    def switch(self, row: Row) -> Iterable[Line]:
        _, _, task, cpu, following, state, _ = row
        before, left = f"prev_comm=swapper/{cpu} prev_pid=0", "R"
        if task >= 0:
            before = f"prev_comm={self.comm(task)} prev_pid={self._names.tid(task)}"
            asleep = self._asleep_as.get(task, "D")
            left = asleep if state == ASLEEP else "X" if state == ENDED else "R"
        after = f"next_comm=swapper/{cpu} next_pid=0"
        if following >= 0:
            after = f"next_comm={self.comm(following)} next_pid={self._names.tid(following)}"
        said = f"{before} prev_prio=120 prev_state={left} ==> {after} next_prio=120"
        yield task, f"sched_switch: {said}"

    def wakeup(self, row: Row) -> Iterable[Line]:
        _, _, task, cpu, waker, _, _ = row
        if task >= 0:
            tid = self._names.tid(task)
            said = f"comm={self.comm(task)} pid={tid} prio=120 target_cpu={max(cpu, 0):03}"
            yield waker, f"sched_waking: {said}"

    # System calls and faults

    def op_begin(self, row: Row) -> Iterable[Line]:
        _, _, task, text, address, length, _ = row
        name = self._text(text)
        if name in _CALLS:
            call, place, size = _CALLS[name]
            values = ((place, unsigned(address)), (size, unsigned(length)))
            args = ", ".join(f"{key}: {_number(value)}" for key, value in values if key)
            yield task, f"sys_{call}({args})"
        elif name in _OTHER_CALLS:
            yield task, f"sys_{name}()"

    def op_end(self, row: Row) -> Iterable[Line]:
        _, _, task, text, _, result, _ = row
        name = self._text(text)
        call = _CALLS[name][0] if name in _CALLS else name
        if (name in _CALLS or name in _OTHER_CALLS) and call not in _NO_RETURN:
            yield task, f"sys_{call} -> 0x{unsigned(result):x}"

    def fault(self, row: Row) -> Iterable[Line]:
        _, _, task, address, error_code, _, _ = row
        name = "page_fault_user" if error_code & _USER else "page_fault_kernel"
        yield task, f"{name}: address=0x{unsigned(address):x} ip=0x0 error_code=0x{error_code:x}"

    def flush(self, row: Row) -> Iterable[Line]:
        _, _, task, text, pages, cpus, _ = row
        reason = self._text(text)
        number = _FLUSHES.index(reason) if reason in _FLUSHES else 4 if cpus > 0 else 3
        yield task, f"tlb_flush: pages:{pages} reason:{_FLUSHES[number]} ({number})"

    # Locks

    def start(self, row: Row) -> Iterable[Line]:
        yield from self._mmap_lock(row[2], row[3], "mmap_lock_start_locking", row[4] == WRITE)

    def acquired(self, row: Row) -> Iterable[Line]:
        name, success = "mmap_lock_acquire_returned", " success=true"
        yield from self._mmap_lock(row[2], row[3], name, row[4] == WRITE, success)

    def failed(self, row: Row) -> Iterable[Line]:
        name, success = "mmap_lock_acquire_returned", " success=false"
        yield from self._mmap_lock(row[2], row[3], name, row[4] == WRITE, success)

    def downgraded(self, row: Row) -> Iterable[Line]:
        name, success = "mmap_lock_acquire_returned", " success=true"
        yield from self._mmap_lock(row[2], row[3], name, False, success)

    def released(self, row: Row) -> Iterable[Line]:
        yield from self._mmap_lock(row[2], row[3], "mmap_lock_released", row[4] == WRITE)

    def _mmap_lock(
        self, task: int, lock: int, name: str, write: bool, rest: str = ""
    ) -> Iterable[Line]:  # fmt: skip
        mm = self._mm_of_lock.get(lock)
        if mm is not None and self._names.lock_kind(lock) == "mmap_lock":
            said = f"mm={_MM + mm * 0x1000:016x} memcg_id=1 write={'true' if write else 'false'}"
            yield task, f"{name}: {said}{rest}"

    def contention_begin(self, row: Row) -> Iterable[Line]:
        _, _, task, lock, mode, _, _ = row
        if not self._is_traced(lock):
            return
        flags = "READ" if mode == READ else "WRITE"
        yield task, f"contention_begin: {self._pointer(lock)} (flags={flags})"

    def contention_end(self, row: Row) -> Iterable[Line]:
        if self._is_traced(row[3]):
            yield row[2], f"contention_end: {self._pointer(row[3])} (ret=0)"

    def _is_traced(self, lock: int) -> bool:
        """A mutex is one of user space; no tracepoint tells who waits for counted readers."""
        kind = self._names.lock_kind(lock)
        return kind != "mutex" and not (kind == "vma_lock" and self._counts_readers)

    def spin_begin(self, row: Row) -> Iterable[Line]:
        if self._names.lock_kind(row[3]) in _SPINNING:  # Spinning on an rwsem has no event.
            yield row[2], f"contention_begin: {self._pointer(row[3])} (flags=SPIN)"

    def spin_end(self, row: Row) -> Iterable[Line]:
        if self._names.lock_kind(row[3]) in _SPINNING:
            yield row[2], f"contention_end: {self._pointer(row[3])} (ret=0)"

    def _pointer(self, lock: int) -> str:
        mm = self._mm_of_lock.get(lock)
        if mm is not None:
            return f"{_MM + mm * 0x1000 + _MMAP_LOCK_OFFSET:016x}"
        return f"{_LOCK + (lock & 0xFFFFFF) * 0x40:016x}"

    # Files and the tree

    def page_cache(self, row: Row) -> Iterable[Line]:
        _, _, task, what, file, index, count = row
        name = _FILEMAP.get(self._text(what), "")
        ino, first = max(file, 0) + 1, index * _PAGE
        if name.endswith("page_cache"):
            yield task, f"{name}: dev 254:0 ino {ino:x} pfn=0x0 ofs={first} order={_order(count)}"
        elif name == "mm_filemap_map_pages":
            last = first + max(count, 1) * _PAGE - 1
            yield task, f"{name}: dev=254:0 ino={ino:x} ofs={first}-{last}"
        elif name:
            yield task, f"{name}: dev=254:0 ino={ino:x} ofs={first}"

    def io_begin(self, row: Row) -> Iterable[Line]:
        _, _, task, _, index, count, _ = row
        sectors = f"{max(index, 0) * 8} + {count * 8} be,0,4"
        said = f"254,0 R {count * _PAGE} () {sectors} [{self.comm(task)}]"
        yield task, f"block_rq_issue: {said}"

    def io_end(self, row: Row) -> Iterable[Line]:
        _, _, _, _, index, count, _ = row
        said = f"254,0 R () {max(index, 0) * 8} + {count * 8} be,0,4 [0]"
        yield NOBODY, f"block_rq_complete: {said}"

    def maple(self, row: Row) -> Iterable[Line]:
        _, kind, task, function, _, at, _ = row
        details = self._log.details
        detail: tuple[int, ...] = details[at] if 0 <= at < len(details) else ()
        if len(detail) != 7 or not all(type(value) is int for value in detail):
            return
        low, high, first, last, node, piv, value = detail
        begin, blank = f"{self._text(function)}\tNode", " " if kind == ev.MA_WRITE else ": "
        where = f"{_NODE + (node & 0xFFFFFF) * 0x100 if node > 0 else 0:016x} ({low} {high})"
        colon = "" if kind == ev.MA_WRITE else " "
        said = f"{begin}{blank}{where} range:{colon}{first}-{last}"
        if kind == ev.MA_WRITE:
            stored = _VMA + (value & 0xFFFFFF) * 0x100 if value >= 0 else 0
            said += f" piv ({piv}) val {stored:016x}"
        yield task, f"{ev.FIELDS[kind][0]}: {said}"

    def note_text(self, row: Row) -> Iterable[Line]:
        text = "".join(c if " " <= c <= "~" else "?" for c in self._text(row[3]))
        yield row[2], f"tracing_mark_write: {text}"

    def _text(self, index: int) -> str:
        return self._log.texts[index] if 0 <= index < len(self._log.texts) else ""


def _number(value: int) -> str:
    """A system call's argument as 6.18 prints it."""
    return str(value) if value < 10 else f"0x{value:x}"


def _order(count: int) -> int:
    return max(count, 1).bit_length() - 1


_PRINTING: Final[dict[int, Callable[[KernelLines, Row], Iterable[Line]]]] = {
    ev.TASK_NEW: KernelLines.task_new,
    ev.TASK_END: KernelLines.task_end,
    ev.SCHED_SWITCH: KernelLines.switch,
    ev.SCHED_WAKEUP: KernelLines.wakeup,
    ev.OP_BEGIN: KernelLines.op_begin,
    ev.OP_END: KernelLines.op_end,
    ev.FAULT_BEGIN: KernelLines.fault,
    ev.TLB_FLUSH: KernelLines.flush,
    ev.LOCK_START: KernelLines.start,
    ev.LOCK_ACQUIRED: KernelLines.acquired,
    ev.LOCK_FAILED: KernelLines.failed,
    ev.LOCK_DOWNGRADED: KernelLines.downgraded,
    ev.LOCK_RELEASED: KernelLines.released,
    ev.CONTENTION_BEGIN: KernelLines.contention_begin,
    ev.CONTENTION_END: KernelLines.contention_end,
    ev.SPIN_BEGIN: KernelLines.spin_begin,
    ev.SPIN_END: KernelLines.spin_end,
    ev.PAGE_CACHE: KernelLines.page_cache,
    ev.IO_BEGIN: KernelLines.io_begin,
    ev.IO_END: KernelLines.io_end,
    ev.MA_READ: KernelLines.maple,
    ev.MA_WRITE: KernelLines.maple,
    ev.MA_OP: KernelLines.maple,
    ev.NOTE: KernelLines.note_text,
}
