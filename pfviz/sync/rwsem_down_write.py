"""The slow path of down_write (kernel/locking/rwsem.c, osq_lock.c): spin, queue, compete.

The first spinner watches the owner; the others queue behind it (osq) and burn their CPU without a
look at the lock. Preemption is disabled except while a writer sleeps.

Costs: rwsem_slowpath, rwsem_wait_lock, rwsem_spin, osq_lock.
"""

from __future__ import annotations

from typing import Any

from pfviz.sim.engine import Engine
from pfviz.sim.event import CONTENTION_END, SPIN_BEGIN, SPIN_END, WRITE
from pfviz.sim.machine import FOREVER_NS
from pfviz.sim.scheduler import is_realtime
from pfviz.sim.task import Step, Task, step

from .rw_semaphore import (
    FLAG_HANDOFF,
    FLAG_WAITERS,
    LOCK_MASK,
    WRITER_LOCKED,
    RwSemaphore,
    RwsemWaiter,
    change_count,
    enqueue_waiter,
    leave_slowpath,
    set_nonspinnable,
    set_writer_owner,
)
from .rwsem_spin import (
    OWNER_NONSPINNABLE,
    OWNER_NULL,
    OWNER_READER,
    OWNER_WRITER,
    need_resched,
    rwsem_can_spin_on_owner,
    rwsem_rspin_threshold,
    rwsem_try_write_lock_unqueued,
    spin_on_owner,
    watch,
)
from .rwsem_wake import rwsem_cond_wake_waiter, set_handoff


@step("kernel/locking/rwsem.c", cost="rwsem_slowpath")
def rwsem_down_write_slowpath(engine: Engine[Any], task: Task) -> Step:
    """The lock is held: spin if its owner runs and will soon be done, else queue."""
    waiter: RwsemWaiter = task.waiting
    waiter.sem.line.read(engine)
    if rwsem_can_spin_on_owner(engine, task, waiter.sem):
        return osq_lock
    return rwsem_queue_writer


@step("kernel/locking/osq_lock.c", cost="osq_lock")
def osq_lock(engine: Engine[Any], task: Task) -> Step | None:
    """Spin for the write lock, behind the writers that spin already."""
    waiter: RwsemWaiter = task.waiting
    waiter.begun_ns = engine.now_ns
    waiter.prev_owner_state = OWNER_NULL
    waiter.spun_on = None
    engine.emit(SPIN_BEGIN, waiter.sem.id, WRITE)
    if waiter.sem.osq.enqueue(waiter) == 0:
        return rwsem_optimistic_spin
    engine.spin(osq_lock_turn)
    return None


@step("kernel/locking/osq_lock.c", cost="osq_lock", function="osq_lock")
def osq_lock_turn(engine: Engine[Any], task: Task) -> Step:
    """First among the spinners now, or some other task needs this CPU."""
    waiter: RwsemWaiter = task.waiting
    if waiter in waiter.sem.osq.waiters:
        return rwsem_optimistic_spin
    return _give_up(engine, waiter)


@step("kernel/locking/rwsem.c", cost="rwsem_spin")
def rwsem_optimistic_spin(engine: Engine[Any], task: Task) -> Step | None:
    """Watch the lock's owner, ready to take the lock before anyone who sleeps for it."""
    waiter: RwsemWaiter = task.waiting
    sem = waiter.sem
    sem.line.read(engine)
    _let_the_impatient_go(engine, sem)
    state = spin_on_owner(engine, task, waiter)
    if state is None:
        watch(engine, waiter, rwsem_optimistic_spin)
        return None
    if state == OWNER_NONSPINNABLE:
        return _give_up(engine, waiter)
    if rwsem_try_write_lock_unqueued(engine, task, sem):
        _end_spin(engine, waiter, is_taken=True)
        return leave_slowpath(engine, task, waiter)
    if state == OWNER_READER:
        if waiter.prev_owner_state != OWNER_READER:
            waiter.rspin_threshold_ns = rwsem_rspin_threshold(sem, engine.now_ns)
        elif engine.now_ns > waiter.rspin_threshold_ns:
            set_nonspinnable(sem)
            return _give_up(engine, waiter)
    if state != OWNER_WRITER and (
        need_resched(engine, task)
        # A real-time spinner could keep a preempted owner from ever running.
        or (is_realtime(task) and waiter.prev_owner_state != OWNER_WRITER)
    ):
        return _give_up(engine, waiter)
    waiter.prev_owner_state = state
    if state == OWNER_WRITER:
        return rwsem_optimistic_spin
    limit_ns = waiter.rspin_threshold_ns if state == OWNER_READER else FOREVER_NS
    watch(engine, waiter, rwsem_optimistic_spin, limit_ns)
    return None


def _let_the_impatient_go(engine: Engine[Any], sem: RwSemaphore) -> None:
    """osq_lock fails for those further back whose CPU is needed by others."""
    for waiter in sem.osq.waiters[1:]:
        if need_resched(engine, waiter.task):
            sem.osq.remove(waiter, engine.now_ns)
            engine.stop_spinning(waiter.task)


def _give_up(engine: Engine[Any], waiter: RwsemWaiter) -> Step:
    _end_spin(engine, waiter, is_taken=False)
    return rwsem_queue_writer


def _end_spin(engine: Engine[Any], waiter: RwsemWaiter, is_taken: bool) -> None:
    """osq_unlock: the next spinner in the queue becomes the first."""
    sem = waiter.sem
    engine.emit(SPIN_END, sem.id, WRITE, engine.now_ns - waiter.begun_ns, is_taken)
    if waiter not in sem.osq.waiters:
        return
    sem.osq.remove(waiter, engine.now_ns)
    if sem.osq:
        engine.stop_spinning(sem.osq.first.task, engine.extra_ns)


@step("kernel/locking/rwsem.c", cost="rwsem_wait_lock", function="rwsem_down_write_slowpath")
def rwsem_queue_writer(engine: Engine[Any], task: Task) -> Step | None:
    """Queue for the write lock, so that nobody takes it on the fast path, and try once more."""
    waiter: RwsemWaiter = task.waiting
    sem = waiter.sem
    sem.line.write(engine)
    enqueue_waiter(engine, sem, waiter)
    if sem.wait_list.first is waiter:
        change_count(engine, sem, sem.count | FLAG_WAITERS)
    else:
        rwsem_cond_wake_waiter(engine, sem, sem.count)
    return _compete(engine, task, waiter)


@step("kernel/locking/rwsem.c", cost="rwsem_wait_lock")
def rwsem_try_write_lock(engine: Engine[Any], task: Task) -> Step | None:
    """Woken to compete for the write lock: take it, ask for a hand-over, or sleep again."""
    task.preempt_count += 1
    return _compete(engine, task, task.waiting)


@step("kernel/locking/rwsem.c", cost="rwsem_wait_lock", function="rwsem_try_write_lock")
def rwsem_try_write_lock_again(engine: Engine[Any], task: Task) -> Step | None:
    """The lock was released while its next owner watched: take it without sleeping."""
    return _compete(engine, task, task.waiting)


@step("kernel/locking/rwsem.c", cost="rwsem_spin")
def rwsem_spin_on_owner(engine: Engine[Any], task: Task) -> Step | None:
    """The lock is promised to this writer: watch its owner instead of sleeping."""
    waiter: RwsemWaiter = task.waiting
    waiter.sem.line.read(engine)
    state = spin_on_owner(engine, task, waiter)
    if state is None:
        watch(engine, waiter, rwsem_spin_on_owner)
        return None
    if state == OWNER_NULL:
        return rwsem_try_write_lock_again
    return _schedule(engine, task, waiter)


def try_write_lock(engine: Engine[Any], waiter: RwsemWaiter) -> bool:
    """rwsem_try_write_lock: what a queued writer can do with the word as it is."""
    sem = waiter.sem
    count, first = sem.count, sem.wait_list.first
    has_handoff = bool(count & FLAG_HANDOFF)
    if has_handoff and first.handoff_set and first is not waiter:
        return False
    if count & LOCK_MASK:
        if has_handoff or not _may_ask_for_handoff(engine, waiter):
            return False
        set_handoff(engine, sem, count)
        first.handoff_set = True
        return False
    count = (count | WRITER_LOCKED) & ~FLAG_HANDOFF
    sem.wait_list.remove(waiter, engine.now_ns)
    if not sem.wait_list:
        count &= ~FLAG_WAITERS
    set_writer_owner(sem, waiter.task)
    change_count(engine, sem, count)
    return True


def _may_ask_for_handoff(engine: Engine[Any], waiter: RwsemWaiter) -> bool:
    return is_realtime(waiter.task) or engine.now_ns > waiter.deadline_ns


def _compete(engine: Engine[Any], task: Task, waiter: RwsemWaiter) -> Step | None:
    waiter.is_woken = False
    waiter.sem.line.write(engine)
    if try_write_lock(engine, waiter):
        engine.emit(CONTENTION_END, waiter.sem.id, WRITE, engine.now_ns - waiter.begun_ns)
        return leave_slowpath(engine, task, waiter)
    if waiter.handoff_set:
        waiter.spun_on = None
        return rwsem_spin_on_owner
    return _schedule(engine, task, waiter)


def _schedule(engine: Engine[Any], task: Task, waiter: RwsemWaiter) -> Step | None:
    if waiter.is_woken:
        return rwsem_try_write_lock_again
    task.preempt_count -= 1
    engine.sleep(rwsem_try_write_lock, f"write lock of {waiter.sem.name}", waiter.sem.id)
    return None
