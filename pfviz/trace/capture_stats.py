"""What a capture counts up to: waits, holds, faults, contention, per thread and in all.

Pairs what the kernel printed and infers nothing else; durations are microseconds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pfviz.sim.told import Told, nobody
from pfviz.stats.histogram import percentile
from pfviz.trace.capture import MARKER, Capture, Record
from pfviz.trace.capture_file import CaptureError, CaptureFile
from pfviz.trace.fields import read_contention, read_mmap_lock, read_page_fault, read_tlb_flush


class _Thread:
    """What one thread did so far; times in nanoseconds."""

    __slots__ = (
        "contention",
        "downgrades",
        "failed",
        "fault_open",
        "faults_kernel",
        "faults_locked",
        "faults_user",
        "holds",
        "pending",
        "read",
        "starting",
        "waits",
        "write",
    )

    def __init__(self) -> None:
        self.faults_user = self.faults_kernel = self.faults_locked = 0
        self.read = self.write = self.failed = self.downgrades = self.contention = 0
        self.fault_open = False
        self.starting = 0  # Lock calls that were begun and have not returned.
        self.pending: dict[str, int] = {}  # lock -> contention began
        self.waits: tuple[list[int], list[int]] = ([], [])  # read, write
        self.holds: tuple[list[int], list[int]] = ([], [])


class _Pair:
    """One thread and one mm: the calls that wait, the holds (both deeper only after losses)."""

    __slots__ = ("failed", "held", "started_ns")

    def __init__(self) -> None:
        self.started_ns = [-1, -1]  # read, write
        self.failed = False
        self.held: list[tuple[int, bool]] = []


class CaptureStats:
    """Adds up records; `result` gives the dictionary of `capture_stats`."""

    def __init__(self) -> None:
        self.threads: dict[int, _Thread] = {}
        self.pairs: dict[tuple[int, str], _Pair] = {}
        self.mms: Counter[str] = Counter()
        self.memcgs: Counter[str] = Counter()
        self.error_codes: Counter[str] = Counter()
        self.lock_flags: Counter[str] = Counter()
        self.tlb: Counter[str] = Counter()
        self.totals: Counter[str] = Counter()
        self.locks: set[str] = set()
        self.contended: list[int] = []
        self.events = 0
        self.first_ns: int | None = None
        self.last_ns = 0
        self.damaged = 0
        self._read = {
            "page_fault_user": self._page_fault,
            "page_fault_kernel": self._page_fault,
            "mmap_lock_start_locking": self._start_locking,
            "mmap_lock_acquire_returned": self._acquire_returned,
            "mmap_lock_released": self._released,
            "contention_begin": self._contention_begin,
            "contention_end": self._contention_end,
            "tlb_flush": self._tlb_flush,
        }

    def add(self, record: Record) -> None:
        """Count one record; text that its event never prints is counted as damaged."""
        time_ns, _, tid, event, args = record
        if tid < 0:
            return
        if event == MARKER:
            self.totals["markers"] += 1
            return
        thread = self.threads.get(tid)
        if thread is None:
            thread = self.threads[tid] = _Thread()
        self.events += 1
        if self.first_ns is None:
            self.first_ns = time_ns
        self.last_ns = time_ns
        read = self._read.get(event)
        if read is not None:
            read(thread, time_ns, tid, event, args)
        elif event.startswith("sys_e"):
            self.totals["syscall_events"] += 1
            thread.fault_open = False

    def _page_fault(self, thread: _Thread, _ns: int, _tid: int, event: str, args: str) -> None:
        fault = read_page_fault(args)
        if fault is None:
            self.damaged += 1
            return
        self.error_codes[hex(fault.error_code)] += 1
        if event == "page_fault_user":
            thread.faults_user += 1
        else:
            thread.faults_kernel += 1
        thread.fault_open = True

    def _pair(self, tid: int, mm: str) -> _Pair:
        self.mms[mm] += 1
        pair = self.pairs.get((tid, mm))
        if pair is None:
            pair = self.pairs[tid, mm] = _Pair()
        return pair

    def _start_locking(self, thread: _Thread, ns: int, tid: int, _event: str, args: str) -> None:
        lock = read_mmap_lock(args)
        if lock is None:
            self.damaged += 1
            return
        self.totals["start_locking"] += 1
        self.memcgs[lock.memcg] += 1
        pair = self._pair(tid, lock.mm)
        if pair.failed:
            self.totals["retry_after_fail"] += 1
            pair.failed = False
        if pair.started_ns[lock.write] < 0:
            thread.starting += 1
        pair.started_ns[lock.write] = ns

    def _acquire_returned(self, thread: _Thread, ns: int, tid: int, _event: str, args: str) -> None:
        lock = read_mmap_lock(args)
        if lock is None:
            self.damaged += 1
            return
        self.totals["acquire_returned"] += 1
        if thread.fault_open and not lock.write:
            thread.faults_locked += 1
            thread.fault_open = False
        pair = self._pair(tid, lock.mm)
        pair.failed = not lock.success
        began_ns = pair.started_ns[lock.write]
        started = began_ns >= 0
        if started:
            pair.started_ns[lock.write] = -1
            thread.starting -= 1
        if not lock.success:
            thread.failed += 1
            if not started:
                self.totals["acquire_without_start"] += 1
            return
        if not started and not lock.write and pair.held and pair.held[-1][1]:
            held_ns, _ = pair.held.pop()
            thread.holds[1].append(ns - held_ns)
            thread.downgrades += 1
            pair.held.append((ns, False))
            return
        if lock.write:
            thread.write += 1
        else:
            thread.read += 1
        if started:
            thread.waits[lock.write].append(ns - began_ns)
        else:
            self.totals["acquire_without_start"] += 1
        if pair.held:
            self.totals["nested_same_mm"] += 1
        pair.held.append((ns, lock.write))

    def _released(self, thread: _Thread, ns: int, tid: int, _event: str, args: str) -> None:
        lock = read_mmap_lock(args)
        if lock is None:
            self.damaged += 1
            return
        self.totals["released"] += 1
        pair = self._pair(tid, lock.mm)
        pair.failed = False
        if not pair.held:
            self.totals["release_without_acquire"] += 1
            others = (pair for (_, mm), pair in self.pairs.items() if mm == lock.mm and pair.held)
            if any(other.held[-1][1] == lock.write for other in others):
                self.totals["release_maybe_by_other_thread"] += 1
            return
        held_ns, write = pair.held.pop()
        if write != lock.write:
            self.totals["release_mode_differs"] += 1
        thread.holds[write].append(ns - held_ns)

    def _contention_begin(
        self, thread: _Thread, ns: int, _tid: int, _event: str, args: str
    ) -> None:
        found = read_contention(args)
        if found is None:
            self.damaged += 1
            return
        lock, flags = found
        self.lock_flags[flags] += 1
        self.locks.add(lock)
        thread.contention += 1
        thread.pending[lock] = ns
        if thread.starting:
            self.totals["contention_inside_mmap_lock_wait"] += 1

    def _contention_end(self, thread: _Thread, ns: int, _tid: int, _event: str, args: str) -> None:
        found = read_contention(args)
        if found is None:
            self.damaged += 1
            return
        began_ns = thread.pending.pop(found[0], None)
        if began_ns is None:
            self.totals["contention_end_unpaired"] += 1
        else:
            self.contended.append(ns - began_ns)

    def _tlb_flush(self, _thread: _Thread, _ns: int, _tid: int, _event: str, args: str) -> None:
        found = read_tlb_flush(args)
        # trace-cmd spells `reason=`; the published figures count those reasons as unknown.
        self.tlb["?" if found is None or "reason=" in args else found[1]] += 1

    def result(self, capture: Capture) -> dict[str, Any]:
        """Return everything counted, in the layout of the captures' truth files."""
        threads = [self.threads[tid] for tid in sorted(self.threads)]
        waits = tuple([ns for t in threads for ns in t.waits[w]] for w in (0, 1))
        holds = tuple([ns for t in threads for ns in t.holds[w]] for w in (0, 1))
        return {
            "lossy": capture.lossy,
            "lost_events_marked": capture.lost_events,
            "buffer_started_marks": capture.buffer_started_marks,
            "entries_in_buffer_written": list(capture.entries) if capture.entries else None,
            **({"truncated": capture.truncated} if capture.truncated else {}),
            "events": self.events,
            "first_us": None if self.first_ns is None else _microseconds(self.first_ns),
            "last_us": None if self.first_ns is None else _microseconds(self.last_ns),
            "faults": sum(t.faults_user + t.faults_kernel for t in threads),
            "totals": self._totals(capture, [*waits[0], *waits[1]]),
            "wait_us": _by_mode(waits[0], waits[1]),
            "hold_us": _by_mode(holds[0], holds[1]),
            "contention": {
                "begin": self.lock_flags.total(),
                "by_flags": dict(self.lock_flags.most_common()),
                "us": _ranks(self.contended),
                "locks": len(self.locks),
            },
            "error_codes": dict(self.error_codes.most_common()),
            "mms": dict(self.mms.most_common()),
            "mm_count": len(self.mms),
            "memcg_ids": dict(self.memcgs.most_common()),
            "tlb": dict(self.tlb),
            "threads": {
                str(tid): _thread_result(self.threads[tid], *capture.tasks.get(tid, ("", 0)))
                for tid in sorted(self.threads)
            },
        }

    def _totals(self, capture: Capture, waits: list[int]) -> dict[str, int]:
        threads = self.threads.values()
        counted = self.totals + Counter(
            acquired_read=sum(t.read for t in threads),
            acquired_write=sum(t.write for t in threads),
            downgrades=sum(t.downgrades for t in threads),
            failed_trylocks=sum(t.failed for t in threads),
            faults_with_mmap_lock=sum(t.faults_locked for t in threads),
            page_fault_kernel=sum(t.faults_kernel for t in threads),
            page_fault_user=sum(t.faults_user for t in threads),
            timestamp_goes_back=capture.times_going_back,
            waits_ge_1us=sum(ns >= 1000 for ns in waits),
        )
        ends = {
            "acquire_without_release_at_end": sum(len(p.held) for p in self.pairs.values()),
            "contention_begin_unpaired": sum(len(t.pending) for t in threads),
            "start_without_acquire_at_end": sum(
                ns >= 0 for p in self.pairs.values() for ns in p.started_ns
            ),
        }
        return dict(sorted((dict(counted) | ends).items()))


def capture_stats(path: str | Path, told: Told = nobody) -> dict[str, Any]:
    """Return the statistics of one capture file ("-" is standard input).

    Keys and definitions are those of the `truth.json` files that the recorded captures carry: times
    in microseconds (whole ones are ints), percentiles by nearest rank; a file that ends too early
    has one key more, `truncated`, which says why. Raises CaptureError.
    """
    return read_capture_stats(Capture(CaptureFile(path, told)))


def read_capture_stats(capture: Capture) -> dict[str, Any]:
    """Return the statistics of an opened capture; its counters are complete afterwards."""
    stats = CaptureStats()
    add = stats.add
    for record in capture.records():
        add(record)
    if stats.damaged:
        capture.skipped["arguments cut off or unknown"] += stats.damaged
    if not stats.events:
        raise CaptureError(capture.name, capture.lines, "no kernel event in the whole file")
    return stats.result(capture)


def _thread_result(thread: _Thread, comm: str, tgid: int) -> dict[str, Any]:
    return {
        "comm": comm,
        **({"tgid": tgid} if tgid else {}),
        "faults": thread.faults_user + thread.faults_kernel,
        "page_fault_user": thread.faults_user,
        "page_fault_kernel": thread.faults_kernel,
        "faults_with_mmap_lock": thread.faults_locked,
        "read": thread.read,
        "write": thread.write,
        "failed_trylocks": thread.failed,
        "downgrades": thread.downgrades,
        "contention": thread.contention,
        "wait_us": _ranks([*thread.waits[0], *thread.waits[1]]),
        "hold_us": _ranks([*thread.holds[0], *thread.holds[1]]),
    }


def _by_mode(read: list[int], write: list[int]) -> dict[str, Any]:
    return {"read": _ranks(read), "write": _ranks(write), "all": _ranks([*read, *write])}


def _ranks(durations_ns: list[int]) -> dict[str, Any] | None:
    if not durations_ns:
        return None
    ordered = sorted(durations_ns)
    return {
        "n": len(ordered),
        "p50": _microseconds(percentile(ordered, 0.5)),
        "p99": _microseconds(percentile(ordered, 0.99)),
        "max": _microseconds(ordered[-1]),
        "sum": _microseconds(sum(ordered)),
    }


def _microseconds(ns: int) -> int | float:
    """Whole microseconds are ints, as the kernel's text has them; finer clocks keep the rest."""
    return ns // 1000 if ns % 1000 == 0 else round(ns / 1000, 3)
