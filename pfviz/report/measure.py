"""Columns of a log and what they count up to: faults, locks, operations, cache lines.

Reads events only; it asks neither engine nor world, so a saved log gives the same figures.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pfviz.mm.thread import REGIMES as REGIMES
from pfviz.scenario.machines import machine_kind
from pfviz.sim import event
from pfviz.sim.event import EventLog
from pfviz.stats.histogram import percentile

Column = NDArray[np.int64]

MAJOR: Final = 1
ERROR: Final = 2
PGMAJFAULT: Final = 16
RANKS: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
LOCKS_MAX: Final = 200
LINES_MAX: Final = 100


class Rows:
    """The rows of a log by kind, as columns; a copy, so that the log may go on growing."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        table = np.frombuffer(bytes(log.rows), dtype="<i8").reshape(-1, 7)
        self.all = table
        kinds = table[:, 1]
        order = np.argsort(kinds, kind="stable")
        found, starts = np.unique(kinds[order], return_index=True)
        ends = np.append(starts, len(order))[1:]
        self._of = {
            int(kind): order[start:end]
            for kind, start, end in zip(found, starts, ends, strict=True)
        }

    def of(self, kind: int) -> Column:
        """The rows of one kind, in order: now_ns, kind, task, a, b, c, d."""
        return self.all[self.where(kind)]

    def where(self, kind: int) -> Column:
        """The positions of the rows of one kind."""
        return self._of.get(kind, np.empty(0, dtype=np.int64))

    def texts(self, column: Column) -> list[str]:
        """What a column of text indices says."""
        return [self.log.texts[index] for index in column.tolist()]


def latency(values: Column) -> dict[str, int]:
    """Percentiles by nearest rank, maximum and rounded mean in ns; zeros where nothing happened."""
    if not len(values):
        return dict.fromkeys((*RANKS, "max", "mean"), 0)
    ordered: list[int] = np.sort(values).tolist()
    ranks = {name: percentile(ordered, rank) for name, rank in RANKS.items()}
    return {**ranks, "max": ordered[-1], "mean": round(float(values.mean()))}


def durations(values: Column) -> dict[str, int]:
    """p50, p99, max and total of waits or holds, in ns."""
    some = latency(values)
    return {name: some[name] for name in ("p50", "p99", "max")} | {"total": int(values.sum())}


def faults(rows: Rows) -> dict[str, Any]:
    """How many faults ended, of which kind, under which lock, and what sent some back."""
    ended = rows.of(event.FAULT_END)
    flags = ended[:, 6]
    errors = flags & ERROR != 0
    major = (flags & MAJOR != 0) & ~errors
    # A capture may not say under which lock: -1.
    regimes = Counter(REGIMES[regime] for regime in ended[:, 5].tolist() if regime >= 0)
    causes = Counter(rows.texts(rows.of(event.FAULT_FALLBACK)[:, 3]))
    return {
        "count": len(ended),
        "minor": int((~errors & ~major).sum()),
        "major": int(major.sum()),
        "errors": int(errors.sum()),
        "by_kind": _sorted(Counter(rows.texts(ended[:, 3]))),
        "completed_under": {name: regimes[name] for name in ("vma_lock", "mmap_lock", "lockless")},
        "fallbacks": _sorted(causes),
    }


def last_step_ns(rows: Rows) -> int:
    """When the last step ended the work; after it only RCU frees what was left over."""
    where = rows.where(event.STEP)
    return int(rows.all[where[-1], 0]) if len(where) else 0


def throughput_per_s(rows: Rows) -> float:
    """Faults completed per simulated second: `faults.count` over `now_ns`, both reported.

    Not over `last_event_ns`: a grace period that ends milliseconds later would drown a short run.
    """
    span_ns = last_step_ns(rows)
    return round(len(rows.of(event.FAULT_END)) * 1e9 / span_ns, 1) if span_ns else 0.0


def operations(rows: Rows) -> dict[str, Any]:
    """Count and latency of each operation by name; those that did not end are left out."""
    ended = rows.of(event.OP_END)
    table: dict[str, Any] = {}
    for text in np.unique(ended[:, 3]):
        own = ended[ended[:, 3] == text]
        table[rows.log.texts[int(text)]] = {"count": len(own), "latency_ns": latency(own[:, 4])}
    return dict(sorted(table.items()))


def vmstat(rows: Rows) -> dict[str, int]:
    """The counters of /proc/vmstat that page faults bump."""
    ended = rows.of(event.FAULT_END)
    counters = Counter(rows.texts(rows.of(event.FAULT_FALLBACK)[:, 6]))
    # A fault that finds no VMA, or one that forbids the access, is not handled and not counted.
    refused = sum(kind.startswith("segv") for kind in rows.texts(ended[:, 3]))
    counters["pgfault"] = len(ended) - refused
    counters["pgmajfault"] = int((ended[:, 6] & PGMAJFAULT != 0).sum())
    counters["vma_lock_success"] = int((ended[:, 5] == 1).sum())
    names = ("pgfault", "pgmajfault", "vma_lock_success", "vma_lock_abort", "vma_lock_retry",
             "vma_lock_miss", "lockless_abort")  # fmt: skip
    return {name: counters[name] for name in names}


def locks(rows: Rows) -> list[dict[str, Any]]:
    """Every lock that was used, those waited for longest first (at most LOCKS_MAX of them)."""
    names = lock_names(rows)
    # Locks of one name (a VMA that comes and goes) are one: number them by the first.
    first: dict[tuple[str, str], int] = {}
    for lock in sorted(names):
        first.setdefault(names[lock], lock)
    same = {lock: first[name] for lock, name in names.items()}
    acquired = _renumbered(rows.of(event.LOCK_ACQUIRED), same)
    failed = Counter(_renumbered(rows.of(event.LOCK_FAILED), same)[:, 3].tolist())
    used = sorted({*np.unique(acquired[:, 3]).tolist(), *failed})
    waits = acquired[acquired[:, 5] > 0]
    released = _renumbered(rows.of(event.LOCK_RELEASED), same)[:, [3, 5]]
    downgraded = _renumbered(rows.of(event.LOCK_DOWNGRADED), same)[:, [3, 4]]
    holds = np.concatenate([released, downgraded])
    queued = _waiters_max(rows, same)
    grouped = _by_lock(acquired, 3), _by_lock(waits, 3), _by_lock(holds, 0)
    table: list[dict[str, Any]] = []
    for lock in used:
        own, waited, held = (group.get(lock, _NONE) for group in grouped)
        kind, name = names.get(lock, ("", f"lock {lock}"))
        wait_ns = durations(waits[waited, 5]) if len(waited) else durations(_NONE)
        reads = int((acquired[own, 4] == event.READ).sum()) if len(own) else 0
        table.append(
            {
                "name": name,
                "kind": kind,
                "reads": reads,
                "writes": len(own) - reads,
                "contended": len(waited),
                "trylock_failed": failed[lock],
                "wait_ns": wait_ns,
                "hold_ns": durations(holds[held, 1]) if len(held) else durations(_NONE),
                "waiters_max": queued.get(lock, 0),
            }
        )
    table.sort(key=lambda row: -row["wait_ns"]["total"])
    return table[:LOCKS_MAX]


def lock_names(rows: Rows) -> dict[int, tuple[str, str]]:
    """Kind and name of each lock; the lock of a VMA with a name is called after it."""
    log = rows.log
    vmas = {
        int(row[3]): str(log.details[int(row[5])][3]) for row in rows.of(event.VMA_NEW).tolist()
    }
    names = {}
    for row in rows.of(event.LOCK_NEW).tolist():
        kind, name, owner = log.texts[row[4]], log.texts[row[5]], row[6]
        if kind == "vma_lock" and vmas.get(owner):
            name = f"vma_lock {vmas[owner]}"
        names[row[3]] = kind, name
    return names


def cache_lines(rows: Rows) -> list[dict[str, Any]]:
    """How often each cache line moved between CPUs and for how long it was on its way."""
    log = rows.log
    if "machine" not in log.meta:
        return []  # A capture: lines are not traced.
    called = lock_names(rows)  # A lock's line is called as the lock is.
    locks_by_name = {
        log.texts[row[5]]: called[row[3]][1] for row in rows.of(event.LOCK_NEW).tolist()
    }
    names = {
        row[3]: locks_by_name.get(log.texts[row[4]], log.texts[row[4]])
        for row in rows.of(event.LINE_NEW).tolist()
    }
    moved = rows.of(event.LINE_MOVED)
    kind = machine_kind(log.meta["machine"])
    giver = np.where(moved[:, 4] < 0, moved[:, 5], moved[:, 4]) // kind.cores_per_socket
    same = giver == moved[:, 5] // kind.cores_per_socket
    cost = np.where(same, kind.line_same_socket_ns, kind.line_cross_socket_ns)
    table: dict[str, dict[str, Any]] = {}
    for line, index in sorted(_by_lock(moved, 3).items()):
        name = names.get(line, f"line {line}")
        row = table.setdefault(name, {"name": name, "transfers": 0, "busy_ns": 0, "wait_ns": 0})
        row["transfers"] += len(index)
        row["busy_ns"] += int(cost[index].sum())
        row["wait_ns"] += int(moved[index, 6].sum())
    return sorted(table.values(), key=lambda row: -row["busy_ns"])[:LINES_MAX]


_NONE: Final[Column] = np.empty(0, dtype=np.int64)


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name in sorted(counts) if name}


def _by_lock(table: Column, column: int) -> dict[int, Column]:
    """Positions in `table` by the value of a column."""
    if not len(table):
        return {}
    keys = table[:, column]
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    return {int(key): order[start:end] for key, start, end in zip(found, starts, ends, strict=True)}


def _renumbered(table: Column, same: dict[int, int]) -> Column:
    """The rows with their lock (column 3) replaced by the one it counts as."""
    table = table.copy()
    table[:, 3] = [same.get(lock, lock) for lock in table[:, 3].tolist()]
    return table


def _waiters_max(rows: Rows, same: dict[int, int]) -> dict[int, int]:
    """The longest queue of each lock: sleepers and spinners together."""
    begun = np.concatenate([rows.where(event.CONTENTION_BEGIN), rows.where(event.SPIN_BEGIN)])
    ended = np.concatenate([rows.where(event.CONTENTION_END), rows.where(event.SPIN_END)])
    where = np.concatenate([begun, ended])
    change = np.concatenate([np.ones(len(begun), int), -np.ones(len(ended), int)])
    order = np.argsort(where, kind="stable")
    where, change = where[order], change[order]
    taken = _renumbered(rows.all[where], same)
    return {lock: int(np.cumsum(change[index]).max()) for lock, index in _by_lock(taken, 3).items()}
