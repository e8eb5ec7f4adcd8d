"""The thread lanes: who did what when, up to now; beside each its step and its lock."""

from __future__ import annotations

from collections.abc import Sequence

from . import states
from .frame import RANGE_LOCK, Frame, TaskState
from .lanes import Lanes
from .lock_words import title
from .look import DEFAULT, Look, letter_cell, message, selected_task, state_cells, window
from .numbers import address, counted, duration, round_duration
from .rows import Cell, Row, Rows, cell_width, clip, clip_name, fit_rows, pad, pad_name
from .states import STATES

_QUIET = frozenset((states.NEW, states.USER, states.OFF_CPU, states.SLEEP, states.ENDED))
"""States whose segments carry no letter in the lane: there is too much of them."""
LETTER_CELLS_MIN = 7
TEXT_MIN = 31
"""Cells for a step's name and the lock beside it."""
LANE_MIN = 16
STEP_CELLS = 16
"""Cells for a step's name alone: room for `waits mmap_lock`."""


def paint(frame: Frame, lanes: Lanes, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """One row per thread, time flowing to the right up to the mark of now."""
    people = frame.people()
    if not people:
        return message("no thread has started yet", width, height, look)
    plan = _Plan(frame, people, width, look)
    selected = selected_task(frame, look)
    header, legend, room = _division(len(people), height)
    if look.people:
        people = [task for task in people if task.id in look.people]
    elif look.top < 0 and len(people) > room:
        people = _active(people, room, plan.from_ns, selected)
    ids = [task.id for task in people]
    keep = ids.index(selected) if selected in ids else -1
    first, last = window(len(people), room, look.top, keep)
    rows: list[Row] = [_header(plan, look)] if header else []
    high = _lane_lines(last - first, room, look.lane_lines)
    seen: set[int] = set()
    for task in people[first:last]:
        cells = lanes.cells(task.id, plan.from_ns, frame.now_ns, plan.lane, frame.now_ns)
        seen.update(cells)
        seen.add(task.state)
        rows.append(_thread(frame, task, cells, plan, look, task.id == selected))
        rows.extend(_more_of_lane(cells, plan, look, high))
    if high > 1:
        rows.pop()  # Nothing is below the last lane but the legend, for which one row is little.
    if legend:
        spare = room - (last - first) * _apart(high) + (high > 1)
        rows.extend([()] if spare > 1 else [])
        rows.extend(_legend(seen, width, spare if spare > 1 else 1 + spare, look))
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def _division(people: int, height: int) -> tuple[int, int, int]:
    """Rows for (the axis, the legend, threads): a legend before an axis before everybody."""
    legend = 1 if height >= 6 else 0
    header = 1 if height >= 8 or people + legend < height >= 3 else 0
    return header, legend, max(height - header - legend, 0)


def _apart(lines: int) -> int:
    """Rows from one lane to the next: between high ones there is one free."""
    return lines + 1 if lines > 1 else 1


def _lane_lines(count: int, room: int, lines_max: int) -> int:
    """How high the lanes of so many threads can be."""
    fitting = (lines for lines in range(lines_max, 1, -1) if count * _apart(lines) <= room)
    return next(fitting, 1)


def rows_for_threads(frame: Frame, height: int) -> int:
    """How many threads a pane of this height shows at most."""
    return _division(len(frame.people()), height)[2]


def _active(people: list[TaskState], room: int, from_ns: int, selected: int) -> list[TaskState]:
    """The threads that did anything within the window, filled up with others, in their order."""
    active = [
        task
        for task in people
        if task.id == selected or task.state not in _QUIET or task.since_ns >= from_ns
    ]
    if len(active) < room:
        chosen = {task.id for task in active}
        rest = [task for task in people if task.id not in chosen]
        active = sorted([*active, *rest[: room - len(active)]], key=lambda task: task.id)
    return active


def chosen_by_kind(frames: Sequence[Frame], room: int, selected: int = -1) -> tuple[int, ...]:
    """Which threads to show where not all have room, whatever they do: the choice stays.

    The selected one, one of each kind (`app1` and `app2` are of one kind), then in their order.
    Empty when all have room.
    """
    names = {task.id: frame.label(task.id) for frame in frames for task in frame.people()}
    if len(names) <= room:
        return ()
    kinds: dict[str, int] = {}
    for task_id in sorted(names):
        kinds.setdefault(names[task_id].rstrip("0123456789"), task_id)
    first = set(kinds.values())
    ranked = sorted(names, key=lambda one: (one != selected, one not in first, one))
    return tuple(sorted(ranked[: max(room, 1)]))


def chosen_for_all(frames: Sequence[Frame], room: int) -> tuple[int, ...]:
    """Which threads to show of several runs of one workload, the same in all; at most `room`.

    One of each kind first (`app1` and `app2` are of one kind), then those that do or wait for
    anything in any of the runs. Empty when all have room.
    """
    names: dict[int, str] = {}
    for frame in frames:
        for task in frame.people():
            names.setdefault(task.id, frame.label(task.id))
    if len(names) <= room:
        return ()
    kinds: dict[str, int] = {}
    for task_id in sorted(names):
        kinds.setdefault(names[task_id].rstrip("0123456789"), task_id)
    first = set(kinds.values())

    def is_quiet(task_id: int) -> bool:
        seen = [frame.tasks[task_id] for frame in frames if task_id in frame.tasks]
        return all(task.state in _QUIET for task in seen)

    ranked = sorted(names, key=lambda one: (one not in first, is_quiet(one), one))
    return tuple(sorted(ranked[: max(room, 1)]))


def summary(frame: Frame, height: int = 0) -> str:
    """The pane's foot: how many threads and CPUs there are, and how many fit."""
    people = len(frame.people())
    # A CPU whose first thread has not started yet is there, too.
    cpus = len(frame.cpus.keys() | {task.cpu for task in frame.people() if task.cpu >= 0})
    text = counted(people, "thread")
    if cpus:
        text += f" · {counted(cpus, 'CPU')}"
    shown = rows_for_threads(frame, height)
    if 0 < shown < people:
        text += f" · {shown} shown"
    return text


def span_of(frame: Frame, look: Look) -> int:
    """The time that lanes show: as asked, or enough for the longest wait and fault in flight."""
    if look.span_ns > 0:
        return look.span_ns
    longest = 4_000
    for task in frame.tasks.values():
        if task.id < 0:
            continue
        if task.waits_since_ns >= 0:
            longest = max(longest, frame.now_ns - task.waits_since_ns)
        if task.in_fault and task.fault is not None:
            longest = max(longest, frame.now_ns - task.fault.began_ns)
    return round_up(longest * 5 // 4)


def round_up(ns: int) -> int:
    """The next 1, 2 or 5 times a power of ten."""
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power >= ns:
                return digit * power
        power *= 10


class _Plan:
    """Where the columns are, for one width."""

    def __init__(self, frame: Frame, people: list[TaskState], width: int, look: Look) -> None:
        labels = [cell_width(frame.label(task.id)) for task in people]
        narrow = 8 if look.lanes_only else 6
        self.label = min(max(labels), narrow if width < 40 else 10 if width < 80 else 16)
        self.cpu = 3 if width >= 60 and any(task.cpu >= 0 for task in people) else 0
        lead = self.label + 1 + (self.cpu + 1 if self.cpu else 0) + 2
        rest = max(width - lead - 2, 0)
        self.lane = max(rest * 11 // 20, min(rest, 8)) if width >= 24 else rest
        if rest >= TEXT_MIN + LANE_MIN:  # Which lock a thread has is worth a shorter lane.
            self.lane = max(min(self.lane, rest - TEXT_MIN), LANE_MIN)
        elif STEP_CELLS + 10 <= rest < TEXT_MIN:  # A step's name is worth one, too.
            self.lane = min(self.lane, rest - STEP_CELLS)
        if look.lanes_only:
            self.lane = rest
        text = rest - self.lane
        if text > 58:  # No step name needs more; the lane takes the rest.
            self.lane += text - 58
            text = 58
        self.lock = 26 if text >= 56 else 20 if text >= 42 else max(text - 20, 10)
        if text < 28:
            self.lock = 0
        self.step = max(text - self.lock, 0)
        self.span_ns = span_of(frame, look)
        self.from_ns = frame.now_ns - self.span_ns
        self.lead = lead


def _header(plan: _Plan, look: Look) -> Row:
    back = f"-{round_duration(plan.span_ns)} "
    arrow = f" {look.glyphs.time_axis} "
    if cell_width(back + arrow) + 4 > plan.lane:
        arrow = ""  # How long the lane is says more than where time goes.
    if cell_width(back) + 3 > plan.lane:
        back = ""
    now = "now" if plan.lane >= 8 else ""
    between = plan.lane - cell_width(back) - len(now)
    axis = pad(arrow if between >= 6 else "", between)
    step = pad(" step", plan.step) if plan.step > 5 else ""
    lock = "lock" if plan.lock else ""
    return (
        (" " * plan.lead, "dim"),
        (back + axis, "dim"),
        (now, "now"),
        (look.glyphs.now, "now"),
        (step, "dim"),
        (lock, "dim"),
    )


def _thread(
    frame: Frame, task: TaskState, cells: bytes, plan: _Plan, look: Look, selected: bool
) -> Row:
    label = pad_name(frame.label(task.id), plan.label)
    row: list[Cell] = [(label, "selected" if selected else "task"), (" ", "text")]
    if plan.cpu:
        row.append((pad(f"c{task.cpu}" if task.cpu >= 0 else "", plan.cpu + 1), "dim"))
    row.extend((letter_cell(task.state), (" ", "text")))
    row.extend(_lane(cells, look))
    row.append((look.glyphs.now, "now"))
    if plan.step > 1:
        text, style = _standing(frame, task)
        room = plan.step - (2 if plan.lock else 1)
        row.append((" " + pad(clip(text, room), plan.step - 1), style))
    if plan.lock:
        text, style = _lock(frame, task, plan.lock)
        row.append((pad(text, plan.lock), style))
    return tuple(row)


def _more_of_lane(cells: bytes, plan: _Plan, look: Look, lines: int) -> list[Row]:
    """The rows of a high lane under its first one, and the free one after it."""
    head, now = (" " * plan.lead, "text"), (look.glyphs.now, "now")
    blank: Row = (head, (" " * plan.lane, "text"), now)
    # What is but a thin line stays one.
    thick = bytes(states.NEW if state in _QUIET else state for state in cells)
    # What is lower than a cell would be stripes: it is full below its first row.
    full = str.maketrans(dict.fromkeys("▁▂▃▄▅▆▇", look.glyphs.shares[4]))
    cells_below = [(text.translate(full), style) for text, style in _lane(thick, look, False)]
    lower: Row = (head, *cells_below, now)
    return [*[lower] * (lines - 1), blank] if lines > 1 else []


def _lane(cells: bytes, look: Look, letters: bool = True) -> list[Cell]:
    row: list[Cell] = []
    start = 0
    while start < len(cells):
        state = cells[start]
        stop = start
        while stop < len(cells) and cells[stop] == state:
            stop += 1
        count = stop - start
        telling = letters and state not in _QUIET and not look.glyphs.ascii_only
        if telling and count >= LETTER_CELLS_MIN:
            row.append(letter_cell(state))
            count -= 1
        row.append(state_cells(state, look.glyphs, count))
        start = stop
    return row


def _standing(frame: Frame, task: TaskState) -> Cell:
    """What a thread does now, in its own words."""
    style = STATES[task.state].style
    if task.unstarted:
        return ("not started yet", "dim")
    if task.state in states.WAITING:
        lock = task.waits_lock if task.waits_lock >= 0 else task.asleep_lock
        return (f"waits {_lock_title(frame, lock)}", style)
    if task.state == states.SPIN:
        return (f"spins {_lock_title(frame, task.spins_lock)}", style)
    if task.state == states.IO:
        return (task.asleep_why or "waits for I/O", style)
    if task.state == states.ASK:
        return ("waits for monitor", style)
    if task.state in (states.OFF_CPU, states.OFF_CPU_HOLDING):
        why = "lost its CPU" if task.preempted else "waits for a CPU"
        return (why, style)
    if task.state == states.SLEEP:
        return (task.asleep_why or "sleeps", style)
    if task.state == states.ENDED:
        return ("ended", style)
    if task.step >= 0 and task.step < len(frame.log.steps):
        return (frame.log.steps[task.step].function, "text")
    if task.in_fault and task.fault is not None:
        return (f"fault {address(task.fault.address)}", style)
    return (task.op or STATES[task.state].label, style)


def _lock_title(frame: Frame, lock: int) -> str:
    return title(frame, frame.locks[lock]) if lock in frame.locks else f"lock {lock}"


def _lock(frame: Frame, task: TaskState, width: int) -> Cell:
    """The lock that matters to a thread and how: `W 412 µs`, `R mmap_lock`, `V heap`."""
    now = frame.now_ns
    if task.waits_lock >= 0:
        wanted = "W" if task.waits_mode else "R"
        return (f"{wanted} {duration(now - task.waits_since_ns)}", STATES[task.state].style)
    if task.spins_lock >= 0:
        return (f"{duration(now - task.spins_since_ns)}", "spin")
    if task.holds:
        lock, (mode, since) = min(
            task.holds.items(), key=lambda item: (_RANK.get(frame.locks[item[0]].kind, 9), item)
        )
        letter = "W" if mode == 1 else "R" if mode == 0 else ""
        held = duration(now - since)
        name = title(frame, frame.locks[lock])
        if cell_width(name) > width - 2:
            is_mmap_lock = frame.locks[lock].kind == "mmap_lock"
            name = "mmap_lock" if is_mmap_lock else name.removeprefix("VMA ")
        if cell_width(name) + len(held) + 3 > width:
            held = ""
        return (
            " ".join(part for part in (letter, clip_name(name, width - 2), held) if part),
            "dim",
        )
    if task.state in (states.OFF_CPU, states.SLEEP, states.IO, states.ASK):
        return (duration(now - task.since_ns), "dim")
    return ("", "dim")


_RANK = {
    "mmap_lock": 0, RANGE_LOCK: 0, "vma_lock": 1, "anon_vma": 2, "i_mmap": 3, "folio": 4, "ptl": 5,
}  # fmt: skip


def _legend(seen: set[int], width: int, rows_max: int, look: Look) -> list[Row]:
    """The states in sight, as glyph, letter and words, over at most `rows_max` rows."""
    rows: list[list[Cell]] = [[]]
    used = 0
    for state in sorted(
        seen - {states.NEW, states.ENDED}, key=lambda one: (one != states.ASK, one)
    ):
        shown = STATES[state]
        entry = cell_width(shown.label) + 5
        if used + entry > width and used:
            if len(rows) == rows_max:
                break
            rows.append([])
            used = 0
        glyph, style = state_cells(state, look.glyphs)
        rows[-1].extend(((glyph, style), letter_cell(state), (f" {shown.label}  ", "dim")))
        used += entry
    return [tuple(row) for row in rows]
