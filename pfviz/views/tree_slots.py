"""One maple node slot by slot: pivots, ranges, what slots hold, gaps, and its 256 bytes in words.

Shows the node under the cursor as it is at the moment shown; a dead one as it was when it died.
"""

from __future__ import annotations

from typing import Final

from pfviz.mm.maple.node import MapleNode
from pfviz.mm.maple.raw import RawWord, raw_words

from .frame import Frame, TaskState
from .look import Look
from .memory_state import MmState, NodeState
from .numbers import address_short, duration
from .rows import Cell, Row, cell_width, clip, pad, row_width
from .tree_dead import waits_for
from .tree_lines import CAPACITY, numbers
from .tree_marks import gap_text, vma_name, walk_marks, walkers

TYPES: Final = {"leaf_64": 1, "range_64": 2, "arange_64": 3}
ROWS_MIN: Final = 4
"""With fewer rows none is spent on saying that more follow."""
WORDS_WIDTH: Final = 36
SLOTS_WIDTH: Final = 64
"""From `SLOTS_WIDTH + WORDS_WIDTH` cells on the words of memory stand beside the slots."""


def paint_rows(
    frame: Frame, number: int, mm: MmState, width: int, height: int, look: Look
) -> list[Row]:
    """The node under the cursor, or why there is none to show."""
    node = mm.nodes.get(look.tree.cursor)
    if node is None:
        text = "this node is not in memory at this moment" if look.tree.cursor >= 0 else "no node"
        return [((text, "dim"),)]
    here = walkers(frame, number, mm).get(node.id, [])
    rows = _heading(frame, mm, node, here, look)
    slots = [_columns()]
    slots += [_slot(frame, mm, node, slot, here, look) for slot in range(len(node.slots))]
    words = [_word(frame, node, position, word) for position, word in enumerate(_words(node))]
    heading: Row = (("memory, 256 bytes in 8-byte words", "dim"),)
    if width >= SLOTS_WIDTH + WORDS_WIDTH:
        left = width - WORDS_WIDTH
        rows += _beside(slots, [heading, *words], left)
    else:
        rows += [*slots, heading, *words]
    top = max(min(look.top, len(rows) - height), 0)
    seen, below = rows[top : top + height], len(rows) - top - height
    if below > 0 and height >= ROWS_MIN:
        seen[-1] = ((f"  … {below + 1} rows below", "faint"),)
    return seen


def _heading(
    frame: Frame, mm: MmState, node: NodeState, here: list[TaskState], look: Look
) -> list[Row]:
    capacity = CAPACITY.get(node.type, 16)
    row: list[Cell] = [
        (f"{node.type} ", "strong"),
        (f"#{node.id}  ", "dim"),
        (f"{len(node.slots)}/{capacity} slots  ", "number"),
        (f"{address_short(node.min)}…{address_short(node.max)}  ", "address"),
    ]
    row.extend(walk_marks(frame, here, look))
    return [tuple(row), _parent(frame, mm, node)]


def _parent(frame: Frame, mm: MmState, node: NodeState) -> Row:
    if node.dead_ns >= 0:
        age = duration(frame.now_ns - node.dead_ns)
        heirs = numbers(node.heirs) or "nothing"
        return (("parent: itself, so it is dead ", "node-dead"),
                (f"since {age}; its range went to {heirs}; ", "dim"),
                (waits_for(frame, node), "dim"))  # fmt: skip
    if node.id == mm.root:
        return (("parent: the tree (bit 0 set): it is the root", "dim"),)
    return ((f"parent: #{node.parent}, slot {node.parent_slot}", "dim"),)


def _columns() -> Row:
    row: list[Cell] = [("slot ", "dim"), (pad("first", 13), "dim"), (pad("pivot", 13), "dim")]
    row.append(("holds", "dim"))
    return tuple(row)


def _slot(
    frame: Frame, mm: MmState, node: NodeState, slot: int, here: list[TaskState], look: Look
) -> Row:
    first = node.pivots[slot - 1] + 1 if slot else node.min
    last = node.pivots[slot]
    at = [task for task in here if task.walk_slot == slot]
    # The pivot of the last slot is not stored in a full node: the parent has it.
    is_implied = slot == CAPACITY.get(node.type, 16) - 1
    row: list[Cell] = [
        (f"{slot:>3}  ", "node-walked" if at else "dim"),
        (pad(address_short(first), 13), "address"),
        (pad(f"({address_short(last)})" if is_implied else address_short(last), 13), "address"),
        *_held(frame, mm, node, slot),
        *walk_marks(frame, at, look),
    ]
    return tuple(row)


def _held(frame: Frame, mm: MmState, node: NodeState, slot: int) -> list[Cell]:
    value = node.slots[slot]
    first = node.pivots[slot - 1] + 1 if slot else node.min
    length = gap_text(node.pivots[slot] - first + 1)
    if not node.is_leaf:
        child = mm.nodes.get(value)
        kind = f"{child.type} {len(child.slots)}/{CAPACITY.get(child.type, 16)} " if child else ""
        known = node.gaps[slot] if slot < len(node.gaps) else 0
        gap = f"gap {gap_text(known)} " if known else "no gap " if node.gaps else ""
        largest = "largest " if node.gaps and slot == node.gap_slot else ""
        return [(f"#{value} ", "node"), (kind, "dim"), (gap, "gap"), (largest, "dim")]
    names = [vma_name(frame, slot) if slot >= 0 else "NULL" for slot in node.slots]
    column = min(max(cell_width(name) for name in names), 20)
    if value < 0:
        return [(pad("NULL", column), "gap"), (" " * 6, "text"), (f"{length} ", "gap")]
    vma = frame.vmas.get(value)
    perms = f"{vma.perms} " if vma is not None else ""
    name = pad(clip(vma_name(frame, value), 20), column)
    cells: list[Cell] = [(f"{name} ", "vma"), (perms, "dim"), (f"{length} ", "number")]
    if vma is not None and (vma.start > first or vma.end <= node.pivots[slot]):
        cells.append(("its own range differs now ", "warn"))
    return cells


# Memory


def _words(node: NodeState) -> list[RawWord]:
    """The node's words in memory order, ids where pointers are."""
    gaps = list(node.gaps) if node.gaps else None
    kind = TYPES.get(node.type, 1)
    slots = [None if slot < 0 else slot for slot in node.slots]
    twin = MapleNode(node.id, kind, node.min, list(node.pivots), slots, gaps)
    twin.gap_slot = node.gap_slot
    twin.parent_slot = node.parent_slot
    return raw_words(twin)


def _word(frame: Frame, node: NodeState, position: int, word: RawWord) -> Row:
    name = word.field if word.field in ("parent", "meta") else f"{word.field}[{word.offset}]"
    style = "text" if word.in_use else "faint"
    return ((f"+{8 * position:03x} ", "faint"), (pad(name, 10), "dim"),
            (_value(frame, node, word), style))  # fmt: skip


def _value(frame: Frame, node: NodeState, word: RawWord) -> str:
    if word.field == "parent":
        if node.dead_ns >= 0:
            return f"#{node.id} itself"
        return "the tree" if node.parent < 0 else f"#{node.parent} | slot {node.parent_slot}"
    if word.field == "meta":
        end, gap_slot = word.value
        return f"end {end}, gap {gap_slot}" if node.gaps else f"end {end}"
    if word.field == "slot":
        if word.value is None:
            return "NULL" if word.in_use else "0"
        return clip(vma_name(frame, word.value), 20) if node.is_leaf else f"#{word.value}"
    return f"{word.value:#x}" if word.value else "0"


def _beside(left: list[Row], right: list[Row], width: int) -> list[Row]:
    """Two columns, the left one `width` cells wide."""
    rows: list[Row] = []
    for index in range(max(len(left), len(right))):
        one = left[index] if index < len(left) else ()
        two = right[index] if index < len(right) else ()
        fill = max(width - row_width(one), 1)
        rows.append((*one, (" " * fill, "text"), *two))
    return rows
