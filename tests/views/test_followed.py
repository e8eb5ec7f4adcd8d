"""Which thread is shown while a run plays and nobody selected one."""

from __future__ import annotations

from pfviz.views import states
from pfviz.views.followed import DULL_STAY_S, STAY_S, Followed
from pfviz.views.timeline import Timeline
from views import logs


def test_a_thread_that_waits_is_shown_for_some_seconds() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    followed = Followed()
    first = followed.at(frame, 0.0)
    assert frame.tasks[first].state in states.WAITING
    assert followed.at(frame, STAY_S - 0.1) == first


def test_a_computing_thread_is_soon_left_for_one_with_something_to_tell() -> None:
    story = logs.Story()
    story.address_space()
    busy, app = story.thread("busy"), story.thread("app", 1)
    story.step(busy, "user")
    computing = len(story.log)
    story.faults(app, 0x7F1040000000)
    story.step(busy, "user")
    timeline = Timeline(story.log)
    followed = Followed()
    assert followed.at(timeline.at(computing), 0.0) == busy
    assert followed.at(timeline.at(len(timeline)), DULL_STAY_S / 2) == busy
    assert followed.at(timeline.at(len(timeline)), DULL_STAY_S + 0.1) == app
