"""handle_userfault: queue the fault, look once more, drop the fault lock, tell the monitor, sleep.

Entered without the page-table lock, under the VMA lock or mmap_lock; it ends with RETRY, the lock
given up. What the monitor does is in `uffd_monitor` and `uffd_fill`. The order is what keeps
wake-ups from being lost: the task state is set before the entry is looked at again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pfviz.mm.page_table import PAGE_SIZE, WRITABLE, is_pte_marker
from pfviz.mm.paths.outcome import VM_FAULT_NOPAGE, VM_FAULT_RETRY, VM_FAULT_SIGBUS
from pfviz.mm.paths.pte_lock import pte_map, pte_unmap
from pfviz.mm.paths.release import release_fault_lock
from pfviz.mm.paths.uffd_tell import tell_monitor
from pfviz.mm.userfaultfd import WAITS, WP, Userfault, UserfaultfdCtx
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

USERFAULT: Final = "userfaultfd monitor asked"
"""Why the fault lock was given up, as FAULT_FALLBACK says it."""


def userfault(thread: Thread, reason: str) -> Step:
    """Hand the fault to the monitor of its VMA; the chain goes back when the fault is to go on."""
    fault = thread.in_flight
    fault.kind = f"uffd_{reason}"
    fault.scratch["userfault"] = reason
    return handle_userfault


def _ctx(thread: Thread) -> UserfaultfdCtx:
    ctx: UserfaultfdCtx = thread.in_flight.scratch["uffd"]
    return ctx


def _fault(thread: Thread) -> Userfault:
    fault: Userfault = thread.in_flight.scratch["uwq"]
    return fault


@step("fs/userfaultfd.c", cost="vma_check")
def handle_userfault(engine: Mm, thread: Thread) -> Step:
    """See whether the monitor may be asked at all; then take a reference to its descriptor."""
    fault = thread.in_flight
    assert fault.vma is not None
    ctx = fault.vma.userfaultfd
    refuses = ctx is None or "sigbus" in ctx.features
    if ctx is None or refuses or (ctx.user_mode_only and not fault.user):
        fault.result |= VM_FAULT_SIGBUS
        return thread.back()
    if ctx.released:
        release_fault_lock(engine, thread)
        thread.abort = "userfaultfd closed"
        fault.result |= VM_FAULT_RETRY
        return thread.back()
    ctx.refcount += 1
    reason = fault.scratch.pop("userfault")
    page = fault.address & -PAGE_SIZE
    fault.scratch["uffd"] = ctx
    fault.scratch["uwq"] = Userfault(thread, address=page, reason=reason, since_ns=engine.now_ns)
    return spin_lock(engine, thread, ctx.fault_pending_wqh.lock, then=queue_userfault)


@step("fs/userfaultfd.c", cost="uffd_queue", function="handle_userfault")
def queue_userfault(engine: Mm, thread: Thread) -> Step:
    """Queue the fault and mark the thread asleep, both under the queue's lock: no wake-up from here
    on can be lost, even though the thread still runs."""
    ctx, waiting = _ctx(thread), _fault(thread)
    ctx.fault_pending_wqh.waiters.append(waiting)
    set_current_state(waiting)
    spin_unlock(engine, thread, ctx.fault_pending_wqh.lock)
    return userfaultfd_must_wait


def set_current_state(waiting: Userfault) -> None:
    """The task state says asleep from now on (part of a step)."""
    waiting.is_blocking = True


@step("fs/userfaultfd.c", cost="pte_read")
def userfaultfd_must_wait(engine: Mm, thread: Thread) -> Step:
    """Still under the fault lock, read the entry once more: was the page put in meanwhile?"""
    fault, waiting = thread.in_flight, _fault(thread)
    pte_map(engine, thread)
    waiting.must_wait = must_wait(thread.mm.page_tables.pte(fault.address), waiting.reason)
    pte_unmap(engine, thread)
    policy = engine.world.policy
    if policy.uffd_notify == "hold" or policy.io_wait_userfaultfd == "hold":
        return notify_or_go_on(thread)
    return release_lock


def must_wait(pte: int, reason: str) -> bool:
    """Whether an entry still needs the monitor."""
    if not pte or is_pte_marker(pte):
        return True
    return reason == WP and not pte & WRITABLE


@step("include/linux/mm.h (6.4+), fs/userfaultfd.c", function="release_fault_lock")
def release_lock(engine: Mm, thread: Thread) -> Step:
    """Give the fault lock up before anybody is told: whoever answers may need it."""
    release_fault_lock(engine, thread)
    thread.in_flight.scratch["unlocked"] = True
    return notify_or_go_on(thread)


def notify_or_go_on(thread: Thread) -> Step:
    """Tell the monitor and sleep, unless there is nothing to wait for any more."""
    if _fault(thread).must_wait and not _ctx(thread).released:
        return tell_monitor(thread, _ctx(thread), then=schedule)
    return userfault_woken


@step("kernel/sched/core.c")
def schedule(engine: Mm, thread: Thread) -> Step | None:
    """Leave the CPU until the monitor has answered, unless the answer was faster."""
    waiting = _fault(thread)
    if not waiting.is_blocking:
        return userfault_woken
    waiting.in_schedule = True
    engine.sleep(userfault_woken, WAITS)
    return None


@step("fs/userfaultfd.c", cost="vma_check", function="handle_userfault")
def userfault_woken(engine: Mm, thread: Thread) -> Step:
    """Awake again: mark the thread as running, and leave the queue if nobody has taken it out."""
    ctx, waiting = _ctx(thread), _fault(thread)
    waiting.is_blocking = False
    if waiting in ctx.fault_pending_wqh.waiters or waiting in ctx.fault_wqh.waiters:
        return spin_lock(engine, thread, ctx.fault_pending_wqh.lock, then=unqueue_userfault)
    return userfaultfd_ctx_put


@step("fs/userfaultfd.c", function="handle_userfault")
def unqueue_userfault(engine: Mm, thread: Thread) -> Step:
    """Take the fault out of the queue that it stands in."""
    ctx, waiting = _ctx(thread), _fault(thread)
    for head in (ctx.fault_pending_wqh, ctx.fault_wqh):
        if waiting in head.waiters:
            head.waiters.remove(waiting)
    spin_unlock(engine, thread, ctx.fault_pending_wqh.lock)
    return userfaultfd_ctx_put


@step("fs/userfaultfd.c")
def userfaultfd_ctx_put(engine: Mm, thread: Thread) -> Step:
    """Let go of the descriptor; the fault starts again and finds what the monitor did."""
    fault = thread.in_flight
    fault.scratch.pop("uwq")
    fault.scratch.pop("uffd").refcount -= 1
    if not fault.scratch.pop("unlocked", False):
        if engine.world.policy.io_wait_userfaultfd == "hold":
            # The lock was never given up: nothing has to start again, the access just goes on.
            fault.result |= VM_FAULT_NOPAGE
            return thread.back()
        release_fault_lock(engine, thread)
    thread.abort = USERFAULT
    fault.result |= VM_FAULT_RETRY
    return thread.back()
