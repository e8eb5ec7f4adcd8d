"""The lock on a VMA, both generations: rwsem and sequence (6.4-6.14), reference count (6.15+).

A reader takes the lock word or gives up at once; a writer waits until the readers left, writes the
mm's sequence number into the VMA and frees the word again: the number alone says "write-locked",
and the next change of mm_lock_seq unlocks all VMAs. It refuses to know what the lock protects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from pfviz.mm.vma import Vma
from pfviz.sim import event
from pfviz.sim.task import Step, Task, step
from pfviz.sync.rwsem import down_read_trylock, down_write, mode_held, up_read, up_write

if TYPE_CHECKING:
    from pfviz.mm.address_space import AddressSpace
    from pfviz.mm.thread import Thread
    from pfviz.mm.world import Mm

VM_REFCNT_WRITER: Final = 1 << 30
"""Set while a writer or detacher keeps readers out (VMA_LOCK_OFFSET, 6.15+)."""
VM_REFCNT_LIMIT: Final = VM_REFCNT_WRITER - 1

LOCKED: Final = "locked"
BUSY: Final = "busy"
DETACHED: Final = "detached"
"""What `vma_read_trylock` can answer."""


# The reader's side: each function is one indivisible thing, to be called from a step


def is_write_locked(engine: Mm, vma: Vma) -> bool:
    """Whether vm_lock_seq equals mm_lock_seq: write-locked in the current write section."""
    if engine.world.splits_mmap_lock:
        engine.cost("seqcount")
        return vma.vm_lock_seq % 2 == 1
    return vma.mm.mm_lock_seq.read(engine) == vma.vm_lock_seq


def vma_read_trylock(engine: Mm, thread: Thread, vma: Vma) -> str:
    """Take the lock word for reading, or say why not: LOCKED, BUSY or DETACHED (6.15+ only)."""
    if vma.vm_lock is not None:
        if not down_read_trylock(engine, thread, vma.vm_lock):
            return BUSY
    else:
        assert vma.vm_refcnt is not None
        old = vma.vm_refcnt.inc_not_zero_limited(engine, VM_REFCNT_LIMIT)
        if not 0 < old < VM_REFCNT_LIMIT:
            answer = BUSY if old else DETACHED
            _say_of_word(engine, event.LOCK_FAILED, vma, event.READ, engine.log.text(answer))
            return answer
        thread.refcount_since_ns[vma] = engine.now_ns
        _say_of_word(engine, event.LOCK_ACQUIRED, vma, event.READ, 0, 1)
    thread.vma_read_locks.append(vma)
    return LOCKED


def vma_start_read_locked(engine: Mm, thread: Thread, vma: Vma) -> None:
    """Take the lock for reading while mmap_lock is held for reading: cannot fail."""
    answer = vma_read_trylock(engine, thread, vma)
    assert answer == LOCKED, f"no writer can be in VMA {vma.id} while mmap_lock is held"
    read_locked(engine, vma)


def vma_end_read(engine: Mm, thread: Thread, vma: Vma) -> None:
    """Let go of a VMA that was locked for reading; a writer may be waiting for it."""
    thread.vma_read_locks.remove(vma)
    fields = thread.vmas_held.pop(vma, None)
    if engine.world.watch is not None and fields is not None:
        engine.world.watch.vma_let_go(engine, thread, vma, fields)
    if vma.vm_lock is not None:
        # The VMA and its lock may be freed as soon as the word is given back: RCU keeps them.
        engine.world.rcu.read_lock(engine, thread)
        up_read(engine, thread, vma.vm_lock)
        engine.world.rcu.read_unlock(engine, thread)
    else:
        vma_refcount_put(engine, vma)
        hold_ns = engine.now_ns - thread.refcount_since_ns.pop(vma)
        _say_of_word(engine, event.LOCK_RELEASED, vma, event.READ, hold_ns)
    _say(engine, vma, "read_unlocked")


def vma_forget_read(thread: Thread, vma: Vma) -> None:
    """Go on as if the VMA had been given back, and leave its word taken for ever (breaks I19)."""
    thread.vma_read_locks.remove(vma)
    thread.vmas_held.pop(vma, None)
    vma.lost_readers += 1
    if vma.vm_lock is not None:
        nobody = Task(-1, f"nobody ({thread.name} forgot it)")
        vma.vm_lock.held[nobody] = vma.vm_lock.held.pop(thread)
    else:
        del thread.refcount_since_ns[vma]


def vma_refcount_put(engine: Mm, vma: Vma) -> None:
    """Drop a reference; the last reader wakes the writer that keeps new ones out (6.15+)."""
    assert vma.vm_refcnt is not None
    left = vma.vm_refcnt.dec(engine)
    if VM_REFCNT_WRITER <= left <= VM_REFCNT_WRITER + 1:
        writer = _take_waiting_writer(engine, vma)
        if writer is not None:
            engine.wake(writer)


def _take_waiting_writer(engine: Mm, vma: Vma) -> Thread | None:
    """The mm has one writer at most, so one place to wait; in `beyond` each VMA has its own."""
    waiting: Thread | None
    if engine.world.splits_mmap_lock:
        waiting, vma.writer_wait = vma.writer_wait, None
    else:
        waiting, vma.mm.vma_writer_wait = vma.mm.vma_writer_wait, None
    return waiting


def read_locked(engine: Mm, vma: Vma) -> None:
    """The last check passed: the running thread holds the VMA for reading from here on."""
    thread: Thread = cast("Any", engine.running)
    thread.vmas_held[vma] = vma.stable_fields
    _say(engine, vma, "read_locked")
    if engine.world.watch is not None:
        engine.world.watch.vma_read_locked(engine, thread, vma)


# The writer's side: chains of steps


def vma_start_write(engine: Mm, thread: Thread, vma: Vma, then: Step) -> Step:
    """Write-lock a VMA (mmap_lock is held for writing), then go on with `then`."""
    if not engine.world.has_vma_lock:
        return then
    thread.vma = vma
    return thread.call(is_vma_write_locked, then)


@step("include/linux/mm.h (6.4+)", cost="seq_check", function="__is_vma_write_locked")
def is_vma_write_locked(engine: Mm, thread: Thread) -> Step:
    """Compare vm_lock_seq with mm_lock_seq: a VMA that this writer locked before stays locked."""
    vma = _target(thread)
    assert mode_held(vma.mm.mmap_lock, thread) == event.WRITE, "mmap_lock is not write-held"
    if is_write_locked(engine, vma):
        if engine.world.splits_mmap_lock and vma not in thread.write_locked:
            text = f"{thread.name} writes VMA {vma.id}, which another has write-locked"
            engine.world.break_rule(engine, "I8", text)
        return thread.back()
    if vma.vm_lock is not None:
        return down_write(engine, thread, vma.vm_lock, then=vma_start_write_rwsem)
    if engine.watch is not None:
        engine.watch.asked(engine, thread, vma.vm_refcnt, event.WRITE)
    return vma_enter_locked


@step("include/linux/mm.h (6.4-6.14)", cost="vma_lock_write", function="vma_start_write")
def vma_start_write_rwsem(engine: Mm, thread: Thread) -> Step:
    """Mark the VMA write-locked by copying mm_lock_seq into it; its lock word is free at once."""
    vma = _target(thread)
    assert vma.vm_lock is not None
    _set_sequence(engine, thread, vma)
    up_write(engine, thread, vma.vm_lock)
    _write_locked(engine, vma)
    return thread.back()


@step("mm/mmap_lock.c (6.15+)", cost="vma_lock_write", function="__vma_enter_locked")
def vma_enter_locked(engine: Mm, thread: Thread) -> Step | None:
    """Keep new readers out of the VMA by adding a large bias to its reference count."""
    vma = _target(thread)
    assert vma.vm_refcnt is not None
    if not vma.vm_refcnt.add_not_zero(engine, VM_REFCNT_WRITER):
        return vma_set_lock_seq_detached
    return _wait_for_readers(engine, thread, vma, VM_REFCNT_WRITER + 1, vma_set_lock_seq)


@step("mm/mmap_lock.c (6.15+)", cost="seq_check", function="rcuwait_wait_event")
def vma_writer_woken(engine: Mm, thread: Thread) -> Step | None:
    """The last reader left and woke the writer: look at the reference count again."""
    vma = _target(thread)
    return _wait_for_readers(engine, thread, vma, VM_REFCNT_WRITER + 1, vma_set_lock_seq)


@step("mm/mmap_lock.c (6.15+)", cost="vma_lock_write", function="__vma_start_write")
def vma_set_lock_seq(engine: Mm, thread: Thread) -> Step:
    """Mark the VMA write-locked by copying mm_lock_seq into it."""
    vma = _target(thread)
    _set_sequence(engine, thread, vma)
    waited_ns = engine.now_ns - thread.refcount_since_ns.get(vma, engine.now_ns)
    thread.refcount_since_ns[vma] = engine.now_ns
    _say_of_word(engine, event.LOCK_ACQUIRED, vma, event.WRITE, waited_ns)
    _write_locked(engine, vma)
    return vma_exit_locked


@step("mm/mmap_lock.c (6.15+)", cost="vma_lock_write", function="__vma_start_write")
def vma_set_lock_seq_detached(engine: Mm, thread: Thread) -> Step:
    """Mark a VMA that is in no tree write-locked: nobody can hold it, so nobody is waited for."""
    vma = _target(thread)
    _set_sequence(engine, thread, vma)
    _write_locked(engine, vma)
    return thread.back()


@step("mm/mmap_lock.c (6.15+)", cost="vma_unlock", function="__vma_exit_locked")
def vma_exit_locked(engine: Mm, thread: Thread) -> Step:
    """Take the bias off again: the lock word is free, only the sequence number says locked."""
    vma = _target(thread)
    assert vma.vm_refcnt is not None
    vma.vm_refcnt.sub(engine, VM_REFCNT_WRITER)
    held_ns = engine.now_ns - thread.refcount_since_ns.pop(vma, engine.now_ns)
    if not vma.detached:
        _say_of_word(engine, event.LOCK_RELEASED, vma, event.WRITE, held_ns)
    return thread.back()


def _set_sequence(engine: Mm, thread: Thread, vma: Vma) -> None:
    if engine.world.splits_mmap_lock:
        vma.vm_lock_seq += 1
        if vma not in thread.write_locked:  # Freed and handed out again in one section, it is.
            thread.write_locked.append(vma)
    else:
        vma.vm_lock_seq = vma.mm.mm_lock_seq.value


def vma_end_write(engine: Mm, thread: Thread, mm: AddressSpace) -> None:
    """`beyond`: unlock one by one what this thread has write-locked of `mm`.

    VMAs that left the tree stay locked: who still finds one must not think it free.
    """
    kept = []
    for vma in thread.write_locked:
        if vma.mm is not mm:
            kept.append(vma)
        elif not vma.detached:
            engine.cost("vma_unlock")
            vma.vm_lock_seq += 1
            _say(engine, vma, "write_unlocked")
    thread.write_locked = kept


def vma_mark_attached(engine: Mm, vma: Vma) -> None:
    """The VMA is in the tree now: readers may lock it (part of the step that stores it)."""
    vma.detached = False
    if vma.vm_refcnt is not None:
        if engine.task is None:
            vma.vm_refcnt.value = 1  # set-up: no CPU owns the line yet
        else:
            vma.vm_refcnt.set(engine, 1)
    _say(engine, vma, "attached")


def vma_mark_detached(engine: Mm, thread: Thread, vma: Vma, then: Step) -> Step:
    """Take a write-locked VMA away from readers for good, then go on with `then`."""
    thread.vma = vma
    if vma.vm_refcnt is not None:
        return thread.call(drop_vma_reference, then)
    if vma.vm_lock is not None:
        return thread.call(set_vma_detached, then)
    vma.detached = True
    engine.emit(event.VMA_DETACHED, vma.id, vma.mm.id)
    return then


@step("include/linux/mm.h (6.4-6.14)", function="vma_mark_detached")
def set_vma_detached(engine: Mm, thread: Thread) -> Step:
    """Flag the VMA as detached: a reader that finds it from now on walks the tree again."""
    vma = _target(thread)
    vma.detached = True
    engine.emit(event.VMA_DETACHED, vma.id, vma.mm.id)
    return thread.back()


@step("mm/mmap_lock.c (6.15+)", cost="vma_unlock", function="vma_mark_detached")
def drop_vma_reference(engine: Mm, thread: Thread) -> Step:
    """Drop the reference that says attached: at zero no reader can take the VMA any more."""
    vma = _target(thread)
    assert vma.vm_refcnt is not None
    vma.detached = True
    left = vma.vm_refcnt.dec(engine)
    engine.emit(event.VMA_DETACHED, vma.id, vma.mm.id)
    return vma_exclude_last_readers if left else thread.back()


@step("mm/mmap_lock.c (6.15+)", cost="vma_lock_write", function="__vma_enter_locked")
def vma_exclude_last_readers(engine: Mm, thread: Thread) -> Step | None:
    """A reader is still between its increment and its check: keep others out and wait for it."""
    vma = _target(thread)
    assert vma.vm_refcnt is not None
    if not vma.vm_refcnt.add_not_zero(engine, VM_REFCNT_WRITER):
        return thread.back()
    return _wait_for_readers(engine, thread, vma, VM_REFCNT_WRITER, vma_exit_locked)


@step("mm/mmap_lock.c (6.15+)", cost="seq_check", function="rcuwait_wait_event")
def vma_detacher_woken(engine: Mm, thread: Thread) -> Step | None:
    """The last reader gave the detached VMA back: look at the reference count again."""
    vma = _target(thread)
    return _wait_for_readers(engine, thread, vma, VM_REFCNT_WRITER, vma_exit_locked)


def _wait_for_readers(engine: Mm, thread: Thread, vma: Vma, target: int, then: Step) -> Step | None:
    assert vma.vm_refcnt is not None
    if vma.vm_refcnt.value == target:
        if vma in thread.refcount_since_ns:
            waited_ns = engine.now_ns - thread.refcount_since_ns[vma]
            _say_of_word(engine, event.CONTENTION_END, vma, event.WRITE, waited_ns)
        return then
    if vma not in thread.refcount_since_ns:
        thread.refcount_since_ns[vma] = engine.now_ns
        _say_of_word(engine, event.CONTENTION_BEGIN, vma, event.WRITE)
    if engine.world.splits_mmap_lock:
        vma.writer_wait = thread
    else:
        vma.mm.vma_writer_wait = thread
    woken = vma_detacher_woken if target == VM_REFCNT_WRITER else vma_writer_woken
    engine.sleep(woken, "waits for the readers of a VMA", vma.vm_refcnt.id)
    return None


EXCLUDING: Final = (vma_set_lock_seq, vma_exit_locked, vma_writer_woken, vma_detacher_woken)
"""The steps before which the bias of a writer or detacher is in the reference count."""


def _target(thread: Thread) -> Vma:
    assert thread.vma is not None
    return thread.vma


def _write_locked(engine: Mm, vma: Vma) -> None:
    _say(engine, vma, "write_locked")
    if engine.world.watch is not None:
        engine.world.watch.vma_write_locked(engine, vma)


def _say_of_word(engine: Mm, kind: int, vma: Vma, mode: int, c: int = 0, d: int = 0) -> None:
    """A reference-counted lock word has the events of a lock (an rwsem emits its own)."""
    assert vma.vm_refcnt is not None
    engine.emit(kind, vma.vm_refcnt.id, mode, c, d)


def _say(engine: Mm, vma: Vma, what: str) -> None:
    if engine.logging:
        count = vma.vm_refcnt.value if vma.vm_refcnt is not None else 0
        engine.emit(event.VMA_LOCK_EVENT, vma.id, engine.log.text(what), vma.vm_lock_seq, count)
