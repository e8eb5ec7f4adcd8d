"""`beyond`: what panes say where mmap_lock is split into ranges, tree and VMAs."""

from __future__ import annotations

import pytest

from pfviz.report.source import open_scenario
from pfviz.scenario.build import build_with
from pfviz.scenario.overrides import Overrides
from pfviz.sim import event as ev
from pfviz.sim.machine import FOREVER_NS
from pfviz.views import address_map, lock_board, threads, waits
from pfviz.views.frame import Frame
from pfviz.views.rows import plain
from pfviz.views.timeline import Timeline

from . import logs


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    engine = build_with(open_scenario("beyond-mmap-lock"), Overrides(kernel="beyond"))
    engine.run(FOREVER_NS, 900)
    return Timeline(engine.log)


def split_story() -> tuple[logs.Story, int, int, int, int]:
    """An address space whose range lock and tree lock are apart, and one VMA."""
    story = logs.Story()
    ranges = story.lock("range_lock", "VMA ranges app", 1)
    tree = story.lock("spinlock", "tree lock app", 1)
    story.add(ev.MM_NEW, -1, 1, -1, ranges, story.log.text("app"))
    vma, _ = story.vma(1, "heap", 0x10000, 4)
    return story, ranges, tree, vma, story.thread("w")


def frame_of(story: logs.Story) -> Frame:
    timeline = Timeline(story.log)
    return timeline.at(len(timeline))


def told(story: logs.Story, vma: int, task: int, what: str, sequence: int) -> None:
    story.add(ev.VMA_LOCK_EVENT, task, vma, story.log.text(what), sequence, 1)


def test_an_odd_number_of_its_own_says_that_a_vma_is_written() -> None:
    story, _, _, vma, writer = split_story()
    told(story, vma, writer, "write_locked", 7)
    frame = frame_of(story)
    assert "VMA heap    written · seq 7" in plain(lock_board.paint(frame, 60, 8))
    assert "W w" in plain(address_map.paint(frame, 100, 8))
    told(story, vma, writer, "write_unlocked", 8)
    frame = frame_of(story)
    assert "VMA heap    unlocked · seq 8" in plain(lock_board.paint(frame, 60, 8))
    assert "W w" not in plain(address_map.paint(frame, 100, 8))


def test_an_odd_number_says_nothing_where_mmap_lock_is_whole() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    vma, _ = story.vma(mm, "heap", 0x10000, 4)
    told(story, vma, story.thread("w"), "write_locked", 7)
    assert "VMA heap   unlocked · seq 7" in plain(lock_board.paint(frame_of(story), 60, 8))


def test_ranges_and_tree_come_first_and_are_called_so() -> None:
    story, ranges, tree, _, writer = split_story()
    other = story.thread("x", 1)
    story.takes(writer, ranges, ev.WRITE)
    story.takes(other, ranges, ev.WRITE)
    story.takes(writer, tree, ev.SPIN)
    lines = plain(lock_board.paint(frame_of(story), 60, 9)).splitlines()
    assert lines[0].startswith("VMA ranges  2 ranges held")
    assert any(line.startswith("tree lock  held") for line in lines[:5])
    shown = Timeline(story.log)
    lanes = plain(threads.paint(shown.at(len(shown)), shown.lanes, 90, 4))
    assert "W VMA ranges" in lanes


def test_the_tree_counts_its_own_changes() -> None:
    story, ranges, tree, _, writer = split_story()
    story.takes(writer, ranges, ev.WRITE)
    story.takes(writer, tree, ev.SPIN)
    story.add(ev.SEQ_CHANGED, writer, 77, 5)
    frame = frame_of(story)
    assert frame.locks[tree].sequence == 5
    assert 77 not in frame.locks


def test_a_wait_for_them_is_told_in_words() -> None:
    story, ranges, tree, _, _ = split_story()
    frame = frame_of(story)
    assert waits.words_for(frame, frame.locks[ranges]) == "the lock on ranges of VMAs"
    assert waits.words_for(frame, frame.locks[tree]) == "the tree lock"


def test_a_real_run_never_says_unlocked_of_a_vma_that_is_written(timeline: Timeline) -> None:
    written = 0
    for index in range(0, len(timeline), 50):
        frame = timeline.at(index)
        board = plain(lock_board.paint(frame, 100, 60))
        assert "lock 15" not in board
        if not frame.mms:
            continue
        assert board.splitlines()[0].startswith("VMA ranges")
        for vma in frame.vmas.values():
            if vma.lock_what == "write_locked" and vma.detached_ns < 0:
                written += 1
                assert frame.is_written(vma)
    assert written > 20
