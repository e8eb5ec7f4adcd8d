"""What is drawn on tracks, held against a second reading of the events: times, names and counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import NamedTuple

import pytest

from pfviz.report.names import names_of
from pfviz.report.recording import Recording
from pfviz.report.timeline_tracks import marks_of
from pfviz.report.tracks import BEGIN, COUNT, END, INSTANT, Args, Mark, Track
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog, Row
from tests.report.runs import recorded

SHORT_NS = 120_000
SCENES = ("writer-convoy", "fork-vs-faults", "swap-in")
REGIMES = ("mmap_lock", "vma_lock", "lockless")
MODES = ("read", "write", "spin")


class Slice(NamedTuple):
    track: Track
    name: str
    category: str
    begin_ns: int
    end_ns: int
    args: Args


def marks(recording: Recording) -> list[Mark]:
    return [mark for _, some in marks_of(recording) for mark in some]


def slices(recording: Recording) -> list[Slice]:
    """Every slice, with what is said at its end beside what is said at its begin."""
    open_slices: dict[Track, list[Mark]] = defaultdict(list)
    found = []
    for mark in marks(recording):
        if mark.phase == BEGIN:
            open_slices[mark.track].append(mark)
        elif mark.phase == END:
            one = open_slices[mark.track].pop()
            assert one.name == mark.name
            found.append(Slice(mark.track, one.name, one.category, one.now_ns, mark.now_ns,
                               one.args | mark.args))  # fmt: skip
    assert not any(open_slices.values())
    return found


def scene(name: str) -> Recording:
    return recorded(name, None if name == "swap-in" else SHORT_NS)


@pytest.mark.parametrize("name", SCENES)
def test_counters_of_a_lock_count_who_waits_and_who_spins(name: str) -> None:
    recording = scene(name)
    drawn: dict[str, list[int]] = defaultdict(list)
    for mark in marks(recording):
        if mark.phase == COUNT and mark.track.unit == "threads":
            drawn[mark.track.name].append(mark.value)
    names = names_of(recording.log)
    begins = {ev.CONTENTION_BEGIN: "waiters", ev.SPIN_BEGIN: "spinners"}
    ends = {ev.CONTENTION_END: "waiters", ev.SPIN_END: "spinners"}
    waiting: Counter[str] = Counter()
    expected: dict[str, list[int]] = defaultdict(list)
    for _, kind, _, lock, *_ in recording.log:
        if kind in begins or kind in ends:
            said = f"{(begins | ends)[kind]} of {names.lock_label(lock)}"
            waiting[said] += 1 if kind in begins else -1
            expected[said].append(waiting[said])
    assert drawn == expected
    assert name == "swap-in" or max(max(values) for values in expected.values()) >= 1


@pytest.mark.parametrize("name", SCENES)
def test_a_wait_lasts_from_its_begin_to_its_end(name: str) -> None:
    recording = scene(name)
    names = names_of(recording.log)
    verbs = {ev.CONTENTION_END: "waits for", ev.SPIN_END: "spins on"}
    begins = (ev.CONTENTION_BEGIN, ev.SPIN_BEGIN)
    since_ns: dict[tuple[int, int], int] = {}
    expected: Counter[tuple[str, str, int, int]] = Counter()
    for now_ns, kind, task, lock, mode, *_ in recording.log:
        if kind in begins:
            since_ns[lock, task] = now_ns
        elif kind in verbs:
            said = f"{verbs[kind]} {names.lock_label(lock)} ({MODES[mode]})"
            expected[names.task(task), said, since_ns[lock, task], now_ns] += 1
    drawn = Counter(
        (one.track.name, one.name, one.begin_ns, one.end_ns)
        for one in slices(recording)
        if one.category == "wait" and "unfinished" not in one.args
    )
    assert drawn == expected


@pytest.mark.parametrize("name", SCENES)
def test_a_step_lasts_as_long_as_it_cost(name: str) -> None:
    recording = scene(name)
    names = names_of(recording.log)
    expected = Counter(
        (names.task(task), names.step(step), now_ns, now_ns + cost_ns + extra_ns)
        for now_ns, kind, task, step, cost_ns, extra_ns, _ in recording.log
        if kind == ev.STEP
    )
    drawn = Counter(
        (one.track.name, one.name, one.begin_ns, one.end_ns)
        for one in slices(recording)
        if one.category == "step"
    )
    assert {one[:3] for one in drawn} == {one[:3] for one in expected}
    # Few are ended before their time, by the end of what they are a part of.
    assert sum((drawn & expected).values()) > sum(expected.values()) * 0.95
    ends = {one[:3]: one[3] for one in expected}
    assert all(one[3] <= ends[one[:3]] for one in drawn if expected[one] == 0)


@pytest.mark.parametrize("name", SCENES)
def test_a_cpu_shows_who_was_switched_to(name: str) -> None:
    recording = scene(name)
    names = names_of(recording.log)
    since: dict[int, Row] = {}
    expected: Counter[tuple[str, str, int, int]] = Counter()
    for row in recording.log:
        if row[1] == ev.SCHED_SWITCH:
            before = since.pop(row[3], None)
            if before is not None and before[4] >= 0:
                expected[f"CPU {row[3]}", names.task(before[4]), before[0], row[0]] += 1
            since[row[3]] = row
    drawn = Counter(
        (one.track.name, one.name, one.begin_ns, one.end_ns)
        for one in slices(recording)
        if one.category == "cpu" and "unfinished" not in one.args
    )
    assert drawn == expected
    assert expected


@pytest.mark.parametrize("name", SCENES)
def test_faults_and_their_moments_have_the_regime_of_the_events(name: str) -> None:
    recording = scene(name)
    log, names = recording.log, names_of(recording.log)
    ended = Counter(
        (names.task(row[2]), row[0], REGIMES[row[5]]) for row in log if row[1] == ev.FAULT_END
    )
    drawn = Counter(
        (one.track.name, one.end_ns, one.args["lock"])
        for one in slices(recording)
        if one.category == "fault" and "lock" in one.args
    )
    assert drawn == ended
    said = Counter(
        (mark.track.name, mark.now_ns, mark.name, mark.args.get("from"), mark.args.get("to"))
        for mark in marks(recording)
        if mark.phase == INSTANT and (mark.name.startswith(("tries ", "fallback: ")))
    )
    tried = Counter(
        (names.task(row[2]), row[0], f"tries {REGIMES[row[3]]}", None, None)
        for row in log
        if row[1] == ev.FAULT_PATH
    )
    fell = Counter(
        (names.task(row[2]), row[0], f"fallback: {log.texts[row[3]]}",
         REGIMES[row[4]], REGIMES[row[5]])
        for row in log
        if row[1] == ev.FAULT_FALLBACK
    )  # fmt: skip
    assert said == tried + fell
    assert name == "swap-in" or fell


def test_who_wakes_a_sleeper_is_named() -> None:
    log = EventLog()
    for task, name in enumerate(("sleeper", "waker", "other")):
        log.append(0, ev.TASK_NEW, task, log.text(name), task, 120, 1)
    log.append(10, ev.SLEEP, 0, log.text("waits for a page"), -1)
    log.append(30, ev.SCHED_WAKEUP, 0, 2, 1)
    (slept,) = [one for one in slices(Recording(log, "any")) if one.category == "sleep"]
    assert (slept.begin_ns, slept.end_ns, slept.args["by"]) == (10, 30, "waker")


def test_threads_stand_in_the_process_of_the_first_thread_of_their_memory() -> None:
    recording = scene("fork-vs-faults")
    names = names_of(recording.log)
    first: dict[int, int] = {}
    expected = {}
    for _, kind, task, *_, mm in recording.log:
        if kind == ev.TASK_NEW and mm > 0:
            expected[names.tid(task)] = names.tid(first.setdefault(mm, task))
    drawn = {
        mark.track.tid: mark.track.pid for mark in marks(recording) if mark.track.kind == "thread"
    }
    shown = {tid: pid for tid, pid in expected.items() if tid in drawn}
    assert {tid: drawn[tid] for tid in shown} == shown
    assert len(set(shown.values())) > 1
    assert len(shown) > len(set(shown.values()))


def test_who_fails_to_get_a_lock_waits_no_more() -> None:
    log = EventLog()
    log.append(0, ev.LOCK_NEW, -1, 7, log.text("mmap_lock"), log.text("the lock"), 1)
    log.append(1, ev.CONTENTION_BEGIN, 0, 7, ev.WRITE)
    log.append(5, ev.LOCK_FAILED, 0, 7, ev.WRITE, log.text("killed"))
    log.append(9, ev.NOTE, -1, log.text("later"))
    found = Recording(log, "any")
    counted = [(mark.now_ns, mark.value) for mark in marks(found) if mark.phase == COUNT]
    assert counted == [(1, 1), (5, 0)]
    assert [(one.begin_ns, one.end_ns) for one in slices(found)] == [(1, 5)]


def test_what_a_capture_does_not_know_is_not_told_as_a_number() -> None:
    drawn = marks(recorded("race-t3"))
    told = [
        value
        for mark in drawn
        for name, value in mark.args.items()
        if name in ("ahead", "wait_ns", "hold_ns", "spin_ns")
    ]
    assert told
    assert min(told) >= 0
