"""The maple tree: ranges of indices mapped to entries, node for node as Linux 6.12 keeps it.

Entries are opaque; None is null. The tree holds no pointer to anything outside itself, so it can
be pickled and copied with whatever embeds it. Node ids are small integers from its own counter.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from pfviz.mm.maple import gaps, store, walk
from pfviz.mm.maple.check import check_tree
from pfviz.mm.maple.duplicate import duplicate_nodes
from pfviz.mm.maple.node import MAX_INDEX, MapleNode, is_zero_entry
from pfviz.mm.maple.plan import plan_store, prealloc_nodes, walk_to_store
from pfviz.mm.maple.walk import MaState, Range
from pfviz.mm.maple.write import Write, WritePlan


class MapleTree:
    """A range tree (`alloc` False) or an allocation tree whose inner nodes carry gaps.

    `root` is None, an entry kept in the root pointer (then `height` is 0) or the root node.
    With `rcu` nodes are replaced instead of changed where a reader could see half a change, and
    dead nodes stay in `dead` until `free` ends their grace period.
    """

    __slots__ = ("alloc", "dead", "generation", "height", "last_write", "next_id", "rcu", "root")

    def __init__(self, *, alloc: bool = True, rcu: bool = True) -> None:
        self.alloc = alloc
        self.rcu = rcu
        self.root: Any = None
        self.height = 0
        self.next_id = 1
        self.generation = 0
        self.dead: dict[int, MapleNode] = {}
        self.last_write: Write | None = None

    def new_node(
        self,
        node_type: int,
        node_min: int,
        pivots: list[int],
        slots: list[Any],
        node_gaps: list[int] | None = None,
    ) -> MapleNode:
        """Allocate a node; it is private until something in the tree points to it."""
        node = MapleNode(self.next_id, node_type, node_min, pivots, slots, node_gaps)
        self.next_id += 1
        return node

    # Reading

    def walk(self, index: int) -> Any:
        """Return the entry that covers an index, or None (mas_walk)."""
        if not self.height:
            return self.root if index == 0 else None
        node = self.root
        for _ in range(self.height):
            node = node.slots[bisect_left(node.pivots, index)]
        return node

    def load(self, index: int) -> Any:
        """Return what readers may see at an index: the zero entry reads as None (mtree_load)."""
        entry = self.walk(index)
        return None if is_zero_entry(entry) else entry

    def range_at(self, index: int) -> Range:
        """Return (first, last, entry) of the slot that covers an index; entry None is a gap."""
        return walk.range_at(self, index)

    def find(self, index: int, limit: int = MAX_INDEX) -> Range | None:
        """Return the first entry that ends at or after `index` and starts by `limit` (mt_find)."""
        for found in walk.ascending(self, index, limit):
            if not is_zero_entry(found[2]):
                return found
        return None

    def next(self, index: int, limit: int = MAX_INDEX) -> Range | None:
        """Return the first entry that starts after `index`, by `limit` (mas_next).

        Never the entry that covers `index`.
        """
        last = walk.range_at(self, index)[1]
        if last >= limit:
            return None
        return next(walk.ascending(self, last + 1, limit), None)

    def prev(self, index: int, limit: int = 0) -> Range | None:
        """Return the last entry that ends before `index`, not below `limit` (mas_prev)."""
        first = walk.range_at(self, index)[0]
        if first <= limit:
            return None
        return next(walk.descending(self, first - 1, limit), None)

    def iter_range(self, first: int = 0, last: int = MAX_INDEX) -> Iterator[Range]:
        """Yield the entries that touch [first, last] as (first, last, entry), ascending."""
        return walk.ascending(self, first, last)

    def iter_range_rev(self, last: int = MAX_INDEX, first: int = 0) -> Iterator[Range]:
        """Yield the entries that touch [first, last] as (first, last, entry), descending."""
        return walk.descending(self, last, first)

    def walk_step(self, mas: MaState) -> bool:
        """Take one step of a reader's walk; True when it has ended. See MaState."""
        return walk.walk_step(self, mas)

    def next_slot(self, mas: MaState) -> bool:
        """Go from the gap that a walk found to the entry behind it. See walk.next_slot."""
        return walk.next_slot(self, mas)

    def empty_area(self, low: int, high: int, size: int) -> tuple[int, int] | None:
        """Return the lowest free range of `size` indices in [low, high], or None."""
        return gaps.empty_area(self, low, high, size)

    def empty_area_rev(self, low: int, high: int, size: int) -> tuple[int, int] | None:
        """Return the highest free range of `size` indices in [low, high], or None."""
        return gaps.empty_area_rev(self, low, high, size)

    def nodes(self) -> Iterator[MapleNode]:
        """Yield every live node, level by level from the root."""
        level: list[MapleNode] = [self.root] if self.height else []
        for depth in range(self.height, 0, -1):
            yield from level
            if depth > 1:
                level = [child for node in level for child in node.slots]

    def __len__(self) -> int:
        """Count the entries; walks all of them."""
        return sum(1 for _ in walk.ascending(self, 0, MAX_INDEX))

    def __bool__(self) -> bool:
        return self.root is not None

    # Writing

    def preallocate(
        self, first: int, last: int, entry: Any, via: str = "mas_store_prealloc"
    ) -> WritePlan:
        """Decide how a store will be done and change nothing (mas_preallocate).

        `via` names the kernel function that will store, for the trace. Raises ValueError if the
        range is not one of indices.
        """
        if not 0 <= first <= last <= MAX_INDEX:
            raise ValueError(f"not a range of indices: {first} to {last}")
        return plan_store(self, first, last, entry, via)

    def prealloc_count(self, plan: WritePlan, kernel: str = "6.12") -> int:
        """Return how many nodes a kernel (a preset's name) reserves for a planned store."""
        return prealloc_nodes(self, plan, kernel)

    def build(self, plan: WritePlan) -> WritePlan:
        """Build the new nodes of a planned store in private; readers see nothing of it."""
        if plan.generation != self.generation or plan.rcu != self.rcu:
            plan = plan_store(self, plan.index, plan.last, plan.entry, plan.via, bulk=plan.bulk)
        if plan.graft is None:
            store.build(self, plan)
        return plan

    def publish(self, plan: WritePlan, kernel: str = "6.12") -> Write:
        """Publish a built store: one pointer store, then the replaced nodes are dead.

        `kernel` is a preset's name: how many nodes were reserved is recorded as that one counts.
        """
        assert plan.generation == self.generation, "the tree changed after the nodes were built"
        assert plan.rcu == self.rcu, "RCU mode changed after the nodes were built"
        return store.publish(self, plan, kernel)

    def store_prealloc(self, plan: WritePlan) -> Write:
        """Carry out a planned store (mas_store_prealloc)."""
        return self.publish(self.build(plan))

    def store(self, first: int, last: int, entry: Any, via: str = "mtree_store_range") -> Write:
        """Store an entry over [first, last], overwriting what is there; None clears."""
        if not 0 <= first <= last <= MAX_INDEX:
            raise ValueError(f"not a range of indices: {first} to {last}")
        if self.height:
            node, offset, level = walk_to_store(self, first, last, entry)
            return store.store_at(self, node, offset, level, first, last, entry, via)
        return self.store_prealloc(plan_store(self, first, last, entry, via))

    def clear(self, first: int, last: int, via: str = "mas_store_gfp") -> Write:
        """Store null over [first, last]."""
        return self.store(first, last, None, via)

    def erase(self, index: int, via: str = "mtree_erase") -> Any:
        """Remove the entry that covers `index` with its whole range; return it (mas_erase)."""
        if not self.height:
            entry = self.root if index == 0 else None
            if entry is None:
                return None
            write = self.store(0, 0, None, via)
        else:
            leaf, offset = walk.slot_at(self, index)
            entry = leaf.slots[offset]
            if entry is None:
                return None
            first = leaf.slot_min(offset)
            last = leaf.pivots[offset]
            if last == leaf.pivots[-1]:
                # A null at a leaf's edge spans, unless it is the edge of everything.
                write = self.store(first, last, None, via)
            else:
                write = store.store_at(self, leaf, offset, 0, first, last, None, via)
        if via == "mtree_erase":
            self.last_write = write.erasing(index)
        return entry

    def insert(self, first: int, last: int, entry: Any, via: str = "mtree_insert_range") -> bool:
        """Store only if the whole range is null; False where the kernel answers -EEXIST.

        As in the kernel, the test is skipped over [0, MAX_INDEX] in a tree of one leaf.
        """
        plan = self.preallocate(first, last, entry, via)
        if not self.may_insert(plan):
            return False
        self.store_prealloc(plan)
        return True

    def may_insert(self, plan: WritePlan) -> bool:
        """Say whether a planned store meets nothing it would overwrite (mas_insert)."""
        match plan.store_type:
            case "store_root":
                return self.root is None or plan.index > 0
            case "new_root":
                return True
            case "spanning_store":
                return False
        return plan.content is None and plan.last <= plan.r_max

    def destroy(self) -> None:
        """Drop everything; the nodes die (mtree_destroy)."""
        store.bury(self, list(self.nodes()))
        self.root = None
        self.height = 0
        self.generation += 1

    def dup(self) -> MapleTree:
        """Return a copy, node by node, gap slots included (__mt_dup); entries are shared."""
        return duplicate_nodes(self, MapleTree(alloc=self.alloc, rcu=self.rcu))

    def free(self, node_id: int) -> None:
        """End a dead node's grace period: its memory is gone. Unknown ids raise KeyError."""
        self.dead.pop(node_id).release()

    def free_all(self) -> None:
        """End the grace period of every dead node."""
        for node in self.dead.values():
            node.release()
        self.dead.clear()

    def check(self) -> None:
        """Check every invariant; raises BrokenTreeError with the tree drawn when one fails."""
        check_tree(self)
