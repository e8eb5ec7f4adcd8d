"""The lock board as text, and what it makes of words and sequence numbers."""

from __future__ import annotations

import pytest

from pfviz.sim import event as ev
from pfviz.views import lock_board
from pfviz.views.rows import plain
from pfviz.views.timeline import Timeline

from . import logs


def board_of(story: logs.Story, width: int, height: int) -> str:
    timeline = Timeline(story.log)
    return plain(lock_board.paint(timeline.at(len(timeline)), width, height))


def test_a_queued_writer_keeps_the_readers_behind_it_waiting() -> None:
    assert board_of(logs.monitor(), 60, 8) == (
        "mmap_lock  read 1 · seq 7 · handoff in 2.79 ms\n"
        " holds ● R smaps 1.21 ms, off CPU 1.21 ms\n"
        " queue ▣ W app-1 1.21 ms ◂ □ R app-0 1.21 ms\n"
        "       ◂ □ R app-2 1.21 ms\n"
        "\n"
        "VMA [heap]        unlocked · seq 6 / mm 7\n"
        "VMA 7f1040000000  unlocked\n"
        "VMA [stack]       unlocked"
    )


def test_with_little_room_the_contended_lock_takes_it_all() -> None:
    assert board_of(logs.monitor(), 30, 5) == (
        "mmap_lock  read 1\n"
        "  ● R smaps 1.21 ms off CPU\n"
        "  ▣ W app-1 1.21 ms\n"
        "  ◂ □ R app-0 1.21 ms\n"
        "  ◂ □ R app-2 1.21 ms"
    )


def test_what_does_not_fit_on_one_line_is_counted() -> None:
    assert board_of(logs.monitor(), 60, 2).splitlines()[0] == (
        "mmap_lock  ● R smaps 1.21 ms off CPU ◂ ▣ W app-1 1.21 ms +2"
    )


def test_equal_sequence_numbers_say_that_the_vma_is_written() -> None:
    story = logs.monitor()
    story.add(ev.SEQ_CHANGED, 3, 101, 6)
    assert "VMA [heap]        written · seq 6 / mm 6" in board_of(story, 60, 9)


def test_what_a_writer_has_taken_out_of_the_tree_keeps_its_line_until_the_writer_is_done() -> None:
    story = logs.Story()
    mm, mmap_lock = story.address_space()
    vma, _ = story.vma(mm, "[heap]", logs.HEAP, 4)
    writer = story.thread("w")
    story.takes(writer, mmap_lock, ev.WRITE)
    story.add(ev.SEQ_CHANGED, writer, 77, 5)
    story.add(ev.VMA_LOCK_EVENT, writer, vma, story.log.text("write_locked"), 5, -1)
    story.add(ev.VMA_DETACHED, writer, vma, mm)
    assert "VMA [heap]  written · detached · seq 5 / mm 5" in board_of(story, 60, 4)
    story.add(ev.SEQ_CHANGED, writer, 77, 6)
    assert "[heap]" not in board_of(story, 60, 4)


def test_a_sequence_counter_without_a_name_is_that_of_the_lock_held_for_write() -> None:
    story = logs.Story()
    _, mmap_lock = story.address_space()
    writer = story.thread("w")
    story.takes(writer, mmap_lock, ev.WRITE)
    story.add(ev.SEQ_CHANGED, writer, 77, 5)
    assert "mmap_lock  write · seq 5" in board_of(story, 60, 4)


@pytest.mark.parametrize(
    ("word", "said"),
    [(0x1, "(writer)"), (0x306, "(3 readers, waiters, handoff)"), (0x102, "(1 reader, waiters)")],
)
def test_the_count_word_is_spelled_out_where_there_is_room(word: int, said: str) -> None:
    story = logs.monitor()
    story.add(ev.LOCK_WORD, 3, 101, word, 3)
    assert f"word {word:#x} {said}" in board_of(story, 120, 9)
    assert said not in board_of(story, 60, 9)


def test_a_handed_off_lock_names_its_heir() -> None:
    story = logs.monitor()
    story.add(ev.LOCK_HANDOFF, 1, 101)
    assert "hand-off to app-1" in board_of(story, 60, 9)


def test_page_table_locks_show_only_when_somebody_waits() -> None:
    story = logs.Story()
    a, b = story.thread("a"), story.thread("b", 1)
    lock = story.lock("ptl", "ptl 0x2a")
    story.takes(a, lock, ev.SPIN)
    assert "PTL" not in board_of(story, 60, 4)
    story.add(ev.SPIN_BEGIN, b, lock, ev.SPIN)
    assert "PTL 2a  held" in board_of(story, 60, 4)
    assert "spins ▚ s b 0 ns" in board_of(story, 60, 4)


def test_a_reference_count_is_shown_without_its_flag() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    vma, lock = story.vma(mm, "[heap]", logs.HEAP, 4)
    reader = story.thread("a")
    story.takes(reader, lock)
    story.add(ev.LOCK_WORD, reader, lock, (1 << 30) + 3, -1)
    story.add(ev.VMA_LOCK_EVENT, reader, vma, story.log.text("read_locked"), -1, 3)
    assert "VMA [heap]  1 reader · refs 3 excluded" in board_of(story, 60, 4)


def test_a_refcounted_vma_lock_has_readers_and_a_writer_that_waits_for_them() -> None:
    """6.15 and later: no rwsem, no queue; the events of the count are all there is."""
    story = logs.Story()
    mm, _ = story.address_space()
    vma, lock = story.vma(mm, "[heap]", logs.HEAP, 4)
    reader, writer = story.thread("a"), story.thread("w", 1)
    story.add(ev.VMA_LOCK_EVENT, reader, vma, story.log.text("read_locked"), 1, 2)
    story.falls_asleep(writer, "waits for the readers of a VMA", lock, 1)
    story.at(700)
    assert "queue ▣ W w 0 ns" in board_of(story, 60, 5)
    assert "holds ● R a 0 ns" in board_of(story, 60, 5)
    story.add(ev.VMA_LOCK_EVENT, reader, vma, story.log.text("read_unlocked"), 1, 1)
    story.wakes(writer, reader)
    shown = board_of(story, 60, 5)
    assert "queue" not in shown
    assert "holds" not in shown
