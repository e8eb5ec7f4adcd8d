"""The red-black tree of 6.0: one VMA a node, colours, gaps, turns; and the threads' vmacaches.

`NodeState.slots` is (left child, VMA, right child) here, `pivots` (colour,) and `gaps` (its own,
the largest of its subtree).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from .frame import Frame, TaskState
from .look import Look, selected_task, window
from .memory_state import MmState, NodeState, VmaCacheState
from .numbers import address_short, count, counted, duration, size
from .rb_shape import DEPTH_MAX, Subtree, gather, opened_nodes
from .rows import Cell, Row, cell_width, clip, pad
from .tree_marks import is_writing, vma_name, walk_marks, walkers

BLACK: Final = 1
GLYPHS: Final = {False: ("○", "●"), True: ("o", "@")}
"""Red and black, by whether only ASCII may be drawn; the letter beside them says it again."""
NAME_WIDTH: Final = 11
RANGE_WIDTH: Final = 26
GAP_WIDTH: Final = 14
ROWS_MIN: Final = 4
"""With fewer rows none is spent on saying that more follow."""


def paint_rows(
    frame: Frame, number: int, mm: MmState, width: int, height: int, look: Look
) -> list[Row]:
    """The tree from its root, one VMA a row, folded where there is no room; then the foot."""
    caches = _cache_rows(frame, mm, width, max(height // 4, 1) if height >= 5 else 0, look)
    foot = [*caches, *_last_write(frame, mm, width)][: max(height - 1, 0)]
    room = height - len(foot)
    drawing = _draw(frame, number, mm, width, room, look)
    first, last = window(len(drawing.rows), room, look.top, _kept(drawing))
    rows = drawing.rows[first:last]
    if first and rows:
        rows[0] = ((f"… {count(first + 1)} rows above", "faint"),)
    below = len(drawing.rows) - last
    if below and len(rows) >= ROWS_MIN:
        rows[-1] = ((f"… {count(below + 1)} rows below", "faint"),)
    rows.extend(() for _ in range(room - len(rows)))
    return [*rows, *foot]


def node_ids(frame: Frame, number: int, mm: MmState, height: int, look: Look) -> list[int]:
    """The nodes that have a row, from top to bottom: what a cursor moves over."""
    ids = _draw(frame, number, mm, 80, _room(frame, mm, height, look), look).ids
    return [node for node in ids if node >= 0]


def is_opened(frame: Frame, number: int, mm: MmState, node: int, height: int, look: Look) -> bool:
    """Whether rows below a node show its children."""
    return node in _draw(frame, number, mm, 80, _room(frame, mm, height, look), look).opened


def _room(frame: Frame, mm: MmState, height: int, look: Look) -> int:
    caches = _cache_rows(frame, mm, 80, max(height // 4, 1) if height >= 5 else 0, look)
    return height - len([*caches, *_last_write(frame, mm, 80)][: max(height - 1, 0)])


def _draw(frame: Frame, number: int, mm: MmState, width: int, room: int, look: Look) -> Drawing:
    """Every row of the tree, as it is folded for so many rows."""
    here = walkers(frame, number, mm)
    drawing = Drawing(frame, mm, look, width, set(), here, _ways(mm, here))
    root = gather(mm)
    if root is not None:
        drawing.opened = opened_nodes(root, frame, mm, here, room, look.tree)
        drawing.column = _column(root, drawing.opened)
        _put(drawing, root, "", "")
    return drawing


def _kept(drawing: Drawing) -> int:
    """The row that must be seen when not all fit: the one below the cursor's or first walker's."""
    cursor = drawing.look.tree.cursor
    wanted = [cursor] if cursor >= 0 else drawing.here
    found = next((at for at, node in enumerate(drawing.ids) if node in wanted), -1)
    return min(found + 1, len(drawing.ids) - 1) if found >= 0 else -1


# Rows


@dataclass(slots=True)
class Drawing:
    """What all rows of one picture share."""

    frame: Frame
    mm: MmState
    look: Look
    width: int
    opened: set[int]
    here: dict[int, list[TaskState]]
    ways: dict[int, tuple[str, list[TaskState]]]
    """Nodes that a walk has passed: "left" or "right", and who is down there."""
    column: int = 0
    """Where addresses begin."""
    rows: list[Row] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    """The node of each row; -1 for a row that only counts what is below."""

    def add(self, node: int, row: Row) -> None:
        """One more row, of a node or of none."""
        self.rows.append(row)
        self.ids.append(node)

    def name_style(self, tree: Subtree, style: str) -> str:
        """How the name in a row is drawn: that of the cursor's node stands out."""
        return "selected" if tree.node.id == self.look.tree.cursor else style


def _ways(mm: MmState, here: dict[int, list[TaskState]]) -> dict[int, tuple[str, list[TaskState]]]:
    """Each node above one at which somebody walks: the way down from it, and who is there."""
    ways: dict[int, tuple[str, list[TaskState]]] = {}
    for start, tasks in here.items():
        number, climbed = start, 0
        while climbed < DEPTH_MAX and (above := mm.nodes.get(mm.nodes[number].parent)):
            way = "left" if above.slots[0] == number else "right"
            ways.setdefault(above.id, (way, []))[1].extend(tasks)
            number, climbed = above.id, climbed + 1
    return ways


def _column(tree: Subtree, opened: set[int]) -> int:
    """The first column behind the names of all nodes shown."""
    column = 3 * tree.depth + (2 if tree.depth else 0) + 5 + NAME_WIDTH
    if tree.node.id in opened:
        column = max([column, *(_column(child, opened) for child in tree.children)])
    return column


def _put(drawing: Drawing, tree: Subtree, branch: str, under: str) -> None:
    glyphs = drawing.look.glyphs
    if tree.children and tree.node.id not in drawing.opened and tree.depth:
        drawing.add(tree.node.id, _folded(drawing, tree, branch))
        return
    drawing.add(tree.node.id, _node(drawing, tree, branch))
    if tree.node.id not in drawing.opened:
        if tree.children:
            text = f"{glyphs.branch_last}… {counted(tree.nodes - 1, 'VMA')} below"
            drawing.add(-1, ((text, "faint"),))
        return
    for child in tree.children:
        is_last = child is tree.children[-1]
        mark = glyphs.branch_last if is_last else glyphs.branch
        past = "   " if is_last else glyphs.branch_past
        _put(drawing, child, under + mark, under + past)


def _folded(drawing: Drawing, tree: Subtree, branch: str) -> Row:
    row: list[Cell] = [
        (f"{branch}{tree.side} ", "faint"),
        (f"… {counted(tree.nodes, 'VMA')} ", drawing.name_style(tree, "faint")),
    ]
    number = tree.node.id
    inside = [*drawing.here.get(number, []), *drawing.ways.get(number, ("", []))[1]]
    marks = walk_marks(drawing.frame, inside, drawing.look)
    marks_width = _taken(marks)
    _add_range(drawing, row, tree.first, tree.last, "faint", marks_width)
    row.extend(_gap(tree.node, drawing.width - _taken(row) - marks_width))
    row.extend(marks)
    return tuple(row)


def _node(drawing: Drawing, tree: Subtree, branch: str) -> Row:
    node, look = tree.node, drawing.look
    is_black = bool(node.pivots) and node.pivots[0] == BLACK
    glyph = GLYPHS[look.glyphs.ascii_only][is_black]
    side = f"{tree.side} " if tree.side else ""
    here = drawing.here.get(node.id, [])
    is_walked = here or node.id in drawing.ways
    name = clip(vma_name(drawing.frame, node.slots[1]), NAME_WIDTH)
    row: list[Cell] = [
        (branch + side, "faint"),
        (f"{glyph} {'B' if is_black else 'R'} ", "strong" if is_black else "bad"),
        (f"{name} ", drawing.name_style(tree, "node-walked" if is_walked else "node")),
    ]
    marks = walk_marks(drawing.frame, here, look)
    if here:
        marks.append((_goes(node, here[0], look), "mark"))
    elif is_walked:
        marks.append((f"{look.glyphs.arrow_right} {drawing.ways[node.id][0]} ", "mark"))
    elif is_writing(drawing.frame, drawing.mm):
        marks.extend(_changes(drawing.mm, node, look))
    marks_width = _taken(marks)
    _add_range(drawing, row, node.min, node.max, "address", marks_width)
    row.extend(_gap(node, drawing.width - _taken(row) - marks_width))
    row.extend(marks)
    return tuple(row)


def _add_range(
    drawing: Drawing, row: list[Cell], first: int, last: int, style: str, keep: int
) -> None:
    """The addresses, in their column, unless that leaves less than `keep` cells."""
    fill = max(drawing.column - _taken(row), 0)
    if _taken(row) + fill + RANGE_WIDTH + keep <= drawing.width:
        text = f"{address_short(first)}…{address_short(last + 1)} "
        row.append((" " * fill + pad(text, RANGE_WIDTH), style))


def _taken(row: list[Cell]) -> int:
    return sum(cell_width(text) for text, _ in row)


def _gap(node: NodeState, left: int) -> list[Cell]:
    """The largest gap that the subtree knows, if there is room for it."""
    below = node.gaps[1] if len(node.gaps) > 1 else 0
    text = f" gap {size(below >> 12)} "
    return [(text, "gap")] if below and left >= max(GAP_WIDTH, cell_width(text)) else []


def _goes(node: NodeState, task: TaskState, look: Look) -> str:
    """Where a walk goes on from a node: left, right, or no further."""
    if task.walk_slot == 1:
        return "found "
    child = node.slots[task.walk_slot] if task.walk_slot in (0, 2) else -1
    if child < 0:
        return "ends "
    return f"{look.glyphs.arrow_left if task.walk_slot == 0 else look.glyphs.arrow_right} "


def _changes(mm: MmState, node: NodeState, look: Look) -> list[Cell]:
    """What the write in progress did to a node."""
    if node.changed_ns != mm.write_ns:
        return []
    said: list[str] = []
    for side, down, up in mm.write_turns:
        if node.id == up:
            said.append("turned up")
        elif node.id == down:
            said.append(f"turned {side}")
    if node.id in mm.write_painted:
        said.append("painted")
    if node.id == mm.write_node and mm.write_function.endswith("insert"):
        said.append("new")
    text = ", ".join(dict.fromkeys(said)) or "written"
    return [(f"{look.glyphs.arrow_left} {text} ", "accent")]


def _last_write(frame: Frame, mm: MmState, width: int) -> list[Row]:
    """The last write: what it did to which range, by whom, and what it turned and painted."""
    if mm.write_ns < 0 or mm.write_task < 0:
        return []
    ago = duration(frame.now_ns - mm.write_ns)
    row: list[Cell] = [("last write ", "dim"), (mm.write_function, "accent")]
    turns, painted = len(mm.write_turns), len(mm.write_painted)
    done = [f"{turns} turned" if turns else "", f"{painted} painted" if painted else ""]
    if any(done):
        row.append((f" · {', '.join(text for text in done if text)}", "text"))
    low, _ = mm.write_range
    where = f" at {address_short(low)}" if width >= 60 else ""
    row.append((f"{where} by {frame.label(mm.write_task)}, {ago} ago", "dim"))
    return [tuple(row)]


# The vmacaches


def _cache_rows(frame: Frame, mm: MmState, width: int, rows_max: int, look: Look) -> list[Row]:
    """The vmacaches of those who used theirs last; that of the selected thread comes first."""
    selected = selected_task(frame, look)
    living = [task for task in mm.vmacaches if not frame.tasks[task].ended]
    living.sort(key=lambda task: (task != selected, -mm.vmacaches[task].told_ns, task))
    return [_cache(frame, mm, task, mm.vmacaches[task], width) for task in living[:rows_max]]


def _cache(frame: Frame, mm: MmState, task: int, cache: VmaCacheState, width: int) -> Row:
    row: list[Cell] = [("vmacache ", "dim"), (f"{pad(frame.label(task), 7)} ", "task")]
    is_void = cache.seqnum != mm.vmacache_seqnum
    lit = cache.slot if cache.told_ns >= 0 else -1
    tail = f" {'void' if is_void else cache.what}"
    room = max((width - 18 - cell_width(tail)) // 4 - 1, 1)
    for index, vma in enumerate(cache.vmas):
        name = clip(vma_name(frame, vma), min(room, NAME_WIDTH)) if vma >= 0 else "-"
        style = "faint" if is_void or vma < 0 else "node-walked" if index == lit else "slot"
        row.append((name, style))
        row.append(("│" if index < 3 else "", "faint"))
    style = "warn" if is_void else "good" if cache.what == "hit" else "dim"
    row.append((tail, style))
    if cache.hits + cache.misses:
        row.append((f" · {count(cache.hits)} of {count(cache.hits + cache.misses)} hit", "dim"))
    return tuple(row)
