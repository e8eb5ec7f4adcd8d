"""Changes of the address space that a userfaultfd monitor wants to know of (non-cooperative mode).

Who unmaps, forks, drops pages or moves raises mmap_changing under his lock, and after giving that
back waits until the monitor has read of it; meanwhile no page can be put in (EAGAIN): it might go
to the wrong place. Source: fs/userfaultfd.c, userfaultfd_event_wait_completion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pfviz.mm.paths.uffd_tell import tell_monitor
from pfviz.mm.userfaultfd import UffdEvent, UserfaultfdCtx
from pfviz.sim.task import Step, step
from pfviz.sync.rwsem import down_write, up_write
from pfviz.sync.spinlock import spin_lock, spin_unlock

if TYPE_CHECKING:
    from pfviz.mm.thread import Thread
    from pfviz.mm.vma import Vma
    from pfviz.mm.world import Mm

TELLS: str = "waits for the userfaultfd monitor to read of the change"
FEATURES = {"unmap": "event_unmap", "fork": "event_fork", "remove": "event_remove",
            "remap": "event_remap"}  # fmt: skip


def wants(vma: Vma, what: str) -> bool:
    """Whether a monitor wants to know of a change ("unmap", "fork", "remove", "remap")."""
    ctx = vma.userfaultfd
    return ctx is not None and not ctx.released and FEATURES[what] in ctx.features


# The change begins: under mmap_lock


def prepare(
    engine: Mm, thread: Thread, vma: Vma, what: str, start: int, end: int, then: Step
) -> Step:
    """Raise mmap_changing and remember to tell the monitor (userfaultfd_unmap_prep and its kin)."""
    ctx = vma.userfaultfd
    assert ctx is not None
    thread.uffd_events.append(UffdEvent(thread, what=what, start=start, end=end, ctx=ctx))
    ctx.refcount += 1
    if engine.world.preset.uffd_ioctl_lock != "vma_lock":
        ctx.mmap_changing += 1
        return then
    thread.returns.append(then)
    return down_write(engine, thread, ctx.map_changing_lock, then=raise_mmap_changing)


@step("fs/userfaultfd.c (6.9+)", cost="vma_check", function="userfaultfd_unmap_prep")
def raise_mmap_changing(engine: Mm, thread: Thread) -> Step:
    """Nobody puts pages in just now: from here on nobody will, until the monitor has read."""
    ctx = thread.uffd_events[-1].ctx
    ctx.mmap_changing += 1
    up_write(engine, thread, ctx.map_changing_lock)
    return thread.back()


# The change is made: without any lock


def complete(thread: Thread, then: Step) -> Step:
    """Tell the monitor of everything that was remembered, and wait for it to read; then go on."""
    return thread.call(userfaultfd_event_wait_completion, then) if thread.uffd_events else then


def _event(thread: Thread) -> UffdEvent:
    return thread.uffd_events[0]


def _ctx(thread: Thread) -> UserfaultfdCtx:
    return _event(thread).ctx


@step("fs/userfaultfd.c", cost="vma_check")
def userfaultfd_event_wait_completion(engine: Mm, thread: Thread) -> Step:
    """The change is made: the monitor is to read of it before this thread goes on."""
    return spin_lock(engine, thread, _ctx(thread).event_wqh.lock, then=queue_event)


@step("fs/userfaultfd.c", cost="uffd_queue", function="userfaultfd_event_wait_completion")
def queue_event(engine: Mm, thread: Thread) -> Step:
    """Queue the event and mark the thread asleep, both under the queue's lock."""
    event, ctx = _event(thread), _ctx(thread)
    ctx.event_wqh.waiters.append(event)
    return event_or_done(engine, thread)


@step("fs/userfaultfd.c", function="userfaultfd_event_wait_completion")
def event_or_done(engine: Mm, thread: Thread) -> Step:
    """With the queue locked: has the monitor read of it, or gone away?"""
    event, ctx = _event(thread), _ctx(thread)
    event.is_blocking = not event.is_read and not ctx.released
    if not event.is_blocking and event in ctx.event_wqh.waiters:
        ctx.event_wqh.waiters.remove(event)
    spin_unlock(engine, thread, ctx.event_wqh.lock)
    return tell_monitor(thread, ctx, then=schedule) if event.is_blocking else event_read


@step("kernel/sched/core.c")
def schedule(engine: Mm, thread: Thread) -> Step | None:
    """Leave the CPU until the monitor has read of the change, unless it was faster."""
    event = _event(thread)
    if not event.is_blocking:
        return event_woken
    event.in_schedule = True
    engine.sleep(event_woken, TELLS)
    return None


@step("fs/userfaultfd.c", cost="vma_check", function="userfaultfd_event_wait_completion")
def event_woken(engine: Mm, thread: Thread) -> Step:
    """Awake: look again, with the queue locked."""
    return spin_lock(engine, thread, _ctx(thread).event_wqh.lock, then=event_or_done)


@step("fs/userfaultfd.c", cost="vma_check", function="userfaultfd_event_wait_completion")
def event_read(engine: Mm, thread: Thread) -> Step:  # noqa: ARG001
    """The monitor knows: pages can be put in again, as far as this change is concerned."""
    event = thread.uffd_events.pop(0)
    event.ctx.mmap_changing -= 1
    event.ctx.refcount -= 1
    return userfaultfd_event_wait_completion if thread.uffd_events else thread.back()
