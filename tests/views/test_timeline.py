"""Any moment reached by seeking is the moment reached by folding from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from pfviz.views import timeline as timeline_module
from pfviz.views.fold import fold
from pfviz.views.frame import Frame
from pfviz.views.timeline import EVENT, FAULT, GRAINS, HANDOVER, STEP, Timeline

from .logs import long, monitor, one_fault

if TYPE_CHECKING:
    import pytest

LOG = long(60).log


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(min_value=1, max_value=97))
def test_seeking_is_the_same_as_replaying(data: st.DataObject, stride: int) -> None:
    timeline = Timeline(LOG, stride)
    for index in data.draw(st.lists(st.integers(0, len(LOG)), min_size=1, max_size=4)):
        assert timeline.at(index) == fold(Frame(LOG), index)


def test_a_keyframe_is_never_shared() -> None:
    timeline = Timeline(LOG, stride=16)
    first = timeline.copy_at(40)
    first.tasks[0].name = "scratched"
    first.mms[1].tables.clear()
    first.counters["pgfault"] = -1
    assert timeline.at(40) == fold(Frame(LOG), 40)
    assert timeline.copy_at(40).tasks[0].name == "app"


def test_a_frame_lent_by_at_moves_on_and_a_copy_does_not() -> None:
    timeline = Timeline(LOG, stride=16)
    lent, kept = timeline.at(10), timeline.copy_at(10)
    assert timeline.at(12) is lent
    assert kept == fold(Frame(LOG), 10)


def test_extending_in_pieces_gives_the_same_keyframes_as_at_once() -> None:
    whole, story = Timeline(LOG, 32), long(60)
    pieces = Timeline(story.log, 32)
    grown = Timeline(LOG, 32)
    assert pieces.extend() == 0
    assert [whole.at(i) for i in range(0, len(LOG), 50)][-1] == grown.at(len(LOG) // 50 * 50)

    rows = bytes(story.log.rows)
    del story.log.rows[:]
    live = Timeline(story.log, 32)
    for cut in range(0, len(rows), 56 * 33):
        story.log.rows += rows[cut : cut + 56 * 33]
        live.extend(events_max=20)
        live.extend()
    assert len(live) == len(whole)
    for index in (0, 31, 32, 33, len(whole)):
        assert live.copy_at(index) == whole.copy_at(index)
    for grain in GRAINS:
        assert live.count(len(live), grain) == whole.count(len(whole), grain)
    assert live.lanes == whole.lanes


def test_going_forth_and_back_by_any_grain_meets_the_same_places() -> None:
    timeline = Timeline(LOG, 64)
    for grain in (STEP, EVENT, FAULT, HANDOVER):
        places = [0]
        while places[-1] < len(timeline):
            places.append(timeline.next(places[-1], grain))
        back = [len(timeline)]
        while back[-1] > 0:
            back.append(timeline.previous(back[-1], grain))
        assert back[::-1] == places
        assert timeline.nth(3, grain) == places[3]
        assert timeline.count(places[3], grain) == 3


def test_a_step_includes_the_events_it_emitted() -> None:
    timeline = Timeline(one_fault().log)
    second = timeline.nth(2)
    frame = timeline.at(second)
    assert frame.log.steps[frame.tasks[0].step].function == "lock_vma_under_rcu"
    assert frame.tasks[0].rcu_depth == 1


def test_the_time_of_an_index_and_the_index_of_a_time_agree() -> None:
    timeline = Timeline(monitor().log)
    assert timeline.time_at(0) == 0
    assert timeline.time_at(len(timeline)) == timeline.end_ns == 1_210_300
    assert timeline.index_at(timeline.end_ns) == len(timeline)
    assert timeline.time_at(timeline.index_at(1_100)) == 1_000


def test_what_comes_next_is_read_from_the_log_and_then_from_habit() -> None:
    timeline = Timeline(LOG)
    frame = timeline.at(timeline.nth(1))
    names = [LOG.steps[s].function for s in timeline.upcoming(frame.index, 0, 3)]
    assert names == ["lock_vma_under_rcu", "mas_walk", "vma_start_read"]

    end = Timeline(one_fault().log)
    assert end.upcoming(len(end), 0, 3) == []


def test_a_forgetful_keyframe_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seek test that cannot fail proves nothing: lose a field in every keyframe."""

    def lossy(frame: Frame) -> bytes:
        kept = fold(Frame(frame.log), frame.index)
        kept.counters = {}
        return real(kept)

    real = timeline_module.freeze
    monkeypatch.setattr(timeline_module, "freeze", lossy)
    timeline = Timeline(LOG, 64)
    assert timeline.at(200) != fold(Frame(LOG), 200)
