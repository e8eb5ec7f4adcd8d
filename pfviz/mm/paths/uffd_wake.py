"""wake_userfault: wake who waits for a range, without missing a fault that is changing queues.

The pages are in place before the queues are looked at (a full barrier stands between the two); the
fault does it the other way round: it queues, then looks at the page. One of the two sees the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.userfaultfd import UffdCall, WaitHead
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


@step("fs/userfaultfd.c", cost="vma_check")
def wake_userfault(engine: Mm, thread: Thread) -> Step:
    """After a full barrier: begin to look whether anybody waits, in either queue."""
    call = _call(thread)
    refile_seq = call.ctx.refile_seq
    call.sequence = refile_seq.read(engine)
    # A fault is between the queues: whoever moves it holds spinlocks, so it does not take long.
    return wake_userfault if refile_seq.is_written else look_for_waiters


@step("fs/userfaultfd.c", cost="vma_check", function="wake_userfault")
def look_for_waiters(engine: Mm, thread: Thread) -> Step:
    """See whether the queues are empty; if a fault changed queues meanwhile, look again."""
    call = _call(thread)
    ctx = call.ctx
    needed = bool(ctx.fault_pending_wqh.waiters or ctx.fault_wqh.waiters)
    if ctx.refile_seq.retry(engine, call.sequence):
        return wake_userfault
    if not needed:
        return thread.back()
    return spin_lock(engine, thread, ctx.fault_pending_wqh.lock, then=wake_pending)


@step("fs/userfaultfd.c", cost="vma_check", function="__wake_userfault")
def wake_pending(engine: Mm, thread: Thread) -> Step:
    """Wake those that nobody has read of: the page came before the monitor knew of the fault."""
    call = _call(thread)
    _wake(engine, call, call.ctx.fault_pending_wqh)
    if call.ctx.fault_wqh.waiters:
        return spin_lock(engine, thread, call.ctx.fault_wqh.lock, then=wake_read)
    return unlock_pending(engine, thread)


@step("fs/userfaultfd.c", cost="vma_check", function="userfaultfd_wake_function")
def wake_read(engine: Mm, thread: Thread) -> Step:
    """Wake those that the monitor has read of, if their page lies in the range."""
    call = _call(thread)
    _wake(engine, call, call.ctx.fault_wqh)
    spin_unlock(engine, thread, call.ctx.fault_wqh.lock)
    return unlock_pending


@step("fs/userfaultfd.c", function="__wake_userfault")
def unlock_pending(engine: Mm, thread: Thread) -> Step:
    """Everybody who waited for the range was woken: unlock the queues."""
    spin_unlock(engine, thread, _call(thread).ctx.fault_pending_wqh.lock)
    return thread.back()


def _wake(engine: Mm, call: UffdCall, head: WaitHead) -> None:
    """userfaultfd_wake_function for each waiter: who was asleep leaves the queue."""
    for waiting in tuple(head.waiters):
        if call.start <= waiting.address < call.end and waiting.wake(engine):
            head.waiters.remove(waiting)
