"""Breakpoints: conditions typed as a few words, found as positions in the log.

A condition is a function of the rows alone, so it holds at the same moments in every replay and
can be looked up backwards as well as forwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import numpy as np

from pfviz.scenario.times import nanoseconds
from pfviz.sim import event
from pfviz.sim.event import EventLog

from .row_index import Columns, Mask, Predicate, RowIndex
from .search import Query

EXAMPLES: Final = (
    ("lock mmap_lock waits", "somebody starts to wait for a lock of this name"),
    ("wait > 10us", "some thread has waited longer than this"),
    ("vmas > 12", "there are more VMAs than this"),
    ("step vma_start_write", "a thread takes this step"),
    ("rule", "a rule of the model is broken"),
    ("fallback", "a fault leaves its fast path"),
    ("error", "a fault ends in SIGSEGV or SIGBUS"),
    ("find T3 munmap", "anything that the search finds"),
)
"""What can be typed, and what it means; the prompt and the help page show these."""

ERROR_FLAG: Final = 2
"""Bit 1 of `fault_end.flags`."""


@dataclass(slots=True)
class Breakpoint:
    """A condition in the user's words and where it comes true."""

    text: str
    meaning: str
    index: RowIndex


def parse(text: str, log: EventLog) -> Breakpoint:
    """The breakpoint that the words describe.

    Raises:
        ValueError: the words are not a condition, with the nearest one that is.
    """
    words = text.split()
    if not words:
        raise ValueError("a breakpoint needs a condition, such as: " + EXAMPLES[0][0])
    make = PARSERS.get(words[0].lower())
    if make is None:
        near = get_close_matches(words[0].lower(), list(PARSERS), n=1, cutoff=0.0)
        raise ValueError(f"no condition starts with {words[0]!r}; nearest: {near[0]!r}")
    meaning, predicate = make(" ".join(words[1:]), log)
    return Breakpoint(" ".join(words), meaning, RowIndex(log, predicate))


Parsed = tuple[str, Predicate]


def _lock(rest: str, log: EventLog) -> Parsed:
    name = rest.removesuffix("waits").strip()
    if not name:
        raise ValueError("which lock? such as: lock mmap_lock waits")
    query = Query(log, name)

    def accepts(rows: Columns) -> Mask:
        return query(rows) & np.isin(rows[:, 1], [event.CONTENTION_BEGIN, event.SPIN_BEGIN])

    return f"somebody waits for {name}", accepts


def _wait(rest: str, _log: EventLog) -> Parsed:
    limit_ns = nanoseconds(rest.removeprefix(">").strip())
    return f"a thread waited longer than {rest.removeprefix('>').strip()}", LongWait(limit_ns)


class LongWait:
    """Accepts the first row at which a wait that is still going on passes its limit."""

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._since: dict[int, int] = {}
        """Task -> when it began to wait; those that passed the limit are dropped."""

    def __call__(self, rows: Columns) -> Mask:
        mask = np.zeros(len(rows), dtype=np.bool_)
        since, limit_ns = self._since, self._limit_ns
        ends = np.isin(rows[:, 1], [event.CONTENTION_BEGIN, event.CONTENTION_END])
        last = 0
        for index in (*np.flatnonzero(ends), len(rows)):
            self._pass(rows, last, int(index), mask)
            if index == len(rows):
                break
            now_ns, kind, task = (int(value) for value in rows[index, :3])
            if kind == event.CONTENTION_BEGIN:
                since[task] = now_ns
            elif now_ns - since.pop(task, now_ns) > limit_ns:
                mask[index] = True
            last = int(index) + 1
        return mask

    def _pass(self, rows: Columns, first: int, last: int, mask: Mask) -> None:
        """Mark the rows in [first, last) at which somebody's wait grew too long."""
        for task, since_ns in list(self._since.items()):
            past = first + int(np.searchsorted(rows[first:last, 0], since_ns + self._limit_ns + 1))
            if past < last:
                mask[past] = True
                del self._since[task]


def _vmas(rest: str, _log: EventLog) -> Parsed:
    number = rest.removeprefix(">").strip()
    if not number.isdigit():
        raise ValueError(f"{number!r} is not a number of VMAs, such as: vmas > 12")
    return f"more than {number} VMAs", ManyVmas(int(number))


class ManyVmas:
    """Accepts the rows at which the number of VMAs rises past a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count = 0

    def __call__(self, rows: Columns) -> Mask:
        kind = rows[:, 1]
        change = (kind == event.VMA_NEW).astype(np.int64) - (kind == event.VMA_DETACHED)
        counts = self._count + np.cumsum(change)
        before = np.concatenate(([self._count], counts[:-1]))
        self._count = int(counts[-1]) if len(counts) else self._count
        accepted: Mask = (counts > self._limit) & (before <= self._limit)
        return accepted


def _step(rest: str, log: EventLog) -> Parsed:
    if not rest:
        raise ValueError("which step? such as: step vma_start_write")
    query = Query(log, rest)

    def accepts(rows: Columns) -> Mask:
        taken: Mask = query(rows) & (rows[:, 1] == event.STEP)
        return taken

    return f"a thread takes the step {rest}", accepts


def _kind(kind: int, meaning: str) -> Callable[[str, EventLog], Parsed]:
    def make(rest: str, log: EventLog) -> Parsed:
        query = Query(log, rest) if rest else None

        def accepts(rows: Columns) -> Mask:
            of_kind: Mask = rows[:, 1] == kind
            return of_kind if query is None else of_kind & query(rows)

        return meaning, accepts

    return make


def _error(_rest: str, _log: EventLog) -> Parsed:
    def accepts(rows: Columns) -> Mask:
        failed: Mask = (rows[:, 1] == event.FAULT_END) & ((rows[:, 6] & ERROR_FLAG) != 0)
        return failed

    return "a fault ends in a signal", accepts


def _find(rest: str, log: EventLog) -> Parsed:
    if not rest:
        raise ValueError("find what? such as: find T3 munmap")
    return f"found: {rest}", Query(log, rest)


PARSERS: Final[dict[str, Callable[[str, EventLog], Parsed]]] = {
    "lock": _lock,
    "wait": _wait,
    "vmas": _vmas,
    "step": _step,
    "rule": _kind(event.RULE_BROKEN, "a rule is broken"),
    "fallback": _kind(event.FAULT_FALLBACK, "a fault leaves its fast path"),
    "loss": _kind(event.LOSS, "the capture lost events"),
    "error": _error,
    "find": _find,
}
