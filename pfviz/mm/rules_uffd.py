"""Rules about userfaultfd: nobody sleeps for a monitor that has answered already, or never can."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pfviz.mm.paths.userfaultfd import must_wait
from pfviz.mm.thread import Thread
from pfviz.mm.userfaultfd import UffdCall, Userfault, UserfaultfdCtx, faults_waiting
from pfviz.sim.task import DONE, SLEEPING, Task

if TYPE_CHECKING:
    from pfviz.mm.world import Mm


def userfault_of(task: Task) -> Userfault | None:
    """The userfault that a thread sleeps for; None when it sleeps for none."""
    if isinstance(task, Thread) and task.fault is not None and task.state == SLEEPING:
        waiting: Userfault | None = task.fault.scratch.get("uwq")
        if waiting is not None and waiting.in_schedule:
            return waiting
    return None


def sleepers_can_be_woken(engine: Mm) -> Iterator[str]:
    """I26: a fault that sleeps for the monitor stands in a queue, and its page is still needed.

    Between putting a page in and waking there is a moment; whoever is in it has yet to wake.
    """
    for task in engine.tasks:
        waiting = userfault_of(task)
        if waiting is None:
            continue
        assert isinstance(task, Thread)
        ctx = task.mm.userfaultfd
        assert ctx is not None
        calls = _calls(engine)
        moves = any(call.fault is waiting for call in calls)
        if not moves and waiting not in faults_waiting(ctx):
            yield f"{task.name} sleeps for the monitor, but stands in no queue"
            continue
        pte = task.mm.page_tables.pte(waiting.address)
        if ctx.wakes_late or must_wait(pte, waiting.reason):
            continue
        if not any(call.start <= waiting.address < call.end for call in calls):
            yield f"{task.name} sleeps for page {waiting.address:#x}, which is there already"


def _calls(engine: Mm) -> list[UffdCall]:
    """The calls of monitors that have not returned yet."""
    return [
        task.sys
        for task in engine.tasks
        if isinstance(task, Thread) and task.state != DONE and isinstance(task.sys, UffdCall)
    ]


def _awaited(task: Task) -> UserfaultfdCtx | None:
    """The userfaultfd whose monitor a thread sleeps for, because of a fault or of a change."""
    if userfault_of(task) is not None:
        assert isinstance(task, Thread)
        return task.mm.userfaultfd
    if isinstance(task, Thread) and task.uffd_events and task.uffd_events[0].in_schedule:
        return task.uffd_events[0].ctx
    return None


def monitors_of(task: Task) -> tuple[Task, ...]:
    """Whom a thread waits for that waits for a monitor: those, when none of them is at work.

    A monitor that runs, or polls, can still answer.
    """
    ctx = _awaited(task)
    if ctx is None:
        return ()
    monitors = [one for one in ctx.monitors if one.state != DONE]
    can_answer = any(
        one.state != SLEEPING or (isinstance(one.sys, UffdCall) and one.sys.waiter is not None)
        for one in monitors
    )
    return () if can_answer else tuple(monitors)
