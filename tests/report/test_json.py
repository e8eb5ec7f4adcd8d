"""The object of a run: its keys, and its figures against a plain loop over the same log."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pfviz.report import measure
from pfviz.report.json import encode
from pfviz.report.measure import Rows
from pfviz.report.run import Finished, Runs
from pfviz.report.source import open_scenario
from pfviz.sim import event
from pfviz.stats.histogram import percentile

RUN_KEYS = {
    "schema", "pfviz", "scenario", "kernel", "mode", "machine", "seed", "threads", "threads_all",
    "now_ns", "last_event_ns", "steps", "events", "digest", "faults", "throughput_per_s",
    "latency_ns", "locks", "operations", "vmstat", "cache_lines", "broken_rules", "unfinished",
    "expect", "choices", "token",
}  # fmt: skip
LATENCY_KEYS = {"p50", "p90", "p99", "p999", "max", "mean"}
WAIT_KEYS = {"p50", "p99", "max", "total"}


@pytest.fixture(scope="module")
def finished() -> Finished:
    return Runs(open_scenario("two-mallocs")).finish()


def test_an_object_has_every_key_of_the_format(finished: Finished) -> None:
    run = json.loads(encode(finished.object))
    assert set(run) == RUN_KEYS
    assert run["schema"] == "pfviz.run/1"
    assert set(run["faults"]) == {
        "count", "minor", "major", "errors", "by_kind", "completed_under", "fallbacks",
    }  # fmt: skip
    assert set(run["faults"]["completed_under"]) == {"vma_lock", "mmap_lock", "lockless"}
    assert set(run["latency_ns"]) == LATENCY_KEYS
    for lock in run["locks"]:
        assert set(lock) == {
            "name", "kind", "reads", "writes", "contended", "trylock_failed", "wait_ns", "hold_ns",
            "waiters_max",
        }  # fmt: skip
        assert set(lock["wait_ns"]) == set(lock["hold_ns"]) == WAIT_KEYS
    for operation in run["operations"].values():
        assert set(operation) == {"count", "latency_ns"}
        assert set(operation["latency_ns"]) == LATENCY_KEYS
    assert set(run["vmstat"]) >= {
        "pgfault", "pgmajfault", "vma_lock_success", "vma_lock_abort", "vma_lock_retry",
        "vma_lock_miss",
    }  # fmt: skip
    assert all({"name", "transfers", "busy_ns"} <= set(line) for line in run["cache_lines"])
    assert all({"text", "holds"} <= set(one) for one in run["expect"])


def test_faults_are_those_of_the_log(finished: Finished) -> None:
    log, run = finished.log, finished.object
    ended = [row for row in log if row[1] == event.FAULT_END]
    latencies = sorted(row[4] for row in ended)
    assert run["faults"]["count"] == len(ended)
    assert run["faults"]["by_kind"] == dict(Counter(log.texts[row[3]] for row in ended))
    assert run["latency_ns"]["p99"] == percentile(latencies, 0.99)
    assert run["latency_ns"]["max"] == latencies[-1]
    last_step_ns = max(row[0] for row in log if row[1] == event.STEP)
    assert run["now_ns"] == last_step_ns
    assert run["throughput_per_s"] == pytest.approx(len(ended) * 1e9 / last_step_ns, abs=0.1)
    causes = Counter(log.texts[row[3]] for row in log if row[1] == event.FAULT_FALLBACK)
    assert run["faults"]["fallbacks"] == dict(causes)


def test_locks_are_those_of_the_log(finished: Finished) -> None:
    log = finished.log
    lock_id = next(
        row[3] for row in log if row[1] == event.LOCK_NEW and log.texts[row[5]] == "mmap_lock app"
    )
    taken = [row for row in log if row[1] == event.LOCK_ACQUIRED and row[3] == lock_id]
    lock = next(one for one in finished.object["locks"] if one["name"] == "mmap_lock app")
    assert lock["reads"] == sum(row[4] == event.READ for row in taken)
    assert lock["writes"] == sum(row[4] == event.WRITE for row in taken)
    assert lock["wait_ns"]["total"] == sum(row[5] for row in taken)
    waiting = depth = 0
    for row in log:
        if row[3] == lock_id and row[1] in (event.CONTENTION_BEGIN, event.SPIN_BEGIN):
            depth += 1
        elif row[3] == lock_id and row[1] in (event.CONTENTION_END, event.SPIN_END):
            depth -= 1
        waiting = max(waiting, depth)
    assert lock["waiters_max"] == waiting > 0


def test_cache_lines_are_named_after_what_lies_on_them(finished: Finished) -> None:
    names = {line["name"] for line in finished.object["cache_lines"]}
    assert {"mmap_lock app", "vma_lock first"} <= names


def test_a_line_that_crosses_sockets_is_longer_on_its_way() -> None:
    near = Runs(open_scenario("fault-storm")).scenario
    runs = Runs(near)
    one = runs.object(_machine("1x16"))["cache_lines"][0]
    two = runs.object(_machine("2x8"))["cache_lines"][0]
    assert one["busy_ns"] == 60 * one["transfers"]
    assert two["busy_ns"] > 60 * two["transfers"]


def _machine(name: str) -> Any:
    from pfviz.scenario.overrides import Overrides

    return Overrides(machine=name, mode="mmap_lock")


def test_an_empty_log_has_zeroes_and_no_division() -> None:
    empty = event.EventLog(meta={"machine": "laptop"})
    rows = Rows(empty)
    assert measure.faults(rows)["count"] == 0
    assert measure.throughput_per_s(rows) == 0.0
    assert measure.locks(rows) == []
    assert measure.cache_lines(rows) == []
    assert measure.operations(rows) == {}
    assert set(measure.latency(rows.of(event.FAULT_END)[:, 4]).values()) == {0}


def test_a_log_can_grow_after_it_was_measured(finished: Finished) -> None:
    log = event.EventLog()
    log.append(0, event.NOTE, -1)
    rows = Rows(log)
    log.append(1, event.NOTE, -1)
    assert len(rows.all) == 1
