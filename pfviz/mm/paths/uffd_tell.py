"""Telling a userfaultfd's monitor that there is something to read: of a fault, or of a change.

A chain that wakes whoever polls or reads the descriptor; what is then waited for is not known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.userfaultfd import UserfaultfdCtx
from pfviz.sim.task import Step, step
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm


def tell_monitor(thread: Thread, ctx: UserfaultfdCtx, then: Step) -> Step:
    """Wake the monitor of `ctx`, then go on with `then`."""
    thread.uffd_told = ctx
    return thread.call(wake_up_poll, then)


def _told(thread: Thread) -> UserfaultfdCtx:
    assert thread.uffd_told is not None
    return thread.uffd_told


@step("fs/userfaultfd.c", cost="uffd_notify")
def wake_up_poll(engine: Mm, thread: Thread) -> Step:
    """Tell the monitor: whoever polls or reads the descriptor is woken."""
    return spin_lock(engine, thread, _told(thread).fd_wqh.lock, then=wake_pollers)


@step("kernel/sched/wait.c", function="__wake_up")
def wake_pollers(engine: Mm, thread: Thread) -> Step:
    """Wake everybody in the descriptor's queue; a monitor that is at work needs no waking."""
    ctx, thread.uffd_told = _told(thread), None
    for poller in ctx.fd_wqh.waiters:
        poller.wake(engine)
    spin_unlock(engine, thread, ctx.fd_wqh.lock)
    return thread.back()
