"""A kernel capture as a stream of records, whatever program wrote it as text.

Counts what it does not know and what it had to skip; it draws no conclusion from any event.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from pfviz.trace import bpftrace, ftrace, perf_script
from pfviz.trace.capture_file import CaptureError, CaptureFile
from pfviz.trace.ftrace import MARKER, Place

# (time_ns, cpu, tid, event, argument text). A mark has tid -1 and the time of the record before it.
Record = tuple[int, int, int, str, str]

LOST = "lost_events"  # A mark: so many events are missing here on that CPU ("" when unknown).
STARTED = "buffer_started"  # A mark: earlier events of that CPU were overwritten.
TRUNCATED = "truncated"  # A mark: the file itself ends here, too early.
MARKS = (LOST, STARTED, TRUNCATED)

_LOSSES = (
    (re.compile(r"CPU: ?(\d+) \[LOST (?:(\d+) )?EVENTS\]"), LOST),  # trace_pipe
    (re.compile(r"(?:CPU: ?(\d+) )?\[(?:(\d+) )?EVENTS DROPPED\]"), LOST),  # trace-cmd report
    (re.compile(r"()Lost (\d+) events"), LOST),  # bpftrace
    (re.compile(r"#+ CPU (\d+) buffer started #+()"), STARTED),
)
_ENTRIES = re.compile(r"# entries-in-buffer/entries-written: (\d+)/(\d+)")
_PREAMBLE = re.compile(r"cpus=\d+|Attach(?:ing|ed) \d+ probes?\.*")

_LINES_WITHOUT_EVENT_MAX = 20_000
_NOTES_MAX = 20
_TIME_MAX_NS = 1 << 62  # 146 years.
_SOON = 200  # Lines of one front end that must not be outvoted by another's.


class Capture:
    """One capture, read once by `records()`; its counters are complete when that has ended.

    `tasks` maps a thread id to (name, process id or 0), the name as last read; `counts` has every
    event name met; `skipped` says why lines were left out, `skip_notes` where the first ones were.
    Raises CaptureError when the file cannot be read or begins with nothing like an event.
    """

    def __init__(self, path: str | Path | CaptureFile) -> None:
        self._file = path if isinstance(path, CaptureFile) else CaptureFile(path)
        self.name = self._file.name
        self.tasks: dict[int, tuple[str, int]] = {}
        self.counts: dict[str, int] = {}
        self.skipped: Counter[str] = Counter()
        self.skip_notes: list[tuple[int, str]] = []
        self.lines = 0
        self.lost_events = 0
        self.loss_marks = 0
        self.buffer_started_marks = 0
        self.times_going_back = 0
        self.entries: tuple[int, int] | None = None
        self._last_ns = 0
        self._places: dict[str, tuple[int, int]] = {}
        self._read_place: Callable[[str], Place | None] = ftrace.read_place
        self._split_line = ftrace.split_line
        self.front_end = ""
        self.clock_is_counter = False
        self._blocks = self._file.blocks()
        self._head = self._recognise()

    @property
    def truncated(self) -> str | None:
        """Why the file ends too early, when it does."""
        return self._file.lost

    @property
    def lossy(self) -> bool:
        """Whether events are missing: marked as lost, overwritten, or cut off."""
        overwritten = self.entries is not None and self.entries[1] > self.entries[0]
        marked = self.loss_marks or self.buffer_started_marks
        return bool(marked or overwritten or self.truncated)

    def records(self) -> Iterator[Record]:
        """Yield every event and mark in the order of the file (bpftrace: of time)."""
        if self.front_end == "bpftrace":
            yield from sorted(self._printed_records(), key=lambda record: record[0])
        else:
            yield from self._column_records()
        if self.truncated:
            yield (self._last_ns, -1, -1, TRUNCATED, self.truncated)

    def note_skip(self, line: int, reason: str) -> None:
        """Count a line that was left out; the first ones are remembered with their number."""
        self.skipped[reason] += 1
        if len(self.skip_notes) < _NOTES_MAX:
            self.skip_notes.append((line, reason))

    def _recognise(self) -> list[list[str]]:
        """Read ahead until lines tell the front end; return what was read."""
        head: list[list[str]] = []
        seen = 0
        for block in self._blocks:
            head.append(block)
            seen += len(block)
            if self._choose_front_end(block):
                return head
            if seen > _LINES_WITHOUT_EVENT_MAX:
                break
        first = next(
            (n, line) for n, line in enumerate(_flat(head), 1) if line.strip() or n == seen
        )
        where, text = first
        reason = f"it begins {text.strip()[:40]!r}"
        if text.startswith('{"pfviz":'):
            reason = "it is what `pfviz export jsonl` wrote; `pfviz play` reads that"
        if self._file.is_binary:
            reason = "it holds binary data"
        elif self._file.lost:
            reason = self._file.lost
        raise CaptureError(
            self.name,
            where,
            f"no kernel event here ({reason}); expected ftrace, trace-cmd report, perf script "
            "or bpftrace text",
        )

    def _choose_front_end(self, lines: list[str]) -> bool:
        votes: Counter[str] = Counter()
        for line in lines:
            if (front_end := _front_end_of(line)) is not None:
                votes[front_end] += 1
                if votes.total() >= _SOON:
                    break
        if not votes:
            return False
        self.front_end = votes.most_common(1)[0][0]
        if self.front_end == "perf script":
            self._read_place, self._split_line = perf_script.read_place, perf_script.split_line
        return True

    def _all_lines(self) -> Iterator[list[str]]:
        yield from self._head
        self._head = []
        yield from self._blocks

    def _column_records(self) -> Iterator[Record]:
        """The loop all import time goes into: look up what repeats, read only what differs."""
        places, counts, names = self._places, self.counts, dict[str, str]()
        dot, point, scale = self._stamp_shape()
        number = 0
        last_ns = 0
        for lines in self._all_lines():
            for line in lines:
                number += 1
                head, _, text = line.partition(": ")
                prefix, _, stamp = head.rpartition(" ")
                try:
                    cpu, tid = places[prefix]
                    time_ns = int(stamp.replace(".", "")) * scale
                    known = stamp[dot] == point and time_ns < _TIME_MAX_NS
                except (KeyError, ValueError):
                    known = False
                if not known:
                    self.lines = number
                    self._last_ns = last_ns
                    found = self._read_unusual(line)
                    if found is None:
                        continue
                    time_ns, cpu, tid, text = found
                if time_ns < last_ns:
                    self.times_going_back += 1
                last_ns = time_ns
                raw, _, args = text.partition(": ")
                event = names.get(raw)
                if event is None:
                    event, args = ftrace.split_event(text)
                    if event != "(text)" and not raw.startswith("sys_") and " <-" not in raw:
                        names[raw] = event
                elif args[:1] == " ":
                    args = args.lstrip()
                counts[event] = counts.get(event, 0) + 1
                yield (time_ns, cpu, tid, event, args)
        self.lines = number
        self._last_ns = last_ns

    def _stamp_shape(self) -> tuple[slice, str, int]:
        """Return where a time's point must be, what stands there, and nanoseconds per unit.

        Times without a point are the `counter` clock: one count is shown as one microsecond.
        """
        for line in _flat(self._head):
            found = self._split_line(line)
            if found is None:
                continue
            _, point, fraction = found[1].partition(".")
            if not point:
                self.clock_is_counter = True
                return slice(0, 0), "", 1000
            digits = len(fraction)
            return slice(-digits - 1, -digits), ".", 10 ** (9 - min(digits, 9))
        return slice(-7, -6), ".", 1000

    def _read_unusual(self, line: str) -> tuple[int, int, int, str] | None:
        """Read a line whose beginning was not met before: a new place, a mark, a comment, junk."""
        found = self._split_line(line)
        if found is not None:
            prefix, stamp, text = found
            place = self._read_place(prefix)
            if place is not None and (time_ns := _nanoseconds(stamp)) is not None:
                self._remember(line, place, renames=not text.startswith(MARKER))
                return time_ns, place.cpu, place.tid, text
        if not line.strip() or (mark := self._read_mark(line)) is None:
            self._skip(line)
            return None
        return mark

    def _remember(self, line: str, place: Place, renames: bool) -> None:
        comm, tgid = self.tasks.get(place.tid, ("", 0))
        # A note by the recorder is not the task's own event and names nobody.
        if renames or not comm:
            comm = place.comm
        self.tasks[place.tid] = (comm, place.tgid or tgid)
        prefix = line.partition(": ")[0].rpartition(" ")[0]
        # A name with ": " in it splits elsewhere; such a line is read the slow way each time.
        if self._read_place(prefix) == place:
            self._places[prefix] = (place.cpu, place.tid)

    def _read_mark(self, line: str) -> tuple[int, int, int, str] | None:
        for pattern, mark in _LOSSES:
            match = pattern.fullmatch(line.strip())
            if match is None:
                continue
            cpu, lost = match.groups()
            if mark == STARTED:
                self.buffer_started_marks += 1
            else:
                self.loss_marks += 1
                self.lost_events += int(lost or 0)
            return self._last_ns, int(cpu or -1), -1, f"{mark}: {lost or ''}"
        return None

    def _skip(self, line: str) -> None:
        """Pass over what is no event: silently when it belongs there, counted when it does not."""
        text = line.strip()
        if text.startswith("#"):
            if (entries := _ENTRIES.match(text)) is not None:
                self.entries = (int(entries[1]), int(entries[2]))
        elif self.front_end == "perf script" and perf_script.is_stack_frame(line):
            self.counts["(stack frame)"] = self.counts.get("(stack frame)", 0) + 1
        elif text and _PREAMBLE.fullmatch(text) is None:
            self.note_skip(self.lines, "not an event line")

    def _printed_records(self) -> Iterator[Record]:
        for number, line in enumerate(_flat(self._all_lines()), 1):
            self.lines = number
            found = bpftrace.split_line(line)
            if found is None:
                mark = self._read_mark(line)
                if mark is None:
                    self._skip(line)
                else:
                    event, _, lost = mark[3].partition(": ")
                    yield (*mark[:3], event, lost)
                continue
            place, time_ns, event, args = found
            self.tasks[place.tid] = (place.comm, place.tgid)
            self.times_going_back += time_ns < self._last_ns
            self._last_ns = time_ns
            self.counts[event] = self.counts.get(event, 0) + 1
            yield (time_ns, place.cpu, place.tid, event, args)


def _flat(blocks: Iterator[list[str]] | list[list[str]]) -> Iterator[str]:
    for block in blocks:
        yield from block


def _front_end_of(line: str) -> str | None:
    if (found := ftrace.split_line(line)) is not None:
        # Only the kernel prints its flags in a column of their own, or names a call bare.
        return "ftrace"
    if (found := perf_script.split_line(line)) is not None and perf_script.read_place(found[0]):
        return "perf script"
    if bpftrace.split_line(line) is not None:
        return "bpftrace"
    return None


def _nanoseconds(stamp: str) -> int | None:
    seconds, point, fraction = stamp.partition(".")
    try:
        time_ns = int(seconds) * 1000
        if point:
            time_ns = int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return None
    return time_ns if time_ns < _TIME_MAX_NS else None


__all__ = ["LOST", "MARKER", "MARKS", "STARTED", "TRUNCATED", "Capture", "CaptureError", "Record"]
