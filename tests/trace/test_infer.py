"""Captures as event logs: the same figures as the truth files, the same kinds as a simulation."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, Row
from pfviz.stats.lock_stats import LockStats, count_locks
from pfviz.trace import infer_events
from pfviz.trace.capture_file import CaptureError
from pfviz.trace.infer import infer_log
from pfviz.trace.infer_faults import INFERRED_END, MMAP_LOCK, VMA_LOCK
from pfviz.trace.maps import read_maps

TRACES = Path(__file__).parents[1] / "data" / "traces"
CAPTURES = sorted(TRACES.glob("*/*.gz"))
WHOLE = sorted(
    path.parent.name
    for path in TRACES.glob("*/truth.json")
    if (path.parent / "trace.txt.gz").exists() and "lost" not in path.parent.name
)


def _infer(name: str) -> EventLog:
    return infer_log(TRACES / name / "trace.txt.gz")


def _truth(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((TRACES / name / "truth.json").read_text())
    return found


def _rows(log: EventLog, *kinds: int) -> list[Row]:
    return [row for row in log if row[1] in kinds]


def _mmap_locks(log: EventLog) -> list[LockStats]:
    return [stats for stats in count_locks(log).values() if stats.kind == "mmap_lock"]


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_capture_becomes_a_log_whose_time_never_goes_back(path: Path) -> None:
    log = infer_log(path)
    times = [row[0] for row in log]
    assert times == sorted(times)
    assert times[0] >= 0
    assert log.meta["mode"] == "capture"
    for row in log:
        assert log.describe(row)  # Every text and detail that a row names exists.


@pytest.mark.parametrize("name", WHOLE)
def test_locks_are_taken_waited_for_and_held_as_the_truth_file_says(name: str) -> None:
    truth, locks = _truth(name), _mmap_locks(_infer(name))
    totals = truth["totals"]
    assert sum(lock.reads for lock in locks) == totals["acquired_read"]
    assert sum(lock.writes for lock in locks) == totals["acquired_write"]
    assert sum(lock.trylock_failed for lock in locks) == totals.get("failed_trylocks", 0)
    for what, mine in (("wait_us", "waits_ns"), ("hold_us", "holds_ns")):
        times = [ns for lock in locks for ns in getattr(lock, mine)]
        assert len(times) == truth[what]["all"]["n"]
        assert sum(times) == truth[what]["all"]["sum"] * 1000
        assert max(times) == truth[what]["all"]["max"] * 1000


@pytest.mark.parametrize("name", WHOLE)
def test_every_fault_begins_once_and_ends_at_most_once_after_it(name: str) -> None:
    log = _infer(name)
    began = _rows(log, ev.FAULT_BEGIN)
    assert len(began) == _truth(name)["faults"]
    assert Counter(hex(row[4]) for row in began) == _truth(name)["error_codes"]
    in_fault: dict[int, int] = {}
    for row in _rows(log, ev.FAULT_BEGIN, ev.FAULT_PATH, ev.FAULT_END):
        if row[1] == ev.FAULT_BEGIN:
            assert row[2] not in in_fault, log.describe(row)
            in_fault[row[2]] = row[0]
        elif row[1] == ev.FAULT_PATH:
            assert row[2] in in_fault, log.describe(row)
        else:
            assert row[0] - in_fault.pop(row[2]) == row[4], log.describe(row)


def _regimes(log: EventLog) -> Counter[int]:
    return Counter(row[5] for row in _rows(log, ev.FAULT_END))


def _fallbacks(log: EventLog) -> Counter[str]:
    return Counter(log.texts[row[3]] for row in _rows(log, ev.FAULT_FALLBACK))


def test_before_6_4_every_fault_is_handled_under_the_mmap_lock() -> None:
    assert set(_regimes(_infer("guest-6.1-stack"))) == {MMAP_LOCK}


@pytest.mark.parametrize("name", ["guest-6.12-private", "guest-6.18-private", "private-t2"])
def test_private_faults_of_later_kernels_are_handled_under_the_vma_lock(name: str) -> None:
    regimes = _regimes(_infer(name))
    assert regimes[VMA_LOCK] > 20 * regimes[MMAP_LOCK]


def test_the_trylock_for_anon_vma_is_no_fallback() -> None:
    """The first write in a VMA takes mmap_lock for a moment, holding the VMA lock (FP 12)."""
    log = _infer("private-t2")
    locked = _truth("private-t2")["totals"]["faults_with_mmap_lock"]
    assert sum(_fallbacks(log).values()) < locked / 4


def test_without_the_tree_events_that_tell_a_fallback_the_answer_would_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = _fallbacks(_infer("private-t1"))
    monkeypatch.setitem(infer_events.HANDLERS, "ma_read", lambda *_: None)
    assert _fallbacks(_infer("private-t1")) != before


def test_stack_growth_is_told_by_the_write_lock_in_a_fault() -> None:
    log = _infer("stack-t2")
    grown = _fallbacks(log)["no VMA at the address: the stack grows"]
    assert grown == _truth("stack-t2")["totals"]["downgrades"] - 1  # One munmap downgrades too.


def test_userfaultfd_faults_sleep_and_go_on_under_the_mmap_lock() -> None:
    log = _infer("uffd-t2")
    assert _fallbacks(log)["waited for userfaultfd or I/O"] > 500
    slow = [row for row in _rows(log, ev.FAULT_END) if row[5] == MMAP_LOCK and row[4] > 5_000]
    assert len(slow) > 500


def test_a_file_fault_that_waits_for_the_disk_is_major() -> None:
    log = _infer("file-random-excerpt")
    major = [row for row in _rows(log, ev.FAULT_END) if row[6] & 1]
    assert len(major) > 100
    reads, done = _rows(log, ev.IO_BEGIN), _rows(log, ev.IO_END)
    assert len(reads) - 4 <= len(done) <= len(reads)  # Four threads, each may be cut off in one.
    assert {row[3:6] for row in done} <= {row[3:6] for row in reads}
    assert _fallbacks(log)["dropped the VMA lock for I/O"] > 100


def test_a_fault_that_left_no_event_ends_before_the_next_event_and_says_so() -> None:
    log = _infer("private-t1")
    ends = _rows(log, ev.FAULT_END)
    assert all(row[6] & INFERRED_END for row in ends if row[5] == VMA_LOCK and row[4] < 1000)
    assert any(not row[6] & INFERRED_END for row in ends)


def _vmas_at_note(log: EventLog, note: str) -> dict[int, dict[int, tuple[int, int, str]]]:
    """VMAs by mm when the recorder wrote its note, from the log's rows alone."""
    mms: dict[int, dict[int, tuple[int, int, str]]] = {}
    for row in log:
        if row[1] in (ev.VMA_NEW, ev.VMA_CHANGED):
            mms.setdefault(row[4], {})[row[3]] = log.details[row[5]][:3]
        elif row[1] == ev.VMA_FREED:
            del mms[row[4]][row[3]]
        elif row[1] == ev.NOTE and note in log.texts[row[3]]:
            return mms
    raise AssertionError(note)


def _merged(vmas: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    merged: list[tuple[int, int, str]] = []
    for start, end, perms in sorted(vmas):
        if merged and merged[-1][1:] == (start, perms):
            merged[-1] = (merged[-1][0], end, perms)
        else:
            merged.append((start, end, perms))
    return merged


@pytest.mark.parametrize("maps", sorted(TRACES.glob("*/maps-end.txt")), ids=lambda p: p.parent.name)
def test_system_calls_lead_from_one_copy_of_maps_to_the_next(maps: Path) -> None:
    """The kernel's own maps at the end equal what the calls since the first copy add up to."""
    real = _merged([(v.start, v.end, v.perms) for v in read_maps(maps).vmas if v.is_in_mm])
    mms = _vmas_at_note(_infer(maps.parent.name), "maps-end")
    assert real in [_merged(list(vmas.values())) for vmas in mms.values()]


def test_ignoring_munmap_would_be_seen_in_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer_events, "OWN_MM_CALLS", frozenset(("mmap", "mprotect", "brk")))
    with pytest.raises(AssertionError):
        test_system_calls_lead_from_one_copy_of_maps_to_the_next(TRACES / "malloc-t2/maps-end.txt")


def test_losses_are_events_at_their_place() -> None:
    log = _infer("var-lost-overwrite")
    losses = [(row[3], row[4], log.texts[row[5]]) for row in _rows(log, ev.LOSS)]
    assert losses[0] == (-1, 79441 - 3674, "overwritten before or between these events")
    assert losses[1][0] == 0
    assert "CPU 0 begins here" in losses[1][2]
    assert log.meta["lossy"] == "yes"


def test_two_threads_never_hold_the_lock_against_each_other() -> None:
    """Even after losses: a hold that cannot be true any more is ended."""
    for name in ("var-lost-overwrite", "guest-6.1-churn", "malloc-t2"):
        log = _infer(name)
        holders: dict[int, dict[int, int]] = {}
        mmap_locks = {lock.id for lock in _mmap_locks(log)}
        for row in log:
            if row[1] == ev.LOCK_ACQUIRED and row[3] in mmap_locks:
                others = holders.setdefault(row[3], {})
                assert ev.WRITE not in others.values(), log.describe(row)
                assert not others or row[4] == ev.READ, log.describe(row)
                others[row[2]] = row[4]
            elif row[1] == ev.LOCK_DOWNGRADED:
                holders[row[3]][row[2]] = ev.READ
            elif row[1] == ev.LOCK_RELEASED:
                del holders[row[3]][row[2]]


def test_waiters_queue_between_start_and_acquire() -> None:
    log = _infer("guest-6.1-churn")
    waiting: set[tuple[int, int]] = set()
    began = 0
    for row in _rows(log, ev.CONTENTION_BEGIN, ev.CONTENTION_END, ev.LOCK_ACQUIRED):
        key = (row[2], row[3])
        if row[1] == ev.CONTENTION_BEGIN:
            began += 1
            waiting.add(key)
        elif row[1] == ev.CONTENTION_END:
            waiting.remove(key)
        else:
            assert key not in waiting
    assert began == _truth("guest-6.1-churn")["contention"]["begin"]


def test_waits_show_as_queueing_where_contention_was_not_traced() -> None:
    log = infer_log(TRACES / "fe-bpftrace" / "out.txt.gz")
    begins, ends = _rows(log, ev.CONTENTION_BEGIN), _rows(log, ev.CONTENTION_END)
    assert len(begins) == len(ends) > 0
    assert max(row[5] for row in ends) == 10_250_129  # The longest wait of the truth file.
    assert "absent.contention" in log.meta


def test_every_spelling_of_one_buffer_gives_the_same_story() -> None:
    """trace-cmd report prints the same ring buffer with other options."""
    stories = set()
    for name in ("report", "report-R", "report-l", "report-instance-prefix"):
        log = infer_log(TRACES / "fe-tracecmd" / f"{name}.txt.gz")
        stories.add(log.digest())
    assert len(stories) == 1


def test_the_log_says_which_panes_it_cannot_fill() -> None:
    log = _infer("var-notgid")
    for what in ("vma_lock", "page_tables", "cache_lines", "steps", "tree", "off_cpu"):
        assert log.meta[f"absent.{what}"].endswith(".")
    assert "absent.off_cpu" not in _infer("uffd-t2").meta
    assert "fault_end" in "".join(log.meta)


def test_threads_carry_the_names_that_the_capture_has_for_them() -> None:
    log = infer_log(TRACES / "java-g1-excerpt" / "trace.txt.gz")
    names = {log.texts[row[3]] for row in _rows(log, ev.TASK_NEW)}
    assert {"C1 CompilerThre", "GC Thread#0", "G1 Conc#0", "VM Thread"} <= names
    assert all(names)


def test_foreign_tasks_that_only_get_the_cpu_are_nobody() -> None:
    log = _infer("guest-6.12-stack")
    tasks = {row[2] for row in _rows(log, ev.TASK_NEW)}
    assert all(row[4] in tasks | {-1} for row in _rows(log, ev.SCHED_SWITCH))
    assert len(tasks) == 3


def test_the_same_capture_gives_the_same_digest() -> None:
    assert _infer("uffd-t2").digest() == _infer("uffd-t2").digest()


def test_a_truncated_capture_plays_up_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "cut.txt.gz"
    path.write_bytes((TRACES / "private-t1" / "trace.txt.gz").read_bytes()[:5000])
    log = infer_log(path)
    last = log.row(len(log) - 1)
    losses = _rows(log, ev.LOSS)
    assert "ends here" in log.texts[losses[-1][5]]
    assert losses[-1][0] == last[0]


def test_events_that_nothing_can_be_made_of_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "odd.txt"
    path.write_text("            a-1     [000] .....     1.000001: my_probe: x=1\n")
    with pytest.raises(CaptureError, match="no event pfviz can show"):
        infer_log(path)


@pytest.mark.parametrize("seed", range(6))
def test_lines_that_are_missing_shuffled_or_garbled_never_break_the_inference(
    seed: int, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    name = rng.choice(["uffd-t2", "stack-t2", "malloc-t2", "guest-6.1-churn"])
    text = gzip.decompress((TRACES / name / "trace.txt.gz").read_bytes()).decode()
    lines = [line for line in text.splitlines()[:2500] if rng.random() < 0.8]
    if seed % 2:
        rng.shuffle(lines)
    for number in range(0, len(lines), 7):
        at = rng.randrange(len(lines[number]) + 1)
        lines[number] = lines[number][:at] + rng.choice(["", "ffff" * 9, "\x1b[", "²", ": "])
    path = tmp_path / "bad.txt"
    path.write_text("\n".join(lines))
    log = infer_log(path)
    assert len(log) > 1000
    for row in log:
        assert "\x1b" not in log.describe(row)
