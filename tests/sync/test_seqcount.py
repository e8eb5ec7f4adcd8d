"""Sequence counts: odd while a writer is in, or one more when it leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from lock_worlds import engine_of

from pfviz.sim.engine import Engine
from pfviz.sim.event import LINE_MOVED, SEQ_CHANGED
from pfviz.sim.task import Task, step
from pfviz.sync.seqcount import SeqCount


@step("tests/sync/test_seqcount.py")
def use(engine: Engine[Any], task: Task) -> None:
    """Do what the world asks for."""
    engine.world.append(task.waiting(engine))
    engine.end()


def results(engine: Engine[Any], *uses: Callable[[Engine[Any]], Any]) -> list[Any]:
    """What each use returns; each runs on a CPU of its own, one after the other."""
    engine.world = []
    for index, what in enumerate(uses):
        task = Task(index, f"t{index}", use, engine.machine.cpus[index], waiting=what)
        engine.start(task, index * 1_000)
    engine.run()
    return engine.world


def test_a_seqcount_is_odd_while_a_writer_is_in() -> None:
    engine = engine_of(3)
    seq = SeqCount(engine, "mm_lock_seq", lock=5)
    values = results(engine, seq.write_begin, seq.read, seq.write_end)
    assert values == [None, 1, None]
    assert seq.value == 2
    assert not seq.is_written
    assert [row[3:5] for row in engine.log if row[1] == SEQ_CHANGED] == [(5, 1), (5, 2)]


def test_a_generation_grows_by_one_when_the_writer_leaves() -> None:
    engine = engine_of(3)
    seq = SeqCount(engine, "mm_lock_seq", is_generation=True)
    assert results(engine, seq.write_begin, seq.read, seq.write_end) == [None, 0, None]
    assert seq.value == 1
    assert not seq.is_written


def test_a_reader_retries_when_a_writer_was_or_came_in() -> None:
    engine = engine_of(5)
    seq = SeqCount(engine, "mm_lock_seq")
    answers = results(
        engine,
        lambda engine: seq.retry(engine, 0),
        seq.write_begin,
        lambda engine: (seq.retry(engine, 0), seq.retry(engine, 1)),
        seq.write_end,
        lambda engine: (seq.retry(engine, 1), seq.retry(engine, 2)),
    )
    assert answers == [False, None, (True, True), None, (True, False)]


def test_reading_fetches_the_line_once() -> None:
    engine = engine_of(3)
    seq = SeqCount(engine, "mm_lock_seq")
    results(engine, seq.write_begin, lambda engine: [seq.read(engine), seq.read(engine)])
    assert len([row for row in engine.log if row[1] == LINE_MOVED]) == 1


def test_two_writers_at_once_are_a_mistake() -> None:
    engine = engine_of(2)
    seq = SeqCount(engine, "mm_lock_seq")
    with pytest.raises(AssertionError, match="has a writer already"):
        results(engine, seq.write_begin, seq.write_begin)
    with pytest.raises(AssertionError, match="has no writer"):
        SeqCount(engine, "other").write_end(engine)
