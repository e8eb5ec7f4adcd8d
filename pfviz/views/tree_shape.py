"""Which nodes of a maple tree are shown, in which order and how deep; no text.

The tree is followed by its slots from the root, as the kernel does. A dead node stands just before
the one that took its range over, nodes that are being built at the end.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from .frame import TaskState
from .look import TreeLook
from .memory_state import MmState, NodeState

COUNTED_MAX: Final = 4_000
"""Trees of more nodes than this are not counted through for what lies below a folded node."""
DEPTH_MAX: Final = 31
"""No maple tree is deeper (MAPLE_HEIGHT_MAX)."""
DEAD_MIN: Final = 3
"""So many dead nodes are shown before other nodes get their room."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the picture: a node (live, dead or built), or one slot of a leaf (`slot` >= 0)."""

    node: NodeState
    ways: tuple[bool, ...] = ()
    """Per level above it whether its branch goes on below this row."""
    is_last: bool = True
    is_folded: bool = False
    is_built: bool = False
    slot: int = -1
    run: int = 0
    """How many siblings this row stands for, from `node` on, for which there was no room."""

    @property
    def is_dead(self) -> bool:
        """Whether the node was replaced and waits for its grace period."""
        return self.node.dead_ns >= 0


@dataclass(frozen=True, slots=True)
class Shape:
    """The rows of a tree, and what is left out of them."""

    lines: tuple[Line, ...]
    dead_left_out: int = 0


Walkers = dict[int, list[TaskState]]
Hot = dict[int, int]
"""Node -> how soon it is to be seen: 0 for a walker, 1 for a store."""
Opened = dict[int, frozenset[int]]
"""Node -> which of its slots are shown."""


def shape(mm: MmState, walkers: Walkers, room: int, look: TreeLook) -> Shape:
    """The rows to show where there are `room` of them; more only where somebody opened nodes."""
    if mm.root not in mm.nodes:
        return Shape(())
    built = sorted(mm.built.values(), key=lambda node: (node.is_leaf, node.min, node.id))
    dead = _dead_shown(mm, walkers, _dead_most(mm, room))
    room = max(room - len(dead) - len(built), 1)
    hot = _hot(mm, walkers, look)
    opened = _opened(mm, hot, room, look)
    attached, loose = _attached(mm, dead)
    lines: list[Line] = []
    _put(mm, mm.root, (), True, opened, attached, lines)
    lines.extend(Line(node) for node in loose)
    lines.extend(Line(node, is_built=True) for node in built)
    return Shape(tuple(lines), sum(node.dead_ns >= 0 for node in mm.nodes.values()) - len(dead))


def path_to(mm: MmState, address: int) -> list[int]:
    """The nodes from the root to the one that covers an address; nothing without a tree."""
    path: list[int] = []
    number = mm.root
    while number in mm.nodes and len(path) <= DEPTH_MAX:
        node = mm.nodes[number]
        path.append(number)
        if node.is_rb:
            if node.min <= address <= node.max:
                break
            number = node.slots[0 if address < node.min else 2]
            continue
        slot = slot_of(node, address)
        if node.is_leaf or slot < 0:
            break
        number = node.slots[slot]
    return path


def above(mm: MmState, number: int) -> list[int]:
    """The live nodes above one, the nearest first; a dead one hangs where its heir does."""
    found: list[int] = []
    node = _heir(mm, mm.nodes[number]) if number in mm.nodes else None
    while node is not None and len(found) <= DEPTH_MAX:
        parent = mm.nodes.get(node.parent)
        if parent is None or parent is node:
            break
        found.append(parent.id)
        node = parent
    return found


def slot_of(node: NodeState, address: int) -> int:
    """The slot of a node that covers an address; -1 when it does not cover it."""
    if not node.min <= address <= node.max:
        return -1
    for slot, pivot in enumerate(node.pivots):
        if address <= pivot:
            return slot
    return len(node.slots) - 1


def below(mm: MmState, node: NodeState) -> tuple[int, int]:
    """How many nodes and VMAs lie below a node; (its children, -1) in a very large tree."""
    if len(mm.nodes) > COUNTED_MAX:
        return len(node.slots), -1
    nodes = vmas = 0
    pending = [node]
    while pending:
        one = pending.pop()
        if one.is_leaf:
            vmas += sum(slot >= 0 for slot in one.slots)
            continue
        children = [mm.nodes[slot] for slot in one.slots if slot in mm.nodes]
        nodes += len(children)
        pending.extend(children)
        if nodes > COUNTED_MAX:
            return len(node.slots), -1
    return nodes, vmas


# What is chosen


def _dead_shown(mm: MmState, walkers: Walkers, most: int) -> list[NodeState]:
    """The dead that are shown: where somebody still stands, then those that died last."""
    dead = [node for node in mm.nodes.values() if node.dead_ns >= 0]
    dead.sort(
        key=lambda node: (
            node.id not in walkers, -node.dead_ns, not node.is_leaf, node.min, node.id
        )
    )  # fmt: skip
    return dead[:most]


def _dead_most(mm: MmState, room: int) -> int:
    """How many dead nodes may be shown: all that the last store replaced, where the tree is small.

    What is left then goes to the names in the nodes that it made.
    """
    most = max(min(DEAD_MIN, room // 5), room // 8)
    if mm.store is None:
        return most
    alive = sum(node.dead_ns < 0 for node in mm.nodes.values())
    spare = room - alive - len(mm.built) - len(mm.store.born)
    return max(most, min(len(mm.store.dead), spare))


def _hot(mm: MmState, walkers: Walkers, look: TreeLook) -> Hot:
    """The nodes to open first: on the way to the cursor or a walker (0), or to a store (1)."""
    hot: Hot = {}
    written = [*mm.store.born, *mm.store.changed] if mm.store is not None else []
    wanted = ([look.cursor, *walkers], written)
    for rank, numbers in enumerate(wanted):
        for number in numbers:
            for one in (number, *above(mm, number)):
                hot.setdefault(one, rank)
    return hot


def _opened(mm: MmState, hot: Hot, room: int, look: TreeLook) -> Opened:
    """The inner nodes whose children are shown (and which of them), and leaves opened by hand.

    Of what nobody opened by hand hot nodes come first, then level by level while there is room. The
    root and hot nodes are opened in part where they do not fit.
    """
    opened: Opened = {}
    used, root = 1, mm.nodes[mm.root]
    waiting = [(0, 0, root.min, root.id)]
    while waiting:
        rank, depth, _, number = heapq.heappop(waiting)
        node = mm.nodes[number]
        by_hand = rank < 0 or number in look.opened
        if number in look.folded or number in opened or (node.is_leaf and not by_hand):
            continue
        shown = list(range(len(node.slots)))
        if not by_hand and used + len(shown) > room:
            if rank > 1 and depth:
                continue
            shown = _part(node, hot, room - used)
        used += len(shown)
        opened[number] = frozenset(shown)
        if node.is_leaf or depth >= DEPTH_MAX:
            continue
        for slot in (node.slots[at] for at in shown):
            child = mm.nodes.get(slot)
            if child is not None and child.dead_ns < 0:
                first = -1 if slot in look.opened else hot.get(slot, 2)
                heapq.heappush(waiting, (first, depth + 1, child.min, slot))
    return opened


def _part(node: NodeState, hot: Hot, room: int) -> list[int]:
    """The slots of a node that are shown where not all fit: hot ones, then the first ones.

    A run of those left out takes a row as well.
    """
    order = sorted(range(len(node.slots)), key=lambda at: (hot.get(node.slots[at], 2), at))
    wanted = sum(node.slots[at] in hot for at in order)
    return sorted(order[: max(wanted, room - wanted - 1, 1)])


# Where the dead hang


def _heir(mm: MmState, node: NodeState) -> NodeState | None:
    """The live node that has a dead one's range now; a live one is its own."""
    seen = 0
    while node.dead_ns >= 0:
        following = next((mm.nodes[heir] for heir in node.heirs if heir in mm.nodes), None)
        if following is None or seen > COUNTED_MAX:
            return None
        node = following
        seen += 1
    return node


def _sibling(mm: MmState, node: NodeState) -> NodeState | None:
    """The child that has a dead node's place in its parent, where nobody took its range over."""
    parent = mm.nodes.get(node.parent)
    if parent is None or parent.dead_ns >= 0 or parent.is_leaf or not parent.slots:
        return None
    return mm.nodes.get(parent.slots[min(node.parent_slot, len(parent.slots) - 1)])


def _attached(
    mm: MmState, dead: list[NodeState]
) -> tuple[dict[int, list[NodeState]], list[NodeState]]:
    """Live node -> the dead before it; and those whose level or range is gone."""
    attached: dict[int, list[NodeState]] = {}
    loose: list[NodeState] = []
    for node in dead:
        beside = _heir(mm, node) or _sibling(mm, node)
        if beside is None:
            loose.append(node)
        else:
            attached.setdefault(beside.id, []).append(node)
    for group in attached.values():
        group.sort(key=lambda node: (node.min, node.dead_ns, node.id))
    return attached, loose


def _put(
    mm: MmState,
    number: int,
    ways: tuple[bool, ...],
    is_last: bool,
    opened: Opened,
    attached: dict[int, list[NodeState]],
    lines: list[Line],
) -> None:
    node = mm.nodes[number]
    lines.extend(Line(dead, ways, False) for dead in attached.get(number, ()))
    shown = opened.get(number)
    lines.append(Line(node, ways, is_last, shown is None and not node.is_leaf))
    if shown is None or len(ways) > DEPTH_MAX:
        return
    inner = (*ways, not is_last)
    last = len(node.slots) - 1
    if node.is_leaf:
        lines.extend(Line(node, inner, slot == last, slot=slot) for slot in range(last + 1))
        return
    for is_shown, group in groupby(range(last + 1), shown.__contains__):
        slots = [slot for slot in group if node.slots[slot] in mm.nodes]
        if not is_shown and slots:
            first = mm.nodes[node.slots[slots[0]]]
            lines.append(Line(first, inner, slots[-1] == last, run=len(slots)))
            continue
        for slot in slots:
            _put(mm, node.slots[slot], inner, slot == last, opened, attached, lines)
