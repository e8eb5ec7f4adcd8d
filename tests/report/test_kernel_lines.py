"""The kernel's lines of a log: whose they are, what each field says, and what no kernel traces."""

from __future__ import annotations

import pytest

from pfviz.report import ftrace
from pfviz.report.recording import Recording
from pfviz.sim import event as ev
from pfviz.sim.event import ASLEEP, ENDED, READ, STILL_RUNNABLE, WRITE, EventLog
from tests.report.runs import written

MM, CHILD_MM, LOCK, CHILD_LOCK, VMA_LOCK, PTL, MUTEX = 1, 2, 10, 11, 12, 13, 14
FIRST, SECOND, CHILD = 0, 1, 2


def a_log(kernel: str = "6.12") -> EventLog:
    """Two threads of a process and a child, with the locks of both."""
    log = EventLog()
    log.meta["kernel"] = kernel
    for lock, kind in ((LOCK, "mmap_lock"), (CHILD_LOCK, "mmap_lock"), (VMA_LOCK, "vma_lock"),
                       (PTL, "ptl"), (MUTEX, "mutex")):  # fmt: skip
        log.append(0, ev.LOCK_NEW, -1, lock, log.text(kind), log.text(f"{kind} {lock}"), -1)
    log.append(0, ev.MM_NEW, -1, MM, -1, LOCK, log.text("app"))
    log.append(0, ev.TASK_NEW, FIRST, log.text("app"), 0, 120, MM)
    log.append(0, ev.TASK_NEW, SECOND, log.text("worker"), 1, 120, MM)
    log.append(0, ev.MM_NEW, FIRST, CHILD_MM, MM, CHILD_LOCK, log.text("child"))
    log.append(0, ev.TASK_NEW, CHILD, log.text("child"), 2, 120, CHILD_MM)
    return log


def kernel_lines(log: EventLog) -> list[str]:
    """The lines that are not pfviz's own, after the log's beginning."""
    text = written(ftrace.pieces(Recording(log, "any"))).decode("ascii")
    lines = [line for line in text.split("\n") if line and "pfviz" not in line]
    return [line for line in lines if not line.startswith("#") and " 0.000000000: " not in line]


def said(*rows: tuple[int, ...], kernel: str = "6.12") -> list[tuple[str, str]]:
    """(thread id, event) of the kernel's lines for events (kind, task, payload...)."""
    log = a_log(kernel)
    for now_ns, (kind, task, *payload) in enumerate(rows, 1):
        log.append(now_ns, kind, task, *payload)
    found = []
    for line in kernel_lines(log):
        place, _, event = line.partition(": ")
        found.append((place[17:].split()[0], event))
    return found


def test_a_line_stands_in_the_columns_of_the_kernel() -> None:
    log = a_log()
    log.append(1_234_567_890, ev.LOCK_START, SECOND, LOCK, READ)
    assert kernel_lines(log) == [
        "          worker-1001    (   1000) [001] .....     1.234567890: mmap_lock_start_locking: "
        "mm=ffff888100001000 memcg_id=1 write=false"
    ]


def test_mmap_lock_says_which_memory_and_how() -> None:
    mm, child = "mm=ffff888100001000 memcg_id=1", "mm=ffff888100002000 memcg_id=1"
    assert said(
        (ev.LOCK_START, FIRST, LOCK, WRITE),
        (ev.LOCK_ACQUIRED, FIRST, LOCK, WRITE),
        (ev.LOCK_START, SECOND, LOCK, READ),
        (ev.LOCK_FAILED, SECOND, LOCK, READ),
        (ev.LOCK_DOWNGRADED, FIRST, LOCK, 2),
        (ev.LOCK_RELEASED, FIRST, LOCK, READ),
        (ev.LOCK_RELEASED, CHILD, CHILD_LOCK, WRITE),
        (ev.LOCK_ACQUIRED, CHILD, VMA_LOCK, READ),
    ) == [
        ("1000", f"mmap_lock_start_locking: {mm} write=true"),
        ("1000", f"mmap_lock_acquire_returned: {mm} write=true success=true"),
        ("1001", f"mmap_lock_start_locking: {mm} write=false"),
        ("1001", f"mmap_lock_acquire_returned: {mm} write=false success=false"),
        ("1000", f"mmap_lock_acquire_returned: {mm} write=false success=true"),
        ("1000", f"mmap_lock_released: {mm} write=false"),
        ("1002", f"mmap_lock_released: {child} write=true"),
    ]


def test_contention_says_how_and_on_which_lock() -> None:
    found = said(
        (ev.CONTENTION_BEGIN, FIRST, LOCK, READ, 0),
        (ev.CONTENTION_BEGIN, SECOND, LOCK, WRITE, 1),
        (ev.CONTENTION_BEGIN, CHILD, CHILD_LOCK, WRITE, 0),
        (ev.SPIN_BEGIN, FIRST, PTL, ev.SPIN),
        (ev.SPIN_END, FIRST, PTL, ev.SPIN, 1, 1),
        (ev.CONTENTION_END, SECOND, LOCK, WRITE, 3),
    )
    lock, child, ptl = "ffff8881000010b8", "ffff8881000020b8", "ffff888200000340"
    assert found == [
        ("1000", f"contention_begin: {lock} (flags=READ)"),
        ("1001", f"contention_begin: {lock} (flags=WRITE)"),
        ("1002", f"contention_begin: {child} (flags=WRITE)"),
        ("1000", f"contention_begin: {ptl} (flags=SPIN)"),
        ("1000", f"contention_end: {ptl} (ret=0)"),
        ("1001", f"contention_end: {lock} (ret=0)"),
    ]


@pytest.mark.parametrize(("kernel", "lines"), [("6.12", 2), ("6.18", 0)])
def test_a_vma_lock_is_an_rwsem_until_readers_are_counted(kernel: str, lines: int) -> None:
    wait = ((ev.CONTENTION_BEGIN, FIRST, VMA_LOCK, WRITE), (ev.CONTENTION_END, FIRST, VMA_LOCK))
    assert len(said(*wait, kernel=kernel)) == lines


def test_what_no_kernel_traces_has_no_line() -> None:
    assert said(
        (ev.CONTENTION_BEGIN, FIRST, MUTEX, WRITE),
        (ev.SPIN_BEGIN, FIRST, LOCK, WRITE),
        (ev.SPIN_END, FIRST, LOCK, WRITE),
        (ev.CONTENTION_END, FIRST, MUTEX, WRITE),
        (ev.STEP, FIRST, 0, 1, 0, 0),
    ) == []  # fmt: skip


def test_a_switch_says_how_the_thread_before_was_left() -> None:
    log = a_log()
    whys = (("waits for a page", "D"), ("sleeps", "S"), ("mutex m", "S"), ("read lock of x", "D"))
    for now_ns, (why, _) in enumerate(whys, 1):
        log.append(now_ns, ev.SLEEP, FIRST, log.text(why), -1)
        log.append(now_ns, ev.SCHED_SWITCH, FIRST, 3, SECOND, ASLEEP)
    log.append(8, ev.SCHED_SWITCH, SECOND, 3, -1, STILL_RUNNABLE)
    log.append(9, ev.SCHED_SWITCH, CHILD, 3, -1, ENDED)
    log.append(10, ev.SCHED_SWITCH, -1, 3, FIRST)
    lines = [line.partition(": ")[2] for line in kernel_lines(log)]
    for line, (_, state) in zip(lines, whys, strict=False):
        assert line == (
            f"sched_switch: prev_comm=app prev_pid=1000 prev_prio=120 prev_state={state} ==> "
            "next_comm=worker next_pid=1001 next_prio=120"
        )
    assert "prev_comm=worker prev_pid=1001 prev_prio=120 prev_state=R ==>" in lines[4]
    assert "prev_state=X ==> next_comm=swapper/3 next_pid=0" in lines[5]
    assert "prev_comm=swapper/3 prev_pid=0 prev_prio=120 prev_state=R ==>" in lines[6]


def test_a_wake_up_is_the_waker_s() -> None:
    assert said((ev.SCHED_WAKEUP, SECOND, 3, FIRST)) == [
        ("1000", "sched_waking: comm=worker pid=1001 prio=120 target_cpu=003")
    ]


def test_a_new_thread_is_told_by_its_process_and_a_child_by_its_parent() -> None:
    text = written(ftrace.pieces(Recording(a_log(), "any"))).decode()
    lines = [line for line in text.split("\n") if ": task_newtask: " in line]
    assert [line.split()[0] for line in lines] == ["app-1000", "app-1000"]
    assert "pid=1001 comm=worker clone_flags=3d0f00 " in lines[0]
    assert "pid=1002 comm=child clone_flags=1200000 " in lines[1]


def test_events_that_were_lost_are_told_as_the_kernel_tells_it() -> None:
    log = a_log()
    log.append(5, ev.LOSS, -1, 2, 77, log.text("overrun"))
    assert kernel_lines(log) == ["CPU:2 [LOST 77 EVENTS]"]
