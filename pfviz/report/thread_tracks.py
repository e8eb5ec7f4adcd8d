"""What threads did, as slices: operations, faults in them, steps, waits, sleep; and who had a CPU.

Counters of /proc/vmstat and the story's moments have tracks here too; locks have their own module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pfviz.report.fault_table import access_of
from pfviz.report.measure import PGMAJFAULT, REGIMES
from pfviz.report.names import Names
from pfviz.report.tracks import COUNTER, NO_ARGS, PROCESS, THREAD, Args, Canvas, Track
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, Row, unsigned

STORY_RANK, VMSTAT_RANK, CPU_RANK, LOCK_RANK = 0, 1, 2, 3


class ThreadTracks:
    """Draws events of tasks, faults and CPUs on a canvas."""

    def __init__(self, log: EventLog, names: Names, canvas: Canvas) -> None:
        self.log = log
        self.names = names
        self.canvas = canvas
        self._fault_kinds = _fault_kinds(log)
        self._mm_names: dict[int, str] = {}
        self._mms: dict[int, int] = {}
        self._counters: dict[str, int] = {}

    def thread(self, task: int) -> Track:
        """The track of a thread, in its process."""
        found = self.canvas.known(("thread", task))
        if found is not None:
            return found
        names = self.names
        mm = self._mms.get(task, -1)
        named = names.task(task) or "nobody"
        tid = names.tid(task)
        first = self.canvas.known(("process", mm))
        name = self._mm_names.get(mm) or named
        process = first or self.canvas.track(("process", mm), name, PROCESS, pid=tid)
        return self.canvas.track(
            ("thread", task), named, THREAD, parent=process, pid=process.pid, tid=tid, rank=task
        )

    def story(self, now_ns: int, name: str, category: str, args: Args = NO_ARGS) -> None:
        """Mark a moment that is nobody's."""
        track = self.canvas.track("story", "Story", rank=STORY_RANK)
        self.canvas.instant(now_ns, track, name, category, args)

    def bump(self, now_ns: int, counter: str) -> None:
        """Count one more of what /proc/vmstat counts."""
        value = self._counters[counter] = self._counters.get(counter, 0) + 1
        parent = self.canvas.track("vmstat", "vmstat", rank=VMSTAT_RANK)
        track = self.canvas.track(
            ("vmstat", counter), counter, COUNTER, parent=parent, unit="count"
        )
        self.canvas.count(now_ns, track, value)

    def _text(self, index: int) -> str:
        return self.log.texts[index] if 0 <= index < len(self.log.texts) else ""

    def mm_new(self, _number: int, row: Row) -> None:
        self._mm_names[row[3]] = self._text(row[6])

    def task_new(self, _number: int, row: Row) -> None:
        self._mms.setdefault(row[2], row[6] if row[6] > 0 else -1)
        self.thread(row[2])

    def task_end(self, _number: int, row: Row) -> None:
        self.canvas.instant(row[0], self.thread(row[2]), "ends", "task")

    def switch(self, _number: int, row: Row) -> None:
        now_ns, _, _, cpu, task, _, _ = row
        parent = self.canvas.track("cpus", "CPUs", rank=CPU_RANK)
        track = self.canvas.track(("cpu", cpu), f"CPU {cpu}", parent=parent, rank=cpu)
        self.canvas.end(now_ns, track, "runs")
        if task >= 0:
            self.canvas.begin(now_ns, track, "runs", self.names.task(task), "cpu")

    def step(self, _number: int, row: Row) -> None:
        now_ns, _, task, step, cost_ns, extra_ns, _ = row
        if step < 0:
            return
        end_ns = now_ns + max(cost_ns + extra_ns, 0)
        name = self.names.step(step) or "step"
        self.canvas.begin_until(now_ns, end_ns, self.thread(task), name, "step")

    def op_begin(self, _number: int, row: Row) -> None:
        now_ns, _, task, op, address, length, index = row
        args = {"address": hex(unsigned(address)), "length": length, "index": index}
        track = self.thread(task)
        self.canvas.end(now_ns, track, "op")
        self.canvas.begin(now_ns, track, "op", self._text(op), "operation", args)

    def op_end(self, _number: int, row: Row) -> None:
        now_ns, _, task, _, latency_ns, result, _ = row
        args = {"latency_ns": latency_ns, "result": result}
        self.canvas.end(now_ns, self.thread(task), "op", args)

    def fault_begin(self, number: int, row: Row) -> None:
        now_ns, _, task, address, error_code, fault, mm = row
        kind = self._fault_kinds.get(number, "")
        args = {
            "address": hex(unsigned(address)), "access": access_of(error_code),
            "error_code": error_code, "fault": fault, "mm": mm,
        }  # fmt: skip
        track = self.thread(task)
        self.canvas.end(now_ns, track, "fault")
        self.canvas.begin(now_ns, track, "fault", f"fault {kind}".rstrip(), "fault", args)

    def fault_path(self, _number: int, row: Row) -> None:
        now_ns, _, task, regime, attempt, _, _ = row
        said = REGIMES[regime] if 0 <= regime < len(REGIMES) else "unknown"
        args = {"attempt": attempt}
        self.canvas.instant(now_ns, self.thread(task), f"tries {said}", "fault", args)

    def fallback(self, _number: int, row: Row) -> None:
        now_ns, _, task, cause, before, after, counter = row
        args = {"cause": self._text(cause), "counter": self._text(counter)}
        for key, regime in (("from", before), ("to", after)):
            if 0 <= regime < len(REGIMES):
                args[key] = REGIMES[regime]
        name = f"fallback: {args['cause']}"
        self.canvas.instant(now_ns, self.thread(task), name, "fallback", args)
        if args["counter"]:
            self.bump(now_ns, args["counter"])

    def fault_end(self, _number: int, row: Row) -> None:
        now_ns, _, task, kind, latency_ns, regime, flags = row
        args: Args = {"kind": self._text(kind), "latency_ns": latency_ns, "flags": flags}
        if 0 <= regime < len(REGIMES):
            args["lock"] = REGIMES[regime]
        self.canvas.end(now_ns, self.thread(task), "fault", args)
        if not args["kind"].startswith("segv"):
            self.bump(now_ns, "pgfault")
        if flags & PGMAJFAULT:
            self.bump(now_ns, "pgmajfault")
        if regime == 1:
            self.bump(now_ns, "vma_lock_success")

    def sleep(self, _number: int, row: Row) -> None:
        now_ns, _, task, why, lock, _, _ = row
        track = self.thread(task)
        self.canvas.end(now_ns, track, "sleep")
        if self.canvas.is_open(track, ("wait", lock)):
            return  # The wait is drawn already.
        args = {"lock": self.names.lock(lock)} if lock >= 0 else NO_ARGS
        self.canvas.begin(now_ns, track, "sleep", f"sleeps: {self._text(why)}", "sleep", args)

    def wakeup(self, _number: int, row: Row) -> None:
        now_ns, _, task, _, waker, _, _ = row
        args = {"by": self.names.task(waker)} if waker >= 0 else NO_ARGS
        self.canvas.end(now_ns, self.thread(task), "sleep", args)

    def flush(self, _number: int, row: Row) -> None:
        now_ns, _, task, reason, pages, cpus, _ = row
        if task >= 0:
            args = {"pages": pages, "cpus": cpus}
            name = f"tlb_flush: {self._text(reason)}"
            self.canvas.instant(now_ns, self.thread(task), name, "tlb", args)

    def note(self, _number: int, row: Row) -> None:
        self.story(row[0], self._text(row[3]), "note")

    def loss(self, _number: int, row: Row) -> None:
        self.story(row[0], f"lost: {self._text(row[5])}", "loss", {"events": row[4], "cpu": row[3]})

    def rule_broken(self, _number: int, row: Row) -> None:
        now_ns, _, task, rule, step, _, _ = row
        args = {"thread": self.names.task(task), "step": self.names.step(step)}
        self.story(now_ns, f"rule broken: {self._text(rule)}", "rule", args)


def _fault_kinds(log: EventLog) -> dict[int, str]:
    """What each fault turned out to be, by the row that begins it."""
    begun: dict[int, int] = {}
    kinds: dict[int, str] = {}
    for number, row in enumerate(log):
        if row[1] == ev.FAULT_BEGIN:
            begun[row[2]] = number
        elif row[1] == ev.FAULT_END and row[2] in begun:
            kinds[begun.pop(row[2])] = log.texts[row[3]]
    return kinds


Draw = Callable[[ThreadTracks, int, Row], None]

THREAD_MARKS: Final[dict[int, Draw]] = {
    ev.MM_NEW: ThreadTracks.mm_new,
    ev.TASK_NEW: ThreadTracks.task_new,
    ev.TASK_END: ThreadTracks.task_end,
    ev.SCHED_SWITCH: ThreadTracks.switch,
    ev.SCHED_WAKEUP: ThreadTracks.wakeup,
    ev.SLEEP: ThreadTracks.sleep,
    ev.STEP: ThreadTracks.step,
    ev.OP_BEGIN: ThreadTracks.op_begin,
    ev.OP_END: ThreadTracks.op_end,
    ev.FAULT_BEGIN: ThreadTracks.fault_begin,
    ev.FAULT_PATH: ThreadTracks.fault_path,
    ev.FAULT_FALLBACK: ThreadTracks.fallback,
    ev.FAULT_END: ThreadTracks.fault_end,
    ev.TLB_FLUSH: ThreadTracks.flush,
    ev.NOTE: ThreadTracks.note,
    ev.LOSS: ThreadTracks.loss,
    ev.RULE_BROKEN: ThreadTracks.rule_broken,
}
