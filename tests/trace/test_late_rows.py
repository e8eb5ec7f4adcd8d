"""Rows found out later take their place; time never goes back."""

from __future__ import annotations

from pfviz.sim import event as ev
from pfviz.trace.late_rows import LateRows


def _rows(*times_ns: int) -> LateRows:
    rows = LateRows()
    for time_ns in times_ns:
        rows.now_ns = time_ns
        rows.add(ev.NOTE, -1, time_ns)
    return rows


def test_late_rows_stand_before_their_place_in_the_order_given() -> None:
    rows = _rows(10, 20, 30)
    rows.add_late(1, 15, ev.LOSS, -1, 1, 0, 0, 0)
    rows.add_late(3, 99, ev.LOSS, -1, 2, 0, 0, 0)
    rows.add_late(1, 15, ev.LOSS, -1, 3, 0, 0, 0)
    log = rows.finish()
    assert [row[3] for row in log] == [10, 1, 3, 20, 30, 2]
    assert [row[0] for row in log] == [10, 15, 15, 20, 30, 30]


def test_a_time_outside_its_neighbours_is_moved_between_them() -> None:
    rows = _rows(10, 20, 30)
    rows.add_late(2, 5, ev.LOSS, -1, 0, 0, 0, 0)
    rows.add_late(1, 500, ev.LOSS, -1, 0, 0, 0, 0)
    assert [row[0] for row in rows.finish()] == [10, 20, 20, 20, 30]


def test_a_moment_lies_after_the_rows_of_the_same_time_within_its_bounds() -> None:
    rows = _rows(10, 20, 20, 30)
    assert rows.place_at([20, 20, 5, 99], [0, 0, 1, 0], [4, 2, 4, 3]) == [3, 2, 1, 3]


def test_nothing_late_leaves_the_log_alone() -> None:
    assert [row[0] for row in _rows(1, 2).finish()] == [1, 2]
