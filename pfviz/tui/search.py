"""Search over a log: which rows answer to words such as `T3 waits` or `lock_vma_under_rcu`.

Words match names of events, steps, threads, locks, causes and hexadecimal addresses; every word
of a query must match. The rows are looked at in order, in chunks, while the log grows.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pfviz.sim import event
from pfviz.sim.event import FIELDS, EventLog

from .row_index import Columns, Mask

ALIASES: Final[dict[str, tuple[int, ...]]] = {
    "waits": (event.CONTENTION_BEGIN,),
    "wait": (event.CONTENTION_BEGIN,),
    "fault": (event.FAULT_BEGIN, event.FAULT_END),
    "fallback": (event.FAULT_FALLBACK,),
    "merge": (event.VMA_CHANGED,),
    "unmap": (event.VMA_DETACHED,),
    "hand-over": (event.LOCK_HANDOFF, event.LOCK_ACQUIRED),
    "handoff": (event.LOCK_HANDOFF,),
    "switch": (event.SCHED_SWITCH,),
    "lost": (event.LOSS,),
    "rule": (event.RULE_BROKEN,),
}
"""Words that people use for kinds of events whose names are the kernel's."""

PAYLOAD: Final = 3
"""The column of the first payload field."""
ADDRESS_FIELDS: Final = frozenset({"address", "index"})


class Query:
    """The predicate of one search; use it with `RowIndex`."""

    def __init__(self, log: EventLog, text: str) -> None:
        self.text = text
        self._words = [_Word(log, word.lower()) for word in text.split()]

    def __call__(self, rows: Columns) -> Mask:
        """Which of the rows answer to every word."""
        mask = np.full(len(rows), bool(self._words))
        for word in self._words:
            mask &= word(rows)
        return mask


class _Word:
    """One word and the ids it stands for, as far as the log has named them yet."""

    def __init__(self, log: EventLog, word: str) -> None:
        self._log = log
        self._word = word
        self._kinds = set(ALIASES.get(word, ())) | {
            kind for kind, (name, _) in FIELDS.items() if _names(word, name)
        }
        self._texts: set[int] = set()
        self._steps: set[int] = set()
        self._tasks: set[int] = set()
        self._locks: set[int] = set()
        self._texts_seen = self._steps_seen = 0
        self._address = _address(word)

    def __call__(self, rows: Columns) -> Mask:
        self._learn(rows)
        kind = rows[:, 1]
        mask = np.isin(kind, list(self._kinds)) | np.isin(rows[:, 2], list(self._tasks))
        for kind_number in np.unique(kind):
            _, fields = FIELDS.get(int(kind_number), ("", ()))
            of_kind = kind == kind_number
            for column, name in enumerate(fields, start=PAYLOAD):
                wanted = self._wanted(name)
                if wanted:
                    mask |= of_kind & np.isin(rows[:, column], list(wanted))
        return mask

    def _wanted(self, field_name: str) -> set[int]:
        """The values of a payload field that this word stands for."""
        if field_name == "step":
            return self._steps
        if field_name == "lock":
            return self._locks
        if field_name.endswith("_task"):
            return self._tasks
        if field_name.endswith("_text"):
            return self._texts
        if field_name in ADDRESS_FIELDS and self._address is not None:
            return {self._address}
        return set()

    def _learn(self, rows: Columns) -> None:
        """Take in names that were given since the last chunk."""
        log, word = self._log, self._word
        for index in range(self._texts_seen, len(log.texts)):
            if _names(word, log.texts[index].lower()):
                self._texts.add(index)
        self._texts_seen = len(log.texts)
        for index in range(self._steps_seen, len(log.steps)):
            step = log.steps[index]
            if _names(word, step.function.lower()) or _names(word, step.name.lower()):
                self._steps.add(index)
        self._steps_seen = len(log.steps)
        for row in rows[rows[:, 1] == event.TASK_NEW]:
            if _names(word, log.texts[int(row[PAYLOAD])].lower()):
                self._tasks.add(int(row[2]))
        for row in rows[rows[:, 1] == event.LOCK_NEW]:
            if _names(word, log.texts[int(row[5])].lower()):
                self._locks.add(int(row[PAYLOAD]))


def _names(word: str, name: str) -> bool:
    """Whether a word means this name: all of it, one of its words, or a part worth typing.

    `t1` must not find `t12`, yet `under_rcu` should find `lock_vma_under_rcu`.
    """
    if word == name or word in name.replace(".", " ").split():
        return True
    return len(word) >= 4 and word in name


def _address(word: str) -> int | None:
    digits = word.removeprefix("0x").replace("_", "")
    if not word.startswith("0x") and "_" not in word:
        return None
    try:
        return event.signed(int(digits, 16) & ((1 << 64) - 1))
    except ValueError:
        return None
