"""Latency, counters and steps as text; numbers in short."""

from __future__ import annotations

import pytest

from pfviz.stats.histogram import Histogram
from pfviz.views import counters, latency, numbers, steps
from pfviz.views.look import Look
from pfviz.views.rows import plain
from pfviz.views.timeline import Timeline

from . import logs


def test_regimes_share_one_log_axis() -> None:
    timeline = Timeline(logs.long(60).log)
    assert plain(latency.paint(timeline.at(len(timeline)), 66, 4)) == (
        "VMA lock         █  ▄      p50 255 ns   p99 650 ns   max 650 ns\n"
        "mmap_lock        █  ▄      p50 255 ns   p99 650 ns   max 650 ns\n"
        "lockless         █  ▄      p50 255 ns   p99 650 ns   max 650 ns\n"
        "              100n    1µ"
    )


def test_a_rare_tail_is_seen_beside_a_thousand_fast_ones() -> None:
    fast = Histogram()
    fast.add(500, 1_000)
    fast.add(9_000_000)
    rows = latency.paint_series([("per-vma", "fault-vma", fast, 9_000_000)], 80, 2)
    first = plain(rows).splitlines()[0]
    assert first.startswith("per-vma")
    assert "▁" in first
    assert first.endswith("p99 511 ns   max 9.00 ms")


def test_counters_have_their_vmstat_names() -> None:
    timeline = Timeline(logs.long(60).log)
    assert plain(counters.paint(timeline.at(len(timeline)), 30, 5)) == (
        "pgfault                     60\n"
        "vma_lock_success            20\n"
        "lock hand-overs             12\n"
        "context switches            28\n"
        "access done                 60"
    )


def test_fallbacks_are_counted_by_cause() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    listed = {name: value for name, value, _ in counters.entries(frame)}
    assert listed["vma_lock_abort"] == "2"
    assert listed["  no anon_vma yet"] == "2"


def test_the_path_shows_what_is_behind_now_and_ahead() -> None:
    timeline = Timeline(logs.one_fault().log)
    index = timeline.nth(4)
    upcoming = timeline.upcoming(index, 0, 2)
    frame = timeline.at(index)
    assert plain(steps.paint(frame, 60, 10, Look(), upcoming)) == (
        "write fault 558012345000 VMA lock 150 ns\n"
        "  exc_page_fault      arch/x86/mm/fault.c\n"
        "  lock_vma_under_rcu  mm/memory.c (6.4+)\n"
        "  mas_walk            lib/maple_tree.c\n"
        "▸ vma_start_read      include/linux/mm.h\n"
        "  do_anonymous_page   mm/memory.c\n"
        "  vma_end_read        include/linux/mm.h\n"
        "\n"
        "────────────────────────────────────────────────────────────\n"
        "Take the VMA lock for read, or give up at once."
    )


def test_a_fallback_stands_in_the_path_where_it_happened() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    assert steps.path_names(frame, 0) == [
        "exc_page_fault", "! no anon_vma yet", "lock_vma_under_rcu", "mmap_read_lock",
    ]  # fmt: skip
    assert "✗ no anon_vma yet" in plain(steps.paint(frame, 50, 10, Look(selected=0)))


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"), (999, "999 ns"), (1_000, "1.00 µs"), (9_994, "9.99 µs"), (9_996, "10.0 µs"),
        (99_960, "100 µs"), (999_499, "999 µs"), (999_600, "1.00 ms"), (1_210_300, "1.21 ms"),
        (12_345_678_901, "12.3 s"), (3_000_000_000_000, "3,000 s"), (-5, "-5 ns"),
    ],
)  # fmt: skip
def test_a_duration_has_three_significant_digits(ns: int, text: str) -> None:
    assert numbers.duration(ns) == text


def test_clocks_sizes_and_addresses_read_as_in_the_field() -> None:
    assert numbers.clock(12_431) == "12.431 µs"
    assert numbers.clock(999) == "999 ns"
    assert numbers.round_duration(20_000) == "20 µs"
    assert numbers.round_duration(2_500_000) == "2.5 ms"
    assert numbers.size(24) == "96 KiB"
    assert numbers.size(384 * 1024) == "1.5 GiB"
    assert numbers.address(0x7F1040000000) == "7f1040000000"
    assert numbers.count(18204) == "18,204"


def test_a_loop_is_counted_and_not_listed() -> None:
    story = logs.Story()
    task = story.thread("smaps")
    story.begins(task, "smaps")
    story.step(task, "m_start")
    for _ in range(20):
        for name in ("walk_page_vma", "smaps_pte_range", "smaps_pte_range", "cond_resched"):
            story.step(task, name)
    story.step(task, "walk_page_vma")
    timeline = Timeline(story.log)
    shown = plain(steps.paint(timeline.at(len(timeline)), 27, 7)).splitlines()
    assert shown[1:6] == [
        "  m_start",
        "  walk_page_vma x20",
        "  smaps_pte_range x40",
        "  cond_resched x20",
        "▸ walk_page_vma",
    ]
