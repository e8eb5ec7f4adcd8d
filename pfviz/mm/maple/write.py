"""What a store decides and what it did: the plan, the graft of new nodes, the record for viewers.

The plan is the kernel's ma_wr_state after mas_wr_store_type(); the record is plain data and says
which trace events the kernel emits. Decides nothing and changes no tree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from pfviz.mm.maple.node import MAX_INDEX, MapleNode

# Kernel names of enum store_type, without their wr_ prefix.
STORE_TYPES = (
    "store_root",
    "new_root",
    "exact_fit",
    "append",
    "slot_store",
    "node_store",
    "split_store",
    "rebalance",
    "spanning_store",
)

# What was decided about a store into a leaf: store_type, offset, offset_end, first, end, r_min,
# r_max, end_piv, content, new_end, as explained in WritePlan. A tuple, for one is made per store.
LeafDecision = tuple[str, int, int, int, int, int, int, int, Any, int]
_NO_LEAF: LeafDecision = ("store_root", 0, 0, 0, 0, 0, 0, 0, None, 0)

# Functions that emit ma_write themselves before the store; mas_store_gfp and mas_erase do not.
_TRACED_CALLERS = {"mas_store": "ma_write", "mas_store_prealloc": "ma_write"}
_TRACED_CALLERS |= {"mtree_store_range": "ma_write", "mtree_erase": "ma_op"}


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """One line of trace group maple_tree; `piv` and `val` only mean something for ma_write."""

    event: str
    fn: str
    min: int
    max: int
    index: int
    last: int
    node_id: int
    piv: int = 0
    val: Any = None


class Rearrangement(NamedTuple):
    """One act inside a split, rebalance or spanning store; level 1 is the leaf level.

    `total` slots were in the work list; `split` and `mid` are the last offsets that went to the
    left and the middle node, where there is one.
    """

    name: str
    level: int
    total: int
    split: int | None = None
    mid: int | None = None


class Graft:
    """New nodes built in private, and what one pointer store will make of them.

    `old` is the node whose place `new` takes; None replaces the whole tree by `new` (a node, an
    entry kept in the root pointer, or nothing) at `height`.
    """

    __slots__ = ("born", "dead", "height", "new", "old", "rearrangements")

    def __init__(self) -> None:
        self.old: MapleNode | None = None
        self.new: Any = None
        self.height = 0
        self.born: list[MapleNode] = []
        self.dead: list[MapleNode] = []
        self.rearrangements: list[Rearrangement] = []

    def note(
        self, name: str, level: int, total: int, split: int | None = None, mid: int | None = None
    ) -> None:
        self.rearrangements.append(Rearrangement(name, level, total, split, mid))


class WritePlan:
    """One store, decided but not done.

    `index` and `last` are the range asked for, `first` and `end` (both inclusive) the range that
    will be written: a null widens over the nulls beside it. `node` is the leaf, or for a spanning
    store the node where the span was found, `level` its level above the leaves (leaf 1).

    In a leaf the range begins in slot `offset`, which covers `r_min` to `r_max` and holds
    `content`, and ends in slot `offset_end`, which ends at `end_piv`; afterwards `new_end` is the
    offset of the last slot. A plan holds for one `generation` of the tree in one mode (`rcu`).
    """

    __slots__ = (
        "bulk",
        "content",
        "decision",
        "end",
        "end_piv",
        "entry",
        "first",
        "generation",
        "graft",
        "height",
        "index",
        "last",
        "level",
        "new_end",
        "node",
        "offset",
        "offset_end",
        "r_max",
        "r_min",
        "rcu",
        "store_type",
        "via",
    )

    # Only what every kind has; the leaf fields are set once a leaf was reached.
    def __init__(self, index: int, last: int, entry: Any, via: str, height: int) -> None:
        self.index = index
        self.last = last
        self.entry = entry
        self.via = via
        self.height = height
        self.bulk = False
        self.generation = 0
        self.rcu = False
        self.store_type = "store_root"
        self.node: MapleNode | None = None
        self.level = height
        self.graft: Graft | None = None
        self.first = index
        self.end = last
        self.content: Any = None
        self.offset = 0
        self.offset_end = 0
        self.r_min = 0
        self.r_max = 0
        self.end_piv = 0
        self.new_end = 0
        self.decision = _NO_LEAF

    def take_leaf(self, leaf: MapleNode, decision: LeafDecision) -> None:
        """Fill in what was decided about a store into a leaf."""
        self.node = leaf
        self.level = 1
        self.decision = decision
        (
            self.store_type,
            self.offset,
            self.offset_end,
            self.first,
            self.end,
            self.r_min,
            self.r_max,
            self.end_piv,
            self.content,
            self.new_end,
        ) = decision

    def take_span(self, node: MapleNode, offset: int, level: int) -> None:
        """Fill in where the range leaves a node."""
        self.store_type = "spanning_store"
        self.node = node
        self.level = level
        self.offset = offset
        self.r_max = node.pivots[offset]


class WriteFields(NamedTuple):
    """What a Write holds: `node_id`, `node_min` and `node_max` say where it was decided.

    Id 0 is a tree without nodes.
    """

    store_type: str
    via: str
    index: int  # type: ignore[assignment]  # the kernel's name, not tuple.index
    last: int
    first: int
    end: int
    entry: Any
    r_max: int
    new_end: int
    height: int
    prealloc: int
    node_id: int
    node_min: int
    node_max: int
    born: tuple[int, ...]
    dead: tuple[int, ...]
    changed: list[int]
    rearrangements: list[Rearrangement]
    asked: int | None = None


class Write(WriteFields):
    """The record of the last store: plain data, node ids only.

    `born` nodes entered the tree, `dead` ones left it, `changed` ones were altered in place (the
    leaf itself, a parent whose slot was switched, ancestors whose gaps moved). `asked` is the index
    that mtree_erase was called with, None for other stores.
    """

    # A record for viewers: two trees that differ only in it are the same world.
    is_cache = True

    __slots__ = ()

    def erasing(self, index: int) -> Write:
        """Return the same record, of an mtree_erase that was called with `index`."""
        return Write(*self[:-1], index)

    def trace(self, kernel: str = "6.12") -> tuple[TraceEvent, ...]:
        """Return the trace events of this store in the order the kernel emits them.

        Functions and operands as recorded on Linux 6.1 and 6.12. A caller that has just made its
        ma_state has not walked yet, so its event shows no node; mas_preallocate has widened a null
        before mas_store_prealloc shows it; a spanning store shows the range asked for.
        """
        place = (self.node_min, self.node_max)
        span = self.store_type == "spanning_store"
        asked = (*place, self.index, self.last, self.node_id)
        widened = asked if span else (*place, self.first, self.end, self.node_id)
        if self.asked is not None:
            # mtree_erase announces itself before it has looked for the range.
            call = (0, MAX_INDEX, self.asked, self.asked, 0)
        elif self.via.startswith("mtree_"):
            call = (0, MAX_INDEX, self.index, self.last, 0)
        else:
            call = widened if self.via == "mas_store_prealloc" else asked
        events = []
        traced = _TRACED_CALLERS.get(self.via)
        if self.via == "mas_store_gfp" and kernel == "6.1":
            traced = "ma_write"
        if traced is not None:
            value = self.entry if traced == "ma_write" else None
            events.append(TraceEvent(traced, self.via, *call, 0, value))
        if span:
            found = TraceEvent("ma_write", "mas_is_span_wr", *asked, self.r_max, self.entry)
            # Preallocation walks first, so it meets the span before the store is announced.
            events.insert(0 if self.via == "mas_store_prealloc" else len(events), found)
        for event, fn in _emitters(self.store_type, kernel):
            piv = self.new_end if fn == "mas_wr_append" else 0
            if event == "ma_write" and fn == "mas_wr_node_store" and self.born:
                where = (*widened[:4], self.born[0])
            else:
                where = widened
            value = self.entry if event == "ma_write" else None
            events.append(TraceEvent(event, fn, *where, piv, value))
        return tuple(events)

    def __repr__(self) -> str:
        return (
            f"<Write {self.store_type} {self.index:#x}-{self.last:#x} via {self.via}: "
            f"born {list(self.born)} dead {list(self.dead)} changed {self.changed}>"
        )


_EMITTERS: dict[str, tuple[tuple[str, str], ...]] = {
    "append": (("ma_write", "mas_wr_append"),),
    "slot_store": (("ma_write", "mas_wr_slot_store"),),
    "node_store": (("ma_write", "mas_wr_node_store"),),
    "split_store": (("ma_write", "mas_wr_bnode"), ("ma_op", "mas_split")),
    "rebalance": (("ma_write", "mas_wr_bnode"), ("ma_op", "mas_rebalance")),
    "spanning_store": (("ma_op", "mas_wr_spanning_store"),),
}
_SINCE_7_2 = ("7.2", "beyond")
_EMITTERS_7_2 = _EMITTERS | {
    "node_store": (("ma_op", "mas_wr_node_store"), ("ma_write", "mas_wr_node_store")),
    "split_store": (("ma_write", "mas_wr_split"),),
    "rebalance": (("ma_op", "mas_wr_rebalance"),),
}


def _emitters(store_type: str, kernel: str) -> tuple[tuple[str, str], ...]:
    table = _EMITTERS_7_2 if kernel in _SINCE_7_2 else _EMITTERS
    return table.get(store_type, ())
