"""A whole run told in sentences, to be read aloud: who waits for whom and why, in order of time.

No glyph, no box, no column: ASCII, a sentence a line, units as words. What repeats is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from pfviz.mm.operations import PROC_FILES
from pfviz.sim import event as ev
from pfviz.sim.event import WRITE, EventLog

from .cues import Place
from .fold import HANDLERS
from .frame import Frame
from .narrator import fell_back, words
from .numbers import counted, duration
from .rows import clean, to_ascii
from .story_items import CALL, FAULT, IO, SPIN, Item, Items, Key, chosen, items_of
from .waits import why_waits, words_for

LINES_MAX: Final = 150
UNITS: Final = {"ns": "nanosecond", "µs": "microsecond", "us": "microsecond", "ms": "millisecond",
                "s": "second"}  # fmt: skip
_TIME: Final = re.compile(r"(?<![\w.])([\d.,]+) (ns|µs|us|ms|s)\b(?!/)")
_PLAIN: Final = str.maketrans(
    {"—": "-", "–": "-", "…": "...", "×": "x", "’": "'", "“": '"', "”": '"', "→": "to"}
)
_SENTENCE: Final = re.compile(r"(?<=[.!?]) +(?=[\"'A-Z0-9])")
_NOW_IN: Final = re.compile(r" \(now in [^()]*\)")
UNDER: Final = {0: " under mmap_lock", 1: " under a VMA lock", 2: " without a lock"}
"""By regime: how a fault was done."""
SUCH: Final = {"vma_lock": "VMA locks", "ptl": "page-table locks", "folio": "folio locks",
               "spinlock": "spinlocks", "rwsem": "other semaphores",
               "irq": "CPUs that keep interrupts off"}  # fmt: skip
"""By kind: what locks are called of which there are many."""
NAMES_MAX: Final = 8
TIME_SHARE: Final = 50
"""A moment is named when a fiftieth of the run has passed since the last one that was."""


def said(text: str) -> str:
    """A text as it is read aloud: units as words, nothing but ASCII, nothing in it but words."""

    def whole(match: re.Match[str]) -> str:
        number, unit = match.groups()
        return f"{number} {UNITS[unit]}{'' if number == '1' else 's'}"

    return to_ascii(clean(_TIME.sub(whole, text.replace("\n", " "))).translate(_PLAIN))


def sentences(text: str) -> list[str]:
    """A text cut into its sentences, each as it is read aloud."""
    return [one for one in _SENTENCE.split(said(" ".join(text.split()))) if one]


@dataclass(frozen=True, slots=True)
class _Told:
    """An item at one of its two ends."""

    item: Item
    begins: bool


def run_lines(log: EventLog, places: Sequence[Place] = (), lines_max: int = LINES_MAX
) -> Iterator[str]:  # fmt: skip
    """The run in sentences, in order of time, the captions at their cues; at most so many lines."""
    items = items_of(log)
    room = max((lines_max - 2 * len(places) - 6) // 3, 4)
    told = chosen(items, room)
    in_full = {id(item) for item in told}
    at: dict[int, list[_Told]] = {}
    for item in told:
        if item.kind not in (FAULT, CALL):
            at.setdefault(item.first, []).append(_Told(item, True))
        if item.last >= 0 and item.kind != IO:
            at.setdefault(item.last, []).append(_Told(item, False))
    rest = [item for item in items.found if id(item) not in in_full]
    yield from _Telling(log, items, at, rest, places, 2 * room).lines()


class _Telling:
    """Folds the log, and speaks where there is something to say."""

    def __init__(self, log: EventLog, items: Items, at: dict[int, list[_Told]],
                 rest: list[Item], places: Sequence[Place], room: int) -> None:  # fmt: skip
        self.frame = Frame(log)
        self.items, self.at, self.rest = items, at, rest
        self.captions: dict[int, list[str]] = {}
        for place in places:
            self.captions.setdefault(place.position, []).append(place.caption)
        self.room = room
        self.said_ns = -1
        self.named: dict[Key, tuple[str, str]] = {}
        """By key: what one and several of its kind are called, once the first was told."""
        self.untold = 0
        self.lost = 0

    def lines(self) -> Iterator[str]:
        """Every sentence of the run."""
        yield from self._who()
        frame, log = self.frame, self.frame.log
        for position, row in enumerate(log, start=1):
            now, kind, task, a, b, c, d = row
            HANDLERS[kind](frame, now, task, a, b, c, d)
            frame.now_ns, frame.index = now, position
            for caption in self.captions.get(position, ()):
                yield from self._more(position)
                yield from self._timed(*sentences(caption))
            if kind == ev.RULE_BROKEN:
                who = "A rule is broken" if task < 0 else f"{frame.label(task)} breaks a rule"
                yield from self._timed(said(f"{who}: {log.texts[a]}."))
            elif kind == ev.LOSS:
                self.lost += 1
            for one in self.at.get(position, ()):
                yield from self._timed(said(self._sentence(one)))
        yield from self._more(len(log) + 1)
        if self.lost:
            yield f"Events were lost in {counted(self.lost, 'place')}: what is told is not all."
        if self.untold:
            yield f"{self.untold:,} more waits, faults and calls are left out here."
        yield said(f"The run lasted {duration(self.items.end_ns)}.")

    def _timed(self, first: str, *others: str) -> Iterator[str]:
        """Sentences, the first with its time when some has passed since one was named."""
        now = min(self.frame.now_ns, self.items.end_ns)
        if self.said_ns < 0 or now - self.said_ns > self.items.end_ns // TIME_SHARE:
            self.said_ns = now
            first = f"At {said(duration(max(now, 0)))}: {first}"
        yield from (first, *others)

    def _who(self) -> Iterator[str]:
        """The threads, process by process."""
        log = self.frame.log
        mms: dict[int, str] = {}
        people: dict[int, list[str]] = {}
        for _, kind, task, a, b, _, d in log:
            if kind == ev.MM_NEW:
                mms[a] = log.texts[d]
            elif kind == ev.TASK_NEW and task >= 0:
                people.setdefault(d, []).append(log.texts[a])
            del b
        for mm, names in people.items():
            process = f"Process {mms[mm]}" if mms.get(mm) else "Outside of any process"
            yield said(f"{process}: {counted(len(names), 'thread')}, {_listed(names)}.")

    def _sentence(self, one: _Told) -> str:
        item, frame = one.item, self.frame
        who, took = frame.label(item.task), duration(item.lasted_ns)
        if item.kind == IO:
            self.named.setdefault(item.key, ("wait for a device", "waits for a device"))
            held = locks_held(frame, item.task)
            return f"{who} waits {took} for a device and holds {held} meanwhile."
        if item.kind == FAULT:
            return self._fault(item, who)
        if item.kind == CALL:
            call = item.key[1]
            reads = call in PROC_FILES
            self.named.setdefault(
                item.key,
                (f"read of {call}", f"reads of {call}") if reads
                else (f"call of {call}", f"calls of {call}"),
            )  # fmt: skip
            return f"{who} {'reads' if reads else 'calls'} {call}; it takes {took}."
        lock = frame.locks.get(item.lock)
        name = words_for(frame, lock) if lock is not None else "a lock"
        if not one.begins:
            gets = f"gets {name}" if item.taken else f"stops spinning for {name} without it"
            return f"After {took} {who} {gets}." if item.lasted_ns >= 0 else f"{who} {gets}."
        for_it = f"for {name}{_to_do(item)}"
        noun = "spin" if item.kind == SPIN else "wait"
        for_such = f"for {SUCH.get(item.key[1], name)}{_to_do(item)}"
        self.named.setdefault(item.key, (f"{noun} {for_such}", f"{noun}s {for_such}"))
        why = _NOW_IN.sub("", why_waits(frame, frame.tasks[item.task]))
        verb = "spins" if item.kind == SPIN else "waits"
        never = " It never gets it." if item.last < 0 else ""
        return f"{who} {verb} {for_it}: {why}.{never}"

    def _fault(self, item: Item, who: str) -> str:
        frame = self.frame
        kind, regime, error = item.key[1], int(item.key[2]), item.key[3] == "1"
        fault = frame.tasks[item.task].fault
        vma = frame.vma_at(fault.mm, fault.address) if fault is not None else None
        where = f" in VMA {vma.label}" if vma is not None and vma.label else ""
        how = UNDER.get(regime, "")
        what = fault_words(kind)
        left = f", after a faster path was given up: {item.causes[-1]}" if item.causes else ""
        alike = f"{what}{how}{left}"
        self.named.setdefault(item.key, (f"fault ({alike})", f"faults ({alike})"))
        back = ""
        if item.causes and fault is not None and fault.fallbacks:
            back = f" {fell_back(item.causes[-1], fault.fallbacks[-1])}"
        ends = "fails" if error else "is done"
        after = f" after {duration(item.lasted_ns)}" if item.lasted_ns >= 0 else ""
        return f"{who} faults{where}: {what}.{back} The fault {ends}{after}{how}."

    def _more(self, position: int) -> Iterator[str]:
        """What had ended by now and was like something already told, counted."""
        alike: dict[Key, list[int]] = {}
        later = []
        for item in self.rest:
            if (item.last if item.last >= 0 else item.first) >= position:
                later.append(item)
            elif item.key in self.named:
                alike.setdefault(item.key, []).append(item.lasted_ns)
            else:
                self.untold += 1
        self.rest = later
        for key, lasted in alike.items():
            if self.room <= 0:
                self.untold += len(lasted)
                continue
            self.room -= 1
            one, several = self.named[key]
            what = one if len(lasted) == 1 else several
            yield said(f"And {len(lasted):,} more {what}{_each(lasted)}.")


def fault_words(kind: str) -> str:
    """A kind of fault as a person would say it: `anonymous write`, `zero page copy on write`."""
    said_so = {"anon": "anonymous", "cow": "copy on write", "wp": "write-protect"}
    return " ".join(said_so.get(word, word) for word in words(kind).split()) or "page fault"


def _each(lasted: list[int]) -> str:
    lasted = [one for one in lasted if one >= 0]
    if not lasted:
        return ""
    low, high = min(lasted), max(lasted)
    if len(lasted) == 1:
        return f", of {duration(high)}"
    if high <= 2 * low or high < 100:
        return f", each about {duration(round(median(lasted)))}"
    return f", most about {duration(round(median(lasted)))}, the longest {duration(high)}"


def _to_do(item: Item) -> str:
    if item.kind == SPIN:
        return ""
    return " for writing" if item.mode == WRITE else " for reading"


def _listed(names: Sequence[str]) -> str:
    """Names, or how many of each when there are many: `32 called worker, and smaps`."""
    if len(names) > NAMES_MAX:
        groups: dict[str, int] = {}
        for name in names:
            stem = name.rstrip("0123456789-") or name
            groups[stem] = groups.get(stem, 0) + 1
        names = [f"{count} called {stem}" if count > 1 else stem for stem, count in groups.items()]
        if len(names) > NAMES_MAX:
            names = [*names[:NAMES_MAX], f"{len(names) - NAMES_MAX} more"]
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + names[-1]


def locks_held(frame: Frame, task: int) -> str:
    """The locks that a thread holds, in words; `no lock` when it holds none."""
    held = [words_for(frame, frame.locks[lock]) for lock in frame.tasks[task].holds]
    return " and ".join(held) if held else "no lock"
