"""Tables: a row each for what the events say, safe for spreadsheets."""

from __future__ import annotations

import csv
import io

import pytest

from pfviz.report import spreadsheet
from pfviz.report.measure import Rows, faults, operations
from pfviz.report.recording import Recording
from pfviz.sim import event as ev
from pfviz.sim.event import EventLog
from pfviz.stats.lock_stats import count_locks
from tests.report.runs import recorded, written

SHORT_NS = 100_000


def table(recording: Recording, name: str) -> list[dict[str, str]]:
    text = written(spreadsheet.pieces(recording, table=name)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_every_event_is_a_row_with_names_in_place_of_numbers() -> None:
    recording = recorded("writer-convoy", SHORT_NS)
    rows = table(recording, "events")
    assert len(rows) == len(recording.log)
    assert [int(row["time_ns"]) for row in rows] == [row[0] for row in recording.log]
    taken = [row for row in rows if row["event"] == "lock_acquired" and row["mode"] == "write"]
    assert {row["lock_name"] for row in taken} >= {"mmap_lock app"}
    assert {row["wait_ns"] for row in rows if row["event"] == "step"} == {""}


def test_the_tables_count_what_the_figures_of_the_run_count() -> None:
    recording = recorded("writer-convoy", SHORT_NS)
    figures = Rows(recording.log)
    rows = table(recording, "faults")
    assert len(rows) == faults(figures)["count"]
    assert (
        sum(row["lock"] == "vma_lock" for row in rows)
        == (faults(figures)["completed_under"]["vma_lock"])
    )
    waits = sum(int(row["lock_wait_ns"]) for row in table(recording, "operations"))
    assert waits > 0
    counted = sum(one["count"] for one in operations(figures).values())
    assert len(table(recording, "operations")) == counted
    locks = {row["lock"]: int(row["reads"]) for row in table(recording, "locks")}
    assert locks == {
        str(number): one.reads
        for number, one in count_locks(recording.log).items()
        if one.reads or one.writes or one.trylock_failed or one.contended
    }


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_name_becomes_a_formula(name: str) -> None:
    log = EventLog()
    log.append(0, ev.TASK_NEW, 0, log.text(name), 0, 120, 1)
    row = table(Recording(log, "any"), "events")[0]
    assert row["thread"][0] not in "=+-@\t\r"
    assert row["name"][0] not in "=+-@\t\r"
    assert "\x1b" not in written(spreadsheet.pieces(Recording(log, "any"))).decode()


def test_words_and_addresses_are_those_of_the_event() -> None:
    log = EventLog()
    log.append(1, ev.FAULT_BEGIN, 0, -4096, 6, 0, 1)
    for regime in (-1, 0, 1, 2):
        log.append(2, ev.FAULT_PATH, 0, regime, 1, 0)
    log.append(3, ev.FAULT_FALLBACK, 0, log.text("vma_busy"), 1, 0, log.text("vma_lock_abort"))
    log.append(4, ev.CONTENTION_END, 0, 7, ev.READ, 30)
    log.append(5, ev.SPIN_END, 0, 7, ev.WRITE, 12, 1)
    log.append(6, ev.FAULT_END, 0, log.text("anon_write"), 5, 0, 1)
    rows = table(Recording(log, "any"), "events")
    assert rows[0]["address"] == "0xfffffffffffff000"
    assert [row["regime"] for row in rows[1:5]] == ["", "mmap_lock", "vma_lock", "lockless"]
    assert (rows[5]["from_regime"], rows[5]["to_regime"]) == ("vma_lock", "mmap_lock")
    assert [row["mode"] for row in rows[6:8]] == ["read", "write"]
    log.append(7, ev.OP_BEGIN, 1, log.text("mmap"), -4096, 8192, 0)
    for _ in range(2):
        log.append(8, ev.FAULT_BEGIN, 1, 0, 0x14, 1, 1)
        log.append(9, ev.FAULT_END, 1, log.text("exec"), 1, 1, 2)
    log.append(9, ev.CONTENTION_END, 1, 7, ev.WRITE, 11)
    log.append(9, ev.SPIN_END, 1, 7, ev.WRITE, 22, 0)
    log.append(9, ev.OP_END, 1, log.text("mmap"), 2, 0, 0)
    (operation,) = table(Recording(log, "any"), "operations")
    assert (operation["faults"], operation["lock_wait_ns"]) == ("2", "33")
    assert (operation["address"], operation["length_bytes"]) == ("0xfffffffffffff000", "8192")
    fault, code, _ = table(Recording(log, "any"), "faults")
    assert (code["access"], code["lock"], code["major"], code["error"]) == (
        "exec", "vma_lock", "no", "yes",
    )  # fmt: skip
    told = {name: fault[name] for name in ("access", "lock", "attempts", "fallbacks")}
    assert told == {
        "access": "write", "lock": "mmap_lock", "attempts": "4", "fallbacks": "vma_busy"
    }  # fmt: skip
    assert (fault["lock_wait_ns"], fault["address"]) == ("42", "0xfffffffffffff000")
    assert [fault[name] for name in ("major", "error", "retried", "from_kernel")] == [
        "yes", "no", "no", "no",
    ]  # fmt: skip
