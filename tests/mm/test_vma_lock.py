"""The VMA lock, both generations: who gets it, who waits, what the lock word says meanwhile."""

from __future__ import annotations

import pytest

from pfviz.mm import rules
from pfviz.mm.mmap_lock import mmap_write_lock, mmap_write_unlock
from pfviz.mm.operations import Access, Madvise, Mmap, Mprotect, Munmap
from pfviz.mm.thread import Thread
from pfviz.mm.vma_lock import (
    BUSY,
    DETACHED,
    LOCKED,
    VM_REFCNT_WRITER,
    is_write_locked,
    read_locked,
    vma_end_read,
    vma_mark_detached,
    vma_read_trylock,
    vma_start_write,
)
from pfviz.mm.world import Mm
from pfviz.sim import event
from pfviz.sim.task import Step, step
from tests.worlds import Scene, at, world

BOTH = pytest.mark.parametrize("kernel", ["6.12", "6.18"])


@step("lib/test.c")
def hold_for_a_while(engine: Mm, thread: Thread) -> Step:
    """Take the VMA's lock for reading and keep it for 50 us."""
    (vma,) = thread.mm.tree
    thread.op_result = [LOCKED, BUSY, DETACHED].index(vma_read_trylock(engine, thread, vma))
    if thread.op_result:
        return end
    read_locked(engine, vma)
    engine.charge(50_000)
    return let_go


@step("lib/test.c")
def let_go(engine: Mm, thread: Thread) -> Step:
    """Release it."""
    vma_end_read(engine, thread, thread.vma_read_locks[0])
    return end


@step("lib/test.c")
def end(engine: Mm, thread: Thread) -> None:
    """Done."""
    engine.end()


@step("lib/test.c")
def write_lock(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for writing."""
    return mmap_write_lock(engine, thread, thread.mm, start_write)


@step("lib/test.c")
def start_write(engine: Mm, thread: Thread) -> Step:
    """Write-lock the one VMA."""
    (vma,) = thread.mm.tree
    return vma_start_write(engine, thread, vma, keep_written)


@step("lib/test.c")
def keep_written(engine: Mm, thread: Thread) -> Step:
    """Keep it for 100 us."""
    engine.charge(100_000)
    return write_unlock


@step("lib/test.c")
def write_unlock(engine: Mm, thread: Thread) -> Step:
    """Release mmap_lock and with it all VMAs."""
    mmap_write_unlock(engine, thread, thread.mm)
    return end


def doing(scene: Scene, first: Step, cpu: int, after_ns: int = 0) -> Thread:
    """A thread that begins at a step of this file."""
    thread = scene.thread(f"{first.__name__}", cpu=cpu, after_ns=after_ns)
    thread.step = first
    return thread


@BOTH
def test_the_lock_word_is_free_again_while_the_vma_stays_write_locked(kernel: str) -> None:
    scene = world(kernel).vma("a", 4)
    vma = scene.vmas["a"]
    doing(scene, write_lock, 0)
    engine = scene.engine
    engine.run(until_ns=50_000)
    assert vma.vm_lock_seq == scene.mm.mm_lock_seq.value
    if vma.vm_lock is not None:
        assert vma.vm_lock.count == 0
    else:
        assert vma.vm_refcnt is not None
        assert vma.vm_refcnt.value == 1
    scene.run()
    assert vma.vm_lock_seq != scene.mm.mm_lock_seq.value


@BOTH
def test_a_writer_waits_until_the_reader_let_go(kernel: str) -> None:
    scene = world(kernel).vma("a", 4)
    doing(scene, hold_for_a_while, 0)
    writer = doing(scene, write_lock, 1, after_ns=5_000)
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    said = [one for one in scene.events(event.VMA_LOCK_EVENT) if one["task"] >= 0]
    assert [one["what"] for one in said] == ["read_locked", "read_unlocked", "write_locked"]
    assert said[-1]["task"] == writer.id
    assert said[-1]["now_ns"] >= 50_000


@BOTH
def test_a_reader_gets_no_lock_while_a_writer_waits_for_another_reader(kernel: str) -> None:
    scene = world(kernel, cpus=3).vma("a", 4)
    doing(scene, hold_for_a_while, 0)
    doing(scene, write_lock, 1, after_ns=5_000)
    late = doing(scene, hold_for_a_while, 2, after_ns=30_000)
    scene.run(until_ns=45_000)
    assert late.op_result == 1, "busy"


def test_a_waiting_writer_shows_in_the_reference_count() -> None:
    scene = world("6.18").vma("a", 4)
    doing(scene, hold_for_a_while, 0)
    doing(scene, write_lock, 1, after_ns=5_000)
    scene.run(until_ns=30_000)
    refcnt = scene.vmas["a"].vm_refcnt
    assert refcnt is not None
    assert refcnt.value == VM_REFCNT_WRITER + 2
    assert rules.check(scene.engine) == []
    scene.run()
    assert refcnt.value == 1


def test_a_detached_vma_cannot_be_taken_at_all_in_6_18() -> None:
    scene = world("6.18").vma("a", 4)
    refcnt = scene.vmas["a"].vm_refcnt
    assert refcnt is not None
    refcnt.value = 0
    scene.vmas["a"].detached = True
    reader = doing(scene, hold_for_a_while, 0)
    scene.run()
    assert reader.op_result == 2


@BOTH
def test_a_vma_is_locked_once_per_write_section(kernel: str) -> None:
    scene = world(kernel).vma("a", 8).touched("a")
    scene.thread("t", Mprotect(at("a", 2), 4, 1))
    scene.run()
    locked = [one["vma"] for one in scene.events(event.VMA_LOCK_EVENT)
              if one["what"] == "write_locked"]  # fmt: skip
    assert len(locked) == len(set(locked)) == 3


def test_the_sequence_of_6_4_counts_by_one_and_never_tells_a_writer() -> None:
    scene = world("6.4").vma("a", 4)
    scene.thread("t", Mmap(1), Mmap(1))
    scene.run()
    changes = [one["sequence"] for one in scene.events(event.SEQ_CHANGED)]
    assert changes == [1, 2]


def test_the_sequence_of_6_12_is_odd_under_a_writer() -> None:
    scene = world("6.12").vma("a", 4)
    scene.thread("t", Mmap(1), Mmap(1))
    scene.run()
    assert [one["sequence"] for one in scene.events(event.SEQ_CHANGED)] == [1, 2, 3, 4]


def test_an_equal_sequence_number_by_accident_only_costs_a_fallback() -> None:
    """Overflow (B15): a VMA may look write-locked when it is not; the fault takes mmap_lock."""
    scene = world("6.12").vma("a", 4).touched("a")
    scene.vmas["a"].vm_lock_seq = scene.mm.mm_lock_seq.value
    thread = scene.thread("t", Madvise(at("a"), 1, "dontneed"), Access(at("a")))
    rules.run(scene.engine, every_steps=1)
    assert scene.results(thread) == [0, 0]
    assert scene.events(event.FAULT_FALLBACK)[0]["counter"] == "vma_lock_abort"
    assert scene.engine.world.broken == []


def test_is_write_locked_reads_the_sequence_line() -> None:
    scene = world("6.12").vma("a", 4)
    doing(scene, look, 0)
    doing(scene, write_lock, 1, after_ns=10_000)
    doing(scene, look, 0, after_ns=200_000)
    scene.run()
    line = scene.mm.mm_lock_seq.line
    moves = [one for one in scene.events(event.LINE_MOVED) if one["line"] == line.id]
    assert moves, "a reader on another CPU pays for the writer's two stores"


@step("lib/test.c")
def look(engine: Mm, thread: Thread) -> Step:
    """Glance at the sequence numbers."""
    (vma,) = thread.mm.tree
    is_write_locked(engine, vma)
    return end


@step("lib/test.c")
def lock_to_detach(engine: Mm, thread: Thread) -> Step:
    """Take mmap_lock for writing."""
    return mmap_write_lock(engine, thread, thread.mm, write_lock_it)


@step("lib/test.c")
def write_lock_it(engine: Mm, thread: Thread) -> Step:
    """Write-lock the one VMA."""
    (vma,) = thread.mm.tree
    return vma_start_write(engine, thread, vma, wait_to_detach)


@step("lib/test.c")
def wait_to_detach(engine: Mm, thread: Thread) -> Step:
    """Let a reader take the word, which is free."""
    engine.charge(20_000)
    return detach_it


@step("lib/test.c")
def detach_it(engine: Mm, thread: Thread) -> Step:
    """Detach it: whoever is between its increment and its check must be waited for."""
    (vma,) = thread.mm.tree
    return vma_mark_detached(engine, thread, vma, write_unlock)


@step("lib/test.c")
def look_and_take(engine: Mm, thread: Thread) -> Step:
    """A reader whose first glance was too early takes the word of a write-locked VMA."""
    (vma,) = thread.mm.tree
    assert vma_read_trylock(engine, thread, vma) == LOCKED
    engine.charge(50_000)
    return let_go


def test_a_reader_that_came_in_between_is_waited_for_before_a_vma_is_detached() -> None:
    scene = world("6.18").vma("a", 4)
    writer = doing(scene, lock_to_detach, cpu=0)
    doing(scene, look_and_take, cpu=1, after_ns=10_000)
    rules.run(scene.engine, until_ns=50_000, every_steps=1)
    assert writer.state == "sleeping"
    assert scene.vmas["a"].vm_refcnt is not None
    assert scene.vmas["a"].vm_refcnt.value == VM_REFCNT_WRITER + 1
    rules.run(scene.engine, every_steps=1)
    assert scene.engine.world.broken == []
    assert writer.state == "done"
    assert scene.vmas["a"].vm_refcnt.value == 0


def test_with_config_per_vma_lock_off_a_vma_is_freed_without_a_grace_period() -> None:
    def freed_ns(mode: str) -> int:
        scene = world("6.12", mode).vma("a", 4, "r")
        scene.thread("t", Munmap(at("a"), 4))
        scene.run()
        (gone,) = scene.events(event.VMA_FREED)
        return int(gone["now_ns"])

    assert freed_ns("per-vma") > 1_000_000 > freed_ns("mmap_lock")
