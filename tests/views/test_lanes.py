"""Segments of threads as cells of a window."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pfviz.views import lanes as lanes_module
from pfviz.views import states
from pfviz.views.lanes import Lane, Lanes
from pfviz.views.timeline import Timeline

from . import logs


def lanes_of(segments: list[tuple[int, int]]) -> Lanes:
    lane = Lane()
    now = 0
    for length, state in segments:
        lane.starts_ns.append(now)
        lane.states.append(state)
        lane.locks.append(-1)
        now += length
    return Lanes({0: lane})


def test_a_segment_lasts_until_the_next_one_begins() -> None:
    lanes = lanes_of([(10, states.USER), (10, states.FAULT_VMA), (10, states.USER)])
    assert lanes.cells(0, 0, 30, 3, 30) == bytes((states.USER, states.FAULT_VMA, states.USER))
    assert lanes.cells(0, 5, 25, 4, 30)[1:3] == bytes((states.FAULT_VMA,)) * 2
    assert lanes.lanes[0].at(12) == (10, states.FAULT_VMA, -1)
    assert lanes.lanes[0].at(-1)[1] == states.NEW


def test_nothing_is_known_before_the_first_event_and_after_now() -> None:
    lanes = lanes_of([(10, states.USER)])
    assert lanes.cells(0, -20, 20, 4, 9) == bytes((0, 0, states.USER, 0))
    assert lanes.cells(7, 0, 10, 3, 10) == bytes(3)
    assert lanes.cells(0, 0, 10, 0, 10) == b""
    assert lanes.cells(0, 50, 60, 2, 9) == bytes(2)


def test_a_quarter_of_waiting_wins_a_column() -> None:
    lanes = lanes_of([(74, states.USER), (26, states.WAIT_READ), (100, states.USER)])
    assert lanes.cells(0, 0, 200, 2, 200) == bytes((states.WAIT_READ, states.USER))
    lanes = lanes_of([(74, states.FAULT_VMA), (26, states.WAIT_READ), (100, states.USER)])
    assert lanes.cells(0, 0, 200, 2, 200) == bytes((states.WAIT_READ, states.USER))
    lanes = lanes_of([(90, states.FAULT_VMA), (10, states.WAIT_READ), (100, states.USER)])
    assert lanes.cells(0, 0, 200, 2, 200) == bytes((states.FAULT_VMA, states.USER))


def test_user_mode_and_sleep_never_hide_a_short_fault() -> None:
    for quiet in (states.USER, states.SLEEP):
        for told in (states.FAULT_VMA, states.FAULT_MMAP, states.IO, states.ENTRY):
            lanes = lanes_of([(98, quiet), (2, told), (100, quiet)])
            assert lanes.cells(0, 0, 200, 2, 200) == bytes((told, quiet))


def test_a_fault_is_seen_where_a_column_has_more_segments_than_are_sampled() -> None:
    many = [(97, states.USER), (1, states.KERNEL), (1, states.ENTRY), (1, states.FAULT_VMA)] * 400
    lanes = lanes_of(many)
    assert lanes.cells(0, 0, 40_000, 4, 40_000) == bytes((states.FAULT_VMA,)) * 4


segments = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, len(states.STATES) - 1)), min_size=1, max_size=40
)


@given(segments, st.integers(-30, 60), st.integers(1, 300), st.integers(1, 50))
def test_a_column_shows_what_happened_in_it(
    made: list[tuple[int, int]], from_ns: int, span: int, columns: int
) -> None:
    lanes = lanes_of(made)
    end_ns = sum(length for length, _ in made)
    cells = lanes.cells(0, from_ns, from_ns + span, columns, end_ns)
    assert len(cells) == columns
    by_ns = [state for length, state in made for _ in range(length)]
    by_ns.append(by_ns[-1])
    for column, shown in enumerate(cells):
        first = from_ns + span * column // columns
        last = from_ns + -(-span * (column + 1) // columns)
        happened = {
            by_ns[now] if 0 <= now < len(by_ns) else states.NEW for now in range(first, last + 1)
        }
        assert shown in happened | {states.NEW}


def test_a_window_over_very_many_segments_is_sampled_and_not_slower() -> None:
    busy = lanes_of([(1, states.USER if n % 2 else states.SPIN) for n in range(40_000)])
    assert set(busy.cells(0, 0, 40_000, 50, 40_000)) == {states.SPIN}
    assert lanes_module.SEGMENTS_A_COLUMN_MAX * 50 < 40_000


def test_the_lanes_of_a_log_are_those_of_its_frames() -> None:
    timeline = Timeline(logs.long(50).log)
    for index in range(0, len(timeline), 7):
        frame = timeline.at(index)
        following = timeline.time_at(min(index + 1, len(timeline)))
        if following == frame.now_ns:
            continue  # more happens in this nanosecond
        for task in frame.people():
            start, state, _ = timeline.lanes.lanes[task.id].at(frame.now_ns)
            assert (start, state) == (task.since_ns, task.state)
