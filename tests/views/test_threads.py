"""Thread lanes as text."""

from __future__ import annotations

from pfviz.mm.userfaultfd import WAITS
from pfviz.sim import event as ev
from pfviz.views import narrator, threads
from pfviz.views.glyphs import ASCII
from pfviz.views.look import Look
from pfviz.views.rows import plain
from pfviz.views.timeline import Timeline

from . import logs


def lanes_of(story: logs.Story, width: int, height: int, look: Look | None = None) -> str:
    timeline = Timeline(story.log)
    frame = timeline.at(len(timeline))
    return plain(threads.paint(frame, timeline.lanes, width, height, look or Look()))


def test_the_lanes_show_who_waits_and_who_lost_its_cpu() -> None:
    assert lanes_of(logs.monitor(), 80, 7) == (
        "            -2 ms  ─▸                       now│ step               lock\n"
        "app-0 c0  r              r░░░░░░░░░░░░░░░░░░░░░│ waits mmap_lock    R 1.21 ms\n"
        "app-1 c1  w              w▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒│ waits mmap_lock    W 1.21 ms\n"
        "app-2 c2  r              r░░░░░░░░░░░░░░░░░░░░░│ waits mmap_lock    R 1.21 ms\n"
        "smaps c3  h              h•••••••••••••••••••••│ lost its CPU       R mmap_lock\n"
        "░r waits read  ▒w waits write  •h off CPU, holds\n"
    )


def test_in_ascii_each_state_still_has_its_own_character() -> None:
    shown = lanes_of(logs.monitor(), 60, 6, Look(glyphs=ASCII))
    assert shown.isascii()
    assert "rrrrrr" in shown
    assert "wwwwww" in shown
    assert "hhhhhh" in shown


def test_thirty_cells_are_enough_for_name_letter_and_lane() -> None:
    assert lanes_of(logs.monitor(), 30, 5).splitlines()[1] == "app-0 r     r░░░░░░│ waits m…"


def test_the_selected_thread_is_kept_in_sight() -> None:
    story = logs.Story()
    for number in range(30):
        story.thread(f"t{number}", number)
    assert "t29" not in lanes_of(story, 60, 10, Look(selected=0))
    assert "t29" in lanes_of(story, 60, 10, Look(selected=29))
    assert "t5 " in lanes_of(story, 60, 10, Look(selected=29, top=5))


def test_a_short_wait_is_not_lost_in_a_wide_column() -> None:
    """A quarter of a column is enough for a wait to show."""
    story = logs.Story()
    task = story.thread("a")
    lock = story.lock("mmap_lock", "mmap_lock", 1)
    story.step(task, "user", 600)
    story.queues(task, lock)
    story.at(900)
    story.gets(task, lock, wait=300)
    story.lets_go(task, lock)
    story.at(1_000)
    story.add(ev.NOTE, -1, story.log.text("end"), -1)
    shown = lanes_of(story, 40, 3, Look(span_ns=1_000))
    lane = shown.splitlines()[1]
    assert "░" in lane
    assert "━" in lane


def test_the_span_grows_with_the_longest_wait() -> None:
    timeline = Timeline(logs.monitor().log)
    assert threads.span_of(timeline.at(len(timeline)), Look()) == 2_000_000
    assert threads.span_of(timeline.at(3), Look()) == 5_000
    assert threads.span_of(timeline.at(3), Look(span_ns=77)) == 77


def test_the_foot_counts_the_lanes_that_are_there() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    for height in range(3, 9):
        rows = plain(threads.paint(frame, timeline.lanes, 80, height)).splitlines()
        lanes = sum(row.startswith(("app-", "smaps")) for row in rows)
        said = f"· {lanes} shown" in threads.summary(frame, height)
        assert said == (lanes < 4), height


def test_runs_side_by_side_show_the_same_threads_one_of_each_kind_first() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    chosen = threads.chosen_for_all([frame, frame], 2)
    assert [frame.label(task) for task in chosen] == ["app-0", "smaps"]
    assert threads.chosen_for_all([frame, frame], 4) == ()


def test_a_wider_screen_never_hides_the_lock_that_a_narrower_one_shows() -> None:
    for width in range(67, 120):
        shown = lanes_of(logs.monitor(), width, 8)
        assert "c3" in shown, width
        assert "R mmap_lock" in shown, width


def test_who_asks_a_monitor_is_seen_to_wait_for_it_and_what_it_holds() -> None:
    for holds in (False, True):
        story = logs.Story()
        task = story.thread("worker")
        lock = story.lock("mmap_lock", "mmap_lock app", 1)
        story.step(task, "handle_userfault", 600)
        story.faults(task, 0x7000, 0)
        if holds:
            story.takes(task, lock)
        story.at(900).falls_asleep(task, WAITS)
        story.at(9_000)
        story.step(story.thread("other"), "user")
        shown = lanes_of(story, 80, 6)
        assert "a╍╍╍" in shown
        assert "waits for monitor" in shown
        assert "╍a asks monitor" in shown
        timeline = Timeline(story.log)
        look = Look(selected=task)
        told = plain([narrator.sentence(timeline.at(len(timeline)), look)])
        what = "mmap_lock" if holds else "no lock"
        assert told.startswith(f"worker waits for the userfaultfd monitor; it holds {what}")


def with_a_late_thread() -> logs.Story:
    """A thread that is announced for CPU 1 and runs there only after 300 us."""
    story = logs.Story()
    story.step(story.thread("app"), "user")
    late = story.new_id()
    story.add(ev.TASK_NEW, late, story.log.text("late"), 1, 120, 1)
    story.wakes(late)
    story.at(300_000)
    story.add(ev.NOTE, -1, story.log.text("soon"), -1)
    return story


def test_a_thread_whose_start_is_ahead_waits_for_no_cpu() -> None:
    story = with_a_late_thread()
    shown = lanes_of(story, 80, 8)
    assert "not started yet" in shown
    assert "waits for a CPU" not in shown
    assert "off CPU" not in shown
    frame = Timeline(story.log).at(len(story.log))
    late = max(frame.tasks)
    told = plain([narrator.sentence(frame, Look(selected=late))])
    assert told == "late has not started yet."
    assert threads.summary(frame) == "2 threads · 2 CPUs"
    story.gets_a_cpu(late, 1)
    story.step(late, "user")
    assert "not started yet" not in lanes_of(story, 80, 8)
    story.loses_its_cpu(late, 1)
    assert "lost its CPU" in lanes_of(story, 80, 8)


def test_in_a_recording_a_thread_without_a_cpu_is_not_said_to_be_new() -> None:
    story = with_a_late_thread()
    story.log.meta["front_end"] = "perf"
    assert "waits for a CPU" in lanes_of(story, 80, 8)


def test_what_is_lower_than_a_cell_makes_no_stripes_in_a_high_lane() -> None:
    rows = lanes_of(logs.one_fault(), 80, 20, Look(lane_lines=3)).splitlines()
    low = [row for row in rows if "│" in row and set("▁▂▃▄▅▆▇") & set(row)]
    assert low
    assert all(row.startswith("app ") for row in low), "only in the row with the name"
