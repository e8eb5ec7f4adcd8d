"""What pfviz calls, in order: one fault or system call of a run, in the words of a recording.

Steps give their kernel function; lock, RCU, maple and scheduling events give the calls and trace
points that a kernel would show for them. It refuses to know what is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pfviz.mm.thread import Thread
from pfviz.sim import event
from pfviz.sim.event import READ, SPIN, EventLog
from tests.worlds import Scene

MODES: Final = ("read", "write", "spin")
NAMED_LOCKS: Final = {"page_table_lock": "page_table_lock", "pmd lock": "pmd", "ptl": "ptl",
                      "invalidate_lock": "invalidate_lock",
                      "object lock": "driver's object", "lru_lock": "lru_lock",
                      "swap cluster": "swap cluster", "fault_pending_wqh": "fault_pending_wqh",
                      "fault_wqh": "fault_wqh", "fd_wqh": "fd_wqh",
                      "map_changing_lock": "userfaultfd ctx"}  # fmt: skip
"""How the name of a lock begins -> what it is, where its kind does not say."""

Row = Sequence[int]


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that pfviz did."""

    token: str
    """A kernel function, or a call or trace point with its lock: `up_read(mmap_lock)`."""
    step: str
    """The step that did it, for messages."""
    function: str
    """The kernel function that the step stands in."""
    is_step: bool = False
    """Whether this is the step itself, not something that happened in it."""


def fault_rows(scene: Scene, thread: Thread, number: int = -1) -> list[Row]:
    """The rows of one fault (the last one), from the exception to the return."""
    rows = rows_of(scene, thread)
    begins = [index for index, row in enumerate(rows) if row[1] == event.FAULT_BEGIN]
    first = begins[number]
    ends = (index for index in range(first, len(rows)) if rows[index][1] == event.FAULT_END)
    return rows[first : next(ends) + 2]


def operation_rows(scene: Scene, thread: Thread, number: int = -1) -> list[Row]:
    """The rows of one operation (the last one), from its begin to its end."""
    rows = rows_of(scene, thread)
    begins = [index for index, row in enumerate(rows) if row[1] == event.OP_BEGIN]
    first = begins[number]
    ends = (i for i in range(first, len(rows)) if rows[i][1] in (event.OP_END, event.TASK_END))
    return rows[first : next(ends, len(rows)) + 1]


def rows_of(scene: Scene, thread: Thread) -> list[Row]:
    """All rows of one task."""
    return [row for row in scene.engine.log if row[2] == thread.id]


def record(scene: Scene, rows: list[Row]) -> list[Item]:
    """What those rows of one task show, in order; a step comes before what happened in it."""
    log = scene.engine.log
    locks = _lock_names(log)
    items: list[Item] = []
    pending: list[str] = []
    for number, row in enumerate(rows):
        if row[1] == event.STEP and row[3] >= 0:
            step = log.steps[row[3]]
            items.append(Item(step.function, step.name, step.function, is_step=True))
            items += [Item(token, step.name, step.function) for token in pending]
            pending = []
        else:
            pending += _tokens(log, locks, rows, number)
    return items + [Item(token, "(end)", "") for token in pending]


def _lock_names(log: EventLog) -> dict[int, str]:
    names: dict[int, str] = {}
    for row in log:
        if row[1] == event.LOCK_NEW:
            kind, name = log.texts[row[4]], log.texts[row[5]]
            found = [known for begin, known in NAMED_LOCKS.items() if name.startswith(begin)]
            names[row[3]] = found[0] if found else kind
        elif row[1] == event.VMA_NEW and row[6] >= 0:
            names.setdefault(row[6], "vm_refcnt")
    return names


def _tokens(log: EventLog, locks: dict[int, str], rows: list[Row], number: int) -> list[str]:
    """What one event is in the words of a recording; a lock that is slow to get comes as well."""
    row = rows[number]
    kind = row[1]
    lock = locks.get(row[3], "")
    if kind in (event.LOCK_START, event.CONTENTION_BEGIN, event.SPIN_BEGIN, event.LOCK_ACQUIRED,
                event.LOCK_FAILED, event.CONTENTION_END):  # fmt: skip
        return _taking(lock, rows, number)
    if kind == event.LOCK_RELEASED:
        mode = MODES[row[4]]
        return [*_traced("released", lock, mode), _call(GIVE[mode], lock)]
    if kind == event.LOCK_DOWNGRADED:
        return [*_traced("acquire_returned", lock, "read"), _call("downgrade_write", lock)]
    if kind == event.RCU_READ_BEGIN:
        return ["__rcu_read_lock"]
    if kind == event.RCU_READ_END:
        return ["__rcu_read_unlock"]
    if kind == event.RCU_CALLBACK:
        return [f"call_rcu({log.texts[row[3]]})"]
    if kind in (event.MA_READ, event.MA_WRITE, event.MA_OP):
        return [f"{event.FIELDS[kind][0]}({log.texts[row[3]]})"]
    if kind == event.FAULT_BEGIN:
        return ["page_fault_user" if row[4] & 4 else "page_fault_kernel"]
    if kind == event.TLB_FLUSH:
        return ["flush_tlb_mm_range"]
    if kind == event.SLEEP:
        return ["io_schedule" if "page of a file" in log.texts[row[3]] else "schedule"]
    return []


GIVE: Final = {"read": "up_read", "write": "up_write", "spin": "_raw_spin_unlock"}


def _taking(lock: str, rows: list[Row], number: int) -> list[str]:
    """The tokens of an event on the way to a lock; the call itself is told at the first of them."""
    row = rows[number]
    if lock in ("vm_refcnt", "folio"):
        return []  # No function of the kernel's: an atomic on a counter, a bit of a flags word.
    mode = MODES[row[4]]
    on_the_way = [
        at for at in range(number, -1, -1)
        if rows[at][3] == row[3] and rows[at][1] in (*LOCKING, event.LOCK_RELEASED)
    ]  # fmt: skip
    first = number
    for at in on_the_way[1:]:
        if rows[at][1] in (event.LOCK_RELEASED, event.LOCK_ACQUIRED, event.LOCK_FAILED):
            break
        first = at
    found: list[str] = []
    if first == number:
        if row[1] == event.LOCK_START:
            found += _traced("start_locking", lock, mode)
        found.append(_call(_taker(rows, number), lock))
    if row[1] == event.CONTENTION_BEGIN:
        found.append(f"contention_begin({mode})")
    elif row[1] == event.CONTENTION_END:
        found.append("contention_end")
    elif row[1] == event.LOCK_ACQUIRED:
        found += _traced("acquire_returned", lock, mode)
    elif row[1] == event.LOCK_FAILED:
        found += _traced("acquire_returned", lock, f"{mode} failed")
    return found


LOCKING: Final = (event.LOCK_START, event.CONTENTION_BEGIN, event.CONTENTION_END, event.SPIN_BEGIN,
                  event.LOCK_ACQUIRED, event.LOCK_FAILED)  # fmt: skip


def _taker(rows: list[Row], number: int) -> str:
    """The function that takes the lock: a trylock is known by how the attempt ends."""
    row = rows[number]
    end = next(
        later for later in rows[number:]
        if later[3] == row[3] and later[1] in (event.LOCK_ACQUIRED, event.LOCK_FAILED)
    )  # fmt: skip
    if row[4] == SPIN:
        return "_raw_spin_lock" if end[1] == event.LOCK_ACQUIRED else "_raw_spin_trylock"
    is_try = end[1] == event.LOCK_FAILED or end[6]
    return ("down_read" if row[4] == READ else "down_write") + ("_trylock" if is_try else "")


def _traced(what: str, lock: str, mode: str) -> list[str]:
    """The trace point that comes with mmap_lock, and with no other lock."""
    return [f"mmap_lock_{what}({mode})"] if lock == "mmap_lock" else []


def _call(function: str, lock: str) -> str:
    return f"{function}({lock})"
