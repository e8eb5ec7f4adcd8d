"""What happened to locks, as slices: who held each, how many waited, what let whom through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pfviz.report.flows import Flows
from pfviz.report.names import Names
from pfviz.report.thread_tracks import LOCK_RANK, ThreadTracks
from pfviz.report.tracks import COUNTER, NO_ARGS, Args, Canvas, Track
from pfviz.sim import event as ev
from pfviz.sim.event import MODES, READ, EventLog, Row

_FIRST: Final = ("mmap_lock", "range_lock", "vma_lock", "ptl")
"""Kinds of locks that stand above all others, in this order."""


class LockTracks:
    """Draws lock events on a canvas: on the locks' tracks and on those of the threads."""

    def __init__(
        self, log: EventLog, names: Names, canvas: Canvas, threads: ThreadTracks, flows: Flows
    ) -> None:
        self.log = log
        self.names = names
        self.canvas = canvas
        self.threads = threads
        self.flows = flows
        self._held_on: dict[tuple[int, int], list[Track]] = {}
        """Per lock and task the tracks of its holds, the innermost last."""
        self._waiters: dict[int, set[int]] = {}
        self._spinners: dict[int, set[int]] = {}

    def lock(self, lock: int) -> Track:
        """The track of a lock, among those of its kind."""
        found = self.canvas.known(("lock", lock))
        if found is not None:
            return found
        kind = self.names.lock_kind(lock) or "locks"
        every = self.canvas.track("locks", "Locks", rank=LOCK_RANK)
        rank = _FIRST.index(kind) if kind in _FIRST else len(_FIRST)
        parent = self.canvas.track(("locks", kind), kind, parent=every, rank=rank)
        return self.canvas.track(
            ("lock", lock), self.names.lock_label(lock), parent=parent, rank=lock
        )

    def _holder(self, lock: int, task: int, mode: int) -> Track:
        """Where a hold is drawn: writers on the lock's own track, who shares it on one of theirs.

        Ranges of a range lock are shared by writers too, and a capture may have lost a release.
        """
        track = self.lock(lock)
        alone = mode != READ and self.names.lock_kind(lock) != "range_lock"
        if alone and self.canvas.is_idle(track):
            return track
        name = self.names.task(task) or "nobody"
        return self.canvas.track(("holder", lock, task), name, parent=track, rank=task)

    def _hold(self, now_ns: int, lock: int, task: int, mode: int, row: Row | None) -> None:
        track = self._holder(lock, task, mode)
        self._held_on.setdefault((lock, task), []).append(track)
        who = self.names.task(task) or "nobody"
        args: Args = NO_ARGS
        if row is not None:
            args = {**_known(wait_ns=row[5]), "trylock": bool(row[6])}
        name = f"{who} ({MODES[mode] if 0 <= mode < len(MODES) else mode})"
        self.canvas.begin(now_ns, track, ("hold", task), name, "lock", args)

    def _let_go(self, now_ns: int, lock: int, task: int, hold_ns: int) -> None:
        tracks = self._held_on.get((lock, task))
        if tracks:
            self.canvas.end(now_ns, tracks.pop(), ("hold", task), _known(hold_ns=hold_ns))

    def acquired(self, number: int, row: Row) -> None:
        now_ns, _, task, lock, mode, wait_ns, _ = row
        self._leave(now_ns, lock, task)
        self._hold(now_ns, lock, task, mode, row)
        flow = self.flows.into.get(number)
        if flow is not None and task >= 0:
            name = f"gets {self.names.lock_label(lock)}"
            thread = self.threads.thread(task)
            self.canvas.instant(
                now_ns, thread, name, "lock", _known(wait_ns=wait_ns), flows_in=flow
            )  # fmt: skip

    def failed(self, _number: int, row: Row) -> None:
        now_ns, _, task, lock, mode, why, _ = row
        self._leave(now_ns, lock, task)
        if task >= 0:
            said = self.log.texts[why] if 0 <= why < len(self.log.texts) else ""
            name = f"fails to get {self.names.lock_label(lock)}"
            args = {"why": said, "mode": MODES[mode] if 0 <= mode < len(MODES) else ""}
            self.canvas.instant(now_ns, self.threads.thread(task), name, "lock", args)

    def released(self, number: int, row: Row) -> None:
        now_ns, _, task, lock, _, hold_ns, _ = row
        self._let_go(now_ns, lock, task, hold_ns)
        self._lets_through(now_ns, task, lock, number, "releases")

    def downgraded(self, number: int, row: Row) -> None:
        now_ns, _, task, lock, hold_ns, _, _ = row
        self._let_go(now_ns, lock, task, hold_ns)
        self._hold(now_ns, lock, task, READ, None)
        self._lets_through(now_ns, task, lock, number, "downgrades")

    def _lets_through(self, now_ns: int, task: int, lock: int, number: int, verb: str) -> None:
        flows = self.flows.out.get(number)
        if flows is not None:
            name = f"{verb} {self.names.lock_label(lock)}"
            self.canvas.instant(now_ns, self.threads.thread(task), name, "lock", flows_out=flows)

    def contention_begin(self, _number: int, row: Row) -> None:
        now_ns, _, task, lock, mode, position, _ = row
        self._queue(now_ns, lock, task, mode, _known(ahead=position))

    def _queue(self, now_ns: int, lock: int, task: int, mode: int, args: Args) -> None:
        said = MODES[mode] if 0 <= mode < len(MODES) else ""
        self._wait(now_ns, lock, task, f"waits for {self.names.lock_label(lock)} ({said})", args)
        self._waiters.setdefault(lock, set()).add(task)
        self._count(now_ns, lock, "waiters", self._waiters)

    def contention_end(self, _number: int, row: Row) -> None:
        now_ns, _, task, lock, _, wait_ns, _ = row
        self._leave(now_ns, lock, task, _known(wait_ns=wait_ns))

    def spin_begin(self, _number: int, row: Row) -> None:
        now_ns, _, task, lock, mode, _, _ = row
        said = MODES[mode] if 0 <= mode < len(MODES) else ""
        self._wait(now_ns, lock, task, f"spins on {self.names.lock_label(lock)} ({said})", {})
        self._spinners.setdefault(lock, set()).add(task)
        self._count(now_ns, lock, "spinners", self._spinners)

    def spin_end(self, _number: int, row: Row) -> None:
        now_ns, _, task, lock, _, spin_ns, taken = row
        self._leave(now_ns, lock, task, {**_known(spin_ns=spin_ns), "taken": bool(taken)})

    def sleep(self, _number: int, row: Row) -> None:
        """Who changes a VMA sleeps until its last reader has gone, without any queue (6.15+)."""
        now_ns, _, task, _, lock, _, _ = row
        if lock >= 0 and self.names.lock_kind(lock) == "vma_lock":
            waiting = self._waiters.setdefault(lock, set())
            if task not in waiting:
                waiting.add(task)
                self._count(now_ns, lock, "waiters", self._waiters)

    def _wait(self, now_ns: int, lock: int, task: int, name: str, args: Args) -> None:
        if task >= 0:
            track = self.threads.thread(task)
            self.canvas.end(now_ns, track, ("wait", lock))
            self.canvas.begin(now_ns, track, ("wait", lock), name, "wait", args)

    def _leave(
        self, now_ns: int, lock: int, task: int, args: Args = NO_ARGS
    ) -> None:  # fmt: skip
        """The task neither waits for the lock nor spins on it any more."""
        for what, waiting in (("waiters", self._waiters), ("spinners", self._spinners)):
            tasks = waiting.get(lock)
            if tasks and task in tasks:
                tasks.remove(task)
                self._count(now_ns, lock, what, waiting)
        if task >= 0:
            self.canvas.end(now_ns, self.threads.thread(task), ("wait", lock), args)

    def _count(self, now_ns: int, lock: int, what: str, waiting: dict[int, set[int]]) -> None:
        parent = self.lock(lock)
        name = f"{what} of {self.names.lock_label(lock)}"
        track = self.canvas.track((what, lock), name, COUNTER, parent=parent, unit="threads")
        self.canvas.count(now_ns, track, len(waiting[lock]))


def _known(**numbers: int) -> Args:
    """Those that are known: captures say -1 where a kernel did not tell."""
    return {name: value for name, value in numbers.items() if value >= 0}


Draw = Callable[[LockTracks, int, Row], None]

LOCK_MARKS: Final[dict[int, Draw]] = {
    ev.LOCK_ACQUIRED: LockTracks.acquired,
    ev.LOCK_FAILED: LockTracks.failed,
    ev.LOCK_RELEASED: LockTracks.released,
    ev.LOCK_DOWNGRADED: LockTracks.downgraded,
    ev.CONTENTION_BEGIN: LockTracks.contention_begin,
    ev.CONTENTION_END: LockTracks.contention_end,
    ev.SPIN_BEGIN: LockTracks.spin_begin,
    ev.SPIN_END: LockTracks.spin_end,
    ev.SLEEP: LockTracks.sleep,
}
