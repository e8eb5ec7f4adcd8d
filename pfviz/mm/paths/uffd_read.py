"""The monitor waits: poll and read of a userfaultfd.

Reading moves a fault from the queue of those that nobody knows to the queue of those that are being
served; a sequence count tells who wakes that it may be in neither. Source: fs/userfaultfd.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.operations import UFFD_SLOT, OperationList
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import POLLS, Message, UffdCall, UffdEvent, Userfault, Waiter
from pfviz.sim.task import DONE, Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.world import Mm


def _call(thread: Thread) -> UffdCall:
    call = thread.sys
    assert isinstance(call, UffdCall)
    return call


# poll


@step("fs/select.c", cost="poll")
def do_poll(engine: Mm, thread: Thread) -> Step:
    """Ask to be told when a fault is waiting: first join the queue of the descriptor."""
    call = _call(thread)
    _serve(call, thread)
    return spin_lock(engine, thread, call.ctx.fd_wqh.lock, then=poll_wait)


def _serve(call: UffdCall, thread: Thread) -> None:
    """From now on this thread is one of those that others wait for."""
    call.waiter = Waiter(thread)
    if thread not in call.ctx.monitors:
        call.ctx.monitors.append(thread)


@step("fs/select.c")
def poll_wait(engine: Mm, thread: Thread) -> Step:
    """Stand in the queue before looking: a fault that comes now will wake me."""
    call = _call(thread)
    call.ctx.fd_wqh.waiters.append(call.waiter)
    spin_unlock(engine, thread, call.ctx.fd_wqh.lock)
    return userfaultfd_poll


@step("fs/userfaultfd.c", cost="vma_check")
def userfaultfd_poll(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """Is a fault or an event waiting to be read?"""
    call = _call(thread)
    assert call.waiter is not None
    call.waiter.is_blocking = True
    if call.ctx.fault_pending_wqh.waiters or unread_events(call):
        return poll_freewait
    return poll_schedule_timeout


def unread_events(call: UffdCall) -> list[UffdEvent]:
    """Events that nobody has read."""
    return [one for one in call.ctx.event_wqh.waiters if not one.is_read]


@step("fs/select.c")
def poll_schedule_timeout(engine: Mm, thread: Thread) -> Step | None:
    """Nothing is waiting: sleep until a fault comes."""
    waiter = _call(thread).waiter
    assert waiter is not None
    if not waiter.is_blocking:
        return userfaultfd_poll
    if nobody_else_works(engine, thread):
        return kill_monitor(thread, poll_freewait)
    fall_asleep(engine, thread, waiter, poll_woken)
    return None


def fall_asleep(engine: Mm, thread: Thread, waiter: Waiter, then: Step) -> None:
    """Sleep in the descriptor's queue (part of a step)."""
    waiter.in_schedule = True
    engine.world.uffd_pollers.append(thread)
    engine.sleep(then, POLLS)


@step("fs/select.c", function="poll_schedule_timeout")
def poll_woken(engine: Mm, thread: Thread) -> Step:
    """Woken: look again."""
    engine.world.uffd_pollers.remove(thread)
    if nobody_else_works(engine, thread):
        return kill_monitor(thread, poll_freewait)
    return userfaultfd_poll


@step("fs/select.c")
def poll_freewait(engine: Mm, thread: Thread) -> Step:
    """Leave the queue of the descriptor and say what there is."""
    call = _call(thread)
    return spin_lock(engine, thread, call.ctx.fd_wqh.lock, then=poll_done)


@step("kernel/sched/wait.c", function="remove_wait_queue")
def poll_done(engine: Mm, thread: Thread) -> Step:
    """Out of the queue; back to the monitor."""
    call = _call(thread)
    assert call.waiter is not None
    call.waiter.is_blocking = False
    call.ctx.fd_wqh.waiters.remove(call.waiter)
    spin_unlock(engine, thread, call.ctx.fd_wqh.lock)
    return thread.back()


# When all others have ended


def nobody_else_works(engine: Mm, thread: Thread) -> bool:
    """Whether all that is left are monitors that wait for faults: nobody can fault any more."""
    idle = {thread.id, *(one.id for one in engine.world.uffd_pollers)}
    return all(
        task.state == DONE or task.id in idle for task in engine.tasks if isinstance(task, Thread)
    )


def kill_monitor(thread: Thread, then: Step) -> Step:
    """End a monitor that has nobody left to serve, as the end of its process would."""
    thread.program = OperationList(())
    return then


def thread_ended(engine: Mm) -> None:
    """A thread has ended: if only monitors are left, wake them, so that they end, too."""
    pollers = engine.world.uffd_pollers
    if pollers and nobody_else_works(engine, pollers[0]):
        for thread in pollers:
            waiter = _call(thread).waiter
            assert waiter is not None
            waiter.wake(engine)


# read


@step("fs/userfaultfd.c", cost="vma_check", function="userfaultfd_read")
def userfaultfd_ctx_read(engine: Mm, thread: Thread) -> Step:
    """Read the next message: lock the descriptor's queue first."""
    call = _call(thread)
    _serve(call, thread)
    thread.message = None
    return spin_lock(engine, thread, call.ctx.fd_wqh.lock, then=read_wait)


@step("fs/userfaultfd.c", function="userfaultfd_ctx_read")
def read_wait(engine: Mm, thread: Thread) -> Step:
    """Stand in the queue, mark myself asleep, and only then look for a fault."""
    call = _call(thread)
    assert call.waiter is not None
    if call.waiter not in call.ctx.fd_wqh.waiters:
        call.ctx.fd_wqh.waiters.append(call.waiter)
    call.waiter.is_blocking = True
    return spin_lock(engine, thread, call.ctx.fault_pending_wqh.lock, then=find_userfault)


@step("fs/userfaultfd.c", cost="uffd_read")
def find_userfault(engine: Mm, thread: Thread) -> Step:
    """Take the fault that waits longest out of its queue; for a moment it stands in none."""
    call = _call(thread)
    ctx = call.ctx
    if not ctx.fault_pending_wqh.waiters:
        spin_unlock(engine, thread, ctx.fault_pending_wqh.lock)
        return spin_lock(engine, thread, ctx.event_wqh.lock, then=find_userfault_evt)
    ctx.refile_seq.write_begin(engine)
    waiting: Userfault = ctx.fault_pending_wqh.waiters.pop(0)
    thread.message = Message(waiting.reason, waiting.address)
    thread.slots[UFFD_SLOT] = waiting.address
    call.fault = waiting
    return spin_lock(engine, thread, ctx.fault_wqh.lock, then=add_wait_queue)


@step("kernel/sched/wait.c")
def add_wait_queue(engine: Mm, thread: Thread) -> Step:
    """Put it into the queue of faults that are being served."""
    call = _call(thread)
    ctx = call.ctx
    ctx.fault_wqh.waiters.append(call.fault)
    spin_unlock(engine, thread, ctx.fault_wqh.lock)
    ctx.refile_seq.write_end(engine)
    spin_unlock(engine, thread, ctx.fault_pending_wqh.lock)
    return read_done


@step("fs/userfaultfd.c")
def find_userfault_evt(engine: Mm, thread: Thread) -> Step:
    """No fault: is there an event, a change of the address space that the monitor must know of?"""
    call = _call(thread)
    ctx = call.ctx
    events = unread_events(call)
    if events:
        events[0].is_read = True
        thread.message = Message(events[0].what, events[0].start, events[0].end)
        thread.slots[UFFD_SLOT] = events[0].start
        ctx.event_wqh.waiters.remove(events[0])
        events[0].wake(engine)
    spin_unlock(engine, thread, ctx.event_wqh.lock)
    return read_done if events else read_sleep


@step("fs/userfaultfd.c", function="userfaultfd_ctx_read")
def read_sleep(engine: Mm, thread: Thread) -> Step | None:
    """Nothing to read: give the queue's lock back and sleep until there is."""
    call = _call(thread)
    spin_unlock(engine, thread, call.ctx.fd_wqh.lock)
    assert call.waiter is not None
    if not call.waiter.is_blocking:
        return read_again
    if nobody_else_works(engine, thread):
        return kill_monitor(thread, poll_freewait)
    fall_asleep(engine, thread, call.waiter, read_woken)
    return None


@step("fs/userfaultfd.c", function="userfaultfd_ctx_read")
def read_woken(engine: Mm, thread: Thread) -> Step:
    """Woken: look again, with the queue locked."""
    engine.world.uffd_pollers.remove(thread)
    if nobody_else_works(engine, thread):
        return kill_monitor(thread, poll_freewait)
    return read_again(engine, thread)


@step("fs/userfaultfd.c", function="userfaultfd_ctx_read")
def read_again(engine: Mm, thread: Thread) -> Step:
    """A fault came while I was about to sleep: lock the queue and look again."""
    return spin_lock(engine, thread, _call(thread).ctx.fd_wqh.lock, then=read_wait)


@step("fs/userfaultfd.c", function="userfaultfd_ctx_read")
def read_done(engine: Mm, thread: Thread) -> Step:
    """Leave the descriptor's queue; the message is copied to the monitor."""
    call = _call(thread)
    assert call.waiter is not None
    call.waiter.is_blocking = False
    call.ctx.fd_wqh.waiters.remove(call.waiter)
    call.fault = None
    spin_unlock(engine, thread, call.ctx.fd_wqh.lock)
    return thread.back()
