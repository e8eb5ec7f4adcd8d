"""free_pgtables: VMAs leave the reverse map one by one, then their empty page tables go.

Nobody can reach the VMAs by the tree; the reverse map is the last way to them, so it goes first,
for all VMAs that lie close together. The tables are only taken out here; they are freed after the
TLB flush and a grace period.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pfviz.mm.address_space import AddressSpace
from pfviz.mm.page_table import TABLE_SPAN
from pfviz.mm.reverse_map import unlink_anon_vmas
from pfviz.mm.vma import Vma
from pfviz.mm.vma_lock import vma_start_write
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


FILE_BATCH: Final = 8
"""VMAs that leave the tree of their file under one lock (struct unlink_vma_file_batch)."""


@dataclass(slots=True, eq=False)
class TableWalk:
    """The VMAs whose tables go, and how far it got."""

    mm: AddressSpace
    vmas: list[Vma]
    locks_vmas: bool
    """mm_wr_locked: exit holds mmap_lock for writing and write-locks each VMA once more."""
    position: int = 0
    first: int = 0
    """The first VMA of those that are close enough to be done together."""
    batch: list[Vma] = field(default_factory=list)
    """VMAs of one file that are to leave its tree."""

    @property
    def vma(self) -> Vma:
        """The VMA in work."""
        return self.vmas[self.position]

    @property
    def next(self) -> Vma | None:
        """The VMA after it."""
        return self.vmas[self.position + 1] if self.position + 1 < len(self.vmas) else None


def free_pgtables(
    engine: Mm,  # noqa: ARG001
    thread: Thread,
    mm: AddressSpace,
    vmas: list[Vma],
    locks_vmas: bool,
    then: Step,
) -> Step:
    """Unlink `vmas` (ascending) from the reverse map and take out their page tables."""
    if not vmas:
        return then
    thread.sys_tables = TableWalk(mm, vmas, locks_vmas)
    thread.returns.append(then)
    return free_pgtables_of_vma


def _walk(thread: Thread) -> TableWalk:
    walk = thread.sys_tables
    assert isinstance(walk, TableWalk)
    return walk


@step("mm/memory.c", function="free_pgtables")
def free_pgtables_of_vma(engine: Mm, thread: Thread) -> Step:
    """Go on to the next VMA."""
    walk = _walk(thread)
    if walk.locks_vmas:
        return vma_start_write(engine, thread, walk.vma, unlink_anon)
    return unlink_anon(engine, thread)


@step("mm/rmap.c", function="unlink_anon_vmas")
def unlink_anon(engine: Mm, thread: Thread) -> Step:
    """Take the VMA out of its anon_vmas: reclaim cannot find its pages here any more."""
    vma = _walk(thread).vma
    if not vma.anon_vma_chain:
        return unlink_file(engine, thread)
    return down_write(engine, thread, vma.anon_vma_chain[0].rwsem, unlink_anon_locked)


@step("mm/rmap.c", cost="interval_tree", function="unlink_anon_vmas")
def unlink_anon_locked(engine: Mm, thread: Thread) -> Step:
    """The lock of the anon_vmas' root is held: unlink and unlock."""
    vma = _walk(thread).vma
    rwsem = vma.anon_vma_chain[0].rwsem
    if engine.world.watch is not None:
        engine.world.watch.anon_vma_dropped(engine, thread, vma)
    unlink_anon_vmas(vma)
    up_write(engine, thread, rwsem)
    return unlink_file(engine, thread)


def unlink_file(engine: Mm, thread: Thread) -> Step:
    """Put the VMA into the batch of its file; a batch of another file, or a full one, goes first.

    Before 6.10 every VMA is a batch of its own.
    """
    walk = _walk(thread)
    vma = walk.vma
    if vma.vm_file is None:
        return _after_vma(thread)
    batch = walk.batch
    if batch and (batch[0].vm_file is not vma.vm_file or len(batch) == FILE_BATCH):
        return unlink_file_vma_batch_process
    batch.append(vma)
    if not engine.world.preset.unlink_file_batches:
        return unlink_file_vma
    return _after_vma(thread)


@step("mm/mmap.c (until 6.9)")
def unlink_file_vma(engine: Mm, thread: Thread) -> Step:
    """Take the VMA out of its file's tree: truncation cannot find it any more."""
    return _lock_file(engine, thread, unlink_locked)


@step("mm/vma.c (6.10+)")
def unlink_file_vma_batch_process(engine: Mm, thread: Thread) -> Step:
    """Take the VMAs out of their file's tree together: truncation cannot find them any more."""
    return _lock_file(engine, thread, unlink_batch_locked)


def _lock_file(engine: Mm, thread: Thread, then: Step) -> Step:
    file = _walk(thread).batch[0].vm_file
    assert file is not None
    return down_write(engine, thread, file.i_mmap, then)


@step("mm/mmap.c (until 6.9)", cost="interval_tree", function="unlink_file_vma")
def unlink_locked(engine: Mm, thread: Thread) -> Step:
    """The lock of the file's tree is held: unlink and unlock."""
    return _unlink_batch(engine, thread)


@step("mm/vma.c (6.10+)", cost="interval_tree", function="unlink_file_vma_batch_process")
def unlink_batch_locked(engine: Mm, thread: Thread) -> Step:
    """The lock of the file's tree is held: unlink all of the batch and unlock."""
    return _unlink_batch(engine, thread)


def _unlink_batch(engine: Mm, thread: Thread) -> Step:
    walk = _walk(thread)
    file = walk.batch[0].vm_file
    assert file is not None
    is_in_batch = walk.batch[-1] is walk.vma
    engine.charge((len(walk.batch) - 1) * engine.machine.costs["interval_tree"])
    for vma in walk.batch:
        file.vmas.remove(vma.id)
    walk.batch.clear()
    up_write(engine, thread, file.i_mmap)
    if walk.vma.vm_file is not None and not is_in_batch:
        return unlink_file(engine, thread)
    return _after_vma(thread)


def _after_vma(thread: Thread) -> Step:
    """The next VMA if it lies close above this one; else the tables of all that lay close."""
    walk = _walk(thread)
    following = walk.next
    if following is not None and following.vm_start <= walk.vma.vm_end + TABLE_SPAN:
        walk.position += 1
        return free_pgtables_of_vma
    return unlink_file_vma_batch_process if walk.batch else free_pgd_range


@step("mm/memory.c")
def free_pgd_range(engine: Mm, thread: Thread) -> Step:
    """Take out page tables that no neighbour needs; no page-table lock: nobody can reach them."""
    walk = _walk(thread)
    floor, ceiling = _limits(walk)
    taken = walk.mm.page_tables.unlink_tables(engine, floor, ceiling)
    engine.charge(len(taken) * engine.machine.costs["free_table"])
    assert thread.zap is not None
    thread.zap.gather.tables.extend(taken)
    if taken:
        thread.zap.gather.add_range(walk.vmas[walk.first].vm_start, walk.vma.vm_end)
    walk.position += 1
    walk.first = walk.position
    if walk.position < len(walk.vmas):
        return free_pgtables_of_vma
    thread.sys_tables = None
    return thread.back()


def _limits(walk: TableWalk) -> tuple[int, int]:
    """floor and ceiling: tables that reach beyond them still serve a neighbour."""
    first, last, tree = walk.vmas[walk.first], walk.vma, walk.mm.tree
    below = tree.before(walk.vmas[0].vm_start)
    floor = max(first.vm_start // TABLE_SPAN * TABLE_SPAN, below.vm_end if below else 0)
    above = next(tree.between(last.vm_end, last.vm_end + 2 * TABLE_SPAN), None)
    ceiling = -(-last.vm_end // TABLE_SPAN) * TABLE_SPAN
    if walk.next is not None:
        ceiling = min(ceiling, walk.next.vm_start)
    if above is not None:
        ceiling = min(ceiling, max(above.vm_start, last.vm_end))
    return floor, ceiling
