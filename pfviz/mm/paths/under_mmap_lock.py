"""A page fault under mmap_lock held for reading: the path of every kernel, and the last resort.

lock_mm_and_find_vma, the access check, the handler, and the retry that may not drop the lock again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm import mmap_lock
from pfviz.mm.paths import stack
from pfviz.mm.paths.access_check import access_error
from pfviz.mm.paths.handle import handle_mm_fault
from pfviz.mm.paths.outcome import (
    VM_FAULT_COMPLETED,
    VM_FAULT_ERROR,
    VM_FAULT_MAJOR,
    VM_FAULT_RETRY,
    VM_FAULT_UNLOCKED,
    account_fault,
    bad_area_access_error,
    bad_area_nosemaphore,
    begin_path,
    do_sigbus,
)
from pfviz.mm.rb_vma_tree import RbVmaTree
from pfviz.mm.thread import MMAP_LOCK
from pfviz.mm.vma import VM_GROWSDOWN
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def begin(engine: Mm, thread: Thread) -> Step:
    """Start the whole fault under mmap_lock."""
    begin_path(engine, thread, MMAP_LOCK)
    return lock_mm_and_find_vma


@step(
    "arch/x86/mm/fault.c (6.0, 6.4.0), mm/memory.c (6.1.37+, 6.5-6.15), mm/mmap_lock.c (6.16+)",
    cost="fault_entry",
)
def lock_mm_and_find_vma(engine: Mm, thread: Thread) -> Step:
    """Try to take mmap_lock for reading; sleep for it when somebody writes or waits."""
    look_up = vmacache_find if engine.world.preset.tree == "rb" else find_vma
    if mmap_lock.mmap_read_trylock(engine, thread, thread.mm):
        return look_up
    return mmap_lock.mmap_read_lock(engine, thread, thread.mm, then=look_up)


@step("mm/vmacache.c (until 6.0)", cost="vmacache")
def vmacache_find(engine: Mm, thread: Thread) -> Step:
    """Try the four VMAs that this thread found last: a hit saves the walk of the tree."""
    fault = thread.in_flight
    tree = thread.mm.tree
    assert isinstance(tree, RbVmaTree)
    fault.vma = tree.cached(engine, fault.address)
    return find_vma if fault.vma is None else check_access


@step("mm/mmap.c", cost="find_vma")
def find_vma(engine: Mm, thread: Thread) -> Step:
    """Look up the first VMA that ends above the address: it may begin above it, too."""
    fault = thread.in_flight
    vma = thread.mm.tree.find(engine, fault.address)
    if vma is not None and vma.vm_start <= fault.address:
        fault.vma = vma
        return check_access
    if vma is not None and vma.vm_flags & VM_GROWSDOWN:
        fault.vma = vma
        by_readers = engine.world.preset.expand_stack == "read"
        grow = stack.expand_downwards if by_readers else stack.expand_stack
        return thread.call(grow, then=stack_expanded)
    if engine.world.watch is not None:
        engine.world.watch.signalled(engine, thread)
    mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    return bad_area_nosemaphore


@step("mm/memory.c", cost="vma_check", function="do_user_addr_fault")
def stack_expanded(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Go on with the grown stack, or report that nothing is mapped here."""
    if thread.in_flight.vma is None:
        return bad_area_nosemaphore  # expand_stack gave mmap_lock back already.
    return check_access


@step("arch/x86/mm/fault.c", cost="vma_check", function="access_error")
def check_access(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Compare the kind of access with what the VMA permits."""
    fault = thread.in_flight
    assert fault.vma is not None
    if access_error(fault, fault.vma.vm_flags):
        return bad_area_access_error
    return thread.call(handle_mm_fault, then=fault_handled)


@step("arch/x86/mm/fault.c", cost="vma_check", function="do_user_addr_fault")
def fault_handled(engine: Mm, thread: Thread) -> Step:
    """See what the handler made of it: done, done without the lock, or to be started again."""
    fault = thread.in_flight
    result = fault.result
    if engine.world.watch is not None and result & VM_FAULT_UNLOCKED:
        engine.world.watch.fault_unlocked(engine, thread)
    account_fault(engine, thread)
    if result & VM_FAULT_MAJOR:
        fault.major = True
    if result & VM_FAULT_COMPLETED:
        return thread.back()
    if result & VM_FAULT_RETRY:
        return retry(engine, thread)
    return unlock_and_return


def retry(engine: Mm, thread: Thread) -> Step:
    """Start again after the handler dropped the lock; from now on it must keep it (TRIED)."""
    fault = thread.in_flight
    fault.tried = True
    fault.major = True  # mm_account_fault: MAJOR in the result, or TRIED in the flags.
    fault.retried = True
    return begin(engine, thread)


@step("arch/x86/mm/fault.c", cost="fault_entry", function="mmap_read_unlock")
def unlock_and_return(engine: Mm, thread: Thread) -> Step:
    """Give mmap_lock back."""
    mmap_lock.mmap_read_unlock(engine, thread, thread.mm)
    if thread.in_flight.result & VM_FAULT_ERROR:
        return do_sigbus
    return thread.back()
