"""From a memory access to the fault handler and back: TLB, exception, choice of the lock, signals.

`access` is the boundary: whoever lets a thread touch memory calls it (`touch`), and it goes back
when the access succeeded or a signal ended it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.errno import EFAULT
from pfviz.mm.page_table import ACCESSED, DIRTY, OCCUPIED, PRESENT, WRITABLE
from pfviz.mm.paths import lockless, under_mmap_lock, under_vma_lock
from pfviz.mm.paths.outcome import (
    ERROR_FLAG,
    MAJOR_FLAG,
    PGMAJFAULT_FLAG,
    RETRIED_FLAG,
    fall_back,
)
from pfviz.mm.thread import (
    LOCKLESS,
    MMAP_LOCK,
    PF_INSTR,
    PF_PROT,
    PF_USER,
    PF_WRITE,
    VMA_LOCK,
    Fault,
)
from pfviz.sim import event
from pfviz.sim.task import Step, step

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def touch(
    engine: Mm,  # noqa: ARG001
    thread: Thread,
    address: int,
    write: bool,
    then: Step,
    fetch: bool = False,
    user: bool = True,
) -> Step:
    """Let a thread touch one address, then go on with `then`; a failure sets op_result to -14."""
    thread.address = address
    thread.access_write = write
    thread.access_exec = fetch
    thread.access_user = user
    return thread.call(access, then)


@step("arch/x86/mm/tlb.c", cost="access")
def access(engine: Mm, thread: Thread) -> Step:
    """Touch the page: the CPU looks into its TLB, then walks the page tables."""
    address, write = thread.address, thread.access_write
    page_tables = thread.mm.page_tables
    tlb = engine.world.tlbs.of_cpu[engine.cpu.id]
    if tlb.allows(address, write):
        if write and engine.world.watch is not None:
            engine.world.watch.wrote_through_tlb(engine, tlb, thread.mm, address)
        return thread.back()
    engine.cost("tlb_miss")
    table = page_tables.walk(address)
    if table is None:
        huge = page_tables.huge_at(address) if page_tables.huge else None
        if huge is None or not huge.value & PRESENT or (write and not huge.value & WRITABLE):
            return asm_exc_page_fault
        huge.value |= ACCESSED | (DIRTY if write else 0)
        tlb.load_huge(address, huge.value)
        return thread.back()
    pte = table.read(address)
    if pte & PRESENT and (not write or pte & WRITABLE):
        pte |= ACCESSED | (DIRTY if write else 0)
        table.ptes[table.index(address)] = pte
        tlb.load(address, pte)
        return thread.back()
    return asm_exc_page_fault


@step("arch/x86/entry/entry_64.S", cost="exception_entry")
def asm_exc_page_fault(engine: Mm, thread: Thread) -> Step:
    """The access may not go on: the CPU raises a page fault and enters the kernel."""
    world = engine.world
    world.faults += 1
    thread.faults += 1
    present = thread.mm.page_tables.pte(thread.address) & OCCUPIED
    error_code = (
        (PF_PROT if present else 0)
        | (PF_WRITE if thread.access_write else 0)
        | (PF_USER if thread.access_user else 0)
        | (PF_INSTR if thread.access_exec else 0)
    )
    thread.fault = Fault(
        id=world.faults,
        address=thread.address,
        write=thread.access_write,
        error_code=error_code,
        begun_ns=engine.now_ns,
        exec=thread.access_exec,
        user=thread.access_user,
    )
    engine.emit(event.FAULT_BEGIN, thread.address, error_code, world.faults, thread.mm.id)
    return thread.call(exc_page_fault, then=irqentry_exit)


@step("arch/x86/mm/fault.c", cost="fault_entry")
def exc_page_fault(engine: Mm, thread: Thread) -> Step:
    """Read the faulting address from CR2; kernels up to 6.12 ask for mmap_lock's line already."""
    if engine.world.preset.prefetchw_mmap_lock:
        thread.mm.mmap_lock.line.prefetch(engine)
    return do_user_addr_fault


@step("arch/x86/mm/fault.c", cost="fault_entry")
def do_user_addr_fault(engine: Mm, thread: Thread) -> Step:
    """Build the fault flags and choose where to begin: without a lock, or with which one."""
    fault = thread.in_flight
    world = engine.world
    has_fast_path = world.is_lockless or world.has_vma_lock
    if not fault.user and has_fast_path:
        # Counted nowhere: the kernel jumps to the mmap_lock path before it tries anything else.
        fault.regime = LOCKLESS if world.is_lockless else VMA_LOCK
        fall_back(engine, thread, "access by the kernel itself", MMAP_LOCK, "")
        return under_mmap_lock.begin(engine, thread)
    if world.is_lockless:
        return lockless.begin(engine, thread)
    if world.has_vma_lock:
        return under_vma_lock.begin(engine, thread)
    return under_mmap_lock.begin(engine, thread)


@step("kernel/entry/common.c", cost="exception_exit")
def irqentry_exit(engine: Mm, thread: Thread) -> Step:
    """Return from the exception: the instruction runs again, or its access has failed."""
    fault = thread.in_flight
    thread.fault = None
    assert not thread.vma_read_locks, f"{thread.name} leaves a fault with a VMA locked"
    if engine.logging:
        flags = (
            (MAJOR_FLAG if fault.major else 0)
            | (ERROR_FLAG if fault.error else 0)
            | (RETRIED_FLAG if fault.retried else 0)
            | (PGMAJFAULT_FLAG if "missed" in fault.scratch else 0)
        )
        exit_ns = engine.machine.costs["exception_exit"]
        latency_ns = engine.now_ns + exit_ns - fault.begun_ns
        kind = engine.log.text(fault.kind)
        engine.emit(event.FAULT_END, kind, latency_ns, fault.regime, flags)
    if fault.error:
        thread.op_result = EFAULT
        return thread.back()
    return access
