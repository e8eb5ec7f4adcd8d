"""The Perfetto trace, decoded with Perfetto's own definitions and held against the events."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as proto

from pfviz.report import perfetto
from pfviz.report.measure import Rows, vmstat
from pfviz.report.names import names_of
from pfviz.report.recording import Recording
from pfviz.sim import event as ev
from pfviz.sim.event import ROW_BYTES, EventLog
from tests.report.perfetto_reading import read
from tests.report.runs import recorded, written

SCENES = (
    "writer-convoy",
    "rcu-lookup",
    "beyond-mmap-lock",
    "userfaultfd",
    "swap-in",
    "fork-vs-faults",
)
SHORT_NS = 120_000
CAPTURE = "race-t3"
MODES = ("read", "write", "spin")


def holds_of(log: EventLog) -> Counter[tuple[str, str, int, int]]:
    """(lock, holder and mode, from, to) of every hold that ended, told by the events alone."""
    names = names_of(log)
    open_holds: dict[tuple[int, int], list[tuple[int, int]]] = {}
    found: Counter[tuple[str, str, int, int]] = Counter()
    for now_ns, kind, task, lock, mode, *_ in log:
        now_ns = max(now_ns, 0)
        if kind in (ev.LOCK_RELEASED, ev.LOCK_DOWNGRADED) and open_holds.get((lock, task)):
            since_ns, held = open_holds[lock, task].pop()
            who = f"{names.task(task) or 'nobody'} ({MODES[held]})"
            found[names.lock_label(lock), who, since_ns, now_ns] += 1
        if kind in (ev.LOCK_ACQUIRED, ev.LOCK_DOWNGRADED):
            mode = 0 if kind == ev.LOCK_DOWNGRADED else mode
            open_holds.setdefault((lock, task), []).append((now_ns, mode))
    return found


def ended(log: EventLog, kind: int) -> Counter[tuple[str, str, int, int]]:
    """(thread, text, end, latency) of faults or operations."""
    names = names_of(log)
    return Counter(
        (names.task(row[2]), log.texts[row[3]], row[0], row[4]) for row in log if row[1] == kind
    )


@pytest.mark.parametrize("name", [*SCENES, CAPTURE])
def test_a_trace_says_what_the_events_say(name: str) -> None:
    log = recorded(name, None if name == CAPTURE else SHORT_NS).log
    found = read(written(perfetto.pieces(recorded(name, None if name == CAPTURE else SHORT_NS))))
    assert found.problems == []
    drawn = Counter(
        (one.track[2], one.name, one.begin_ns, one.end_ns)
        for one in found.under("Locks")
        if "unfinished" not in one.args
    )
    assert drawn == holds_of(log)
    faults = [one for one in found.slices if one.args.get("kind")]
    assert all(one.name == f"fault {one.args['kind']}" for one in faults)
    assert Counter(
        (one.track[-1], one.args["kind"], one.end_ns, one.args["latency_ns"]) for one in faults
    ) == ended(log, ev.FAULT_END)
    operations = Counter(
        (one.track[-1], one.name, one.end_ns, one.args["latency_ns"])
        for one in found.slices
        if "result" in one.args
    )
    assert operations == ended(log, ev.OP_END)
    counters = {track[-1]: values[-1][1] for track, values in found.counters.items()}
    for counter, value in vmstat(Rows(log)).items():
        assert counters.get(counter, 0) == value


def test_a_convoy_has_arrows_from_the_release_to_who_waited() -> None:
    recording = recorded("writer-convoy", SHORT_NS)
    found = read(written(perfetto.pieces(recording)))
    waited = sum(row[1] == ev.CONTENTION_END for row in recording.log)
    assert waited > 10
    assert len(found.flows) >= waited * 9 // 10
    for (_, _, begins), (_, _, ends) in found.flows.values():
        assert begins.partition(" ")[2] == ends.removeprefix("gets ")
    waiters = found.counters["Locks", "mmap_lock", "mmap_lock app", "waiters of mmap_lock app"]
    assert max(value for _, value in waiters) > 1
    assert waiters[-1][1] >= 0


def test_cues_and_fallbacks_are_marked() -> None:
    found = read(written(perfetto.pieces(recorded("stack-growth"))))
    names = [name for _, name, _ in found.instants]
    assert any(name.startswith("cue ") for name in names)
    assert any(name.startswith("fallback: ") for name in names)
    assert any(track[0] == "CPUs" for track in {one.track for one in found.slices})


def test_a_release_that_is_missing_is_noticed() -> None:
    """The checks above are worth something: a log without one release fails them."""
    recording = recorded("writer-convoy", SHORT_NS)
    log = recording.log
    names = names_of(log)
    writes = [
        number
        for number, row in enumerate(log)
        if row[1] == ev.LOCK_RELEASED and row[4] == ev.WRITE and names.lock(row[3])
    ]
    rows = bytearray(log.rows)
    del rows[writes[5] * ROW_BYTES : (writes[5] + 1) * ROW_BYTES]
    without = EventLog(rows, log.texts, log.details, log.steps, log.meta)
    found = read(written(perfetto.pieces(Recording(without, "without"))))
    assert any("while another holds it" in problem for problem in found.problems)


def test_a_slice_that_is_not_ended_is_noticed() -> None:
    trace = proto.Trace()
    trace.ParseFromString(written(perfetto.pieces(recorded("hello-fault"))))
    ends = proto.TrackEvent.TYPE_SLICE_END
    last = max(n for n, one in enumerate(trace.packet) if one.track_event.type == ends)
    del trace.packet[last]
    assert any("never ended" in one for one in read(trace.SerializeToString()).problems)


def test_the_same_run_gives_the_same_bytes() -> None:
    recording = recorded("writer-convoy", SHORT_NS)
    assert written(perfetto.pieces(recording)) == written(perfetto.pieces(recording))


@pytest.mark.skipif(
    shutil.which("trace_processor_shell") is None, reason="trace_processor_shell is not on PATH"
)
def test_perfettos_own_trace_processor_finds_the_faults(tmp_path: Path) -> None:
    from perfetto.trace_processor import TraceProcessor, TraceProcessorConfig

    recording = recorded("writer-convoy", SHORT_NS)
    path = tmp_path / "run.pftrace"
    path.write_bytes(written(perfetto.pieces(recording)))
    config = TraceProcessorConfig(bin_path=shutil.which("trace_processor_shell"))
    with TraceProcessor(trace=str(path), config=config) as found:
        counted = found.query(
            "select count(*) as n from slice where category = 'fault' and dur > 0"
        )
        assert next(iter(counted)).n >= sum(ended(recording.log, ev.FAULT_END).values())
        assert next(iter(found.query("select count(*) as n from flow"))).n > 0
        errors = found.query("select sum(value) as n from stats where severity = 'error'")
        assert next(iter(errors)).n == 0
