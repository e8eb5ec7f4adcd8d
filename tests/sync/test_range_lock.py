"""The range lock: who meets waits, first come first served; who does not meet does not wait."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfviz.sim.engine import Engine
from pfviz.sim.event import READ, WRITE
from pfviz.sim.task import Step, Task, step
from pfviz.sync import range_lock as module
from pfviz.sync.range_lock import (
    RangeLock,
    range_downgrade,
    range_lock,
    range_trylock,
    range_unlock,
)
from tests.sync.lock_worlds import engine_of

HOLD_NS = 1_000


@dataclass(slots=True, eq=False)
class Wish(Task):
    """A task that takes one range, keeps it for a while, and gives it back."""

    lock: RangeLock = None  # type: ignore[assignment]
    start: int = 0
    end: int = 0
    mode: int = READ
    downgrades: bool = False
    had_ns: int = -1


@step("test")
def wish(engine: Engine[Any], task: Wish) -> Step:
    """Ask for the range."""
    return range_lock(engine, task, task.lock, task.start, task.end, task.mode, have)


@step("test")
def have(engine: Engine[Any], task: Wish) -> Step:
    """Hold it."""
    task.had_ns = engine.now_ns
    task.lock.check()
    engine.charge(HOLD_NS)
    return let_down if task.downgrades else leave


@step("test")
def let_down(engine: Engine[Any], task: Wish) -> Step:
    """Keep it for reading only, as long again."""
    range_downgrade(engine, task, task.lock)
    engine.charge(HOLD_NS)
    return leave


@step("test")
def leave(engine: Engine[Any], task: Wish) -> None:
    """Give it back."""
    range_unlock(engine, task, task.lock)
    task.lock.check()
    engine.end()


def played(*wishes: tuple[int, int, int, int] | tuple[int, int, int, int, bool]) -> list[Wish]:
    """Tasks on a CPU each: (after_ns, start, end, mode[, downgrades]); run to the end."""
    engine = engine_of(len(wishes))
    lock = RangeLock(engine, "range_lock", "ranges")
    tasks = []
    for number, (after_ns, start, end, mode, *rest) in enumerate(wishes):
        cpu = engine.machine.cpus[number]
        task = Wish(number, f"t{number}", step=wish, cpu=cpu, lock=lock, start=start, end=end)
        task.mode, task.downgrades = mode, bool(rest and rest[0])
        engine.start(task, after_ns)
        tasks.append(task)
    engine.run()
    assert not lock.held
    assert not lock.wait_list
    return tasks


def test_writers_of_ranges_that_do_not_meet_do_not_wait() -> None:
    one, two = played((0, 0, 10, WRITE), (1, 10, 20, WRITE))
    assert two.had_ns - one.had_ns < HOLD_NS


def test_writers_of_one_page_take_turns() -> None:
    one, two = played((0, 0, 10, WRITE), (1, 9, 20, WRITE))
    assert two.had_ns >= one.had_ns + HOLD_NS


def test_readers_share_a_range_and_a_writer_waits_for_all_of_them() -> None:
    one, two, writer = played((0, 0, 10, READ), (500, 5, 15, READ), (600, 0, 20, WRITE))
    assert two.had_ns < one.had_ns + HOLD_NS
    assert writer.had_ns >= two.had_ns + HOLD_NS


def test_nobody_overtakes_a_writer_that_he_meets() -> None:
    _, writer, late, elsewhere = played(
        (0, 0, 10, READ), (100, 0, 20, WRITE), (200, 5, 6, READ), (300, 30, 40, READ)
    )
    assert late.had_ns > writer.had_ns
    assert elsewhere.had_ns < writer.had_ns


def test_a_downgrade_lets_readers_in_and_keeps_writers_out() -> None:
    one, reader, writer = played((0, 0, 10, WRITE, True), (100, 0, 5, READ), (200, 5, 10, WRITE))
    assert one.had_ns + HOLD_NS <= reader.had_ns < one.had_ns + 2 * HOLD_NS + 4_000
    assert writer.had_ns >= one.had_ns + 2 * HOLD_NS


def test_a_trylock_never_waits() -> None:
    engine = engine_of(1)
    lock = RangeLock(engine, "range_lock", "ranges")
    cpu = engine.machine.cpus[0]
    first, second = (Task(n, f"t{n}", step=wish, cpu=cpu) for n in (0, 1))
    engine.task = first
    assert range_trylock(engine, first, lock, 0, 10, WRITE)
    assert not range_trylock(engine, second, lock, 9, 11, READ)
    assert range_trylock(engine, second, lock, 10, 11, WRITE)
    assert (lock.mode_of(first), lock.count, lock.is_write_locked) == (WRITE, 2, True)


RANGES = st.tuples(
    st.integers(0, 3_000), st.integers(0, 30), st.integers(1, 12), st.sampled_from((READ, WRITE))
).map(lambda one: (one[0], one[1], one[1] + one[2], one[3]))


@given(st.lists(RANGES, min_size=2, max_size=7))
def test_everybody_gets_his_range_and_nobody_shares_one_with_a_writer(
    wishes: list[tuple[int, int, int, int]],
) -> None:
    tasks = played(*wishes)
    assert all(task.had_ns >= 0 for task in tasks)
    for at, one in enumerate(tasks):
        for other in tasks[at + 1 :]:
            meets = one.start < other.end and other.start < one.end
            if meets and WRITE in (one.mode, other.mode):
                assert abs(one.had_ns - other.had_ns) >= HOLD_NS


def test_a_lock_that_lets_everybody_in_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_is_free", lambda *_: True)
    with pytest.raises(AssertionError, match="hold one range"):
        played((0, 0, 10, WRITE), (1, 9, 20, WRITE))
