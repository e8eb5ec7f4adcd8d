"""Conditions to stop at, typed as words and found in the rows alone."""

import pytest

from pfviz.sim import event
from pfviz.tui.breakpoints import EXAMPLES, LongWait, ManyVmas, parse
from pfviz.tui.row_index import RowIndex, columns

from .runs import log_of, player


def positions(index: RowIndex) -> list[int]:
    index.extend()
    return list(index.everything())


def test_every_example_is_understood() -> None:
    log = player().run.log
    for text, _ in EXAMPLES:
        assert parse(text, log).meaning


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "needs a condition"),
        ("waits > 3us", "nearest: 'wait'"),
        ("wait > soon", "not a time"),
        ("vmas > many", "not a number"),
        ("lock waits", "which lock"),
        ("step", "which step"),
    ],
)
def test_what_is_no_condition_is_answered_with_the_nearest_one(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text, log_of())


def test_a_long_wait_is_found_while_it_lasts() -> None:
    log = log_of(
        (100, event.CONTENTION_BEGIN, 1, 9, 0),
        (110, event.STEP, 2),
        (300, event.STEP, 2),
        (310, event.STEP, 2),
        (400, event.CONTENTION_END, 1, 9, 0),
    )
    # Task 1 has waited more than 150 ns when the row at 300 ns happens, and only once.
    assert positions(RowIndex(log, LongWait(150))) == [3]


def test_a_long_wait_that_ends_late_is_found_at_its_end() -> None:
    log = log_of((0, event.CONTENTION_BEGIN, 1, 9, 0), (500, event.CONTENTION_END, 1, 9, 0))
    assert positions(RowIndex(log, LongWait(150))) == [2]


def test_a_short_wait_is_not_found() -> None:
    log = log_of(
        (0, event.CONTENTION_BEGIN, 1, 9, 0),
        (100, event.CONTENTION_END, 1, 9, 0),
        (900, event.STEP, 1),
    )
    assert positions(RowIndex(log, LongWait(150))) == []


def test_a_long_wait_over_two_chunks_is_found_once() -> None:
    log = log_of(
        (0, event.CONTENTION_BEGIN, 1, 9, 0), *[(200 + i, event.STEP, 2) for i in range(9)]
    )
    wait = LongWait(150)
    first = wait(columns(log, 0, 1))
    second = wait(columns(log, 1, 10))
    assert not first.any()
    assert second.tolist() == [True, *[False] * 8]


def test_vmas_are_counted_over_chunks() -> None:
    log = log_of(
        (0, event.VMA_NEW, -1), (1, event.VMA_NEW, -1), (2, event.VMA_DETACHED, -1),
        (3, event.VMA_NEW, -1), (4, event.VMA_NEW, -1),
    )  # fmt: skip
    many = ManyVmas(2)
    assert not many(columns(log, 0, 3)).any()
    assert many(columns(log, 3, 5)).tolist() == [False, True]


def test_a_lock_by_name_is_stopped_at_when_somebody_waits() -> None:
    log = player(mode="mmap_lock").run.log
    point = parse("lock mmap_lock waits", log)
    found = positions(point.index)
    assert found
    kinds = {log.row(position - 1)[1] for position in found}
    assert kinds <= {event.CONTENTION_BEGIN, event.SPIN_BEGIN}
