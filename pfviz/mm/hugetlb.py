"""hugetlb: 2 MiB pages from a pool that is set aside, reserved by mappings, and never split.

The pool with its lock, the table of mutexes that lets one thread at a time fault a page of a file,
and the locks of VMAs against unmapping. Steps are in `paths/hugetlb.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.frames import ANON, ANON_EXCLUSIVE, BLOCK_PAGES, Frames
from pfviz.mm.page_cache import File, new_file
from pfviz.mm.page_table import TABLE_SHIFT, TABLE_SPAN
from pfviz.mm.vma import VM_HUGETLB, VM_SHARED, Vma
from pfviz.sim.engine import Engine
from pfviz.sync.rwsem import RwSemaphore
from pfviz.sync.spinlock import SpinLock

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace

MUTEXES_PER_CPU: Final = 8
"""num_fault_mutexes = roundup_pow_of_two(8 * num_possible_cpus())."""
NAME: Final = "/anon_hugepage (deleted)"
"""What /proc/PID/maps calls a mapping that was made with MAP_HUGETLB."""


@dataclass(slots=True, eq=False)
class Reservation:
    """Pages of the pool that a mapping was promised and has not used yet (resv_map)."""

    owner: int
    """The mm that may use them: a child of fork has no claim to its parent's."""
    left: int


class HugetlbPool:
    """The huge pages of 2 MiB that were set aside (struct hstate)."""

    __slots__ = ("caches", "free", "lock", "mutexes", "reservations", "total", "vma_locks")

    def __init__(self, engine: Engine[Any]) -> None:
        self.lock = SpinLock(engine, "spinlock", "hugetlb_lock", -1)
        self.free: list[int] = []
        """First frames of pages that nobody has."""
        self.total = 0
        self.reservations: dict[int, Reservation] = {}
        """By file: what its mapping was promised."""
        self.caches: dict[int, dict[int, int]] = {}
        """By file: huge-page index -> first frame, of shared mappings."""
        self.mutexes: dict[int, RwSemaphore] = {}
        self.vma_locks: dict[int, RwSemaphore] = {}
        """By VMA: hugetlb_vma_lock."""

    @property
    def reserved(self) -> int:
        """How many free pages are promised to somebody (resv_huge_pages)."""
        return sum(one.left for one in self.reservations.values())

    def add(self, engine: Engine[Any], count: int) -> None:
        """Set `count` more pages aside (nr_hugepages)."""
        frames: Frames = engine.world.frames
        self.free.extend(frames.grow(BLOCK_PAGES).start for _ in range(count))
        self.total += count

    def fault_mutex(self, engine: Engine[Any], file: int, index: int) -> RwSemaphore:
        """The mutex of a page of a file (hugetlb_fault_mutex_table), chosen by a hash of both."""
        table = 1 << (MUTEXES_PER_CPU * len(engine.machine.cpus) - 1).bit_length()
        number = (file * 0x9E3779B1 + index * 0x85EBCA77 >> 7) % table
        mutex = self.mutexes.get(number)
        if mutex is None:
            name = f"hugetlb_fault_mutex {number}"
            mutex = self.mutexes[number] = RwSemaphore(engine, "rwsem", name, -1)
        return mutex

    def vma_lock(self, engine: Engine[Any], vma: Vma) -> RwSemaphore | None:
        """What keeps a page from being unmapped while it is mapped (hugetlb_vma_lock).

        None for VMAs and kernels without it: shared ones have it since 6.1, all since 6.7.
        """
        kind = engine.world.preset.hugetlb_vma_lock
        if kind == "none" or (kind == "shared" and not vma.vm_flags & VM_SHARED):
            return None
        found = self.vma_locks.get(vma.id)
        if found is None:
            name = f"hugetlb_vma_lock {vma.name or vma.id}"
            found = self.vma_locks[vma.id] = RwSemaphore(engine, "rwsem", name, -1)
        return found

    def reserve(self, file: int, owner: int, pages: int) -> bool:
        """Promise pages to a mapping (hugetlb_reserve_pages); False when there are too few."""
        if len(self.free) - self.reserved < pages:
            return False
        self.reservations[file] = Reservation(owner, pages)
        return True

    def dequeue(self, vma: Vma) -> int | None:
        """Take a page for a fault in `vma`: a promised one, or one that nobody was promised."""
        assert vma.vm_file is not None
        promise = self.reservations.get(vma.vm_file.id)
        is_mine = (
            promise is not None
            and promise.left > 0
            and (promise.owner == vma.mm.id or bool(vma.vm_flags & VM_SHARED))
        )
        if is_mine and promise is not None:
            promise.left -= 1
            return self.free.pop()
        return self.free.pop() if len(self.free) > self.reserved else None

    def give_back(self, engine: Engine[Any], first: int) -> None:
        """A page that nobody maps any more goes back to the pool (free_huge_folio)."""
        frames: Frames = engine.world.frames
        for pfn in range(first, first + BLOCK_PAGES):
            if frames.state[pfn]:
                frames.free(pfn)
        self.free.append(first)

    def close(self, engine: Engine[Any], vma: Vma) -> None:
        """The VMA is gone (hugetlb_vm_op_close); the last of a file ends its promise and pages."""
        file = vma.vm_file
        assert file is not None
        self.vma_locks.pop(vma.id, None)
        if file.vmas:
            return
        self.reservations.pop(file.id, None)
        frames: Frames = engine.world.frames
        for first in self.caches.pop(file.id, {}).values():
            for pfn in range(first, first + BLOCK_PAGES):
                frames.refcount[pfn] -= 1
            if not any(frames.refcount[first : first + BLOCK_PAGES]):
                self.give_back(engine, first)

    @property
    def used_pages(self) -> int:
        """Small pages of the pool that are in use: they count as used frames."""
        return (self.total - len(self.free)) * BLOCK_PAGES


def pool_of(engine: Engine[Any]) -> HugetlbPool:
    """The pool of the machine, made when it is first asked for."""
    world = engine.world
    if world.hugetlb is None:
        world.hugetlb = HugetlbPool(engine)
    pool: HugetlbPool = world.hugetlb
    return pool


def hugetlb_file_setup(engine: Engine[Any], mm: AddressSpace, pages: int) -> File | None:
    """The unnamed file behind a mapping of `pages` small pages, reserved; None when too few."""
    pool = pool_of(engine)
    file = new_file(engine, NAME, pages, 0)
    return file if pool.reserve(file.id, mm.id, pages // BLOCK_PAGES) else None


def index_of(vma: Vma, address: int) -> int:
    """The huge page of the file at an address (vma_hugecache_offset)."""
    return (address - vma.vm_start + (vma.vm_pgoff << 12)) >> TABLE_SHIFT


def cuts_huge_page(mm: AddressSpace, start: int, end: int) -> bool:
    """Whether a change of [start, end) would cut a huge page of hugetlb: that is refused."""
    for edge in (start, end):
        if edge % TABLE_SPAN:
            vma = mm.vma_at(edge)
            if vma is not None and vma.vm_flags & VM_HUGETLB and edge != vma.vm_start:
                return True
    return False


def cache_block(engine: Engine[Any], pool: HugetlbPool, file: int, index: int, first: int) -> None:
    """Put a page into the page cache of a shared mapping: the cache holds it, too."""
    pool.caches.setdefault(file, {})[index] = first
    frames: Frames = engine.world.frames
    for pfn in range(first, first + BLOCK_PAGES):
        frames.state[pfn] = ANON
        frames.refcount[pfn] = 1
    frames.used += BLOCK_PAGES


def map_block(frames: Frames, first: int, anon_vma: int) -> None:
    """One mapping more of a page of the pool; a new private one is exclusive."""
    for pfn in range(first, first + BLOCK_PAGES):
        if not frames.state[pfn]:
            frames.state[pfn] = ANON_EXCLUSIVE
            frames.anon_vma[pfn] = anon_vma
            frames.used += 1
        frames.mapcount[pfn] += 1
        frames.refcount[pfn] += 1


def unmap_block(frames: Frames, first: int) -> bool:
    """One mapping less; whether nobody has the page any more."""
    for pfn in range(first, first + BLOCK_PAGES):
        frames.mapcount[pfn] -= 1
        frames.refcount[pfn] -= 1
    return not any(frames.refcount[first : first + BLOCK_PAGES])
