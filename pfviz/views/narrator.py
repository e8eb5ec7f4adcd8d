"""The narrator: the sentence of the moment, and a run told line by line.

Knows a frame and the words of `waits`; what a step means it reads from the log, where the step's
own docstring is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pfviz.sim import event as ev
from pfviz.sim.event import EventLog

from . import states
from .fold import HANDLERS
from .frame import Frame, TaskState
from .lock_words import lock_name
from .look import DEFAULT, Look, selected_task
from .numbers import address, clock, duration
from .rows import Cell, Row, Rows, cell_width, clean, fit_rows, plain, wrap
from .states import REGIME_NAMES, STATES
from .waits import lock_waited_for, taken_by, who_waits_for, why_waits, words_for

LINES_MAX: Final = 12
LONG_WAIT_NS: Final = 2_000
"""A wait this long is worth a word even when another thread is looked at."""


def sentence(frame: Frame, look: Look = DEFAULT) -> Row:
    """What happens now and who waits for whom and why, as one row of any width."""
    number = selected_task(frame, look)
    own = _of_moment(frame, number)
    if number < 0 or _breaks(frame):
        return own
    return (*own, *_elsewhere(frame, frame.tasks[number]))


def _breaks(frame: Frame) -> bool:
    return bool(frame.broken) and frame.broken[-1][0] == frame.now_ns


def _of_moment(frame: Frame, number: int) -> Row:
    """The sentence without the aside on what others wait for meanwhile."""
    if _breaks(frame):
        # The first one of the moment: what comes at the end of a run follows from it.
        _, rule, _, culprit = next(one for one in frame.broken if one[0] == frame.now_ns)
        who = "A rule is broken" if culprit < 0 else f"{frame.label(culprit)} breaks a rule"
        return ((f"{who}: ", "bad"), (f"{rule}.", "strong"))
    if number < 0:
        return (("Nothing has happened yet.", "dim"),)
    return tuple(_of_task(frame, frame.tasks[number]))


def lines_needed(frame: Frame, width: int, look: Look = DEFAULT) -> int:
    """How many rows of a width tell of the moment without a cut; the aside on others may go."""
    own = "".join(text for text, _ in _of_moment(frame, selected_task(frame, look)))
    return max(len(wrap(own, max(width, 1), LINES_MAX)), 1)


def _wrapped(frame: Frame, cells: Row, width: int, height: int, look: Look) -> list[str]:
    """The sentence in so many rows; the aside goes first, then the middle: the end says why."""
    own = _of_moment(frame, selected_task(frame, look))
    for said in (cells, own):
        lines = wrap("".join(text for text, _ in said), width, LINES_MAX)
        if len(lines) <= height:
            return lines
    if height == 1:
        return wrap(" ".join(lines), width, 1)
    first, words = lines[: height - 1], " ".join(lines[height - 1 :]).split()
    while words and cell_width(" ".join(("…", *words))) > width:
        del words[0]
    return [*first, " ".join(("…", *words))]


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """The sentence over as many rows as it is given, its first words kept in their colour."""
    cells = sentence(frame, look)
    if width <= 0 or height <= 0 or not cells:
        return fit_rows([], width, height)
    head = clean(cells[0][0])
    lines = _wrapped(frame, cells, width, height, look)
    lead = min(cell_width(head.rstrip()), cell_width(lines[0]) if lines else 0)
    rows: list[Row] = []
    for index, line in enumerate(lines):
        if index == 0 and line.startswith(head[:lead]):
            rows.append(((line[:lead], cells[0][1]), (line[lead:], "text")))
        else:
            rows.append(((line, "text"),))
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def _of_task(frame: Frame, task: TaskState) -> Iterator[Cell]:
    """What one thread is at."""
    name = frame.label(task.id)
    state = task.state
    style = STATES[state].style
    if task.ended:
        yield (f"{name} has ended", "dim")
        yield (".", "text")
        return
    if task.unstarted:
        yield (f"{name} has not started yet", "dim")
        yield (".", "text")
        return
    if state in states.WAITING or state == states.SPIN:
        verb = "spins" if state == states.SPIN else "waits"
        yield (f"{name} {verb}: ", style)
        yield (f"{why_waits(frame, task)}.", "text")
        return
    if state in (states.OFF_CPU, states.OFF_CPU_HOLDING):
        yield from _off_cpu(frame, task, name)
        return
    if state == states.IO:
        yield (f"{name} waits for I/O: ", style)
        held = ", ".join(lock_name(frame, lock) for lock in task.holds)
        why = task.asleep_why or "the device is not done"
        yield (f"{why}; it holds {held or 'no lock'} meanwhile.", "text")
        return
    if state == states.ASK:
        held = ", ".join(lock_name(frame, lock) for lock in task.holds)
        yield (f"{name} {task.asleep_why}", style)
        yield (f"; it holds {held or 'no lock'} meanwhile.", "text")
        return
    if state == states.SLEEP:
        yield (f"{name} sleeps", style)
        yield (f": {task.asleep_why}." if task.asleep_why not in ("", "sleeps") else ".", "text")
        return
    if state == states.USER and _place(frame, task) == "user mode":
        yield (f"{name} computes in user mode", style)
        yield (f"{_what_next(frame, task)}.", "text")
        return
    story = _story(frame, task)
    if story:
        yield (f"{name} in {_place(frame, task)}: ", style)
        yield (story, "text")
    else:
        yield (f"{name} {_doing(frame, task)}.", style)
    waiters = who_waits_for(frame, task)
    if waiters:
        yield (f" {waiters}.", "text")


NEXT_ROWS_MAX: Final = 1_500
"""So many events ahead the narrator looks for what a computing thread will do next."""


def _what_next(frame: Frame, task: TaskState) -> str:
    """What a computing thread does next, as far as the log is known: `; next, in 12 µs, ...`."""
    log = frame.log
    last = min(frame.index + NEXT_ROWS_MAX, len(log))
    for now, kind, who, a, b, _, d in log.between(frame.index, last):
        if who != task.id:
            continue
        soon = f"; next, in {duration(max(now - frame.now_ns, 0))}, it "
        if kind == ev.FAULT_BEGIN:
            vma = frame.vma_at(d, a)
            where = f" in VMA {vma.label}" if vma is not None else ""
            how = "writes to" if b & 2 else "reads"
            return f"{soon}{how} a page{where} that is not mapped yet: a fault"
        if kind == ev.OP_BEGIN and log.texts[a] not in ("compute", "access"):
            return f"{soon}calls {log.texts[a]}"
        if kind == ev.TASK_END:
            return f"{soon}ends"
    return ""


def _off_cpu(frame: Frame, task: TaskState, name: str) -> Iterator[Cell]:
    ago = duration(max(frame.now_ns - task.off_cpu_since_ns, 0))
    if not task.preempted:
        yield (f"{name} is ready to run", STATES[task.state].style)
        yield (f" but waits for CPU {task.cpu}.", "text")
        return
    yield (f"{name} lost its CPU", STATES[task.state].style)
    taken = taken_by(frame, task)
    waiters = who_waits_for(frame, task)
    yield (f"{taken} {ago} ago{'; ' + waiters if waiters else ''}.", "text")


def _doing(frame: Frame, task: TaskState) -> str:
    """What a thread without steps does: a capture knows its faults and its system calls."""
    fault = task.fault
    if fault is not None and task.in_fault:
        vma = frame.vma_at(fault.mm, fault.address)
        where = f" in VMA {vma.label}" if vma is not None else ""
        how = f" under {REGIME_NAMES[fault.regime]}" if fault.regime in (0, 1) else ""
        since = duration(frame.now_ns - fault.began_ns)
        return f"has a fault at {address(fault.address)}{where}{how}, for {since} now"
    if task.op and task.op_began_ns >= 0:
        return f"is in {task.op}, for {duration(frame.now_ns - task.op_began_ns)} now"
    return "runs in user mode"


def _place(frame: Frame, task: TaskState) -> str:
    """The kernel function a thread is in, else the fault or operation."""
    if 0 <= task.step < len(frame.log.steps):
        function = frame.log.steps[task.step].function
        return "user mode" if function == "user" else function
    if task.in_fault and task.fault is not None:
        regime = task.fault.regime
        where = f" under {REGIME_NAMES[regime]}" if regime in (0, 1) else ""
        return f"a fault at {address(task.fault.address)}{where}"
    return task.op or ("user mode" if task.state == states.USER else STATES[task.state].label)


def _story(frame: Frame, task: TaskState) -> str:
    """The story of the step, with the fallback or the end of the fault that it brought."""
    steps = frame.log.steps
    story = steps[task.step].story if 0 <= task.step < len(steps) else ""
    if story and story[-1] not in ".!?:":
        story += "."
    fault = task.fault
    if fault is None:
        return story
    codes = task.path_codes
    recent = [codes[-1]] if codes else []
    recent.extend(codes[-2:-1])
    for code in recent:
        if code < 0 and fault.fallbacks:
            return f"{story} {fell_back(frame.log.texts[~code], fault.fallbacks[-1])}".strip()
    if fault.end_ns >= 0 and fault.end_ns == task.step_ns:
        took = duration(fault.end_ns - fault.began_ns)
        how = f"under {REGIME_NAMES[fault.regime]}" if fault.regime in (0, 1) else "lockless"
        return f"{story} The fault ({words(fault.kind)}) is done after {took}, {how}.".strip()
    return story


_PATHS: Final = ("mmap_lock", "the VMA lock", "the way without a lock")
"""By regime: what a fault goes by, in a sentence."""
_LOCKLESS: Final = 2


def fell_back(cause: str, fallback: tuple[str, int, int]) -> str:
    """Why a faster path was left and what comes instead."""
    _, before, after = fallback
    left = _PATHS[before] if 0 <= before < 3 else "this path"
    then = _PATHS[after] if 0 <= after < 3 else "another path"
    if before == after:
        under = "without a lock" if after == _LOCKLESS else f"under {then}"
        return f"It starts over {under}: {cause}."
    return f"It gives up {left}: {cause}; {then} comes next."


def words(name: str) -> str:
    """A name with underscores as words; capitals stay, they are the kernel's."""
    return name.replace("_", " ") if name.islower() else name


def _elsewhere(frame: Frame, task: TaskState) -> Iterator[Cell]:
    """The longest wait of another thread, when it is long and this thread has nothing to do."""
    if task.state in states.WAITING or task.state in (states.OFF_CPU_HOLDING, states.SPIN):
        return
    for waiter, since in frame.waiting.items():
        other = frame.tasks[waiter]
        waited = frame.now_ns - since
        if waiter == task.id or waited < LONG_WAIT_NS or lock_waited_for(other) in task.holds:
            return
        yield (f" Meanwhile {frame.label(waiter)} has waited {duration(waited)}: ", "dim")
        yield (f"{why_waits(frame, other)}.", "dim")
        return


# A run told line by line


def plain_lines(log: EventLog) -> Iterator[str]:
    """A line per step: time, thread, kernel function, source, sentence; captions between them.

    A capture has no steps: it is told by its waits, faults and operations. No line holds a
    character that acts on a terminal.
    """
    frame = Frame(log)
    between = _BETWEEN if log.steps else _BETWEEN | _CAPTURED
    widths = _widths(log)
    for index, (now, kind, task, a, b, c, d) in enumerate(log, start=1):
        HANDLERS[kind](frame, now, task, a, b, c, d)
        frame.now_ns = now
        frame.index = index
        if kind == ev.STEP:
            yield clean(_line(frame, frame.tasks[task], a, widths))
        elif kind in between:
            yield clean(_between(frame, kind, task, a, b, c))


_BETWEEN: Final = frozenset((ev.NOTE, ev.LOSS, ev.RULE_BROKEN))
_CAPTURED: Final = frozenset((ev.FAULT_END, ev.CONTENTION_BEGIN, ev.CONTENTION_END, ev.OP_END))


def _widths(log: EventLog) -> tuple[int, int]:
    function = max((len(info.function) for info in log.steps), default=0)
    source = max((len(info.source) for info in log.steps), default=0)
    return min(function, 36), min(source, 40)


def _line(frame: Frame, task: TaskState, step: int, widths: tuple[int, int]) -> str:
    info = frame.log.steps[step]
    lead = f"{clock(frame.now_ns):>13}  {frame.label(task.id):<10}  "
    told = "".join(text for text, _ in _telling(frame, task)).strip()
    return f"{lead}{info.function:<{widths[0]}}  {info.source:<{widths[1]}}  {told}"


def _telling(frame: Frame, task: TaskState) -> Iterator[Cell]:
    """The sentence of a step in the line-by-line telling: its story, then the wait it began."""
    yield (_story(frame, task), "text")
    if lock_waited_for(task) >= 0:
        verb = "spins" if task.spins_lock >= 0 else "waits"
        yield (f" It {verb}: {why_waits(frame, task)}.", "text")


def _between(frame: Frame, kind: int, task: int, a: int, b: int, c: int) -> str:
    texts = frame.log.texts
    lead = f"{clock(frame.now_ns):>13}  "
    name = frame.label(task)
    if kind == ev.NOTE:
        return f"{lead}-- {texts[a]}"
    if kind == ev.LOSS:
        why = texts[c] if 0 <= c < len(texts) else ""
        lost = f"{b:,} events lost" + (f" on CPU {a}" if a >= 0 else "") if b else ""
        return f"{lead}-- {': '.join(filter(None, (lost, why)))}"
    if kind == ev.RULE_BROKEN:
        who = "a rule is broken" if task < 0 else f"{name} breaks a rule"
        return f"{lead}-- {who}: {texts[a]}"
    lead += f"{name:<16}  "
    if kind == ev.CONTENTION_BEGIN:
        return f"{lead}waits: {why_waits(frame, frame.tasks[task])}."
    if kind == ev.CONTENTION_END:
        return f"{lead}gets {words_for(frame, frame.locks[a])} after {duration(c)}."
    if kind == ev.OP_END:
        return f"{lead}{texts[a]} is done after {duration(b)}."
    return f"{lead}{_fault_told(frame, task, words(texts[a]), b, c)}"


def _fault_told(frame: Frame, task: int, kind: str, latency_ns: int, regime: int) -> str:
    fault = frame.tasks[task].fault
    where = f" at {address(fault.address)}" if fault is not None else ""
    how = f" under {REGIME_NAMES[regime]}" if regime in (0, 1) else ""
    took = f" after {duration(latency_ns)}" if latency_ns >= 0 else ""
    return f"fault{where} ({kind or 'page fault'}) is done{took}{how}."


def spoken(frame: Frame, look: Look = DEFAULT) -> str:
    """The sentence as plain text, for the clipboard."""
    return plain([sentence(frame, look)])
