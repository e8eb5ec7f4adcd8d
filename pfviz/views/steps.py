"""The path of one thread through the kernel: steps behind, the step it stands on, steps ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pfviz.sim.event import StepInfo

from . import states
from .frame import Frame, TaskState
from .look import DEFAULT, Look, absent, message, selected_task
from .numbers import address, counted, duration
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows, pad, wrap
from .states import REGIME_NAMES, STATES

STORY_ROWS_MAX: Final = 4
STORY_COLUMN_WIDTH_MIN: Final = 100
"""From this width on each step tells its sentence beside its name: one function may be several."""
_NEXT_SHARE: Final = 4
"""At most one row in four looks ahead."""

_ROUND_MAX: Final = 5
"""Steps of the longest loop that is recognised."""

Line = tuple[int, int, int]
"""(path code, how often in a row, when first)."""


def paint(
    frame: Frame,
    width: int,
    height: int,
    look: Look = DEFAULT,
    upcoming: Sequence[int] = (),
) -> Rows:
    """The selected thread's steps in the current fault or operation; `upcoming` is what follows.

    `upcoming` holds step indices (`Timeline.upcoming`).
    """
    if why := absent(frame, "steps"):
        return message(why, width, height, look)
    number = selected_task(frame, look)
    if number < 0:
        return message("no thread has started yet", width, height, look)
    task = frame.tasks[number]
    story = _story(frame, task, width, height, look)
    room = height - len(story)
    head = [_head(frame, task, width)] if room >= 4 else []
    room -= len(head)
    lines = _folded(frame, task)
    coming = _runs([_known_as(frame, code) for code in upcoming], lines[-1][0] if lines else -1)
    ahead = coming[: max(room // _NEXT_SHARE, 1 if room >= 3 else 0)]
    spare = room - len(ahead) - len(lines)
    if spare > 0:
        ahead = coming[: len(ahead) + spare]
    shown = lines[max(len(lines) - (room - len(ahead)), 0) :]
    plan = _Plan(frame, width)
    rows = [_line(frame, line, index == len(shown) - 1, task, plan, look)
            for index, line in enumerate(shown)]  # fmt: skip
    rows.extend(_ahead(frame, code, times, plan) for code, times in ahead)
    rows = rows[: max(room, 0)]
    rows.extend(() for _ in range(room - len(rows)))
    return fit_rows([*head, *rows, *story], width, height, look.glyphs.ascii_only)


def title(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's title: whose steps these are."""
    number = selected_task(frame, look)
    return f"Steps of {frame.label(number)}" if number >= 0 else "Steps"


def summary(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's foot: which operation of how many the thread is at."""
    number = selected_task(frame, look)
    if number < 0:
        return ""
    task = frame.tasks[number]
    parts = [f"op {task.op_index + 1} {task.op}"] if task.op else []
    parts.append(counted(task.faults_done, "fault"))
    return " · ".join(parts)


def step_info(frame: Frame, code: int) -> StepInfo | None:
    """What the log says of a step, None when the code is no step of it."""
    steps = frame.log.steps
    return steps[code] if 0 <= code < len(steps) else None


class _Plan:
    """Where the columns are, for one width."""

    def __init__(self, frame: Frame, width: int) -> None:
        longest = max((len(info.function) for info in frame.log.steps), default=16)
        self.function = min(longest + 2, max(width * 3 // 5, width - 26))
        self.time = 9 if width >= 72 else 0
        self.source = max(width - self.function - self.time - 2, 0)
        if self.source < 10:
            self.function, self.source = width - 2, 0
        self.story = 0
        if width >= STORY_COLUMN_WIDTH_MIN:
            widest = max((len(info.source) for info in frame.log.steps), default=16)
            self.function = longest + 2
            self.source = min(widest + 2, 30)
            self.story = width - self.function - self.source - self.time - 3


USER: Final = "user"


def _known_as(frame: Frame, code: int) -> int:
    """The step by which a step is shown: all that compute in user mode look the same."""
    info = step_info(frame, code)
    if info is None or info.function != USER:
        return code
    return next(at for at, one in enumerate(frame.log.steps) if one.function == USER)


def _folded(frame: Frame, task: TaskState) -> list[Line]:
    """The path with a repeated step, and a repeated round of steps, counted instead of listed."""
    lines: list[Line] = []
    for raw, when in zip(task.path_codes, task.path_ns, strict=True):
        code = _known_as(frame, raw)
        if lines and lines[-1][0] == code:
            lines[-1] = (code, lines[-1][1] + 1, lines[-1][2])
            continue
        lines.append((code, 1, when))
        for length in range(2, _ROUND_MAX + 1):
            if _repeats(lines, length):
                first = len(lines) - 2 * length
                again = lines[first + length :]
                del lines[first + length :]
                for offset, line in enumerate(again):
                    known = lines[first + offset]
                    lines[first + offset] = (known[0], known[1] + line[1], known[2])
                break
    return lines


def _runs(upcoming: Sequence[int], current: int) -> list[tuple[int, int]]:
    """Steps ahead as (code, how often in a row), without more of the one that is current."""
    runs: list[tuple[int, int]] = []
    for code in upcoming:
        if not runs and code == current:
            continue
        if runs and runs[-1][0] == code:
            runs[-1] = (code, runs[-1][1] + 1)
        else:
            runs.append((code, 1))
    return runs


def _repeats(lines: list[Line], length: int) -> bool:
    """Whether the last `length` lines are the same steps as those before them."""
    if len(lines) < 2 * length:
        return False
    last, before = lines[-length:], lines[-2 * length : -length]
    return all(a[0] == b[0] >= 0 for a, b in zip(last, before, strict=True))


def _head(frame: Frame, task: TaskState, width: int) -> Row:
    """What the thread is at: the fault with its address and regime, or the operation."""
    fault = task.fault
    if fault is not None and task.in_fault:
        regime = REGIME_NAMES[fault.regime] if fault.regime >= 0 else "no lock yet"
        style = STATES[states.REGIME_STATES[fault.regime]].style if fault.regime >= 0 else "entry"
        kind = ("write" if fault.error_code & 2 else "read") if fault.error_code >= 0 else "fault"
        cells: list[Cell] = [
            (f"{kind} fault ", "strong"),
            (f"{address(fault.address)} ", "address"),
            (regime, style),
        ]
        if fault.attempt > 1 and width >= 44:
            cells.append((f", attempt {fault.attempt}", "dim"))
        if width >= 50:
            cells.append((f" {duration(frame.now_ns - fault.began_ns)}", "number"))
        return tuple(cells)
    if task.op:
        where = f" {address(task.op_address)}" if task.op_address else ""
        since = duration(frame.now_ns - task.op_began_ns)
        return ((task.op, "strong"), (where, "address"), (f" {since}", "number"))
    return ((STATES[task.state].label, "dim"),)


def _line(frame: Frame, line: Line, current: bool, task: TaskState, plan: _Plan, look: Look) -> Row:
    code, times, when = line
    if code < 0:
        cause = frame.log.texts[~code] if ~code < len(frame.log.texts) else "fallback"
        text = f"{look.glyphs.cross} {cause}"
        return ((text, "fallback"),)
    info = step_info(frame, code)
    name = info.function if info is not None else f"step {code}"
    many = f" x{times}" if times > 1 else ""
    style = "step-now" if current else "step-done"
    mark = f"{look.glyphs.arrow_right} " if current else "  "
    room = plan.function - (1 if plan.source else 0)
    text = pad(clip(name, max(room - len(many), 1)) + many, room)
    row: list[Cell] = [(mark, style), (text, style)]
    if plan.source:
        row.append((" ", "text"))
        row.append(
            (
                pad(_place(info.source, plan.source - 1) if info is not None else "", plan.source),
                "source",
            )
        )
    if plan.story:
        row.append((" " + pad(info.story if info is not None else "", plan.story), "dim"))
    if plan.time:
        since = when - task.path_ns[0]
        row.append((f"+{duration(since)}" if since else "", "faint"))
    return tuple(row)


def _place(source: str, cells: int) -> str:
    """Where a step is in the kernel: without versions, or without folders, where it is narrow."""
    first = source.partition(", ")[0]
    file = first.partition(" (")[0]
    shorter = (source, first, file, file.rpartition("/")[2])
    return next((one for one in shorter if cell_width(one) <= cells), shorter[-1])


def _ahead(frame: Frame, code: int, times: int, plan: _Plan) -> Row:
    info = step_info(frame, code)
    if info is None:
        return ()
    width = plan.function - (1 if plan.source else 0)
    story = (" " + pad(info.story, plan.story), "step-next") if plan.story else ("", "text")
    place = pad(_place(info.source, plan.source - 1), plan.source)
    name = info.function + (f" x{times}" if times > 1 else "")
    return (("  ", "step-next"), (pad(name, width), "step-next"), (" ", "text"),
            (place, "step-next"), story)  # fmt: skip


def _story(frame: Frame, task: TaskState, width: int, height: int, look: Look) -> list[Row]:
    """The docstring of the step it stands on, at the bottom, when there is room."""
    info = step_info(frame, task.step)
    if info is None or height < 8 or width < 24:
        return []
    rows_max = min(STORY_ROWS_MAX, height // 4)
    rule = look.glyphs.rule * width
    lines = wrap(info.story, width, rows_max)
    return [((rule, "faint"),), *(((line, "story"),) for line in lines)]


def path_names(frame: Frame, task: int) -> list[str]:
    """The kernel functions of a task's current path, fallbacks as `! cause`; for plain text."""
    if task not in frame.tasks:
        return []
    names: list[str] = []
    for code in frame.tasks[task].path_codes:
        info = step_info(frame, code)
        names.append(f"! {frame.log.texts[~code]}" if code < 0 else info.function if info else "?")
    return names
