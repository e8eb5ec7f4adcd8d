"""The sentences: who waits for whom, and why."""

from __future__ import annotations

from pfviz.mm.operations import IrqsOff, Munmap
from pfviz.sim import event as ev
from pfviz.views import narrator, waits
from pfviz.views.look import Look
from pfviz.views.rows import plain
from pfviz.views.timeline import Timeline
from tests.worlds import at, world

from . import logs


def said(story: logs.Story, task: int) -> str:
    timeline = Timeline(story.log)
    return narrator.spoken(timeline.at(len(timeline)), Look(selected=task))


def test_a_reader_behind_a_queued_writer_is_told_why() -> None:
    assert said(logs.monitor(), 0) == (
        "app-0 waits: smaps has held mmap_lock for read for 1.21 ms and lost its CPU 1.21 ms ago; "
        "the writer app-1 queued behind it, so every new reader queues too."
    )


def test_the_writer_itself_waits_for_the_reader_alone() -> None:
    assert said(logs.monitor(), 1) == (
        "app-1 waits: smaps has held mmap_lock for read for 1.21 ms and lost its CPU 1.21 ms ago."
    )


def test_a_preempted_holder_is_told_with_those_who_wait_for_it() -> None:
    assert said(logs.monitor(), 3) == (
        "smaps lost its CPU 1.21 ms ago; app-1, app-0 and app-2 wait for mmap_lock, which it holds."
    )


def test_a_better_priority_is_named_as_the_reason() -> None:
    story = logs.monitor()
    busy = story.thread("busy", 3, prio=110)
    assert busy == 4
    assert "smaps has held mmap_lock for read for 1.21 ms and lost its CPU to busy " in (
        told := said(story, 1)
    )
    assert "(nice -10 beats nice 19)" in told


def test_the_owner_of_a_lock_can_be_followed() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    assert [waits.owner_of(frame, task) for task in range(4)] == [3, 3, 3, -1]


def test_a_running_thread_is_told_by_its_step() -> None:
    story = logs.one_fault()
    timeline = Timeline(story.log)
    frame = timeline.at(timeline.nth(2))
    assert narrator.spoken(frame) == (
        "app in lock_vma_under_rcu: Look the VMA up under RCU, without any lock."
    )


def test_the_end_of_a_fault_says_how_long_and_under_which_lock() -> None:
    lines = list(narrator.plain_lines(logs.one_fault().log))
    assert len(lines) == 6
    assert lines[-1] == (
        "       250 ns  app         vma_end_read        include/linux/mm.h   Let the VMA go. "
        "The fault (anon write) is done after 250 ns, under VMA lock."
    )


def test_a_fallback_says_what_was_given_up_and_what_comes_next() -> None:
    lines = [line for line in narrator.plain_lines(logs.monitor().log) if "gives up" in line]
    assert len(lines) == 2
    assert lines[0].endswith("It gives up the VMA lock: no anon_vma yet; mmap_lock comes next.")


def test_a_broken_rule_comes_before_everything_else() -> None:
    story = logs.monitor()
    story.add(ev.RULE_BROKEN, 3, story.log.text("no page outlives its vma"), 0)
    assert said(story, 0) == "smaps breaks a rule: no page outlives its vma."


def test_a_capture_without_steps_is_told_by_its_waits_and_faults() -> None:
    story = logs.Story()
    _, lock = story.address_space()
    a, b = story.thread("a"), story.thread("b", 1)
    story.takes(a, lock, ev.WRITE)
    story.queues(b, lock)
    story.at(5_000)
    story.gets(b, lock, wait=5_000)
    story.faults(b, logs.HEAP, 0)
    story.is_served(b, 700, 0, "")
    assert list(narrator.plain_lines(story.log)) == [
        "         0 ns  b                 waits: a has held mmap_lock for write for 0 ns.",
        "     5.000 µs  b                 gets mmap_lock after 5.00 µs.",
        "     5.000 µs  b                 fault at 558012345000 (page fault) is done after 700 ns "
        "under mmap_lock.",
    ]


def test_the_sentence_wraps_and_its_first_words_keep_their_colour() -> None:
    timeline = Timeline(logs.monitor().log)
    rows = narrator.paint(timeline.at(len(timeline)), 60, 3, Look(selected=0))
    assert rows[0][0] == ("app-0 waits:", "wait-read")
    assert plain(rows).splitlines()[1] == (
        "and lost its CPU 1.21 ms ago; the writer app-1 queued behind"
    )


def test_a_sentence_without_room_keeps_its_end_and_loses_the_aside_first() -> None:
    timeline = Timeline(logs.monitor().log)
    frame = timeline.at(len(timeline))
    look = Look(selected=0)
    for width in (40, 60, 79):
        needed = narrator.lines_needed(frame, width, look)
        assert "…" not in plain(narrator.paint(frame, width, needed, look))
        for height in range(2, needed + 1):
            told = plain(narrator.paint(frame, width, height, look)).split()
            assert told[:2] == ["app-0", "waits:"], (width, height)
            assert told[-4:] == ["new", "reader", "queues", "too."], (width, height)


def test_a_reader_that_was_granted_in_its_sleep_is_not_a_free_lock() -> None:
    """The word counts it already (rwsem_mark_wake), though it runs only later."""
    story = logs.Story()
    _, lock = story.address_space()
    reader, spinner = story.thread("r"), story.thread("s", 1)
    story.queues(reader, lock)
    story.falls_asleep(reader, "read lock of mmap_lock", lock)
    story.add(ev.LOCK_WORD, spinner, lock, 0x100, -1)
    story.add(ev.SPIN_BEGIN, spinner, lock, ev.WRITE)
    assert said(story, spinner) == (
        "s spins: mmap_lock was granted to r, who has not woken up yet; 1 more sleeps in its queue."
    )
    story.add(ev.LOCK_WORD, spinner, lock, 0x2, -1)
    assert "mmap_lock is free, but r is first in the queue" in said(story, spinner)


def test_a_holder_that_waits_itself_is_told_so() -> None:
    story = logs.Story()
    mm, mmap_lock = story.address_space()
    _, vma_lock = story.vma(mm, "[heap]", logs.HEAP, 4)
    a, w, r = story.thread("a"), story.thread("w", 1), story.thread("r", 2)
    story.takes(a, vma_lock)
    story.takes(w, mmap_lock, ev.WRITE)
    story.queues(w, vma_lock, ev.WRITE)
    story.at(2_500)
    story.queues(r, mmap_lock)
    assert said(story, r) == (
        "r waits: w has held mmap_lock for write for 2.50 µs and itself waits for "
        "the lock of VMA [heap]."
    )


def test_a_fault_without_steps_is_told_by_its_place() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    story.vma(mm, "/usr/lib/libc.so.6", logs.ANON, 4, "file")
    a = story.thread("a")
    story.faults(a, logs.ANON, 1)
    assert said(story, a) == (
        "a has a fault at 7f1040000000 in VMA libc.so.6 under VMA lock, for 0 ns now."
    )


def test_a_computing_thread_is_told_with_what_it_does_next() -> None:
    story = logs.Story()
    app = story.thread("app")
    story.step(app, "user")
    seen = len(story.log)
    story.at(12_000)
    story.add(ev.FAULT_BEGIN, app, 0x7F1040000000, 6, 1, 0)
    frame = Timeline(story.log).at(seen)
    text = narrator.spoken(frame, Look(selected=app))
    assert text.startswith("app computes in user mode; next, in 12.0 µs, it writes to a page")


def test_who_waits_for_a_cpu_with_interrupts_off_says_so() -> None:
    made = world("6.12", cpus=4).vma("m", 8).touched("m")
    driver = made.thread("driver", IrqsOff(90_000), cpu=1)
    waiter = made.thread("unmapper", Munmap(at("m"), 8), after_ns=5_000)
    made.run(until_ns=60_000)
    timeline = Timeline(made.engine.log)
    frame = timeline.at(len(timeline))
    told = narrator.spoken(frame, Look(selected=waiter.id))
    assert told.startswith("unmapper spins: driver has kept the interrupts of CPU 1 off for ")
    told = narrator.spoken(frame, Look(selected=driver.id))
    assert "unmapper waits for the interrupts of CPU 1, which it keeps off" in told


def test_of_several_broken_rules_the_first_is_told_and_nobody_breaks_none() -> None:
    story = logs.Story()
    story.step(story.thread("monitor"), "user")
    first, last = story.log.text("I18: a circle of waiting"), story.log.text("I25: asleep for ever")
    story.add(ev.RULE_BROKEN, ev.NOBODY, first, -1)
    story.add(ev.RULE_BROKEN, ev.NOBODY, last, -1)
    assert said(story, 0) == "A rule is broken: I18: a circle of waiting."


def test_what_a_waiting_fault_holds_is_named_as_the_board_names_it() -> None:
    story = logs.Story()
    mm, _ = story.address_space()
    vma, lock = story.vma(mm, "heap", 0x7F0000000000, 4, "file")
    story.log.append(
        0, ev.LOCK_NEW, -1, lock, story.log.text("vma_lock"), story.log.text("vm_lock 16"), vma
    )
    app = story.thread("app")
    story.takes(app, lock)
    story.add(ev.IO_BEGIN, app, 1, 0, 0)
    story.falls_asleep(app, "waits for the disk")
    assert "it holds VMA heap meanwhile" in said(story, app)


def test_a_path_that_is_left_is_named_as_a_person_would() -> None:
    said = narrator.fell_back
    assert said("seq changed", ("", 2, 1)) == (
        "It gives up the way without a lock: seq changed; the VMA lock comes next."
    )
    assert said("seq changed", ("", 2, 2)) == "It starts over without a lock: seq changed."
    assert said("I/O needed", ("", 0, 0)) == "It starts over under mmap_lock: I/O needed."
