"""Limited reference counts: never up from zero, never beyond the limit, never below zero."""

from __future__ import annotations

import pytest
from lock_worlds import engine_of, events
from test_seqcount import results

from pfviz.sim.event import LOCK_NEW, LOCK_WORD
from pfviz.sync.refcount import LimitedRefcount

WRITER = 1 << 30


@pytest.mark.parametrize(
    ("value", "grows"),
    [
        (0, False),
        (1, True),
        (2, True),
        (WRITER - 2, True),
        (WRITER - 1, False),
        (WRITER, False),
        (WRITER + 1, False),
    ],
)
def test_a_reader_gets_in_only_between_zero_and_the_limit(value: int, grows: bool) -> None:
    engine = engine_of(1)
    count = LimitedRefcount(engine, "vma_lock", "vm_refcnt", 3, value=value)
    (old,) = results(engine, lambda engine: count.inc_not_zero_limited(engine, WRITER - 1))
    assert old == value
    assert count.value == value + grows
    assert bool(events(engine, LOCK_WORD)) == grows


def test_a_writer_cannot_lock_what_is_detached() -> None:
    engine = engine_of(3)
    count = LimitedRefcount(engine, "vma_lock", "vm_refcnt", 3)
    answers = results(
        engine,
        lambda engine: count.add_not_zero(engine, WRITER),
        lambda engine: count.set(engine, 1),
        lambda engine: count.add_not_zero(engine, WRITER),
    )
    assert answers == [False, None, True]
    assert count.value == WRITER + 1


def test_references_are_dropped_one_by_one_or_many() -> None:
    engine = engine_of(3)
    count = LimitedRefcount(engine, "vma_lock", "vm_refcnt", 3, value=WRITER + 3)
    assert results(
        engine, count.dec, lambda engine: count.sub(engine, WRITER), count.add
    ) == [WRITER + 2, 2, 3]  # fmt: skip
    assert [entry["word"] for entry in events(engine, LOCK_WORD)] == [WRITER + 2, 2, 3]
    (new,) = events(engine, LOCK_NEW)
    assert (new["lock"], new["kind"], new["owner"]) == (count.id, "vma_lock", 3)


def test_dropping_too_many_and_reviving_the_dead_are_mistakes() -> None:
    engine = engine_of(1)
    count = LimitedRefcount(engine, "vma_lock", "vm_refcnt", 3)
    with pytest.raises(AssertionError, match="underflow"):
        count.dec(engine)
    with pytest.raises(AssertionError, match="addition on 0"):
        count.add(engine)
