"""exec: a new address space is built beside the old one, the thread goes over, the old one ends.

Only at the change itself is a lock of the old one held, for reading. Then nobody is left in it, and
it is taken down as at exit. The new one gets its stack; what else it maps is up to the new program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pfviz.mm.address_space import STACK_TOP, AddressSpace, new_mm
from pfviz.mm.mmap_lock import (
    mmap_read_lock,
    mmap_read_unlock,
    mmap_write_lock,
    mmap_write_unlock,
)
from pfviz.mm.operations import PAGE_SIZE, Exec, OperationList
from pfviz.mm.paths import exit_mmap
from pfviz.mm.paths.allocation import lru_add_drain
from pfviz.mm.paths.expand import expand
from pfviz.mm.paths.gup import Gup, get_user_pages
from pfviz.mm.paths.modify import Modify, modify_flags
from pfviz.mm.paths.move_page_tables import Move, move_pages
from pfviz.mm.paths.pte_lock import map_and_lock, unlock_and_unmap
from pfviz.mm.paths.tree_store import build_store
from pfviz.mm.paths.vma_change import VmaChange
from pfviz.mm.paths.zap import begin_zap, tlb_finish
from pfviz.mm.thread import Thread
from pfviz.mm.tlb import switch_mm_irqs_off
from pfviz.mm.vma import VM_GROWSDOWN, VM_RAND_READ, VM_READ, VM_SEQ_READ, VM_WRITE, Vma
from pfviz.mm.vma_alloc import vm_area_alloc
from pfviz.mm.vma_lock import vma_mark_attached, vma_start_write
from pfviz.sim import event
from pfviz.sim.task import DONE, Step, step
from pfviz.sync.rwsem import down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.reverse_map import AnonVma
    from pfviz.mm.world import Mm

STACK_SHIFT: Final = 0x40_0000
"""How far the stack goes down from where it was built (randomised in the kernel)."""
STACK_EXPAND: Final = 32 * PAGE_SIZE
"""What the stack gets beyond its arguments: 128 KiB."""
INCOMPLETE: Final = VM_RAND_READ | VM_SEQ_READ
"""VM_STACK_INCOMPLETE_SETUP: the stack is still being built."""


@dataclass(slots=True, eq=False)
class ExecCall:
    """One exec on its way (struct linux_binprm)."""

    old: AddressSpace
    new: AddressSpace
    stack: Vma
    plan: Any = None


def _call(thread: Thread) -> ExecCall:
    call = thread.sys
    assert isinstance(call, ExecCall)
    return call


# The new address space


@step("fs/exec.c", cost="exec_base", function="__x64_sys_execve")
def sys_execve(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Open the program and read its first page."""
    return bprm_mm_init


@step("fs/exec.c", cost="mm_alloc")
def bprm_mm_init(engine: Mm, thread: Thread) -> Step:
    """Make an empty address space with a stack of one page; nobody else knows it."""
    asked = thread.operation
    assert isinstance(asked, Exec)
    new = new_mm(engine, asked.name or f"{thread.mm.name}-exec{len(engine.world.mms)}")
    flags = VM_READ | VM_WRITE | VM_GROWSDOWN | INCOMPLETE
    start = STACK_TOP - PAGE_SIZE
    stack = vm_area_alloc(engine, new, start, STACK_TOP, flags, kind="stack", name="[stack]")
    thread.sys = ExecCall(thread.mm, new, stack)
    return mmap_write_lock(engine, thread, new, insert_vm_struct)


@step("mm/mmap.c", cost="find_vma")
def insert_vm_struct(engine: Mm, thread: Thread) -> Step:
    """Put the stack's VMA into the new tree."""
    call = _call(thread)
    stack = call.stack
    call.plan = call.new.tree.prealloc(engine, stack.vm_start, stack.vm_end, stack)
    publish = build_store(thread, call.new.tree, call.plan, stack_inserted)
    if not engine.world.preset.locks_new_vma:
        return publish
    return vma_start_write(engine, thread, stack, publish)


@step("mm/mmap.c", function="vma_link")
def stack_inserted(engine: Mm, thread: Thread) -> Step:
    """The stack can be found; unlock."""
    call = _call(thread)
    call.new.tree.store_prealloc(engine, call.plan)
    call.plan = None
    vma_mark_attached(engine, call.stack)
    mmap_write_unlock(engine, thread, call.new)
    return copy_strings


@step("fs/exec.c", cost="vma_check")
def copy_strings(engine: Mm, thread: Thread) -> Step:
    """Arguments and environment go to the new stack: take its mmap_lock for reading."""
    # From here on the handler works on the new mm; the CPU goes over to it in exec_mmap.
    thread.mm = _call(thread).new
    return mmap_read_lock(engine, thread, thread.mm, get_arg_page)


@step("fs/exec.c", cost="copy")
def get_arg_page(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Fault the stack's page in and fill it."""
    stack = _call(thread).stack
    return get_user_pages(thread, Gup(stack.vm_start, stack.vm_end, write=True), strings_copied)


@step("fs/exec.c", function="copy_strings")
def strings_copied(engine: Mm, thread: Thread) -> Step:
    """Unlock: the new stack has its contents."""
    thread.gup = None
    mmap_read_unlock(engine, thread, thread.mm)
    return begin_new_exec


# From the old one to the new


@step("fs/exec.c", cost="vma_check")
def begin_new_exec(engine: Mm, thread: Thread) -> Step | None:
    """The point of no return: all other threads of the process have to end first."""
    others = others_of(engine, thread, _call(thread).old)
    for other in others:
        other.killed = True
    if not others:
        return exec_mmap
    _call(thread).old.exec_waiter = thread
    engine.sleep(begin_new_exec, "waits until the other threads have ended")
    return None


def others_of(engine: Mm, thread: Thread, mm: AddressSpace) -> list[Thread]:
    """The other threads of an address space that have not ended."""
    return [
        task
        for task in engine.tasks
        if isinstance(task, Thread) and task.mm is mm and task is not thread and task.state != DONE
    ]


@step("fs/exec.c")
def exec_mmap(engine: Mm, thread: Thread) -> Step:
    """Take the old mmap_lock for reading: whoever dumps core or tests the mm is not cut short."""
    return mmap_read_lock(engine, thread, _call(thread).old, activate_mm)


@step("fs/exec.c", cost="tlb_local_full", function="exec_mmap")
def activate_mm(engine: Mm, thread: Thread) -> Step:
    """The CPU goes over to the new address space; the old one loses this thread."""
    call = _call(thread)
    call.old.threads -= 1
    call.new.threads += 1
    thread.group = call.new.id
    switch_mm_irqs_off(engine, engine.cpu, thread)
    if engine.logging:
        name, cpu = engine.log.text(thread.name), engine.cpu.id
        engine.emit(event.TASK_NEW, name, cpu, thread.prio, call.new.id)
    mmap_read_unlock(engine, thread, call.old)
    return mmput


@step("kernel/fork.c")
def mmput(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Let the old address space go; nobody is left in it, so it is taken down."""
    thread.exiting = _call(thread).old
    return thread.call(exit_mmap.exit_mmap, then=setup_arg_pages)


# The stack


@step("fs/exec.c")
def setup_arg_pages(engine: Mm, thread: Thread) -> Step:
    """Ask for the new mmap_lock for writing: the stack is to get its flags, place and size."""
    return mmap_write_lock(engine, thread, thread.mm, mprotect_fixup)


@step("mm/mprotect.c", cost="vma_check")
def mprotect_fixup(engine: Mm, thread: Thread) -> Step:
    """The stack is no longer being built: it gets its final flags as by mprotect."""
    stack = _call(thread).stack
    begin_zap(engine, thread, thread.mm, "exec")
    flags = stack.vm_flags & ~INCOMPLETE
    modify = Modify(stack, stack.vm_start, stack.vm_end, flags)
    return modify_flags(engine, thread, modify, lock_stack_flags)


@step("mm/mprotect.c", function="mprotect_fixup")
def lock_stack_flags(engine: Mm, thread: Thread) -> Step:
    """Flags are to change that faults read: write-lock the VMA first if it has a lock."""
    return vma_start_write(engine, thread, _call(thread).stack, set_stack_flags)


@step("mm/mmap.c", cost="vma_check", function="vma_set_page_prot")
def set_stack_flags(engine: Mm, thread: Thread) -> Step:
    """Set the flags."""
    stack = _call(thread).stack
    stack.vm_flags = thread.modify.flags
    thread.modify = None
    stack.emit_changed(engine, "exec")
    return change_protection


@step("mm/mprotect.c", cost="zap_empty_table")
def change_protection(engine: Mm, thread: Thread) -> Step:
    """Look at the page table of the stack: what may be done with its pages stays as it is."""
    call = _call(thread)
    table = thread.mm.page_tables.walk(call.stack.vm_start)
    assert table is not None
    return map_and_lock(engine, thread, table, protection_unchanged)


@step("mm/mprotect.c", cost="protect_table", function="change_pte_range")
def protection_unchanged(engine: Mm, thread: Thread) -> Step:
    """No entry changes: unlock, with nothing to flush."""
    table = thread.mm.page_tables.walk(_call(thread).stack.vm_start)
    assert table is not None
    unlock_and_unmap(engine, thread, table)
    return tlb_finish(thread, shift_arg_pages)


@step("fs/exec.c (until 6.15), mm/vma_exec.c (6.16+)", cost="vma_check")
def shift_arg_pages(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The stack goes down to its own place: first let the VMA reach from there to here."""
    stack = _call(thread).stack
    change = VmaChange(stack, stack.vm_start - STACK_SHIFT, stack.vm_end, "exec")
    return expand(thread, change, move_stack)


@step("fs/exec.c (until 6.15), mm/vma_exec.c (6.16+)", function="shift_arg_pages")
def move_stack(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Then move its pages down."""
    stack = _call(thread).stack
    old = STACK_TOP - PAGE_SIZE
    move = Move(stack, old, old - STACK_SHIFT, PAGE_SIZE, rmap_locks=False)
    return move_pages(thread, move, drain_before_free)


@step("fs/exec.c (until 6.15), mm/vma_exec.c (6.16+)", function="shift_arg_pages")
def drain_before_free(engine: Mm, thread: Thread) -> Step:
    """Pages that this CPU collected go to their lists first, in kernels that do so."""
    if engine.world.preset.unmap_drains_lru:
        return thread.call(lru_add_drain, then=free_old_place)
    return free_old_place


@step("mm/memory.c", cost="zap_empty_table", function="free_pgd_range")
def free_old_place(engine: Mm, thread: Thread) -> Step:
    """Nothing is left in the page tables of the old place: take them out, flush, free."""
    zap = begin_zap(engine, thread, thread.mm, "exec")
    low = STACK_TOP - STACK_SHIFT
    taken = thread.mm.page_tables.unlink_tables(engine, low, 1 << 47)
    engine.charge(len(taken) * engine.machine.costs["free_table"])
    zap.gather.tables.extend(taken)
    return tlb_finish(thread, vma_shrink)


@step("mm/vma.c (6.12+), mm/mmap.c", cost="ma_prealloc")
def vma_shrink(engine: Mm, thread: Thread) -> Step:
    """Last the VMA is cut off above the new place: reserve the nodes for that."""
    call = _call(thread)
    end = call.stack.vm_end - STACK_SHIFT
    call.plan = thread.mm.tree.prealloc(engine, end, call.stack.vm_end, None)
    return shrink_prepare


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_prepare", function="vma_prepare")
def shrink_prepare(engine: Mm, thread: Thread) -> Step:
    """Lock the reverse map of the stack while its range changes."""
    call = _call(thread)
    publish = build_store(thread, thread.mm.tree, call.plan, stack_shrunk)
    return down_write(engine, thread, _anon_vma(call).rwsem, publish)


@step("mm/vma.c (6.12+), mm/mmap.c", function="vma_shrink")
def stack_shrunk(engine: Mm, thread: Thread) -> Step:
    """Clear the old place in the tree, and set the new end."""
    call = _call(thread)
    call.stack.vm_end -= STACK_SHIFT
    thread.mm.tree.store_prealloc(engine, call.plan)
    call.plan = None
    call.stack.emit_changed(engine, "exec")
    return shrink_complete


@step("mm/vma.c (6.12+), mm/mmap.c", cost="vma_complete", function="vma_complete")
def shrink_complete(engine: Mm, thread: Thread) -> Step:
    """Unlock the reverse map."""
    up_write(engine, thread, _anon_vma(_call(thread)).rwsem)
    return expand_downwards


def _anon_vma(call: ExecCall) -> AnonVma:
    anon_vma = call.stack.anon_vma
    assert anon_vma is not None, "the arguments were written before"
    return anon_vma


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="ma_prealloc")
def expand_downwards(engine: Mm, thread: Thread) -> Step:
    """Give the stack some pages to begin with: its reverse map is locked for that once more."""
    call, tree = _call(thread), thread.mm.tree
    start = call.stack.vm_start - STACK_EXPAND
    call.plan = tree.prealloc(engine, start, call.stack.vm_end, call.stack)
    return down_write(engine, thread, _anon_vma(call).rwsem, expand_locked)


@step("mm/mmap.c, mm/vma.c (6.14+)", function="expand_downwards")
def expand_locked(engine: Mm, thread: Thread) -> Step:
    """Older kernels take page_table_lock as well, which orders growths of several stacks."""
    tables = thread.mm.page_tables
    publish = build_store(thread, thread.mm.tree, _call(thread).plan, stack_expanded)
    if engine.world.preset.stack_page_table_lock:
        return spin_lock(engine, thread, tables.page_table_lock, publish)
    return publish


@step("mm/mmap.c, mm/vma.c (6.14+)", cost="interval_tree", function="expand_downwards")
def stack_expanded(engine: Mm, thread: Thread) -> Step:
    """Set the new start and store the VMA; then unlock."""
    call, tables = _call(thread), thread.mm.page_tables
    stack = call.stack
    stack.vm_start -= STACK_EXPAND
    stack.vm_pgoff -= STACK_EXPAND // PAGE_SIZE
    thread.mm.tree.store_prealloc(engine, call.plan)
    call.plan = None
    stack.emit_changed(engine, "exec")
    if engine.world.preset.stack_page_table_lock:
        spin_unlock(engine, thread, tables.page_table_lock)
    up_write(engine, thread, _anon_vma(call).rwsem)
    return exec_unlock


@step("fs/exec.c", function="mmap_write_unlock")
def exec_unlock(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back: the new program may begin."""
    asked, call = thread.operation, _call(thread)
    assert isinstance(asked, Exec)
    mmap_write_unlock(engine, thread, thread.mm)
    thread.mm.slots["stack"] = call.stack.vm_start
    program = asked.program
    thread.program = program.fresh() if program is not None else OperationList(())
    thread.slots.clear()
    return thread.back()
