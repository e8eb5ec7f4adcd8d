"""What is known of memory at one moment: VMAs, page tables, tree nodes, files; plain records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

PAGES_PER_TABLE: Final = 512
TREE_EVENTS_MAX: Final = 48
READ: Final = "r"
WRITE: Final = "W"
OPERATION: Final = "o"
"""What a `TreeEvent` is: ma_read, ma_write, or ma_op (a rearrangement, an erasure)."""


class TreeEvent(NamedTuple):
    """One read or write of a tree as the kernel's trace points tell it; -1 where they do not."""

    now_ns: int
    task: int
    what: str
    function: str
    first: int
    last: int
    node_min: int
    node_max: int
    value: int


PRESENT: Final = 0x80
"""In `MmState.tables`: bit 7 says present, bits 0..5 are `pte_set.flags`."""
PTE_WRITABLE: Final = 1
PTE_DIRTY: Final = 2
PTE_ZERO: Final = 4
PTE_FILE: Final = 8
PTE_COW: Final = 16
PTE_PREFAULTED: Final = 32
PTE_ELSEWHERE: Final = 64
"""In `pte_set.flags` only: no page is there, the entry says where it is (`MmState.elsewhere`)."""
PTE_HUGE: Final = 128
"""In `pte_set.flags` only: the 512 pages are mapped by one entry (`MmState.huge`)."""


@dataclass(slots=True)
class VmaState:
    """One VMA; `detached_ns` >= 0 says it left the tree and waits to be freed."""

    id: int
    mm: int = -1
    lock: int = -1
    start: int = 0
    end: int = 0
    perms: str = "---p"
    name: str = ""
    kind: str = "anon"
    pgoff: int = 0
    has_anon_vma: bool = False
    file: int = -1
    detached_ns: int = -1
    changed_ns: int = -1
    changed_why: str = ""
    lock_what: str = ""
    lock_sequence: int = -1
    refcount: int = -1
    writer: int = -1
    """Who write-locked it last, as long as it did not say that it is unlocked again."""
    faults: int = 0

    @property
    def pages(self) -> int:
        """Its length in pages."""
        return (self.end - self.start) >> 12

    @property
    def label(self) -> str:
        """Its name without folders, or its kind when it has none."""
        return self.name.rpartition("/")[2] or self.name or self.kind


@dataclass(slots=True)
class NodeState:
    """One tree node as it was last written; dead nodes stay until freed."""

    id: int
    type: str
    min: int
    max: int
    pivots: tuple[int, ...]
    slots: tuple[int, ...]
    gaps: tuple[int, ...]
    parent: int
    parent_slot: int
    changed_ns: int
    dead_ns: int = -1
    dead_why: str = ""
    readers: tuple[tuple[int, int], ...] = ()
    """Of a dead node: (task, RCU section) of all in one when it died, who may be on it."""
    freed_after: int = 0
    """Of a dead node: the number of the grace period at whose end it is given back."""
    gap_slot: int = 0
    """In a maple node with gaps: the slot with the largest (its metadata)."""
    born_ns: int = -1
    """When it entered the tree."""
    replaces: tuple[int, ...] = ()
    """The nodes whose range, or part of it, it took over when it was born."""
    heirs: tuple[int, ...] = ()
    """Of a dead node: those that took its range over; nothing where its level is gone."""

    @property
    def is_leaf(self) -> bool:
        """Whether its slots are VMAs rather than nodes."""
        return self.type.startswith("leaf")

    @property
    def is_rb(self) -> bool:
        """Whether it is a node of the red-black tree (until 6.0): one VMA, two children.

        Then `slots` is (left, VMA, right), `pivots` (colour,) and `gaps` (before it, below it).
        """
        return self.type == "rb"


@dataclass(slots=True)
class StoreState:
    """The last store into a maple tree: its kind, and what it did to which nodes."""

    now_ns: int
    task: int
    type: str
    first: int
    last: int
    prealloc: int
    born: tuple[int, ...]
    dead: tuple[int, ...]
    changed: tuple[int, ...]
    acts: tuple[tuple[str, int, int, int, int], ...]
    """(name, level, slots in all, cut, second cut): splits, pushes and merges, in order."""


@dataclass(slots=True)
class VmaCacheState:
    """The vmacache of one thread (until 6.0): four VMA ids, -1 for none."""

    vmas: list[int] = field(default_factory=lambda: [-1, -1, -1, -1])
    what: str = ""
    """The last that happened to it: hit, miss, update or flush."""
    slot: int = -1
    told_ns: int = -1
    seqnum: int = 0
    """`MmState.vmacache_seqnum` when its thread last used it; void when that has moved on."""
    hits: int = 0
    misses: int = 0


@dataclass(slots=True)
class MmState:
    """One address space: its VMAs, page tables and tree."""

    id: int
    name: str = ""
    parent: int = -1
    mmap_lock: int = -1
    vmas: dict[int, VmaState] = field(default_factory=dict)
    tables: dict[int, bytearray] = field(default_factory=dict)
    """Page tables by `address >> 21`: 512 bytes, one a page (see PRESENT)."""
    pages_present: int = 0
    elsewhere: set[int] = field(default_factory=set)
    """Pages, by `address >> 12`, that are in swap, in a device or on the move."""
    huge: set[int] = field(default_factory=set)
    """Huge pages, by `address >> 21`: all 512 pages of such a table are mapped by one entry."""
    root: int = -1
    height: int = 0
    nodes: dict[int, NodeState] = field(default_factory=dict)
    built: dict[int, NodeState] = field(default_factory=dict)
    """Nodes that a writer has built and not published yet."""
    builder: int = -1
    """The task that builds them."""
    store: StoreState | None = None
    write_ns: int = -1
    write_function: str = ""
    write_task: int = -1
    write_range: tuple[int, int] = (0, 0)
    write_node: int = -1
    write_turns: tuple[tuple[str, int, int], ...] = ()
    """Rotations of a red-black tree: (side, node that went down, node that came up)."""
    write_painted: tuple[int, ...] = ()
    vmacaches: dict[int, VmaCacheState] = field(default_factory=dict)
    vmacache_seqnum: int = 0
    """How often an unmap has made all of them void."""
    tree_events: list[TreeEvent] = field(default_factory=list)
    """The last few, the newest at the end; all that a capture knows of the tree."""

    @property
    def has_rb_tree(self) -> bool:
        """Whether its VMAs are in a red-black tree (until 6.0)."""
        first = next(iter(self.nodes.values()), None)
        return first is not None and first.is_rb

    def page(self, address: int) -> int:
        """The byte of a page (see PRESENT); 0 when it is not present."""
        table = self.tables.get(address >> 21)
        return table[(address >> 12) & (PAGES_PER_TABLE - 1)] if table else 0

    def bytes_between(self, start: int, end: int) -> bytes:
        """The page bytes of [start, end), one a page, in order; for short ranges."""
        out = bytearray()
        page, last = start >> 12, end >> 12
        while page < last:
            stop = min((page | (PAGES_PER_TABLE - 1)) + 1, last)
            table = self.tables.get(page >> 9)
            if table is None:
                out += bytes(stop - page)
            else:
                first = page & (PAGES_PER_TABLE - 1)
                out += table[first : first + stop - page]
            page = stop
        return bytes(out)

    def present_between(self, start: int, end: int) -> int:
        """How many pages of [start, end) are present."""
        page, last = start >> 12, end >> 12
        total = 0
        for number in tables_between(self.tables, page >> 9, (last - 1) >> 9):
            table = self.tables[number]
            first = max(page - (number << 9), 0)
            stop = min(last - (number << 9), PAGES_PER_TABLE)
            total += stop - first - table.count(0, first, stop)
        return total


def tables_between(tables: dict[int, bytearray], first: int, last: int) -> Iterator[int]:
    if last - first < len(tables):
        return iter([number for number in range(first, last + 1) if number in tables])
    return iter([number for number in tables if first <= number <= last])


@dataclass(slots=True)
class FileState:
    """One mapped file and how much of it the page cache has."""

    id: int
    name: str = ""
    pages: int = 0
    pages_present: int = 0
    reads_in_flight: int = 0
