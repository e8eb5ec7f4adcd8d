"""The tree of VMAs as it is in memory: nodes, fill, ranges, gaps, who walks, what died.

Chooses the drawing: maple tree, one of its nodes slot by slot, red-black tree, or what a capture
tells. The drawings are in files of their own.
"""

from __future__ import annotations

from itertools import pairwise

from . import rb_tree, tree_slots, tree_told
from .frame import Frame, TaskState
from .look import DEFAULT, Look, absent, message, window
from .memory_state import MmState, StoreState
from .numbers import address_short, count, duration
from .rows import Cell, Row, Rows, clip, fit, fit_rows
from .tree_choice import is_copy, tree_mm
from .tree_lines import drawing_of, names_below, numbers, paint_line
from .tree_marks import is_writing, walkers
from .tree_shape import Line, Shape, above, shape

ROWS_MIN: int = 4
"""With fewer rows none is spent on saying that more follow."""
SIDE_BY_SIDE: int = 150
"""From this width on, the node under the cursor stands beside the tree and not in its place."""


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """The tree from its root, one node a row; cold subtrees fold up when there is no room."""
    if why := absent(frame, "tree"):
        return message(why, width, height, look)
    number = tree_mm(frame, look)
    mm = frame.mms.get(number)
    ascii_only = look.glyphs.ascii_only
    if mm is None or not mm.nodes:
        text = "the tree is empty" if mm is not None else "no tree is known yet"
        if mm is not None and mm.tree_events:
            told = tree_told.paint_rows(frame, mm, width, height, look)
            return fit_rows(told, width, height, ascii_only)
        return message(text, width, height, look)
    if mm.has_rb_tree:
        rows = rb_tree.paint_rows(frame, number, mm, width, height, look)
        return fit_rows(rows, width, height, ascii_only)
    if not look.tree.shows_slots:
        rows = _nodes(frame, number, mm, width, height, look)
        return fit_rows(rows, width, height, ascii_only)
    if width < SIDE_BY_SIDE:
        rows = tree_slots.paint_rows(frame, number, mm, width, height, look)
        return fit_rows(rows, width, height, ascii_only)
    left = width * 9 // 20
    tree = fit_rows(_nodes(frame, number, mm, left, height, look), left, height, ascii_only)
    detail = tree_slots.paint_rows(frame, number, mm, width - left - 2, height, look)
    beside = fit_rows(detail, width - left - 2, height, ascii_only)
    rule: Row = ((f"{look.glyphs.now} ", "faint"),)
    return tuple(fit(a + rule + b, width, ascii_only) for a, b in zip(tree, beside, strict=True))


def node_ids(frame: Frame, height: int, look: Look = DEFAULT) -> list[int]:
    """The nodes of the tree that have a row, from top to bottom: what a cursor moves over."""
    number = tree_mm(frame, look)
    mm = frame.mms.get(number)
    if mm is None or not mm.nodes:
        return []
    if mm.has_rb_tree:
        return rb_tree.node_ids(frame, number, mm, height, look)
    shown = _shape(frame, number, mm, height, look)
    rows = [line for line in shown.lines if line.slot < 0 and not line.run]
    return [line.node.id for line in rows if not line.is_built]


def is_opened(frame: Frame, node: int, height: int, look: Look = DEFAULT) -> bool:
    """Whether rows below a node show its children or its slots."""
    number = tree_mm(frame, look)
    mm = frame.mms[number]
    if mm.has_rb_tree:
        return rb_tree.is_opened(frame, number, mm, node, height, look)
    lines = _shape(frame, number, mm, height, look).lines
    for line, after in pairwise(lines):
        if line.node.id == node and line.slot < 0 and not line.run and not line.is_dead:
            return len(after.ways) > len(line.ways)
    return False


def title(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's title: which kind of tree the kernel has."""
    mm = frame.mms.get(tree_mm(frame, look))
    kind = "Red-black tree" if mm is not None and mm.has_rb_tree else "Maple tree"
    return f"{kind}, the copy" if is_copy(frame, look) else kind


def summary(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's foot: `height 2 · 4 nodes · 1 dead`."""
    mm = frame.mms.get(tree_mm(frame, look))
    if mm is None or not mm.nodes:
        return ""
    dead = sum(1 for node in mm.nodes.values() if node.dead_ns >= 0)
    alive = len(mm.nodes) - dead
    if mm.has_rb_tree:
        return f"{count(alive)} VMA{'s' if alive != 1 else ''} · black height {mm.height}"
    text = f"height {mm.height} · {count(alive)} node{'s' if alive != 1 else ''}"
    return f"{text} · {count(dead)} dead" if dead else text


def _foot_height(height: int) -> int:
    return 0 if height < 6 else 1 if height < 14 else 2


def _shape(frame: Frame, number: int, mm: MmState, height: int, look: Look) -> Shape:
    foot = _foot_height(height)
    # One row more may be needed to count the dead that are left out.
    has_dead = foot > 0 and any(node.dead_ns >= 0 for node in mm.nodes.values())
    room = height - foot - has_dead
    return shape(mm, walkers(frame, number, mm), room, look.tree)


def _nodes(
    frame: Frame, number: int, mm: MmState, width: int, height: int, look: Look
) -> list[Row]:
    """The tree's rows, scrolled to the cursor or else to who walks, and the last store."""
    foot = _foot(frame, mm, width)[: _foot_height(height)]
    walking = walkers(frame, number, mm)
    shown = _shape(frame, number, mm, height, look)
    more = [_more_dead(shown.dead_left_out)] if shown.dead_left_out and foot else []
    room = max(height - len(foot) - len(more), 0)
    first, last = window(len(shown.lines), room, look.top, _kept(shown.lines, walking, look, room))
    lines = shown.lines[first:last]
    walked = frozenset(over for node in walking for over in above(mm, node))
    rows: list[Row] = []
    spare = room - len(lines)
    leaves = sum(line.node.is_leaf and line.slot < 0 and not line.is_dead for line in lines)
    drawing = drawing_of(frame, mm, look, width, lines, walking, walked, leaves <= spare)
    for index, line in enumerate(lines, 1):
        rows.append(paint_line(drawing, line))
        is_listed = index < len(lines) and lines[index].slot >= 0
        if spare > 0 and not is_listed and drawing.names_below:
            names = names_below(drawing, line, leaves <= room - len(lines))
            rows.extend(() if names is None else (names,))
            spare -= names is not None
    if first and rows:
        rows[0] = ((f"  … {count(first + 1)} rows above", "faint"),)
    below = len(shown.lines) - last
    if below and len(rows) >= ROWS_MIN:
        rows[-1] = ((f"  … {count(below + 1)} rows below", "faint"),)
    rows.extend(() for _ in range(room - len(rows)))
    return [*rows, *more, *foot]


def _kept(
    lines: tuple[Line, ...], walking: dict[int, list[TaskState]], look: Look, room: int
) -> int:
    """The row that must be seen when not all fit: below the cursor's, else the first walker's.

    Of a leaf that was opened as many slots are seen as fit.
    """
    wanted = [look.tree.cursor] if look.tree.cursor >= 0 else walking
    for index, line in enumerate(lines):
        if line.node.id in wanted:
            slots = sum(below.slot >= 0 and below.node is line.node for below in lines[index:])
            return min(index + min(slots + 1, max(room - 2, 1)), len(lines) - 1)
    return -1


def _more_dead(dead: int) -> Row:
    nodes = "nodes wait" if dead > 1 else "node waits"
    return ((f"  {count(dead)} more dead {nodes} for the grace period", "faint"),)


def _foot(frame: Frame, mm: MmState, width: int) -> list[Row]:
    """The last store: its type, by whom, when; which nodes took the place of which."""
    if mm.write_ns < 0 or mm.write_task < 0:
        return []
    ago = duration(frame.now_ns - mm.write_ns)
    who = f" by {frame.label(mm.write_task)}, {ago} ago"
    store = mm.store
    if store is None or store.now_ns != mm.write_ns:
        return [(("last write ", "dim"), (mm.write_function, "accent"), (who, "dim"))]
    row: list[Cell] = [("last store ", "dim"), (store.type, "accent"), (who, "dim")]
    where = f" {address_short(store.first)}…{address_short(store.last)}"
    if width >= 76:
        row.append((where, "address"))
    style = "accent" if is_writing(frame, mm) else "dim"
    return [tuple(row), ((clip(_deeds(store, width), width), style),)]


def _deeds(store: StoreState, width: int) -> str:
    """What a store did: `#3 → #7 #8: 17 slots split in two` or `#3 changed in place`.

    Where that does not fit the nodes, which have their marks, are only counted.
    """
    after, shorter = (_acts(store, level_max) for level_max in (31, 1))
    if not store.born:
        return f"{numbers(store.changed)} changed in place{after}" if store.changed else after[2:]
    dead, born = numbers(store.dead) or "nothing", numbers(store.born)
    counted = f"{len(store.dead)} node{'s' if len(store.dead) != 1 else ''}"
    nodes = (f"{dead} → {born}", f"{counted} → {born}", f"{counted} → {len(store.born)}")
    wordings = [f"{words}{acts}" for acts in (after, shorter) for words in nodes]
    return next((words for words in wordings if len(words) <= width), wordings[-1])


def _acts(store: StoreState, level_max: int) -> str:
    """What was done on the levels up to one, the leaves being level 1."""
    acts = [
        f"{slots} slots {ACTS[name]}" if name in SLOTTED else ACTS.get(name, name)
        for name, level, slots, _, _ in store.acts
        # What copies the parent, with its new slots, goes without saying.
        if name != "final" and level <= level_max and (name, level > 1) != ("make1", True)
    ]
    return f": {', '.join(acts)}" if acts else ""


ACTS: dict[str, str] = {
    "split": "split in two",
    "push_left": "shared with the left sibling",
    "push_right": "shared with the right sibling",
    "rebalance_next": "joined with the right sibling",
    "rebalance_prev": "joined with the left sibling",
    "gather": "gathered",
    "make1": "one new node",
    "make2": "two new nodes",
    "make3": "three new nodes",
    "borrow_next": "the next node taken in",
    "borrow_prev": "the node before taken in",
    "top": "new root",
}
"""What the parts of a split, rebalance or spanning store are in words."""
SLOTTED: frozenset[str] = frozenset(("split", "push_left", "push_right", "gather"))
"""Those of which the number of slots is said."""
