"""`when = "..."`: the moment in a log at which something happens, found in one pass.

    when = "contention_begin lock=mmap_lock mode=write task=writer"
    when = "step lock_vma_under_rcu task=T1 #2"

An event's name, then fields and the values they must have, then which occurrence (the first one
when it is left out). Tasks, locks, VMAs and cache lines go by name; `*` stands for any text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from pfviz.mm.thread import REGIMES
from pfviz.scenario.errors import hint
from pfviz.sim import event
from pfviz.sim.event import FIELDS, MODES, EventLog, Row

KINDS: Final = {name: kind for kind, (name, _) in FIELDS.items()}


@dataclass(frozen=True, slots=True)
class Moment:
    """What must happen, parsed: the event's kind, (field, pattern) pairs, which occurrence."""

    kind: int
    filters: tuple[tuple[str, str], ...] = ()
    nth: int = 1


def parse_moment(text: str) -> Moment:
    """The moment that a text describes; ValueError with a hint when it describes none."""
    words = text.split()
    if not words:
        raise ValueError("a moment needs the name of an event")
    name, nth = words[0], 1
    if name not in KINDS:
        raise ValueError(f'event "{name}" is not known here{hint(name, KINDS)}')
    kind = KINDS[name]
    known = _keys(kind)
    filters: list[tuple[str, str]] = []
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if word.startswith("#") and word[1:].isdigit() and int(word[1:]) > 0:
            nth = int(word[1:])
        elif kind == event.STEP and not equals:
            filters.append(("step", word))
        elif not equals:
            raise ValueError(f'"{word}" should be field=value or #number')
        elif key not in known:
            raise ValueError(f'event "{name}" has no field "{key}"{hint(key, known)}')
        else:
            filters.append((key, value))
    return Moment(kind, tuple(filters), nth)


def error_in(text: str) -> str | None:
    """What is wrong with a moment's text; None when nothing is."""
    try:
        parse_moment(text)
    except ValueError as error:
        return str(error)
    return None


def _keys(kind: int) -> tuple[str, ...]:
    fields = (name.removesuffix("_text").removesuffix("_detail") for name in FIELDS[kind][1])
    return ("task", *(name for name in fields if name))


@dataclass(slots=True)
class Moments:
    """Looks for several moments at once; `extend` after the log grew goes on where it was."""

    texts: Sequence[str]
    found: list[int | None] = field(default_factory=list)
    """Per text the index of the row at which its moment came; None while it did not."""
    counts: list[int] = field(default_factory=list)
    """Per text how often the event happened, whatever occurrence was asked for."""
    _wanted: dict[int, list[tuple[int, Moment]]] = field(default_factory=dict)
    _row: int = 0
    _tasks: dict[int, str] = field(default_factory=dict)
    _locks: dict[int, tuple[str, str]] = field(default_factory=dict)
    _vmas: dict[int, str] = field(default_factory=dict)
    _lines: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.found = [None] * len(self.texts)
        self.counts = [0] * len(self.texts)
        for position, text in enumerate(self.texts):
            moment = parse_moment(text)
            self._wanted.setdefault(moment.kind, []).append((position, moment))

    def extend(self, log: EventLog) -> None:
        """Look through the rows that are new since the last call."""
        last = len(log)
        first, self._row = self._row, last
        wanted = self._wanted
        for index, row in enumerate(log.between(first, last), first):
            kind = row[1]
            if kind in _NAMING:
                _NAMING[kind](self, log, row)
            for position, moment in wanted.get(kind, ()):
                if self._matches(log, row, moment):
                    self.counts[position] += 1
                    if self.counts[position] == moment.nth:
                        self.found[position] = index

    def _matches(self, log: EventLog, row: Row, moment: Moment) -> bool:
        return all(
            any(fnmatchcase(text, pattern) for text in self._texts_of(log, row, key))
            for key, pattern in moment.filters
        )

    def _texts_of(self, log: EventLog, row: Row, key: str) -> tuple[str, ...]:
        """The names under which a field's value may be asked for."""
        if key == "task" or key.endswith("_task"):
            task = row[2] if key == "task" else self._value(row, key)
            return (self._tasks.get(task, str(task)),)
        value = self._value(row, key)
        match key:
            case "step" if value >= 0:
                step = log.steps[value]
                return (step.function, step.name, step.name.rpartition(".")[2])
            case "lock" if value in self._locks:
                return self._locks[value]
            case "vma" if value in self._vmas:
                return (self._vmas[value],)
            case "line" if value in self._lines:
                return (self._lines[value],)
            case "mode":
                return (MODES[value],)
            case "regime" | "from_regime" | "to_regime" if 0 <= value < len(REGIMES):
                return (REGIMES[value],)
        if row[1] == event.TREE_STORE and key == "acts":
            return tuple(act[0] for act in log.details[value][6])
        if f"{key}_text" in FIELDS[row[1]][1]:
            return (log.texts[value],)
        return (str(value), hex(value))

    def _value(self, row: Row, key: str) -> int:
        names = FIELDS[row[1]][1]
        for position, name in enumerate(names):
            if name.removesuffix("_text").removesuffix("_detail") == key:
                return row[3 + position]
        raise AssertionError(key)

    def _name_task(self, log: EventLog, row: Row) -> None:
        self._tasks[row[2]] = log.texts[row[3]]

    def _name_lock(self, log: EventLog, row: Row) -> None:
        self._locks[row[3]] = (log.texts[row[5]], log.texts[row[4]])

    def _name_line(self, log: EventLog, row: Row) -> None:
        self._lines[row[3]] = log.texts[row[4]]

    def _name_vma(self, log: EventLog, row: Row) -> None:
        name = str(log.details[row[5]][3])
        if name:
            self._vmas[row[3]] = name


class Positions:
    """Where in a growing log moments come that are told by a time or by an event."""

    def __init__(
        self, moments: Sequence[tuple[int | None, str]], log: EventLog, known_ns: Callable[[], int]
    ) -> None:
        """`moments` are (ns or None, event or ""); `known_ns` says how far the run is computed."""
        self._moments = moments
        self._log = log
        self._known_ns = known_ns
        self._whens = [index for index, (_, when) in enumerate(moments) if when]
        self._found = Moments([moments[index][1] for index in self._whens])

    def found(self) -> list[int | None]:
        """Per moment how many rows there are up to it; None while it has not come.

        A time comes when the run is known beyond it. None, too, for what is neither.
        """
        self._found.extend(self._log)
        rows = dict(zip(self._whens, self._found.found, strict=True))
        return [self._position(ns, rows.get(index)) for index, (ns, _) in enumerate(self._moments)]

    def _position(self, at_ns: int | None, row: int | None) -> int | None:
        if at_ns is None:
            return None if row is None else row + 1
        return self._log.index_at(at_ns) if at_ns <= self._known_ns() else None


_NAMING: Final[dict[int, Callable[[Moments, EventLog, Row], None]]] = {
    event.TASK_NEW: Moments._name_task,
    event.LOCK_NEW: Moments._name_lock,
    event.VMA_NEW: Moments._name_vma,
    event.LINE_NEW: Moments._name_line,
}
