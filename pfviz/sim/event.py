"""What can happen in a run: event kinds with their field names, and the log that keeps them.

A row is seven signed 64-bit integers (56 bytes): now_ns, kind, task, and four payload fields whose
meaning `FIELDS` gives per kind. Texts and structured details are interned; a row holds their index.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

ROW: Final = struct.Struct("<7q")
ROW_BYTES: Final = ROW.size
Row = tuple[int, int, int, int, int, int, int]

NOBODY: Final = -1
"""The task of an event that no task caused (timers, devices, losses)."""

# Simulation
STEP: Final = 1
TASK_NEW: Final = 2
TASK_END: Final = 3
SCHED_SWITCH: Final = 4
SCHED_WAKEUP: Final = 5
SLEEP: Final = 6
LINE_MOVED: Final = 7
OP_BEGIN: Final = 8
OP_END: Final = 9
NOTE: Final = 10
LOSS: Final = 11
RULE_BROKEN: Final = 12
IRQ: Final = 13
LINE_NEW: Final = 14
# Locks
LOCK_NEW: Final = 20
LOCK_START: Final = 21
LOCK_ACQUIRED: Final = 22
LOCK_FAILED: Final = 23
LOCK_RELEASED: Final = 24
LOCK_DOWNGRADED: Final = 25
CONTENTION_BEGIN: Final = 26
CONTENTION_END: Final = 27
SPIN_BEGIN: Final = 28
SPIN_END: Final = 29
LOCK_HANDOFF: Final = 30
LOCK_WORD: Final = 31
SEQ_CHANGED: Final = 32
RCU_READ_BEGIN: Final = 33
RCU_READ_END: Final = 34
RCU_CALLBACK: Final = 35
RCU_GRACE_PERIOD: Final = 36
# Memory management
MM_NEW: Final = 40
FAULT_BEGIN: Final = 41
FAULT_PATH: Final = 42
FAULT_FALLBACK: Final = 43
FAULT_END: Final = 44
VMA_NEW: Final = 45
VMA_CHANGED: Final = 46
VMA_DETACHED: Final = 47
VMA_FREED: Final = 48
VMA_LOCK_EVENT: Final = 49
PTE_SET: Final = 50
PTE_CLEARED: Final = 51
PAGE_TABLE: Final = 52
PAGE_CACHE: Final = 53
IO_BEGIN: Final = 54
IO_END: Final = 55
TLB_FLUSH: Final = 56
IPI: Final = 57
FILE_NEW: Final = 58
# Maple tree
MA_READ: Final = 60
MA_WRITE: Final = 61
MA_OP: Final = 62
TREE_NODE: Final = 63
TREE_NODE_DEAD: Final = 64
TREE_NODE_FREED: Final = 65
TREE_ROOT: Final = 66
TREE_WALK: Final = 67
# Red-black tree
TREE_WRITE: Final = 68
VMACACHE: Final = 69
# Maple tree again
TREE_NODE_BUILT: Final = 70
TREE_STORE: Final = 71

FIELDS: Final[dict[int, tuple[str, tuple[str, ...]]]] = {
    # kind: (name, payload fields); "_text" fields index `EventLog.texts`, "_detail" `.details`.
    STEP: ("step", ("step", "cost_ns", "extra_ns", "cpu")),
    TASK_NEW: ("task_new", ("name_text", "cpu", "prio", "mm")),
    TASK_END: ("task_end", ()),
    SCHED_SWITCH: ("sched_switch", ("cpu", "next_task", "prev_state", "switch_ns")),
    SCHED_WAKEUP: ("sched_wakeup", ("cpu", "waker_task", "", "")),
    SLEEP: ("sleep", ("why_text", "lock", "", "")),
    LINE_MOVED: ("line_moved", ("line", "from_cpu", "to_cpu", "transfer_ns")),
    LINE_NEW: ("line_new", ("line", "name_text", "", "")),  # before its first LINE_MOVED
    OP_BEGIN: ("op_begin", ("op_text", "address", "length", "op_index")),
    OP_END: ("op_end", ("op_text", "latency_ns", "result", "op_index")),
    NOTE: ("note", ("text_text", "cue", "", "")),
    LOSS: ("loss", ("cpu", "count", "text_text", "")),
    RULE_BROKEN: ("rule_broken", ("rule_text", "step", "", "")),
    IRQ: ("irq", ("cpu", "enabled", "", "")),
    LOCK_NEW: ("lock_new", ("lock", "kind_text", "name_text", "owner")),
    LOCK_START: ("lock_start", ("lock", "mode", "", "")),
    LOCK_ACQUIRED: ("lock_acquired", ("lock", "mode", "wait_ns", "is_try")),
    LOCK_FAILED: ("lock_failed", ("lock", "mode", "why_text", "")),
    LOCK_RELEASED: ("lock_released", ("lock", "mode", "hold_ns", "")),
    LOCK_DOWNGRADED: ("lock_downgraded", ("lock", "hold_ns", "", "")),
    CONTENTION_BEGIN: ("contention_begin", ("lock", "mode", "position", "")),
    CONTENTION_END: ("contention_end", ("lock", "mode", "wait_ns", "")),
    SPIN_BEGIN: ("spin_begin", ("lock", "mode", "", "")),
    SPIN_END: ("spin_end", ("lock", "mode", "spin_ns", "taken")),
    LOCK_HANDOFF: ("lock_handoff", ("lock", "", "", "")),
    LOCK_WORD: ("lock_word", ("lock", "word", "owner_task", "")),
    SEQ_CHANGED: ("seq_changed", ("lock", "sequence", "", "")),
    RCU_READ_BEGIN: ("rcu_read_begin", ()),
    RCU_READ_END: ("rcu_read_end", ("section_ns", "", "", "")),
    RCU_CALLBACK: ("rcu_callback", ("what_text", "object", "", "")),
    RCU_GRACE_PERIOD: ("rcu_grace_period", ("number", "callbacks", "wait_ns", "")),
    MM_NEW: ("mm_new", ("mm", "parent_mm", "mmap_lock", "name_text")),
    FAULT_BEGIN: ("page_fault_user", ("address", "error_code", "fault", "mm")),
    FAULT_PATH: ("fault_path", ("regime", "attempt", "fault", "")),
    FAULT_FALLBACK: ("fault_fallback", ("cause_text", "from_regime", "to_regime", "counter_text")),
    FAULT_END: ("fault_end", ("kind_text", "latency_ns", "regime", "flags")),
    VMA_NEW: ("vma_new", ("vma", "mm", "vma_detail", "lock")),
    VMA_CHANGED: ("vma_changed", ("vma", "mm", "vma_detail", "why_text")),
    VMA_DETACHED: ("vma_detached", ("vma", "mm", "", "")),
    VMA_FREED: ("vma_freed", ("vma", "mm", "", "")),
    VMA_LOCK_EVENT: ("vma_lock", ("vma", "what_text", "sequence", "refcount")),
    PTE_SET: ("pte_set", ("address", "count", "flags", "mm")),
    PTE_CLEARED: ("pte_cleared", ("address", "count", "", "mm")),
    PAGE_TABLE: ("page_table", ("what_text", "address", "level", "mm")),
    PAGE_CACHE: ("page_cache", ("what_text", "file", "index", "count")),
    IO_BEGIN: ("io_begin", ("file", "index", "count", "")),
    IO_END: ("io_end", ("file", "index", "count", "wait_ns")),
    TLB_FLUSH: ("tlb_flush", ("reason_text", "pages", "cpus", "mm")),
    IPI: ("ipi", ("what_text", "target_cpu", "wait_ns", "")),
    FILE_NEW: ("file_new", ("file", "name_text", "pages", "pages_present")),
    MA_READ: ("ma_read", ("function_text", "index", "range_detail", "mm")),
    MA_WRITE: ("ma_write", ("function_text", "index", "range_detail", "mm")),
    MA_OP: ("ma_op", ("function_text", "index", "range_detail", "mm")),
    TREE_NODE: ("tree_node", ("node", "node_detail", "parent", "mm")),
    TREE_NODE_DEAD: ("tree_node_dead", ("node", "why_text", "", "mm")),
    TREE_NODE_FREED: ("tree_node_freed", ("node", "", "", "mm")),
    TREE_ROOT: ("tree_root", ("node", "height", "", "mm")),
    TREE_WALK: ("tree_walk", ("node", "index", "slot", "mm")),
    TREE_WRITE: ("tree_write", ("function_text", "index", "write_detail", "mm")),
    VMACACHE: ("vmacache", ("what_text", "slot", "vma", "mm")),
    TREE_NODE_BUILT: ("tree_node_built", ("node", "node_detail", "parent", "mm")),  # private yet
    TREE_STORE: ("tree_store", ("type_text", "index", "acts_detail", "mm")),
}

READ: Final = 0
WRITE: Final = 1
SPIN: Final = 2
"""Modes of lock events."""
MODES: Final = ("read", "write", "spin")
"""What they are called."""

STILL_RUNNABLE: Final = 0
ASLEEP: Final = 1
ENDED: Final = 2
"""States in which `SCHED_SWITCH.prev_state` leaves the task that lost its CPU."""


@dataclass(frozen=True, slots=True)
class StepInfo:
    """What a viewer may know of a step: all plain text, saved with the log."""

    name: str
    function: str
    source: str
    story: str
    cost: str


@dataclass(slots=True)
class EventLog:
    """Append-only rows of seven integers, with the texts, details and steps that they index."""

    rows: bytearray = field(default_factory=bytearray)
    texts: list[str] = field(default_factory=list)
    details: list[Any] = field(default_factory=list)
    steps: list[StepInfo] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    """Facts of the whole run for viewers: kernel, mode, source, what a capture cannot show."""
    known_steps: dict[Any, tuple[int, int]] = field(default_factory=dict)
    """Step function -> (index in `steps`, cost in ns), for the engine that writes this log."""
    _text_ids: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows) // ROW_BYTES

    def append(
        self, now_ns: int, kind: int, task: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0
    ) -> None:
        """Add one event; all integers must fit 64 bits signed (see `signed`)."""
        self.rows += ROW.pack(now_ns, kind, task, a, b, c, d)

    def text(self, text: str) -> int:
        """The index of a text, the same for the same text."""
        index = self._text_ids.get(text)
        if index is None:
            index = self._text_ids[text] = len(self.texts)
            self.texts.append(text)
        return index

    def detail(self, value: Any) -> int:
        """Keep a plain tuple or frozen record beside the rows; its index goes into a row."""
        self.details.append(value)
        return len(self.details) - 1

    def row(self, index: int) -> Row:
        """The event at `index`."""
        return ROW.unpack_from(self.rows, index * ROW_BYTES)

    def between(self, first: int, last: int) -> Iterator[Row]:
        """The events `first` to `last`, excluding `last`; a copy, so appending may go on."""
        return ROW.iter_unpack(bytes(self.rows[first * ROW_BYTES : last * ROW_BYTES]))

    def __iter__(self) -> Iterator[Row]:
        return self.between(0, len(self))

    def index_at(self, now_ns: int) -> int:
        """How many events happened up to and including `now_ns` (binary search)."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self.row(middle)[0] <= now_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def digest(self) -> str:
        """A fingerprint of every row, text, detail and step; the same on every machine."""
        hasher = hashlib.blake2b(self.rows, digest_size=16)
        for text in self.texts:
            hasher.update(text.encode() + b"\0")
        for value in self.details:
            hasher.update(repr(value).encode() + b"\0")
        for step in self.steps:
            hasher.update(f"{step.name} {step.function}".encode() + b"\0")
        return hasher.hexdigest()

    def describe(self, row: Row) -> str:
        """One event as text: `now_ns kind task field=value ...`; for goldens and debugging."""
        name, fields = FIELDS[row[1]]
        parts = [f"{row[0]}", name, f"task={row[2]}"]
        for field_name, value in zip(fields, row[3:], strict=False):
            if field_name.endswith("_text"):
                parts.append(f"{field_name[:-5]}={self.texts[value]!r}")
            elif field_name.endswith("_detail"):
                parts.append(f"{field_name[:-7]}={self.details[value]}")
            elif field_name == "step":
                parts.append(f"step={self.steps[value].name}" if value >= 0 else "step=-")
            elif field_name:
                parts.append(f"{field_name}={value}")
        return " ".join(parts)


def signed(value: int) -> int:
    """An unsigned 64-bit number (a kernel address, ULONG_MAX) as a row can hold it."""
    return value - (1 << 64) if value >= 1 << 63 else value


def unsigned(value: int) -> int:
    """The inverse of `signed`."""
    return value + (1 << 64) if value < 0 else value
