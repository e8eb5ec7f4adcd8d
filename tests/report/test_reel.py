"""The plan of a film: pauses at captions, leaps over idle time, the same wherever it is made."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pfviz.report.footage import Footage, footage_of
from pfviz.report.reel import (
    READ_MIN_US,
    SECOND_US,
    TooLongError,
    plan,
    reading_us,
    stretch,
    whole,
)  # fmt: skip
from pfviz.scenario.build import build_with
from tests.report.runs import recorded


@pytest.fixture(scope="module")
def monitor() -> Footage:
    return footage_of(recorded("smaps-monitor"))


def test_the_film_stands_still_at_each_cue_for_as_long_as_its_caption_takes(monitor: Footage
) -> None:  # fmt: skip
    reel = plan(monitor, stretch(monitor, "", "1ms"), 100_000, 10)
    assert [mark.caption for mark in reel.marks] == [
        cue.caption for cue in monitor.cues.found() if cue.position <= reel.shots[-1].index
    ]
    for mark in reel.marks:
        here = next(shot for shot in reel.shots if shot.at_us == mark.at_us)
        after = next(shot for shot in reel.shots if shot.at_us > mark.at_us)
        assert here.index == mark.index
        assert not here.playing
        assert after.at_us - here.at_us >= reading_us(mark.caption)


def test_a_long_caption_is_given_longer_within_bounds() -> None:
    assert reading_us("Now.") == READ_MIN_US
    assert reading_us("word " * 20) > reading_us("word " * 10) > READ_MIN_US
    assert reading_us("word " * 1000) == reading_us("word " * 900)


def test_pictures_come_at_the_rate_and_time_passes_at_the_speed(monitor: Footage) -> None:
    part = stretch(monitor, "10us", "60us")
    reel = plan(monitor, part, 10_000, 10)
    playing = [shot for shot in reel.shots if shot.playing]
    steps = {b.at_us - a.at_us for a, b in pairwise(playing)}
    assert steps == {SECOND_US // 10}
    assert [shot.now_ns for shot in playing[:3]] == [11_000, 12_000, 13_000]
    assert reel.shots[-1].now_ns == 60_000
    assert reel.shots[-1].index == part.last


def test_nothing_happening_is_skipped(monitor: Footage) -> None:
    """At a microsecond in a second, 15 ms would otherwise take four hours."""
    reel = plan(monitor, stretch(monitor, "14ms", ""), 100, 2)
    assert reel.lasts_us < 3_000 * SECOND_US


def test_a_speed_that_nobody_can_wait_for_is_refused(monitor: Footage) -> None:
    with pytest.raises(TooLongError, match="--speed"):
        plan(monitor, stretch(monitor), 1, 60)


def test_moments_never_go_back(monitor: Footage) -> None:
    reel = plan(monitor, stretch(monitor, "cue 1", "cue 3"), 30_000, 7)
    for before, after in pairwise(reel.shots):
        assert (before.at_us, before.index, before.now_ns) <= (
            after.at_us, after.index, after.now_ns,
        )  # fmt: skip


def test_places_are_named_as_in_the_lab(monitor: Footage) -> None:
    timeline = monitor.timeline
    assert monitor.position_of("412")[0] == timeline.nth(412)
    assert monitor.position_of("end")[0] == len(timeline)
    assert monitor.position_of("12us") == (timeline.index_at(12_000), 12_000)
    with pytest.raises(ValueError, match="its cues: 1, 2, 3, 4"):
        monitor.position_of("cue 9")
    with pytest.raises(ValueError, match="comes before"):
        stretch(monitor, "2ms", "1ms")


def test_a_film_begins_where_the_world_has_been_set_up() -> None:
    recording = recorded("hello-fault")
    scenario = recording.scenario
    assert scenario is not None
    assert recording.origin == len(build_with(scenario, recording.overrides).log) > 0
    reel = plan(footage_of(recording), whole(footage_of(recording)), 1_000, 4)
    assert reel.shots[0].index == recording.origin
