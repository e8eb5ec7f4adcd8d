"""The rows of the maple tree pane: one node a row, with its fill, range, gap, walkers and fate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Final

from .frame import Frame, TaskState
from .look import Look
from .memory_state import MmState, NodeState
from .numbers import address_short, count, counted, duration
from .rows import Cell, Row, cell_width, clip, pad
from .tree_dead import readers_left, shade, waits_for
from .tree_marks import gap_text, is_writing, vma_name, walk_marks
from .tree_shape import COUNTED_MAX, Line, below, slot_of

CAPACITY: Final = {"leaf_64": 16, "range_64": 16, "arange_64": 10}
"""Slots by node type (include/linux/maple_tree.h, 64-bit)."""
TYPE_WIDTH: Final = 10
RANGE_WIDTH: Final = 26
START_WIDTH: Final = 14
GAP_WIDTH: Final = 14
BAR_WIDTH: Final = 17
HALF_BAR_WIDTH: Final = 9
"""Room for a cell a slot, or for a cell of two slots."""
FILL_WIDTH: Final = 6
NAME_WIDTH: Final = 12
WIDE: Final = (120, 20)
"""From so many cells on names may be so long."""
NAMES_MIN: Final = 16
NAMES_ROOM: Final = 72
"""Names of a leaf's slots are drawn behind its range only where so many cells are left; where
there are no rows for them, fewer cells do."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What all rows of one picture share."""

    frame: Frame
    mm: MmState
    look: Look
    width: int
    walkers: dict[int, list[TaskState]]
    walked: frozenset[int]
    """Nodes that a walk in progress has passed on its way down."""
    column: int
    """Where ranges begin."""
    id_width: int
    bar: int
    """The room for the fill as a bar: BAR_WIDTH, HALF_BAR_WIDTH or 0."""
    gap: int
    """The room for the largest gap: GAP_WIDTH or 0."""
    names_below: bool
    """Whether the names of a leaf's slots have no room in its own row."""


def drawing_of(
    frame: Frame, mm: MmState, look: Look, width: int, lines: tuple[Line, ...],
    walkers: dict[int, list[TaskState]], walked: frozenset[int], has_rows: bool = True,
) -> Drawing:  # fmt: skip
    """Columns that suit all rows, and do not move when other ones are seen."""
    nodes = [line for line in lines if line.slot < 0]
    ids = [line.node.id for line in nodes]
    if len(mm.nodes) <= COUNTED_MAX:
        ids += [*mm.nodes, *mm.built]
    id_width = len(str(max(ids, default=1))) + 2
    depth = 3 * max([mm.height - 1, *(len(line.ways) for line in nodes)])
    head = 2 + depth + TYPE_WIDTH + id_width
    bar, gap = _bar_and_gap(width - head - FILL_WIDTH)
    column = head + bar + FILL_WIDTH + gap
    names = NAMES_ROOM if has_rows else NAMES_MIN
    below_row = width < column + RANGE_WIDTH + names
    return Drawing(frame, mm, look, width, walkers, walked, column, id_width, bar, gap, below_row)


def _bar_and_gap(left: int) -> tuple[int, int]:
    """What of bar and gap fits: addresses come first, then gaps; the bar only says it again."""
    for bar, gap in (
        (BAR_WIDTH, GAP_WIDTH), (HALF_BAR_WIDTH, GAP_WIDTH), (0, GAP_WIDTH), (HALF_BAR_WIDTH, 0),
    ):  # fmt: skip
        if left >= bar + gap + RANGE_WIDTH:
            return bar, gap
    return HALF_BAR_WIDTH if left >= HALF_BAR_WIDTH + 8 else 0, 0


def _bar(drawing: Drawing, full: str, used: int, free: str = "", unused: int = 0) -> str:
    """The slots as a bar: a cell each, or a cell for two, half-filled ones as full."""
    if drawing.bar == HALF_BAR_WIDTH:
        used, unused = (used + 1) // 2, (used + unused + 1) // 2 - (used + 1) // 2
    return full * used + free * unused


def paint_line(drawing: Drawing, line: Line) -> Row:
    """One row: a live node, a dead one, one that is being built, or a slot of a leaf."""
    if line.slot >= 0:
        return _slot(drawing, line)
    if line.run:
        text = f"… {count(line.run)} node{'s' if line.run > 1 else ''}"
        return (("  ", "text"), (branches(line, drawing.look), "faint"), (text, "faint"))
    if line.is_dead:
        return _dead(drawing, line)
    return _live(drawing, line)


def _head(drawing: Drawing, line: Line) -> list[Cell]:
    """Cursor, branches, type and number."""
    node, look = line.node, drawing.look
    has_cursor = node.id == look.tree.cursor and line.slot < 0
    here = node.id in drawing.walkers or node.id in drawing.walked
    style = "node-dead" if line.is_dead else "node-walked" if here else "node"
    if line.is_built:
        style = "accent"
    gutter = f"{look.glyphs.arrow_right} " if has_cursor else "  "
    return [
        (gutter, "accent"),
        (branches(line, look), "faint"),
        (f"{node.type:<{TYPE_WIDTH}}", "selected" if has_cursor else style),
        (f"{'#' + str(node.id):<{drawing.id_width}}", "dim"),
    ]


def branches(line: Line, look: Look) -> str:
    """The lines that lead to a row from the rows above."""
    if not line.ways or line.is_built:
        return ""
    glyphs = look.glyphs
    past = "".join(glyphs.branch_past if goes_on else "   " for goes_on in line.ways[1:])
    return past + (glyphs.branch_last if line.is_last else glyphs.branch)


def _live(drawing: Drawing, line: Line) -> Row:
    node, look = line.node, drawing.look
    row = _head(drawing, line)
    capacity = max(CAPACITY.get(node.type, 16), len(node.slots))
    lit = "node-walked" if node.id in drawing.walkers else "accent" if line.is_built else "slot"
    if drawing.bar:
        cells = _bar(drawing, look.glyphs.slot, len(node.slots))
        row.append((cells, lit))
        free = _bar(drawing, "", len(node.slots), look.glyphs.slot_free, capacity - len(node.slots))
        row.append((free, "slot-free"))
        row.append((" " * (drawing.bar - len(cells) - len(free)), "text"))
    row.append((pad(f"{len(node.slots)}/{capacity}", FILL_WIDTH), "number"))
    marks = _marks(drawing, line)
    if line.is_folded:
        nodes, vmas = below(drawing.mm, node)
        marks.append((f"… {counted(vmas, 'VMA') if vmas >= 0 else counted(nodes, 'node')}", "dim"))
    if drawing.gap and drawing.width - _taken(row) - _taken(marks) >= GAP_WIDTH:
        gap = _gap(node)
        row.append((pad(f"gap {gap_text(gap)}" if gap else "", GAP_WIDTH), "gap"))
    _add_range(drawing, row, node, _taken(marks))
    row.extend(marks)
    if node.is_leaf and not drawing.names_below and drawing.width - _taken(row) >= 4:
        row.extend(slot_names(drawing, node, drawing.width - _taken(row)))
    return tuple(row)


def names_below(drawing: Drawing, line: Line, is_for_all: bool = False) -> Row | None:
    """The names of a leaf's slots in a row of their own, for one that is walked or was written.

    Others have theirs only where there is room for all (`is_for_all`).
    """
    node, store = line.node, drawing.mm.store
    if not node.is_leaf or line.slot >= 0 or line.run or line.is_dead or line.is_built:
        return None
    written = store is not None and node.id in (*store.born, *store.changed)
    alone = len(line.ways) == 0
    if not (is_for_all or node.id in drawing.walkers or written or alone):
        return None
    past = (*line.ways, not line.is_last) if line.ways else (False,)
    under = "".join(drawing.look.glyphs.branch_past if on else "   " for on in past[1:])
    row: list[Cell] = [("  " + under, "faint")]
    return (*row, *slot_names(drawing, node, drawing.width - _taken(row)))


def _marks(drawing: Drawing, line: Line) -> list[Cell]:
    """Who stands here, and what the last store did to the node."""
    node, frame, mm, look = line.node, drawing.frame, drawing.mm, drawing.look
    arrow = look.glyphs.arrow_left
    if line.is_built:
        return [(f"{arrow} {frame.label(mm.builder)} builds it: nobody sees it yet ", "accent")]
    marks = walk_marks(frame, drawing.walkers.get(node.id, []), look)
    restarted = [
        frame.label(task.id) for task in drawing.walkers.get(node.id, []) if task.walk_slot == -1
    ]
    if restarted:
        marks = [(f"{arrow} {', '.join(restarted)} found it dead ", "warn")]
    store = mm.store
    if store is None or store.task < 0 or store.now_ns != node.changed_ns:
        return marks
    fresh = is_writing(frame, mm)
    style = "accent" if fresh else "dim"
    old = [number for number in node.replaces if number in mm.nodes]
    if node.id in store.born:
        said = f"new for {numbers(old)}" if old else "new"
        marks.append((f"{arrow} {said} ", style))
    elif node.id in store.changed and fresh:
        marks.append((f"{arrow} changed in place ", style))
    return marks


def numbers(nodes: list[int] | tuple[int, ...]) -> str:
    """Node numbers as they are written beside the nodes: `#3 #5`, the first four of many."""
    text = " ".join(f"#{number}" for number in nodes[:4])
    return f"{text} …" if len(nodes) > 4 else text


def _dead(drawing: Drawing, line: Line) -> Row:
    node, frame, look = line.node, drawing.frame, drawing.look
    row = _head(drawing, line)
    age = frame.now_ns - node.dead_ns
    if drawing.bar:
        glyph = look.glyphs.fading[shade(frame, node)]
        row.append((pad(_bar(drawing, glyph, len(node.slots)), drawing.bar), "node-dead"))
    row.append(("dead  ", "node-dead"))
    here = drawing.walkers.get(node.id, [])
    if here:
        stands = [task for task in here if task.walk_slot != -1]
        names = ", ".join(frame.label(task.id) for task in (stands or here)[:3])
        what = "still here" if stands else "found it dead"
        row.append((f"{look.glyphs.arrow_left} {names} {what} ", "warn"))
    if node.heirs or drawing.mm.store is not None:
        heirs = numbers(node.heirs) if node.heirs else "no heir,"
        row.append((f"{look.glyphs.arrow_right} {heirs} ", "dim"))
    left = readers_left(frame, node)
    is_said = bool(left) and [task.id for task in here if task.walk_slot != -1] == left
    waits = "" if is_said else f"{waits_for(frame, node)} "
    for text, style in (
        (waits, "warn" if left else "dim"),
        (f"{duration(age)} ago ", "faint"),
        (f"({node.dead_why})" if node.dead_why else "", "faint"),
    ):
        if drawing.width - _taken(row) >= len(text.rstrip()):
            row.append((text, style))
    return tuple(row)


def _slot(drawing: Drawing, line: Line) -> Row:
    """One slot of an opened leaf: its range, what it holds, its length."""
    node, slot = line.node, line.slot
    first = node.pivots[slot - 1] + 1 if slot else node.min
    last = node.pivots[slot]
    value = node.slots[slot]
    here = [task for task in drawing.walkers.get(node.id, []) if task.walk_slot == slot]
    row: list[Cell] = [("  ", "text"), (branches(line, drawing.look), "faint")]
    row.append((f"{slot:>2} ", "dim"))
    name = "NULL" if value < 0 else clip(vma_name(drawing.frame, value), 16)
    style = "node-walked" if here else "gap" if value < 0 else "vma"
    row.append((pad(name, 17), style))
    text = f"{address_short(first)}…{address_short(last)} "
    if drawing.width - _taken(row) >= cell_width(text):
        row.append((pad(text, RANGE_WIDTH), "address"))
    row.append((f"{gap_text(last - first + 1)} ", "gap" if value < 0 else "number"))
    row.extend(walk_marks(drawing.frame, here, drawing.look))
    return tuple(row)


def slot_names(drawing: Drawing, node: NodeState, left: int) -> list[Cell]:
    """A leaf's slots by name, runs of one name counted, with those that a walk is at lit."""
    row: list[Cell] = []
    here = drawing.walkers.get(node.id, [])
    lit = {task.walk_slot for task in here} | {slot_of(node, task.walk_index) for task in here}
    named = [
        ("gap" if value < 0 else vma_name(drawing.frame, value), index in lit)
        for index, value in enumerate(node.slots)
    ]
    groups = [list(run) for _, run in groupby(named, key=_alike)]
    width = WIDE[1] if drawing.width >= WIDE[0] else NAME_WIDTH
    for index, group in enumerate(groups):
        (name, is_lit), times = group[0], len(group)
        text = clip(name, width)
        if times > 1:
            text = f"{clip(_numberless(name), width)} {drawing.look.glyphs.times}{times}"
        more = len(groups) - index - 1
        if cell_width(text) + 1 > left - (2 if more else 0):
            row.append(("…", "faint"))
            break
        row.append((text, "node-walked" if is_lit else "gap" if name == "gap" else "slot"))
        row.append(("│" if more else "", "faint"))
        left -= cell_width(text) + 1
    return row


def _alike(named: tuple[str, bool]) -> tuple[str, bool]:
    """What slots that are counted together have in common."""
    name, is_lit = named
    return clip(_numberless(name), NAME_WIDTH - 1), is_lit


def _numberless(name: str) -> str:
    """`anon` of `anon #7`: numbers tell alike mappings of imported processes apart."""
    before, mark, number = name.rpartition(" #")
    return before if mark and number.isdigit() else name


def _add_range(drawing: Drawing, row: list[Cell], node: NodeState, keep: int) -> None:
    """The range in its column, unless that leaves less than `keep` cells."""
    fill = max(drawing.column - _taken(row), 0)
    text = f"{address_short(node.min)}…{address_short(node.max)} "
    room = drawing.width - _taken(row) - keep
    if room >= fill + RANGE_WIDTH:
        row.append((" " * fill + pad(text, RANGE_WIDTH), "address"))
    elif room >= fill + START_WIDTH:
        row.append((" " * fill + pad(f"{address_short(node.min)}… ", START_WIDTH), "address"))


def _gap(node: NodeState) -> int:
    """The largest run of NULL at or below a node, in bytes: what its parent's gap says of it."""
    if node.gaps:
        return max(node.gaps)
    low, largest = node.min, 0
    for slot, pivot in zip(node.slots, node.pivots, strict=False):
        if slot < 0:
            largest = max(largest, pivot + 1 - low)
        low = pivot + 1
    return largest


def _taken(row: list[Cell]) -> int:
    return sum(cell_width(text) for text, _ in row)
