"""The rows around the panes: header, seek bar, tabs, hints; which of their parts can be clicked.

Painted from plain facts (`Standing`): it knows no player, no key table and no screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.scenario.policies import word

from .numbers import clock, count, counted, duration, round_duration
from .rows import Cell, Row, cell_width, clean, clip, fit, wrap

MODE_TITLES: Final = {"mmap_lock": "mmap_lock", "per-vma": "per-VMA", "lockless": "lockless"}

TITLE_MIN: Final = 12
"""So many cells the title keeps while anything else can be said shorter."""
SEEK: Final = "seek"
"""The action of the seek bar's zone, which needs to know the column."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A stretch of a row that does something when it is clicked."""

    y: int
    first: int
    last: int
    """Excluded."""
    action: str


@dataclass(frozen=True, slots=True)
class Chrome:
    """Rows and the zones in them."""

    rows: tuple[Row, ...]
    zones: tuple[Zone, ...] = ()

    def action_at(self, x: int, y: int) -> str:
        """What a click there does; empty for nothing."""
        for zone in self.zones:
            if zone.y == y and zone.first <= x < zone.last:
                if zone.action == SEEK:
                    return f"seek({x - zone.first}, {zone.last - zone.first})"
                return zone.action
        return ""


@dataclass(frozen=True, slots=True)
class World:
    """What a scenario's run is computed for."""

    kernel: str
    mode: str
    seed: int
    modes: tuple[str, ...]
    """The modes that the kernel can be run in."""
    policy: tuple[tuple[str, Any], ...] = ()
    """The switches that were turned, with their values."""


@dataclass(frozen=True, slots=True)
class Bar:
    """The seek bar: positions count events from the log's first one."""

    origin: int
    here: int
    present: int
    """The furthest position that was shown."""
    known: int
    events: int
    """How many events long the bar is."""
    is_whole: bool
    """Whether everything that will ever happen is known."""
    end_ns: int
    marks: Iterable[tuple[str, list[int]]] = ()
    """(style, positions), the later ones over the earlier ones; looked at once."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a run stands and how it is played: everything that the header says."""

    title: str
    world: World | None
    """None for a capture, of which `meta` says what is known."""
    now_ns: int
    speed_ns: int
    bar: Bar
    steps: int
    """How many steps (events in a capture) have been made."""
    unit: str = "step"
    """What is counted in `steps`."""
    arrows: str = ""
    """What the arrows step by, where that is something else."""
    playing: bool = False
    in_past: bool = False
    errand: str = ""
    """What is looked for."""
    meta: Mapping[str, str] = field(default_factory=dict)


class _Line:
    """A row that grows, remembering where its zones are."""

    def __init__(self, y: int) -> None:
        self.y = y
        self.cells: list[Cell] = []
        self.zones: list[Zone] = []
        self.width = 0

    def add(self, text: str, style: str, action: str = "") -> None:
        cells = cell_width(text)
        if action:
            self.zones.append(Zone(self.y, self.width, self.width + cells, action))
        self.cells.append((text, style))
        self.width += cells


def header(standing: Standing, width: int, lines: int, what: str = "") -> Chrome:
    """What runs, on what, in which mode; below it where we are in time.

    `what` stands in the place of the mode switch, where there is none.
    """
    first = _title_line(standing, width, what)
    if lines == 1:
        short = _Line(0)
        _play_state(short, standing)
        short.add(" ", "text")
        lost = _lost(standing.meta, short=True)
        short.add(clip(standing.title, max(width - short.width - lost.width, 0)), "strong")
        short.cells += lost.cells
        return Chrome((fit(short.cells, width),), tuple(short.zones))
    second = _time_line(standing, width)
    return Chrome(
        (fit(first.cells, width), fit(second.cells, width)), (*first.zones, *second.zones)
    )


def _title_line(standing: Standing, width: int, what: str) -> _Line:
    meta, world = standing.meta, standing.world
    if world is None:
        tails = [_recorded(meta), _lost(meta), _lost(meta, short=True)]
    elif what:
        tails = [_Line(0), _mode_only(standing)]
        tails[0].add(f"  kernel {world.kernel}  {what}  seed {world.seed} ", "dim")
    else:
        tails = [
            *(_modes(standing, width, cells) for cells in (POLICY_MAX, POLICY_LONGEST, POLICY_MIN)),
            _mode_only(standing, POLICY_MIN),
            _mode_only(standing),
        ]
    line = _Line(0)
    line.add(" pfviz ", "brand", "help")
    room = width - line.width - 1
    # The title is shortened before the last of the tails goes: that one matters more.
    needed = min(cell_width(standing.title), TITLE_MIN)
    tail = next((tail for tail in tails if tail.width + needed <= room), tails[-1])
    line.add(" " + clip(standing.title, max(room - tail.width, 0)), "strong")
    for zone in tail.zones:
        line.zones.append(Zone(0, zone.first + line.width, zone.last + line.width, zone.action))
    line.cells += tail.cells
    return line


def _modes(standing: Standing, width: int, policy_cells: int) -> _Line:
    """Changed policies, kernel, the modes with the current one lit, and with room the seed."""
    world = standing.world
    assert world is not None
    tail = _Line(0)
    _policy(tail, standing, policy_cells)
    tail.add(f"  kernel {world.kernel} ", "dim", "kernel")
    for mode, title in MODE_TITLES.items():
        if mode == world.mode:
            tail.add(f" {title} ", f"mode-{mode}", "mode")
        else:  # Where the kernel has no such mode, a click says so.
            style = "dim" if mode in world.modes else "faint"
            tail.add(f" {title} ", style, f"set_mode('{mode}')")
    if width >= 100:
        tail.add(f"  seed {world.seed} ", "dim", "reseed")
    return tail


def _recorded(meta: Mapping[str, str]) -> _Line:
    """What a capture, or a run that was exported, says of itself: its kernel, what it lost."""
    tail = _Line(0)
    kernel = meta.get("kernel", "")
    said = f" · Linux {clean(kernel)}" if kernel[:1].isdigit() else ""
    if "front_end" in meta:
        how = f"recorded with {clean(meta['front_end'])}{said}"
    else:
        how = f"a recorded run{said} · {clean(meta.get('mode', '?'))}"
    tail.add(f"  {how} ", "dim")
    lost = _lost(meta)
    tail.cells += lost.cells
    tail.width += lost.width
    return tail


def _lost(meta: Mapping[str, str], short: bool = False) -> _Line:
    """That events are missing, and how many where that is known; empty when none are."""
    line = _Line(0)
    lost = meta.get("lost_events", "0")
    if lost != "0" or meta.get("lossy") == "yes":
        said = f"{clean(lost)} events lost" if lost != "0" else "some events are missing"
        line.add(" ! lossy " if short else f" ! {said} ", "bad")
    return line


POLICY_MAX: Final = 44
POLICY_LONGEST: Final = 24
POLICY_MIN: Final = 17
"""Cells in which changed policies are said: several, the longest one, or a shortened one."""


def _policy(tail: _Line, standing: Standing, cells: int) -> None:
    """The policies that were changed: `io_wait=hold`; of many the first and how many more."""
    changed = () if standing.world is None else standing.world.policy
    if not changed or not cells:
        return
    said = ", ".join(f"{name}={word(value)}" for name, value in changed)
    if cell_width(said) > cells:
        # Of a long name the front is enough; what it was set to is the news.
        name, value = changed[0]
        more = f"={word(value)}" + (f" +{len(changed) - 1}" if len(changed) > 1 else "")
        said = clip(name, cells - len(more)) + more
    tail.add(" ", "text")
    tail.add(f" {said} ", "warn", "policy")


def _mode_only(standing: Standing, policy_cells: int = 0) -> _Line:
    world = standing.world
    assert world is not None
    tail = _Line(0)
    if policy_cells and world.policy:
        _policy(tail, standing, policy_cells)
        tail.add(f"  kernel {world.kernel} ", "dim", "kernel")
    tail.add(" ", "text")
    tail.add(f" {MODE_TITLES[world.mode]} ", f"mode-{world.mode}", "mode")
    return tail


def _play_state(line: _Line, standing: Standing) -> None:
    if standing.errand:
        line.add(f" … looking for {standing.errand} ", "say", "back")
    elif standing.in_past:
        line.add(f" {'▶' if standing.playing else '‖'} PAST   ", "past", "play")
        line.add(" ", "text")
    elif standing.playing:
        line.add(" ▶ playing ", "good", "play")
    else:
        line.add(" ‖ paused  ", "warn", "play")


def _time_line(standing: Standing, width: int) -> _Line:
    line = _Line(1)
    _play_state(line, standing)
    line.add(f"{clock(standing.now_ns):>11} ", "strong", "go_to")
    line.add(f" {speed_text(standing.speed_ns):<14}", "dim", "speed(1)")
    if width >= 70:
        line.add(f" {standing.unit} {count(standing.steps):<8}", "dim", "unit")
    if standing.arrows and width >= 110:
        line.add(f" ←/→ by {standing.arrows} ", "accent", "unit")
    end = _end_of_bar(standing.bar, width)
    room = width - line.width - len(end) - 1
    if room >= 10:
        line.add(" ", "text")
        _seek_bar(line, standing.bar, room)
        line.add(end, "dim", "go_end")
    return line


TIME_WIDTH_MIN: Final = 100
SEEK_MARKS: Final = {
    "seek-parted": "≠", "seek-cue": "◇", "seek-break": "!", "seek-mark": "♦", "seek-hit": "+",
}  # fmt: skip


def _end_of_bar(bar: Bar, width: int) -> str:
    """What stands at the bar's right end: the number of an event, since it counts events."""
    text = f" {counted(bar.events, 'event')}"
    if bar.is_whole and width >= TIME_WIDTH_MIN:
        text += f", {duration(bar.end_ns)}"
    return f"{text} "


def _seek_bar(line: _Line, bar: Bar, width: int) -> None:
    """The known part of the run with the cursor, cues, bookmarks, stops and search hits.

    It counts events, not time: a long sleep takes no more room than a short one. While the run is
    not known to its end, the bar is as long as a round number of events: marks keep their places.
    """

    def column(position: int) -> int:
        return max(0, min(width - 1, (position - bar.origin) * width // bar.events))

    here, there, known = column(bar.here), column(bar.present), column(bar.known)
    cells: list[Cell] = [
        ("━", "seek") if x <= here
        else ("━", "dim") if x <= there
        else ("─", "seek-ahead") if x <= known
        else ("·", "faint")
        for x in range(width)
    ]  # fmt: skip
    for style, positions in bar.marks:
        for position in positions:
            cells[column(position)] = (SEEK_MARKS[style], style)
    cells[here] = ("●", "strong")
    line.zones.append(Zone(line.y, line.width, line.width + width, SEEK))
    line.cells += _merged(cells)
    line.width += width


def _merged(cells: list[Cell]) -> list[Cell]:
    """Neighbouring cells of one style as one cell: fewer segments to paint."""
    merged: list[Cell] = []
    for text, style in cells:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return merged


TOO_SMALL: Final = "too small: pfviz needs 24 x 6 cells"


def too_small(width: int, height: int) -> tuple[Row, ...]:
    """That the screen is too small, as far as that fits; letter by letter in very few columns."""
    if width * height < len(TOO_SMALL) or width < 6:
        text = "too small" if width >= 9 else "toosmall"
        lines = [text[at : at + width] for at in range(0, len(text), max(width, 1))]
    else:
        lines = wrap(TOO_SMALL, width, height)
    return tuple(fit([(line, "warn")], width) for line in lines[:height])


def tabs(titles: Iterable[tuple[str, str]], visible: tuple[str, ...], focused: str,
         width: int) -> Chrome:  # fmt: skip
    """Numbered names of all panes, those on the screen lit; hidden ones lose their names first."""
    line = _Line(0)
    named = list(enumerate(titles, start=1))
    roomy = sum(len(title) + 4 for _, (_, title) in named) <= width
    for number, (pane, title) in named:
        style = "selected" if pane == focused else "text" if pane in visible else "dim"
        words = f" {number} {title} " if roomy or pane in visible else f" {number} "
        line.add(words, style, f"pane({number})")
    return Chrome((fit(line.cells, width),), tuple(line.zones))


def speed_text(speed_ns: int) -> str:
    """The speed as the header writes it: `1 s = 2 µs`."""
    return f"1 s = {round_duration(speed_ns)}"


QUIT_WIDTH_MIN: Final = 50


def hints_of(listed: Iterable[tuple[str, str, str]], width: int) -> Chrome:
    """(key, what it does, action) as many as fit; the last two (quit, help) before all others."""
    hints = list(listed)
    kept = 2 if width >= QUIT_WIDTH_MIN else 1
    front, last = hints[:-kept], hints[-kept:]
    used = sum(map(_hint_width, last))
    line = _Line(0)
    for hint in front:
        used += _hint_width(hint)
        if used > width:
            break
        _add_hint(line, hint)
    for hint in last:
        _add_hint(line, hint)
    return Chrome((fit(line.cells, width),), tuple(line.zones))


def _hint_width(hint: tuple[str, str, str]) -> int:
    return cell_width(hint[0]) + cell_width(hint[1]) + 5


def _add_hint(line: _Line, hint: tuple[str, str, str]) -> None:
    line.add(f" {hint[0]} ", "key", hint[2])
    line.add(f" {hint[1]}  ", "dim", hint[2])
