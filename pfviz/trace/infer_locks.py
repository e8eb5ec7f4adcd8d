"""Who holds and who waits for each mmap_lock of a capture, and contention on other locks.

The rules of pairing: by thread and mm; a read acquire without a start while the thread holds for
write is a downgrade; a hold that cannot be true any more was ended by an event that was lost.
"""

from __future__ import annotations

from pfviz.sim import event as ev
from pfviz.sim.event import READ, SPIN, WRITE
from pfviz.trace.fields import MmapLock
from pfviz.trace.infer_mms import Mms
from pfviz.trace.infer_tasks import Mm, Thread, Wait
from pfviz.trace.late_rows import LateRows

UNKNOWN_NS = -1


class Locks:
    """Turns mmap_lock and contention events into lock events of the log."""

    def __init__(self, rows: LateRows, mms: Mms) -> None:
        self._rows = rows
        self._mms = mms
        self._others: dict[str, int] = {}
        self._spinning: set[int] = set()
        # Waits that no contention event covered: (start row, end row, tid, lock, mode, from, to).
        self._silent: list[tuple[int, int, int, int, int, int, int]] = []
        self.traced = False
        self.contention_traced = False
        self.holds_ended_by_inference = 0

    def start(self, thread: Thread, args: MmapLock) -> None:
        """mmap_lock_start_locking: the thread is about to take or try the lock."""
        self.traced = True
        mm = self._mms.at_pointer(thread, args.mm)
        if thread.tid in mm.holders:
            self._end_stale_hold(mm, thread.tid)
        rows = self._rows
        row = rows.add(ev.LOCK_START, thread.tid, mm.lock, args.write)
        writers = any(mode == WRITE for _, mode in mm.holders.values())
        blocked = bool(mm.holders) if args.write else writers
        thread.waits[mm.lock] = Wait(mm, row, rows.now_ns, int(args.write), blocked)
        if thread.fault is not None:
            thread.fault.lock_begins(rows.now_ns, row)

    def returned(self, thread: Thread, args: MmapLock) -> None:
        """mmap_lock_acquire_returned: taken, not taken, or (without a start) downgraded."""
        rows, now_ns = self._rows, self._rows.now_ns
        mm = self._mms.at_pointer(thread, args.mm)
        wait = thread.waits.pop(mm.lock, None)
        fault = thread.fault
        if not args.success:
            row = rows.add(
                ev.LOCK_FAILED, thread.tid, mm.lock, args.write, rows.log.text("trylock failed")
            )
            if fault is not None:
                fault.lock_failed(now_ns, row)
            return
        hold = mm.holders.get(thread.tid)
        if wait is None and not args.write and hold is not None and hold[1] == WRITE:
            rows.add(ev.LOCK_DOWNGRADED, thread.tid, mm.lock, now_ns - hold[0])
            mm.holders[thread.tid] = (now_ns, READ)
            return
        if mm.holders:
            self._end_impossible_holds(mm, thread.tid, args.write)
        wait_ns = UNKNOWN_NS if wait is None else now_ns - wait.since_ns
        row = rows.add(ev.LOCK_ACQUIRED, thread.tid, mm.lock, args.write, wait_ns, 0)
        if wait is not None and wait.blocked and not wait.queued and wait_ns > 0:
            self._silent.append(
                (wait.row, row, thread.tid, mm.lock, wait.mode, wait.since_ns, now_ns)
            )
        mm.holders[thread.tid] = (now_ns, int(args.write))
        thread.holds[mm.lock] = mm
        if fault is not None:
            waited = wait is not None and (wait.queued or wait.blocked)
            fault.locked(now_ns, row, args.write, waited)

    def released(self, thread: Thread, args: MmapLock) -> None:
        """mmap_lock_released: printed just before the lock is free."""
        rows, now_ns = self._rows, self._rows.now_ns
        mm = self._mms.at_pointer(thread, args.mm)
        tid = thread.tid
        hold = mm.holders.pop(tid, None)
        thread.holds.pop(mm.lock, None)
        if args.write:
            self._mms.written(thread, mm)
        if hold is None:
            tid, hold = self._holder_instead(mm, int(args.write))
            if hold is None:
                return
        row = rows.add(ev.LOCK_RELEASED, tid, mm.lock, args.write, now_ns - hold[0])
        if thread.fault is not None:
            thread.fault.unlocked(now_ns, row, now_ns - hold[0])

    def contention_begins(self, thread: Thread, printed: str, flags: str) -> None:
        """contention_begin: the slow path of some lock; of which, only the context tells."""
        self.contention_traced = True
        rows, now_ns = self._rows, self._rows.now_ns
        mode = WRITE if "WRITE" in flags or "MUTEX" in flags else READ if "READ" in flags else SPIN
        wait = next(reversed(thread.waits.values()), None)
        if wait is not None and flags in ("READ", "WRITE") and wait.mode == mode:
            lock = wait.mm.lock
            wait.queued = True
        else:
            lock = self._other_lock(thread, printed, flags)
        thread.contended[printed] = (lock, mode, now_ns)
        spins = "SPIN" in flags
        row = rows.add(ev.SPIN_BEGIN if spins else ev.CONTENTION_BEGIN, thread.tid, lock, mode, -1)
        if thread.fault is not None and not spins:
            thread.fault.inside(now_ns, row)

    def contention_ends(self, thread: Thread, printed: str, result: str) -> None:
        """contention_end: it has the lock, or gave up (`result` is not "0")."""
        found = thread.contended.pop(printed, None)
        if found is None:
            return
        rows = self._rows
        lock, mode, since_ns = found
        waited_ns = rows.now_ns - since_ns
        if lock in self._spinning:
            rows.add(ev.SPIN_END, thread.tid, lock, mode, waited_ns, result == "0")
            return
        row = rows.add(ev.CONTENTION_END, thread.tid, lock, mode, waited_ns)
        if thread.fault is not None:
            thread.fault.inside(rows.now_ns, row)

    def finish(self) -> None:
        """Show waits without a contention event: spinning when those were traced, else queued.

        rwsem writers spin before they queue and print nothing then (FP 4.3); readers do not spin,
        so a reader without a contention event found the lock free again.
        """
        rows = self._rows
        for first, last, tid, lock, mode, since_ns, now_ns in self._silent:
            if not self.contention_traced:
                begin, end, taken = ev.CONTENTION_BEGIN, ev.CONTENTION_END, 0
            elif mode == WRITE:
                begin, end, taken = ev.SPIN_BEGIN, ev.SPIN_END, 1
            else:
                continue
            rows.add_late(first + 1, since_ns, begin, tid, lock, mode, -1, 0)
            rows.add_late(last, now_ns, end, tid, lock, mode, now_ns - since_ns, taken)

    def _other_lock(self, thread: Thread, printed: str, flags: str) -> int:
        lock = self._others.get(printed)
        if lock is None:
            rows = self._rows
            lock = self._others[printed] = rows.new_id()
            spins = "SPIN" in flags
            kind = "spinlock" if spins else "rwsem"
            if spins:
                self._spinning.add(lock)
            name = f"{'rwlock' if spins and '|' in flags else kind} {printed[-6:]}"
            text = rows.log.text
            rows.add(ev.LOCK_NEW, thread.tid, lock, text(kind), text(name), -1)
        return lock

    def _end_impossible_holds(self, mm: Mm, tid: int, write: bool) -> None:
        """The kernel let this thread in, so whoever would have kept it out had let go."""
        for other, (_, mode) in list(mm.holders.items()):
            if other != tid and (write or mode == WRITE):
                self._end_stale_hold(mm, other)

    def _end_stale_hold(self, mm: Mm, tid: int) -> None:
        _, mode = mm.holders.pop(tid)
        self.holds_ended_by_inference += 1
        self._rows.add(ev.LOCK_RELEASED, tid, mm.lock, mode, UNKNOWN_NS)

    def _holder_instead(self, mm: Mm, mode: int) -> tuple[int, tuple[int, int] | None]:
        """A lock may be released by another thread; only a single holder can be meant then."""
        holders = [tid for tid, (_, held) in mm.holders.items() if held == mode]
        if len(holders) != 1:
            return -1, None
        return holders[0], mm.holders.pop(holders[0])
