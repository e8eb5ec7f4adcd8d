"""An address space (mm_struct): mmap_lock, the sequence count, the VMA tree, page tables, CPUs.

Cache lines: the mmap_lock word has one of its own, and so has mm_lock_seq (read by every fault,
written by every writer); VMA lock words have one each. It refuses to know any path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.operations import PAGE_SHIFT, PAGE_SIZE
from pfviz.mm.page_table import PageTable
from pfviz.mm.rb_vma_tree import RbVmaTree
from pfviz.mm.vma import VM_READ, VM_WRITE, Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_index import VmaIndex
from pfviz.mm.vma_lock import vma_mark_attached
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim import event
from pfviz.sync.range_lock import RangeLock
from pfviz.sync.rwsem import RwSemaphore
from pfviz.sync.seqcount import SeqCount
from pfviz.sync.spinlock import SpinLock

if TYPE_CHECKING:
    from pfviz.mm.page_cache import File
    from pfviz.mm.thread import Thread
    from pfviz.mm.userfaultfd import UserfaultfdCtx
    from pfviz.mm.world import Mm

MMAP_MIN: Final = 0x10000
MMAP_BASE: Final = 0x7FFF_F7FF_F000
"""Where mappings grow down from: below the stack, its limit and a gap, as on x86-64."""
BRK_BASE: Final = 0x5555_5560_0000
STACK_TOP: Final = 0x7FFF_FFFF_F000
TASK_SIZE: Final = 0x7FFF_FFFF_F000


@dataclass(slots=True, eq=False)
class AddressSpace:
    """One process's memory."""

    id: int
    name: str
    mmap_lock: RwSemaphore | RangeLock
    """One lock for all of it, or (`beyond`) one that is taken for a part of it."""
    mm_lock_seq: SeqCount
    tree: VmaIndex
    page_tables: PageTable
    tree_lock: SpinLock | None = None
    """`beyond`: the tree's own lock, held from building new nodes to publishing them."""
    parent: int = -1
    threads: int = 0
    """Threads that live in it (mm_users)."""
    start_brk: int = BRK_BASE
    brk: int = BRK_BASE
    mmap_base: int = MMAP_BASE
    slots: dict[str, int] = field(default_factory=dict)
    """Addresses by name, for all threads: VMAs named in a scenario."""
    userfaultfd: UserfaultfdCtx | None = None
    """Its userfaultfd, open or closed; one at most is modelled for each process."""
    exec_waiter: Thread | None = None
    """The thread that leaves it by exec, and waits for the others to end."""
    write_protect_seq: int = 0
    """Odd while fork write-protects pages: who pins without a lock then begins again."""
    vma_writer_wait: Thread | None = None
    """The one task that waits until a VMA's readers left (rcuwait, 6.15 and later)."""
    exited: bool = False

    @property
    def map_count(self) -> int:
        """How many VMAs it has."""
        return len(self.tree)

    def vma_at(self, address: int) -> Vma | None:
        """The VMA that covers an address, without cost (for rules, set-up and viewers)."""
        return self.tree.at(address)


def new_mm(engine: Mm, name: str, parent: AddressSpace | None = None) -> AddressSpace:
    """An empty address space, known to the world (mm_alloc)."""
    world = engine.world
    mm_id = engine.new_id()
    mm = AddressSpace(
        id=mm_id,
        name=name,
        mmap_lock=RangeLock(engine, "range_lock", f"VMA ranges {name}", mm_id)
        if world.splits_mmap_lock
        else RwSemaphore(engine, "mmap_lock", f"mmap_lock {name}", mm_id),
        mm_lock_seq=SeqCount(
            engine, f"mm_lock_seq {name}", is_generation=world.mm_lock_seq == "int"
        ),
        tree=RbVmaTree(mm_id)
        if world.preset.tree == "rb"
        else VmaTree(mm_id, in_place=world.policy.tree_in_place),
        page_tables=PageTable(engine, mm_id),
        tree_lock=SpinLock(engine, "spinlock", f"tree lock {name}", mm_id)
        if world.splits_mmap_lock
        else None,
        parent=parent.id if parent is not None else -1,
    )
    world.mms.append(mm)
    if engine.logging:
        lock = mm.mmap_lock.id
        engine.emit(event.MM_NEW, mm_id, mm.parent, lock, engine.log.text(name))
    return mm


def place_vma(
    engine: Mm,
    mm: AddressSpace,
    start: int,
    pages: int,
    flags: int = VM_READ | VM_WRITE,
    **fields: Any,
) -> Vma:
    """Put a VMA into an address space before the run begins: no lock, no cost.

    `fields` are further fields of the Vma (name, kind, vm_file, vm_pgoff). ValueError when the
    range is taken or lies outside of the address space.
    """
    end = start + (pages << PAGE_SHIFT)
    if start < MMAP_MIN or end > TASK_SIZE or start % PAGE_SIZE:
        raise ValueError(f"no room for a VMA at {start:#x}-{end:#x}")
    if next(mm.tree.between(start, end), None) is not None:
        raise ValueError(f"a VMA at {start:#x}-{end:#x} would overlap another")
    file: File | None = fields.get("vm_file")
    if file is not None and file.driver is not None:
        flags |= file.driver.vm_flags
    vma = vm_area_alloc(engine, mm, start, end, flags, **fields)
    mm.tree.store(engine, start, end, vma, "mas_store_prealloc")
    vma_mark_attached(engine, vma)
    if vma.vm_file is not None:
        vma.vm_file.vmas.append(vma.id)
    return vma


def place_vma_below(engine: Mm, mm: AddressSpace, pages: int, **fields: Any) -> Vma:
    """Put a VMA into the highest free range, as mmap would find it; for set-up only."""
    start = mm.tree.gap_below(MMAP_MIN, mm.mmap_base, pages << PAGE_SHIFT)
    if start is None:
        raise ValueError(f"no free range of {pages} pages")
    return place_vma(engine, mm, start, pages, **fields)
