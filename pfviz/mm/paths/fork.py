"""fork: both address spaces write-locked, VMA after VMA copied, the TLBs flushed at the very end.

Pages become read-only in the parent while its other threads may still write them through stale TLB
entries: what keeps faults out until the flush is the write lock on each VMA (missing in 6.4.0).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.address_space import AddressSpace, new_mm
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import Exit, Fork, OperationList
from pfviz.mm.paths import run, uffd_event
from pfviz.mm.paths.copy_page_range import TableCopy, copy_tables
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.reverse_map import anon_vma_clone, own_anon_vma
from pfviz.mm.tlb import flush_tlb_range
from pfviz.mm.vma import VM_DONTCOPY, VM_LOCKED, Vma
from pfviz.mm.vma_alloc import vm_area_dup
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.mm.vma_tree import VmaTree
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

TASK_SIZE: Final = 1 << 47


@dataclass(slots=True, eq=False)
class ForkCall:
    """One fork on its way."""

    child: AddressSpace
    vmas: list[Vma] = field(default_factory=list)
    """The parent's VMAs, those that are still to be copied."""
    done: list[Vma] = field(default_factory=list)
    """Those that are copied: faults in them must wait for the TLB flush."""
    copy: Vma | None = None
    """The child's copy of the first of them."""
    plan: Any = None
    """The store that puts it into the child's tree."""
    tables: TableCopy | None = None
    """The page tables of the VMA in work."""

    @property
    def vma(self) -> Vma:
        """The parent's VMA in work."""
        return self.vmas[0]


def copied(call: ForkCall, vma: Vma) -> bool:
    """Whether fork is past a VMA of the parent, or in it, and has not flushed the TLBs yet."""
    return (call.copy is not None and vma is call.vma) or vma in call.done


def _call(thread: Thread) -> ForkCall:
    call = thread.sys
    assert isinstance(call, ForkCall)
    return call


@step("kernel/fork.c", cost="fork_base")
def kernel_clone(engine: Mm, thread: Thread) -> Step:
    """Create the child's task; its address space is to be a copy of mine."""
    operation = thread.operation
    assert isinstance(operation, Fork)
    name = operation.child_name or f"{thread.mm.name}-child{len(engine.world.mms)}"
    thread.sys = ForkCall(new_mm(engine, name, thread.mm))
    return dup_mmap


@step("kernel/fork.c, mm/mmap.c (6.16+)", cost="mm_alloc")
def dup_mmap(engine: Mm, thread: Thread) -> Step:
    """Ask for the parent's mmap_lock for writing: the whole of it must hold still."""
    return mmap_write_lock(engine, thread, thread.mm, lock_child_mm)


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def lock_child_mm(engine: Mm, thread: Thread) -> Step:
    """Take the child's mmap_lock as well; nobody else knows the child yet."""
    return mmap_write_lock(engine, thread, _call(thread).child, dup_tree)


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def dup_tree(engine: Mm, thread: Thread) -> Step:
    """Both processes hold still: see to a tree for the child, then go through the VMAs."""
    call, mm = _call(thread), thread.mm
    child = call.child
    child.start_brk, child.brk, child.mmap_base = mm.start_brk, mm.brk, mm.mmap_base
    child.slots = dict(mm.slots)
    call.vmas = list(mm.tree)
    if engine.world.preset.tree == "rb":
        return dup_mmap_next_vma
    return mt_dup if engine.world.preset.fork_tree == "mt_dup" else mas_expected_entries


@step("lib/maple_tree.c (6.8+)", function="__mt_dup")
def mt_dup(engine: Mm, thread: Thread) -> Step:
    """Copy the VMA tree node by node; its entries are the parent's VMAs until each is replaced."""
    child = _call(thread).child
    child.tree.copy_from(engine, thread.mm.tree)
    child.tree.set_rcu(False)
    return dup_mmap_next_vma


@step("lib/maple_tree.c (until 6.7)")
def mas_expected_entries(engine: Mm, thread: Thread) -> Step:
    """Reserve nodes for as many VMAs as the parent has: they will be stored one by one, packed."""
    call = _call(thread)
    tree = call.child.tree
    assert isinstance(tree, VmaTree)
    tree.expect_entries(engine, len(call.vmas))
    tree.set_rcu(False)
    return dup_mmap_next_vma


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def dup_mmap_next_vma(engine: Mm, thread: Thread) -> Step:
    """Go on to the parent's next VMA; kernels that write-lock it keep faults out of it."""
    call = _call(thread)
    if not call.vmas:
        return dup_mmap_done
    if uffd_event.wants(call.vma, "fork") and not thread.uffd_events:
        return uffd_event.prepare(engine, thread, call.vma, "fork", 0, 0, dup_mmap_next_vma)
    then = leave_vma_out if call.vma.vm_flags & VM_DONTCOPY else copy_vma
    # A lockless fault in a VMA that keeps its number would commit before the TLBs are flushed.
    if not engine.world.preset.fork_locks_vmas and not engine.world.is_lockless:
        return then
    return vma_start_write(engine, thread, call.vma, then)


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def leave_vma_out(engine: Mm, thread: Thread) -> Step:
    """The child is not to have this VMA: a tree that was copied loses it again."""
    call = _call(thread)
    vma = call.vma
    if engine.world.preset.fork_tree == "mt_dup" and engine.world.preset.tree != "rb":
        call.child.tree.store(engine, vma.vm_start, vma.vm_end, None, "mas_store_gfp")
    call.vmas.pop(0)
    return dup_mmap_next_vma


@step("kernel/fork.c, mm/vma_init.c (6.16+)", cost="vma_alloc", function="vm_area_dup")
def copy_vma(engine: Mm, thread: Thread) -> Step:
    """Duplicate the VMA for the child."""
    call = _call(thread)
    vma = call.vma
    call.copy = vm_area_dup(engine, vma, vma.vm_start, vma.vm_end, mm=call.child)
    if vma.userfaultfd is not None:
        return dup_userfaultfd
    return _copy_anon_vmas(engine, thread)


@step("fs/userfaultfd.c")
def dup_userfaultfd(engine: Mm, thread: Thread) -> Step:
    """The monitor does not follow into the child: its copy, write-locked first, has none."""
    copy = _call(thread).copy
    assert copy is not None
    return vma_start_write(engine, thread, copy, copy_anon_vmas)


@step("mm/rmap.c", function="anon_vma_fork")
def copy_anon_vmas(engine: Mm, thread: Thread) -> Step:
    """Go on with the anon_vmas of the copy."""
    return _copy_anon_vmas(engine, thread)


def _copy_anon_vmas(engine: Mm, thread: Thread) -> Step:
    parent = _call(thread).vma.anon_vma
    if parent is None:
        return lock_copied_vma
    return down_write(engine, thread, parent.rwsem, clone_anon_vmas)


@step("mm/rmap.c", cost="interval_tree", function="anon_vma_clone")
def clone_anon_vmas(engine: Mm, thread: Thread) -> Step:
    """Link the child's VMA to the parent's anon_vmas: their pages may be mapped in it."""
    call = _call(thread)
    assert call.copy is not None
    assert call.vma.anon_vma is not None
    anon_vma_clone(call.copy, call.vma)
    up_write(engine, thread, call.vma.anon_vma.rwsem)
    return fork_anon_vma


@step("mm/rmap.c", cost="anon_vma_alloc", function="anon_vma_fork")
def fork_anon_vma(engine: Mm, thread: Thread) -> Step:
    """The child's VMA gets an anon_vma of its own, under the lock of the same root."""
    parent = _call(thread).vma.anon_vma
    assert parent is not None
    return down_write(engine, thread, parent.rwsem, link_own_anon_vma)


@step("mm/rmap.c", cost="interval_tree", function="anon_vma_fork")
def link_own_anon_vma(engine: Mm, thread: Thread) -> Step:
    """Pages that the child writes from now on are its own: link its VMA to its own anon_vma."""
    call = _call(thread)
    parent = call.vma.anon_vma
    assert call.copy is not None
    assert parent is not None
    own_anon_vma(engine, call.copy, parent)
    up_write(engine, thread, parent.rwsem)
    return lock_copied_vma


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def lock_copied_vma(engine: Mm, thread: Thread) -> Step:
    """Some flags of the child's VMA are cleared, under its write lock if it has one."""
    copy = _call(thread).copy
    assert copy is not None
    copy.vm_flags &= ~VM_LOCKED  # Locks on memory are not inherited.
    if engine.world.preset.tree == "rb":
        return vma_link_rb
    is_dup = engine.world.preset.fork_tree == "mt_dup"
    return vma_start_write(engine, thread, copy, vma_iter_bulk_store if is_dup else mas_store)


@step("kernel/fork.c (6.8+), mm/mmap.c (6.16+)")
def vma_iter_bulk_store(engine: Mm, thread: Thread) -> Step:
    """Put the child's VMA in place of the parent's: it has the same range, one slot changes."""
    call = _call(thread)
    copy = call.copy
    assert copy is not None
    call.child.tree.store(engine, copy.vm_start, copy.vm_end, copy, "mas_store")
    return _link_copied(engine, thread, copy)


@step("lib/maple_tree.c (until 6.7)")
def mas_store(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Decide how the child's VMA goes behind those that its tree holds; the nodes are reserved."""
    call = _call(thread)
    copy, tree = call.copy, call.child.tree
    assert copy is not None
    assert isinstance(tree, VmaTree)
    call.plan = tree.plan(copy.vm_start, copy.vm_end, copy, "mas_store", bulk=True)
    return build_store(thread, tree, call.plan, store_copied_vma)


@step("lib/maple_tree.c (until 6.7)", function="mas_store")
def store_copied_vma(engine: Mm, thread: Thread) -> Step:
    """Store the child's VMA in its tree, which nobody walks yet: where there is room, in place."""
    call = _call(thread)
    assert call.copy is not None
    call.child.tree.store_prealloc(engine, call.plan)
    call.plan = None
    return _link_copied(engine, thread, call.copy)


def _link_copied(engine: Mm, thread: Thread, copy: Vma) -> Step:
    vma_mark_attached(engine, copy)
    if copy.vm_file is None:
        return _copy_tables(thread)
    return down_write(engine, thread, copy.vm_file.i_mmap, link_copied_vma)


@step("kernel/fork.c (until 6.0)", function="__vma_link_rb")
def vma_link_rb(engine: Mm, thread: Thread) -> Step:
    """Append the child's VMA to its list and hang it into its tree, to the right of all others."""
    call = _call(thread)
    assert call.copy is not None
    call.child.tree.store(engine, call.copy.vm_start, call.copy.vm_end, call.copy, "")
    return _link_copied(engine, thread, call.copy)


@step("kernel/fork.c", cost="interval_tree", function="vma_interval_tree_insert_after")
def link_copied_vma(engine: Mm, thread: Thread) -> Step:
    """Hang the child's VMA into the file's tree, behind the parent's."""
    copy = _call(thread).copy
    assert copy is not None
    assert copy.vm_file is not None
    copy.vm_file.vmas.append(copy.id)
    up_write(engine, thread, copy.vm_file.i_mmap)
    return _copy_tables(thread)


def _copy_tables(thread: Thread) -> Step:
    call = _call(thread)
    return copy_tables(thread, call.vma, call.child, next_copied)


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def next_copied(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """This VMA is copied."""
    call = _call(thread)
    call.done.append(call.vmas.pop(0))
    call.copy = None
    return dup_mmap_next_vma


# Finish


@step("kernel/fork.c, mm/mmap.c (6.16+)", function="dup_mmap")
def dup_mmap_done(engine: Mm, thread: Thread) -> Step:
    """All VMAs are copied: the child's tree is complete, its mmap_lock free."""
    child = _call(thread).child
    child.tree.set_rcu(True)
    mmap_write_unlock(engine, thread, child)
    return flush_tlb_mm


@step("kernel/fork.c")
def flush_tlb_mm(engine: Mm, thread: Thread) -> Step:
    """Only now flush the parent's TLBs: until here other CPUs could write pages that are shared."""
    tables = thread.mm.page_tables
    return flush_tlb_range(engine, thread, tables, 0, TASK_SIZE, unlock_parent, "fork")


@step("kernel/fork.c", function="mmap_write_unlock")
def unlock_parent(engine: Mm, thread: Thread) -> Step:
    """Give the parent's mmap_lock back, and with it any VMA locks: its faults go on."""
    mmap_write_unlock(engine, thread, thread.mm)
    return uffd_event.complete(thread, wake_up_new_task)


@step("kernel/sched/core.c")
def wake_up_new_task(engine: Mm, thread: Thread) -> Step:
    """Let the child run."""
    operation, call = thread.operation, _call(thread)
    assert isinstance(operation, Fork)
    cpus = engine.machine.cpus
    cpu = cpus[operation.child_cpu] if operation.child_cpu >= 0 else engine.cpu
    program = operation.child_program
    program = program.fresh() if program is not None else OperationList((Exit(),))
    child = run.new_thread(engine, call.child, call.child.name, cpu, program, thread.prio)
    child.slots.update(thread.slots)
    thread.op_result = child.id
    return thread.back()
