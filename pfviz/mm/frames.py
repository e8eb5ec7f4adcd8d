"""Page frames: per-CPU free lists refilled under a node's zone lock, memcg charge, sharing.

Frames are numbers; what must be known of one (map count, anon_vma, exclusive) sits in arrays.
Knows no page tables. The steps that allocate are in `paths/allocation.py`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, Final

from pfviz.sim.cacheline import CacheLine
from pfviz.sim.engine import Engine
from pfviz.sim.machine import Cpu
from pfviz.sync.spinlock import SpinLock

PCP_BATCH: Final = 63
"""Pages that move between a per-CPU list and the buddy lists at once (zone_batchsize)."""
PCP_HIGH: Final = 6 * PCP_BATCH
BLOCK_PAGES: Final = 512
"""Pages of a huge page of 2 MiB (HPAGE_PMD_NR)."""
CHARGE_BATCH: Final = 64
"""Pages that a CPU takes from the memcg counter at once (MEMCG_CHARGE_BATCH)."""
RSS_BATCH: Final = 64
"""TASK_RSS_EVENTS_THRESH before 6.2; percpu_counter_batch of 32 and more CPUs since."""

ZERO_PFN: Final = 0
"""The one zero page that all reads of untouched anonymous memory share."""

FREE: Final = 0
ANON: Final = 1
ANON_EXCLUSIVE: Final = 2
"""PageAnonExclusive: mapped once and never shared by a fork; a write may reuse it."""
CACHE: Final = 3


@dataclass(slots=True, eq=False)
class Zone:
    """The free memory of one node: what the buddy allocator keeps, behind zone->lock."""

    node: int
    lock: SpinLock
    lru_lock: SpinLock
    free: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    """First frames of free pieces of 2 MiB."""


@dataclass(slots=True, eq=False)
class PerCpuPages:
    """What one CPU has at hand: free frames, memcg stock, the batch of folios bound for the LRU."""

    free: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    """First frames of pieces of 2 MiB: per-CPU lists keep those, too (PCP_THP)."""
    stock: int = 0
    lru_batch: int = 0


class Frames:
    """All page frames of the machine, by number (pfn)."""

    __slots__ = ("anon_vma", "cpus", "first_of_range", "folios", "mapcount", "memcg_line",
                 "node_of_range", "refcount", "state", "total", "used", "zones")  # fmt: skip

    def __init__(self, engine: Engine[Any], total: int = 1 << 22) -> None:
        machine = engine.machine
        self.total = total
        self.used = 0
        self.mapcount = array("i", [1])
        self.refcount = array("i", [1])
        self.anon_vma = array("q", [0])
        self.state = bytearray([ANON])
        self.folios: dict[int, Any] = {}
        """Frame number -> page-cache folio that owns it."""
        self.zones = [
            Zone(node, SpinLock(engine, "zone", f"zone->lock node {node}", -1),
                 SpinLock(engine, "spinlock", f"lru_lock node {node}", -1))
            for node in range(machine.sockets)
        ]  # fmt: skip
        self.cpus = [PerCpuPages() for _ in machine.cpus]
        self.first_of_range = [0]
        self.node_of_range = [0]
        """Where frames of another node begin, and of which."""
        self.memcg_line = CacheLine(engine.new_id(), "memcg page_counter")

    def zone_of(self, cpu: Cpu) -> Zone:
        """The zone of a CPU's node."""
        return self.zones[cpu.socket]

    def grow(self, count: int) -> range:
        """Number `count` frames that were never used before."""
        first = len(self.state)
        assert first + count <= self.total, "the machine is out of memory"
        self.mapcount.extend([0] * count)
        self.refcount.extend([0] * count)
        self.anon_vma.extend([0] * count)
        self.state.extend(bytes(count))
        return range(first, first + count)

    def take_batch(self, zone: Zone, count: int) -> list[int]:
        """Frames from the buddy lists of a zone; the caller holds its lock."""
        taken = zone.free[-count:]
        del zone.free[-count:]
        if len(taken) < count:
            fresh = self.grow(count - len(taken))
            if zone.node != self.node_of_range[-1]:
                self.first_of_range.append(fresh.start)
                self.node_of_range.append(zone.node)
            taken.extend(reversed(fresh))
        return taken

    def take_block(self, zone: Zone) -> int:
        """The first of 512 frames in one piece, from a zone's lists; the caller holds its lock."""
        if zone.blocks:
            return zone.blocks.pop()
        if zone.node != self.node_of_range[-1]:
            self.first_of_range.append(len(self.state))
            self.node_of_range.append(zone.node)
        return self.grow(BLOCK_PAGES).start

    def node_of(self, pfn: int) -> int:
        """The node whose memory a frame is part of; frames of the set-up are on node 0."""
        place = bisect_right(self.first_of_range, pfn) - 1
        return self.node_of_range[place]

    # One frame

    def start_anon(self, pfn: int, anon_vma: int) -> None:
        """A new anonymous page gets its first mapping (folio_add_new_anon_rmap)."""
        assert self.state[pfn] == FREE, f"frame {pfn} is in use"
        self.state[pfn] = ANON_EXCLUSIVE
        self.mapcount[pfn] = 1
        self.refcount[pfn] = 1
        self.anon_vma[pfn] = anon_vma
        self.used += 1

    def start_unmapped(self, pfn: int) -> None:
        """A new anonymous page that only its maker knows: it is for the swap cache, or to move."""
        assert self.state[pfn] == FREE, f"frame {pfn} is in use"
        self.state[pfn] = ANON
        self.mapcount[pfn] = 0
        self.refcount[pfn] = 1
        self.used += 1

    def map_anon(self, pfn: int, anon_vma: int, exclusive: bool) -> None:
        """One mapping more of an anonymous page that exists (folio_add_anon_rmap_ptes)."""
        if not self.mapcount[pfn]:
            self.anon_vma[pfn] = anon_vma
        assert not (exclusive and self.mapcount[pfn]), f"frame {pfn} cannot be exclusive"
        self.state[pfn] = ANON_EXCLUSIVE if exclusive else ANON
        self.mapcount[pfn] += 1
        self.refcount[pfn] += 1

    def is_exclusive(self, pfn: int) -> bool:
        """Whether a write may simply be let through."""
        return self.state[pfn] == ANON_EXCLUSIVE

    def share(self, pfn: int) -> None:
        """One more mapping of an anonymous page, by fork (folio_dup_anon_rmap_pte)."""
        self.state[pfn] = ANON
        self.mapcount[pfn] += 1
        self.refcount[pfn] += 1

    def reuse(self, pfn: int, anon_vma: int) -> None:
        """The last sharer takes the page over (folio_move_anon_rmap, SetPageAnonExclusive)."""
        assert self.mapcount[pfn] == 1
        self.state[pfn] = ANON_EXCLUSIVE
        self.anon_vma[pfn] = anon_vma

    def unmap(self, pfn: int) -> bool:
        """One mapping less; True when the frame is to be freed (after the TLB flush)."""
        if self.state[pfn] == CACHE:
            folio = self.folios[pfn]
            folio.mapcount -= 1
            folio.refcount -= 1
            return False
        assert self.mapcount[pfn] > 0, f"frame {pfn} unmapped twice"
        self.mapcount[pfn] -= 1
        self.refcount[pfn] -= 1
        return self.refcount[pfn] == 0

    def get(self, pfn: int) -> None:
        """Take a reference to a page, which keeps it from being freed or used anew."""
        if pfn in self.folios:
            self.folios[pfn].refcount += 1
        else:
            self.refcount[pfn] += 1

    def put(self, pfn: int) -> bool:
        """Drop a reference; whether it was the last one of an anonymous page."""
        if pfn in self.folios:
            self.folios[pfn].refcount -= 1
            return False
        self.refcount[pfn] -= 1
        return self.refcount[pfn] == 0

    def free(self, pfn: int) -> None:
        """Forget what a frame held; the caller puts it on a free list."""
        assert self.refcount[pfn] == 0, f"frame {pfn} freed while referenced"
        assert self.state[pfn] != FREE, f"frame {pfn} freed twice"
        self.state[pfn] = FREE
        self.anon_vma[pfn] = 0
        self.used -= 1
