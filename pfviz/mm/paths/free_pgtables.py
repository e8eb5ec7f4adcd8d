"""free_pgtables: VMAs leave the reverse map one by one, then their empty page tables go.

Nobody can reach the VMAs by the tree; the reverse map is the last way to them, so it goes first.
The tables are only taken out here; they are freed after the TLB flush and a grace period.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(slots=True, eq=False)
class TableWalk:
    """The VMAs whose tables go, and how far it got."""

    mm: AddressSpace
    vmas: list[Vma]
    locks_vmas: bool
    """mm_wr_locked: exit holds mmap_lock for writing and write-locks each VMA once more."""
    position: int = 0

    @property
    def vma(self) -> Vma:
        """The VMA in work."""
        return self.vmas[self.position]


def free_pgtables(
    engine: Mm,
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
    return free_pgtables_of_vma(engine, thread)


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
    unlink_anon_vmas(vma)
    up_write(engine, thread, rwsem)
    return unlink_file if vma.vm_file is not None else free_pgd_range


@step("mm/vma.c", function="unlink_file_vma")
def unlink_file(engine: Mm, thread: Thread) -> Step:
    """Take the VMA out of its file's tree: truncation cannot find it any more."""
    vma = _walk(thread).vma
    if vma.vm_file is None:
        return free_pgd_range
    return down_write(engine, thread, vma.vm_file.i_mmap, unlink_file_locked)


@step("mm/vma.c", cost="interval_tree", function="unlink_file_vma")
def unlink_file_locked(engine: Mm, thread: Thread) -> Step:
    """The lock of the file's tree is held: unlink and unlock."""
    vma = _walk(thread).vma
    assert vma.vm_file is not None
    vma.vm_file.vmas.remove(vma.id)
    up_write(engine, thread, vma.vm_file.i_mmap)
    return free_pgd_range


@step("mm/memory.c")
def free_pgd_range(engine: Mm, thread: Thread) -> Step:
    """Take out page tables that no neighbour needs; no page-table lock: nobody can reach them."""
    walk = _walk(thread)
    vma = walk.vma
    floor, ceiling = _limits(walk)
    taken = walk.mm.page_tables.unlink_tables(engine, floor, ceiling)
    engine.charge(len(taken) * engine.machine.costs["free_table"])
    assert thread.zap is not None
    thread.zap.gather.tables.extend(taken)
    if taken:
        thread.zap.gather.add_range(vma.vm_start, vma.vm_end)
    walk.position += 1
    if walk.position < len(walk.vmas):
        return free_pgtables_of_vma
    thread.sys_tables = None
    return thread.back()


def _limits(walk: TableWalk) -> tuple[int, int]:
    """floor and ceiling: tables that reach beyond them still serve a neighbour."""
    vma, tree = walk.vma, walk.mm.tree
    below = tree.before(walk.vmas[0].vm_start)
    floor = max(vma.vm_start // TABLE_SPAN * TABLE_SPAN, below.vm_end if below else 0)
    above = next(tree.between(vma.vm_end, vma.vm_end + 2 * TABLE_SPAN), None)
    ceiling = -(-vma.vm_end // TABLE_SPAN) * TABLE_SPAN
    if walk.position + 1 < len(walk.vmas):
        ceiling = min(ceiling, walk.vmas[walk.position + 1].vm_start)
    if above is not None:
        ceiling = min(ceiling, max(above.vm_start, vma.vm_end))
    return floor, ceiling
