"""A kernel capture as an event log like a simulated run's, so that the same views play it.

What the kernel printed becomes the same event kinds the simulator emits; what it did not print is
inferred by stated rules or left out, and `meta` says which is which.
"""

from __future__ import annotations

import struct
import tomllib
from pathlib import Path

from pfviz.sim import event as ev
from pfviz.sim.event import NOBODY, EventLog
from pfviz.trace import fields
from pfviz.trace.capture import LOST, MARKER, STARTED, Capture, Record
from pfviz.trace.capture_file import CaptureError, CaptureFile, printable
from pfviz.trace.infer_events import HANDLERS, sys_enter, sys_exit
from pfviz.trace.infer_faults import Faults
from pfviz.trace.infer_locks import Locks
from pfviz.trace.infer_mms import Mms
from pfviz.trace.infer_tasks import Tasks, Thread
from pfviz.trace.late_rows import LateRows
from pfviz.trace.maps import ProcessMaps, read_maps
from pfviz.trace.shortcomings import describe_capture

_NEVER = 1 << 63
_MAPS_BESIDE = "maps-start.txt"


def infer_log(
    path: str | Path, maps: str | Path | None = None, file: CaptureFile | None = None
) -> EventLog:
    """Return a capture ("-" is standard input) as an event log; times begin at 0 ns.

    `maps` is a copy of /proc/PID/maps from near the beginning; without it, `maps-start.txt` beside
    the capture is taken when there is one. `file` is what `path` names, when it is open already.
    Raises CaptureError for files that cannot be used.
    """
    capture = Capture(path if file is None else file)
    found = _maps_beside(path) if maps is None else read_maps(maps)
    log = Inference(capture, found).run()
    if (kernel := _kernel_beside(path)) is not None:
        log.meta["kernel"] = kernel
    return log


class Inference:
    """One pass over a capture's records; `run` gives the log."""

    def __init__(self, capture: Capture, maps: ProcessMaps | None = None) -> None:
        self.capture = capture
        self.rows = LateRows()
        self.tasks = Tasks(self.rows, capture)
        self.mms = Mms(self.rows)
        self.locks = Locks(self.rows, self.mms)
        self.faults = Faults(self.rows)
        self.cpu = -1
        """The CPU of the line at hand."""
        self.damaged = 0
        self.foreign_tree_events = 0
        self._maps = maps
        self._threads_asked = -1
        copied = maps.copied_ns if maps is not None else None
        self._copied_ns = copied[1] if copied is not None else _NEVER
        self._first_ns = 0
        self._texts: dict[str, int] = {}

    def run(self) -> EventLog:
        """Read every record and return the finished log."""
        started = False
        for record in self.capture.records():
            if not started:
                self._first_ns = record[0]
                self._say_what_was_overwritten()
                started = True
            try:
                self._take(record)
            except struct.error:
                self.damaged += 1  # A number of more than 64 bits: no kernel printed that.
        if not self.rows.count:
            raise CaptureError(self.capture.name, self.capture.lines, "no event pfviz can show")
        if self.damaged:
            self.capture.skipped["arguments cut off or unknown"] += self.damaged
        open_faults = [t.fault for t in self.tasks.threads.values() if t.fault is not None]
        knows_tree = "ma_read" in self.capture.counts
        self.faults.finish(self.locks.traced, knows_tree, open_faults)
        self.locks.finish()
        self.tasks.finish()
        self.mms.finish(self.tasks.threads)
        log = self.rows.finish()
        describe_capture(log, self.capture, self._first_ns, self.locks.holds_ended_by_inference)
        return log

    def _take(self, record: Record) -> None:
        time_ns, cpu, tid, event, args = record
        rows = self.rows
        # Clocks of single CPUs may be offset: the log's time stands still rather than go back.
        rows.now_ns = max(rows.now_ns, time_ns - self._first_ns)
        if tid < 0:
            self._take_mark(event, cpu, args)
            return
        if time_ns >= self._copied_ns:
            self._take_snapshot()
        handler = HANDLERS.get(event)
        if handler is None:
            if event.startswith("sys_enter_"):
                handler, args = sys_enter, f"{event[10:]} {args}"
            elif event.startswith("sys_exit_"):
                handler, args = sys_exit, f"{event[9:]} {args}"
            else:
                self._take_bystander(event, cpu, tid, args)
                return
        if tid == 0:
            return
        thread = self.tasks.threads.get(tid)
        if thread is None:
            if event == "tlb_flush":
                return  # A task switch lets single events of foreign tasks through.
            thread = self.tasks.announce(tid, cpu)
        if self.tasks.running.get(cpu) != tid:
            self.tasks.seen(thread, cpu)
        self.cpu = cpu
        handler(self, thread, args)

    def _take_mark(self, event: str, cpu: int, args: str) -> None:
        if event == LOST:
            self._lose(cpu, int(args or 0), f"events lost on CPU {cpu}" if cpu >= 0 else "lost")
        elif event == STARTED:
            self._lose(cpu, 0, f"CPU {cpu} begins here: its earlier events were overwritten")
        else:
            self._lose(-1, 0, f"the capture ends here: {args}")

    def _lose(self, cpu: int, count: int, text: str) -> None:
        self.rows.add(ev.LOSS, NOBODY, cpu, count, self.text(text))

    def _say_what_was_overwritten(self) -> None:
        entries = self.capture.entries
        if entries is not None and entries[1] > entries[0]:
            self._lose(-1, entries[1] - entries[0], "overwritten before or between these events")

    def _take_bystander(self, event: str, cpu: int, tid: int, args: str) -> None:
        """Events that name the tasks they are about, whoever's line they stand in."""
        if event == "sched_switch":
            switch = fields.read_switch(args)
            if switch is None:
                self.damaged += 1
            else:
                self.tasks.switch(cpu, switch)
        elif event in ("sched_waking", "sched_wakeup"):
            woken = fields.read_wakeup(args)
            if woken is None:
                self.damaged += 1
            else:
                self.tasks.wake(*woken, tid)
        elif event == MARKER:
            self.rows.add(ev.NOTE, NOBODY, self.text(args), -1)
            if "maps-start" in args:
                self._threads_asked = -1
                self._take_snapshot()

    def _take_snapshot(self) -> None:
        """Take over the copy of maps; once by its time and once by the recorder's note.

        The note is the surer one, but it may be lost; the time may be by another clock.
        """
        maps, threads = self._maps, self.tasks.threads
        if maps is None or len(threads) == self._threads_asked:
            return
        self._threads_asked = len(threads)
        ours = (thread for thread in threads.values() if thread.tgid == maps.pid)
        process = threads.get(maps.pid) or next(ours, None)
        if process is not None:
            self._copied_ns = _NEVER
            self.mms.snapshot(process, maps)

    def text(self, text: str) -> int:
        """Return the index of a text in the log."""
        found = self._texts.get(text)
        if found is None:
            found = self._texts[text] = self.rows.log.text(text)
        return found

    def close_fault(self, thread: Thread) -> None:
        """Whatever comes next, the thread's fault is over."""
        if thread.io is not None:
            self.end_io(thread)
        fault, thread.fault = thread.fault, None
        if fault is not None:
            self.faults.close(fault)
            if fault.makes_anon_vma and fault.vma is not None and thread.mm is not None:
                thread.mm.vmas.prepare(fault.vma)

    def end_io(self, thread: Thread) -> None:
        """The thread goes on, so the read it waited for is done."""
        io, thread.io = thread.io, None
        if io is not None:
            wait_ns = self.rows.now_ns - io.since_ns
            self.rows.add(ev.IO_END, thread.tid, io.file, io.index, io.count, wait_ns)


def _maps_beside(path: str | Path) -> ProcessMaps | None:
    beside = Path(path).with_name(_MAPS_BESIDE)
    if str(path) == "-" or not beside.is_file():
        return None
    try:
        return read_maps(beside)
    except CaptureError:
        return None  # Nobody named this file: the capture plays without it.


def _kernel_beside(path: str | Path) -> str | None:
    """The kernel that a recording's README.toml names; a capture itself does not say it."""
    beside = Path(path).with_name("README.toml")
    if str(path) == "-" or not beside.is_file():
        return None
    try:
        kernel = tomllib.loads(beside.read_text("utf-8")).get("kernel")
    except (OSError, ValueError):
        return None
    return printable(kernel) if isinstance(kernel, str) else None
