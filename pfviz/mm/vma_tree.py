"""The VMAs of an address space in a maple tree: look-ups, stores and gaps, as the viewer sees them.

Every store tells which nodes were born, changed and died; dead nodes are given back after a grace
period. Node contents sit on cache lines, so a store makes the next walk on another CPU pay. It
refuses to know any lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pfviz.mm.maple import (
    MapleNode,
    MapleTree,
    MaState,
    TraceEvent,
    Write,
    WritePlan,
    expected_nodes,
)
from pfviz.mm.maple.plan import plan_store
from pfviz.mm.tree_events import Replaced, node_detail, replacements, store_detail
from pfviz.sim import event
from pfviz.sim.cacheline import CacheLine
from pfviz.sim.event import signed
from pfviz.sync.rwsem import mode_held
from pfviz.sync.spinlock import spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm


@dataclass(slots=True, eq=False)
class VmaTree:
    """The facade over one maple tree whose entries are VMAs (mm_struct.mm_mt)."""

    mm_id: int
    in_place: bool = False
    """Whether nodes are changed under their readers (`Policy.tree_in_place`): never in a kernel."""
    maple: MapleTree = field(default_factory=MapleTree)
    nodes: dict[int, MapleNode] = field(default_factory=dict)
    """Live and dead nodes by id, until their memory is given back."""
    lines: dict[int, CacheLine] = field(default_factory=dict)
    root_id: int = 0

    def __post_init__(self) -> None:
        self.set_rcu(True)

    # Reading

    def lookup(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address (mas_walk); charges the levels, emits TREE_WALK."""
        found: Vma | None = self.maple.walk(address)
        self._walked(engine, address)
        return found

    def walk_step(self, engine: Mm, mas: MaState) -> bool:
        """One node of a walk under RCU: charges its level, emits TREE_WALK (slot -1: it was dead).

        True when the walk has ended; `mas.entry` is then the VMA, or None for a gap.
        """
        node = mas.node
        ended = self.maple.walk_step(mas)
        self.show_walk(engine, node, mas.target, -1 if mas.status == "start" else mas.offset)
        return ended

    def next_slot(self, engine: Mm, mas: MaState) -> bool:
        """From the gap that a walk found to the VMA behind it: the same leaf, at no more cost.

        True when that has ended; like `walk_step` it notices that the leaf has died.
        """
        node = mas.node
        ended = self.maple.next_slot(mas)
        if node is not None:
            slot = -1 if mas.status == "start" else mas.offset
            engine.emit(event.TREE_WALK, node.id, signed(mas.target), slot, self.mm_id)
        return ended

    def show_walk(self, engine: Mm, node: MapleNode | None, address: int, slot: int) -> None:
        """Charge one level of a walk and emit TREE_WALK, unless it is at no node."""
        if node is None:
            return
        engine.cost("walk_level")
        line = self.lines.get(node.id)
        if line is not None:
            line.read(engine)
        engine.emit(event.TREE_WALK, node.id, signed(address), slot, self.mm_id)

    def find(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address (mt_find, behind find_vma); emits MA_READ."""
        hit = self.maple.find(address)
        self._walked(engine, address)
        self._emit_read(engine, "mt_find", address)
        return None if hit is None else hit[2]

    def load(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address (mtree_load, behind vma_lookup); emits MA_READ."""
        found: Vma | None = self.maple.walk(address)
        self._walked(engine, address)
        self._emit_read(engine, "mtree_load", address)
        return found

    def _emit_read(self, engine: Mm, function: str, address: int) -> None:
        if engine.logging:
            # They start at no node: the trace point prints the whole range and a null node.
            detail = engine.log.detail((0, (1 << 64) - 1, address, address, 0, 0, -1))
            text = engine.log.text(function)
            engine.emit(event.MA_READ, text, signed(address), detail, self.mm_id)

    def next_at(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address (vma_next): charges the walk, emits no MA_READ.

        The VMA iterators have no trace point.
        """
        hit = self.maple.find(address)
        self._walked(engine, address)
        return None if hit is None else hit[2]

    def at(self, address: int) -> Vma | None:
        """The VMA that covers an address, without cost or event (for rules and set-up)."""
        found: Vma | None = self.maple.walk(address)
        return found

    def next_of(self, vma: Vma) -> Vma | None:
        """The VMA after one in the tree (mas_next)."""
        hit = self.maple.next(vma.vm_end - 1)
        return None if hit is None else hit[2]

    def prev_of(self, vma: Vma) -> Vma | None:
        """The VMA before one in the tree (mas_prev)."""
        hit = self.maple.prev(vma.vm_start)
        return None if hit is None else hit[2]

    def before(self, address: int) -> Vma | None:
        """The last VMA that ends at or below an address."""
        if address == 0:
            return None
        covering: Vma | None = self.maple.walk(address - 1)
        if covering is not None:
            return covering
        hit = self.maple.prev(address)
        return None if hit is None else hit[2]

    def between(self, start: int, end: int) -> Iterator[Vma]:
        """The VMAs that touch [start, end), ascending; do not store while iterating."""
        for _, _, vma in self.maple.iter_range(start, end - 1):
            yield vma

    def gap_below(self, low: int, high: int, length: int) -> int | None:
        """The start of the highest free range of `length` bytes in [low, high)."""
        if not 0 < length <= high - low:
            return None
        hit = self.maple.empty_area_rev(low, high - 1, length)
        return None if hit is None else hit[1] + 1 - length

    def __iter__(self) -> Iterator[Vma]:
        for _, _, vma in self.maple.iter_range():
            yield vma

    def __len__(self) -> int:
        return len(self.maple)

    # Writing

    def prealloc(
        self, engine: Mm, start: int, end: int, vma: Vma | None, via: str = "mas_store_prealloc"
    ) -> WritePlan:
        """Reserve the nodes of a store of `vma` (None clears) over [start, end): it cannot fail."""
        plan = self.maple.preallocate(start, end - 1, vma, via)
        reserved = self.maple.prealloc_count(plan, engine.world.preset.name)
        engine.charge(reserved * engine.machine.costs["ma_node"] + _cost(engine))
        return plan

    def plan(
        self, start: int, end: int, vma: Vma | None, via: str, bulk: bool = False
    ) -> WritePlan:
        """Decide how `vma` (None clears) will be stored over [start, end); reserves nothing.

        `bulk` fills nodes nearly full, as fork did up to 6.7 (mas_expected_entries).
        """
        return plan_store(self.maple, start, end - 1, vma, via, bulk=bulk)

    def expect_entries(self, engine: Mm, count: int) -> None:
        """Reserve the nodes for storing so many VMAs in bulk (mas_expected_entries)."""
        engine.charge(expected_nodes(self.maple, count) * engine.machine.costs["ma_node"])

    def build(self, engine: Mm, plan: WritePlan) -> None:
        """Build the new nodes of a planned store aside: readers see nothing of them yet."""
        graft = self.maple.build(plan).graft
        if graft is None:
            return
        engine.charge(len(graft.born) * engine.machine.costs["ma_node"])
        for node in graft.born:
            self._emit_node(engine, node, event.TREE_NODE_BUILT)

    def plan_again(self, plan: WritePlan) -> None:
        """If the tree has changed since a store was planned, let it be planned for how it is."""
        if plan.generation != self.maple.generation:
            fresh = plan_store(
                self.maple, plan.index, plan.last, plan.entry, plan.via, bulk=plan.bulk
            )
            for name in WritePlan.__slots__:
                setattr(plan, name, getattr(fresh, name))

    def store_prealloc(self, engine: Mm, plan: WritePlan) -> None:
        """Publish a planned store (vma_iter_store): one pointer, then the old nodes are dead."""
        self._written(engine, plan)
        if engine.task is None or not engine.world.splits_mmap_lock:
            return
        mm = next(mm for mm in engine.world.mms if mm.id == self.mm_id)
        if mm.tree_lock is not None and mm.tree_lock.holder is engine.task:
            # Who walks without a lock, as /proc/PID/maps does, sees that there was a store.
            mm.mm_lock_seq.write_begin(engine)
            mm.mm_lock_seq.write_end(engine)
            spin_unlock(engine, engine.task, mm.tree_lock)

    def store(
        self, engine: Mm, start: int, end: int, vma: Vma | None, via: str, bulk: bool = False
    ) -> None:
        """Store `vma` (None clears) over [start, end), planning and storing in one.

        `bulk` fills nodes nearly full, as fork did up to 6.7 (mas_expected_entries).
        """
        self._written(engine, plan_store(self.maple, start, end - 1, vma, via, bulk=bulk))

    def copy_from(self, engine: Mm, other: VmaTree) -> None:
        """Become a node-for-node copy of another tree, entries included (__mt_dup)."""
        self.maple = other.maple.dup()
        for node in self.maple.nodes():
            self.nodes[node.id] = node
            engine.cost("ma_node")
            self._emit_node(engine, node)
        self._emit_root(engine)

    def destroy(self, engine: Mm) -> None:
        """Drop every node (__mt_destroy)."""
        for node in list(self.maple.nodes()):
            self._bury(engine, node.id, "destroyed")
        self.maple.destroy()
        self._emit_root(engine)

    def set_rcu(self, readers: bool) -> None:
        """Whether readers may walk without a lock, so that stores must replace nodes."""
        self.maple.rcu = readers and not self.in_place

    @property
    def replaces_nodes(self) -> bool:
        """Whether stores leave old nodes to those who walk without a lock (RCU mode)."""
        return self.maple.rcu

    @property
    def dead_nodes(self) -> int:
        """How many replaced nodes wait for their grace period."""
        return len(self.maple.dead)

    def check(self) -> None:
        """Check every invariant; raises AssertionError with the tree drawn."""
        self.maple.check()

    def _written(self, engine: Mm, plan: WritePlan) -> None:
        check_writer(engine, self.mm_id)
        was_built = plan.graft is not None
        if engine.world.watch is not None:
            engine.world.watch.tree_stores(self, plan.index, plan.last + 1, plan.entry is None)
        plan = self.maple.build(plan)
        born = list(plan.graft.born) if plan.graft is not None else []
        replaced = replacements(plan.graft) if engine.logging else ()
        write = self.maple.publish(plan, engine.world.preset.name)
        for node in born:
            self.nodes[node.id] = node
        engine.charge(_cost(engine))
        if not was_built:
            engine.charge(len(born) * engine.machine.costs["ma_node"])
        for line in write.trace(engine.world.preset.name):
            self._emit_trace(engine, line)
        self._emit_write(engine, write, born)
        self._emit_store(engine, write, replaced)

    def _emit_write(self, engine: Mm, write: Write, born: list[MapleNode]) -> None:
        for node in born:
            self._touch(engine, node.id)
            self._emit_node(engine, node)
        for node_id in sorted(set(write.changed) - {node.id for node in born}):
            node = self.nodes[node_id]
            self._touch(engine, node_id)
            self._emit_node(engine, node)
        self._emit_root(engine)
        for node_id in write.dead:
            self._bury(engine, node_id, write.store_type)

    def _bury(self, engine: Mm, node_id: int, why: str) -> None:
        engine.emit(event.TREE_NODE_DEAD, node_id, engine.log.text(why), 0, self.mm_id)
        self.lines.pop(node_id, None)
        if engine.task is None or (self.in_place and why != "destroyed"):
            # Before the run nobody reads; without RCU mode nodes are given back at once.
            free_node(engine, DeadNode(node_id, self))
            return
        engine.world.rcu.call_rcu(engine, "maple node", DeadNode(node_id, self), free_node)

    # Lines and events

    def show_path(self, engine: Mm, address: int) -> None:
        """Show the way to a gap that a search found; the search has its own cost."""
        self._walked(engine, address, is_charged=False)

    def _walked(self, engine: Mm, address: int, is_charged: bool = True) -> None:
        """Charge a walk from the root to the leaf and show each node that it passed."""
        walk_ns = engine.machine.costs["walk_level"] if is_charged else 0
        maple = self.maple
        node: Any = maple.root if maple.height else None
        for level in range(maple.height, 0, -1):
            engine.charge(walk_ns)
            line = self.lines.get(node.id)
            if line is not None and is_charged:
                line.read(engine)
            slot = _slot_of(node, address)
            engine.emit(event.TREE_WALK, node.id, signed(address), slot, self.mm_id)
            if level > 1:
                node = node.slots[slot]

    def _touch(self, engine: Mm, node_id: int) -> None:
        if engine.task is None or engine.task.cpu is None:
            return  # set-up: no CPU owns anything yet
        line = self.lines.get(node_id)
        if line is None:
            line = CacheLine(engine.new_id(), f"maple node {node_id}")
            self.lines[node_id] = line
        line.write(engine)

    def _emit_trace(self, engine: Mm, line: TraceEvent) -> None:
        if not engine.logging:
            return
        kind = event.MA_WRITE if line.event == "ma_write" else event.MA_OP
        val = line.val.id if line.val is not None else -1
        detail = engine.log.detail(
            (line.min, line.max, line.index, line.last, line.node_id, line.piv, val)
        )
        engine.emit(kind, engine.log.text(line.fn), signed(line.index), detail, self.mm_id)

    def _emit_store(self, engine: Mm, write: Write, replaced: Replaced) -> None:
        """Tell what the store was and which node took whose place, after all its nodes."""
        if not engine.logging:
            return
        detail = engine.log.detail(store_detail(write, replaced))
        text = engine.log.text(write.store_type)
        engine.emit(event.TREE_STORE, text, signed(write.index), detail, self.mm_id)

    def _emit_node(self, engine: Mm, node: MapleNode, kind: int = event.TREE_NODE) -> None:
        if not engine.logging:
            return
        detail = engine.log.detail(node_detail(node))
        parent = node.parent.id if node.parent is not None else -1
        engine.emit(kind, node.id, detail, parent, self.mm_id)

    def _emit_root(self, engine: Mm) -> None:
        root_id = self.maple.root.id if self.maple.height else -1
        if root_id != self.root_id:
            self.root_id = root_id
            engine.emit(event.TREE_ROOT, root_id, self.maple.height, 0, self.mm_id)


def check_writer(engine: Mm, mm_id: int) -> None:
    """Rule I9: the tree is stored to with mmap_lock held for writing, or before the run begins."""
    task = engine.task
    if task is None:
        return
    mm = next(mm for mm in engine.world.mms if mm.id == mm_id)
    if mode_held(mm.mmap_lock, task) != event.WRITE:
        engine.world.break_rule(engine, "I9", "the tree is changed without the write lock")


@dataclass(slots=True, eq=False)
class DeadNode:
    """A node that readers may still stand on, until its grace period is over."""

    id: int
    tree: VmaTree


def free_node(engine: Mm, dead: DeadNode) -> None:
    """Give the memory of a dead node back: its grace period is over (an RCU callback)."""
    tree, node_id = dead.tree, dead.id
    if node_id in tree.maple.dead:
        tree.maple.free(node_id)
    tree.nodes.pop(node_id, None)
    engine.emit(event.TREE_NODE_FREED, node_id, 0, 0, tree.mm_id)


def _slot_of(node: MapleNode, address: int) -> int:
    for slot, pivot in enumerate(node.pivots):
        if address <= pivot:
            return slot
    return node.end


def _cost(engine: Mm) -> int:
    return engine.machine.costs["ma_store"]
