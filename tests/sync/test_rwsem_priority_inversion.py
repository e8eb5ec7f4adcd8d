"""A preempted reader, a writer that waits for it, and faults that wait for the writer.

The story that mmap_lock is known for, word by word: a monitor with low priority reads smaps, loses
its CPU with the lock held, and a whole process waits for it.
"""

from __future__ import annotations

from lock_worlds import (
    Downgrade,
    Read,
    Release,
    TryRead,
    Write,
    acquired_ns,
    actor,
    events,
    hold,
    ideal_engine,
    mmap_lock,
    run_checked,
    steps_of,
    stuck,
    word,
)

from pfviz.sim.event import LOCK_FAILED, LOCK_HANDOFF, SCHED_SWITCH, SPIN_END
from pfviz.sim.task import QUEUED, SLEEPING
from pfviz.sync.rw_semaphore import NONSPINNABLE
from pfviz.sync.rwsem import holders, waiters

US = 1_000


class Inversion:
    """Monitor, hog, munmap, faults, a thief and a late fault around one mmap_lock."""

    def __init__(self) -> None:
        self.engine = engine = ideal_engine(8)
        self.sem = sem = mmap_lock(engine)
        walk = [hold(1 * US)] * 10
        self.monitor = actor(engine, sem, "monitor", Read, *walk, Release, cpu=0, prio=139)
        hog = [hold(10 * US)] * 600
        self.hog = actor(engine, sem, "hog", *hog, cpu=0, prio=50, after_ns=5 * US)
        self.munmap = actor(
            engine, sem, "munmap", Write, hold(5 * US), Downgrade, hold(50 * US), Release,
            cpu=1, after_ns=6 * US,
        )  # fmt: skip
        self.faults = [
            actor(engine, sem, f"fault {index}", TryRead, Read, hold(2 * US), Release,
                  cpu=2 + index, after_ns=30 * US)
            for index in range(3)
        ]  # fmt: skip
        self.thief = actor(engine, sem, "thief", Read, hold(8 * US), Release, cpu=5,
                           after_ns=6_010_500)  # fmt: skip
        self.late = actor(engine, sem, "late", Read, hold(2 * US), Release, cpu=6,
                          after_ns=6_014 * US)  # fmt: skip

    def word_at(self, ns: int) -> str:
        run_checked(self.engine, self.sem, until_ns=ns)
        return word(self.sem)


def test_the_priority_inversion_runs_as_on_a_kernel() -> None:
    world = Inversion()
    sem = world.sem

    assert world.word_at(0) == "1R"

    assert world.word_at(5_500) == "1R"
    assert world.monitor.state == QUEUED, "the hog took its CPU, the lock stays"

    assert world.word_at(16 * US) == "1R", "the writer spins, though the reader does not run"
    assert world.word_at(17 * US) == "1R WAITERS"
    (end,) = events(world.engine, SPIN_END)
    assert end["spin_ns"] == 10_501
    assert sem.owner_flags & NONSPINNABLE
    assert world.munmap.state == SLEEPING

    assert world.word_at(31 * US) == "1R WAITERS"
    assert [entry["why"] for entry in events(world.engine, LOCK_FAILED)] == ["waiters"] * 3
    assert waiters(sem) == (world.munmap, *world.faults)

    assert world.word_at(5_000 * US) == "1R WAITERS", "asleep, the writer cannot ask for anything"

    assert world.word_at(6_010 * US) == "WAITERS"
    assert world.word_at(6_010_500) == "1R WAITERS"
    assert holders(sem) == (world.thief,)

    assert world.word_at(6_011 * US) == "1R WAITERS HANDOFF"
    assert [entry["task"] for entry in events(world.engine, LOCK_HANDOFF)] == [world.munmap.id]
    assert world.word_at(6_014 * US) == "1R WAITERS HANDOFF"
    assert steps_of(world.engine, world.late)[2] == "rwsem_queue_reader"

    assert world.word_at(6_020 * US) == "W WAITERS"
    assert acquired_ns(world.engine, world.munmap) == [6_019_500]

    assert world.word_at(6_025 * US) == "5R", "a downgrade lets all of them in"
    run_checked(world.engine, sem)
    assert stuck(world.engine) == []
    assert {acquired_ns(world.engine, fault)[0] for fault in world.faults} == {6_025_500}


def test_the_faults_waited_for_the_monitor_though_it_never_excluded_them() -> None:
    world = Inversion()
    run_checked(world.engine, world.sem)
    waited_ns = acquired_ns(world.engine, world.faults[0])[0] - 30 * US
    off_cpu = [
        entry
        for entry in events(world.engine, SCHED_SWITCH, task=world.monitor)
        if entry["next_task"] == world.hog.id
    ]
    assert len(off_cpu) == 1
    assert waited_ns > 5_900 * US
