"""What of a run is worth a sentence: waits, faults and calls, and which of them stand for others.

Reads rows of events alone; how a sentence sounds, `story` knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pfviz.sim import event as ev
from pfviz.sim.event import EventLog

Key = tuple[str, ...]
"""What makes two things alike: for whoever listens, one of them tells of all."""

WAIT: Final = "wait"
SPIN: Final = "spin"
IO: Final = "io"
FAULT: Final = "fault"
CALL: Final = "call"
LONG_SHARE: Final = 10
"""A wait of a tenth of the run is told, whoever else waited like that."""
ERROR: Final = 2
"""FAULT_END.flags: the fault ended with a signal."""
DULL_CALLS: Final = frozenset(("access", "compute", "sleep", "exit"))
BEGINS: Final = {ev.CONTENTION_BEGIN: WAIT, ev.SPIN_BEGIN: SPIN}
ENDS: Final = {ev.CONTENTION_END: WAIT, ev.SPIN_END: SPIN}


@dataclass(slots=True)
class Item:
    """Something that a thread did or that was done to it, from row `first` to row `last`."""

    kind: str
    key: Key
    task: int
    first: int
    """Position after its first event, as `Frame.index` counts."""
    last: int = -1
    """Position after its last one; -1 when the run ended before."""
    began_ns: int = 0
    lasted_ns: int = 0
    """-1 where a capture does not say."""
    lock: int = -1
    mode: int = 0
    taken: bool = True
    """Of a spin: whether it ended with the lock; else the thread went to sleep or gave up."""
    causes: tuple[str, ...] = ()
    """Of a fault: why it left faster paths."""

    @property
    def is_wait(self) -> bool:
        """Whether the thread could not go on meanwhile."""
        return self.kind in (WAIT, SPIN, IO)


@dataclass(slots=True)
class Items:
    """Everything that happened in a run, in the order of its beginnings."""

    found: list[Item] = field(default_factory=list)
    end_ns: int = 0
    waited_ns: dict[int, int] = field(default_factory=dict)
    """By thread: how long it waited in all."""


def items_of(log: EventLog) -> Items:
    """Read a log once."""
    reading = _Reading(log)
    for position, row in enumerate(log, start=1):
        reading.take(position, row)
    return reading.end()


def chosen(items: Items, room: int) -> list[Item]:
    """The items to tell in full, at most `room`: every long wait, and the first of each kind."""
    long_ns = max(items.end_ns // LONG_SHARE, 1)
    firsts: dict[Key, Item] = {}
    longest: dict[int, Item] = {}
    for item in items.found:
        firsts.setdefault(item.key, item)
        if item.is_wait:
            best = longest.get(item.task)
            if best is None or item.lasted_ns > best.lasted_ns:
                longest[item.task] = item
    must = {id(item): item for item in longest.values() if item.lasted_ns >= long_ns}
    if longest:
        worst = max(longest.values(), key=lambda item: item.lasted_ns)
        must[id(worst)] = worst
    for task, waited in items.waited_ns.items():
        if waited >= long_ns and task in longest:
            must[id(longest[task])] = longest[task]
    may = [item for item in firsts.values() if id(item) not in must]
    may.sort(key=lambda item: (item.kind not in (WAIT, FAULT), item.first))
    told = [*must.values(), *may[: max(room - len(must), 0)]]
    return sorted(told, key=lambda item: item.first)


class _Reading:
    """One pass over a log."""

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.items = Items()
        self.kinds: dict[int, str] = {}
        """By lock: its kind."""
        self.open: dict[tuple[int, str], Item] = {}

    def take(self, position: int, row: tuple[int, ...]) -> None:
        """The next event."""
        now, kind, task, a, b, c, d = row
        if task < 0 and kind != ev.LOCK_NEW:
            return  # A device or a timer: nobody waits, nobody calls.
        texts = self.log.texts
        if kind == ev.STEP or (kind != ev.RCU_CALLBACK and not self.log.steps):
            self.items.end_ns = max(self.items.end_ns, now)
        if kind == ev.LOCK_NEW:
            self.kinds[a] = texts[b]
        elif kind in BEGINS:
            what = BEGINS[kind]
            key = (what, self.kinds.get(a, ""), str(b))
            self._begin(Item(what, key, task, position, began_ns=now, lock=a, mode=b))
        elif kind in ENDS:
            wait = self._end(task, ENDS[kind], position, c)
            if wait is not None and kind == ev.SPIN_END:
                wait.taken = bool(d)
        elif kind == ev.IO_BEGIN:
            self._begin(Item(IO, (IO,), task, position, began_ns=now))
        elif kind == ev.IO_END:
            self._end(task, IO, position, d)
        elif kind == ev.FAULT_BEGIN:
            self._begin(Item(FAULT, (FAULT,), task, position, began_ns=now))
        elif kind == ev.FAULT_FALLBACK and (task, FAULT) in self.open:
            fault = self.open[task, FAULT]
            fault.causes = (*fault.causes, texts[a])
        elif kind == ev.FAULT_END:
            ended = self._end(task, FAULT, position, b)
            if ended is not None:
                error = str(int(bool(d & ERROR)))
                ended.key = (FAULT, texts[a], str(c), error, *ended.causes)
        elif kind == ev.OP_BEGIN and texts[a] not in DULL_CALLS:
            self._begin(Item(CALL, (CALL, texts[a]), task, position, began_ns=now))
        elif kind == ev.OP_END and texts[a] not in DULL_CALLS:
            self._end(task, CALL, position, b)

    def _begin(self, item: Item) -> None:
        self.open[item.task, item.kind] = item
        self.items.found.append(item)

    def _end(self, task: int, kind: str, position: int, lasted_ns: int) -> Item | None:
        item = self.open.pop((task, kind), None)
        if item is None:
            return None
        item.last = position
        item.lasted_ns = lasted_ns
        if item.is_wait and lasted_ns > 0:
            waited = self.items.waited_ns
            waited[task] = waited.get(task, 0) + item.lasted_ns
        return item

    def end(self) -> Items:
        """What is still open lasts until the end; faults that never ended are left out."""
        for item in self.open.values():
            if item.is_wait:
                item.lasted_ns = max(self.items.end_ns - item.began_ns, 0)
                waited = self.items.waited_ns
                waited[item.task] = waited.get(item.task, 0) + item.lasted_ns
        self.items.found = [
            item for item in self.items.found if item.last >= 0 or item.is_wait
        ]  # fmt: skip
        return self.items
