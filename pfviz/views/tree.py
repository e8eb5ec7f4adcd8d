"""The tree of VMAs as it is in memory: nodes, fill, ranges, gaps, who walks, what died."""

from __future__ import annotations

from typing import Final

from pfviz.sim.event import unsigned

from . import rb_tree
from .frame import Frame, TaskState
from .look import DEFAULT, Look, absent, message, shown_mm
from .memory_state import MmState, NodeState
from .numbers import address_short, count, duration, size
from .rows import Cell, Row, Rows, cell_width, clip, fit_rows
from .tree_marks import is_writing, vma_name, walk_marks, walkers

CAPACITY: Final = {"leaf_64": 16, "range_64": 16, "arange_64": 10}
"""Slots by node type (include/linux/maple_tree.h, 64-bit)."""
TASK_SIZE: Final = (1 << 47) - 4096
"""Where user space ends with four-level page tables (x86-64): no gap counts beyond."""
_DEAD_SHOWN_MAX: Final = 3

Line = tuple[str, NodeState | None, int]
"""(branches before it, the node, or None and how many cold nodes it stands for)."""


def paint(frame: Frame, width: int, height: int, look: Look = DEFAULT) -> Rows:
    """The tree from its root, one node a row; cold subtrees fold up when there is no room."""
    if why := absent(frame, "tree"):
        return message(why, width, height, look)
    number = shown_mm(frame, look)
    mm = frame.mms.get(number)
    if mm is None or not mm.nodes:
        text = "the tree is empty" if mm is not None else "no tree is known yet"
        if mm is not None and mm.tree_events:
            return _told(frame, mm, width, height, look)
        return message(text, width, height, look)
    if mm.has_rb_tree:
        rows = rb_tree.paint_rows(frame, number, mm, width, height, look)
        return fit_rows(rows, width, height, look.glyphs.ascii_only)
    walking = walkers(frame, number, mm)
    foot = _foot(frame, mm, width) if height >= 6 else []
    room = height - len(foot)
    lines = _lines(mm, None, look)
    if len(lines) > room:
        lines = _lines(mm, _hot(mm, walking), look)
    lines = _cut(lines, room, walking)
    rows = []
    spare = room - len(lines)
    for branches, node, folded in lines:
        if node is None:
            what = "dead node" if not branches else "node"
            text = f"… {count(folded)} {what}{'s' if folded != 1 else ''}"
            rows.append(((branches, "faint"), (text, "faint")))
            continue
        here = walking.get(node.id, [])
        rows.append(_node(frame, mm, node, branches, here, width, look))
        wants = node.is_leaf and (here or node.changed_ns == mm.write_ns or len(mm.nodes) == 1)
        if wants and spare > 0 and node.dead_ns < 0:
            under = branches.replace("├", "│").replace("└", " ").replace("─", " ")
            under = under.replace("|-", "| ").replace("`-", "  ")
            rows.append(_slots(frame, node, under, here, width))
            spare -= 1
    rows.extend(() for _ in range(room - len(rows)))
    return fit_rows([*rows[:room], *foot], width, height, look.glyphs.ascii_only)


def _told(frame: Frame, mm: MmState, width: int, height: int, look: Look) -> Rows:
    """The last reads and writes of a tree whose nodes are not known: all a capture has."""
    rows: list[Row] = []
    for told in mm.tree_events[-max(height, 0) :]:
        now, task, what, function, index = told[:5]
        style = "hold-write" if what != "r" else "text"
        rows.append((
            (f"{what} ", style),
            (f"{function:<18} ", style),
            (f"{address_short(unsigned(index))} ", "address"),
            (f"{frame.label(task)} ", "task"),
            (f"{duration(frame.now_ns - now)} ago", "dim"),
        ))  # fmt: skip
    return fit_rows(rows, width, height, look.glyphs.ascii_only)


def title(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's title: which kind of tree the kernel has."""
    mm = frame.mms.get(shown_mm(frame, look))
    return "Red-black tree" if mm is not None and mm.has_rb_tree else "Maple tree"


def summary(frame: Frame, look: Look = DEFAULT) -> str:
    """The pane's foot: `height 2 · 4 nodes · 1 dead`."""
    mm = frame.mms.get(shown_mm(frame, look))
    if mm is None or not mm.nodes:
        return ""
    dead = sum(1 for node in mm.nodes.values() if node.dead_ns >= 0)
    alive = len(mm.nodes) - dead
    if mm.has_rb_tree:
        return f"{count(alive)} VMA{'s' if alive != 1 else ''} · black height {mm.height}"
    text = f"height {mm.height} · {count(alive)} node{'s' if alive != 1 else ''}"
    return f"{text} · {dead} dead" if dead else text


def _hot(mm: MmState, walkers: dict[int, list[TaskState]]) -> set[int]:
    """The nodes to show when not all fit: walked, just written, just died; and their parents."""
    hot: set[int] = set()
    recent = sorted(
        (node for node in mm.nodes.values() if node.dead_ns >= 0),
        key=lambda node: (-node.dead_ns, node.id),
    )
    wanted = [*walkers, *(node.id for node in recent[:_DEAD_SHOWN_MAX])]
    wanted.extend(node.id for node in mm.nodes.values() if node.changed_ns == mm.write_ns)
    for number in wanted:
        steps = 0
        while number in mm.nodes and number not in hot and steps < 32:
            hot.add(number)
            number = mm.nodes[number].parent
            steps += 1
    return hot


def _lines(mm: MmState, hot: set[int] | None, look: Look) -> list[Line]:
    """The tree depth first; with `hot`, runs of other nodes become one line."""
    children: dict[int, list[NodeState]] = {}
    orphans: list[NodeState] = []
    for node in mm.nodes.values():
        if node.id == mm.root:
            continue
        if node.parent in mm.nodes and node.parent != node.id:
            children.setdefault(node.parent, []).append(node)
        else:
            orphans.append(node)
    for siblings in children.values():
        siblings.sort(key=lambda node: (node.parent_slot, node.dead_ns >= 0, node.min, node.id))
    lines: list[Line] = []
    seen: set[int] = set()
    glyphs = look.glyphs

    def put(node: NodeState, branches: str, under: str) -> None:
        if node.id in seen:
            return
        seen.add(node.id)
        lines.append((branches, node, 1))
        below = children.get(node.id, [])
        groups = _grouped(below, hot)
        for index, group in enumerate(groups):
            last = index == len(groups) - 1
            branch = glyphs.branch_last if last else glyphs.branch
            if isinstance(group, int):
                lines.append((under + branch, None, group))
                continue
            put(group, under + branch, under + ("   " if last else glyphs.branch_past))

    if mm.root in mm.nodes:
        put(mm.nodes[mm.root], "", "")
    orphans.sort(key=lambda node: (-node.dead_ns, node.id))
    shown = orphans if hot is None else [node for node in orphans if node.id in hot]
    for node in shown:
        put(node, "", "")
    if len(shown) < len(orphans):
        lines.append(("", None, len(orphans) - len(shown)))
    return lines


def _grouped(nodes: list[NodeState], hot: set[int] | None) -> list[NodeState | int]:
    if hot is None:
        return list(nodes)
    groups: list[NodeState | int] = []
    for node in nodes:
        if node.id in hot:
            groups.append(node)
        elif groups and isinstance(last := groups[-1], int):
            groups[-1] = last + 1
        else:
            groups.append(1)
    return groups


def _cut(lines: list[Line], room: int, walkers: dict[int, list[TaskState]]) -> list[Line]:
    """At most `room` lines: the root, then those around the walk."""
    if len(lines) <= room or room <= 0:
        return lines[: max(room, 0)]
    at = next((index for index, line in enumerate(lines) if line[1] and line[1].id in walkers), 0)
    first = min(max(at - (room - 1) // 2, 1), len(lines) - room + 1)
    return [lines[0], *lines[first : first + room - 1]]


def _node(
    frame: Frame, mm: MmState, node: NodeState, branches: str, here: list[TaskState], width: int,
    look: Look,
) -> Row:  # fmt: skip
    glyphs = look.glyphs
    used = len(node.slots)
    dead = node.dead_ns >= 0
    style = "node-dead" if dead else "node-walked" if here else "node"
    row: list[Cell] = [(branches, "faint"), (f"{node.type:<9} ", style)]
    if dead:
        why = f" ({node.dead_why})" if node.dead_why else ""
        age = duration(frame.now_ns - node.dead_ns)
        row.append((f"dead {age}, waits for its grace period{why}", "node-dead"))
        row.extend(walk_marks(frame, here, look))
        return tuple(row)
    capacity = max(CAPACITY.get(node.type, 16), used)
    left = width - cell_width(branches) - 10
    if left >= capacity + 8:
        row.append((glyphs.slot * used, "node-walked" if here else "slot"))
        row.append((glyphs.slot_free * (capacity - used) + " ", "slot-free"))
    row.append((f"{used}/{capacity} ", "number"))
    marks = walk_marks(frame, here, look)
    left -= sum(cell_width(text) for text, _ in marks)
    row.extend(marks)
    if left >= capacity + 26:
        row.append((f"{address_short(node.min)}…{address_short(node.max)} ", "address"))
    gap = max(node.gaps, default=0) or _leaf_gap(node)
    if gap > 0 and left >= capacity + 44:
        row.append((f"gap {size(gap >> 12)} ", "gap"))
    if not here and node.changed_ns == mm.write_ns and is_writing(frame, mm):
        row.append((f"{glyphs.arrow_left} written", "accent"))
    return tuple(row)


def _leaf_gap(node: NodeState) -> int:
    """The largest range without a VMA in a leaf below the last one, in bytes."""
    low, largest = node.min, 0
    for slot, pivot in zip(node.slots, node.pivots, strict=False):
        if slot < 0:
            largest = max(largest, min(pivot + 1, TASK_SIZE) - low)
        low = pivot + 1
    return largest


def _slots(frame: Frame, node: NodeState, under: str, here: list[TaskState], width: int) -> Row:
    """A leaf's slots by name, with the one that a walk is at lit."""
    row: list[Cell] = [(under + "  ", "faint")]
    lit = {task.walk_slot for task in here}
    left = width - cell_width(under) - 2
    for index, slot in enumerate(node.slots):
        name = "gap" if slot < 0 else vma_name(frame, slot)
        text = clip(name, 12)
        more = len(node.slots) - index - 1
        if cell_width(text) + 1 > left - (2 if more else 0):
            row.append(("…", "faint"))
            break
        style = "node-walked" if index in lit else "gap" if slot < 0 else "slot"
        row.append((text, style))
        row.append(("│" if more else "", "faint"))
        left -= cell_width(text) + 1
    return tuple(row)


def _foot(frame: Frame, mm: MmState, width: int) -> list[Row]:
    """The last write: its store type, by whom, how long ago."""
    if mm.write_ns < 0 or mm.write_task < 0:
        return []
    ago = duration(frame.now_ns - mm.write_ns)
    low, high = mm.write_range
    where = f" [{address_short(low)}…{address_short(high)}]" if width >= 60 else ""
    who = f" by {frame.label(mm.write_task)}"
    return [(("last write ", "dim"), (mm.write_function, "accent"),
             (f"{where}{who}, {ago} ago", "dim"))]  # fmt: skip
