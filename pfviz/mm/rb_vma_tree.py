"""The VMAs of an address space until Linux 6.0: a red-black tree, a sorted list, and vmacaches.

Nodes are part of their VMAs and change in place, so every reader needs mmap_lock; a write touches
the cache lines of the VMAs that it turns or paints. It refuses to know any lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pfviz.mm.rbtree import BLACK, NIL, RbNode, RbTree, RbWrite
from pfviz.mm.rbtree.gaps import own_gap
from pfviz.mm.thread import Thread
from pfviz.mm.vma import STACK_GUARD_GAP, VM_GROWSDOWN
from pfviz.mm.vma_tree import check_writer
from pfviz.mm.vmacache import VmaCache
from pfviz.sim import event
from pfviz.sim.cacheline import CacheLine
from pfviz.sim.event import signed

if TYPE_CHECKING:
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm

LEFT_SLOT: Final = 0
VMA_SLOT: Final = 1
RIGHT_SLOT: Final = 2
"""The slots of a node in events: left child, its VMA, right child."""


@dataclass(frozen=True, slots=True)
class RbPlan:
    """A store to come. Nothing is reserved for it: the nodes are there already."""

    start: int
    end: int
    vma: Vma | None


@dataclass(slots=True, eq=False)
class RbVmaTree:
    """mm_rb, the vm_next list and the vmacaches of one address space, behind one face."""

    mm_id: int
    rb: RbTree = field(default_factory=RbTree)
    node_of: dict[int, int] = field(default_factory=dict)
    """VMA id -> node id (vma->vm_rb)."""
    lines: dict[int, CacheLine] = field(default_factory=dict)
    """The cache line of a node's VMA, once a CPU wrote to it."""
    caches: dict[int, VmaCache] = field(default_factory=dict)
    """Thread id -> what it remembers (task_struct.vmacache)."""
    vmacache_seqnum: int = 0
    shown_root: tuple[int, int] = (NIL, 0)
    """Root and black height as viewers know them."""
    readers_at: dict[int, int] = field(default_factory=dict)
    """Thread id -> the VMA that `next_at` gave it last: it may follow vm_next from there."""

    # Reading

    def cached(self, engine: Mm, address: int) -> Vma | None:
        """What the running thread's vmacache knows of an address (vmacache_find); no walk."""
        thread = _thread(engine)
        if thread is None or thread.mm.id != self.mm_id:
            return None  # A look-up for somebody else's address space.
        cache = self.caches.setdefault(thread.id, VmaCache())
        engine.world.count("vmacache_find_calls")
        if cache.seqnum != self.vmacache_seqnum:
            self._emit_cache(engine, "flush", -1, None)
        hit = cache.find(self.vmacache_seqnum, address)
        if hit is None:
            self._emit_cache(engine, "miss", -1, None)
            return None
        engine.world.count("vmacache_find_hits")
        self._emit_cache(engine, "hit", *hit)
        return hit[1]

    def lookup(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address; charges the walk, emits TREE_WALK."""
        vma = self._walk(engine, address)
        return vma if vma is not None and vma.vm_start <= address else None

    def find(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address (find_vma after its vmacache missed)."""
        vma = self._walk(engine, address)
        thread = _thread(engine)
        if vma is not None and thread is not None and thread.mm.id == self.mm_id:
            cache = self.caches.setdefault(thread.id, VmaCache(self.vmacache_seqnum))
            self._emit_cache(engine, "update", cache.update(address, vma), vma)
        return vma

    def load(self, engine: Mm, address: int) -> Vma | None:
        """The VMA that covers an address (vma_lookup, which is find_vma and a comparison)."""
        vma = self.find(engine, address)
        return vma if vma is not None and vma.vm_start <= address else None

    def next_at(self, engine: Mm, address: int) -> Vma | None:
        """The first VMA that ends above an address, along the list where the reader stands there.

        m_start and m_next of fs/proc/task_mmu.c; it walks where the last VMA is gone or moved.
        """
        thread = _thread(engine)
        reader = thread.id if thread is not None else event.NOBODY
        last = self.node_of.get(self.readers_at.get(reader, -1), NIL)
        if last and self.rb.nodes[last].end == address:
            engine.cost("list_next")
            vma = self._entry(self.rb.nodes[last].next)
        else:
            vma = self._walk(engine, address)
        if vma is None:
            self.readers_at.pop(reader, None)
        else:
            self.readers_at[reader] = vma.id
        return vma

    def at(self, address: int) -> Vma | None:
        """The VMA that covers an address, without cost or event (for rules and set-up)."""
        node = self.rb.find(address)
        return self._entry(node.id) if node is not None and node.start <= address else None

    def next_of(self, vma: Vma) -> Vma | None:
        """The VMA after one in the tree (vm_next)."""
        return self._entry(self._node(vma).next)

    def prev_of(self, vma: Vma) -> Vma | None:
        """The VMA before one in the tree (vm_prev)."""
        return self._entry(self._node(vma).prev)

    def before(self, address: int) -> Vma | None:
        """The last VMA that begins below an address."""
        if address == 0:
            return None
        node = self.rb.find(address - 1)
        if node is None:
            return self._entry(self.rb.last)
        return self._entry(node.id if node.start < address else node.prev)

    def between(self, start: int, end: int) -> Iterator[Vma]:
        """The VMAs that touch [start, end), ascending; do not store while iterating."""
        for node in self.rb.between(start, end):
            vma: Vma = node.entry
            yield vma

    def gap_below(self, low: int, high: int, length: int) -> int | None:
        """The start of the highest free range of `length` bytes in [low, high)."""
        return self.rb.gap_topdown(low, high, length)

    def __iter__(self) -> Iterator[Vma]:
        for node in self.rb:
            vma: Vma = node.entry
            yield vma

    def __len__(self) -> int:
        return len(self.rb)

    @property
    def dead_nodes(self) -> int:
        """None ever: a node goes at once, with nobody under way in the tree."""
        return 0

    @property
    def replaces_nodes(self) -> bool:
        """False always: nobody can walk it without mmap_lock."""
        return False

    # Writing

    def prealloc(self, engine: Mm, start: int, end: int, vma: Vma | None) -> RbPlan:  # noqa: ARG002
        """Plan a store of `vma` (None clears) over [start, end); there is nothing to reserve."""
        return RbPlan(start, end, vma)

    def store_prealloc(self, engine: Mm, plan: RbPlan) -> None:
        """Carry out a planned store."""
        self.store(engine, plan.start, plan.end, plan.vma, "")

    def store(
        self,
        engine: Mm,
        start: int,
        end: int,
        vma: Vma | None,
        via: str,  # noqa: ARG002
        bulk: bool = False,  # noqa: ARG002
    ) -> None:
        """Store `vma` (None clears) over [start, end): others go or shrink, then it is put there.

        Linking, unlinking and resizing in the order of __vma_adjust and
        detach_vmas_to_be_unmapped. A hole in the middle of a VMA is refused: split it first.
        """
        own = self.node_of.get(vma.id, NIL) if vma is not None else NIL
        unlinked = False
        for node in [*self.rb.between(start, end)]:
            if node.id == own:
                continue
            low, high = max(node.start, start), min(node.end, end)
            if (low, high) == (node.start, node.end):
                self._erase(engine, node)
                unlinked = True
                continue
            assert node.start == low or node.end == high, f"a hole in {node.describe()}"
            rest = (high, node.end) if node.start == low else (node.start, low)
            self._written(engine, self.rb.resize(node, *rest), rest[0])
        if unlinked:
            self.vmacache_seqnum += 1
            self._emit_cache(engine, "invalidate", -1, None)
        if vma is None:
            return
        if own:
            node = self.rb.nodes[own]
            if (node.start, node.end) != (start, end):
                self._written(engine, self.rb.resize(node, start, end), start)
            return
        guard = STACK_GUARD_GAP if vma.vm_flags & VM_GROWSDOWN else 0
        node, write = self.rb.insert(start, end, vma, guard)
        self.node_of[vma.id] = node.id
        self._written(engine, write, start)

    def copy_from(self, engine: Mm, other: RbVmaTree) -> None:
        """Insert every VMA of another tree, ascending, as dup_mmap does."""
        for node in other.rb:
            self.store(engine, node.start, node.end, node.entry, "")

    def destroy(self, engine: Mm) -> None:
        """Drop every node: exit_mmap walks the list and leaves the tree as it is."""
        for node in self.rb:
            engine.emit(event.TREE_NODE_FREED, node.id, 0, 0, self.mm_id)
        self.rb.clear()
        self.node_of.clear()
        self.lines.clear()
        self._emit_root(engine)

    def check(self) -> None:
        """Check every invariant, and that nodes say what their VMAs say."""
        self.rb.check()
        for node in self.rb:
            vma = node.entry
            told = f"{node.describe()} is not VMA {vma.id} {vma.vm_start:#x}-{vma.vm_end:#x}"
            assert (node.start, node.end) == (vma.vm_start, vma.vm_end), told
            assert self.node_of[vma.id] == node.id, told
        assert len(self.node_of) == len(self.rb), "VMAs are known that have no node"

    def set_rcu(self, readers: bool) -> None:
        """Nobody walks this tree without mmap_lock: nothing changes."""

    def _erase(self, engine: Mm, node: RbNode) -> None:
        write = self.rb.erase(node)
        del self.node_of[node.entry.id]
        engine.emit(event.TREE_NODE_FREED, node.id, 0, 0, self.mm_id)
        self.lines.pop(node.id, None)
        self._written(engine, write, node.start)

    def _written(self, engine: Mm, write: RbWrite, start: int) -> None:
        if write.function != "vma_gap_update":
            # Gaps alone may change under page_table_lock, while a stack grows.
            check_writer(engine, self.mm_id)
        costs = engine.machine.costs
        engine.charge(costs["rb_store"] + len(write.rotations) * costs["rb_rotate"])
        for node_id in write.touched:
            self._touch(engine, node_id)
            self._emit_node(engine, self.rb.nodes[node_id])
        self._emit_root(engine)
        if engine.logging:
            turns = tuple((turn.side, turn.down, turn.up) for turn in write.rotations)
            detail = engine.log.detail((write.node, turns, write.recolored))
            text = engine.log.text(write.function)
            engine.emit(event.TREE_WRITE, text, signed(start), detail, self.mm_id)

    # Lines and events

    def _walk(self, engine: Mm, address: int) -> Vma | None:
        """Find from the root down; charges each level and shows each node that it passed."""
        path: list[int] = []
        found = self.rb.find(address, path)
        level_ns = engine.machine.costs["rb_level"]
        for node_id in path:
            engine.charge(level_ns)
            line = self.lines.get(node_id)
            if line is not None:
                line.read(engine)
            node = self.rb.nodes[node_id]
            slot = RIGHT_SLOT
            if node.end > address:
                slot = VMA_SLOT if node.start <= address else LEFT_SLOT
            engine.emit(event.TREE_WALK, node_id, signed(address), slot, self.mm_id)
        return None if found is None else self._entry(found.id)

    def _touch(self, engine: Mm, node_id: int) -> None:
        if engine.task is None or engine.task.cpu is None:
            return  # Set-up: no CPU owns anything yet.
        line = self.lines.get(node_id)
        if line is None:
            line = CacheLine(engine.new_id(), f"vm_rb of VMA {self.rb.nodes[node_id].entry.id}")
            self.lines[node_id] = line
        line.write(engine)

    def _emit_node(self, engine: Mm, node: RbNode) -> None:
        if not engine.logging:
            return
        slots = (node.left or -1, node.entry.id, node.right or -1)
        gaps = (own_gap(self.rb, node), node.subtree_gap)
        side = LEFT_SLOT
        if node.parent and self.rb.nodes[node.parent].right == node.id:
            side = RIGHT_SLOT
        detail = engine.log.detail(
            ("rb", node.start, node.end - 1, (node.color,), slots, gaps, side)
        )
        engine.emit(event.TREE_NODE, node.id, detail, node.parent or -1, self.mm_id)

    def _emit_root(self, engine: Mm) -> None:
        root = self.rb.root
        shown = root, self._black_height()
        if shown != self.shown_root:
            self.shown_root = shown
            engine.emit(event.TREE_ROOT, root or -1, shown[1], 0, self.mm_id)

    def _black_height(self) -> int:
        height, node_id = 0, self.rb.root
        while node_id:
            node = self.rb.nodes[node_id]
            height += node.color == BLACK
            node_id = node.left
        return height

    def _emit_cache(self, engine: Mm, what: str, slot: int, vma: Vma | None) -> None:
        if engine.logging:
            vma_id = vma.id if vma is not None else -1
            engine.emit(event.VMACACHE, engine.log.text(what), slot, vma_id, self.mm_id)

    def _node(self, vma: Vma) -> RbNode:
        return self.rb.nodes[self.node_of[vma.id]]

    def _entry(self, node_id: int) -> Vma | None:
        if not node_id:
            return None
        vma: Vma = self.rb.nodes[node_id].entry
        return vma


def _thread(engine: Mm) -> Thread | None:
    """The running thread; None in set-up and in timers, which have no vmacache."""
    task = engine.task
    return task if isinstance(task, Thread) else None
