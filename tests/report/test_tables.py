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
